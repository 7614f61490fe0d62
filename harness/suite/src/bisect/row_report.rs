//! The report of a search among hypervisors that are there, for people and for programs.

use std::fmt::Write;

use parallax_engine::visible;
use schemars::JsonSchema;
use serde::Serialize;

/// Version of the JSON form; docs/exports.md says when it is raised.
pub const SCHEMA: u32 = 1;
/// No more operations are told of to people.
const MOST_TOLD: usize = 12;

/// An operation after which two of them are not the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Apart {
    /// Its line in the trace; 0 is the boot.
    pub line: usize,
    /// Its text.
    pub text: String,
    /// What is otherwise, a line each.
    pub what: Vec<String>,
}

/// One that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TriedOne {
    /// What it is called.
    pub name: String,
    /// What came of it.
    #[schemars(extend("enum" = ["first", "same", "otherwise", "skipped"]))]
    pub verdict: &'static str,
    /// The line of the trace from which on it is otherwise; 0 is the boot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// Why it was skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl TriedOne {
    /// `6.12         otherwise, from line 3 on`.
    #[must_use]
    pub fn text(&self) -> String {
        let what = match (self.verdict, self.line, &self.reason) {
            ("first", ..) => "what the others are held against".to_owned(),
            (_, Some(0), _) => "otherwise, from the boot on".to_owned(),
            (_, Some(line), _) => format!("otherwise, from line {line} on"),
            (_, _, Some(reason)) => format!("skipped: {reason}"),
            _ => "as that".to_owned(),
        };
        format!("{:<12} {}", self.name, visible::line(&what))
    }
}

/// What came of a search.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(title = "parallax bisect --kernels --format json")]
pub struct RowReport {
    /// Which document this is.
    #[schemars(extend("const" = "bisect-kernels"))]
    pub document: &'static str,
    /// Version of this form.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: u32,
    /// The trace.
    pub trace: String,
    /// What the others are held against.
    pub reference: String,
    /// The first that behaves otherwise; or, if there are several, one of them is it. None where the last does as the first.
    pub first_otherwise: Vec<String>,
    /// The last that is known to do as the first of all.
    pub last_same: String,
    /// What the last of `first_otherwise` does otherwise than the first of all.
    pub apart: Vec<Apart>,
    /// The operation that the entries and what followed are told of, 0 for none.
    pub story_line: usize,
    /// How they differ on the last that is as before and the first that is not.
    pub story_difference: String,
    /// All that were tried, in this order.
    pub tried: Vec<TriedOne>,
    /// Whether nothing but results was compared; programs know what they asked for.
    #[serde(skip)]
    pub results_only: bool,
}

impl RowReport {
    /// Whether one of them is named.
    #[must_use]
    pub fn is_found(&self) -> bool {
        self.first_otherwise.len() == 1
    }

    /// As one JSON object.
    ///
    /// # Errors
    /// None in practice.
    pub fn json(&self) -> serde_json::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// For a terminal.
    #[must_use]
    pub fn human(&self) -> String {
        let mut text = self.headline("") + "\n";
        self.sections(|title, body, _| {
            _ = write!(text, "\n{title}\n");
            body.lines().for_each(|line| _ = writeln!(text, "  {line}"));
        });
        text
    }

