//! `parallax explore --target A,B`: the tour of what all targets can do, on each of them.
//!
//! ```text
//! ram+0x6000, ram+0x6001, ram+0x61ff, mmio:rtc, stream 8, 2 pins at most
//! 125 states, 8775 transitions
//!  cannot be                       transitions
//!  without dma_read: pkvm:7.3      375
//!  ...
//! 136 transitions in 8 states are left for hyp and for pkvm:7.3
//! ...
//! nothing found
//! ```

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use parallax_engine::status::Status;
use parallax_fuzz::explore::Exploration;
use parallax_fuzz::explore::beside::Beside;
use parallax_report::text_table;
use parallax_suite::compare::Row;

use crate::cli::Explore;
use crate::cmd::beside::Targets;
use crate::cmd::output::print;
use crate::cmd::progress;
use crate::cmd::run::compare::Sum;

/// Runs it.
pub(super) fn run(args: &Explore, exploration: &Exploration) -> Result<Status> {
    let each = exploration.one_of_each();
    let targets = Targets::new(&args.target, &each)?;
    let lacking = lacking(&targets.names, &targets.rows(&each)?);
    if targets.cancel.is_cancelled() {
        return Ok(Status::Interrupted);
    }
    let beside = exploration.beside(&lacking);
    print(&left(exploration, &beside, &targets.names))?;
    let mut parts = beside.tour();
    let tours = parts.len();
    parts.push(beside.untouched());
    let bar = progress::of_traces(parts.len());
    bar.set_message("comparing");
    let mut sum = Sum::default();
    let mut found = None;
    let mut taken = [BTreeSet::new(), BTreeSet::new()];
    let mut compared = 0;
    for (number, part) in parts.into_iter().enumerate() {
        found = targets.compare(&part.text, &mut sum)?;
        if targets.cancel.is_cancelled() {
            break;
        }
        taken[usize::from(number >= tours)].extend(part.transitions);
        compared += 1;
        bar.inc(1);
        if found.is_some() {
            break;
        }
    }
    bar.finish_and_clear();
    let [tour, untouched] = taken.map(|taken| taken.len());
    let all = beside.transitions();
    let done = format!(
        "compared {tour} of {all} transitions, and {untouched} once more on pages that nobody had touched\n"
    );
    targets.end(&(done + &sum.text(compared)), found, args.save.as_deref())
}

/// The words that a target lacks by `rows`, which have one operation of each, and what to say of them.
fn lacking(names: &[String], rows: &[Row]) -> BTreeMap<String, String> {
    let of_row = |row: &Row| {
        let lack: Vec<&str> = row
            .cells
            .iter()
            .zip(names)
            .filter(|(cell, _)| cell.lacks)
            .map(|(_, name)| name.as_str())
            .collect();
        let word = row.text.split_whitespace().next().unwrap_or_default();
        (!lack.is_empty()).then(|| (word.to_owned(), format!("without {word}: {}", lack.join(", "))))
    };
    rows.iter().filter_map(of_row).collect()
}

/// What cannot be and why, and what is left.
fn left(exploration: &Exploration, beside: &Beside, names: &[String]) -> String {
    let graph = &exploration.graph;
    let mut text = format!(
        "{}\n{} states, {} transitions\n",
        exploration.scope(),
        graph.states.len(),
        graph.transitions()
    );
    if !beside.left_out.is_empty() {
        let header = ["cannot be", "transitions"].map(str::to_owned);
        let rows: Vec<[String; 2]> =
            beside.left_out.iter().map(|(why, count)| [why.clone(), count.to_string()]).collect();
        text += &format!("{}\n", text_table::render(&header, &rows, usize::MAX));
    }
    let (transitions, states) = (beside.transitions(), beside.states());
    text + &format!("{transitions} transitions in {states} states are left for {}\n", names.join(" and for "))
}

#[cfg(test)]
mod tests {
    use parallax_suite::compare::Cell;

    use super::*;

    #[test]
    fn what_is_lacking_is_said_once_with_who_lacks_it() {
        let cell = |lacks| Cell { lacks, ..Cell::default() };
        let row = |text: &str, lacks: [bool; 3]| Row {
            line: 1,
            text: text.to_owned(),
            cells: lacks.map(cell).to_vec(),
        };
        let rows = [
            row("dma_read sid=0x8 ipa=ram", [false, true, true]),
            row("host_share_hyp pfn=ram", [false; 3]),
            row("host_donate_hyp pfn=ram nr=1", [false, true, false]),
        ];
        let names = ["hyp", "pkvm:7.3", "pkvm:6.12"].map(str::to_owned);
        let all: Vec<String> = lacking(&names, &rows).into_values().collect();
        assert_eq!(all, ["without dma_read: pkvm:7.3, pkvm:6.12", "without host_donate_hyp: pkvm:7.3"]);
    }
}
