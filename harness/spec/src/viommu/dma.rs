//! What a device reaches: by its stream table entry, by the host's own stage 1, by stage 2.

use parallax_addr::{InputAddr, Ipa, PAGE_SIZE, Span};
use parallax_ops::{Data, Outcome};

use super::stage1::Reached;
use super::streams::Stream;
use super::{Enable, Viommu};
use crate::holding::At;
use crate::part::wrong;
use crate::step::Next;
use crate::words::Fetch;

/// How long an access may be to be looked at, in bytes.
const MOST: u64 = 1 << 20;

impl Viommu {
    /// What becomes of transactions of stream `sid`.
    pub(super) fn stream(&self, sid: u32) -> Stream {
        match self.smmu {
            _ if self.lost => Stream::Unknown,
            Enable::Soon(_) => Stream::Unknown,
            Enable::Off => Stream::Abort,
            Enable::On if u64::from(sid) >> self.sid_bits != 0 => Stream::Abort,
            Enable::On => {
                let rest = if self.unknown { Stream::Unknown } else { Stream::Abort };
                self.streams.get(&sid).copied().unwrap_or(rest)
            }
        }
    }

    /// A device's access.
    pub(super) fn dma(
        &mut self,
        sid: u32,
        span: Span<Ipa>,
        (write, data): (bool, Option<&Data>),
        outcome: &Outcome,
        at: At<'_>,
    ) -> Next {
        let inside = span.size <= MOST && span.base.checked_add(span.size).is_some();
        if !matches!(outcome, Outcome::Ok { .. } | Outcome::Abort) || span.is_empty() || !inside {
            return Next::SAME;
        }
        let done = matches!(outcome, Outcome::Ok { .. });
        let stream = self.stream(sid);
        let mut pieces: Vec<(Span<Ipa>, Vec<Reached>)> = Vec::new();
        let mut from = span.base;
        while from < span.end() {
            let next = from.page().checked_add(PAGE_SIZE);
            let to = next.map_or(span.end(), |next| next.min(span.end()));
            let reached = match stream {
                Stream::Abort | Stream::Invalid => vec![Reached::Nowhere],
                Stream::Bypass => vec![Reached::At(from.identity())],
                Stream::Unknown => vec![Reached::Unknown],
                Stream::Stage1(context, _) => {
                    let fetch = Fetch::new(&self.words, at.memory, at.view);
                    self.remembered.reach((sid, context), InputAddr::new(from.get()), write, &fetch)
                }
            };
            pieces.push((Span::between(from, to), reached));
            from = to;
        }
        let mut refused = false;
        let (mut may_pass, mut may_abort) = (true, false);
        for (piece, reached) in &pieces {
            let passes = |reached: &Reached| match *reached {
                Reached::Unknown => None,
                Reached::Nowhere => Some(false),
                Reached::At(output) => {
                    let pages = Span::new(output, piece.size).whole_pages()?;
                    let pages = at.view.pages(pages);
                    match pages.iter().all(|(_, page)| page.is_the_hosts()) {
                        false => Some(false),
                        true if pages.iter().all(|(_, page)| page.is_memory()) => Some(true),
                        true => None,
                    }
                }
            };
            let each: Vec<Option<bool>> = reached.iter().map(passes).collect();
            may_pass &= each.iter().any(|passes| *passes != Some(false));
            may_abort |= each.iter().any(|passes| *passes != Some(true));
            refused |= each.iter().all(|passes| *passes == Some(false));
        }
        self.wrote(&pieces, data, done, span.base);
        let wrong = if done && self.told && (refused || !may_pass) {
            let says = "the host's tables, or stage 2, do not let the device go there";
            Some(wrong("viommu/dma-refused", says, Outcome::Abort))
        } else if !done && !may_abort {
            let says = "the host's tables let the device go there, and it is memory of the host's";
            Some(wrong("viommu/dma-reaches", says, Outcome::Ok { value: None }))
        } else {
            None
        };
        Next { wrong, ..Next::SAME }
    }

    /// What a device wrote, or may have written.
    fn wrote(&mut self, pieces: &[(Span<Ipa>, Vec<Reached>)], data: Option<&Data>, done: bool, base: Ipa) {
        let Some(data) = data.filter(|data| data.written.is_some()) else { return };
        for (piece, reached) in pieces {
            let from = piece.base.get() - base.get();
            for reached in reached {
                if let Reached::At(output) = reached {
                    let span = Span::new(*output, piece.size);
                    let sure = done && pieces.iter().all(|(_, reached)| reached.len() == 1);
                    self.words.write(span, data, from, sure);
                }
            }
        }
    }
}
