//! How many events a second the order of events is judged of, as they are and read from a text, as `parallax check` does.

mod stream;

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::process;

use parallax_engine::status::Failure;
use parallax_machine::scratch::Scratch;
use parallax_protocol::casemate::{self, Form};
use parallax_protocol::{Checker, Config};

use crate::cpu_time;
use crate::setup::{Setup, table};

/// Events of the stream.
const EVENTS: usize = 2_000_000;
/// Bytes of text that are gathered before they are written.
const GATHERED: usize = 1 << 16;

/// Measures, and renders what was measured.
pub(crate) fn measure(setup: &Setup) -> Result<String, Failure> {
    let count = setup.scaled(EVENTS);
    let folder = Scratch::new().map_err(|error| Failure::file("a folder for a text", &error))?;
    let path = folder.path().join("events.cm");
    let failed = |error: &std::io::Error| Failure::file(path.display(), error);
    let bytes = written(&path, count).map_err(|error| failed(&error))?;
    let mut kept = Vec::with_capacity(count);
    stream::events(count, &mut |event| kept.push(*event));
    let as_they_are = judged("as they are", |checker| {
        kept.iter().for_each(|event| checker.event(event));
        Ok(())
    })?;
    drop(kept);
    let of_a_text = judged(&format!("of a text of {} MB", bytes / 1_000_000), |checker| {
        let file = File::open(&path).map_err(|error| failed(&error))?;
        casemate::read(file, |event| checker.event(event))
            .map_err(|error| Failure::usage(error.to_string()))?;
        Ok(())
    })?;
    let header = ["judging the order of events", "events", "processor time", "million a second"];
    let mut text = String::new();
    let _ = writeln!(text, "{}\n", table(header, &[as_they_are, of_a_text]));
    Ok(text)
}

/// Writes the stream to `path`, and gives how long the text is.
fn written(path: &std::path::Path, count: usize) -> std::io::Result<u64> {
    let mut file = BufWriter::new(File::create(path)?);
    let (mut text, mut bytes, mut result) = (String::new(), 0, Ok(()));
    stream::events(count, &mut |event| {
        let source = format!("<Tree>::function_{0} hyp/core/src/pgtable/tree.rs:{0}", event.pc / 4 % 64);
        casemate::write(&mut text, event, Some(&source), Form::Named, true);
        if text.len() > GATHERED {
            bytes += text.len() as u64;
            result = std::mem::replace(&mut result, Ok(())).and_then(|()| file.write_all(text.as_bytes()));
            text.clear();
        }
    });
    result?;
    file.write_all(text.as_bytes())?;
    file.flush()?;
    Ok(bytes + text.len() as u64)
}

/// A row of the table: what became of the events that `run` has judged, none of which breaks a rule.
fn judged(what: &str, run: impl FnOnce(&mut Checker) -> Result<(), Failure>) -> Result<[String; 4], Failure> {
    let mut checker = Checker::new(Config::default());
    let begin = cpu_time::of(process::id())?;
    run(&mut checker)?;
    let seconds = cpu_time::of(process::id())? - begin;
    if let Some(finding) = checker.findings().first() {
        return Err(Failure::usage(format!("the stream breaks {}: {}", finding.rule.name(), finding.what)));
    }
    let events = checker.events();
    let rate = events as f64 / seconds.max(0.01) / 1e6;
    Ok([what.to_owned(), events.to_string(), format!("{seconds:.2} s"), format!("{rate:.1}")])
}
