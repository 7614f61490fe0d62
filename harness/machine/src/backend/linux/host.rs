//! A Linux whose hypervisor has booted, as a [`Machine`].
//!
//! Operations are made beside the kernel's work, which knows nothing of them: a hypercall in the place of a CPU that
//! executes the kernel, DMA by an `edu` device that the kernel has no driver for. `nop` is a look: the machine runs on for a
//! moment if that is what it takes to have no CPU inside the hypervisor. What only a test host can do is answered as a bad
//! request.

use std::borrow::BorrowMut;
use std::time::Duration;

use parallax_abi::errno::ENOENT;
use parallax_abi::hypercall::SMMU_READ_EVENT;
use parallax_abi::journal::Record;
use parallax_abi::mailbox::{Response, kind, op};
use parallax_abi::smmu_host::HostSmmu;
use parallax_addr::{ImageVa, PhysAddr};
use parallax_ops::{Answer, Batch, DmaAccess, Operation};
use parallax_trace::spec::{HostView, HypOptions, SmmuMode};
use parallax_vmsa::PhysMem;

use super::Linux;
use super::bus::{SLOT, STREAM};
use crate::backend::edu::Edu;
use crate::error::MachineError;
use crate::extensions::{Journal, Pause, Running};
use crate::machine::Machine;
use crate::symbols::Symbols;
use crate::target::{Registers, Target};

/// More events than one transfer can make.
const EVENTS: usize = 2048;

/// The machine.
#[derive(Debug)]
pub struct LinuxHost<L = Linux> {
    linux: L,
    target: Target,
    /// Hypercalls so far: CPUs take turns.
    calls: usize,
    edu: Option<Edu>,
}

impl Linux {
    /// This Linux as a machine, once its hypervisor has booted.
    ///
    /// # Errors
    /// The connection failed.
    pub fn host(&mut self) -> Result<Option<LinuxHost<&mut Self>>, MachineError> {
        LinuxHost::new(self)
    }
}

impl<L: BorrowMut<Linux>> LinuxHost<L> {
    /// `linux` as a machine, once its hypervisor has booted.
    ///
    /// # Errors
    /// The connection failed.
    pub fn new(mut linux: L) -> Result<Option<Self>, MachineError> {
        let running: &mut Linux = linux.borrow_mut();
        let Some(info) = running.info()? else { return Ok(None) };
        running.watch_loads(&info);
        let target = Target::new(running.description().clone(), info);
        Ok(Some(Self { linux, target, calls: 0, edu: None }))
    }

    fn linux(&self) -> &Linux {
        self.linux.borrow()
    }

    fn linux_mut(&mut self) -> &mut Linux {
        self.linux.borrow_mut()
    }

    fn hypercall(&mut self, id: u64, args: &[u64]) -> Result<[u64; 4], MachineError> {
        self.calls += 1;
        let calls = self.calls;
        self.linux_mut().hypercall(id, args, calls)?.ok_or(MachineError::SwitchedOff)
    }

    fn call(&mut self, args: [u64; 7]) -> Result<Response, MachineError> {
        Ok(Response { x: self.hypercall(args[0], &args[1..])?, ..Response::of(kind::OK) })
    }

    /// The device does what it is asked for, if it is there.
    fn dma(&mut self, access: &DmaAccess) -> Result<Response, MachineError> {
        if self.edu.is_none() {
            self.edu = Edu::find(self.linux_mut(), SLOT)?;
            if let Some(edu) = self.edu {
                edu.enable(self.linux_mut())?;
            }
        }
        let (DmaAccess::Read { sid, .. } | DmaAccess::Write { sid, .. }) = *access;
        let Some(edu) = self.edu.filter(|_| u64::from(sid.get()) == STREAM) else {
            return Ok(Response::of(kind::NO_DEVICE));
        };
        match *access {
            DmaAccess::Write { ipa, len, value, .. } => {
                let bytes: Vec<u8> = value.to_le_bytes().iter().copied().cycle().take(len as usize).collect();
                let before = self.bytes(ipa.get(), len)?;
                edu.write(self.linux_mut(), ipa.get(), &bytes)?;
                let now = self.bytes(ipa.get(), len)?;
                self.outcome([0; 4], now == before && now != bytes)
            }
            DmaAccess::Read { ipa, len, .. } => {
                let there = self.bytes(ipa.get(), len.min(8))?;
                let read = edu.read(self.linux_mut(), ipa.get(), len)?;
                let first = read.iter().take(8).rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
                self.outcome([first, 0, 0, 0], read.get(..there.len()) != Some(&there))
            }
        }
    }

