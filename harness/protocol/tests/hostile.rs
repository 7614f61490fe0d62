//! Whatever the events say, the checker comes to an end without a panic.

use std::fs;
use std::io::{self, Read};

use parallax_addr::PhysAddr;
use parallax_hostile::{cases, changed, changed_text, ending};
use parallax_protocol::casemate::{self, Form, ReadError, parse, read, write};
use parallax_protocol::{
    Barrier, Checker, Config, DcOp, Dsb, Event, GicRegister, HintKind, Kind, Sysreg, TlbiOp,
};
use proptest::prelude::*;
use proptest::sample::select;

/// Addresses that meet often: a few pages, their entries, and the ends of the range.
fn address() -> impl Strategy<Value = u64> {
    prop_oneof![
        8 => (0..8_u64, 0..4_u64).prop_map(|(page, slot)| 0x1_0000 + page * 0x1000 + slot * 8),
        1 => any::<u64>(),
        1 => select(&[0, 1, u64::MAX, u64::MAX - 7, 0x0000_ffff_ffff_f000]),
    ]
}

/// Descriptors and register values that point to those pages.
fn value() -> impl Strategy<Value = u64> {
    let bits =
        select(&[0, 1, 2, 3, 0xd, 0xf, 0x7fd, 0x7ff, 0x25, 0x2a, 0x46, 0x28, 0x03, 0x04, 1 << 52, 1 << 48]);
    prop_oneof![6 => (address(), bits).prop_map(|(address, bits)| (address & !0xfff) | bits), 1 => any::<u64>()]
}

fn kind() -> impl Strategy<Value = Kind> {
    const REGISTERS: &[u32] = &[0x0c, 0x14, 0x20, 0x80, 0x84, 0x88, 0x90, 0x94, 0x98, 0x9c, 0x7777];
    prop_oneof![
        8 => (address(), value(), select(&[1_u8, 2, 4, 8, 0, 255]), any::<bool>())
            .prop_map(|(pa, value, size, release)| Kind::Store { pa: PhysAddr::new(pa), value, size, release }),
        4 => (address(), value()).prop_map(|(pa, value)| Kind::Store { pa: PhysAddr::new(pa), value, size: 8, release: true }),
        1 => (address(), value()).prop_map(|(pa, size)| Kind::MemInit { pa: PhysAddr::new(pa), size }),
        1 => (address(), value()).prop_map(|(pa, size)| Kind::MemFree { pa: PhysAddr::new(pa), size }),
        1 => (address(), any::<u32>(), any::<u8>()).prop_map(|(pa, size, value)| Kind::MemSet { pa: PhysAddr::new(pa), size, value }),
        3 => select(Dsb::ALL).prop_map(|option| Kind::Barrier(Barrier::Dsb(option))),
        3 => (select(TlbiOp::ALL), prop_oneof![Just(0), any::<u64>()])
            .prop_map(|(op, operand)| Kind::Tlbi { op, operand }),
        3 => (select(Sysreg::ALL), value()).prop_map(|(reg, value)| Kind::SysregWrite { reg, value }),
        1 => (select(Sysreg::ALL), any::<u64>()).prop_map(|(reg, value)| Kind::SysregRead { reg, value }),
        3 => (select(REGISTERS), select(&[4_u8, 8]), value())
            .prop_map(|(offset, size, value)| Kind::SmmuWrite { offset, size, value }),
        2 => (select(REGISTERS), select(&[4_u8, 8]), value())
            .prop_map(|(offset, size, value)| Kind::SmmuRead { offset, size, value }),
        2 => (select(GicRegister::ALL), address(), address(), any::<bool>()).prop_map(|(register, frame, value, write)| {
            let frame = PhysAddr::new(frame);
            if write { Kind::GicWrite { register, frame, value } } else { Kind::GicRead { register, frame, value } }
        }),
        2 => (value(), any::<u64>()).prop_map(|(low, high)| Kind::Command([low, high])),
        2 => (select(HintKind::ALL), address(), value())
            .prop_map(|(kind, location, value)| Kind::Hint { kind, location, value }),
        1 => address().prop_map(|pa| Kind::Touch { pa: PhysAddr::new(pa) }),
        1 => (select(DcOp::ALL), address()).prop_map(|(op, operand)| Kind::Dc { op, operand }),
        1 => (select(&[0xc400_0003_u64, 0x8400_0001]), address())
            .prop_map(|(function, context)| Kind::Smc { function: function as u32, entry: context, context }),
        1 => address().prop_map(|address| Kind::Lock { address }),
        1 => address().prop_map(|address| Kind::Unlock { address }),
        2 => select(&[Kind::Synced, Kind::Return, Kind::Enter]),
    ]
}

