//! What the generator reaches, without a machine.

use std::collections::BTreeSet;

use parallax_abi::mailbox::SLOTS;
use parallax_addr::{AddressMap, PhysAddr, Span};
use parallax_spec::{Page, View};
use parallax_trace::spec::MachineSpec;
use parallax_trace::{Op, Trace};

use super::generator::{Generator, Setting, Step};
use super::kind::Kind;
use super::machines::{COUNT, Drawn, Special, operations};
use super::model::Model;
use crate::random::Random;

/// A machine as it is at boot: image, pool, registers, what was taken.
struct Boot(u64);

const IMAGE: (u64, u64) = (0x4020_0000, 0x4030_0000);
const POOL: (u64, u64) = (0x4040_0000, 0x4080_0000);

impl Boot {
    fn map(&self) -> AddressMap {
        let span = |first, end| Span::between(PhysAddr::new(first), PhysAddr::new(end));
        let ram = 0x4000_0000;
        let regions = [
            ("ram", span(ram, ram + self.0)),
            ("smmu", span(0x905_0000, 0x907_0000)),
            ("rtc", span(0x901_0000, 0x901_1000)),
        ];
        AddressMap::of_regions(regions)
            .with_hypervisor(span(IMAGE.0, IMAGE.1), span(POOL.0, POOL.1))
            .with_host(span(0x4300_0000, 0x4310_0000))
    }
}

impl View for Boot {
    fn frames(&self) -> u64 {
        1 << 36
    }

    fn pages(&self, span: Span<PhysAddr>) -> Vec<(Span<PhysAddr>, Page)> {
        let ram = 0x4000_0000;
        let pieces = [
            (0, Page::HostMmio),
            (0x901_0000, Page::TakenMmio),
            (0x901_1000, Page::HostMmio),
            (0x905_0000, Page::UsedMmio),
            (0x907_0000, Page::HostMmio),
            (ram, Page::Host),
            (IMAGE.0, Page::Kept),
            (IMAGE.1, Page::Host),
            (POOL.0, Page::Kept),
            (POOL.1, Page::Host),
            (ram + self.0, Page::HostMmio),
            (1 << 48, Page::HostMmio),
        ];
        let pieces = pieces.windows(2).map(|pair| {
            (Span::between(PhysAddr::new(pair[0].0), PhysAddr::new(pair[1].0)).intersect(span), pair[0].1)
        });
        pieces.filter_map(|(span, page)| Some((span?, page))).collect()
    }
}

#[test]
fn the_page_has_a_row_for_each_machine() {
    let page = include_str!("../../../../docs/fuzz.md");
    let (_, table) = page.split_once("| machine | operations |").unwrap();
    let rows: Vec<&str> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    assert_eq!(rows.len() as u64, COUNT);
    let count = |text: &str| text.replace(',', "").parse::<u64>().unwrap();
    for (index, row) in (0..COUNT).zip(rows) {
        let cells: Vec<&str> = row.split(" | ").map(|cell| cell.trim_matches(['|', ' ', '`'])).collect();
        let drawn = Drawn::of(index, None, &mut Random::new(1, index));
        let operations = [index, index + COUNT].map(|index| drawn.operations(index));
        assert_eq!(
            [count(cells[0]), count(cells[1]), count(cells[2])],
            [index + 1, operations[0], operations[1]]
        );
        let said = Trace::parse("fuzz", &format!("machine {}\nnop\n", cells[4])).unwrap().machine;
        let told = |spec: &MachineSpec| {
            let hyp = &spec.hyp;
            (
                spec.mem_bytes,
                spec.tree.as_ref().map(|tree| tree.name.clone()),
                hyp.smmu_host,
                hyp.donate_mmio.clone(),
            )
        };
        assert_eq!(told(&said), told(&drawn.spec), "{row}");
    }
}

fn generator(index: u64) -> Generator {
    generator_of(1, index)
}

fn generator_of(seed: u64, index: u64) -> Generator {
    let mut random = Random::new(seed, index);
    let drawn = Drawn::of(index, None, &mut random);
    let boot = Boot(drawn.spec.mem_bytes);
    Generator::new(random, Setting::of(&drawn, &boot.map()), &boot)
}

fn kinds(steps: &[Step]) -> impl Iterator<Item = Kind> {
    steps.iter().flat_map(|step| std::iter::once(step.kind).chain(step.place))
}

#[test]
fn a_short_run_reaches_every_kind() {
    let mut reached = BTreeSet::new();
    for index in 0..COUNT {
        let mut generator = generator(index);
        let chunks = if generator.setting.special == Special::Pins { 72 } else { 8 };
        for _ in 0..chunks {
            reached.extend(kinds(&generator.chunk()));
        }
    }
    // What comes from a corpus is put in front of what is generated.
    let missed: Vec<&str> = Kind::ALL
        .iter()
        .filter(|(kind, _)| *kind != Kind::Again && !reached.contains(kind))
        .map(|(_, name)| *name)
        .collect();
    assert_eq!(missed, [""; 0]);
}

