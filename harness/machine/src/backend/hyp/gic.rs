//! Which registers of the GIC are read, and how.

use parallax_gic::raw::{GICD_TYPER, gicr, gits};
use parallax_gic::{RawGic, RawIts, RawRedistributor};

use crate::rsp::{RspError, client};
use crate::target::Description;

/// Where a machine's GIC is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GicAt {
    gicd: u64,
    pub(super) its: u64,
    gicr: u64,
    cpus: u64,
}

impl GicAt {
    /// Where it is in the machine that is described; nothing where it has none with an ITS.
    pub(crate) fn of(description: &Description) -> Option<Self> {
        let base = |name| {
            description.regions.iter().find(|region| region.name == name).map(|region| region.base.get())
        };
        let cpus = description.config.cpus.into();
        Some(Self { gicd: base("gicd")?, its: base("its")?, gicr: base("gicr")?, cpus })
    }

    /// What asks for the registers that name memory, in the order in which [`Self::registers`] takes them.
    pub(super) fn requests(&self) -> Vec<String> {
        self.places().iter().map(|(at, len)| format!("m{at:x},{len:x}")).collect()
    }

    /// Where they are, and of how many bytes.
    fn places(&self) -> Vec<(u64, usize)> {
        let its = self.its;
        let mut places = vec![
            (self.gicd + GICD_TYPER, 4),
            (its + gits::CTLR, 4),
            (its + gits::TYPER, 8),
            (its + gits::CBASER, 0x18),
            (its + gits::BASER, 0x40),
        ];
        let frames = self.frames();
        places.extend(frames.flat_map(|at| [(at + gicr::CTLR, 4), (at + gicr::PROPBASER, 0x10)]));
        places
    }

    /// The frames of the redistributors.
    pub(super) fn frames(&self) -> impl Iterator<Item = u64> {
        let first = self.gicr;
        (0..self.cpus).map(move |cpu| first + cpu * gicr::STRIDE)
    }

    /// The registers, from the `replies` to [`Self::requests`].
    pub(super) fn registers(&self, replies: &[Vec<u8>]) -> Result<RawGic, RspError> {
        let mut values = Vec::with_capacity(2 * replies.len());
        for ((request, reply), (_, len)) in self.requests().iter().zip(replies).zip(self.places()) {
            let digits = 2 * len.min(8);
            if reply.len() != 2 * len {
                return Err(client::refused(request, reply));
            }
            for number in reply.chunks(digits) {
                values.push(client::number(request, number, len.min(8))?);
            }
        }
        let mut values = values.into_iter();
        let mut next = || values.next().unwrap_or_default();
        let gicd_typer = next() as u32;
        let (ctlr, typer, cbaser, cwriter, creadr) = (next() as u32, next(), next(), next(), next());
        let its = RawIts {
            base: self.its,
            ctlr,
            typer,
            cbaser,
            cwriter,
            creadr,
            basers: std::array::from_fn(|_| next()),
        };
        let redistributor = |base| {
            let (ctlr, propbaser, pendbaser) = (next() as u32, next(), next());
            RawRedistributor { base, ctlr, propbaser, pendbaser }
        };
        Ok(RawGic { gicd_typer, its: Some(its), redistributors: self.frames().map(redistributor).collect() })
    }
}
