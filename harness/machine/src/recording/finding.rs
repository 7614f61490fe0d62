//! Findings on the lines of a recording.

use std::fmt;

use parallax_addr::Point;
use parallax_model::{Finding, FindingLine, Rule, Side, Space, Span, Views, Violation};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::format::Hex;
use super::limit::{MAX_DETAIL, MAX_VIEWS, limited};

/// A finding of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordedFinding {
    /// As it was found.
    Typed {
        /// It.
        finding: Finding,
        /// What there was to say of it beyond that, line by line: what was missing, where, since when.
        detail: Vec<String>,
    },
    /// What a recording of schema 2 says of one: its text as a golden has it, in which nothing is looked for.
    Told(String),
}

impl RecordedFinding {
    /// The finding; none where only its text was recorded.
    #[must_use]
    pub const fn finding(&self) -> Option<&Finding> {
        match self {
            Self::Typed { finding, .. } => Some(finding),
            Self::Told(_) => None,
        }
    }

    /// What there was to say of it beyond its text, line by line.
    #[must_use]
    pub fn detail(&self) -> &[String] {
        match self {
            Self::Typed { detail, .. } => detail,
            Self::Told(_) => &[],
        }
    }

    /// A finding of which there is `detail` to say.
    #[must_use]
    pub const fn with_detail(finding: Finding, detail: Vec<String>) -> Self {
        Self::Typed { finding, detail }
    }

    /// The finding without what each side says at its place.
    #[must_use]
    pub fn identity(&self) -> String {
        match self {
            Self::Typed { finding, .. } => finding.identity(),
            Self::Told(text) => FindingLine::new(text).identity().to_owned(),
        }
    }
}

impl From<Finding> for RecordedFinding {
    fn from(finding: Finding) -> Self {
        Self::with_detail(finding, Vec::new())
    }
}

/// The finding in one line, as goldens have it.
impl fmt::Display for RecordedFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Typed { finding, .. } => finding.fmt(f),
            Self::Told(text) => f.write_str(text),
        }
    }
}

/// [`Finding`] on a line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FindingFields {
    rule: Rule,
    space: Space,
    span: Range,
    subject: String,
    message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    function: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    page: Option<Range>,
    /// Side and what it says.
    #[serde(deserialize_with = "limited::<_, _, MAX_VIEWS>")]
    views: Vec<(Side, String)>,
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "limited::<_, _, MAX_DETAIL>"
    )]
    detail: Vec<String>,
}

/// [`Span`] on a line: its first address, and the one behind its last.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Range(Hex, Hex);

impl<A: Point> From<Span<A>> for Range {
    fn from(span: Span<A>) -> Self {
        Self(Hex(span.base.number()), Hex(span.end().number()))
    }
}

impl Range {
    fn span<A: Point, E: Error>(self) -> Result<Span<A>, E> {
        let Self(Hex(from), Hex(to)) = self;
        if to < from {
            return Err(E::custom(format_args!("{from:#x}..{to:#x} is no range of addresses")));
        }
        Ok(Span::between(A::at(from), A::at(to)))
    }
}

impl FindingFields {
    fn of(finding: &Finding, detail: &[String]) -> Self {
        let Violation { rule, space, span, subject, message, function } = Violation::clone(finding);
        let views = finding.views().iter().map(|(side, view)| (side, view.to_owned())).collect();
        let page = finding.page().map(Range::from);
        let detail = detail.to_vec();
        Self { rule, space, span: span.into(), subject, message, function, page, views, detail }
    }
}

impl FindingFields {
    fn finding<E: Error>(self) -> Result<RecordedFinding, E> {
        let Self { rule, space, span, subject, message, function, page, views, detail } = self;
        let violation = Violation { rule, space, span: span.span()?, subject, message, function };
        let views = Views::from_list(views);
        let views = views.ok_or_else(|| E::custom("a finding without what both sides say"))?;
        let finding = violation.with_views(page.map(Range::span).transpose()?, views);
        Ok(RecordedFinding::Typed { finding, detail })
    }
}

impl Serialize for RecordedFinding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Typed { finding, detail } => FindingFields::of(finding, detail).serialize(serializer),
            Self::Told(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for RecordedFinding {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = RecordedFinding;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a finding")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<RecordedFinding, E> {
                Ok(RecordedFinding::Told(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RecordedFinding, A::Error> {
                let fields = FindingFields::deserialize(MapAccessDeserializer::new(map))?;
                fields.finding()
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parallax_addr::PhysAddr;

    const LINE: &str = r#"{"rule":"protocol/released-unclean","space":"cpu","span":["0x40020000","0x40021000"],"subject":"ram+0x20000..+0x21000","message":"level 3","function":"<Tree>::replace","page":["0x40020000","0x40021000"],"views":[["device","0x8"],["cpu","annotated hyp"],["smmu","unmapped"]]}"#;

    #[test]
    fn a_finding_is_read_as_it_was_written() {
        let read: RecordedFinding = serde_json::from_str(LINE).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), LINE);
        assert_eq!(
            read.to_string(),
            "protocol/released-unclean cpu ram+0x20000..+0x21000: level 3, in <Tree>::replace \
             [device: 0x8; cpu: annotated hyp; smmu: unmapped]"
        );
        let page = read.finding().and_then(Finding::page);
        assert_eq!(page, Some(Span::new(PhysAddr::new(0x4002_0000), 0x1000)));
        let detailed = LINE.replace("\"unmapped\"]]", "\"unmapped\"]],\"detail\":[\"missing: a DSB\"]");
        let read: RecordedFinding = serde_json::from_str(&detailed).unwrap();
        assert_eq!(read.detail(), ["missing: a DSB"]);
        assert_eq!(serde_json::to_string(&read).unwrap(), detailed);
    }

    #[test]
    fn what_no_finding_can_be_is_refused_with_its_reason() {
        for (part, instead, reason) in [
            (
                "protocol/released-unclean",
                "sync/released-unclean",
                "there is no rule `sync/released-unclean`",
            ),
            ("\"cpu\",\"span\"", "\"gpu\",\"span\"", "unknown variant `gpu`"),
            ("[\"cpu\",\"annotated hyp\"],", "", "without what both sides say"),
            ("[\"device\"", "[\"nobody\"", "unknown variant `nobody`"),
            ("\"0x40021000\"],\"subject\"", "\"0x1\"],\"subject\"", "is no range of addresses"),
            ("\"message\"", "\"words\"", "unknown field `words`"),
        ] {
            assert!(LINE.contains(part), "{part}");
            let error =
                serde_json::from_str::<RecordedFinding>(&LINE.replacen(part, instead, 1)).unwrap_err();
            assert!(error.to_string().contains(reason), "{instead}: {error}");
        }
        let views = vec!["[\"cpu\",\"\"]"; MAX_VIEWS + 1].join(",");
        let line = LINE.replacen("[\"device\",\"0x8\"]", &views, 1);
        let error = serde_json::from_str::<RecordedFinding>(&line).unwrap_err();
        assert!(error.to_string().starts_with("more than 256 items"), "{error}");
    }
}
