//! What is replaced is of the kind that is written, so that a file that is named by mistake stays.

use std::fs::{self, File, Metadata};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use parallax_engine::status::Failure;
use parallax_machine::recording;
use parallax_protocol::casemate;
use parallax_report::html::{self, perfetto};

/// So much of a file tells its kind.
const BEGINNING: u64 = 1024;
/// The number of `/dev/null`, where nothing can be lost and nothing fails.
const NULL: u64 = 0x103;

/// What is written to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A recording.
    Recording,
    /// The events of a run.
    Events,
    /// A recording as a page.
    Page,
    /// A recording as a Chrome trace.
    Perfetto,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Recording => "recording",
            Self::Events => "file of events",
            Self::Page => "report",
            Self::Perfetto => "trace for Perfetto",
        }
    }

    /// Whether a file that begins with `bytes` is of this kind. One that was never written to is of any.
    fn begins(self, bytes: &[u8]) -> bool {
        bytes.is_empty()
            || match self {
                Self::Recording => recording::begins(bytes),
                Self::Events => casemate::begins(bytes),
                Self::Page => html::begins(bytes),
                Self::Perfetto => perfetto::begins(bytes),
            }
    }

    /// Whether it can be written to what is `there` and is no file. A recording is put in the place of what is there.
    fn goes_to(self, there: &Metadata) -> bool {
        let output = |fd| {
            fs::metadata(fd).is_ok_and(|output| (output.dev(), output.ino()) == (there.dev(), there.ino()))
        };
        match self {
            Self::Recording => false,
            Self::Events => {
                there.file_type().is_fifo()
                    || there.rdev() == NULL
                    || ["/proc/self/fd/1", "/proc/self/fd/2"].into_iter().any(output)
            }
            Self::Page | Self::Perfetto => true,
        }
    }
}

/// Refuses the `path` that `argument` names where something else is than what is to be written, of `kind`.
pub(super) fn only_its_own(argument: &str, path: &Path, kind: Kind) -> Result<(), Failure> {
    let refused =
        |what: &str| Err(Failure::usage(format!("{argument} {}: {what}: name another file", path.display())));
    let Ok(there) = fs::metadata(path) else { return Ok(()) };
    if !there.is_file() {
        return if kind.goes_to(&there) { Ok(()) } else { refused("it is no file") };
    }
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(BEGINNING).read_to_end(&mut bytes));
    match read {
        Err(error) => refused(&error.to_string()),
        Ok(_) if kind.begins(&bytes) => Ok(()),
        Ok(_) => {
            let (path, name) = (path.display(), kind.name());
            let message = format!("{argument} {path}: it is no {name}: name another file, or remove it");
            Err(Failure::usage(message))
        }
    }
}
