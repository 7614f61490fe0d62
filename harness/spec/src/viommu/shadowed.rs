//! The SMMU's own stream table says what the host's says, over stage 2 (docs/viommu.md).

use std::ops::Range;

use parallax_addr::PhysAddr;
use parallax_model::{SmmuState, Stream as Entry};
use parallax_smmu::Config;

use super::streams::{Stream, fetched};
use super::{Enable, FOLLOWED, Viommu};

/// What an entry of the SMMU's own table makes of its streams; text for one that it may not have.
type Found = Result<Stream, &'static str>;

impl Viommu {
    /// What is wrong with the first stream whose entry in `state` is not what the host's table says, as far as that is known.
    pub(crate) fn streams(&self, state: &SmmuState) -> Option<String> {
        // No stream passes an SMMU that the hypervisor had to turn off.
        let off = !state.control.enabled;
        if self.lost || off || matches!(self.smmu, Enable::Soon(_)) {
            return None;
        }
        let wrong = |sid: u32, found: Found| {
            let expected = self.stream(sid);
            if expected == Stream::Unknown || found == Ok(expected) {
                return None;
            }
            let (expected, found) = (described(expected), found.map_or_else(ToOwned::to_owned, described));
            Some(format!("stream {sid}: expected {expected}, the SMMU's own entry has {found}"))
        };
        entries(state, FOLLOWED.min(1 << self.sid_bits.min(31))).find_map(|(mut sids, found)| match found {
            // What is not here is aborted.
            Ok(Stream::Abort) => self.streams.range(sids).find_map(|(sid, _)| wrong(*sid, found)),
            _ => sids.find_map(|sid| wrong(sid, found)),
        })
    }
}

/// The entries of streams below `end`, those that are alike together.
fn entries(state: &SmmuState, end: u32) -> impl Iterator<Item = (Range<u32>, Found)> {
    let below = move |sid: u64| sid.min(u64::from(end)) as u32;
    let mut at = 0;
    let pieces = state.streams.iter().map(move |run| {
        let (base, end) = (below(run.span().base), below(run.span().end()));
        [(std::mem::replace(&mut at, end)..base, Ok(Stream::Invalid)), (base..end, found(&run.value))]
    });
    let last = state.streams.last().map_or(0, |run| below(run.span().end()));
    pieces.flatten().chain([(last..end, Ok(Stream::Invalid))])
}

/// What `entry`, which is valid, makes of its streams.
fn found(entry: &Entry) -> Found {
    let ste = entry.ste();
    match ste.config() {
        _ if !entry.illegal.is_empty() => Err("fields that are ILLEGAL"),
        Config::Abort => Ok(Stream::Abort),
        Config::Stage2 => Ok(Stream::Bypass),
        Config::Nested => Ok(Stream::Stage1(PhysAddr::new(ste.s1_context_ptr()), fetched(&ste))),
        Config::Bypass | Config::Stage1 => Err("no stage 2"),
    }
}

/// What an entry for `stream` has.
fn described(stream: Stream) -> String {
    match stream {
        Stream::Abort => "abort".to_owned(),
        Stream::Bypass => "stage 2".to_owned(),
        Stream::Stage1(context, [cir, cor, csh]) => {
            format!("stage 2 behind S1ContextPtr={context} S1CIR={cir} S1COR={cor} S1CSH={csh}")
        }
        // No entry says that it is not known.
        Stream::Invalid | Stream::Unknown => "V=0".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(config: u64, illegal: &str) -> Entry {
        let dwords = [1 | config << 1 | 0x4600_3000, 1 << 6, 0, 0, 0, 0, 0, 0];
        Entry { dwords, table: None, root_below: 0, illegal: illegal.to_owned() }
    }

    #[test]
    fn an_entry_is_the_hosts_over_stage_2() {
        assert_eq!(found(&entry(0b000, "")), Ok(Stream::Abort));
        assert_eq!(found(&entry(0b110, "")), Ok(Stream::Bypass));
        let nested = Stream::Stage1(PhysAddr::new(0x4600_3000), [0, 0, 1]);
        assert_eq!(found(&entry(0b111, "")), Ok(nested));
        for one in [entry(0b100, ""), entry(0b101, ""), entry(0b110, "S2T0SZ")] {
            assert!(found(&one).is_err());
        }
        assert_eq!(described(nested), "stage 2 behind S1ContextPtr=0x46003000 S1CIR=0 S1COR=0 S1CSH=1");
    }
}
