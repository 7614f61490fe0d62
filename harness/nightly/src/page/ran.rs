//! What the last night ran, and the table of nights.

use std::path::Path;

use parallax_report::html::still::escape;

use super::html::{Value, section, table};
use crate::history::Night;
use crate::perform::log_name;
use crate::time;

/// The class and the word of a night's status.
pub(super) const fn word(status: Option<u8>) -> (&'static str, &'static str) {
    match status {
        Some(0) => ("good", "✓ in order"),
        Some(_) => ("bad", "✗ not in order"),
        None => ("bad", "… not at its end"),
    }
}

/// The name of what was run; a link to what it said, if that is there.
pub(super) fn log_link(logs: &Path, night: i64, name: &str) -> Value {
    let file = log_name(name);
    if logs.join(&file).is_file() {
        let href = format!("logs/{night}/{file}");
        Value::Html(format!("<a href=\"{}\"><pre>{}</pre></a>", escape(&href), escape(name)))
    } else {
        name.into()
    }
}

/// What `night` ran. Whether a step is in order is for what is known of it to say: of some another exit status than 0 is right.
pub(super) fn ran(night: &Night, folder: &Path) -> String {
    let logs = folder.join("logs").join(night.night.to_string());
    let names = |names: Vec<&str>| names.join(", ");
    let qemus = names(night.qemus.iter().map(|qemu| &*qemu.version).collect());
    let parts = names(night.parts.iter().map(|part| &*part.part).collect());
    let mut on: Vec<String> = Vec::new();
    if !qemus.is_empty() {
        on.push(format!("QEMU {qemus}"));
    }
    if !parts.is_empty() {
        on.push(format!("put together of the parts {parts}"));
    }
    let on = if on.is_empty() {
        String::new()
    } else {
        format!("<p class=\"soft\">{}</p>", escape(&on.join("; ")))
    };
    let rows: Vec<Vec<Value>> = night
        .cells
        .iter()
        .map(|cell| {
            let mut problems = night.problems.iter().filter(|problem| problem.cell == cell.name).peekable();
            let word = match (problems.peek().is_some(), problems.all(|problem| problem.flaky)) {
                (false, _) => Value::Word("good", "✓ in order"),
                (true, true) => Value::Word("flaky", "~ flaky"),
                (true, false) => Value::Word("bad", "✗ not in order"),
            };
            let count = |count: i64| Value::Number((count != 0).then_some(count as f64));
            let seconds = (cell.seconds * 10.0).round() / 10.0;
            vec![
                word,
                log_link(&logs, night.night, &cell.name),
                count(cell.traces),
                count(cell.operations),
                Value::Number(Some(seconds)),
                Value::Number(Some(cell.status as f64)),
            ]
        })
        .collect();
    let heads = ["", "what", "traces", "operations", "seconds", "exit status"];
    section(&format!("What night {} ran", night.night), &format!("{on}{}", table(&heads, &rows)), "")
}

/// The table of nights, the last one first.
pub(super) fn nights(nights: &[Night]) -> String {
    let rows: Vec<Vec<Value>> = nights
        .iter()
        .rev()
        .map(|night| {
            let (class, word) = word(night.status);
            let count = |flaky: bool| {
                let count = night.problems.iter().filter(|problem| problem.flaky == flaky).count();
                Value::Number(Some(count as f64))
            };
            vec![
                Value::Number(Some(night.night as f64)),
                Value::Word(class, word),
                Value::Text(time::utc(night.started)),
                (&night.revision).into(),
                (&night.form).into(),
                (&night.part).into(),
                Value::Number(Some(night.seconds.unwrap_or_default().round())),
                count(false),
                count(true),
            ]
        })
        .collect();
    let heads = ["night", "", "begun", "revision", "form", "part", "seconds", "not in order", "flaky"];
    section("Nights", &table(&heads, &rows), "")
}
