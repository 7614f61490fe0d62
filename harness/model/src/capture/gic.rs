//! Registers and tables of the GIC.

use std::sync::Arc;

use parallax_addr::{PAGE_SIZE, PhysAddr, Span};
use parallax_gic::raw::{RawIts, gits};
use parallax_gic::{Baser, Cbaser, Cte, Dte, Ite, ItsCtlr, ItsTyper, LpiTables, RawGic, Table, TableKind};
use parallax_vmsa::PhysMem;

use crate::gic_state::{GicState, ItsDevice, ItsEvent, ItsState, ItsTable, RedistributorState};

/// Most bytes of ITTs that are read: 64 devices with 65,536 events each.
const MOST_OF_ITTS: u64 = 64 << 20;
/// Bytes of an ITT that are read at a time: whole entries.
const PIECE: u64 = 1024 * Ite::BYTES;

/// What was there last.
#[derive(Debug, Default)]
pub struct GicCache {
    /// Registers, what they meant and what could not be read, if all of the tables' memory has versions.
    known: Option<(RawGic, Arc<GicState>, Vec<String>)>,
    moment: Option<u64>,
}

impl GicCache {
    /// The GIC with these registers. What cannot be read or decoded is added to `faults`.
    pub fn capture(&mut self, mem: &dyn PhysMem, raw: &RawGic, faults: &mut Vec<String>) -> Arc<GicState> {
        let written = self.moment.and_then(|moment| mem.written(moment));
        self.moment = mem.moment();
        if let Some((known, state, wrong)) = &self.known
            && known == raw
            && written.is_some_and(|pages| !state.tables().any(|table| touches(&pages, table)))
        {
            faults.extend_from_slice(wrong);
            return Arc::clone(state);
        }
        let mut wrong = Vec::new();
        let state = Arc::new(read(mem, raw, &mut wrong));
        faults.extend_from_slice(&wrong);
        // Nobody tells what becomes of an ITT: it is the host's.
        let has_itts = state.its.iter().any(|its| its.enabled && !its.devices.is_empty());
        let told = |table: Span<PhysAddr>| {
            table.whole_pages().into_iter().flat_map(Span::pages).all(|page| mem.version(page).is_some())
        };
        let keep = self.moment.is_some() && !has_itts && state.tables().all(told);
        self.known = keep.then(|| (raw.clone(), Arc::clone(&state), wrong));
        state
    }
}

/// Whether one of `pages`, in order, lies in `span`.
fn touches(pages: &[PhysAddr], span: Span<PhysAddr>) -> bool {
    let first = pages.partition_point(|page| page.wrapping_add(PAGE_SIZE) <= span.base);
    pages.get(first).is_some_and(|page| *page < span.end())
}

fn read(mem: &dyn PhysMem, raw: &RawGic, faults: &mut Vec<String>) -> GicState {
    let redistributors = raw.redistributors.iter().map(|registers| {
        let LpiTables { in_use, configuration, pending } = LpiTables::of(registers, raw.gicd_typer);
        let frame = Span::new(PhysAddr::new(registers.base), PAGE_SIZE);
        RedistributorState { frame, in_use, configuration, pending }
    });
    GicState {
        its: raw.its.as_ref().map(|raw| its(mem, raw, faults)),
        redistributors: redistributors.collect(),
    }
}

fn its(mem: &dyn PhysMem, raw: &RawIts, faults: &mut Vec<String>) -> ItsState {
    let typer = ItsTyper(raw.typer);
    let mut state = ItsState {
        enabled: ItsCtlr(raw.ctlr.into()).enabled(),
        frame: Span::new(PhysAddr::new(raw.base), gits::FRAME),
        queue: Cbaser(raw.cbaser).memory(),
        next_command: raw.cwriter & gits::OFFSET,
        incoherent: Vec::new(),
        tables: Vec::new(),
        devices: Vec::new(),
        collections: Vec::new(),
        events: Vec::new(),
    };
    if state.queue.is_some() && !Cbaser(raw.cbaser).is_coherent() {
        state.incoherent.push("GITS_CBASER".to_owned());
    }
    for (index, baser) in (0..).zip(raw.basers) {
        if Baser(baser).valid() && !Baser(baser).is_coherent() {
            state.incoherent.push(format!("GITS_BASER{index}"));
        }
        let Some(table) = Table::read(mem, Baser(baser), typer) else { continue };
        if let Some(fault) = table.fault {
            faults.push(format!("GITS_BASER{index}: {fault}"));
        }
        let Table { kind, first, second, valid, .. } = table;
        match kind {
            TableKind::Devices => state.devices.extend(valid.into_iter().map(|(id, entry)| {
                let (events, itt) = (Dte(entry).events(), Dte(entry).itt(typer.itt_entry_bytes()));
                ItsDevice { id, events, itt }
            })),
            TableKind::Collections => {
                state.collections.extend(valid.into_iter().map(|(icid, entry)| (icid, Cte(entry).rdbase())));
            }
            TableKind::Other(_) => (),
        }
        state.tables.push(ItsTable { index, kind, first, second });
    }
    if state.enabled && typer.itt_entry_bytes() == Ite::BYTES {
        let mut left = MOST_OF_ITTS;
        for device in &state.devices {
            if let Err(fault) = events(mem, device, &mut left, &mut state.events) {
                faults.push(format!("the ITT of DeviceID {:#x}: {fault}", device.id));
            }
        }
    }
    state
}

