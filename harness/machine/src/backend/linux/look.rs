//! Looking at it at a moment when no CPU is inside the hypervisor.

use std::time::Duration;

use parallax_abi::info::HypInfo;
use parallax_addr::ImageVa;

use super::{Below, Linux};
use crate::backend::hyp::gic::GicAt;
use crate::error::MachineError;
use crate::extensions::Pause;
use crate::rsp::RspError;
use crate::target::Registers;

/// How long the machine runs on when it was stopped inside the hypervisor, and how often that is tried.
const STEP_ASIDE: (Duration, usize) = (Duration::from_millis(1), 200);

/// Where a CPU is.
#[derive(Clone, Debug)]
pub(super) struct Position {
    pub(super) thread: String,
    pub(super) pc: u64,
    pub(super) cpsr: u64,
}

impl Linux {
    /// The machine runs on for a moment if that is what it takes to have no CPU inside the hypervisor.
    ///
    /// # Errors
    /// [`MachineError::SwitchedOff`] when the machine has ended meanwhile, or as [`Self::run_for`].
    pub(super) fn step_aside(&mut self) -> Result<(), MachineError> {
        let (moment, tries) = STEP_ASIDE;
        for _ in 0..tries {
            if !self.inside()? {
                return Ok(());
            }
            if self.run_for(moment)? == Pause::Ended {
                return Err(MachineError::SwitchedOff);
            }
        }
        Err(MachineError::Hang {
            waiting_for: "a moment outside of the hypervisor",
            limit: moment * tries as u32,
            report: self.printed(),
        })
    }

    /// Whether a CPU is inside the hypervisor.
    fn inside(&mut self) -> Result<bool, MachineError> {
        let cpus = self.positions()?;
        Ok(cpus.iter().any(|cpu| self.is_inside(cpu)))
    }

    pub(super) fn is_inside(&self, cpu: &Position) -> bool {
        // A CPU that has never been switched on is at EL2 too, at its reset vector.
        let code = |below: &Below| below.symbols.hyp.is_code(ImageVa::new(cpu.pc));
        cpu.cpsr >> 2 & 3 == 2 && self.below.as_ref().is_some_and(code)
    }

    /// Where each CPU is; none without a hypervisor. Ends with the first CPU as the current one.
    pub(super) fn positions(&mut self) -> Result<Vec<Position>, MachineError> {
        let Some(below) = &self.below else { return Ok(Vec::new()) };
        let client = &mut self.client;
        let registers = [below.registers.pc, below.registers.cpsr];
        let positions = self.runtime.block_on(async {
            let mut positions = Vec::new();
            for thread in client.threads().await?.into_iter().rev() {
                client.command(&format!("Hg{thread}")).await?;
                let values = client.read_registers(&registers).await?;
                positions.insert(0, Position { thread, pc: values[0], cpsr: values[1] });
            }
            Ok::<_, RspError>(positions)
        })?;
        Ok(positions)
    }

    /// The registers that translation hangs on; of its SMMU, if `info` says that the hypervisor uses one.
    pub(super) fn registers(&mut self, info: &HypInfo) -> Result<Registers, MachineError> {
        let Some(below) = &mut self.below else {
            return Err(MachineError::Contract("no hypervisor".to_owned()));
        };
        let smmu = (info.smmu_pa != 0).then_some(info.smmu_pa);
        let gic = GicAt::of(&self.description);
        Ok(self.runtime.block_on(below.registers.read(&mut self.client, smmu, gic))?)
    }
}
