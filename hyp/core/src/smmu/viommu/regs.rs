//! The registers that the host sees (IHI 0070, chapter 6).

use super::{Env, Physical, Viommu};
use crate::faulty;
use crate::smmu::regs::{
    BASE_ALLOCATE, CMDQ_BASE, CMDQ_CONS, CMDQ_PROD, CR0, CR0ACK, CR1, CR1_WB_ISH, CR2, Cr0, Cr2, EVENTQ_BASE,
    EVENTQ_CONS, EVENTQ_IRQ_CFG0, EVENTQ_IRQ_CFG2, EVENTQ_IRQEN, EVENTQ_PROD, GBPA, GERROR, GERROR_IRQ_CFG0,
    GERROR_IRQ_CFG2, GERROR_IRQEN, GERRORN, Gbpa, Gerror, IDR0, IDR1, IDR3, IDR5, IDR5_OAS, IIDR, IRQ_CTRL,
    IRQ_CTRLACK, Idr0, STRTAB_BASE, STRTAB_BASE_CFG,
};

/// Bits of IDR0 that the host gets: S1P, TTF, COHACC, HTTU, ASID16, TTENDIAN, TERM_MODEL, ST_LEVEL. Not: S2P, BTM,
/// DORMHINT, HYP, ATS, ATOS, PRI, MSI, SEV, VMID16, VMW, VATOS, CD2L, STALL_MODEL.
const IDR0_SHOWN: u32 =
    0b1 << 1 | 0b11 << 2 | 0b1 << 4 | 0b11 << 6 | 0b1 << 12 | 0b11 << 21 | 0b1 << 26 | 0b11 << 27;
/// IDR0.STALL_MODEL = 0b01: nothing is ever stalled.
const IDR0_NO_STALL: u32 = 0b01 << 24;
/// IDR1 is put together anew: SIDSIZE in bits 5:0, EVENTQS and CMDQS here; no SSIDSIZE, ECMDQ or presets.
const IDR1_EVENTQS_SHIFT: u32 = 16;
const IDR1_CMDQS_SHIFT: u32 = 21;
/// Bits of IDR3 that the host gets: HAD, RIL. The rest is about stage 2 (XNX, too) or not offered.
const IDR3_SHOWN: u32 = 1 << 2 | 1 << 10;
/// Bits of IDR5 that the host gets: OAS, the granules, VAX. Not: DS, D128, STALL_MAX.
const IDR5_SHOWN: u32 = 0b111 | 0b111 << 4 | 0b11 << 10;
/// IDR5.OAS for 48 bits, more than which the hypervisor's stage 2 does not give.
const OAS_48: u32 = 5;
/// Errors of the host's own SMMU.
const OWN_ERRORS: u32 = Gerror::CMDQ_ERR.bits() | Gerror::SFM_ERR.bits();
/// Address bits of a BASE register, and LOG2SIZE.
const QUEUE_BASE: u64 = BASE_ALLOCATE | 0x000f_ffff_ffff_ffe0 | 0x1f;
const STRTAB_BASE_BITS: u64 = BASE_ALLOCATE | 0x000f_ffff_ffff_ffc0;
/// STRTAB_BASE_CFG: FMT, SPLIT, LOG2SIZE.
const STRTAB_CFG_BITS: u32 = 0b11 << 16 | 0x1f << 6 | 0x3f;
/// Index bits of CMDQ_PROD and CMDQ_CONS.
const INDEX: u32 = 0xf_ffff;
/// Position of CMDQ_CONS.ERR.
pub(super) const CONS_ERR_SHIFT: u32 = 24;
/// Most entries of a queue that is offered, as log2: 64 KiB of commands, 128 KiB of events.
pub(super) const MAX_QUEUE_LOG2: u32 = 12;

/// Whether a register has 64 bits.
pub(super) const fn is_wide(register: u64) -> bool {
    matches!(register, STRTAB_BASE | CMDQ_BASE | EVENTQ_BASE | GERROR_IRQ_CFG0 | EVENTQ_IRQ_CFG0)
}

impl Viommu {
    /// Whether bits of CR0 are set.
    pub(super) const fn on(&self, bits: Cr0) -> bool {
        self.host.cr0 & bits.bits() == bits.bits()
    }

