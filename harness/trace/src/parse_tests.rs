//! What traces mean, and what is refused where.

use parallax_addr::{Base, Symbol};
use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<Trace, TraceError> {
    Trace::parse("t.trace", text)
}

fn error(text: &str) -> (usize, usize, String, String) {
    let error = parse(text).unwrap_err();
    (error.line, error.column, error.found, error.expected)
}

#[test]
fn a_mark_of_the_order_of_bytes_is_passed_over() {
    let trace = Trace::parse("t", "\u{feff}nop => ok\n").unwrap();
    assert_eq!((trace.ops.len(), trace.ops[0].line), (1, 1));
    let error = Trace::parse("t", "\u{feff}nopp\n").unwrap_err();
    assert_eq!((error.column, error.width), (1, 4), "{error}");
    assert!(Trace::parse("t", "nop\n\u{feff}nop\n").is_err(), "only where a text begins");
}

#[test]
fn a_trace_is_a_fault_a_machine_and_operations() {
    let trace = parse(
        "# why\nfault smmu_no_tlbi\nmachine cpus=2\n\ncpu=1 host_donate_hyp pfn=ram+0x20 nr=4 => EPERM\nnop\n",
    )
    .unwrap();
    assert_eq!(trace.fault, Some(Fault::SmmuNoTlbi));
    assert_eq!(trace.machine.hyp.fault, Some(Fault::SmmuNoTlbi));
    assert!(trace.machine.faults_build);
    let lines: Vec<usize> = trace.ops.iter().map(|op| op.line).collect();
    assert_eq!(lines, [5, 6]);
    let first = &trace.ops[0];
    assert_eq!(first.cpu, 1);
    assert_eq!(first.to_string(), "cpu=1 host_donate_hyp pfn=ram+0x20 nr=4");
    assert_eq!(first.expect, Some(Outcome::from_name("EPERM").unwrap()));
}

#[test]
fn operations_at_once_stand_between_together_and_end() {
    let trace = parse(
        "machine cpus=3\nnop\ntogether 0110\nnop\ncpu=1 nop\nend\ntogether\ncpu=2 nop\nnop => ok\nend\nnop\n",
    );
    let trace = trace.unwrap();
    let groups: Vec<_> = trace
        .ops
        .iter()
        .map(|op| op.at_once.as_ref().map(|at_once| (at_once.count, at_once.schedule.to_string())))
        .collect();
    let group = |count, schedule: &str| Some((count, schedule.to_owned()));
    assert_eq!(groups, [None, group(2, "0110"), None, group(2, ""), None, None]);
    for (text, line, found) in [
        ("together\nnop\ncpu=1 nop\n", 2, "`together` without an end"),
        ("together\nnop\nend\n", 4, "1"),
        ("together\nend\n", 3, "0"),
        ("together\nnop\nnop\nend\n", 4, "a second operation of CPU 0"),
        ("together 012\nnop\ncpu=1 nop\nend\n", 2, "a turn of CPU 2"),
        ("together 01 nop pfn=1\n", 2, "`nop`"),
        ("together nop\n", 2, "`nop`"),
        ("together cpu=1 nop\n", 2, "`cpu=1`"),
        ("together 0x\nnop\n", 2, "`0x`"),
        ("together 0 1\nnop\n", 2, "`1`"),
        ("together\ntogether\n", 3, "`together`"),
        ("end\n", 2, "`end`"),
        ("together\nnop\ncpu=1 nop\nend now\n", 5, "`now`"),
        ("together => ok\n", 2, "`=>`"),
    ] {
        let (at, _, what, _) = error(&format!("machine cpus=3\n{text}"));
        assert_eq!((at, what.as_str()), (line, found), "{text}");
    }
}

#[test]
fn defaults_are_filled_in_and_not_printed() {
    let trace = parse("host_read ipa=ram size=8\ndma_write sid=8 ipa=ram+4096").unwrap();
    assert_eq!(trace.ops[0].to_string(), "host_read ipa=ram");
    assert_eq!(trace.ops[0].arg("size"), Some(&Expr::number(8)));
    assert_eq!(trace.ops[1].to_string(), "dma_write sid=8 ipa=ram+0x1000");
    assert!(trace.machine.hyp.fault.is_none() && !trace.machine.faults_build);
}

