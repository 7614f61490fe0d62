//! What is in a recording, without what its operations did to the machine.

use parallax_abi::mailbox::Response;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::RecordingError;
use super::format::ResponseLine;
use super::limit::{MAX_REQUESTS, limited};
use super::reader::{Replay, lines_from, parse, read_line};

/// How much of an operation's text is kept, in bytes.
const TEXT: usize = 512;

/// An operation in the list of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its line in the trace; 0 for the boot.
    pub line: u32,
    /// Its text, in canonical form.
    pub text: String,
    /// The first response, if there is any.
    pub response: Option<Response>,
    /// Whether the recording says what happened inside of it.
    pub events: bool,
}

/// The fields of a line that are kept; the others are skipped.
#[derive(Deserialize)]
struct Line {
    line: u32,
    text: String,
    #[serde(deserialize_with = "limited::<_, _, MAX_REQUESTS>")]
    responses: Vec<ResponseLine>,
    events: Option<IgnoredAny>,
}

impl Replay {
    /// All operations, the boot first. The recording goes on standing where it stands.
    ///
    /// # Errors
    /// A line is malformed, or `cancelled` says so.
    pub fn operations(&self, cancelled: &dyn Fn() -> bool) -> Result<Vec<Listed>, RecordingError> {
        let entries = self.last() + 1;
        let mut lines = lines_from(&self.data, self.frames[0])
            .map_err(|source| RecordingError::Io { path: self.path.clone(), source })?;
        let mut list = Vec::new();
        read_line(&mut lines, &self.path, 1)?;
        for number in 0..entries {
            let line = number + 2;
            if cancelled() {
                return Err(RecordingError::Cancelled);
            }
            let text = read_line(&mut lines, &self.path, line)?.ok_or_else(|| RecordingError::Line {
                path: self.path.clone(),
                line,
                what: "the recording ends here".to_owned(),
            })?;
            let Line { line, mut text, responses, events } = parse(&text, &self.path, line)?;
            let end = (0..=TEXT.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
            text.truncate(end.unwrap_or(0));
            let response = responses.first().map(|first| first.0);
            list.push(Listed { line, text, response, events: events.is_some() });
        }
        // A frame has its checksum at its end: what is read up to its last line only has not been checked.
        while read_line(&mut lines, &self.path, entries + 2)?.is_some() {
            if cancelled() {
                return Err(RecordingError::Cancelled);
            }
        }
        Ok(list)
    }
}
