//! What Casemate itself takes: a translation of a stream of events into its words and its model (casemate 3.0.2).
//!
//! | here | there |
//! | --- | --- |
//! | memory is zero until it is stored to | `mem-init` of every page that is followed comes first |
//! | a tree's lock may be told at any time | all of them are told before the first store |
//! | DSB with any option | `ish`, `ishst` and `nsh`: what reaches further is told as inner shareable; a DSB for loads, DMB and `nshst` have no word |
//! | a store of less than 8 bytes | the dword that it leaves |
//! | TLBI | those that it knows; one by address that it does not know has no word |
//! | ASIDs and VMIDs are apart | they are one space, where EL2's root has 0: VMID 0 is told as 0xffff |
//! | EL2's root may be replaced | the root with ASID 0 stays: the last one is told, what a CPU writes to TTBR0_EL2 and SCTLR_EL2 before it is not |
//! | concatenated roots | none: VTCR_EL2.T0SZ is told as for the first of them |
//!
//! The SMMU, entry and return, operations, hints that it has no word for and reads of registers are left out.

use std::collections::HashMap;

use parallax_addr::{PAGE_SIZE, PhysAddr};
use parallax_vmsa::regime::Stage2Fields;
use parallax_vmsa::tcr::Vtcr;

use super::write::{Form, write};
use crate::event::{Barrier, Dsb, Event, HintKind, Kind, Sysreg};
use crate::tlbi::TlbiOp;

/// The base of a root in TTBR0_EL2 and VTTBR_EL2.
const BASE: u64 = 0xffff_ffff_f000;
/// What stands for VMID 0.
const VMID_0: u64 = 0xffff;
/// `src` of what no instruction did.
const NOWHERE: &str = "unknown:0";
/// TLB maintenance that it knows.
const TLBIS: [&str; 11] = [
    "vmalls12e1",
    "vmalls12e1is",
    "vmalle1is",
    "vmalle1",
    "alle1",
    "alle1is",
    "alle2",
    "alle2is",
    "vale2is",
    "vae2is",
    "ipas2e1is",
];

/// The text of `events` in Casemate's own words. `pages` are the addresses of the pages that may be tables, in order; `source`
/// gives the `src` of an event's `pc`, as `FILE:LINE` and whatever follows.
#[must_use]
pub fn plain(events: &[Event], pages: &[u64], source: impl Fn(u64) -> Option<String>) -> String {
    let mut out = Plain { text: String::new(), seq: 0 };
    for (pa, size) in runs(pages) {
        out.put(0, Kind::MemInit { pa: PhysAddr::new(pa), size }, NOWHERE);
    }
    for event in events {
        if let Kind::Hint { kind: HintKind::SetRootLock, .. } = event.kind {
            out.put(event.cpu, event.kind, NOWHERE);
        }
    }
    let mut words = Words::new(events);
    let mut sources: HashMap<u64, String> = HashMap::new();
    for event in events {
        if let Some(kind) = words.of(event) {
            let text = sources.entry(event.pc).or_insert_with(|| {
                source(event.pc).map_or_else(|| NOWHERE.to_owned(), |text| readable(&text))
            });
            out.put(event.cpu, kind, text);
        }
    }
    out.text
}

/// Pages as ranges: first byte, bytes.
fn runs(pages: &[u64]) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for page in pages {
        match runs.last_mut() {
            Some((first, size)) if first.checked_add(*size) == Some(*page) => *size += PAGE_SIZE,
            _ => runs.push((*page, PAGE_SIZE)),
        }
    }
    runs
}

/// A string without what Casemate cannot read in one: it knows no escapes, wants a colon, and reads 511 bytes at most.
fn readable(source: &str) -> String {
    let plain = |c: char| c.is_ascii() && !c.is_ascii_control() && !matches!(c, '"' | '\\');
    let text: String = source.chars().filter(|c| plain(*c)).take(400).collect();
    if text.contains(':') { text } else { format!("{text}:0") }
}

struct Plain {
    text: String,
    seq: u64,
}

impl Plain {
    fn put(&mut self, cpu: u16, kind: Kind, source: &str) {
        self.seq += 1;
        write(&mut self.text, &Event { seq: self.seq, pc: 0, cpu, kind }, Some(source), Form::Named, false);
    }
}

/// What is said of the events so far.
struct Words {
    /// EL2's last root.
    el2: Option<u64>,
    /// CPUs that have loaded it.
    loaded: Vec<u16>,
    /// Dwords that were stored to.
    memory: HashMap<u64, u64>,
}

