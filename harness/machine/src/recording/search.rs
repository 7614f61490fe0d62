//! Which operation changed some bytes: forward or back, a stretch between two keyframes at a time.

use parallax_addr::PhysAddr;
use parallax_vmsa::PhysMem;

use super::RecordingError;
use super::reader::Replay;

/// The longest piece of memory that is watched, in bytes.
const LONGEST: u64 = 4096;

/// Bytes that an operation changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The operation.
    pub op: u64,
    /// Which of the watched pieces.
    pub piece: usize,
}

/// A search that is under way. An operation after which memory is known that was not known before has changed it.
#[derive(Debug)]
pub struct Search {
    /// Address and length in bytes of each piece.
    pieces: Vec<(PhysAddr, u64)>,
    forward: bool,
    /// The operations that are still to be looked at: `next..end` forward, `end..next` back.
    next: u64,
    end: u64,
}

impl Search {
    /// For the first operation after `after`, up to and with `last`, that changes one of `pieces` (address
    /// and length in bytes).
    #[must_use]
    pub const fn forward(pieces: Vec<(PhysAddr, u64)>, after: u64, last: u64) -> Self {
        Self { pieces, forward: true, next: after, end: last }
    }

    /// For the last operation up to and with `from`, but after `first`, that changed one of `pieces`.
    #[must_use]
    pub const fn back(pieces: Vec<(PhysAddr, u64)>, from: u64, first: u64) -> Self {
        Self { pieces, forward: false, next: from, end: first }
    }

    /// Whether it goes forward.
    #[must_use]
    pub const fn is_forward(&self) -> bool {
        self.forward
    }

    /// Whether there is nothing left to look at.
    #[must_use]
    pub const fn done(&self) -> bool {
        if self.forward { self.next >= self.end } else { self.next <= self.end }
    }

    /// Looks at the next stretch; moves `replay`.
    ///
    /// # Errors
    /// The recording is damaged.
    pub fn stretch(&mut self, replay: &mut Replay) -> Result<Option<Change>, RecordingError> {
        let every = replay.keyframe_every();
        if self.forward {
            let until = (self.next / every).saturating_add(1).saturating_mul(every).min(self.end);
            self.look(replay, self.next, until)
        } else {
            // From a keyframe up to and with the next one, whose changes count from the operation before it.
            let start = (self.next - 1) / every * every;
            self.look(replay, start.max(self.end), self.next)
        }
    }

    /// Looks at what the operations `from + 1 ..= to` changed.
    fn look(&mut self, replay: &mut Replay, from: u64, to: u64) -> Result<Option<Change>, RecordingError> {
        replay.go_to(from)?;
        let mut before = self.values(replay);
        let mut found = None;
        for op in from + 1..=to {
            replay.go_to(op)?;
            let now = self.values(replay);
            let changed = |piece: &usize| now[*piece].is_some() && now[*piece] != before[*piece];
            if let Some(piece) = (0..now.len()).find(changed) {
                found = Some(Change { op, piece });
                if self.forward {
                    break;
                }
            }
            // What a keyframe no longer knows is as it was.
            before = now.into_iter().zip(before).map(|(now, before)| now.or(before)).collect();
        }
        self.next = if self.forward { to } else { from };
        Ok(found)
    }

    fn values(&self, replay: &Replay) -> Vec<Option<Vec<u8>>> {
        let read = |&(pa, len): &(PhysAddr, u64)| {
            let mut bytes = vec![0; len.min(LONGEST) as usize];
            replay.memory.read(pa, &mut bytes).ok().map(|()| bytes)
        };
        self.pieces.iter().map(read).collect()
    }
}
