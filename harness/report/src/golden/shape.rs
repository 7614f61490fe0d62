//! What differs between two goldens, without where: the same edit makes the same difference in many of them.
//!
//! ```text
//! cpu … + RWX normal 4K        gone after hyp_donate_host
//! protocol/missing-dsb in <Tree>::split   new
//! host_share_hyp -> ok         instead of EPERM
//! ```

use std::collections::BTreeSet;
use std::fmt;

use parallax_model::{Check, FindingLine, GoldenLine};

use super::kinds::Kind;
use super::operations::Operations;

/// A difference, without the addresses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shape {
    kind: Kind,
    what: String,
    became: Became,
    /// The operation, or the result that was agreed; empty where it does not matter.
    of: String,
}

/// What became of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Became {
    /// It was agreed, and is not there.
    Gone,
    /// It is there, and was not agreed.
    New,
    /// It is there instead of something else.
    Instead,
    /// It is so of all of it.
    Whole,
}

impl Shape {
    /// Something new of a run whose result cannot be compared: a finding, or why it failed.
    #[must_use]
    pub fn new_finding(text: &str, operation: &str) -> Self {
        Self::finding(FindingLine::new(text), Became::New, operation)
    }

    /// What is so of a whole trace, as `message` begins: why it failed.
    #[must_use]
    pub fn whole(message: &str) -> Self {
        let first = message.lines().next().unwrap_or_default();
        Self { kind: Kind::Results, what: symbolic(first), became: Became::Whole, of: String::new() }
    }

    /// What it is: to be shown as code.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    /// What became of it: in words, and what is to be shown as code behind them; either may be empty.
    #[must_use]
    pub fn became(&self) -> (&'static str, &str) {
        let words = match (self.became, self.of.is_empty()) {
            (Became::Gone, true) => "gone",
            (Became::Gone, false) => "gone after",
            (Became::New, true) => "new",
            (Became::New, false) => "new after",
            (Became::Instead, _) => "instead of",
            (Became::Whole, _) => "",
        };
        (words, &self.of)
    }

    /// Operations were performed at once, as `text` says.
    fn schedule(became: Became, text: &str) -> Self {
        Self { kind: Kind::Operations, what: text.to_owned(), became, of: String::new() }
    }

    fn finding(finding: FindingLine<'_>, became: Became, operation: &str) -> Self {
        let kind = if super::compare::is_of_events(finding) { Kind::Events } else { Kind::Findings };
        let rule = finding.rule_text();
        // The function says where it comes from; without one the operation and the table do.
        let (what, of) = match function(finding) {
            Some(function) => (format!("{rule} in {function}"), ""),
            None => {
                (format!("{rule} {}", finding.text().split(' ').nth(1).unwrap_or_default()), word(operation))
            }
        };
        Self { kind, what: what.trim_end().trim_end_matches(':').to_owned(), became, of: of.to_owned() }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (words, of) = self.became();
        let rest = [words, of].into_iter().filter(|part| !part.is_empty()).map(|part| format!(" {part}"));
        write!(f, "{}{}", self.what, rest.collect::<String>())
    }
}

/// The shapes of a unified difference of two goldens.
pub(super) fn of_diff(diff: &str) -> BTreeSet<Shape> {
    let mut shapes = BTreeSet::new();
    // The operation that lines of either side belong to.
    let (mut agreed, mut now) = ("", "");
    for line in diff.lines() {
        if let Some(header) = line.strip_prefix("@@") {
            let operation = header.split_once("@@ ").map_or("", |(_, operation)| operation);
            (agreed, now) = (operation, operation);
            continue;
        }
        let (Some(sign), Some(text)) = (line.chars().next(), line.get(1..)) else { continue };
        let (became, operation) = match sign {
            '-' => (Became::Gone, &mut agreed),
            '+' => (Became::New, &mut now),
            _ => {
                if matches!(GoldenLine::of(text), GoldenLine::Operation(_) | GoldenLine::Boot) {
                    (agreed, now) = (text, text);
                }
                continue;
            }
        };
        match GoldenLine::of(text) {
            _ if text.is_empty() => (),
            GoldenLine::Boot => *operation = text,
            GoldenLine::Together(_) => _ = shapes.insert(Shape::schedule(became, text)),
            GoldenLine::Operation(text) => *operation = text,
            GoldenLine::Finding(finding) => _ = shapes.insert(Shape::finding(finding, became, operation)),
            GoldenLine::Change(change) => {
                let of = word(operation).to_owned();
                shapes.insert(Shape { kind: Kind::of(text), what: without_place(change), became, of });
            }
        }
    }
    shapes.extend(of_operations(&Operations::of_diff(diff)));
    shapes
}

/// The same operation with another result is one difference; all else is an operation of one side.
fn of_operations(found: &Operations<'_>) -> Vec<Shape> {
    let shape = |(op, result): (&str, &str), kind, became, of| {
        let what = if result.is_empty() {
            word(op).to_owned()
        } else {
            format!("{} -> {}", word(op), symbolic(result))
        };
        Shape { kind, what, became, of }
    };
    let one = |became| move |op: &(&str, &str)| shape(*op, Kind::Operations, became, String::new());
    let mut shapes: Vec<Shape> = Vec::new();
    for (op, old, result) in &found.results {
        shapes.push(shape((op, result), Kind::Results, Became::Instead, symbolic(old)));
    }
    shapes.extend(found.new.iter().map(one(Became::New)));
    shapes.extend(found.gone.iter().map(one(Became::Gone)));
    if shapes.is_empty() && found.moved {
        let what = "line numbers of operations".to_owned();
        shapes.push(Shape { kind: Kind::Moved, what, became: Became::Whole, of: String::new() });
    }
    shapes
}