    /// The value of a register; `None` where there is none.
    pub(super) fn read<E: Env>(&self, env: &E, register: u64) -> Option<u64> {
        Some(match register {
            STRTAB_BASE => self.host.strtab_base,
            CMDQ_BASE => self.host.cmdq_base,
            EVENTQ_BASE => self.host.evtq_base,
            CR0 => self.host.cr0.into(),
            CR0ACK => self.cr0_ack().into(),
            CR1 => CR1_WB_ISH.into(),
            CR2 => self.host.cr2.into(),
            GBPA => Gbpa::ABORT.bits().into(),
            STRTAB_BASE_CFG => self.host.strtab_cfg.into(),
            CMDQ_PROD => self.host.cmdq_prod.into(),
            CMDQ_CONS => (self.host.cmdq_cons | self.host.cmdq_error << CONS_ERR_SHIFT).into(),
            GERROR => self.with_hardware(env, GERROR, self.host.gerror).into(),
            GERRORN => self.with_hardware(env, GERRORN, self.host.gerrorn).into(),
            IDR0 | IDR1 | IDR3 | IDR5 => shown(&*env.smmu(), register).into(),
            IIDR | IRQ_CTRL | IRQ_CTRLACK | EVENTQ_PROD | EVENTQ_CONS => env.smmu().register(register).into(),
            GERROR_IRQ_CFG0..=GERROR_IRQ_CFG2 | EVENTQ_IRQ_CFG0..=EVENTQ_IRQ_CFG2 => 0,
            _ => return None,
        })
    }

    /// A hardware error register with the errors that are the host's own.
    fn with_hardware<E: Env>(&self, env: &E, register: u64, own: u32) -> u32 {
        let hardware = env.smmu().register(register);
        hardware & !OWN_ERRORS | own
    }

    /// Writes a register. What the hardware would not let be written at this time is not: `false`.
    pub(super) fn write<E: Env>(&mut self, env: &mut E, register: u64, value: u64) -> bool {
        let word = value as u32;
        match register {
            STRTAB_BASE if !self.on(Cr0::SMMUEN) => self.host.strtab_base = value & STRTAB_BASE_BITS,
            STRTAB_BASE_CFG if !self.on(Cr0::SMMUEN) => self.host.strtab_cfg = word & STRTAB_CFG_BITS,
            CMDQ_BASE if !self.on(Cr0::CMDQEN) => self.host.cmdq_base = value & QUEUE_BASE,
            EVENTQ_BASE if !self.on(Cr0::EVENTQEN) => self.host.evtq_base = value & QUEUE_BASE,
            CMDQ_PROD => {
                self.host.cmdq_prod = word & INDEX;
                self.run_commands(env);
            }
            CMDQ_CONS if !self.on(Cr0::CMDQEN) => {
                self.host.cmdq_cons = word & INDEX;
                self.host.cmdq_error = 0;
            }
            CR0 => self.write_cr0(env, Cr0::from_bits_truncate(word)),
            CR2 if !self.on(Cr0::SMMUEN) => self.host.cr2 = word & (Cr2::RECINVSID | Cr2::PTM).bits(),
            GERRORN => self.acknowledge(env, word),
            IRQ_CTRL => env.smmu().set_register(register, word & (GERROR_IRQEN | EVENTQ_IRQEN)),
            EVENTQ_CONS => env.smmu().set_register(register, word),
            EVENTQ_PROD if !self.on(Cr0::EVENTQEN) => env.smmu().set_register(register, word),
            // Without IDR0.MSI these are RES0, and the wires are all there is; drivers clear them all the same.
            GERROR_IRQ_CFG0..=GERROR_IRQ_CFG2 | EVENTQ_IRQ_CFG0..=EVENTQ_IRQ_CFG2 => {
                return faulty::msi(env, register, word) || value == 0;
            }
            CR1 => return word == CR1_WB_ISH,
            _ => return false,
        }
        true
    }

    /// GERRORN: the hardware's errors are the host's to acknowledge, but for those that the hypervisor looks after.
    fn acknowledge<E: Env>(&mut self, env: &mut E, value: u32) {
        {
            let mut smmu = env.smmu();
            let hardware = smmu.register(GERRORN);
            smmu.set_register(GERRORN, value & !OWN_ERRORS | hardware & OWN_ERRORS);
        }
        self.host.gerrorn = value & OWN_ERRORS;
        self.run_commands(env);
    }
}

/// Feature registers, without what is not offered.
fn shown(smmu: &impl Physical, register: u64) -> u32 {
    let value = smmu.register(register);
    match register {
        IDR0 if !smmu.features().stage1 => value & IDR0_SHOWN & !Idr0::S1P.bits() | IDR0_NO_STALL,
        IDR0 => value & IDR0_SHOWN | IDR0_NO_STALL,
        IDR1 => {
            let (commands, events) = queue_limits(smmu);
            commands << IDR1_CMDQS_SHIFT | events << IDR1_EVENTQS_SHIFT | smmu.sid_bits()
        }
        IDR5 => value & IDR5_SHOWN & !0b111 | IDR5_OAS.of(value).min(OAS_48),
        _ => value & IDR3_SHOWN,
    }
}

/// log2 of the most entries of the command and the event queue.
pub(super) fn queue_limits(smmu: &impl Physical) -> (u32, u32) {
    let features = smmu.features();
    (features.cmdq_log2.min(MAX_QUEUE_LOG2), features.evtq_log2.min(MAX_QUEUE_LOG2))
}
