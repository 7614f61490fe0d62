//! What speaks against taking a result as a golden.

use std::fmt;
use std::path::Path;

use parallax_model::GoldenLine::{self, Boot, Change, Finding, Operation, Together};
use parallax_trace::Trace;

use super::{GoldenError, file, trace_of};
use crate::regular;

/// The largest trace that is looked at, in bytes.
const MAX_TRACE: u64 = 64 << 20;

/// A reason not to take a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Objection {
    /// So many findings are in it where none may be. They may be known and wanted: this one can be overruled.
    Findings(usize),
    /// Its trace is gone: nobody would ever compare with it.
    Orphan,
    /// It is the result of other operations than the trace has now.
    Stale {
        /// The line of the trace where they differ.
        line: usize,
    },
}

impl Objection {
    /// Whether `--even-with-findings` overrules it.
    #[must_use]
    pub const fn can_be_overruled(&self) -> bool {
        matches!(self, Self::Findings(_))
    }
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Findings(1) => f.write_str("1 finding"),
            Self::Findings(count) => write!(f, "{count} findings"),
            Self::Orphan => f.write_str("its trace is gone"),
            Self::Stale { line } => {
                write!(
                    f,
                    "it is the result of an older text of its trace, which changed in line {line}: run that again"
                )
            }
        }
    }
}

/// What speaks against taking the pending golden at `pending`.
///
/// # Errors
/// It is no snapshot, or cannot be read.
pub fn objections(pending: &Path) -> Result<Vec<Objection>, GoldenError> {
    let trace = trace_of(&pending.with_extension(""));
    let Some(text) = file::text(pending)? else { return Ok(Vec::new()) };
    let mut objections = Vec::new();
    match regular::read(&trace, MAX_TRACE) {
        Err(_) => objections.push(Objection::Orphan),
        Ok(bytes) => objections.extend(stale(&String::from_utf8_lossy(&bytes), &text)),
    }
    let wanted = pending.parent().and_then(Path::file_name).is_some_and(|folder| folder == "bad");
    match file::findings_of(&text) {
        count if count > 0 && !wanted => objections.push(Objection::Findings(count)),
        _ => (),
    }
    Ok(objections)
}

/// Where the operations of a golden's text are not those of a trace's. A trace that is malformed now has changed, too.
fn stale(trace: &str, golden: &str) -> Option<Objection> {
    let Ok(trace) = Trace::parse("", trace) else { return Some(Objection::Stale { line: 1 }) };
    let mut performed =
        golden.lines().map(GoldenLine::of).filter(|line| !matches!(line, Change(_) | Finding(_) | Boot));
    for op in &trace.ops {
        let schedule = op.at_once.as_ref().map(|at_once| at_once.schedule.to_string());
        let at_once = schedule.is_none_or(|schedule| performed.next() == Some(Together(&schedule)));
        let expected = format!("{}: {op} -> ", op.line);
        if !at_once || !matches!(performed.next(), Some(Operation(line)) if line.starts_with(&expected)) {
            return Some(Objection::Stale { line: op.line });
        }
    }
    let left = match performed.next()? {
        Operation(line) => line.split_once(':').and_then(|(line, _)| line.parse().ok()),
        _ => None,
    };
    Some(Objection::Stale { line: left.unwrap_or(1) })
}

#[cfg(test)]
mod tests {
    use super::super::{Place, save};
    use super::*;

    const TRACE: &str = "# x\nnop\nhost_share_hyp pfn=ram+0x10 => ok\n";
    const RESULT: &str = "2: nop -> ok\n3: host_share_hyp pfn=ram+0x10 -> ok\n   page a\n";

    fn of(name: &str, trace: Option<&str>, result: &str) -> Vec<Objection> {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("traces").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        if let Some(trace) = trace {
            std::fs::write(&path, trace).unwrap();
        }
        let place = Place::of(&path);
        save(&place, &place.pending(), result).unwrap();
        objections(&place.pending()).unwrap()
    }

    #[test]
    fn nothing_speaks_against_a_result_of_the_trace_as_it_is() {
        assert_eq!(of("good/a.trace", Some(TRACE), RESULT), []);
        assert_eq!(of("bad/a.trace", Some(TRACE), &format!("boot\n   ! sync/x\n{RESULT}   ! sync/y\n")), []);
    }

    #[test]
    fn operations_at_once_were_performed_under_the_schedule_that_the_trace_has() {
        let trace =
            |schedule: &str| format!("machine cpus=2\ntogether {schedule}\nnop\ncpu=1 nop\nend\nnop\n");
        let result = "together 01\n3: nop -> ok\n4: cpu=1 nop -> ok\n6: nop -> ok\n";
        assert_eq!(of("good/a.trace", Some(&trace("01")), result), []);
        assert_eq!(of("good/a.trace", Some(&trace("10")), result), [Objection::Stale { line: 3 }]);
        let result = result.replace("together 01\n", "");
        assert_eq!(of("good/a.trace", Some(&trace("01")), &result), [Objection::Stale { line: 3 }]);
    }

    #[test]
    fn findings_speak_against_it_and_can_be_overruled() {
        let found = of("good/a.trace", Some(TRACE), &format!("boot\n   ! sync/x\n{RESULT}   ! sync/y\n"));
        assert_eq!(found, [Objection::Findings(2)]);
        assert!(found[0].can_be_overruled());
    }

    #[test]
    fn a_trace_that_changed_or_is_gone_speaks_against_it_for_good() {
        for (trace, line) in [
            ("# x\nnop\nhost_share_hyp pfn=ram+0x11\n", 3),
            ("nop\n# x\nhost_share_hyp pfn=ram+0x10\n", 1),
            ("# x\nnop\n", 3),
            ("# x\nnop\nhost_share_hyp pfn=ram+0x10\nnop\n", 4),
            ("nonsense", 1),
        ] {
            assert_eq!(of("good/a.trace", Some(trace), RESULT), [Objection::Stale { line }], "{trace}");
        }
        let gone = of("good/a.trace", None, RESULT);
        assert_eq!(gone, [Objection::Orphan]);
        assert!(!gone[0].can_be_overruled() && !Objection::Stale { line: 1 }.can_be_overruled());
    }
}