impl Words {
    fn new(events: &[Event]) -> Self {
        let root = |event: &Event| match event.kind {
            Kind::SysregWrite { reg: Sysreg::Ttbr0El2, value } if value & BASE != 0 => Some(value & BASE),
            _ => None,
        };
        Self { el2: events.iter().rev().find_map(root), loaded: Vec::new(), memory: HashMap::new() }
    }

    /// The word for an event, if there is one.
    fn of(&mut self, event: &Event) -> Option<Kind> {
        match event.kind {
            Kind::Store { pa, value, size, release } => {
                let (slot, shift) = (pa.get() & !7, pa.get() % 8 * 8);
                let bits = u32::from(size.min(8)) * 8;
                let mask = if bits == 64 { u64::MAX } else { (1 << bits) - 1 };
                let dword = self.memory.entry(slot).or_default();
                *dword = *dword & !(mask << shift) | (value & mask) << shift;
                Some(Kind::Store { pa: PhysAddr::new(slot), value: *dword, size: 8, release })
            }
            Kind::Barrier(Barrier::Dsb(option)) => Some(Kind::Barrier(Barrier::Dsb(dsb(option)?))),
            Kind::Barrier(Barrier::Dmb(_)) => None,
            Kind::Tlbi { op, .. } => is_known(op).then_some(event.kind),
            Kind::SysregWrite { reg, value } => self.sysreg(event.cpu, reg, value),
            Kind::Hint { kind, .. } => {
                (kind.is_plain() && kind != HintKind::SetRootLock).then_some(event.kind)
            }
            Kind::Dc { .. }
            | Kind::Smc { .. }
            | Kind::Touch { .. }
            | Kind::SysregRead { .. }
            | Kind::SmmuWrite { .. }
            | Kind::SmmuRead { .. }
            | Kind::GicWrite { .. }
            | Kind::GicRead { .. }
            | Kind::Command(_)
            | Kind::Synced
            | Kind::Enter
            | Kind::Return
            | Kind::Op { .. } => None,
            Kind::Load { .. }
            | Kind::MemInit { .. }
            | Kind::MemFree { .. }
            | Kind::MemSet { .. }
            | Kind::Barrier(Barrier::Isb)
            | Kind::Lock { .. }
            | Kind::Trylock { .. }
            | Kind::Unlock { .. } => Some(event.kind),
        }
    }

    fn sysreg(&mut self, cpu: u16, reg: Sysreg, value: u64) -> Option<Kind> {
        let value = match reg {
            Sysreg::Ttbr0El2 => {
                if Some(value & BASE) != self.el2 {
                    return None;
                }
                self.loaded.push(cpu);
                value
            }
            Sysreg::SctlrEl2 => Some(value).filter(|_| self.loaded.contains(&cpu))?,
            Sysreg::VttbrEl2 if value & BASE == 0 => return None,
            Sysreg::VttbrEl2 => match value >> 48 {
                0 => value | VMID_0 << 48,
                VMID_0 => value & !(VMID_0 << 48),
                _ => value,
            },
            Sysreg::VtcrEl2 => first_root(value),
            Sysreg::HcrEl2 | Sysreg::TcrEl2 | Sysreg::MairEl2 => value,
            Sysreg::VsttbrEl2
            | Sysreg::VstcrEl2
            | Sysreg::EsrEl2
            | Sysreg::FarEl2
            | Sysreg::HpfarEl2
            | Sysreg::IdAa64mmfr2El1 => return None,
        };
        Some(Kind::SysregWrite { reg, value })
    }
}

const fn dsb(option: Dsb) -> Option<Dsb> {
    match option {
        Dsb::Sy | Dsb::Osh | Dsb::Ish => Some(Dsb::Ish),
        Dsb::St | Dsb::Oshst | Dsb::Ishst => Some(Dsb::Ishst),
        Dsb::Nsh => Some(Dsb::Nsh),
        Dsb::Nshst | Dsb::Ld | Dsb::Oshld | Dsb::Ishld | Dsb::Nshld => None,
    }
}

fn is_known(op: TlbiOp) -> bool {
    TLBIS.contains(&op.name())
}

