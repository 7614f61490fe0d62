//! One operation on every target: columns, the hypervisor's own first, then kernel series from the oldest to the newest.

use std::collections::BTreeMap;
use std::fmt::Write;

use parallax_report::html::still::escape;

use super::html::{section, shown};
use crate::history::Measure;

/// The picture, and the place of the columns in it.
const SIZE: [f64; 2] = [330.0, 118.0];
const TOP: f64 = 18.0;
const BOTTOM: f64 = 98.0;
/// How much of a column's place it fills.
const FILLED: f64 = 0.6;

/// What the names of targets mean.
pub(super) const LEGEND: &str = "<p class=\"soft\"><b>hyp</b> is the hypervisor of this source tree; a number is that of the \
                                 unmodified Linux whose pKVM did the same (<b>pkvm:</b>).</p>\n";

/// A column for each target of the operations that more than one performed in a night, from its measures.
pub(super) fn section_of(measures: &[Measure]) -> String {
    let mut operations: BTreeMap<&str, Vec<(&str, f64)>> = BTreeMap::new();
    for measure in measures {
        if let Some((name, target)) = measure.name.split_once(", on ") {
            operations.entry(name).or_default().push((target, measure.value));
        }
    }
    let several = operations.into_iter().filter(|(_, targets)| targets.len() > 1);
    let figures: String = several.map(|(name, targets)| figure(name, targets)).collect();
    if figures.is_empty() {
        return String::new();
    }
    let body = format!("{LEGEND}<div class=\"curves\">{figures}</div>\n");
    section("The same operation on other kernels, this night", &body, "")
}

fn figure(name: &str, mut targets: Vec<(&str, f64)>) -> String {
    targets.sort_by_key(|(target, _)| version(target));
    let most = targets.iter().map(|(_, value)| *value).fold(0.0, f64::max).max(1.0);
    let [wide, tall] = SIZE;
    let place = wide / targets.len() as f64;
    let mut picture = format!("<path class=\"axis\" d=\"M0 {BOTTOM}H{wide}\" fill=\"none\"/>");
    for (index, (target, value)) in targets.iter().enumerate() {
        let middle = place * (index as f64 + 0.5);
        let height = (BOTTOM - TOP) * value / most;
        let (left, top) = (middle - place * FILLED / 2.0, BOTTOM - height);
        // Writing to a string cannot fail.
        let _ = write!(
            picture,
            "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{height:.1}\" fill=\"currentColor\"/>\
             <text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
             <text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            place * FILLED,
            top - 4.0,
            shown(*value),
            BOTTOM + 14.0,
            escape(target.strip_prefix("pkvm:").unwrap_or(target)),
        );
    }
    let words: Vec<String> =
        targets.iter().map(|(target, value)| format!("{target}: {}", shown(*value))).collect();
    let (name, words) = (escape(name), escape(&words.join("; ")));
    format!(
        "<figure><figcaption><b>{name}</b></figcaption>\
         <svg viewBox=\"0 0 {wide} {tall}\" role=\"img\" aria-label=\"{name}: {words}\">{picture}</svg></figure>\n"
    )
}

/// Ours first, then by the numbers of the series.
pub(super) fn version(target: &str) -> (bool, Vec<u64>, String) {
    let numbers = target.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok());
    (target.contains(':'), numbers.collect(), target.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(name: &str, value: f64) -> Measure {
        Measure { name: name.to_owned(), value }
    }

    #[test]
    fn series_stand_in_the_order_of_their_numbers_and_ours_first() {
        let of = |target, value| measure(&format!("instructions of nop => ok, on {target}"), value);
        let html = section_of(&[
            of("pkvm:7.0", 20.0),
            of("pkvm:6.12", 40.0),
            of("pkvm:6.6", 30.0),
            of("hyp", 10.0),
            measure("instructions of x, on hyp", 1.0),
            measure("operations a second", 9.0),
        ]);
        assert!(html.contains("hyp: 10; pkvm:6.6: 30; pkvm:6.12: 40; pkvm:7.0: 20\""), "{html}");
        assert_eq!((html.matches("<figure>").count(), html.matches("<rect").count()), (1, 4));
        // Each column with its number and its name, from left to right, from 0 on.
        let drawn: Vec<&str> = html.split("<rect").skip(1).collect();
        for (column, parts) in drawn.iter().zip([
            ["height=\"20.0\"", ">10</text>", ">hyp</text>"],
            ["height=\"60.0\"", ">30</text>", ">6.6</text>"],
            ["y=\"18.0\" width=\"49.5\" height=\"80.0\"", ">40</text>", ">6.12</text>"],
            ["height=\"40.0\"", ">20</text>", ">7.0</text>"],
        ]) {
            parts.iter().for_each(|part| assert!(column.contains(part), "{part}: {column}"));
        }
    }

    #[test]
    fn without_another_target_there_is_no_such_section() {
        assert_eq!(section_of(&[measure("instructions of x, on hyp", 1.0), measure("y", 2.0)]), "");
        assert!(!section_of(&[measure("a, on hyp", 0.0), measure("a, on <b>:1", 0.0)]).contains("NaN"));
    }
}
