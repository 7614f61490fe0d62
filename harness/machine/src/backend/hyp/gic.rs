//! Which registers of the GIC are read, and how.

use parallax_gic::raw::{GICD_TYPER, gicr, gits};
use parallax_gic::{RawGic, RawIts, RawRedistributor};

use crate::rsp::{Client, RspError, client};
use crate::target::Description;

/// Where a machine's GIC is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GicAt {
    gicd: u64,
    its: u64,
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

    /// Reads the registers that name memory; all in one go.
    pub(crate) async fn read(&self, client: &mut Client) -> Result<RawGic, RspError> {
        let its = self.its;
        let mut places = vec![
            (self.gicd + GICD_TYPER, 4),
            (its + gits::CTLR, 4),
            (its + gits::TYPER, 8),
            (its + gits::CBASER, 0x18),
            (its + gits::BASER, 0x40),
        ];
        let frames = (0..self.cpus).map(|cpu| self.gicr + cpu * gicr::STRIDE);
        places.extend(frames.clone().flat_map(|at| [(at + gicr::CTLR, 4), (at + gicr::PROPBASER, 0x10)]));
        let requests: Vec<String> = places.iter().map(|(at, len)| format!("m{at:x},{len:x}")).collect();
        let replies = client.pipeline(&requests).await?;
        let mut values = Vec::with_capacity(2 * requests.len());
        for ((request, reply), (_, len)) in requests.iter().zip(&replies).zip(&places) {
            let digits = 2 * len.min(&8);
            if reply.len() != 2 * len {
                return Err(client::refused(request, reply));
            }
            for number in reply.chunks(digits) {
                values.push(client::number(request, number)?);
            }
        }
        let mut values = values.into_iter();
        let mut next = || values.next().unwrap_or_default();
        let gicd_typer = next() as u32;
        let (ctlr, typer, cbaser, cwriter, creadr) = (next() as u32, next(), next(), next(), next());
        let its = RawIts {
            base: its,
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
        Ok(RawGic { gicd_typer, its: Some(its), redistributors: frames.map(redistributor).collect() })
    }
}
