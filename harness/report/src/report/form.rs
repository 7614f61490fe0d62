//! A finding in JSON: the same in every document that holds findings.

use std::borrow::Cow;

use parallax_addr::Point;
use parallax_model::{Check, Space, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use parallax_engine::ReportedFinding;

/// How numbers of 64 bits are written: as text, because many readers of JSON round numbers above 2^53.
const HEX: &str = "^0x[0-9a-f]{1,16}$";

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Finding")]
pub struct FindingForm {
    /// Line of the operation in the trace after which it was found; 0 is the state after boot.
    pub line: usize,
    /// The operation; `boot` for the state after boot.
    #[schemars(length(min = 1))]
    operation: String,
    /// The whole finding in one line, as goldens hold it.
    #[schemars(length(min = 1))]
    pub text: String,
    /// The check.
    #[schemars(extend("enum" = names_of(Check::ALL, Check::name)))]
    pub check: Cow<'static, str>,
    /// The rule within the check.
    #[schemars(length(min = 1))]
    pub rule: String,
    /// Which address space `span` is in: addresses of the host's CPUs, of devices, of EL2, physical ones, StreamIDs, or
    /// none (registers).
    #[schemars(extend("enum" = names_of(Space::ALL, Space::name)))]
    space: Cow<'static, str>,
    /// The addresses concerned, in that space; the same twice for registers.
    span: Range,
    /// The same by name; empty for registers.
    subject: String,
    /// The pages concerned, as the host and devices address them; null if it is about no page.
    page: Option<Range>,
    /// What it is about in words: its pages, or what else it is.
    #[schemars(length(min = 1))]
    about: String,
    /// What is wrong, in words, with the function.
    #[schemars(length(min = 1))]
    message: String,
    /// The function whose instruction broke the rule; null where none did.
    function: Option<String>,
    /// What each side says there after the operation, of several pages at the first one; `cpu` and `smmu` are always
    /// among them.
    #[schemars(extend("allOf" = [has_side("cpu"), has_side("smmu")]))]
    views: Vec<ViewForm>,
    /// What else there is to say, line by line: source lines, and what was missing.
    pub detail: Vec<String>,
    /// The command that shows it again, for a shell.
    #[schemars(length(min = 1))]
    pub reproduce: String,
}

/// Addresses from `from` on, up to and without `to`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
struct Range {
    /// The first one.
    #[schemars(regex(pattern = HEX))]
    from: String,
    /// The one behind the last.
    #[schemars(regex(pattern = HEX))]
    to: String,
}

/// What one side says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "View")]
struct ViewForm {
    /// Whose: `cpu` and `smmu` are the two sides; `page` is the page-state array, `el2` EL2's own table, `ste` the
    /// stream table, `device` the device that wanted something.
    #[schemars(length(min = 1))]
    side: Cow<'static, str>,
    /// What it says.
    #[schemars(length(min = 1))]
    view: String,
}

/// The names of `all`.
fn names_of<T: Copy>(all: &[T], name: fn(T) -> &'static str) -> Vec<&'static str> {
    all.iter().map(|one| name(*one)).collect()
}

/// That the view of `side` is in a list of views.
fn has_side(side: &str) -> serde_json::Value {
    serde_json::json!({ "contains": { "properties": { "side": { "const": side } } } })
}

impl<A: Point> From<Span<A>> for Range {
    fn from(span: Span<A>) -> Self {
        let [from, to] = [span.base, span.end()].map(|at| format!("{:#x}", at.number()));
        Self { from, to }
    }
}

impl From<&ReportedFinding> for FindingForm {
    fn from(found: &ReportedFinding) -> Self {
        let finding = &found.finding;
        let views = finding.views().iter();
        Self {
            line: found.line,
            operation: found.op.clone(),
            text: finding.to_string(),
            check: finding.rule.check().name().into(),
            rule: finding.rule.name().to_owned(),
            space: finding.space.name().into(),
            span: finding.span.into(),
            subject: finding.subject.clone(),
            page: finding.page().map(Range::from),
            about: finding.about(),
            message: finding.words(),
            function: finding.function.clone(),
            views: views
                .map(|(side, view)| ViewForm { side: side.name().into(), view: view.to_owned() })
                .collect(),
            detail: found.detail.clone(),
            reproduce: found.reproduce().to_string(),
        }
    }
}

impl FindingForm {
    /// The finding in lines, with its page and all that there is to say of it.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let more = std::iter::once(&self.about).chain(&self.detail).map(|line| format!("  {line}"));
        std::iter::once(self.text.clone()).chain(more).collect()
    }
}