    /// How a transfer ended: by what the SMMU says of it. A kernel with an SMMU of its own gets that itself; then by whether
    /// the bytes are where they should not be, `lost`.
    fn outcome(&mut self, x: [u64; 4], lost: bool) -> Result<Response, MachineError> {
        let HypOptions { smmu, smmu_host, .. } = self.target.description.config.hyp;
        if smmu == SmmuMode::Off || smmu_host == HostView::Emulated {
            let kind = if lost { kind::ABORT } else { kind::OK };
            return Ok(Response { x, ..Response::of(kind) });
        }
        let mut response = Response { x, ..Response::of(kind::OK) };
        for _ in 0..EVENTS {
            match self.hypercall(SMMU_READ_EVENT, &[])? {
                [0, result, ..] if result.cast_signed() == ENOENT => return Ok(response),
                [0, 0, dword0, address] => {
                    if response.events == 0 {
                        response.kind = kind::ABORT;
                        (response.event, response.event_sid) = (dword0 & 0xff, dword0 >> 32);
                        response.event_addr = address;
                    }
                    response.events += 1;
                }
                other => return Err(MachineError::Contract(format!("not an event: {other:#x?}"))),
            }
        }
        Err(MachineError::Contract("the SMMU's events have no end".to_owned()))
    }

    fn bytes(&self, pa: u64, len: u64) -> Result<Vec<u8>, MachineError> {
        let mut bytes = vec![0; len as usize];
        self.linux().memory().read(PhysAddr::new(pa), &mut bytes)?;
        Ok(bytes)
    }

    fn perform_one(&mut self, operation: &Operation) -> Result<Response, MachineError> {
        let request = operation.request(0);
        match operation {
            Operation::Nop | Operation::Snapshot => Ok(Response::of(kind::OK)),
            Operation::Dma(access) => self.dma(access),
            _ if request.op == op::HYPERCALL => self.call(request.args),
            _ => Ok(Response::of(kind::BAD_REQUEST)),
        }
    }
}

impl<L: BorrowMut<Linux>> Machine for LinuxHost<L> {
    fn target(&self) -> &Target {
        &self.target
    }

    fn perform(&mut self, batch: &Batch) -> Result<Vec<Answer>, MachineError> {
        let mut answers = Vec::with_capacity(batch.ops.len());
        for (_, operation) in &batch.ops {
            let response = self.perform_one(operation)?;
            answers.push(Answer::of(operation, &response));
        }
        self.linux_mut().step_aside()?;
        Ok(answers)
    }

    fn registers(&mut self) -> Result<Registers, MachineError> {
        self.linux_mut().step_aside()?;
        let info = self.target.info_or_zero();
        self.linux_mut().registers(&info)
    }

    fn memory(&self) -> &dyn PhysMem {
        self.linux().memory()
    }

    fn symbols(&self) -> Option<&Symbols> {
        self.linux().symbols()
    }

    fn journal(&mut self) -> Option<&mut dyn Journal> {
        if self.linux().events_recorded() { Some(self) } else { None }
    }

    fn running(&mut self) -> Option<&mut dyn Running> {
        Some(self)
    }
}

impl<L: BorrowMut<Linux>> Journal for LinuxHost<L> {
    fn events(&mut self) -> Result<Vec<Record>, MachineError> {
        self.linux_mut().events()
    }

    fn bbm_level(&mut self) -> Result<u8, MachineError> {
        self.linux_mut().bbm_level()
    }
}

impl<L: BorrowMut<Linux>> Running for LinuxHost<L> {
    fn run_for(&mut self, limit: Duration) -> Result<Pause, MachineError> {
        self.linux_mut().run_for(limit)
    }

    fn stop_at(&mut self, address: u64) -> Result<(), MachineError> {
        self.linux_mut().stop_at(ImageVa::new(address))
    }

    fn printed(&self) -> String {
        self.linux().printed()
    }

    fn host_smmu(&self) -> Option<HostSmmu> {
        self.linux().host_smmu()
    }
}

impl Running for Linux {
    fn run_for(&mut self, limit: Duration) -> Result<Pause, MachineError> {
        Self::run_for(self, limit)
    }

    fn stop_at(&mut self, address: u64) -> Result<(), MachineError> {
        Self::stop_at(self, ImageVa::new(address))
    }

    fn printed(&self) -> String {
        Self::printed(self)
    }

    fn host_smmu(&self) -> Option<HostSmmu> {
        Self::host_smmu(self)
    }
}
