//! Results as JSON: the same for the same results, so without times. docs/schema/run.*.json is its schema.

use std::borrow::Cow;

use parallax_engine::status::{Failure, Status};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{FindingForm, TraceReport, Verdict};
use crate::golden::{self, Changed};

/// Version of the form; docs/exports.md says when it is raised.
pub const SCHEMA: u32 = 6;

/// What came of `parallax run`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "parallax run --format json")]
pub struct Document {
    /// Which document this is.
    #[schemars(extend("const" = "run"))]
    pub document: Cow<'static, str>,
    /// Version of the document's form.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: u32,
    /// The exit status: 0 all as agreed, 1 not, 2 wrong usage, 125 could not build or start, 130 interrupted.
    #[schemars(extend("enum" = [0, 1, 2, 125, 130]))]
    pub status: u8,
    /// Why nothing could be run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// All traces that were run, in order.
    pub traces: Vec<Entry>,
    /// What is not as agreed, the same change together: good traces first.
    pub changes: Vec<Alike>,
    /// Goldens in the folders that were run that no trace refers to; each makes the exit status another than 0.
    pub orphans: Vec<String>,
}

/// What came of a trace.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Trace")]
pub struct Entry {
    /// Its name in the project.
    #[schemars(length(min = 1))]
    pub trace: String,
    /// Whether it switches a fault on, so that something must be found.
    pub bad: bool,
    /// What became of it; all but `same`, `checked` and `accepted` make the exit status another than 0.
    #[schemars(extend("enum" = Verdict::WORDS))]
    pub verdict: Cow<'static, str>,
    /// How many operations were performed.
    pub operations: usize,
    /// The command that runs it again, for a shell.
    #[schemars(length(min = 1))]
    pub reproduce: String,
    /// What was found, in order.
    pub findings: Vec<FindingForm>,
    /// How the result differs from the golden, of a trace that `diverged`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
    /// What happened, of a trace that `failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Traces in which the same is not as agreed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Alike {
    /// What changed; what is in most of the traces first.
    pub what: Vec<Shape>,
    /// The traces: in none of them is anything else not as agreed. The first one shows all of it.
    pub traces: Vec<String>,
}

/// A change without its addresses.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Shape {
    /// It, as a line.
    pub text: String,
    /// In how many of the traces.
    pub count: usize,
}

fn changes(reports: &[TraceReport]) -> Vec<Alike> {
    let wrong = reports.iter().filter(|report| report.verdict.status() != Status::Same);
    let changed: Vec<Changed> = wrong.map(TraceReport::changed).collect();
    let alike = |group: &golden::Group| Alike {
        what: group
            .shapes
            .iter()
            .map(|(shape, count)| Shape { text: shape.to_string(), count: *count })
            .collect(),
        traces: group.members.iter().map(|member| changed[*member].label.clone()).collect(),
    };
    golden::groups(&changed).iter().map(alike).collect()
}

fn text(
    status: Status,
    error: Option<String>,
    traces: Vec<Entry>,
    changes: Vec<Alike>,
    orphans: Vec<String>,
) -> serde_json::Result<String> {
    let document = Document {
        document: "run".into(),
        schema: SCHEMA,
        status: status.code(),
        error,
        traces,
        changes,
        orphans,
    };
    serde_json::to_string_pretty(&document)
}

/// All results as one JSON object, with the goldens that no trace refers to.
///
/// # Errors
/// None in practice: nothing in a report is beyond JSON.
pub fn json(reports: &[TraceReport], status: Status, orphans: &[String]) -> serde_json::Result<String> {
    let traces = reports.iter().map(|report| Entry {
        trace: report.label.clone(),
        bad: report.bad,
        verdict: report.verdict.word().into(),
        operations: report.ops,
        reproduce: report.reproduce(),
        findings: report.findings.iter().map(FindingForm::from).collect(),
        diff: if let Verdict::Diverged { diff } = &report.verdict { Some(diff.clone()) } else { None },
        message: if let Verdict::Failed { message, .. } = &report.verdict {
            Some(message.clone())
        } else {
            None
        },
    });
    text(status, None, traces.collect(), changes(reports), orphans.to_vec())
}

/// That nothing could be run, as the same object.
///
/// # Errors
/// As [`json`].
pub fn json_failure(failure: &Failure) -> serde_json::Result<String> {
    text(failure.status, Some(failure.message.clone()), Vec::new(), Vec::new(), Vec::new())
}

#[cfg(test)]
mod tests {
    use super::super::samples::sample;
    use super::*;

    fn of(reports: &[TraceReport]) -> serde_json::Value {
        let text = json(reports, super::super::status(reports), &[]).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn every_trace_and_finding_is_in_the_object() {
        let value = of(&sample());
        assert_eq!((&value["document"], &value["schema"]), (&"run".into(), &SCHEMA.into()));
        assert_eq!(value["status"], 1);
        assert_eq!(value["traces"].as_array().unwrap().len(), 4);
        assert_eq!(value["traces"][2]["diff"], "-a\n+b\n");
        assert_eq!(value["changes"].as_array().unwrap().len(), 3);
        assert_eq!(value["changes"][0]["what"][0]["text"], "sync/extra smmu new after host_donate_hyp");
        assert_eq!(value["changes"][0]["traces"][0], "traces/good/b.trace");
        assert!(value["traces"][3]["message"].as_str().unwrap().contains("did not boot"));
    }

    #[test]
    fn a_finding_has_operation_page_both_views_and_command() {
        let finding = &of(&sample())["traces"][1]["findings"][0];
        assert_eq!((&finding["line"], &finding["check"]), (&4.into(), &"sync".into()));
        assert_eq!(finding["operation"], "host_donate_hyp pfn=ram+0x20");
        assert_eq!(finding["page"], serde_json::json!({ "from": "0x40020000", "to": "0x40021000" }));
        let view = |side: &str, view: &str| serde_json::json!({ "side": side, "view": view });
        let both = serde_json::json!([view("cpu", "annotated hyp"), view("smmu", "RW normal 4K")]);
        assert_eq!(finding["views"], both);
        assert_eq!(finding["reproduce"], "parallax run traces/good/b.trace");
    }

    #[test]
    fn what_could_not_be_run_is_an_object_too() {
        let text = json_failure(&Failure { status: Status::Setup, message: "no cargo".to_owned() }).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&value["status"], &value["error"]), (&125.into(), &"no cargo".into()));
    }

    #[test]
    fn times_are_not_in_it() {
        let mut slower = sample();
        slower[0].elapsed *= 2;
        assert_eq!(of(&sample()), of(&slower));
    }
}
