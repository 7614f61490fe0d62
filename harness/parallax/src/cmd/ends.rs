//! How a search ends that found nothing.

use anyhow::Result;
use parallax_engine::status::Status;

use super::output::print;

/// Says that nothing was found; where the user ended the search before its end, until then, and how it goes `on`.
pub(super) fn nothing_found(interrupted: bool, on: &str) -> Result<Status> {
    if !interrupted {
        print("nothing found\n")?;
        return Ok(Status::Same);
    }
    print(&format!("interrupted: nothing found until then; {on}\n"))?;
    Ok(Status::Interrupted)
}

/// The same for who has a program read the output.
pub(super) fn nothing_found_silently(interrupted: bool, on: &str) -> Status {
    if interrupted {
        parallax_engine::note!("interrupted: nothing found until then; {on}");
    }
    if interrupted { Status::Interrupted } else { Status::Same }
}
