//! What a gdbstub keeps for its debugger, as far as it can be told from what they say.

use super::front::{Left, command};
use crate::rsp::StopReply;

/// What a gdbstub keeps for its debugger.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// The thread whose registers are read.
    pub(super) thread: Option<String>,
    /// Whether addresses are physical.
    pub(super) physical: bool,
    /// Whether the machine runs.
    pub(super) runs: bool,
    /// Whether the debugger has taken leave.
    pub(super) parted: bool,
    /// What was asked last.
    asked: Vec<u8>,
    /// Packets that the gdbstub has not taken yet. It drops one that stops a running machine.
    untaken: usize,
    /// Whether an answer is still to come.
    waits: bool,
}

impl Kept {
    /// For a debugger that has come just now. The gdbstub still takes addresses as the debugger before it had them.
    pub(super) fn new(physical: bool) -> Self {
        Self { physical, ..Self::default() }
    }

    /// The debugger asks for `data`.
    pub(super) fn asks(&mut self, data: &[u8]) {
        let again = self.untaken > 0 && self.asked == data;
        self.untaken += usize::from(!again);
        self.runs = self.runs || resumes(data);
        self.parted = data.starts_with(b"vKill") || data == b"k";
        self.waits = true;
        self.asked = data.to_vec();
    }

    /// The gdbstub has taken a packet.
    pub(super) fn taken(&mut self) {
        self.untaken = self.untaken.saturating_sub(1);
    }

    /// The gdbstub answers `data`.
    pub(super) fn answers(&mut self, data: &[u8]) {
        if let Some(stop) = StopReply::parse(data) {
            self.stopped(stop);
        } else if !is_output(data) && self.untaken == 0 {
            self.waits = false;
            self.answered(data == b"OK");
        }
    }

    /// The machine stands still, as `stop` says. What was not taken was dropped.
    fn stopped(&mut self, stop: StopReply) {
        if self.runs
            && let StopReply::Stopped { thread: Some(thread), .. } = stop
        {
            self.thread = Some(thread);
        }
        (self.runs, self.waits, self.untaken) = (false, false, 0);
    }

    /// What was asked last is answered: the machine stands still, unless it was let go just now.
    fn answered(&mut self, ok: bool) {
        let asked = std::mem::take(&mut self.asked);
        self.runs = false;
        if !ok {
            return;
        }
        if command(&asked).is_some_and(|command| matches!(command.trim(), "c" | "cont")) {
            self.runs = true;
            return;
        }
        match String::from_utf8_lossy(&asked).as_ref() {
            "Qqemu.PhyMemMode:1" => self.physical = true,
            "Qqemu.PhyMemMode:0" => self.physical = false,
            detach if detach == "D" || detach.starts_with("D;") => (self.parted, self.runs) = (true, true),
            chosen => {
                if let Some(thread) = chosen.strip_prefix("Hg").filter(|thread| is_one(thread)) {
                    self.thread = Some(thread.to_owned());
                }
            }
        }
    }

    /// Why the machine cannot be looked at now, if it cannot.
    pub(super) const fn forbids(&self) -> Option<&'static str> {
        match (self.runs, self.waits) {
            (true, _) => Some("error: the machine runs; interrupt it first\n"),
            (false, true) => Some("error: QEMU still owes an answer; ask again after it\n"),
            (false, false) => None,
        }
    }

    /// How a debugger leaves that goes now.
    pub(super) const fn left(&self) -> Left {
        match (self.parted, self.runs) {
            (true, _) => Left::Done,
            (false, true) => Left::Running,
            (false, false) => Left::Standing,
        }
    }
}

/// Whether `data` lets the machine run.
fn resumes(data: &[u8]) -> bool {
    let text = data.strip_prefix(b"vCont;");
    text.is_some() || matches!(data.first(), Some(b'c' | b's' | b'C' | b'S'))
}

/// Whether `data` is what a machine or a monitor prints, and no answer yet.
fn is_output(data: &[u8]) -> bool {
    data.first() == Some(&b'O') && data != b"OK"
}