#[test]
fn mistakes_are_pointed_at() {
    for (text, line, column, found) in [
        ("nop\nhost_shre_hyp pfn=1", 2, 1, "`host_shre_hyp`"),
        ("host_share_hyp pfm=ram", 1, 16, "`pfm=`"),
        ("host_share_hyp", 1, 15, "the end of the arguments"),
        ("host_share_hyp   # pfn=1", 1, 15, "the end of the arguments"),
        ("host_share_hyp pfn=rom", 1, 20, "`rom`"),
        ("host_share_hyp pfn=1 pfn=2", 1, 22, "a second `pfn=`"),
        ("host_share_hyp ram", 1, 16, "`ram`"),
        ("host_read ipa=ram size=3", 1, 24, "`3`"),
        ("dma_read sid=8 ipa=ram len=4", 1, 28, "`4`"),
        ("host_read ipa=mmio:uart2", 1, 15, "`mmio:uart2`"),
        ("cpu=1 nop", 1, 5, "`1`"),
        ("cpu=0", 1, 6, "the end of the line"),
        ("pfn=1 nop", 1, 1, "`pfn=`"),
        ("nop => EWHAT", 1, 8, "`EWHAT`"),
        ("nop =>", 1, 5, "nothing behind `=>`"),
        ("=> ok", 1, 1, "`=>`"),
        ("dma_write sid=8 ipa=ram => ok value=1", 1, 31, "more behind the result"),
        ("host_read ipa=ram => abort value=1", 1, 28, "more behind the result"),
        ("nop\nmachine cpus=2", 2, 1, "`machine`"),
        ("machine cpus=2\nfault smmu_no_tlbi\nnop", 2, 1, "`fault`"),
        ("fault no_such\nnop", 1, 7, "`no_such`"),
        ("fault\nnop", 1, 6, "no single name"),
        ("machine cpus=1 => ok\nnop", 1, 16, "`=>`"),
        ("# nothing", 1, 10, "the end of the trace"),
        ("", 1, 1, "the end of the trace"),
    ] {
        let (at_line, at_column, what, _) = error(text);
        assert_eq!((at_line, at_column, what.as_str()), (line, column, found), "{text:?}");
    }
}

#[test]
fn the_message_says_what_would_fit() {
    assert_eq!(error("host_share_hyp pfm=ram").3, "an argument of host_share_hyp: pfn=");
    assert_eq!(error("nop x=1").3, "nothing: nop takes no arguments");
    let (line, _, _, remedy) = error("nop\ncpu=1 nop");
    assert!(line == 2 && remedy.contains("`machine cpus=2`"), "{remedy}");
    assert_eq!(error("machine cpus=2\ncpu=2 nop").3, "a CPU of this machine, 0 to 1");
    assert!(error("nop => EWHAT").3.contains("ok, EPERM"));
    assert!(error("frobnicate").3.contains("host_share_hyp"));
}

#[test]
fn a_cpu_is_not_turned_off_while_another_one_performs_something() {
    let text = |op: &str, id: &str| format!("machine cpus=2\ntogether\ncpu=1 {op} id={id}\nnop\nend");
    for (op, id) in [("smc", "0x84000002"), ("smc", "0x184010002"), ("hypercall", "2214592514")] {
        let (line, column, found, expected) = error(&text(op, id));
        assert_eq!((line, column, found.as_str()), (3, 8 + op.len(), "CPU_OFF"), "{id}");
        assert_eq!(expected, "it outside of `together`: a CPU that is turned off does not end its operation");
    }
    parse(&text("smc", "0x84000000")).unwrap();
    parse("machine cpus=2\ncpu=1 smc id=0x84000002").unwrap();
}

#[test]
fn a_device_performs_one_transfer_at_a_time() {
    let text = |first: &str, second: &str| {
        format!("machine cpus=2 devices=edu@1,edu@2\ntogether\n{first}\ncpu=1 {second}\nend")
    };
    let (line, column, found, expected) =
        error(&text("dma_read sid=8 ipa=ram", "dma_write sid=0x8 ipa=ram value=1"));
    assert_eq!((line, column, found.as_str()), (4, 17, "a second transfer of StreamID 8"));
    assert!(expected.starts_with("one for each device between `together` and `end`"), "{expected}");
    parse(&text("dma_read sid=8 ipa=ram", "dma_read sid=16 ipa=ram")).unwrap();
    parse("machine cpus=2\ndma_read sid=8 ipa=ram\ncpu=1 dma_read sid=8 ipa=ram").unwrap();
}

