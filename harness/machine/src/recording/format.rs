//! The lines of a recording.

use std::collections::BTreeMap;

use parallax_abi::info::HypInfo;
use parallax_abi::journal::Record;
use parallax_abi::mailbox::{Request, Response};
use parallax_gic::RawGic;
use parallax_model::Told;
use parallax_vmsa::SysRegs;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::finding::RecordedFinding;
use super::limit::{
    MAX_CPUS, MAX_EVENTS, MAX_FINDINGS, MAX_PAGES, MAX_REGISTERS, MAX_REQUESTS, MAX_SITES, MAX_WORDS,
    limited, limited_list, limited_map, limited_option,
};
use crate::target::{CpuRegisters, Description};

/// Version of this schema.
///
/// | version | what is new |
/// | --- | --- |
/// | 1 | |
/// | 2 | [`Entry::events`], [`Entry::findings`] as texts, [`Footer::sites`] |
/// | 3 | [`Entry::findings`] with rule, space, span, page, views, function and message |
/// | 4 | [`Entry::others`], [`SysRegs::control`], [`Entry::gic`]; later [`HypInfo::pools_pa`], [`HypInfo::tree_pa`], 0 where they are absent |
/// | 5 | [`Description::images`] |
/// | 6 | [`Header::told`]; findings with `detail`: what was missing, where, since when |
/// | 7 | [`Told::guests`], [`parallax_trace::spec::MachineSpec::guest`] |
/// | 8 | [`Entry::others_at`] |
pub const SCHEMA: u32 = 8;
/// The oldest schema with findings that are more than texts.
pub const TYPED_FINDINGS: u32 = 3;
/// The oldest schema that is read.
pub const OLDEST: u32 = 1;
/// How many operations lie between two complete entries.
pub const KEYFRAME_EVERY: u64 = 64;
/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// [`SCHEMA`].
    pub parallax_recording: u32,
    /// Revision of the hypervisor's source.
    pub revision: String,
    /// The machine.
    pub machine: Description,
    /// What our hypervisor says of itself; all of it 0 of another one.
    #[serde(with = "HypInfoLine")]
    pub info: HypInfo,
    /// What is known of another hypervisor; absent of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Told>,
    /// [`KEYFRAME_EVERY`] of the writer.
    pub keyframe_every: u64,
}

/// The last line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Footer {
    /// Number of entries, the boot included.
    pub entries: u64,
    /// The instructions that events name, by address.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "limited_map::<_, _, _, MAX_SITES>"
    )]
    pub sites: BTreeMap<Hex, Site>,
}

/// An instruction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// Function and source line, as [`crate::symbols::Symbols::describe`] says.
    pub place: String,
    /// The instruction.
    pub instruction: String,
    /// The instructions around it, itself marked.
    pub around: String,
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its number; 0 is the boot.
    pub op: u64,
    /// Its line in the trace, from 1; 0 for the boot.
    pub line: u32,
    /// The lines of those that were performed at once with it.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "limited::<_, _, MAX_REQUESTS>"
    )]
    pub others_at: Vec<u32>,
    /// Its text.
    pub text: String,
    /// What the test host was asked.
    #[serde(deserialize_with = "limited::<_, _, MAX_REQUESTS>")]
    pub requests: Vec<RequestLine>,
    /// What it answered.
    #[serde(deserialize_with = "limited::<_, _, MAX_REQUESTS>")]
    pub responses: Vec<ResponseLine>,
    /// System registers of CPU 0; absent when none has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sys: Option<SysRegs>,
    /// The registers of CPU 1 and of those behind it; absent when none has changed.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "limited_list::<_, _, MAX_CPUS>"
    )]
    pub others: Option<Vec<CpuRegisters>>,
    /// The SMMU's registers that have changed, by offset; absent when the machine uses no SMMU.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "limited_option::<_, _, _, MAX_REGISTERS>"
    )]
    pub smmu: Option<BTreeMap<u32, u32>>,
    /// The GIC's registers that name memory; absent when none has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gic: Option<RawGic>,
    /// Pages that were read for the first time, or have changed.
    #[serde(deserialize_with = "limited::<_, _, MAX_PAGES>")]
    pub pages: Vec<Page>,
    /// What a plugin saw of it.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "limited::<_, _, MAX_EVENTS>"
    )]
    pub events: Vec<Event>,
    /// What was found after it and not before.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "limited::<_, _, MAX_FINDINGS>"
    )]
    pub findings: Vec<RecordedFinding>,
}

/// [`Record`] on a line: kind, CPU, size, program counter, a, b, value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event(u8, u8, u8, Hex, Hex, Hex, Hex);

impl From<Record> for Event {
    fn from(record: Record) -> Self {
        let Record { kind, cpu, size, pc, a, b, value, .. } = record;
        Self(kind, cpu, size, Hex(pc), Hex(a), Hex(b), Hex(value))
    }
}