/// Whether `thread` names one thread: `2` or `p1.2`, and not all of them (-1) or any (0).
fn is_one(thread: &str) -> bool {
    let (process, thread) = match thread.strip_prefix('p').and_then(|rest| rest.split_once('.')) {
        Some((process, thread)) => (process, thread),
        None => ("1", thread),
    };
    [process, thread].iter().all(|id| u64::from_str_radix(id, 16).is_ok_and(|id| id != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The debugger asks, the gdbstub takes it and answers.
    fn say(kept: &mut Kept, ask: &str, answer: &str) {
        kept.asks(ask.as_bytes());
        kept.taken();
        kept.answers(answer.as_bytes());
    }

    #[test]
    fn the_debuggers_thread_is_what_it_chose_or_where_the_machine_stopped() {
        let mut kept = Kept::default();
        let mut said = |ask: &str, answer: &str| {
            say(&mut kept, ask, answer);
            (kept.thread.clone(), kept.runs)
        };
        let of = |thread: &str| Some(thread.to_owned());
        assert_eq!(said("?", "T05thread:p01.01;"), (None, false));
        assert_eq!(said("Hgp1.2", "OK"), (of("p1.2"), false));
        for (ask, answer) in [("Hgp1.-1", "OK"), ("Hg0", "OK"), ("Hgp1.3", "E22"), ("Hcp1.1", "OK")] {
            assert_eq!(said(ask, answer), (of("p1.2"), false), "{ask}");
        }
        assert_eq!(said("vCont?", "vCont;c;C;s;S"), (of("p1.2"), false));
        assert_eq!(said("vCont;c:p1.-1", "T02thread:p01.01;"), (of("p01.01"), false));
        kept.asks(b"vCont;s:p1.1");
        assert!(kept.runs && kept.left() == Left::Running);
    }

    #[test]
    fn a_machine_that_answers_stands_still() {
        let mut kept = Kept::default();
        say(&mut kept, "vCont;c:p9.9", "E22");
        assert!(!kept.runs && kept.forbids().is_none());
        say(&mut kept, "vCont;c:p1.-1", "O6869");
        assert!(kept.runs && kept.forbids().is_some(), "output of the machine is no answer");
        kept.answers(b"T02thread:p01.01;");
        // `monitor cont` and `monitor info version`.
        say(&mut kept, "qRcmd,636f6e74", "OK");
        assert!(kept.runs && kept.left() == Left::Running);
        // What stops it is dropped, and comes again.
        kept.asks(b"qRcmd,696e666f2076657273696f6e");
        kept.asks(b"qRcmd,696e666f2076657273696f6e");
        kept.taken();
        kept.answers(b"O6869");
        assert!(kept.runs);
        kept.answers(b"OK");
        assert!(!kept.runs && kept.forbids().is_none());
        // The answer to something else does not stop what was let go after it.
        kept.asks(b"m0,1");
        kept.asks(b"vCont;c:p1.-1");
        kept.taken();
        kept.answers(b"00");
        assert!(kept.runs);
    }

    #[test]
    fn addresses_are_physical_as_long_as_the_debugger_has_them_so() {
        let mut kept = Kept::new(true);
        assert!(kept.physical);
        for (ask, answer, physical) in [("1", "OK", true), ("0", "E01", true), ("0", "OK", false)] {
            say(&mut kept, &format!("Qqemu.PhyMemMode:{ask}"), answer);
            assert_eq!(kept.physical, physical);
        }
    }

    #[test]
    fn a_debugger_that_detaches_leaves_the_machine_in_order_unless_it_comes_back() {
        let mut kept = Kept::default();
        assert_eq!(kept.left(), Left::Standing);
        say(&mut kept, "D;1", "OK");
        assert_eq!(kept.left(), Left::Done);
        say(&mut kept, "g", "00");
        assert_eq!(kept.left(), Left::Standing);
    }
}
