//! Which registers are read, and how.

use std::collections::BTreeMap;

use parallax_smmu::{CONSTANT, OFFSETS, RawRegs};
use parallax_vmsa::{ControlRegs, SysRegs};

use super::gic::GicAt;
use crate::error::MachineError;
use crate::rsp::{Client, Register, RspError, TargetDescription, client};
use crate::target::{CpuRegisters, Registers};

/// Numbers of the registers that are read again and again.
#[derive(Clone, Debug)]
pub(crate) struct RegisterSet {
    pub(crate) pc: Register,
    pub(crate) cpsr: Register,
    translation: [Register; 7],
    control: Vec<Register>,
    /// Those of [`ControlRegs::OPTIONAL`]; the CPU may lack them.
    optional: Vec<Option<Register>>,
    /// ID_AA64MMFR2_EL1; old CPUs have none.
    mmfr2: Option<Register>,
    /// The gdbstub's names of the CPUs, in order.
    threads: Vec<String>,
    /// The SMMU's registers that never change, by offset; empty before they were read.
    constant: BTreeMap<u32, u32>,
}

/// What asks for `register`, and how many bytes the answer has.
fn ask(register: &Register) -> (String, usize) {
    (format!("p{:x}", register.number), register.bytes())
}

/// ID_AA64MMFR2_EL1.BBM: its first bit; it has four.
const BBM: u32 = 52;

impl RegisterSet {
    /// Looks them up in `target`, the description of CPU model `cpu`, if that is known. The gdbstub calls the CPUs `threads`.
    pub(crate) fn find(
        target: &TargetDescription,
        cpu: Option<&str>,
        threads: Vec<String>,
    ) -> Result<Self, MachineError> {
        let find = |register: &'static str| {
            target
                .register(register)
                .ok_or_else(|| MachineError::UnknownRegister { register, cpu: cpu.map(str::to_owned) })
        };
        Ok(Self {
            pc: find("pc")?,
            cpsr: find("cpsr")?,
            translation: [
                find("VTTBR_EL2")?,
                find("VTCR_EL2")?,
                find("HCR_EL2")?,
                find("TTBR0_EL2")?,
                find("TCR_EL2")?,
                find("MAIR_EL2")?,
                find("SCTLR_EL2")?,
            ],
            control: ControlRegs::ALWAYS.iter().map(|name| find(name)).collect::<Result<_, _>>()?,
            optional: ControlRegs::OPTIONAL.iter().map(|name| target.register(name)).collect(),
            mmfr2: target.register("ID_AA64MMFR2_EL1"),
            threads,
            constant: BTreeMap::new(),
        })
    }

    /// How many CPUs there are.
    pub(crate) const fn cpus(&self) -> usize {
        self.threads.len()
    }

    /// What the gdbstub calls the first CPU, where it has names.
    pub(crate) fn first(&self) -> Option<&str> {
        self.threads.first().map(String::as_str)
    }

    /// Reads the level of FEAT_BBM of the current CPU.
    pub(crate) async fn bbm_level(&self, client: &mut Client) -> Result<u8, RspError> {
        let Some(register) = self.mmfr2 else { return Ok(0) };
        let values = client.read_registers(&[register]).await?;
        Ok(values.first().map_or(0, |value| (value >> BBM & 0xf) as u8))
    }

    /// Reads the system registers of each CPU and, where `smmu` and `gic` say that they are, those of the SMMU and the
    /// GIC; all in one go. The first CPU is the current one before and after.
    pub(crate) async fn read(
        &mut self,
        client: &mut Client,
        smmu: Option<u64>,
        gic: Option<GicAt>,
    ) -> Result<Registers, RspError> {
        let of_gic = gic.map_or_else(Vec::new, |gic| gic.requests());
        let mut asked = self.requests();
        let offsets: Vec<u32> =
            OFFSETS.iter().copied().filter(|offset| !self.constant.contains_key(offset)).collect();
        if let Some(base) = smmu {
            let at = |offset: &u32| format!("m{:x},4", base.wrapping_add(u64::from(*offset)));
            asked.extend(offsets.iter().map(|offset| (at(offset), 4)));
        }
        let others = self.threads.get(1..).unwrap_or_default();
        for thread in others {
            asked.extend([(format!("Hg{thread}"), 0), ask(&self.cpsr)]);
            asked.extend(self.requests());
        }
        if let [first, _, ..] = &self.threads[..] {
            asked.push((format!("Hg{first}"), 0));
        }
        let (gics, mut requests) = (of_gic.len(), of_gic);
        requests.extend(asked.iter().map(|(request, _)| request.clone()));
        let replies = client.pipeline(&requests).await?;
        let (of_gic, replies) = replies.split_at(gics);
        let gic = gic.map(|gic| gic.registers(of_gic)).transpose()?;
        let values = asked.iter().zip(replies).filter_map(|((request, size), reply)| match size {
            0 if reply == b"OK" => None,
            0 => Some(Err(client::refused(request, reply))),
            size => Some(client::number(request, reply, *size)),
        });
        let mut values = values.collect::<Result<Vec<u64>, _>>()?.into_iter();
        let sys = self.sys(&mut values);
        let smmu = smmu.map(|_| {
            let read = offsets.iter().zip(&mut values).map(|(offset, value)| (*offset, value as u32));
            RawRegs(self.constant.iter().map(|(offset, value)| (*offset, *value)).chain(read).collect())
        });
        let other = |_: &String| {
            let below_el2 = values.next().is_some_and(|cpsr| cpsr >> 2 & 3 < 2);
            CpuRegisters { below_el2, sys: self.sys(&mut values) }
        };
        let others = others.iter().map(other).collect();
        if let Some(smmu) = &smmu {
            self.constant = CONSTANT.iter().filter_map(|at| Some((*at, *smmu.0.get(at)?))).collect();
        }
        Ok(Registers { sys, others, smmu, gic })
    }

    /// What asks for the system registers of the current CPU, in the order in which [`Self::sys`] takes them.
    fn requests(&self) -> Vec<(String, usize)> {
        let all = self.translation.iter().chain(&self.control).chain(self.optional.iter().flatten());
        all.map(ask).collect()
    }

    /// The system registers of a CPU.
    fn sys(&self, values: &mut dyn Iterator<Item = u64>) -> SysRegs {
        let mut next = || values.next().unwrap_or_default();
        let [vttbr_el2, vtcr_el2, hcr_el2, ttbr0_el2, tcr_el2, mair_el2, sctlr_el2] =
            self.translation.map(|_| next());
        let always: Vec<u64> = self.control.iter().map(|_| next()).collect();
        let optional: Vec<_> = self.optional.iter().map(|there| there.map(|_| next())).collect();
        let control = Some(ControlRegs::from_values(&always, &optional));
        SysRegs { vttbr_el2, vtcr_el2, hcr_el2, ttbr0_el2, tcr_el2, mair_el2, sctlr_el2, control }
    }
}