#[test]
fn a_race_is_two_cpus_already() {
    let race = "host_race ipa=ram value=1 second=2 at=ram data=3";
    let (line, column, found, expected) = error(&format!("machine cpus=2\ntogether\nnop\ncpu=1 {race}\nend"));
    assert_eq!((line, column, found.as_str()), (4, 7, "`host_race`"));
    assert!(expected.starts_with("it outside of `together`"), "{expected}");
    parse(&format!("machine cpus=2\n{race}")).unwrap();
}

#[test]
fn a_word_that_is_no_operation_is_guessed_too() {
    for (text, meant) in
        [("togehter", "together"), ("machien cpus=2", "machine"), ("nop\nendd", "end"), ("fualt x", "fault")]
    {
        let expected = error(text).3;
        assert!(expected.ends_with(&format!("did you mean `{meant}`?")), "{text}: {expected}");
    }
    assert!(!error("xyz").3.contains("together"));
}

#[test]
fn the_machine_can_be_changed_from_outside() {
    let mut trace = parse("fault smmu_no_tlbi\nmachine cpus=2 mem=512M\ncpu=1 nop").unwrap();
    trace.change_machine("mem=1G smmu.map=pages").unwrap();
    assert_eq!((trace.machine.cpus, trace.machine.mem_bytes), (2, 1 << 30));
    assert_eq!(trace.machine.hyp.fault, Some(Fault::SmmuNoTlbi));
    assert!(trace.change_machine("mem=1T").unwrap_err().to_string().starts_with("machine:1:5: found `1T`"));
    assert!(trace.change_machine("cpus=1").unwrap_err().to_string().contains("line 3"));
}

#[test]
fn every_trace_of_the_project_parses() {
    let root = std::path::Path::new("../../traces");
    let mut count = 0;
    for folder in ["good", "bad"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let trace = Trace::parse(&path.display().to_string(), &text);
            let trace = trace.unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(trace.fault.is_some(), folder == "bad", "{}", path.display());
            count += 1;
        }
    }
    assert!(count > 0);
}

fn any_symbol() -> impl Strategy<Value = Symbol> {
    prop_oneof![
        Just(Symbol::Ram),
        Just(Symbol::Hyp),
        Just(Symbol::Pool),
        Just(Symbol::Host),
        Just(Symbol::Mmio("uart".to_owned())),
    ]
}

fn any_expr() -> impl Strategy<Value = Expr> {
    let base =
        proptest::option::of((any_symbol(), any::<bool>()).prop_map(|(symbol, end)| Base { symbol, end }));
    let offset = prop_oneof![0u64..64, any::<u64>()];
    (base, offset).prop_map(|(base, offset)| Expr { base, offset })
}

fn any_argument(kind: Kind) -> BoxedStrategy<Expr> {
    match kind {
        Kind::Frame | Kind::Address | Kind::Value => any_expr().boxed(),
        Kind::Count => any::<u64>().prop_map(Expr::number).boxed(),
        Kind::Size => prop_oneof![Just(1), Just(2), Just(4), Just(8)].prop_map(Expr::number).boxed(),
        Kind::Length => (8u64..=4096).prop_map(Expr::number).boxed(),
        Kind::Stream => any::<u32>().prop_map(|sid| Expr::number(u64::from(sid))).boxed(),
    }
}

fn any_op() -> impl Strategy<Value = Op> {
    (0..rows().count(), 0u64..8).prop_flat_map(|(index, cpu)| {
        let row = rows().nth(index).unwrap();
        let args: Vec<_> = row.params.iter().map(|param| any_argument(param.kind)).collect();
        args.prop_map(move |args| Op { line: 2, cpu, word: None, row, args, expect: None, at_once: None })
    })
}

proptest! {
    #[test]
    fn canonical_text_parses_to_the_same_operation(op in any_op()) {
        let trace = parse(&format!("machine cpus=8\n{op}")).unwrap();
        prop_assert_eq!(&trace.ops[0], &op);
    }

    #[test]
    fn no_text_panics(text in "[ -~\\n\\té=>#]{0,80}") {
        let _ = parse(&text);
    }
}
