//! Reading and writing Casemate files.

use parallax_addr::PhysAddr;
use parallax_protocol::casemate::{Form, parse, write};
use parallax_protocol::{Barrier, DcOp, Dsb, Event, GicRegister, HintKind, Kind, Sysreg, TlbiOp};
use proptest::prelude::*;

fn kinds() -> impl Strategy<Value = Kind> {
    let dsb = || proptest::sample::select(Dsb::ALL);
    let reg = || proptest::sample::select(Sysreg::ALL);
    let word = any::<u64>;
    prop_oneof![
        (word(), word(), any::<bool>()).prop_map(|(pa, value, release)| Kind::Store {
            pa: PhysAddr::new(pa),
            value,
            size: 8,
            release
        }),
        (word(), word()).prop_map(|(pa, value)| Kind::Load { pa: PhysAddr::new(pa), value }),
        (word(), word()).prop_map(|(pa, size)| Kind::MemInit { pa: PhysAddr::new(pa), size }),
        (word(), word()).prop_map(|(pa, size)| Kind::MemFree { pa: PhysAddr::new(pa), size }),
        (word(), any::<u32>(), any::<u8>()).prop_map(|(pa, size, value)| Kind::MemSet {
            pa: PhysAddr::new(pa),
            size,
            value
        }),
        dsb().prop_map(|option| Kind::Barrier(Barrier::Dsb(option))),
        dsb().prop_map(|option| Kind::Barrier(Barrier::Dmb(option))),
        Just(Kind::Barrier(Barrier::Isb)),
        (proptest::sample::select(TlbiOp::ALL), word())
            .prop_map(|(op, value)| Kind::Tlbi { op, operand: if op.has_operand() { value } else { 0 } }),
        (reg(), word()).prop_map(|(reg, value)| Kind::SysregWrite { reg, value }),
        (reg(), word()).prop_map(|(reg, value)| Kind::SysregRead { reg, value }),
        (any::<u32>(), 4..=8_u8, word()).prop_map(|(offset, size, value)| Kind::SmmuWrite {
            offset,
            size,
            value
        }),
        (any::<u32>(), 4..=8_u8, word()).prop_map(|(offset, size, value)| Kind::SmmuRead {
            offset,
            size,
            value
        }),
        any::<[u64; 2]>().prop_map(Kind::Command),
        (proptest::sample::select(GicRegister::ALL), word().prop_map(PhysAddr::new), word())
            .prop_map(|(register, frame, value)| Kind::GicWrite { register, frame, value }),
        (proptest::sample::select(GicRegister::ALL), word().prop_map(PhysAddr::new), word())
            .prop_map(|(register, frame, value)| Kind::GicRead { register, frame, value }),
        word().prop_map(|address| Kind::Lock { address }),
        word().prop_map(|address| Kind::Trylock { address }),
        word().prop_map(|address| Kind::Unlock { address }),
        word().prop_map(|number| Kind::Op { number }),
        word().prop_map(|pa| Kind::Touch { pa: PhysAddr::new(pa) }),
        any::<[u64; 3]>().prop_map(|[function, entry, context]| Kind::Smc {
            function: function as u32,
            entry,
            context
        }),
        (proptest::sample::select(DcOp::ALL), word()).prop_map(|(op, operand)| Kind::Dc { op, operand }),
        (proptest::sample::select(HintKind::ALL), word(), word())
            .prop_map(|(kind, location, value)| Kind::Hint { kind, location, value: value.min(!location) }),
        proptest::sample::select(&[Kind::Synced, Kind::Enter, Kind::Return]),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        events in proptest::collection::vec((any::<u64>(), any::<u16>(), kinds(), ".*"), 0..20),
        condensed in any::<bool>(),
    ) {
        let form = if condensed { Form::Condensed } else { Form::Named };
        let mut text = String::from("! log of a test\n");
        for (seq, cpu, kind, source) in &events {
            let source = (!source.is_empty()).then_some(source.as_str());
            write(&mut text, &Event { seq: *seq, pc: 0, cpu: *cpu, kind: *kind }, source, form, true);
        }
        let log = parse(&text).unwrap();
        prop_assert_eq!(log.events.len(), events.len());
        for (event, (seq, cpu, kind, source)) in log.events.iter().zip(&events) {
            prop_assert_eq!((event.seq, event.cpu, event.kind), (*seq, *cpu, *kind));
            prop_assert_eq!(log.source(event.pc).unwrap_or_default(), source);
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "[( )!\"\\\\a-z0-9-]{0,60}|\\PC*") {
        let _ = parse(&text);
    }
}

#[test]
fn both_forms_and_older_names_mean_the_same() {
    let forms = [
        "(mem-write (id 1) (tid 2) (mem-order release) (address 0x42) (value 93) (src \"x.c:1\"))",
        "(mem-write 1 2 \"x.c:1\" release 42 0x93)",
        "(mem-write 1 2 release 0x42 0x93 \"x.c:1\")",
        "\u{feff}(mem-write 1 2 release 0x42 0x93 \"x.c:1\")\n! a verdict",
        "(MEM-WRITE (id 1)\n  (tid 2) (src \"x.c:1\") (mem-order release)\n (address 42) (value 0x93))",
    ];
    let first = parse(forms[0]).unwrap();
    assert_eq!(
        first.events[0].kind,
        Kind::Store { pa: PhysAddr::new(0x42), value: 0x93, size: 8, release: true }
    );
    for form in forms {
        assert_eq!(parse(form).unwrap(), first, "{form}");
    }
    let msr = parse("(msr (id 0) (tid 0) (sysreg VTTBR_EL2) (value 240003) (src 7))").unwrap();
    assert_eq!(msr.events[0].kind, Kind::SysregWrite { reg: Sysreg::VttbrEl2, value: 0x24_0003 });
    assert_eq!(msr.source(msr.events[0].pc), Some("7"));
}

#[test]
fn errors_name_line_and_column() {
    let cases = [
        ("(lock (id 0) (tid 0) (address 0x10))\n(lokc 1 0 10)", "2:1: `lokc` is no event"),
        ("(lock (id 0) (tid 0))", "1:1: `lock` has no `address`"),
        (
            "(lock (id x) (tid 0) (address 1))",
            "1:11: found `x`, expected a decimal number up to 18446744073709551615 for `id`",
        ),
        (
            "(lock (id 0) (tid 0) (address 0xg))",
            "1:31: found `0xg`, expected a hexadecimal number up to 0xffffffffffffffff for `address`",
        ),
        (
            "(lock (id 0) (tid 99999) (address 1))",
            "1:19: found `99999`, expected a decimal number up to 65535 for `tid`",
        ),
        ("\n  (lock 0 0 1", "2:3: this `(` is never closed"),
        ("(lock 0 0 1 2)", "1:13: too much for `lock`"),
        ("(lock 0 0 \"a\" 1 \"b\")", "1:17: too much for `lock`"),
        ("lock", "1:1: expected `(` of an event"),
        ("(lock (id (x 1)) (tid 0))", "1:11: a field cannot hold a list"),
        ("(barrier 0 0 dsb full)", "1:18: found `full`, expected sy, ish, ishst, nsh or another option"),
        ("(tlbi 0 0 vmall)", "1:11: found `vmall`, expected a TLBI operation"),
        ("(lock 0 0 \"a\n\" 1)", "1:11: this string does not end on its line"),
    ];
    for (text, message) in cases {
        assert_eq!(parse(text).unwrap_err().to_string(), message);
    }
}

#[test]
fn a_dump_behind_a_verdict_is_no_log() {
    for dump in ["pgtables:\n  0x1000", "(pgtable 0x1000 valid)", "(lock 2 0)"] {
        let error = parse(&format!("(lock 1 0 0x10)\n! Locking error\n{dump}\n")).unwrap_err();
        assert_eq!(error.line, 3, "{error}");
        assert!(error.message.contains("behind the verdict in line 2: what Casemate prints"), "{error}");
    }
    assert_eq!(parse("(lock 1 0 0x10)\n! Locking error\n(unlock 2 0 0x10)\n").unwrap().events.len(), 2);
}

#[test]
fn hostile_shapes_end_early() {
    assert!(parse(&"(".repeat(1_000_000)).unwrap_err().message.contains("cannot hold a list"));
    assert!(
        parse(&format!("(lock {})", "1 ".repeat(1_000_000))).unwrap_err().message.contains("more than 16")
    );
    assert!(
        parse(&format!("(lock 0 0 {})", "f".repeat(1_000_000))).unwrap_err().message.contains("longer than")
    );
}