/// The first machine that is `special`, of a `seed`.
fn first(special: Special, seed: u64) -> Generator {
    let of = |index| Drawn::of(index, None, &mut Random::new(seed, index)).special;
    let index = (0..COUNT).find(|index| of(*index) == special).unwrap();
    generator_of(seed, index)
}

/// What no other variant of a scene has.
const OF_SCENES: [&str; 52] = [
    "EVENTQ_BASE ADDR=ram+0x7000000",
    "L2Ptr=ram+0x7006800",
    "TLBI_S12_VMALL",
    "TLBI_S2_IPA",
    "TLBI_EL2_ALL",
    "at=ram+0x7002200 bypass S2VMID=7",
    "at=ram+0x7002400 bypass S2VMID=7",
    "Span=4",
    "Span=5",
    "Span=6",
    "LOG2SIZE=9 SPLIT=6\nl1std at=ram+0x7002000 L2Ptr=ram+0x7006000",
    "LOG2SIZE=9 SPLIT=8\nl1std at=ram+0x7002000 L2Ptr=ram+0x7006000",
    "RECINVSID",
    "CS=1",
    "CR0 EVENTQEN CMDQEN\nsmmu_command at=ram+0x7001000 SYNC\n",
    "form=0x11",
    "value=pool+0x100",
    "S1STALLD",
    "StreamID=15 Range=2",
    "StreamID=9 Range=4",
    "second=6\n",
    "value=0x800000004701c000",
    // A service.
    "mmio:smmu+0x20 size=4 value=0xd",
    "LOG2SIZE=4 SPLIT=6",
    "LOG2SIZE=4 SPLIT=8",
    "LOG2SIZE=4 SPLIT=10",
    "LOG2SIZE=16 SPLIT=6",
    "LOG2SIZE=63 SPLIT=10",
    "LOG2SIZE=9 SPLIT=7",
    "LOG2SIZE=9 SPLIT=31",
    "SPLIT=6\nl1std at=ram+0x7002000 Span=7 L2Ptr=ram+0x7020000",
    "Span=10 L2Ptr=ram+0x7020000\nsmmu_command",
    "Span=12 L2Ptr=ram+0x7020000\nsmmu_command",
    "Span=31",
    "TLBI_NH_ALL VMID=9",
    "CFGI_CD_ALL StreamID=16",
    "CFGI_CD StreamID=8 Leaf",
    "VMID=9 ASID=4660\n",
    "VMID=9 ASID=4660 Address",
    "TLBI_NH_VAA VMID=9",
    "IRQ_CTRL GERROR_IRQEN EVENTQ_IRQEN",
    "IRQ_CTRL EVENTQ_IRQEN",
    "two_level LOG2SIZE=5 SPLIT=8",
    "smmu_write CMDQ_CONS 3",
    "smmu_write EVENTQ_PROD 3",
    "mmio:smmu+0x84 size=4",
    "mmio:smmu+0x94 size=4",
    "mmio:smmu+0xa4 size=4",
    "S1ContextPtr=0x1000000000000",
    "host_donate_hyp pfn=ram+0x7006\nsmmu_write",
    "host_share_hyp pfn=ram+0x7006\n",
    "at=ram+0x7001040 CFGI_ALL",
];
const OF_NO_MAP: [&str; 8] = [
    "CMDQ_BASE LOG2SIZE=8 ADDR=ram+0x6003000",
    "EVENTQ_BASE LOG2SIZE=10 ADDR=ram+0x6000000",
    "STRTAB_BASE ADDR=ram+0x6003000",
    "STRTAB_BASE ADDR=ram+0x6000000",
    "mmio:its+0x80 value=0x8000000046000000",
    "third=0x8000000046001000",
    "mmio:gicr+0x70 value=0x4600000f",
    "mmio:gicr+0x78 value=0x46000000",
];
const OF_NO_TABLE: [&str; 6] = [
    "mmio:its+0x80 value=0x80000000471ff001",
    "mmio:its+0x80 value=0x80000000471fe003",
    "mmio:gicr+0x70 value=0x470e000d",
    "mmio:gicr+0x70 value=0x4720000d",
    "mmio:gicr+0x70 value=0x471fa00f",
    "third=0x80000000471ffe00",
];
const OF_LEFT: [&str; 12] = [
    "smmu_write CMDQ_PROD 1\nsmmu_write CR0 SMMUEN\n",
    "CMDQ_PROD 1\nsmmu_read CMDQ_CONS\nsmmu_write CR0 SMMUEN\n",
    "CMDQ_PROD 1\nsmmu_read CMDQ_CONS\nsmmu_read CMDQ_CONS\nsmmu_write CR0 SMMUEN\n",
    "at=ram+0x7001010 TLBI_S12_VMALL",
    "at=ram+0x7001020 TLBI_S12_VMALL",
    "at=ram+0x7001040 TLBI_S12_VMALL",
    "CMDQ_PROD 2\nsmmu_read GERROR\n",
    "CMDQ_PROD 2\nsmmu_read CMDQ_CONS\nsmmu_read GERROR\n",
    "CR0 0\nhost_donate_hyp pfn=ram+0x7002\n",
    "CR0 0\nhost_share_hyp pfn=ram+0x7002\n",
    "CFGI_ALL\nsmmu_command at=ram+0x7001010 TLBI_EL2_ALL\nsmmu_write CMDQ_PROD 2\nsmmu_command",
    "CFGI_STE_RANGE Range=11",
];
const OF_FAILED: [&str; 2] =
    ["CR0 CMDQEN\nsmmu_command at=ram+0x7001000 TLBI_NSNH_ALL", "CR0 CMDQEN\nhost_donate_hyp pfn=ram+0x7018"];
