//! The page of a history: one HTML file without anything from elsewhere, in the colours of the report's pages.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`html`] | sections, tables and numbers |
//! | [`chart`] | a measure over the nights |
//! | [`series`] | one operation on every target |
//! | [`last`] | the last night: what is not in order, and since when |
//! | [`ran`] | what it ran, and the table of nights |
//! | [`sources`] | commits between two nights |

mod chart;
mod html;
mod last;
mod ran;
mod series;
mod sources;

use std::collections::BTreeMap;
use std::path::Path;

use parallax_report::html::still;

use self::chart::Chart;
use self::html::section;
pub use self::sources::Sources;
use crate::history::Night;
use crate::news::compared;

/// Nights that are shown.
const NIGHTS: usize = 60;
const STYLE: &str = include_str!("style.css");
const TITLE: &str = "Parallax, night by night";

/// The page of `nights`, whose logs are below `folder`.
#[must_use]
pub fn page(nights: &[Night], folder: &Path, sources: &Sources) -> String {
    let mut body = format!("<h1>{TITLE}</h1>\n");
    match nights.len().checked_sub(1) {
        None => {
            body +=
                &section("No night yet", "<p><code>parallax nightly run --short</code> makes one.</p>", "")
        }
        Some(index) => {
            body += &last::section_of(nights, compared(nights, index), folder, sources);
            let shown = &nights[nights.len().saturating_sub(NIGHTS)..];
            body += &series::section_of(&nights[index].measures);
            body += &trends(shown);
            body += &ran::ran(&nights[index], folder);
            body += &ran::nights(shown);
        }
    }
    still::page(TITLE, STYLE, &body)
}

/// Measures of nights of the same form and part.
fn trends(nights: &[Night]) -> String {
    let mut kinds: Vec<(&str, &str)> = nights.iter().map(|night| (&*night.form, &*night.part)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let mut text = String::new();
    for (form, part) in kinds {
        let mut charts: BTreeMap<String, Chart> = BTreeMap::new();
        for night in nights.iter().filter(|night| night.form == form && night.part == part) {
            for measure in &night.measures {
                // One operation on several targets is one picture.
                let (name, line) = measure.name.split_once(", on ").unwrap_or((&measure.name, ""));
                let chart = charts.entry(name.to_owned()).or_insert_with(|| Chart::new(name));
                chart.add(line, night.night, measure.value);
            }
        }
        charts.values_mut().for_each(Chart::sort);
        // What there is one of each operation comes last: there are many.
        let (each, single): (Vec<Chart>, Vec<Chart>) =
            charts.into_values().partition(|chart| chart.name().starts_with("instructions of "));
        let some = |charts: &[Chart]| {
            let charts: String = charts.iter().map(Chart::html).collect();
            format!("<div class=\"curves\">{charts}</div>\n")
        };
        if single.is_empty() && each.is_empty() {
            continue;
        }
        let mut body = some(&single);
        if !each.is_empty() {
            let each = some(&each);
            body += &format!(
                "<details open><summary>Instructions of each operation at EL2</summary>{}{each}</details>",
                series::LEGEND
            );
        }
        text += &section(&format!("Trend: {form}, part {part}"), &body, "");
    }
    text
}
