//! Which registers are read, and how.

use parallax_smmu::{OFFSETS, RawRegs};
use parallax_vmsa::SysRegs;

use crate::error::MachineError;
use crate::rsp::{Client, Register, RspError, TargetDescription, client};

/// Numbers of the registers that are read again and again.
#[derive(Clone, Debug)]
pub(crate) struct RegisterSet {
    pub(crate) pc: Register,
    pub(crate) cpsr: Register,
    sys: [Register; 7],
    /// ID_AA64MMFR2_EL1; old CPUs have none.
    mmfr2: Option<Register>,
}

/// ID_AA64MMFR2_EL1.BBM: its first bit; it has four.
const BBM: u32 = 52;

impl RegisterSet {
    /// Looks them up in `target`, the description of CPU model `cpu`.
    pub(crate) fn find(target: &TargetDescription, cpu: &str) -> Result<Self, MachineError> {
        let find = |register: &'static str| {
            target
                .register(register)
                .ok_or_else(|| MachineError::UnknownRegister { register, cpu: cpu.to_owned() })
        };
        Ok(Self {
            pc: find("pc")?,
            cpsr: find("cpsr")?,
            sys: [
                find("VTTBR_EL2")?,
                find("VTCR_EL2")?,
                find("HCR_EL2")?,
                find("TTBR0_EL2")?,
                find("TCR_EL2")?,
                find("MAIR_EL2")?,
                find("SCTLR_EL2")?,
            ],
            mmfr2: target.register("ID_AA64MMFR2_EL1"),
        })
    }

    /// Reads the level of FEAT_BBM of the current CPU.
    pub(crate) async fn bbm_level(&self, client: &mut Client) -> Result<u8, RspError> {
        let Some(register) = self.mmfr2 else { return Ok(0) };
        let values = client.read_registers(&[register]).await?;
        Ok(values.first().map_or(0, |value| (value >> BBM & 0xf) as u8))
    }

    /// Reads the system registers of the current CPU and, if `smmu` is its address, the SMMU's registers; all in
    /// one go.
    pub(crate) async fn read(
        &self,
        client: &mut Client,
        smmu: Option<u64>,
    ) -> Result<(SysRegs, Option<RawRegs>), RspError> {
        let mut requests: Vec<String> =
            self.sys.iter().map(|register| format!("p{:x}", register.number)).collect();
        if let Some(base) = smmu {
            requests.extend(OFFSETS.iter().map(|offset| format!("m{:x},4", base + u64::from(*offset))));
        }
        let replies = client.pipeline(&requests).await?;
        let values = requests.iter().zip(&replies).map(|(request, reply)| client::number(request, reply));
        let values = values.collect::<Result<Vec<u64>, _>>()?;
        let (sys, mmio) = values.split_at(self.sys.len());
        let sys = SysRegs {
            vttbr_el2: sys[0],
            vtcr_el2: sys[1],
            hcr_el2: sys[2],
            ttbr0_el2: sys[3],
            tcr_el2: sys[4],
            mair_el2: sys[5],
            sctlr_el2: sys[6],
        };
        let named = || OFFSETS.iter().zip(mmio).map(|(offset, value)| (*offset, *value as u32));
        let smmu = smmu.map(|_| RawRegs(named().collect()));
        Ok((sys, smmu))
    }
}