/// The word of an operation in a golden: `host_share_hyp` of `4: host_share_hyp pfn=ram+0x10 -> ok`.
fn word(operation: &str) -> &str {
    let text = operation.split_once(": ").map_or(operation, |(_, text)| text);
    // A word in front says which CPU performs it.
    text.split(' ').find(|word| !word.contains('=')).unwrap_or_default()
}

/// The function whose instruction a finding is about.
fn function(finding: FindingLine<'_>) -> Option<&str> {
    if !finding.check().is_some_and(Check::needs_events) {
        return None;
    }
    let (_, words) = finding.identity().split_once(": ")?;
    words.strip_prefix("in ").or_else(|| words.rsplit_once(", in ").map(|(_, function)| function))
}

/// A line of a golden's change without the address that it is about.
fn without_place(change: &str) -> String {
    let (lane, rest) = change.split_once(' ').unwrap_or((change, ""));
    let rest = rest.trim_start();
    let value = match rest.split_once(' ') {
        Some((place, value)) if !matches!(place, "+" | "-") => {
            return format!("{lane} … {}", symbolic(value.trim_start()));
        }
        _ => rest,
    };
    format!("{lane} {}", symbolic(value))
}

/// `text` with `…` in place of addresses.
fn symbolic(text: &str) -> String {
    let address = |word: &str| {
        let word = word.trim_matches(|c: char| matches!(c, ',' | ';' | '(' | ')' | ':'));
        word.starts_with("0x") || word.contains("+0x") && !word.contains('=') || word.contains("..")
    };
    let words = text.split_whitespace().map(|word| if address(word) { "…" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(diff: &str) -> Vec<String> {
        of_diff(diff).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn where_something_changed_is_left_out_and_after_what_is_not() {
        let diff = |page: &str| {
            format!(
                "@@ -4,3 +4,3 @@ 3: host_donate_hyp pfn={page} -> ok\n    cpu  {page}   - RWX normal 4K\n\
                 -   cpu  {page}   + annotated hyp\n+   cpu  {page}   + annotated guest -> {page}\n"
            )
        };
        let expected = [
            "cpu … + annotated guest -> … new after host_donate_hyp",
            "cpu … + annotated hyp gone after host_donate_hyp",
        ];
        assert_eq!(said(&diff("ram+0x20000..+0x21000")), expected);
        assert_eq!(said(&diff("hyp+0x1000")), expected);
    }

    #[test]
    fn another_result_is_one_difference_and_an_operation_of_one_side_another() {
        assert_eq!(
            said("-3: host_share_hyp pfn=ram+0x10 -> EPERM\n+3: host_share_hyp pfn=ram+0x10 -> ok\n"),
            ["host_share_hyp -> ok instead of EPERM"]
        );
        assert_eq!(said("+4: nop -> ok\n"), ["nop -> ok new"]);
        assert_eq!(said("-4: a -> ok\n+4: nop -> ok\n+5: a -> ok\n"), ["nop -> ok new"]);
        assert_eq!(said("-4: a -> ok\n+5: a -> ok\n"), ["line numbers of operations"]);
        assert_eq!(
            said("-together 01\n+together 10\n 4: nop -> ok\n"),
            ["together 01 gone", "together 10 new"]
        );
        assert_eq!(said("+4: cpu=1 nop -> ok\n"), ["nop -> ok new"]);
        assert_eq!(said("-4: dma_read sid=8 -> value 0x12\n"), ["dma_read -> value … gone"]);
    }

    #[test]
    fn a_finding_of_the_order_is_its_rule_and_its_function() {
        let order =
            "protocol/unclean-remake cpu ram+0x4000000..+0x4200000: level 2, in <Tree>::split [cpu: a]";
        let sync = "sync/extra smmu ram+0x0..+0x1000: wrong, in words [cpu: a; smmu: b]";
        assert_eq!(
            said(&format!(" 2: nop -> ok\n+   ! {order}\n")),
            ["protocol/unclean-remake in <Tree>::split new"]
        );
        assert_eq!(said(&format!(" 2: nop -> ok\n-   ! {sync}\n")), ["sync/extra smmu gone after nop"]);
        assert_eq!(Shape::new_finding(sync, "nop").to_string(), "sync/extra smmu new after nop");
    }

    #[test]
    fn lines_without_a_place_and_of_a_whole_state_are_known_too() {
        assert_eq!(
            said(
                " 2: nop -> ok\n-   regs   - SMMU_GBPA: ABORT=1\n+   ste  0x8..0x9   + abort\n+   cpu  ram+0x0..+0x1000  RWX\n"
            ),
            [
                "cpu … RWX new after nop",
                "regs - SMMU_GBPA: ABORT=1 gone after nop",
                "ste … + abort new after nop",
            ]
        );
        assert_eq!(Shape::whole("a hang at 0x4010 of\nmore").to_string(), "a hang at … of");
    }
}
