//! Recordings that the tests make without QEMU, as they are and with lines of the test's own.

use std::fs;
use std::path::Path;

use parallax_engine::{Session, fake};
use parallax_machine::Machine;
use parallax_machine::recording::Recorder;
use parallax_trace::Trace;

/// Records `trace` on a machine that does everything it is asked.
#[allow(dead_code, reason = "not every test makes them")]
pub(crate) fn record(path: &Path, trace: &str) {
    let trace = Trace::parse("test", trace).expect("a trace");
    let mut machine = fake::Fake::new(&trace.machine, fake::all_ok);
    let recorder = Recorder::create(path, "r1", machine.target()).expect("a recording");
    let (mut session, _) = Session::start(&mut machine, Some(recorder)).expect("a session");
    let mut rest = &trace.ops[..];
    while !rest.is_empty() {
        rest = &rest[session.next(rest).expect("an operation").len()..];
    }
    session.finish().expect("a whole recording");
}

/// All lines of the recording at `path`: what it was made on, the boot, each operation, the end.
#[allow(dead_code, reason = "not every test reads them")]
pub(crate) fn lines(path: &Path) -> Vec<String> {
    let text = zstd::decode_all(&fs::read(path).expect("a recording")[..]).expect("zstd");
    String::from_utf8(text).expect("text").lines().map(|line| format!("{line}\n")).collect()
}

/// Writes a recording of no more operations than fit between two keyframes, with `lines` as they stand.
#[allow(dead_code, reason = "not every test writes them")]
pub(crate) fn write(path: &Path, lines: &[String]) {
    let [first, entries @ .., last] = lines else { panic!("a recording has a beginning and an end") };
    let frames = [first.clone(), entries.concat(), last.clone()];
    let bytes = frames.iter().flat_map(|frame| zstd::encode_all(frame.as_bytes(), 3).expect("zstd"));
    fs::write(path, bytes.collect::<Vec<u8>>()).expect("a file");
}
