//! Words mean the operations that they stand for, and are printed as they are read.

use parallax_addr::Base;
use proptest::prelude::*;

use super::*;
use crate::{Op, Trace};

fn op(text: &str) -> Op {
    Trace::parse("t", text).unwrap_or_else(|error| panic!("{error}")).ops.swap_remove(0)
}

/// The operation that `text` stands for, in the raw form.
fn raw(text: &str) -> String {
    Op { word: None, ..op(text) }.to_string()
}

#[test]
fn words_stand_for_operations() {
    for (word, raw_form) in [
        ("smmu_read CR0ACK", "host_read ipa=mmio:smmu+0x24 size=4"),
        ("smmu_read EVENTQ_CONS", "host_read ipa=mmio:smmu+0x100ac size=4"),
        ("smmu_read STRTAB_BASE", "host_read ipa=mmio:smmu+0x80"),
        ("smmu_write CMDQ_PROD 3", "host_write ipa=mmio:smmu+0x98 size=4 value=3"),
        ("smmu_write CR0 SMMUEN EVENTQEN CMDQEN", "host_write ipa=mmio:smmu+0x20 size=4 value=0xd"),
        ("smmu_write STRTAB_BASE_CFG linear LOG2SIZE=4", "host_write ipa=mmio:smmu+0x88 size=4 value=4"),
        (
            "smmu_write STRTAB_BASE_CFG two_level LOG2SIZE=9 SPLIT=6",
            "host_write ipa=mmio:smmu+0x88 size=4 value=0x10189",
        ),
        (
            "smmu_write CMDQ_BASE LOG2SIZE=8 ADDR=ram+0x6011000",
            "host_write ipa=mmio:smmu+0x90 value=ram+0x6011008",
        ),
        (
            "smmu_write EVENTQ_BASE LOG2SIZE=12 ADDR=hyp-0x20000",
            "host_write ipa=mmio:smmu+0xa0 value=hyp-0x1fff4",
        ),
        (
            "smmu_command at=ram+0x6011000 CFGI_STE StreamID=8 Leaf",
            "host_write_pair ipa=ram+0x6011000 value=0x800000003 second=1",
        ),
        ("smmu_command at=ram CFGI_ALL", "host_write_pair ipa=ram value=4 second=0x1f"),
        (
            "smmu_command at=ram CFGI_STE_RANGE StreamID=256 Range=7",
            "host_write_pair ipa=ram value=0x10000000004 second=7",
        ),
        (
            "smmu_command at=ram TLBI_NH_ASID VMID=5 ASID=1",
            "host_write_pair ipa=ram value=0x1000500000011 second=0",
        ),
        (
            "smmu_command at=ram TLBI_NH_VA ASID=1 Address=0x105002000",
            "host_write_pair ipa=ram value=0x1000000000012 second=0x105002000",
        ),
        (
            "smmu_command at=ram SYNC CS=1 MSIData=0xdeadbeef MSIAddr=hyp",
            "host_write_pair ipa=ram value=0xdeadbeef00001046 second=hyp",
        ),
        (
            "ste at=ram+0x6012200 s1 S1ContextPtr=ram+0x6013040 S1CIR=1 S1STALLD",
            "host_write_entry ipa=ram+0x6012200 value=ram+0x601304b second=0x8000004 third=0 fourth=0",
        ),
        (
            "ste at=ram s2 S2VMID=7 S2TTB=hyp",
            "host_write_entry ipa=ram value=0xd second=0 third=7 fourth=hyp",
        ),
        ("ste at=ram V Config=3", "host_write_entry ipa=ram value=7 second=0 third=0 fourth=0"),
        ("ste at=ram invalid", "host_write_entry ipa=ram value=0 second=0 third=0 fourth=0"),
        (
            "cd at=ram+0x6013000 T0SZ=25 IR0=1 OR0=1 SH0=3 EPD1 V IPS=4 AFFD AA64 R A ASET ASID=1 TTB0=ram+0x6014000 MAIR=0xff",
            "host_write_entry ipa=ram+0x6013000 value=0x1e20cc0003519 second=ram+0x6014000 third=0 fourth=0xff",
        ),
        (
            "l1std at=ram+0x6012000 Span=5 L2Ptr=ram+0x6014000",
            "host_write ipa=ram+0x6012000 value=ram+0x6014005",
        ),
        ("s1_descriptor at=ram+8 block AP=1 SH=3 AF OA=0x40000000", "host_write ipa=ram+8 value=0x40000741"),
        ("s1_descriptor at=ram table NextLevelTable=hyp", "host_write ipa=ram value=hyp+3"),
        ("s1_descriptor at=ram invalid", "host_write ipa=ram value=0"),
    ] {
        assert_eq!(raw(word), raw_form);
        assert_eq!(op(word).to_string(), word);
        assert_eq!(op(raw_form).to_string(), raw_form, "what is written in numbers stays so");
    }
}

#[test]
fn what_is_said_otherwise_is_printed_in_one_form() {
    for (written, canonical) in [
        ("smmu_write CR0 0xd", "smmu_write CR0 SMMUEN EVENTQEN CMDQEN"),
        ("smmu_write CR0 0xffffffff", "smmu_write CR0 0xffffffff"),
        ("smmu_write CR0 0", "smmu_write CR0 0"),
        ("smmu_write STRTAB_BASE ram+0x6012000", "smmu_write STRTAB_BASE ADDR=ram+0x6012000"),
        ("smmu_write STRTAB_BASE_CFG 4", "smmu_write STRTAB_BASE_CFG linear LOG2SIZE=4"),
        ("smmu_write STRTAB_BASE_CFG 0x20004", "smmu_write STRTAB_BASE_CFG LOG2SIZE=4 FMT=2"),
        ("smmu_command at=ram CFGI_STE_RANGE Range=31", "smmu_command at=ram CFGI_ALL"),
        ("ste at=ram V Config=4", "ste at=ram bypass"),
        ("ste at=ram bypass MEV=1 S1CIR=0", "ste at=ram bypass MEV"),
        ("cpu=0 cd at=ram", "cd at=ram"),
    ] {
        assert_eq!(op(written).to_string(), canonical);
        assert_eq!(op(canonical), op(written));
    }
}