impl From<Event> for Record {
    fn from(event: Event) -> Self {
        let Event(kind, cpu, size, Hex(pc), Hex(a), Hex(b), Hex(value)) = event;
        Self { kind, cpu, size, pc, a, b, value, ..Self::default() }
    }
}

/// What has changed in a page; a new page was all zero before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// Physical address of its first byte.
    pub pa: Hex,
    /// Runs of little-endian 64-bit words: index of the first (0 to 511), and their values now.
    #[serde(deserialize_with = "limited::<_, _, MAX_WORDS>")]
    pub words: Vec<(u16, Run)>,
}

/// Words that follow each other: at least one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Run(#[serde(deserialize_with = "words")] pub Vec<Hex>);

fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Hex>, D::Error> {
    let words = limited::<_, _, MAX_WORDS>(deserializer)?;
    if words.is_empty() { Err(D::Error::custom("a run of no words")) } else { Ok(words) }
}

/// A number that is written as `"0x..."`: JSON readers elsewhere lose digits of large numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hex(pub u64);

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:#x}", self.0))
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let number = text.strip_prefix("0x").and_then(|digits| u64::from_str_radix(digits, 16).ok());
        number.map(Self).ok_or_else(|| D::Error::custom(format!("`{text}` is no hexadecimal number")))
    }
}

/// [`Request`] on a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestLine(#[serde(with = "RequestFields")] pub Request);

/// [`Response`] on a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ResponseLine(#[serde(with = "ResponseFields")] pub Response);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Request", deny_unknown_fields)]
struct RequestFields {
    cpu: u64,
    op: u64,
    args: [u64; 7],
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Response", deny_unknown_fields)]
struct ResponseFields {
    kind: u64,
    x: [u64; 4],
    esr: u64,
    far: u64,
    events: u64,
    event: u64,
    event_sid: u64,
    event_addr: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "HypInfo", deny_unknown_fields)]
struct HypInfoLine {
    magic: u64,
    version: u64,
    image_pa: u64,
    image_va: u64,
    image_size: u64,
    pool_pa: u64,
    pool_size: u64,
    vmemmap_pa: u64,
    vmemmap_first_pfn: u64,
    vmemmap_nr: u64,
    linear_offset: u64,
    smmu_pa: u64,
    smmu_size: u64,
    cmdq_pa: u64,
    cmdq_size: u64,
    evtq_pa: u64,
    evtq_size: u64,
    #[serde(default)]
    smmu_host_pa: u64,
    fault: u64,
    cpus: u64,
    #[serde(default)]
    pools_pa: [u64; 2],
    #[serde(default)]
    tree_pa: u64,
    #[serde(default)]
    tree_size: u64,
}

/// The words of a 4 KiB page.
pub(super) type Words = [u64; 512];

/// The runs of words in which `now` differs from `before`.
pub(super) fn difference(before: &Words, now: &Words) -> Vec<(u16, Run)> {
    let mut runs: Vec<(u16, Run)> = Vec::new();
    let mut last = None;
    for (index, (_, value)) in before.iter().zip(now).enumerate().filter(|(_, (old, new))| old != new) {
        match runs.last_mut() {
            Some((_, run)) if last == Some(index.wrapping_sub(1)) => run.0.push(Hex(*value)),
            _ => runs.push((index as u16, Run(vec![Hex(*value)]))),
        }
        last = Some(index);
    }
    runs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_written_so_that_no_reader_loses_digits() {
        assert_eq!(serde_json::to_string(&Hex(u64::MAX)).unwrap(), "\"0xffffffffffffffff\"");
        assert_eq!(serde_json::from_str::<Hex>("\"0x10\"").unwrap(), Hex(16));
        for bad in ["16", "\"16\"", "\"0x\"", "\"0x10000000000000000\""] {
            assert!(serde_json::from_str::<Hex>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn neighbouring_changes_are_one_run() {
        let (before, mut now) = ([0; 512], [0; 512]);
        (now[3], now[4], now[511]) = (7, 8, 9);
        assert_eq!(difference(&before, &now), [(3, Run(vec![Hex(7), Hex(8)])), (511, Run(vec![Hex(9)]))]);
        assert_eq!(difference(&now, &now), []);
    }

    proptest! {
        #[test]
        fn a_difference_leads_from_one_page_to_the_other(changes in prop::collection::vec((0_usize..512, 0_u64..3), 0..40)) {
            let (before, mut now) = ([1; 512], [1; 512]);
            for (index, value) in changes {
                now[index] = value;
            }
            let mut page = before;
            for (first, run) in difference(&before, &now) {
                for (offset, value) in run.0.iter().enumerate() {
                    page[usize::from(first) + offset] = value.0;
                }
            }
            prop_assert_eq!(page, now);
        }
    }
}
