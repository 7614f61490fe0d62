//! `parallax fuzz --target A,B`: the same random operations on several targets, and a table where they differ.
//!
//! ```text
//! seed 1, 10000 operations on hyp and on pkvm:7.3
//! 20 traces: 9830 equal, 170 allowed, 0 not compared, 0 findings
//! nothing found
//! ```

use anyhow::Result;
use parallax_engine::status::Status;
use parallax_fuzz::beside::Beside;

use crate::cli::Fuzz;
use crate::cmd::beside::Targets;
use crate::cmd::progress;
use crate::cmd::run::compare::Sum;

/// Operations, where no number is given: each machine boots a kernel.
const USUAL: u64 = 10_000;

/// Runs it.
pub(super) fn run(args: &Fuzz) -> Result<Status> {
    let run = Beside { seed: args.seed, ops: args.ops.unwrap_or(USUAL) };
    let targets = Targets::new(&args.target, &run.trace(0))?;
    let bar = progress::of_traces(usize::try_from(run.machines()).unwrap_or(usize::MAX));
    bar.set_message("comparing");
    let mut sum = Sum::default();
    let mut found = None;
    let mut machines = 0;
    while machines < run.machines() && found.is_none() && !targets.cancel.is_cancelled() {
        found = targets.compare(&run.trace(machines), &mut sum)?;
        machines += 1;
        bar.inc(1);
    }
    bar.finish_and_clear();
    let done = format!("seed {}, {} operations on {}\n", run.seed, run.ops, targets.names.join(" and on "));
    let text = done + &sum.text(usize::try_from(machines).unwrap_or(usize::MAX));
    targets.end(&text, found, args.save.as_deref())
}
