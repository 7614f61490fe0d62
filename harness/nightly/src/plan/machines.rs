//! Traces on machines.

use super::form::Form;
use super::work::{Cell, Piece, Traces, Work};
use crate::qemus::Qemu;

/// How the machines are driven.
const MODES: [&str; 2] = ["step", "stream"];

/// A mode and settings, such as `step`, `smmu=shared`.
type Setting = (&'static str, &'static str, &'static str, u8);

/// All machines; the short form takes each value at least once.
fn machines(form: Form) -> Vec<Setting> {
    let few = [
        ("step", "shadow", "pages", 2),
        ("stream", "shared", "blocks", 4),
        ("stream", "shadow", "blocks", 1),
    ];
    let mut all = Vec::new();
    for mode in MODES {
        for smmu in ["shadow", "shared"] {
            for map in ["blocks", "pages"] {
                all.extend([1, 2, 4].map(|cpus| (mode, smmu, map, cpus)));
            }
        }
    }
    if form == Form::Short { few.to_vec() } else { all }
}

/// All traces on their own machines and good ones on others, with each QEMU. The short form has other machines with one
/// QEMU only.
pub(super) fn pieces(form: Form, qemus: &[Qemu]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for (index, qemu) in qemus.iter().enumerate() {
        let cell = |name: String, words: Vec<String>, traces| {
            Piece(vec![Work::Cell(Cell { name, qemu: Some(qemu.clone()), words, traces })])
        };
        let version = &qemu.version;
        for mode in MODES {
            let name = format!("qemu {version}, {mode}, own machines, goldens");
            // What differs is told in the history; nothing of it waits for a review in the source tree.
            let words = ["--look", "--mode", mode].map(str::to_owned).to_vec();
            pieces.push(cell(name, words, Traces::All));
        }
        if index > 0 && form == Form::Short {
            continue;
        }
        for (mode, smmu, map, cpus) in machines(form) {
            let settings = [format!("smmu={smmu}"), format!("smmu.map={map}"), format!("cpus={cpus}")];
            let name = format!("qemu {version}, {mode}, {}", settings.join(" "));
            let mut words = vec!["--mode".to_owned(), mode.to_owned()];
            words.extend(settings.into_iter().flat_map(|setting| ["--machine".to_owned(), setting]));
            pieces.push(cell(name, words, Traces::Fit));
        }
    }
    pieces
}