const OF_FULL: [&str; 3] =
    ["third=0x8000000047024000", "host_write_entry ipa=ram+0x701a800", "ste at=ram+0x7006200 abort"];
const OF_ITS: [&str; 22] = [
    "value=0x10000\n",
    "value=0x1000\n",
    "value=0x1020\n",
    "value=0x120",
    "pfn=ram+0x701d",
    "value=0x4742000e",
    "second=0x20000000001f",
    "second=0x200000000020",
    "third=0x8000000047020020",
    "third=0x8000000047020080",
    "value=0x20\nhost_read ipa=mmio:its+0x90\nhost_write ipa=mmio:its size=4 value=1\nhost_donate_hyp",
    "second=0x20000000003f",
    "mmio:its+0x138",
    "value=0x1040\n",
    "second=0x1000000000001",
    "value=0x80000000f second=0x20",
    "value=0x80000ff0f",
    "value=0xff0d",
    "second=0x14",
    "third=0x8000000100000001",
    "fourth=0x80000",
    "third=0x200",
];
const OF_WIDE: [&str; 13] = [
    "two_level LOG2SIZE=16 SPLIT=6",
    "two_level LOG2SIZE=63 SPLIT=7",
    "linear LOG2SIZE=16",
    "EVENTQ_BASE LOG2SIZE=8 ADDR=ram+0x7020000\nhost_donate_hyp",
    "EVENTQ_BASE LOG2SIZE=8 ADDR=ram+0x7021000\nhost_donate_hyp",
    "CMDQ_BASE LOG2SIZE=9 ADDR=ram+0x7020000\nhost_share_hyp",
    "CMDQ_BASE LOG2SIZE=9 ADDR=ram+0x7021000\nsmmu_write CR0 CMDQEN",
    "ADDR=hyp_end",
    "TLBI_EL2_ALL",
    "smmu_write CR0 EVENTQEN\nhyp_unpin_shared_mem",
    "smmu_write CR0 CMDQEN\nhyp_unpin_shared_mem",
    "smmu_write CR0 EVENTQEN\nhost_share_hyp",
    "smmu_write CR0 CMDQEN\nhost_share_hyp",
];

#[test]
fn each_variant_of_each_scene_is_in_one_machine_whatever_the_seed() {
    for (special, marks) in [
        (Special::Scenes, &OF_SCENES[..]),
        (Special::Wide, &OF_WIDE),
        (Special::NoMap, &OF_NO_MAP),
        (Special::Full, &OF_FULL),
        (Special::NoTable, &OF_NO_TABLE),
        (Special::Left, &OF_LEFT),
        (Special::Failed, &OF_FAILED),
        (Special::Its, &OF_ITS),
    ] {
        for seed in 1..=50 {
            let mut generator = first(special, seed);
            let mut text = String::new();
            for _ in 0..operations(0, special) as usize / SLOTS {
                let steps = generator.chunk();
                let scenes = steps.iter().filter(|step| step.kind == Kind::Scene);
                // Which CPU makes a call is drawn.
                let lines = scenes.map(|step| format!("{}\n", Op { cpu: 0, ..step.op.clone() }));
                text.extend(lines);
            }
            let missed: Vec<&&str> = marks.iter().filter(|mark| !text.contains(**mark)).collect();
            assert!(missed.is_empty(), "{special:?}, seed {seed}: {missed:?}");
        }
    }
}

#[test]
fn a_seed_gives_the_same_operations() {
    let texts = |index| {
        let steps = generator(index).chunk();
        steps.iter().map(|step| step.op.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(texts(1), texts(1));
    assert_ne!(texts(1), texts(2));
}

#[test]
fn most_calls_succeed_and_the_rest_is_refused_on_purpose() {
    let mut generator = generator(0);
    let before: Model = generator.model.clone();
    let steps = generator.chunk();
    generator.model = before;
    let mut refused = [0_usize; 2];
    for step in &steps {
        let predicted = generator.predict(&step.op).expect("places that there are");
        let asked = step.kind == Kind::Life;
        if step.kind == Kind::Life || step.kind == Kind::Refused {
            refused[usize::from(asked)] += usize::from(predicted.refused.is_some());
        }
        generator.model.apply(&predicted.effects);
    }
    let asked = steps.iter().filter(|step| step.kind == Kind::Refused).count();
    assert_eq!(refused, [asked, 0]);
    assert!(asked * 2 < steps.len());
}