/// VTCR_EL2 with the T0SZ that has walks start at the same level, in one table of 512 entries.
fn first_root(vtcr: u64) -> u64 {
    let Vtcr { t0sz, sl0, tg0, ps, .. } = Vtcr::decode(vtcr);
    let root = PhysAddr::new(PAGE_SIZE);
    let fields =
        Stage2Fields { root, t0sz, sl0, tg0, ps, oa_limit: 48, lpa2: None, ha: false, fwb: false, vmid: 0 };
    match fields.regime() {
        Ok(walk) if walk.root_tables() > 1 => {
            let level = u64::try_from(walk.start.number()).unwrap_or(0);
            vtcr & !0x3f | (64 - (12 + 9 * (4 - level)))
        }
        _ => vtcr,
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn of(text: &str) -> String {
        plain(&parse(text).expect("events").events, &[0x1000, 0x2000, 0x5000], |pc| {
            (pc == 2).then(|| "a\\b\"c.rs:7 <F>::g".to_owned())
        })
    }

    #[test]
    fn memory_and_locks_come_first_and_each_has_a_source() {
        let text = of(
            "(lock 1 0 \"x\" 10)\n(mem-write 2 0 \"y\" plain 1008 7)\n(hint 3 0 set_root_lock 1000 10)\n(enter 4 0)\n",
        );
        let expected = "\
            (mem-init (id 1) (tid 0) (address 0x1000) (size 0x2000) (src \"unknown:0\"))\n\
            (mem-init (id 2) (tid 0) (address 0x5000) (size 0x1000) (src \"unknown:0\"))\n\
            (hint (id 3) (tid 0) (kind set_root_lock) (location 0x1000) (value 0x10) (src \"unknown:0\"))\n\
            (lock (id 4) (tid 0) (address 0x10) (src \"unknown:0\"))\n\
            (mem-write (id 5) (tid 0) (mem-order plain) (address 0x1008) (value 0x7) (src \"abc.rs:7 <F>::g\"))\n";
        assert_eq!(text, expected);
        assert!(parse(&text).is_ok());
    }

    /// The events behind those that come first, without id, tid and src.
    fn said(text: &str) -> Vec<String> {
        let said = of(text);
        let lines = said.lines().filter(|line| !line.starts_with("(mem-init"));
        lines
            .map(|line| line.split_once("(tid 0) ").unwrap().1.split(" (src").next().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn what_it_has_no_word_for_is_left_out_or_told_in_its_own() {
        let barriers = "(barrier 1 0 dsb sy)(barrier 2 0 dsb st)(barrier 3 0 dsb nshst)(barrier 4 0 dsb ld)(barrier 5 0 dmb sy)(barrier 6 0 isb)";
        assert_eq!(said(barriers), ["dsb (kind ish)", "dsb (kind ishst)", "isb"]);
        assert_eq!(
            said("(tlbi 1 0 ripas2e1is 0)(tlbi 2 0 ipas2e1is 4)(tlbi 3 0 ipas2e1 4)"),
            ["ipas2e1is (value 0x4)"]
        );
        let others = "(sysreg-read 1 0 esr_el2 0)(dc 2 0 cvac 0)(smmu-synced 3 0)(return 4 0)(hint 5 0 set_page_lock 0 0)";
        assert!(said(others).is_empty());
    }

    #[test]
    fn a_small_store_is_the_dword_that_it_leaves() {
        let store = |pa, value, size| Event {
            seq: 0,
            pc: 0,
            cpu: 0,
            kind: Kind::Store { pa: PhysAddr::new(pa), value, size, release: false },
        };
        let text = plain(&[store(0x1000, 0x1122, 8), store(0x1003, 0xabcd, 2)], &[], |_| None);
        assert!(text.ends_with("(address 0x1000) (value 0xabcd001122) (src \"unknown:0\"))\n"), "{text}");
    }

    #[test]
    fn identifiers_of_roots_do_not_meet() {
        let registers = "\
            (sysreg-write 1 0 sctlr_el2 1)(sysreg-write 2 0 ttbr0_el2 1000)(sysreg-write 3 0 sctlr_el2 0)\n\
            (sysreg-write 4 0 ttbr0_el2 2000)(sysreg-write 5 0 sctlr_el2 1)(sysreg-write 6 0 vttbr_el2 0)\n\
            (sysreg-write 7 0 vttbr_el2 5000)(sysreg-write 8 0 vttbr_el2 ffff000000005000)(sysreg-write 9 0 vttbr_el2 3000000005000)";
        let expected = [
            "(sysreg ttbr0_el2) (value 0x2000)",
            "(sysreg sctlr_el2) (value 0x1)",
            "(sysreg vttbr_el2) (value 0xffff000000005000)",
            "(sysreg vttbr_el2) (value 0x5000)",
            "(sysreg vttbr_el2) (value 0x3000000005000)",
        ];
        assert_eq!(said(registers), expected);
    }

    #[test]
    fn of_concatenated_roots_the_first_one_is_told() {
        // 40 bits from level 1, and 48 bits from level 0 (DDI 0487, D24.2, VTCR_EL2).
        assert_eq!(first_root(0x8002_3558), 0x8002_3559);
        assert_eq!(first_root(0x8005_3590), 0x8005_3590);
    }
}
