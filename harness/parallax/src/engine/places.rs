//! Where the places are that traces name, on a machine that has booted.

use parallax_abi::info::HypInfo;
use parallax_machine::{Description, Region};

use crate::trace::{Expr, Kind, Op, Symbol};

/// log2 of the size of a page frame.
const PAGE_SHIFT: u32 = 12;

/// A trace names a place that this machine does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this machine has no `{0}`")]
pub struct UnknownPlace(String);

/// Addresses of places.
#[derive(Clone, Debug)]
pub struct Places {
    regions: Vec<Region>,
    hyp: Region,
    pool: Region,
    host: Region,
}

impl Places {
    /// The places of a machine.
    #[must_use]
    pub fn new(description: &Description, info: &HypInfo) -> Self {
        Self {
            regions: description.regions.clone(),
            hyp: Region::new("hyp", info.image_pa, info.image_size),
            pool: Region::new("pool", info.pool_pa, info.pool_size),
            host: description.payload.clone(),
        }
    }

    /// RAM.
    #[must_use]
    pub fn ram(&self) -> Option<&Region> {
        self.regions.iter().find(|region| region.name == "ram")
    }

    fn region(&self, symbol: &Symbol) -> Result<&Region, UnknownPlace> {
        let found = match symbol {
            Symbol::Ram => self.ram(),
            Symbol::Hyp => Some(&self.hyp),
            Symbol::Pool => Some(&self.pool),
            Symbol::Host => Some(&self.host),
            Symbol::Mmio(name) => self.regions.iter().find(|region| region.name == *name),
        };
        found.ok_or_else(|| UnknownPlace(symbol.to_string()))
    }

    /// The value of `expr`: an address in bytes, or with `shift` 12 a frame number. Wraps at 64 bits.
    fn value(&self, expr: &Expr, shift: u32) -> Result<u64, UnknownPlace> {
        let Some(base) = &expr.base else { return Ok(expr.offset) };
        let region = self.region(&base.symbol)?;
        let address = if base.end { region.base.wrapping_add(region.size) } else { region.base };
        Ok((address >> shift).wrapping_add(expr.offset))
    }

    /// The values of an operation's arguments.
    ///
    /// # Errors
    /// It names a place that is not there.
    pub fn arguments(&self, op: &Op) -> Result<Vec<u64>, UnknownPlace> {
        let value = |(param, expr): (&crate::trace::Param, &Expr)| {
            self.value(expr, if param.kind == Kind::Frame { PAGE_SHIFT } else { 0 })
        };
        op.verb.params.iter().zip(&op.args).map(value).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake;
    use super::*;
    use crate::trace::Trace;

    fn arguments(line: &str) -> Result<Vec<u64>, UnknownPlace> {
        let trace = Trace::parse("t", line).unwrap();
        Places::new(&fake::description(&trace), &fake::info()).arguments(&trace.ops[0])
    }

    #[test]
    fn frames_and_bytes_count_from_the_same_place() {
        assert_eq!(arguments("host_share_hyp pfn=ram+0x10").unwrap(), [0x40010]);
        assert_eq!(arguments("host_read ipa=ram+0x10").unwrap(), [0x4000_0010, 8, 0]);
        assert_eq!(arguments("host_share_hyp pfn=ram_end-1").unwrap(), [0x4ffff]);
        assert_eq!(arguments("host_read ipa=pool_end-8").unwrap(), [0x4140_0000 - 8, 8, 0]);
        assert_eq!(arguments("host_read ipa=mmio:uart+0x18").unwrap(), [0x0900_0018, 8, 0]);
        assert_eq!(arguments("host_read ipa=host").unwrap(), [0x4300_0000, 8, 0]);
    }

    #[test]
    fn plain_numbers_stay_as_they_are() {
        assert_eq!(arguments("host_share_hyp pfn=0x123").unwrap(), [0x123]);
        assert_eq!(arguments("host_read ipa=0x8000000000").unwrap(), [0x80_0000_0000, 8, 0]);
    }
}
