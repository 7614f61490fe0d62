//! Virtual machines: the hypervisor's table of them, and the stage 2 of each.

use std::collections::BTreeMap;
use std::sync::Arc;

use parallax_addr::{Ipa, PAGE_SIZE, PhysAddr, VmHandle, Vmid};
use parallax_vmsa::mem::read_u64;
use parallax_vmsa::{MemError, PhysMem, Regime, SysRegs};

use super::lane::Lane;
use crate::leaf::S2Entry;
use crate::runs::Runs;
use crate::snapshot::{Guest, Layout};
use crate::told::{GuestTable, Member, OwnerForm, Told};

/// More entries of the table are not believed.
const MOST: u64 = PAGE_SIZE / 8;
/// VTTBR_EL2.VMID.
const VMID_SHIFT: u32 = 48;

/// The virtual machines as they were last.
#[derive(Debug, Default)]
pub(super) struct GuestsCache {
    lanes: BTreeMap<VmHandle, (Regime, Lane<S2Entry>)>,
    known: Option<Arc<[Guest]>>,
}

impl GuestsCache {
    /// What `table` says now, and whether there may be other tables of a stage 2 than before. `sys` are a CPU's registers while it
    /// runs the host: what decides of attributes there does for virtual machines too.
    pub(super) fn capture(
        &mut self,
        mem: &dyn PhysMem,
        (table, layout): (&GuestTable, &Layout),
        (sys, owners): (&SysRegs, OwnerForm),
        faults: &mut Vec<String>,
    ) -> (Option<Arc<[Guest]>>, bool) {
        let mut guests: Vec<Guest> = Vec::new();
        let mut lanes = BTreeMap::new();
        let mut moved = false;
        for number in 0..table.nr.min(MOST) {
            let (guest, regime) = match one(mem, (table, layout), number, sys) {
                Ok(None) => continue,
                Ok(Some(found)) => found,
                Err(why) => {
                    faults.push(format!("entry {number} of the table of virtual machines: {why}"));
                    continue;
                }
            };
            if guests.iter().any(|known| known.handle == guest.handle) {
                faults.push(format!("two virtual machines are called {}", guest.handle));
                continue;
            }
            guests.push(guest);
            let Some(regime) = regime else { continue };
            let kept = self.lanes.remove(&guest.handle).filter(|(known, _)| *known == regime);
            moved |= kept.is_none();
            let (_, mut lane) = kept.unwrap_or_else(|| (regime, Lane::default()));
            moved |= lane.follow(mem, &regime, owners);
            faults
                .extend(lane.faults.iter().map(|fault| format!("virtual machine {}: {fault}", guest.handle)));
            lanes.insert(guest.handle, (regime, lane));
        }
        // What is left of the lanes is of machines that are no more.
        moved |= !self.lanes.is_empty();
        self.lanes = lanes;
        guests.sort_unstable_by_key(|guest| guest.handle);
        if self.known.as_deref() != Some(&guests[..]) {
            self.known = Some(guests.into());
        }
        (self.known.clone(), moved)
    }

    /// Nothing is known any more; whether there was.
    pub(super) fn forget(&mut self) -> bool {
        !std::mem::take(self).lanes.is_empty()
    }

    /// What each of them maps.
    pub(super) fn spaces(&self) -> impl Iterator<Item = (VmHandle, Runs<Ipa, S2Entry>)> {
        self.lanes.iter().map(|(handle, (_, lane))| (*handle, lane.entries.clone()))
    }

    /// The pages that hold their tables.
    pub(super) fn tables(&self) -> impl Iterator<Item = &[PhysAddr]> {
        self.lanes.values().map(|(_, lane)| &lane.tables[..])
    }
}

/// The stage 2 of each virtual machine that `told` leads to, as it stands in memory. What cannot be read is left out.
#[must_use]
pub fn guest_regimes(mem: &dyn PhysMem, told: &Told, sys: &SysRegs) -> Vec<(VmHandle, Regime)> {
    let Some(table) = &told.guests else { return Vec::new() };
    let all =
        (0..table.nr.min(MOST)).filter_map(|number| one(mem, (table, &told.layout), number, sys).ok()?);
    all.filter_map(|(guest, regime)| Some((guest.handle, regime?))).collect()
}

/// A virtual machine and its stage 2, or why it cannot be read. A handle that is only reserved has a mark in place of an address,
/// which is no multiple of 8.
fn one(
    mem: &dyn PhysMem,
    (table, layout): (&GuestTable, &Layout),
    number: u64,
    sys: &SysRegs,
) -> Result<Option<(Guest, Option<Regime>)>, String> {
    let failed = |error: MemError| error.to_string();
    let va = read_u64(mem, table.pa.wrapping_add(8 * number)).map_err(failed)?;
    if va == 0 || !va.is_multiple_of(8) {
        return Ok(None);
    }
    let at = PhysAddr::new(va.wrapping_sub(layout.linear_offset));
    if !layout.described.contains(at) {
        return Err(format!("{va:#x} is no address of memory at EL2"));
    }
    let number = |member: Member| {
        let value = read_u64(mem, at.wrapping_add(member.offset)).map_err(failed)?;
        Ok::<_, String>(value & (u64::MAX >> (64 - 8 * u32::from(member.bytes.clamp(1, 8)))))
    };
    let (handle, vmid) = (number(table.handle)?, number(table.vmid)?);
    let handle = VmHandle::new(u32::try_from(handle).map_err(|_| format!("handle {handle:#x}"))?);
    let vmid = u16::try_from(vmid).map_err(|_| format!("VMID {vmid:#x}"))?;
    let root = number(table.root)?;
    let mut guest = Guest { handle, vmid: Vmid::new(vmid), root: None, input_bits: 0 };
    if root == 0 {
        return Ok(Some((guest, None)));
    }
    let (vttbr_el2, vtcr_el2) = (root | u64::from(vmid) << VMID_SHIFT, number(table.vtcr)?);
    let regime =
        Regime::stage2(&SysRegs { vttbr_el2, vtcr_el2, ..*sys }).map_err(|error| error.to_string())?;
    if let Some(regime) = &regime {
        (guest.root, guest.input_bits) = (Some(regime.root), regime.ia_bits as u8);
    }
    Ok(Some((guest, regime)))
}

