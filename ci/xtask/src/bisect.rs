//! `cargo xtask bisect`: `parallax bisect` on histories whose first bad commit is known.
//!
//! A clone of HEAD gets ten more commits for each ([`clone`]); what they change of the hypervisor is in [`edits`].

mod clone;
mod edits;
mod ends;
mod histories;

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use self::clone::Clone;
use crate::room::{Room, print};

pub(crate) const EXAMPLE: &str = "\
Each history is HEAD with some more commits, in a clone under target/bisect-history. It stays for the next time, with what was
compiled there; the images themselves are built anew, since it is counted how many are.

Examples:
  cargo xtask bisect                 # reports go to target/bisect-history/reports
  cargo xtask bisect found           # and here to a folder of yours

Exit status: 0 each time the right commit, operation and reason were named, 1 not.";

/// Arguments of `bisect`.
#[derive(Debug, Args)]
pub(crate) struct Bisect {
    /// Gets the reports
    #[arg(value_parser = crate::from_here)]
    folder: Option<PathBuf>,
}

pub(crate) fn bisect(room: &Room, arguments: &Bisect) -> Result<()> {
    let work = room.root().join("target/bisect-history");
    let reports = arguments.folder.clone().unwrap_or_else(|| work.join("reports"));
    let clone = Clone::new(room, work.join("clone"), reports)?;
    let planted = histories::one_invalidation(&clone)?;
    let last = ends::newest_image(&clone)?;
    ends::not_as_said(&clone, &planted)?;
    ends::killed(&clone, &planted, &last)?;
    histories::on_purpose(&clone)?;
    histories::of_64(&clone)?;
    histories::by_git(&clone)?;
    histories::no_boot(&clone)?;
    print(format!("\nbisect: all as planted; reports in {}", clone.reports.display()))
}