#[test]
fn an_operation_that_its_word_cannot_say_is_printed_in_numbers() {
    let mut command = op("smmu_command at=ram SYNC");
    command.args[1] = Expr::number(0xff);
    assert_eq!(command.to_string(), "host_write_pair ipa=ram value=0xff second=0");
    let mut write = op("smmu_write CR0 1");
    write.args[0].offset = 0x22;
    assert_eq!(write.to_string(), "host_write ipa=mmio:smmu+0x22 size=4 value=1");
}

#[test]
fn mistakes_are_pointed_at() {
    for (text, column, found, expected) in [
        ("smmu_wrte CR0 1", 1, "`smmu_wrte`", "an operation: did you mean `smmu_write`?"),
        ("smmu_write", 11, "the end of the line", "a register of the SMMU"),
        ("smmu_write CMDQ_PRD 1", 12, "`CMDQ_PRD`", "a register of the SMMU: did you mean `CMDQ_PROD`?"),
        ("smmu_write CR0", 15, "the end of the line", "a number, a place or fields"),
        ("smmu_write CR0 SMUEN", 16, "`SMUEN`", "a number, a place or fields of CR0: did you mean `SMMUEN`?"),
        ("smmu_write CR0 SMMUEN CMDQN", 23, "`CMDQN`", "a field of CR0: did you mean `CMDQEN`?"),
        ("smmu_write CR0 SMMUEN SMMUEN", 23, "a second `SMMUEN`", "each field once"),
        ("smmu_write CR0 0x100000000", 16, "`0x100000000`", "a value of 32 bits"),
        ("smmu_write CR0 VMW=8", 20, "`8`", "a number of 3 bits for VMW"),
        ("smmu_read CR0 1", 15, "`1`", "nothing behind CR0"),
        ("smmu_command CFGI_STE", 14, "`CFGI_STE`", "`at=ADDRESS`"),
        ("smmu_command at=ram", 20, "the end of the line", "what the smmu_command is, such as `CFGI_ALL`"),
        (
            "smmu_command at=ram CFGI_STF",
            21,
            "`CFGI_STF`",
            "what the smmu_command is: did you mean `CFGI_STE`?",
        ),
        (
            "smmu_command at=ram CFGI_STE sid=8",
            30,
            "`sid=`",
            "a field of CFGI_STE (it has SSec, StreamID, Leaf)",
        ),
        ("smmu_command at=ram CFGI_STE StreamID", 30, "`StreamID`", "`StreamID=VALUE`"),
        (
            "smmu_command at=ram SYNC MSIAddr=hyp+1",
            34,
            "`hyp+1`",
            "a place, or a number of which only bits 2 to 55 are set for MSIAddr",
        ),
        ("ste at=ram bypas", 12, "`bypas`", "a field of ste: did you mean `bypass`?"),
        ("ste at=ram bypass Config=4", 19, "`Config=`", "a field of bypass (it has S1Fmt, "),
        (
            "ste at=ram s1 S1CDMax=1 S1ContextPtr=ram",
            25,
            "`S1ContextPtr`",
            "a number instead of a place, where a field above the address is set",
        ),
        ("ste at=mmio:nope abort", 8, "`mmio:nope`", "a device: one of "),
        ("smmu_read CR0 => EWHAT", 18, "`EWHAT`", "a result: one of "),
    ] {
        let error = Trace::parse("t", text).unwrap_err();
        assert_eq!((error.column, error.found.as_str()), (column, found), "{text}");
        assert!(error.expected.starts_with(expected), "{text}: {}", error.expected);
    }
}

fn any_dword() -> impl Strategy<Value = Expr> {
    let offset = prop_oneof![
        0_u64..64,
        (0_u64..64).prop_map(|bit| 1 << bit),
        (0_u64..64, 0_u64..64).prop_map(|(one, two)| 1 << one | 1 << two | 9),
        any::<u64>(),
    ];
    let base = proptest::option::of(Just(Base { symbol: Symbol::Ram, end: false }));
    (base, offset).prop_map(|(base, offset)| Expr { base, offset })
}

proptest! {
    #[test]
    fn what_a_word_says_is_read_back(
        word in 0..WORDS.len(),
        at in any_dword(),
        register in 0..REGISTERS.len(),
        dwords in proptest::collection::vec(any_dword(), 4),
    ) {
        let (word, register) = (&WORDS[word], &REGISTERS[register]);
        let at = match word.subject {
            Subject::Register => Expr { base: Some(smmu()), offset: register.offset.into() },
            Subject::Memory(_) => at,
        };
        let size = if word.subject == Subject::Register { register.bytes } else { 8 };
        let args = word.args(&at, size, dwords);
        let printed = Op { line: 1, cpu: 0, word: Some(word), row: word.row(), args, expect: None, at_once: None };
        let text = printed.to_string();
        if let Some(wordy) = word.text(&printed.args) {
            prop_assert_eq!(&text, &wordy);
            prop_assert_eq!(op(&text), printed);
        } else {
            prop_assert!(text.starts_with(word.operation), "{}", text);
        }
    }
}