#[cfg(test)]
mod tests {
    use parallax_addr::Span;
    use parallax_vmsa::SparseMem;

    use super::*;

    const TABLE: u64 = 0x4100_0000;
    const MACHINE: u64 = 0x4100_1000;
    const ROOT: u64 = 0x4100_2000;
    const LINEAR: u64 = 0x8000_0000_0000;
    /// 39 bits, from level 1 on.
    const VTCR: u64 = 25 | 1 << 6;
    /// A block of 1 GiB at 2 GiB.
    const BLOCK: u64 = 0x4000_0000 | 0x7fd;

    /// What is told, with the array at [`TABLE`].
    fn told() -> (GuestTable, Layout) {
        let member = |offset, bytes| Member { offset, bytes };
        let (handle, vmid, root, vtcr) = (member(4, 2), member(8, 8), member(16, 8), member(24, 8));
        let table = GuestTable { pa: PhysAddr::new(TABLE), nr: 4, handle, vmid, root, vtcr };
        let described = Span::new(PhysAddr::new(0x4000_0000), 1 << 30);
        (table, Layout { linear_offset: LINEAR, described, ..Layout::default() })
    }

    /// Memory in which the array's entries are `entries`, and what the second half of one's first word holds is no handle.
    fn memory(entries: &[u64]) -> SparseMem {
        let mut memory = SparseMem::new();
        for page in [TABLE, MACHINE, ROOT] {
            memory.write_u64(PhysAddr::new(page), 0);
        }
        memory.write_table(PhysAddr::new(TABLE), entries);
        memory.write_table(PhysAddr::new(MACHINE), &[0xffff_1000_0000_0007, 3, ROOT, VTCR]);
        memory.write_table(PhysAddr::new(ROOT), &[0, 0, BLOCK]);
        memory
    }

    fn capture(cache: &mut GuestsCache, memory: &SparseMem) -> (Vec<Guest>, bool, Vec<String>) {
        let (table, layout) = told();
        let sys = SysRegs { hcr_el2: 1, ..SysRegs::default() };
        let mut faults = Vec::new();
        let at = (&table, &layout);
        let (guests, moved) = cache.capture(memory, at, (&sys, OwnerForm::Typed), &mut faults);
        (guests.unwrap().to_vec(), moved, faults)
    }

    #[test]
    fn a_machine_and_its_stage_2_are_found_and_go_again() {
        let mut cache = GuestsCache::default();
        let (guests, moved, faults) = capture(&mut cache, &memory(&[0, MACHINE + LINEAR, 0xa110_ca7e_d001]));
        let handle = VmHandle::new(0x1000);
        let root = Some(PhysAddr::new(ROOT));
        assert_eq!(guests, [Guest { handle, vmid: Vmid::new(3), root, input_bits: 39 }]);
        assert_eq!((moved, faults), (true, Vec::new()));
        let spaces: Vec<_> = cache.spaces().collect();
        assert_eq!((spaces[0].0, spaces[0].1[0].base), (handle, Ipa::new(2 << 30)));
        assert_eq!(cache.tables().collect::<Vec<_>>(), [[PhysAddr::new(ROOT)]]);
        let (guests, moved, _) = capture(&mut cache, &memory(&[]));
        let told = Told { guests: Some(told().0), layout: told().1, ..Told::default() };
        let sys = SysRegs { hcr_el2: 1, ..SysRegs::default() };
        let regimes = guest_regimes(&memory(&[MACHINE + LINEAR, 8]), &told, &sys);
        assert_eq!((regimes.len(), regimes[0].0, regimes[0].1.root), (1, handle, PhysAddr::new(ROOT)));
        assert!(guests.is_empty() && moved && cache.spaces().next().is_none());
        assert!(!capture(&mut cache, &memory(&[])).1);
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let of = |entries: &[u64]| capture(&mut GuestsCache::default(), &memory(entries));
        let (guests, _, faults) = of(&[8, MACHINE + LINEAR, MACHINE + LINEAR]);
        assert_eq!(guests.len(), 1);
        assert!(faults[0].contains("entry 0") && faults[0].contains("no address of memory"), "{faults:?}");
        assert!(faults[1].contains("two virtual machines are called 0x1000"), "{faults:?}");
        let mut memory = memory(&[MACHINE + LINEAR]);
        memory.write_u64(PhysAddr::new(MACHINE + 8), 1 << 16);
        assert!(capture(&mut GuestsCache::default(), &memory).2[0].contains("VMID 0x10000"));
        memory.write_u64(PhysAddr::new(MACHINE + 8), 1);
        memory.write_u64(PhysAddr::new(MACHINE + 16), 0);
        let mut cache = GuestsCache::default();
        assert_eq!(capture(&mut cache, &memory).0[0].root, None);
        assert!(cache.spaces().next().is_none());
    }
}
