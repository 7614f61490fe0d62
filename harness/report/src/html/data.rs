//! What the page has of a recording.

use serde::Serialize;

use crate::operation_events::Counts;

/// A recording.
#[derive(Serialize)]
pub(super) struct Recorded {
    pub(super) name: String,
    pub(super) revision: String,
    pub(super) qemu: String,
    /// The machine line of a trace.
    pub(super) machine: String,
    pub(super) fault: Option<&'static str>,
    /// Name, first address and size, the more special first.
    pub(super) regions: Vec<(String, u64, u64)>,
    /// Input addresses are below this.
    pub(super) limit: u64,
    pub(super) ops: Vec<Performed>,
}

/// An operation. Texts and values are numbers of [`super::intern::Intern`].
#[derive(Serialize)]
pub(super) struct Performed {
    pub(super) line: u32,
    pub(super) text: usize,
    pub(super) result: usize,
    /// Instructions at EL2, where the recording says how many.
    pub(super) instructions: Option<u64>,
    /// Lane, table, first frame (or StreamID), their number, value, five numbers a change; what went has value -1.
    pub(super) changes: Vec<i64>,
    /// Changes of registers and of EL2's stage 1.
    pub(super) lines: Vec<usize>,
    pub(super) counts: Counts,
    pub(super) events: Vec<usize>,
    /// The attribute table, as JSON text.
    pub(super) attributes: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) findings: Vec<Shown>,
    /// What it did, in order, where a rule of the order was broken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) order: Vec<Happened>,
}

/// Something that happened inside of an operation: kind, CPU, a number of [`super::intern::Intern`], and whether a rule was broken there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Happened(pub(super) u8, pub(super) u8, pub(super) usize, pub(super) bool);

impl Performed {
    /// How much there is to it.
    pub(super) fn items(&self) -> usize {
        self.changes.len() / 5 + self.lines.len() + self.events.len() + self.findings.len() + self.order.len()
    }
}

/// A finding as the page shows it.
#[derive(Serialize)]
pub(super) struct Shown {
    pub(super) text: usize,
    /// What of it is compared with another recording.
    #[serde(skip)]
    pub(super) identity: usize,
    /// What there is to say of it beyond that: what was missing, where, since when.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) detail: Vec<usize>,
    /// What the rule means, a number of [`super::intern::Intern`].
    pub(super) meaning: Option<usize>,
    /// The page, where it has one.
    pub(super) page: Option<u64>,
    /// What each side says there: side and text.
    pub(super) views: Vec<(&'static str, String)>,
    /// What it is about.
    #[serde(skip)]
    pub(super) about: Option<About>,
    /// How it came about, where an operation did it.
    pub(super) story: Option<Story>,
}

/// What an operation did to the entries that a finding is about.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Story {
    /// Number of the operation.
    pub(super) op: usize,
    /// What it did, a number of [`super::intern::Intern`]; absent where no more is told in the page, or nothing was recorded.
    pub(super) text: Option<usize>,
}

/// What a finding is about.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum About {
    Page(u64),
    Stream(u32),
}
