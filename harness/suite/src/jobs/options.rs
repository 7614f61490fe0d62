//! How to run many traces.

use std::path::PathBuf;
use std::thread;

use parallax_engine::Mode;
use parallax_engine::order::{Exported, Requirements};
use parallax_machine::CancellationToken;

/// What to do with goldens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GoldenMode {
    /// Compare; leave what differs for a review.
    #[default]
    Compare,
    /// Compare; leave nothing.
    Look,
    /// Take what came out.
    Accept,
    /// Leave them alone.
    Ignore,
}

impl GoldenMode {
    /// Whether something may be written to or removed from beside a golden.
    pub(super) const fn writes(self) -> bool {
        matches!(self, Self::Compare | Self::Accept)
    }
}

/// How to write down the events of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportForm {
    /// All that happened, for `parallax check`.
    Events,
    /// What Casemate itself takes.
    Casemate,
}

impl ExportForm {
    /// The form of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "events" => Some(Self::Events),
            "casemate" => Some(Self::Casemate),
            _ => None,
        }
    }

    /// `events` in this form.
    #[must_use]
    pub fn text(self, events: &Exported) -> String {
        match self {
            Self::Events => events.events(),
            Self::Casemate => events.casemate(),
        }
    }
}

/// Where the events of a run go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// How they are written.
    pub form: ExportForm,
    /// The file.
    pub path: PathBuf,
}

/// How to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many traces at a time; at least one.
    pub jobs: usize,
    /// What to do with goldens.
    pub golden: GoldenMode,
    /// Where to record; for one trace only.
    pub record: Option<PathBuf>,
    /// Where to write its events; for one trace only.
    pub export: Option<Export>,
    /// How often to run each trace; every run must give the same text and the same recording, byte for byte.
    pub repeat: usize,
    /// How to drive the machines.
    pub mode: Mode,
    /// The machines have the plugin: the order of events is judged.
    pub events: bool,
    /// What that asks for beyond the architecture.
    pub require: Requirements,
    /// Arguments of `parallax run` that make this run what it is, beside the trace.
    pub flags: Vec<String>,
    /// Those of them that `explain` takes.
    pub explain: Vec<String>,
    /// Nothing new begins once it is cancelled.
    pub cancel: CancellationToken,
}

/// How many traces to run at a time: as the user says, or one for each core.
#[must_use]
pub fn job_count(jobs: Option<u16>) -> usize {
    let cores = || thread::available_parallelism().map_or(1, usize::from);
    jobs.map_or_else(cores, usize::from)
}
