//! For tests: a machine that is none. It answers from a script, and its memory is whatever the script makes it.

use parallax_abi::info::HypInfo;
use parallax_abi::mailbox::{Request, Response, kind};
use parallax_machine::{AtOnce, Description, Machine, MachineError, Registers, Target, Turn};
use parallax_trace::spec::{MachineSpec, PAYLOAD_BASE, Region, regions};
use parallax_vmsa::{PhysMem, SparseMem};

use parallax_ops::{self as ops, Batch, CpuId};

/// What the machine `spec` would be.
#[must_use]
pub fn description(spec: &MachineSpec) -> Description {
    Description {
        qemu_version: "10.0.2".to_owned(),
        images: "1d".to_owned(),
        config: spec.clone(),
        regions: regions(spec.mem_bytes),
        payload: Region::new("host", PAYLOAD_BASE, 0x1_0000),
    }
}

/// A hypervisor with 384 KiB of image and 16 MiB of pool, and no SMMU.
#[must_use]
pub fn info() -> HypInfo {
    HypInfo {
        image_pa: 0x4020_0000,
        image_va: 0xa000_0000_0000,
        image_size: 0x6_0000,
        pool_pa: 0x4040_0000,
        pool_size: 0x100_0000,
        linear_offset: 0x8000_0000_0000,
        ..HypInfo::default()
    }
}

/// What a fake answers to a request.
pub type Answer = fn(&Request, &mut SparseMem) -> Result<Response, MachineError>;

/// Everything is done and gives 0.
///
/// # Errors
/// None.
pub fn all_ok(_: &Request, _: &mut SparseMem) -> Result<Response, MachineError> {
    Ok(Response { kind: kind::OK, ..Response::default() })
}

/// A machine whose translation is off and whose answers come from a function.
pub struct Fake {
    target: Target,
    answer: Answer,
    memory: SparseMem,
}

impl Fake {
    /// The machine `spec`, with `answer`.
    #[must_use]
    pub fn new(spec: &MachineSpec, answer: Answer) -> Self {
        Self { target: Target::new(description(spec), info()), answer, memory: SparseMem::new() }
    }
}

impl Machine for Fake {
    fn target(&self) -> &Target {
        &self.target
    }

    fn perform(&mut self, batch: &Batch) -> Result<Vec<ops::Answer>, MachineError> {
        let answers = batch.ops.iter().zip(batch.requests()).map(|((_, operation), request)| {
            let response = (self.answer)(&request, &mut self.memory)?;
            Ok(ops::Answer::of(operation, &response))
        });
        answers.collect()
    }

    fn at_once(&mut self) -> Option<&mut dyn AtOnce> {
        Some(self)
    }

    fn registers(&mut self) -> Result<Registers, MachineError> {
        Ok(Registers::default())
    }

    fn memory(&self) -> &dyn PhysMem {
        &self.memory
    }
}

/// It performs one after the other, and has no points between.
impl AtOnce for Fake {
    fn perform_at_once(
        &mut self,
        batch: &Batch,
        _: &mut dyn FnMut(&[CpuId]) -> CpuId,
    ) -> Result<(Vec<ops::Answer>, Vec<Turn>), MachineError> {
        Ok((self.perform(batch)?, Vec::new()))
    }
}