/// Adds the events of `device`, as long as there is something `left` to read.
fn events(
    mem: &dyn PhysMem,
    device: &ItsDevice,
    left: &mut u64,
    found: &mut Vec<ItsEvent>,
) -> Result<(), String> {
    *left = left
        .checked_sub(device.itt.size)
        .ok_or_else(|| format!("more than {MOST_OF_ITTS} bytes with those before it"))?;
    let mut event = 0;
    let mut at = device.itt.base;
    while at < device.itt.end() {
        let size = PIECE.min(device.itt.end().get() - at.get());
        let mut bytes = vec![0; size as usize];
        mem.read(at, &mut bytes).map_err(|error| error.to_string())?;
        for entry in bytes.as_chunks().0 {
            let Ite(entry, _) = Ite::from_bytes(entry);
            if entry.valid() && entry.physical() {
                let (intid, icid) = (entry.intid(), entry.icid());
                found.push(ItsEvent { device: device.id, event, intid, icid });
            }
            event += 1;
        }
        at = at.wrapping_add(size);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use parallax_vmsa::SparseMem;

    use std::sync::Arc;

    use super::*;

    const TABLES: u64 = 0x4040_0000;
    const ITT: u64 = 0x4602_1000;

    fn machine() -> (RawGic, SparseMem) {
        let mut memory = SparseMem::new();
        memory.write(PhysAddr::new(TABLES), &[0; 0x2000]);
        memory.write(PhysAddr::new(ITT), &[0; 0x1000]);
        memory.write_u64(PhysAddr::new(TABLES + 8 * 8), 1 | 4 << 1 | ITT >> 8 << 6);
        memory.write_u64(PhysAddr::new(TABLES + 0x1008), 1 | 3 << 1);
        memory.write_u64(PhysAddr::new(ITT + 24), 3 | 8192 << 2 | 1 << 32);
        let mut its = RawIts { base: 0x808_0000, ctlr: 1, ..RawIts::default() };
        its.typer = 7 << 13 | 0xb << 4 | 1;
        its.cbaser = 1 << 63 | 0x4040_3000;
        its.basers[0] = 1 << 63 | 1 << 56 | 7 << 48 | TABLES;
        its.basers[1] = 1 << 63 | 4 << 56 | 7 << 48 | (TABLES + 0x1000);
        (RawGic { gicd_typer: 0xf << 19, its: Some(its), redistributors: Vec::new() }, memory)
    }

    #[test]
    fn an_its_is_what_its_registers_and_tables_say() {
        let (mut raw, memory) = machine();
        let mut faults = Vec::new();
        let state = GicCache::default().capture(&memory, &raw, &mut faults);
        let its = state.its.as_ref().unwrap();
        assert_eq!(faults, [""; 0]);
        let itt = Span::new(PhysAddr::new(ITT), 384);
        assert_eq!(its.devices, [ItsDevice { id: 8, events: 32, itt }]);
        assert_eq!(its.collections, [(1, 3)]);
        assert_eq!(its.events, [ItsEvent { device: 8, event: 2, intid: 8192, icid: 1 }]);
        assert_eq!(
            state.written().map(|span| span.base.get()).collect::<Vec<_>>(),
            [TABLES, TABLES + 0x1000]
        );
        raw.its.as_mut().unwrap().basers[0] += 0x10_0000;
        let state = GicCache::default().capture(&memory, &raw, &mut faults);
        assert!(state.its.as_ref().unwrap().devices.is_empty() && faults[0].starts_with("GITS_BASER0: "));
    }

    #[test]
    fn an_itt_of_any_size_is_not_read_without_end() {
        let (raw, mut memory) = machine();
        memory.write_u64(PhysAddr::new(TABLES + 8 * 8), 1 | 31 << 1 | ITT >> 8 << 6);
        let mut faults = Vec::new();
        GicCache::default().capture(&memory, &raw, &mut faults);
        assert!(faults[0].contains("more than"), "{faults:?}");
    }

    /// Memory that tells what was written.
    struct Told<'a>(&'a SparseMem, Vec<PhysAddr>);

    impl PhysMem for Told<'_> {
        fn read(&self, pa: PhysAddr, buf: &mut [u8]) -> Result<(), parallax_vmsa::MemError> {
            self.0.read(pa, buf)
        }

        fn version(&self, _: PhysAddr) -> Option<u64> {
            Some(0)
        }

        fn moment(&self) -> Option<u64> {
            Some(0)
        }

        fn written(&self, _: u64) -> Option<Arc<[PhysAddr]>> {
            Some(self.1.clone().into())
        }
    }

    #[test]
    fn tables_are_read_again_when_they_were_written() {
        let (mut raw, mut memory) = machine();
        // An ITT is the host's, and nobody tells what becomes of it.
        memory.write_u64(PhysAddr::new(TABLES + 8 * 8), 0);
        let mut cache = GicCache::default();
        let mut devices = |raw: &RawGic, memory: &SparseMem, written: &[u64]| {
            let written = written.iter().copied().map(PhysAddr::new).collect();
            let state = cache.capture(&Told(memory, written), raw, &mut Vec::new());
            state.its.as_ref().unwrap().devices.len()
        };
        assert_eq!(devices(&raw, &memory, &[]), 0);
        memory.write_u64(PhysAddr::new(TABLES + 8 * 8), 1 | ITT >> 8 << 6);
        assert_eq!(
            devices(&raw, &memory, &[TABLES - 0x1000, TABLES + 0x2000]),
            0,
            "nothing was written there"
        );
        assert_eq!(devices(&raw, &memory, &[TABLES]), 1);
        raw.its.as_mut().unwrap().basers[0] = 0;
        assert_eq!(devices(&raw, &memory, &[]), 0, "registers count too");
    }
}
