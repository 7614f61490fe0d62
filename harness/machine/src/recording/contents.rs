//! What is in a recording, without what its operations did to the machine.

use parallax_abi::mailbox::Response;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::format::ResponseLine;
use super::limit::{MAX_ALL_FINDINGS, MAX_FINDINGS, MAX_REQUESTS, limited};
use super::reader::{Replay, lines_from, parse, read_line};
use super::{RecordedFinding, RecordingError};

/// How much of an operation's text is kept, and of a finding's, in bytes.
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
    /// What was found after it and not before, in one line each.
    pub findings: Vec<String>,
}

/// The fields of a line that are kept; the others are skipped.
#[derive(Deserialize)]
struct Line {
    line: u32,
    text: String,
    #[serde(deserialize_with = "limited::<_, _, MAX_REQUESTS>")]
    responses: Vec<ResponseLine>,
    events: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "limited::<_, _, MAX_FINDINGS>")]
    findings: Vec<RecordedFinding>,
}

/// So much of `text` as is kept.
fn start_of(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT));
    text
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
        let (mut list, mut found) = (Vec::new(), 0_u64);
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
            let at = line;
            let Line { line, text, responses, events, findings } = parse(&text, &self.path, at)?;
            found += findings.len() as u64;
            if found > MAX_ALL_FINDINGS {
                let what = format!("more than {MAX_ALL_FINDINGS} findings up to here");
                return Err(RecordingError::Line { path: self.path.clone(), line: at, what });
            }
            let response = responses.first().map(|first| first.0);
            let findings = findings.iter().map(|finding| start_of(finding.to_string())).collect();
            list.push(Listed { line, text: start_of(text), response, events: events.is_some(), findings });
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
