//! What the host's stream table says of each stream (IHI 0070, 3.3 and 5.2; docs/viommu.md).

use parallax_addr::{PAGE_SIZE, PhysAddr, Span};
use parallax_smmu::strtab::Layout;
use parallax_smmu::{Config, Ste, StreamFault, StreamTable};
use parallax_vmsa::PhysMem;

use super::registers::RECINVSID;
use crate::holding::may_be_held;
use crate::words::Fetch;

/// What becomes of a stream's transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    /// They are aborted.
    Abort,
    /// They are aborted, and that is recorded.
    Invalid,
    /// They reach what the host's CPUs reach.
    Bypass,
    /// The stage 1 whose context descriptor is there comes first; S1CIR, S1COR and S1CSH say how it is fetched.
    Stage1(PhysAddr, [u8; 3]),
    /// That is not known.
    Unknown,
}

impl Stream {
    /// Of a stream that the table has no entry for: with RECINVSID (CR2, `cr2`) that is recorded.
    const fn missing(cr2: u64) -> Self {
        if cr2 & RECINVSID == 0 { Self::Abort } else { Self::Invalid }
    }
}

/// The table that STRTAB_BASE and STRTAB_BASE_CFG describe, nothing for a reserved format. What exceeds the StreamIDs that there
/// are counts for nothing.
pub(super) fn table(base: u64, cfg: u64, sid_bits: u32) -> Option<StreamTable> {
    let log2size = (cfg as u32 & 0x3f).min(sid_bits);
    let layout = match (cfg >> 16 & 3, cfg >> 6 & 0x1f) {
        (0, _) => Layout::Linear,
        (1, 8) => Layout::TwoLevel { split: 8 },
        (1, 10) => Layout::TwoLevel { split: 10 },
        (1, _) => Layout::TwoLevel { split: 6 },
        _ => return None,
    };
    let size = match layout {
        Layout::Linear => Ste::SIZE << log2size,
        Layout::TwoLevel { split } => 8 << log2size.saturating_sub(split),
    };
    let base = PhysAddr::new(base & 0x000f_ffff_ffff_ffc0).align_down(size.max(64));
    Some(StreamTable { base, below: 0, layout, log2size, size })
}

/// What an SMMU can do, as far as entries go by it.
#[derive(Clone, Copy, Debug)]
pub struct Features {
    /// IDR0.S1P.
    pub stage1: bool,
    /// Size of addresses that it puts out (bits).
    pub output_bits: u32,
    /// IDR3.RIL.
    pub ranges: bool,
}

/// What `table` says of stream `sid`, with CR2. A table of the second level must be memory that can be lent.
pub(super) fn stream(
    (table, cr2): (&StreamTable, u64),
    sid: u32,
    features: Features,
    own: &[Span<PhysAddr>],
    fetch: &Fetch<'_>,
) -> Stream {
    fetch.unknown.set(false);
    let address = match table.entry_address(fetch, sid) {
        Ok(address) => address,
        Err(_) if fetch.unknown.get() => return Stream::Unknown,
        Err(StreamFault::Fetch(_)) => return Stream::Unknown,
        Err(_) => return Stream::missing(cr2),
    };
    if let Layout::TwoLevel { split } = table.layout {
        match level2(table, sid, (split, address), own, fetch) {
            Some(true) => {}
            Some(false) => return Stream::missing(cr2),
            None => return Stream::Unknown,
        }
    }
    let mut bytes = [0; 64];
    match fetch.read(address, &mut bytes) {
        Ok(()) => entry(&Ste::from_bytes(&bytes), features),
        Err(_) => Stream::Unknown,
    }
}

/// Whether the table of the second level that holds the entry of `sid` at `address` can be lent; nothing where only a part can.
fn level2(
    table: &StreamTable,
    sid: u32,
    (split, address): (u32, PhysAddr),
    own: &[Span<PhysAddr>],
    fetch: &Fetch<'_>,
) -> Option<bool> {
    let mut bytes = [0; 8];
    fetch.read(table.base.wrapping_add(u64::from(sid >> split) * 8), &mut bytes).ok()?;
    let span = u32::from(bytes[0] & 0x1f);
    let size = Ste::SIZE << span.checked_sub(1)?;
    let whole = Span::new(address.align_down(size), size);
    let page = Span::new(address.align_down(PAGE_SIZE), PAGE_SIZE);
    match (may_be_held(whole, fetch.view, own)?, may_be_held(page, fetch.view, own)?) {
        (true, _) => Some(true),
        (false, false) => Some(false),
        _ => None,
    }
}

fn entry(ste: &Ste, features: Features) -> Stream {
    if !ste.v() {
        return Stream::Invalid;
    }
    match ste.config() {
        Config::Abort | Config::Stage2 | Config::Nested => Stream::Abort,
        Config::Bypass => Stream::Bypass,
        Config::Stage1 => {
            let context = ste.s1_context_ptr();
            let one = ste.s1cdmax() == 0 && context >> features.output_bits == 0;
            match features.stage1 && one {
                true => Stream::Stage1(PhysAddr::new(context), fetched(ste)),
                false => Stream::Invalid,
            }
        }
    }
}

/// How the context descriptors of an entry are fetched.
pub(super) const fn fetched(ste: &Ste) -> [u8; 3] {
    [ste.s1cir(), ste.s1cor(), ste.s1csh()]
}
