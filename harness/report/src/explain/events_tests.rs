use parallax_addr::{InputAddr, PhysAddr};
use parallax_machine::recording::format::Site;
use parallax_model::table_map::Table;
use parallax_model::{AddressMap, Field, PageArray, PageFormat, Span};
use parallax_smmu::strtab::SteArray;
use parallax_vmsa::desc::Level;
use parallax_vmsa::{SparseMem, Stage, Stage2Controls};

use super::*;

const TABLE: u64 = 0x8000;
const STREAMS: u64 = 0xa000;
const QUEUE: u64 = 0xc000;
const SMMU: u64 = 0x0905_0000;

/// The state of frame 0x40201 on, in entries of 4 bytes with the host's relation in bits 25:24 and a count in bits 15:0.
const STATES: PageArray = PageArray {
    pa: PhysAddr::new(0xb000),
    first_pfn: 0x4_0201,
    nr: 4,
    format: PageFormat {
        size: 4,
        host: Some(Field { shift: 24, bits: 2 }),
        hyp_inverted: None,
        refcount: Field { shift: 0, bits: 16 },
        share_count: None,
    },
};

/// A last-level table of the SMMU at [`TABLE`] for 0x40200000 on, whose entry 1 maps, and 16 stream table entries; the last two frames of
/// [`STATES`] are the hypervisor's own.
fn text_of(wanted: Wanted, events: &[Record]) -> String {
    let mut memory = SparseMem::new();
    memory.write(PhysAddr::new(TABLE), &[0; 0x4000]);
    memory.write_u64(PhysAddr::new(TABLE + 8), 0x4020_17ff);
    let stage = Stage::Two(Stage2Controls { fwb: false, vmid: 0 });
    let table = Table {
        lane: Lane::Smmu,
        pa: PhysAddr::new(TABLE),
        level: Level::LAST,
        ia: InputAddr::new(0x4020_0000),
        entries: 512,
        stage,
        form: parallax_vmsa::Form::of(48),
    };
    let site = Site {
        place: "0x10 <Tree>::replace (hyp/core/src/tree.rs:7) in f+0x4 (hyp/src/a.rs:2)".to_owned(),
        instruction: "stlr x0, [x1]".to_owned(),
        around: "  > 0x10: stlr x0, [x1]\n".to_owned(),
    };
    let site = |pc| (pc == 0x10).then_some(&site);
    let context = OperationContext {
        before: &memory,
        tables: &[table],
        new_tables: &[],
        streams: &[SteArray { pa: PhysAddr::new(STREAMS), first: 0, count: 16 }],
        pages: Some(STATES),
        own: &[Span::new(PhysAddr::new(0x4020_3000), 0x2000)],
        map: &AddressMap::default(),
        commands: Span::new(QUEUE, 0x1000),
        smmu: Span::new(SMMU, 0x2_0000),
        linear: 0,
        site: &site,
    };
    // The closure borrows what lives as long as this function.
    events_text(&context, wanted, events)
}

fn store(b: u64, value: u64) -> Record {
    Record { kind: kind::STORE, size: 8, pc: 0x10, b, value, ..Record::default() }
}

fn device(kind: u8, offset: u64, value: u64) -> Record {
    Record { kind, size: 4, pc: 0x20, b: SMMU + offset, value, ..Record::default() }
}

fn all() -> Wanted {
    Wanted::default()
}

#[test]
fn an_entry_is_told_with_its_meaning_its_place_and_what_drops_it() {
    let text = text_of(
        all(),
        &[
            store(TABLE + 8, 0),
            store(QUEUE, 0x2a),
            store(QUEUE + 8, 0x4020_1000),
            store(QUEUE + 16, 0x46),
            store(QUEUE + 24, 0),
            device(kind::MMIO_WRITE, CMDQ_PROD, 2),
            device(kind::MMIO_READ, CMDQ_CONS, 1),
            device(kind::MMIO_READ, CMDQ_CONS, 2),
        ],
    );
    let expected = "
smmu L3 0x40201000..0x40202000
  was 0x00000000402017ff  maps 0x40201000, RW Normal-WB ISH
  now 0x0000000000000000  empty
  by  cpu0, <Tree>::replace (hyp/core/src/tree.rs:7)
      in f+0x4 (hyp/src/a.rs:2)
      > 0x10: stlr x0, [x1]
then  cpu0 CMD_TLBI_S2_IPA VMID=0x0 Address=0x40201000  <Tree>::replace (hyp/core/src/tree.rs:7)
then  cpu0 CMD_SYNC                                     <Tree>::replace (hyp/core/src/tree.rs:7)
then  cpu0 CMDQ_PROD = 0x2: commands submitted
then  cpu0 CMDQ_CONS = 0x2: all consumed
";
    assert_eq!(text, expected);
}

