//! Results as JSON: the same for the same results, so without times.

use parallax_model::Finding;
use serde::Serialize;

use super::{TraceReport, Verdict};

/// Version of the form.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    status: u8,
    traces: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    trace: &'a str,
    bad: bool,
    verdict: &'static str,
    operations: usize,
    findings: Vec<EntryFinding<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

#[derive(Serialize)]
struct EntryFinding<'a> {
    line: usize,
    operation: &'a str,
    text: String,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    detail: &'a [String],
    #[serde(flatten)]
    finding: &'a Finding,
}

/// All results as one JSON object.
///
/// # Errors
/// None in practice: nothing in a report is beyond JSON.
pub fn json(reports: &[TraceReport]) -> serde_json::Result<String> {
    let traces = reports.iter().map(|report| Entry {
        trace: &report.label,
        bad: report.bad,
        verdict: report.verdict.word(),
        operations: report.ops,
        findings: report
            .findings
            .iter()
            .map(|found| EntryFinding {
                line: found.line,
                operation: &found.op,
                text: found.finding.to_string(),
                detail: &found.detail,
                finding: &found.finding,
            })
            .collect(),
        diff: if let Verdict::Diverged { diff } = &report.verdict { Some(diff) } else { None },
        message: if let Verdict::Failed { message, .. } = &report.verdict { Some(message) } else { None },
    });
    let document =
        Document { schema: SCHEMA, status: super::status(reports).code(), traces: traces.collect() };
    serde_json::to_string_pretty(&document)
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;

    #[test]
    fn every_trace_and_finding_is_in_the_object() {
        let value: serde_json::Value = serde_json::from_str(&json(&sample()).unwrap()).unwrap();
        assert_eq!(value["schema"], 1);
        assert_eq!(value["status"], 1);
        assert_eq!(value["traces"].as_array().unwrap().len(), 4);
        assert_eq!(value["traces"][1]["findings"][0]["line"], 4);
        assert_eq!(value["traces"][1]["findings"][0]["check"], "sync");
        assert_eq!(value["traces"][2]["diff"], "-a\n+b\n");
        assert!(value["traces"][3]["message"].as_str().unwrap().contains("did not boot"));
    }

    #[test]
    fn times_are_not_in_it() {
        let mut slower = sample();
        slower[0].elapsed *= 2;
        assert_eq!(json(&sample()).unwrap(), json(&slower).unwrap());
    }
}
