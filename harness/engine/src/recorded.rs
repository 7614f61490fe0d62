//! What a recording says of its operations.

use parallax_abi::mailbox::Response;
use parallax_machine::recording::Operation;
use parallax_ops::Answer;
use parallax_trace::Trace;

/// The result of a recorded operation; empty for the boot.
#[must_use]
pub fn result(operation: &Operation) -> String {
    result_of(&operation.text, operation.responses.first())
}

/// The result of the recorded operation `text` that was answered with `response`, without values; empty for the boot.
#[must_use]
pub fn result_of(text: &str, response: Option<&Response>) -> String {
    let Some(response) = response else { return String::new() };
    let line = format!("machine cpus=8\n{text}");
    let op = Trace::parse("recording", &line).ok().and_then(|trace| trace.ops.into_iter().next());
    op.map_or_else(String::new, |op| Answer::of(&op.shape(), response).outcome.without_value().to_string())
}