#[test]
fn an_entry_that_nothing_drops_is_named() {
    let other = [store(TABLE + 8, 0), store(QUEUE, 0x2a), store(QUEUE + 8, 0x4020_2000)];
    let text = text_of(all(), &other);
    let last = "smmu L3 0x40201000..0x40202000: nothing in this operation drops it from the SMMU's TLB\n";
    assert!(text.ends_with(last) && !text.contains("CMD_"), "{text}");
    let text = text_of(all(), &[store(TABLE, 0x4020_07ff)]);
    assert!(!text.contains("nothing"), "an entry that was empty is in no cache: {text}");
}

#[test]
fn a_stream_is_told_with_all_of_its_fields() {
    let events =
        [store(STREAMS + 8 * 64, 9), store(QUEUE, 0x03 | 8 << 32), store(QUEUE + 8, 1), store(TABLE + 8, 0)];
    let text = text_of(Wanted { sid: Some(8), ipa: None }, &events);
    assert!(text.starts_with("\nste 0x8, dword 0\n  was 0x0000000000000000  invalid (V=0)\n"), "{text}");
    assert!(text.contains("now 0x0000000000000009  bypass") && text.contains("CMD_CFGI_STE"), "{text}");
    assert!(!text.contains("smmu L3"), "{text}");
    assert!(!text.contains("nothing"), "{text}");
}

#[test]
fn like_stores_are_told_once() {
    let events: Vec<Record> =
        (2..6).map(|index| store(TABLE + 8 * index, 0x4020_07ff + index * 0x1000)).collect();
    let text = text_of(all(), &events);
    assert_eq!(text.matches(" now ").count(), 1, "{text}");
    assert!(
        text.ends_with("  and the 3 entries behind it, up to smmu L3 0x40205000..0x40206000\n"),
        "{text}"
    );
    assert_eq!(
        text_of(Wanted { ipa: Some(0x4020_9000), sid: None }, &events),
        "\nno store changed such an entry\n"
    );
}

#[test]
fn a_barrier_is_told_once_between_two_changes() {
    let barrier = Record { kind: kind::BARRIER, a: 0xd503_3f9f, pc: 0x30, ..Record::default() };
    let text =
        text_of(all(), &[barrier, store(TABLE + 8, 0), barrier, barrier, store(TABLE + 16, 1), barrier]);
    assert_eq!(text.matches("then  cpu0 0xd5033f9f").count(), 2, "{text}");
}

#[test]
fn a_page_state_is_told_and_no_barrier_for_it() {
    let barrier = Record { kind: kind::BARRIER, a: 0xd503_3f9f, pc: 0x30, ..Record::default() };
    let four = |b, value| Record { size: 4, ..store(b, value) };
    let (first, second) = (STATES.pa.get(), STATES.pa.get() + 4);
    let text = text_of(all(), &[four(second, 0x100_0003), barrier]);
    let expected = "
page 0x40202000..0x40203000
  was 0x0000000000000000  host=OWNED hyp=NOPAGE
  now 0x0000000001000003  host=SHARED_OWNED hyp=NOPAGE refcount=3
";
    assert!(text.starts_with(expected) && !text.contains("then"), "{text}");
    let no_table = "\nno store changed such an entry of a table\n";
    assert!(text.ends_with(no_table), "{text}");
    let both = text_of(all(), &[four(second, 1), store(TABLE + 16, 0x4020_07ff)]);
    assert!(!both.contains(no_table), "{both}");
    let text = text_of(all(), &[four(first, 1), four(second, 1), four(second + 4, 1)]);
    let behind = "  and the entry behind it, page 0x40202000..0x40203000\n";
    assert!(text.ends_with(&format!("{behind}{no_table}")), "{text}");
    let nothing = text_of(Wanted { ipa: Some(0x4020_1fff), sid: None }, &[four(second, 1)]);
    assert_eq!(nothing, "\nno store changed such an entry\n");
    let text = text_of(Wanted { ipa: Some(0x4020_2fff), sid: None }, &[four(second, 1)]);
    assert!(text.contains("page 0x40202000..0x40203000"), "{text}");
}

#[test]
fn how_often_the_hypervisor_uses_its_own_memory_is_not_told() {
    let third = STATES.pa.get() + 8;
    assert_eq!(text_of(all(), &[store(third, 0x5)]), "\nno store changed such an entry\n");
    assert!(
        text_of(all(), &[store(third, 0x100_0005)])
            .contains("now 0x0000000001000005  host=SHARED_OWNED hyp=NOPAGE\n")
    );
    let behind = STATES.pa.get() + 16;
    assert_eq!(text_of(all(), &[store(behind, 0x100_0005)]), "\nno store changed such an entry\n");
}