    /// For a comment or a ticket.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = format!("# {}\n", self.headline("`"));
        self.sections(|title, body, kind| {
            _ = write!(text, "\n## {title}\n\n````{kind}\n{}\n````\n", body.trim_end_matches('\n'));
        });
        text
    }

    fn headline(&self, quote: &str) -> String {
        let trace = format!("{quote}{}{quote}", self.trace);
        let (reference, same) = (&self.reference, &self.last_same);
        let by = if self.results_only { ", by results only" } else { "" };
        let comma = if self.results_only { "," } else { "" };
        match &self.first_otherwise[..] {
            [] => format!("{trace}: {same} does as {reference}{by}"),
            [skipped @ .., found] => {
                let or = match skipped {
                    [] => String::new(),
                    _ => format!("\nor one that could not be tried: {}", skipped.join(", ")),
                };
                format!(
                    "{trace}: the first that behaves otherwise{by}{comma} is {found}{or}\nthe last that does as {reference}: {same}"
                )
            }
        }
    }

    /// Hands each part to `show`: title, text and the language of a code block.
    fn sections(&self, mut show: impl FnMut(&str, &str, &str)) {
        let reference = &self.reference;
        if let Some(found) = self.first_otherwise.last() {
            let mut text = String::new();
            for apart in self.apart.iter().take(MOST_TOLD) {
                let line = if apart.line == 0 { String::new() } else { format!("line {}: ", apart.line) };
                _ = writeln!(text, "{line}{}", apart.text);
                apart.what.iter().for_each(|what| _ = writeln!(text, "  {}", visible::line(what)));
            }
            show(&format!("what is otherwise ({reference} / {found})"), &text, "text");
            if !self.story_difference.is_empty() {
                let title = format!(
                    "line {}, its entries and what followed (- {}, + {found})",
                    self.story_line, self.last_same
                );
                show(&title, &self.story_difference, "diff");
            }
        }
        let tried: String = self.tried.iter().map(|tried| tried.text() + "\n").collect();
        show("tried", &tried, "text");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(verdict: &'static str, line: Option<usize>, reason: Option<&str>) -> TriedOne {
        TriedOne { name: "7.0".to_owned(), verdict, line, reason: reason.map(str::to_owned) }
    }

    fn sample(otherwise: &[&str]) -> RowReport {
        let what = vec!["result: ok / EPERM".to_owned()];
        RowReport {
            document: "bisect-kernels",
            schema: SCHEMA,
            trace: "traces/a.trace".to_owned(),
            reference: "6.12".to_owned(),
            first_otherwise: otherwise.iter().map(|name| (*name).to_owned()).collect(),
            last_same: "6.13".to_owned(),
            apart: vec![Apart { line: 3, text: "host_share_hyp pfn=ram".to_owned(), what }],
            story_line: 3,
            story_difference: "-a\n+b\n".to_owned(),
            tried: vec![tried("first", None, None), tried("otherwise", Some(3), None)],
            results_only: false,
        }
    }

    #[test]
    fn each_form_names_kernel_operation_and_difference() {
        let report = sample(&["7.0"]);
        for text in [report.human(), report.markdown()] {
            for part in
                ["behaves otherwise is 7.0", "line 3: host_share_hyp", "ok / EPERM", "+b", "as 6.12: 6.13"]
            {
                assert!(text.contains(part), "{part} is missing in\n{text}");
            }
        }
        assert!(sample(&["6.14", "7.0"]).human().contains("\nor one that could not be tried: 6.14\n"));
        assert!(sample(&[]).human().starts_with("traces/a.trace: 6.13 does as 6.12\n"));
        let by_results = RowReport { results_only: true, ..sample(&["7.0"]) };
        assert!(by_results.human().contains("that behaves otherwise, by results only, is 7.0\n"));
        assert!(!sample(&[]).is_found() && report.is_found() && !sample(&["6.14", "7.0"]).is_found());
    }

    #[test]
    fn what_became_of_one_is_told_in_a_line() {
        for (one, text) in [
            (tried("otherwise", Some(0), None), "7.0          otherwise, from the boot on"),
            (tried("same", None, None), "7.0          as that"),
            (tried("skipped", None, Some("no")), "7.0          skipped: no"),
        ] {
            assert_eq!(one.text(), text);
        }
    }

    #[test]
    fn its_json_keeps_to_the_published_schema() {
        let schema = crate::schema::Published::of::<RowReport>("bisect-kernels", SCHEMA, "").text();
        let validator = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
        for report in [sample(&[]), sample(&["7.0"]), sample(&["6.14", "7.0"])] {
            let json = serde_json::from_str(&report.json().unwrap()).unwrap();
            validator.validate(&json).unwrap();
        }
        let other = RowReport { document: "bisect", ..sample(&[]) };
        assert!(!validator.is_valid(&serde_json::from_str(&other.json().unwrap()).unwrap()));
    }
}
