//! `parallax review`: go through the results that wait, one trace at a time, in a terminal.

use std::io::IsTerminal;

use anyhow::Result;
use parallax_engine::project;
use parallax_engine::status::{Failure, Status};
use parallax_report::golden;

use super::output::print;
use crate::cli::Review;
use crate::interrupt;

/// Runs it.
pub(super) fn review(args: &Review) -> Result<Status> {
    let root = project::root(&args.paths)?;
    let pending = match args.paths.as_slice() {
        [] => golden::pending_in(&root.join("golden"))?,
        paths => golden::pending_of_all(paths)?,
    };
    let items = parallax_review::load(&root, &pending)?;
    if items.is_empty() {
        print("nothing waits for a review\n")?;
        return Ok(Status::Same);
    }
    if args.list {
        print(&parallax_review::listed(items)?)?;
        return Ok(Status::Diverged);
    }
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        let message = "a review needs a terminal: without one, `parallax review --list` tells what waits and \
                       `parallax accept` takes it";
        return Err(Failure::usage(message).into());
    }
    match parallax_review::review(&root, items, &interrupt::token()?)? {
        Some(decided) => {
            print(&decided.text)?;
            Ok(if decided.left { Status::Diverged } else { Status::Same })
        }
        None => {
            // Where the terminal was closed, there is nobody to tell.
            let _ = print("left without a change\n");
            Ok(Status::Interrupted)
        }
    }
}
