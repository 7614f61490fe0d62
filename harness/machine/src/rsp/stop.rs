//! Stop replies: why the machine stands still, and on which CPU.

/// A stop reply (`T`, `S`, `W` or `X`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopReply {
    /// The machine stopped.
    Stopped {
        /// Signal number as GDB counts them: 5 (TRAP) for breakpoints and steps, 2 (INT) after an interrupt.
        signal: u8,
        /// The thread that stopped, as the gdbstub writes it.
        thread: Option<String>,
    },
    /// The machine is gone.
    Exited {
        /// Exit status or signal.
        status: u8,
    },
}

impl StopReply {
    /// Reads a stop reply; none if `data` is none.
    #[must_use]
    pub fn parse(data: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(data).ok()?;
        let kind = text.chars().next()?;
        let number = u8::from_str_radix(text.get(1..3)?, 16).ok()?;
        match kind {
            'S' => Some(Self::Stopped { signal: number, thread: None }),
            'T' => {
                let pairs = text.get(3..)?.split(';').filter_map(|pair| pair.split_once(':'));
                let thread = pairs.into_iter().find(|(key, _)| *key == "thread").map(|(_, id)| id.to_owned());
                Some(Self::Stopped { signal: number, thread })
            }
            'W' | 'X' => Some(Self::Exited { status: number }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thread_is_found_among_other_pairs() {
        assert_eq!(
            StopReply::parse(b"T05watch:1234;thread:p01.02;"),
            Some(StopReply::Stopped { signal: 5, thread: Some("p01.02".into()) })
        );
        assert_eq!(StopReply::parse(b"S02"), Some(StopReply::Stopped { signal: 2, thread: None }));
        assert_eq!(StopReply::parse(b"W00"), Some(StopReply::Exited { status: 0 }));
    }

    #[test]
    fn other_replies_are_no_stops() {
        for data in [&b"OK"[..], b"E22", b"T", b"Tzz", b"\xff\xff\xff"] {
            assert_eq!(StopReply::parse(data), None, "{data:?}");
        }
    }
}
