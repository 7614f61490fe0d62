//! The report of a bisection, for people and for programs.

use std::fmt::Write;

use parallax_report::report::FindingForm;
use schemars::JsonSchema;
use serde::Serialize;

use super::history::Commit;
use super::search::Verdict;

/// Version of the JSON form; docs/exports.md says when it is raised.
pub const SCHEMA: u32 = 7;

/// A revision that was tried.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Tried {
    /// Its full name.
    pub commit: String,
    /// First line of its message.
    pub subject: String,
    /// What came of it.
    #[schemars(extend("enum" = ["good", "bad", "skipped"]))]
    pub verdict: &'static str,
    /// Why it was skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether its images had to be built.
    pub built: bool,
}

impl Tried {
    /// `commit` came out as `verdict`.
    #[must_use]
    pub fn new(commit: &Commit, verdict: &Verdict, built: bool) -> Self {
        let (verdict, reason) = match verdict {
            Verdict::Good => ("good", None),
            Verdict::Bad => ("bad", None),
            Verdict::Skip(reason) => ("skipped", Some(reason.clone())),
        };
        Self { commit: commit.id.clone(), subject: commit.subject.clone(), verdict, reason, built }
    }

    /// `3f2a... good     its subject`.
    #[must_use]
    pub fn line(&self) -> String {
        let short = &self.commit[..12.min(self.commit.len())];
        let reason = self.reason.as_deref().map(|reason| format!("\n    {reason}")).unwrap_or_default();
        let how = if self.built { "built" } else { "image was there" };
        format!("{short}  {:<7}  {} ({how}){reason}", self.verdict, self.subject)
    }
}

/// A commit that is under suspicion.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Suspect {
    /// Its full name.
    pub commit: String,
    /// First line of its message.
    pub subject: String,
    /// Who wrote it.
    pub author: String,
    /// What it changed of the hypervisor, as `git diff --stat` tells.
    pub changed: String,
    /// What it changed of all that an image is built from, as `git diff` tells; of a long one the beginning.
    pub hunks: String,
    /// Its parents, of a merge.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub merged: Vec<String>,
}

/// The first bad operation.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct BadOperation {
    /// Its line in the trace; 0 is the boot.
    pub line: usize,
    /// What it asks for.
    pub text: String,
    /// What the checks found after it that they do not find in the good revision.
    pub findings: Vec<FindingForm>,
    /// What it did to the tables: the entries and the stores.
    pub story: String,
    /// How that differs from what it does in the good revision.
    pub story_difference: String,
}

/// What came of a bisection.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(title = "parallax bisect --format json")]
pub struct Report {
    /// Which document this is.
    #[schemars(extend("const" = "bisect"))]
    pub document: &'static str,
    /// Version of this form.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: u32,
    /// The trace.
    pub trace: String,
    /// What made a revision bad.
    #[schemars(extend("enum" = ["findings", "golden", "range"]))]
    pub by: &'static str,
    /// How many commits the range has, the good one not counted.
    pub commits: usize,
    /// All that were tried, in this order.
    pub tried: Vec<Tried>,
    /// How many were built, the two ends included.
    pub builds: usize,
    /// The first bad commit; or, if there are several, one of them is it.
    pub first_bad: Vec<Suspect>,
    /// The last commit that is known to be good.
    pub last_good: String,
    /// Why it did not get to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// The first bad operation, if the trace came so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<BadOperation>,
    /// How the whole result differs from the good revision's.
    pub difference: String,
    /// What shows it again.
    pub reproduce: String,
}

impl Report {
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
        for suspect in &self.first_bad {
            text += &format!("  {}  {}\n  by {}\n", suspect.commit, suspect.subject, suspect.author);
            text += &indented(&suspect.changed);
            if !suspect.hunks.is_empty() {
                text += &format!("\n{}", indented(&suspect.hunks));
            }
            text += &merge_advice(suspect, &self.trace, "  ");
        }
        text += &format!("\nlast good: {}\n", self.last_good);
        self.sections(|title, body, _, _| {
            // Writing to a string cannot fail.
            let _ = write!(text, "\n{title}\n{}", indented(body));
        });
        text
    }

    /// For a comment or a ticket.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = format!("# {}\n\n", self.headline("`"));
        for suspect in &self.first_bad {
            let Suspect { commit, subject, author, changed, hunks, .. } = suspect;
            text += &format!("- `{commit}` {subject} (by {author})\n");
            text += &merge_advice(suspect, &self.trace, "  ");
            if !changed.is_empty() {
                text += &format!("\n```text\n{}\n```\n", changed.trim_end_matches('\n'));
            }
            if !hunks.is_empty() {
                text += &format!("\n````diff\n{}\n````\n", hunks.trim_end_matches('\n'));
            }
        }
        text += &format!("\nLast good: `{}`\n", self.last_good);
        self.sections(|title, body, kind, long| {
            let block = format!("````{kind}\n{}\n````\n", body.trim_end_matches('\n'));
            let _ = if long {
                let count = body.lines().count();
                write!(text, "\n<details><summary>{title}: {count} lines</summary>\n\n{block}\n</details>\n")
            } else {
                write!(text, "\n## {title}\n\n{block}")
            };
        });
        text
    }

    fn headline(&self, quote: &str) -> String {
        let trace = format!("{quote}{}{quote}", self.trace);
        match self.first_bad.len() {
            1 => format!("{trace}: the first bad commit of {} is", self.commits),
            count => format!("{trace}: one of {count} commits of {} is the first bad one", self.commits),
        }
    }

    /// Hands each part beyond the commits to `show`: title, text, the language of a code block, and whether it is long. What says
    /// why comes first; the long parts come last.
    fn sections(&self, mut show: impl FnMut(&str, &str, &str, bool)) {
        if let Some(failure) = &self.failure {
            show("it did not get to its end", failure, "text", false);
        }
        if let Some(operation) = &self.operation {
            let BadOperation { line, text, findings, story_difference, .. } = operation;
            show("first bad operation", &format!("line {line}: {text}\n"), "text", false);
            if !findings.is_empty() {
                show("found after it, and not in the good revision", &findings_text(findings), "text", false);
            }
            if !story_difference.is_empty() {
                show("what it does otherwise (- good, + bad)", story_difference, "diff", false);
            }
        }
        show("to see it again", &self.reproduce, "sh", false);
        let tried: String = self.tried.iter().map(|tried| tried.line() + "\n").collect();
        let builds = if self.builds == 1 { "build" } else { "builds" };
        let title = format!("tried, in {} {builds} (by {})", self.builds, self.by);
        show(&title, &tried, "text", false);
        if !self.difference.is_empty() {
            show("the whole result (- good, + bad)", &self.difference, "diff", true);
        }
        if let Some(operation) = self.operation.as_ref().filter(|operation| !operation.story.is_empty()) {
            let of = if operation.findings.is_empty() {
                "its entries"
            } else {
                "the entries that the findings name"
            };
            show(&format!("{of}, and their stores in the bad revision"), &operation.story, "text", true);
        }
    }
}

