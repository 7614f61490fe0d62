//! A machine's state between two stops, from the plugin's journal.
//!
//! What an access of the host or of a device does to data is in no journal, and what such an operation must be
//! compared with is memory itself: operations that touch data are performed one at a time ([`touches_data`]).
//! At each stop the copy is compared with the machine, so that a store that nobody saw is an error and not a wrong
//! result.

use parallax_abi::info::HypInfo;
use parallax_abi::journal::Record;
use parallax_abi::mailbox::SLOTS;
use parallax_addr::{PAGE_SIZE, PhysAddr, Span};
use parallax_machine::Registers;
use parallax_machine::shadow::{Over, Shadow};
use parallax_model::{Run, Snapshot};
use parallax_trace::spec::Region;
use parallax_vmsa::{MemError, PhysMem};

use parallax_trace::Op;

/// Whether `op` reads or writes memory for the host or for a device.
#[must_use]
pub fn touches_data(op: &Op) -> bool {
    op.shape().data().is_some()
}

/// `ops` cut into what may be performed without a stop: at most as many as a mailbox holds, and one that touches data
/// alone.
#[must_use]
pub fn batches(ops: &[Op]) -> Vec<Vec<&Op>> {
    let mut batches: Vec<Vec<&Op>> = Vec::new();
    let mut open = false;
    for op in ops {
        let alone = touches_data(op);
        match batches.last_mut().filter(|batch| open && !alone && batch.len() < SLOTS) {
            Some(batch) => batch.push(op),
            None => batches.push(vec![op]),
        }
        open = !alone;
    }
    batches
}

/// The copy of a machine.
#[derive(Debug)]
pub(super) struct Stream {
    shadow: Shadow,
    vmemmap: (u64, u64),
}

impl Stream {
    /// Copies the hypervisor's memory.
    pub(super) fn new(memory: &dyn PhysMem, registers: &Registers, info: &HypInfo) -> Result<Self, MemError> {
        let vmemmap = (
            info.vmemmap_pa & !(PAGE_SIZE - 1),
            (info.vmemmap_pa + 8 * info.vmemmap_nr).div_ceil(PAGE_SIZE) * PAGE_SIZE,
        );
        let spans = [
            Region::new("hyp", PhysAddr::new(info.image_pa), info.image_size),
            Region::new("pool", PhysAddr::new(info.pool_pa), info.pool_size),
            Region::new("vmemmap", PhysAddr::new(vmemmap.0), vmemmap.1 - vmemmap.0),
        ];
        let smmu = Region::new("smmu", PhysAddr::new(info.smmu_pa), info.smmu_size);
        Ok(Self { shadow: Shadow::new(memory, registers.clone(), &spans, smmu)?, vmemmap })
    }

    /// Does what `records` tell of.
    pub(super) fn apply(&mut self, records: &[Record]) {
        self.shadow.apply(records);
    }

    /// The registers after the last record, if they may be others than when this was last asked.
    pub(super) fn changed_registers(&mut self) -> Option<&Registers> {
        self.shadow.changed_registers()
    }

    /// The copy, with the machine's `memory` around it.
    pub(super) const fn over<'a>(&'a self, memory: &'a dyn PhysMem) -> Over<'a> {
        self.shadow.over(memory)
    }

    /// Takes over what a device or the host may have written to the tables of `now`.
    pub(super) fn follow(
        &mut self,
        memory: &dyn PhysMem,
        registers: &Registers,
        now: &Snapshot,
    ) -> Result<(), MemError> {
        self.shadow.follow(memory, registers, self.pages(now)).map(|_| ())
    }

    /// Takes over `registers` of a machine whose memory is as the records tell.
    pub(super) fn stand(&mut self, registers: &Registers) {
        self.shadow.stand(registers);
    }

    /// Compares the copy with the machine, and says what is different.
    pub(super) fn agree(
        &mut self,
        memory: &dyn PhysMem,
        registers: &Registers,
        now: &Snapshot,
    ) -> Result<Option<String>, MemError> {
        let agrees = self.shadow.agrees_with(registers);
        let page = self.shadow.follow(memory, registers, self.pages(now))?;
        let registers = (!agrees).then(|| "a register changed".to_owned());
        Ok(page.map(|pa| format!("the page at {pa:#x} changed")).or(registers))
    }

    /// The pages that a snapshot is made from.
    fn pages<'a>(&self, now: &'a Snapshot) -> impl Iterator<Item = PhysAddr> + use<'a> {
        let (first, end) = self.vmemmap;
        let states = Span::between(PhysAddr::new(first), PhysAddr::new(end));
        let of_the_its = now.gic.iter().flat_map(|gic| gic.tables()).filter_map(Span::whole_pages);
        now.tables.iter().map(Run::span).chain(of_the_its).chain([states]).flat_map(Span::pages)
    }
}