proptest! {
    #[test]
    fn no_events_make_the_checker_panic(
        events in proptest::collection::vec((0..3_u16, any::<u64>(), kind()), 0..200),
        bbm in 0..=2_u8,
    ) {
        let config = Config { cpu_bbm: bbm, smmu_bbm: bbm, max_pages: 64, ..Config::default() };
        let mut checker = Checker::new(config);
        for (cpu, seq, kind) in events {
            checker.event(&Event { seq, pc: seq % 16, cpu, kind });
        }
        prop_assert!(checker.findings().iter().all(|finding| finding.count > 0));
    }
}

#[test]
fn memory_is_bounded_and_says_so() {
    let mut checker = Checker::new(Config { max_pages: 8, ..Config::default() });
    for page in 0..100 {
        let kind = Kind::Store { pa: PhysAddr::new(page << 12), value: 1, size: 8, release: false };
        checker.event(&Event { seq: page, pc: 0, cpu: 0, kind });
    }
    assert_eq!(checker.lost(), 92);
}

/// The logs of the rules, in the condensed form, and written in the other one.
fn real() -> Vec<String> {
    let files =
        fs::read_dir("tests/rules").unwrap().map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    let small: Vec<String> = files.filter(|text| text.len() < 4096).collect();
    let named = small
        .iter()
        .map(|text| text_of(&ending(text, || parse(text)).unwrap(), Form::Named))
        .collect::<Vec<_>>();
    small.into_iter().chain(named).collect()
}

/// Whether `text` has a number that no field can hold. (A source that is a word may look like one: such a text is let be.)
fn has_too_large(text: &str) -> bool {
    let unquoted: String = text.split('"').step_by(2).collect();
    let digits = |word: &str| word.trim_start_matches("0x").trim_start_matches('0').to_owned();
    let too_large =
        |word: &str| digits(word).len() > 20 && digits(word).bytes().all(|byte| byte.is_ascii_hexdigit());
    let plain = !text.contains("src") && !text.contains("! ") && !text.contains('\\');
    plain && unquoted.split([' ', '\n', '\t', '(', ')']).any(too_large)
}

fn text_of(log: &casemate::Log, form: Form) -> String {
    let mut text = String::new();
    for event in &log.events {
        write(&mut text, event, log.source(event.pc), form, true);
    }
    text
}

proptest! {
    #![proptest_config(cases(16384))]

    #[test]
    fn what_is_read_of_a_changed_log_is_written_and_read_again_the_same(text in changed_text(real()), condensed: bool) {
        let read = ending(&text, || parse(&text));
        prop_assert!(read.is_err() || !has_too_large(&text), "a number of more than 64 bits is read");
        if let Ok(log) = read {
            let form = if condensed { Form::Condensed } else { Form::Named };
            let written = text_of(&log, form);
            match parse(&written) {
                Ok(again) => prop_assert_eq!(again, log.clone()),
                Err(error) => prop_assert!(false, "{error}: {written}"),
            }
            let mut checker = Checker::new(Config { max_pages: 64, ..Config::default() });
            log.events.iter().for_each(|event| checker.event(event));
            let plain = casemate::plain(&log.events, &checker.pages(), |pc| log.source(pc).map(str::to_owned));
            prop_assert!(parse(&plain).is_ok(), "{plain}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_refused_where_they_stand(bytes in changed(real().into_iter().map(String::into_bytes).collect())) {
        let read = ending(&bytes, || read(&bytes[..], |_| ()));
        match str::from_utf8(&bytes) {
            Ok(text) => match (read, parse(text)) {
                (Ok(sources), Ok(log)) => prop_assert_eq!(sources, log.sources),
                (Err(ReadError::Malformed(error)), Err(expected)) => prop_assert_eq!(error, expected),
                (read, expected) => prop_assert!(false, "{read:?}, {expected:?}"),
            },
            Err(_) => prop_assert!(matches!(read, Err(ReadError::Malformed(_)))),
        }
    }
}

#[test]
fn what_never_ends_is_refused_before_it_fills_the_memory() {
    for (begin, without_end) in
        [("(", b' '), ("(lock 1 0 1", b' '), ("! ", b'x'), ("(lock \"", b'x'), ("(", b'1')]
    {
        let input = begin.as_bytes().chain(io::repeat(without_end));
        let error = read(input, |_| ()).unwrap_err().to_string();
        assert!(
            error.contains("more than 1048576 bytes") || error.contains("longer than 4096"),
            "{begin}: {error}"
        );
    }
}