fn merge_advice(suspect: &Suspect, trace: &str, indent: &str) -> String {
    match &suspect.merged[..] {
        [first, second, ..] => format!(
            "{indent}a merge: to go on inside of it, parallax bisect --good $(git merge-base {first} {second}) \
             --bad {second} --trace {trace}\n"
        ),
        _ => String::new(),
    }
}

fn indented(text: &str) -> String {
    let line = |line: &str| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") };
    text.lines().map(line).collect()
}

fn findings_text(findings: &[FindingForm]) -> String {
    findings.iter().flat_map(FindingForm::lines).map(|line| line + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(suspects: usize) -> Report {
        let suspect = |number| Suspect {
            commit: format!("{number:040}"),
            subject: "a subject".to_owned(),
            author: "A".to_owned(),
            changed: " hyp/core/src/a.rs | 1 -\n".to_owned(),
            hunks: "@@ -7 +6,0 @@ fn unmap\n-    self.tlb.flush();\n".to_owned(),
            merged: Vec::new(),
        };
        Report {
            document: "bisect",
            schema: SCHEMA,
            trace: "traces/good/x.trace".to_owned(),
            by: "findings",
            commits: 10,
            tried: Vec::new(),
            builds: 5,
            first_bad: (0..suspects).map(suspect).collect(),
            last_good: "f".repeat(40),
            failure: None,
            operation: Some(BadOperation {
                line: 4,
                text: "host_donate_hyp pfn=ram+0x20".to_owned(),
                findings: parallax_report::report::samples::sample()[1]
                    .findings
                    .iter()
                    .map(FindingForm::from)
                    .collect(),
                story: "smmu L3 ram+0x20000..+0x21000\n".to_owned(),
                story_difference: "-then cpu0 CMD_SYNC\n".to_owned(),
            }),
            difference: String::new(),
            reproduce: "parallax run --rev 0 traces/good/x.trace".to_owned(),
        }
    }

    #[test]
    fn each_form_names_commit_operation_entry_and_what_is_missing() {
        let report = sample(1);
        let json: serde_json::Value = serde_json::from_str(&report.json().unwrap()).unwrap();
        assert_eq!(json["operation"]["line"], 4);
        assert_eq!(json["first_bad"].as_array().unwrap().len(), 1);
        for text in [report.human(), report.markdown()] {
            let parts =
                ["a subject", "line 4: host_donate_hyp", "sync/extra", "CMD_SYNC", "parallax run --rev"];
            for part in parts.into_iter().chain(["page 0x40020000..0x40021000", "smmu: RW normal 4K]"]) {
                assert!(text.contains(part), "{part} is missing in\n{text}");
            }
            // What the commit changed stands before what came of it, and the stores come last.
            let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part} is missing in\n{text}"));
            assert!(at("-    self.tlb.flush();") < at("first bad operation"));
            assert!(
                at("to see it again")
                    < at("the entries that the findings name, and their stores in the bad revision")
            );
        }
    }

    #[test]
    fn its_json_keeps_to_the_published_schema() {
        let schema = crate::schema::Published::of::<Report>("bisect", SCHEMA, "").text();
        let validator = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
        let bare = Report { operation: None, failure: Some("a panic".to_owned()), ..sample(1) };
        for report in [sample(1), sample(2), bare] {
            let json = serde_json::from_str(&report.json().unwrap()).unwrap();
            validator.validate(&json).unwrap();
        }
        let other = Report { by: "odd", ..sample(1) };
        assert!(!validator.is_valid(&serde_json::from_str(&other.json().unwrap()).unwrap()));
    }

    #[test]
    fn several_suspects_are_not_called_the_first_bad_commit() {
        assert!(sample(2).human().contains("one of 2 commits of 10"));
        assert!(!sample(2).human().contains("the first bad commit"));
    }
}
