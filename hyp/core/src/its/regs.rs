//! Registers of an ITS and of a redistributor's LPIs, and their fields (IHI 0069, chapter 12).

pub(super) const GITS_CTLR: u64 = 0x0;
pub(super) const GITS_IIDR: u64 = 0x4;
pub(super) const GITS_TYPER: u64 = 0x8;
pub(super) const GITS_CBASER: u64 = 0x80;
pub(super) const GITS_CWRITER: u64 = 0x88;
pub(super) const GITS_CREADR: u64 = 0x90;
/// GITS_BASER0, and how many there are.
pub(super) const GITS_BASER: u64 = 0x100;
pub(super) const BASERS: usize = 8;
/// The last of them.
pub(super) const GITS_BASER7: u64 = GITS_BASER + 8 * (BASERS as u64 - 1);
/// Identification registers, the first and the last.
pub(super) const IDREGS: u64 = 0xffd0;
pub(super) const IDREGS_LAST: u64 = 0xfffc;

/// GITS_CTLR.
pub(super) const ENABLED: u32 = 1;
pub(super) const QUIESCENT: u32 = 1 << 31;
/// GITS_CBASER, GITS_BASER<n>, commands: Valid.
pub(super) const VALID: u64 = 1 << 63;
/// GITS_CBASER and GITS_BASER<n>: inner write-back, inner shareable, as all of the hypervisor's memory is.
pub(super) const WRITE_BACK: u64 = 0b111 << 59 | 0b01 << 10;
/// Their Shareability, in the low word.
pub(super) const SHAREABILITY: u32 = 0b11 << 10;
/// GITS_CBASER: what a driver may write; the address; pages less one.
pub(super) const CBASER_BITS: u64 =
    VALID | 0b111 << 59 | 0b111 << 53 | CBASER_ADDRESS | 0b11 << 10 | CBASER_SIZE;
pub(super) const CBASER_ADDRESS: u64 = 0x000f_ffff_ffff_f000;
pub(super) const CBASER_SIZE: u64 = 0xff;
/// GITS_BASER<n>: what a driver may write. Not Indirect: there are flat tables only.
pub(super) const BASER_BITS: u64 = VALID | 0b111 << 59 | 0b111 << 53 | 0x0000_ffff_ffff_f000 | 0xfff;
/// GITS_BASER<n>.Page_Size, and its reserved value.
pub(super) const PAGE_SIZE_FIELD: u64 = 0b11 << 8;
pub(super) const PAGE_SIZE_64K: u64 = 0b10 << 8;
/// GITS_CWRITER and GITS_CREADR: Offset; Retry and Stalled.
pub(super) const OFFSET: u64 = 0xf_ffe0;
pub(super) const RETRY: u64 = 1;
pub(super) const STALLED: u64 = 1;
/// Bytes of a command.
pub(super) const COMMAND: u64 = 32;

pub(super) const GICR_CTLR: u64 = 0x0;
pub(super) const GICR_IIDR: u64 = 0x4;
pub(super) const GICR_TYPER: u64 = 0x8;
pub(super) const GICR_WAKER: u64 = 0x14;
pub(super) const GICR_PROPBASER: u64 = 0x70;
pub(super) const GICR_PENDBASER: u64 = 0x78;

/// GICR_CTLR: EnableLPIs; CES; RWP; DPG0, DPG1NS, DPG1S.
pub(super) const ENABLE_LPIS: u32 = 1;
pub(super) const CES: u32 = 1 << 1;
pub(super) const RWP: u32 = 1 << 3;
pub(super) const DPG: u32 = 0b111 << 24;
/// GICR_TYPER: PLPIS; VLPIS; Last.
pub(super) const PLPIS: u32 = 1;
pub(super) const VLPIS: u32 = 1 << 1;
pub(super) const LAST: u32 = 1 << 4;
/// GICR_TYPER, the low word, as the host gets it: PLPIS, Last, DPGS, Processor_Number, CommonLPIAff. Not: VLPIS, Dirty,
/// DirectLPI, MPAM, RVPEID, VSGI, PPInum of extended ranges.
pub(super) const TYPER_SHOWN: u32 = PLPIS | LAST | 1 << 5 | 0xffff << 8 | 0b11 << 24;
/// GICR_WAKER: ProcessorSleep, ChildrenAsleep.
pub(super) const PROCESSOR_SLEEP: u32 = 1 << 1;
pub(super) const CHILDREN_ASLEEP: u32 = 1 << 2;
/// GICR_PROPBASER: IDbits; the address; what a driver may write.
pub(super) const IDBITS: u64 = 0x1f;
pub(super) const PROPBASER_ADDRESS: u64 = 0x000f_ffff_ffff_f000;
pub(super) const PROPBASER_BITS: u64 = 0b111 << 56 | PROPBASER_ADDRESS | 0b11 << 10 | 0b111 << 7 | IDBITS;
/// GICR_PENDBASER: PTZ; the address; what a driver may write.
pub(super) const PTZ: u64 = 1 << 62;
pub(super) const PENDBASER_ADDRESS: u64 = 0x000f_ffff_ffff_0000;
pub(super) const PENDBASER_BITS: u64 = PTZ | 0b111 << 56 | PENDBASER_ADDRESS | 0b11 << 10 | 0b111 << 7;
