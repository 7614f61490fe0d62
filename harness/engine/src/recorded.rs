//! Operations as recordings hold them, and what a recording says of them.

use parallax_abi::journal::Record;
use parallax_abi::mailbox::Response;
use parallax_machine::recording::{Operation, RecordedFinding};
use parallax_model::Finding;
use parallax_ops::Answer;
use parallax_trace::Trace;

use crate::judge::Performed;

/// What stands between operations that were performed at once, and between their results.
pub const AND: &str = "; ";

/// What there is to say of a finding beyond its text.
pub(crate) type Detail<'a> = &'a dyn Fn(&Finding) -> Vec<String>;

fn findings(findings: &[Finding], detail: Detail<'_>) -> Vec<RecordedFinding> {
    findings.iter().map(|finding| RecordedFinding::with_detail(finding.clone(), detail(finding))).collect()
}

/// The boot, and what was found after it.
pub(crate) fn boot(found: &[Finding], detail: Detail<'_>) -> Operation {
    Operation { text: "boot".to_owned(), findings: findings(found, detail), ..Default::default() }
}

/// What was `performed` between two looks, what was answered to it, and what was found after it.
pub(crate) fn operations(
    performed: &[Performed<'_>],
    events: &[Record],
    found: &[Finding],
    detail: Detail<'_>,
) -> Operation {
    let texts: Vec<String> = performed.iter().map(|one| one.op.to_string()).collect();
    let mut lines = performed.iter().map(|one| u32::try_from(one.op.line).unwrap_or(u32::MAX));
    Operation {
        line: lines.next().unwrap_or_default(),
        others_at: lines.collect(),
        text: texts.join(AND),
        requests: performed.iter().map(|one| one.operation.request(one.op.cpu)).collect(),
        responses: performed.iter().map(|one| one.answer.response).collect(),
        events: events.to_vec(),
        findings: findings(found, detail),
    }
}

/// The result of a recorded operation, of several that were performed at once each of them; empty for the boot.
#[must_use]
pub fn result(operation: &Operation) -> String {
    let answered = operation.text.split(AND).zip(&operation.responses);
    answered.map(|(text, response)| result_of(text, Some(response))).collect::<Vec<_>>().join(AND)
}

/// The result of the recorded operation `text` that was answered with `response`, without values; empty for the boot.
#[must_use]
pub fn result_of(text: &str, response: Option<&Response>) -> String {
    let Some(response) = response else { return String::new() };
    let line = format!("machine cpus=8\n{text}");
    let op = Trace::parse("recording", &line).ok().and_then(|trace| trace.ops.into_iter().next());
    op.map_or_else(String::new, |op| Answer::of(&op.shape(), response).outcome.without_value().to_string())
}
