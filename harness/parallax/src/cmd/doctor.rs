//! `parallax doctor`: what is missing on this machine, and the command that mends it.
//!
//! ```text
//! ok       QEMU                  10.0.2 (/usr/bin/qemu-system-aarch64)
//! missing  bare-metal toolchain  …
//!          run: ci/setup
//! ```

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use anyhow::Result;
use parallax_machine::doctor::{self, Outcome};

use super::print;
use crate::cli::Doctor;
use crate::project;
use crate::status::Status;

const OK: Style = AnsiColor::Green.on_default();
const WARNING: Style = AnsiColor::Yellow.on_default();
const MISSING: Style = AnsiColor::Red.on_default();

/// Runs it.
pub(super) fn doctor(args: &Doctor) -> Result<Status> {
    let checks = doctor::check_all(&project::root(&[])?, args.build);
    let mut text = String::new();
    for check in &checks {
        let (style, word, what, remedy) = match &check.outcome {
            Outcome::Good(what) => (OK, "ok", what, None),
            Outcome::Warning { problem, remedy } => (WARNING, "warning", problem, Some(remedy)),
            Outcome::Bad { problem, remedy } => (MISSING, "missing", problem, Some(remedy)),
        };
        writeln!(text, "{style}{word:<8}{style:#} {:<21} {what}", check.name)?;
        if let Some(remedy) = remedy {
            writeln!(text, "{:<8} run: {remedy}", "")?;
        }
    }
    print(&text)?;
    Ok(if checks.iter().all(doctor::Check::usable) { Status::Same } else { Status::Setup })
}
