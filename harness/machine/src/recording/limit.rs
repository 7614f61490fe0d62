//! How much there may be of anything in a recording, which may come from anywhere. docs/recordings.md has the table.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::MapAccess;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Makes the limits, and the table of them.
macro_rules! limits {
    ($($(#[doc = $doc:literal])* $name:ident: $type:ty = $value:expr, $of:literal;)*) => {
        $($(#[doc = $doc])* pub(super) const $name: $type = $value;)*

        /// Every limit: of what, and how much there may be of it.
        pub const LIMITS: &[(&str, u64)] = &[$(($of, $name as u64)),*];
    };
}

limits! {
    /// The largest file.
    MAX_FILE: u64 = 1 << 30, "bytes of a file";
    /// The largest text of a file.
    MAX_UNPACKED: u64 = 4 << 30, "bytes of a file, unpacked";
    /// The longest first line.
    MAX_HEADER: u64 = 1 << 20, "bytes of the first line";
    /// The longest line.
    MAX_LINE: u64 = 256 << 20, "bytes of a line";
    /// The most operations.
    MAX_OPERATIONS: u64 = 1 << 22, "operations";
    /// The most regions, devices and arguments of a machine.
    MAX_REGIONS: usize = 256, "regions of a machine";
    /// The most instructions that events name.
    MAX_SITES: usize = 1 << 18, "instructions that events name";
    /// The most requests, and the most responses, of an operation.
    MAX_REQUESTS: usize = 1 << 16, "requests of an operation, and responses";
    /// The most registers of the SMMU.
    MAX_REGISTERS: usize = 1 << 12, "registers of the SMMU";
    /// The most CPUs beside the first.
    MAX_CPUS: usize = 1 << 9, "CPUs beside the first";
    /// The most redistributors.
    MAX_REDISTRIBUTORS: usize = parallax_gic::raw::MAX_REDISTRIBUTORS, "redistributors";
    /// The most pages that are known at one time, and that an operation has changed.
    MAX_PAGES: usize = 1 << 16, "pages known at one time, and changed by an operation";
    /// The most words of a page, and the most runs of them.
    MAX_WORDS: usize = 512, "words of a page, and runs of them";
    /// The most events of an operation.
    MAX_EVENTS: usize = 1 << 22, "events of an operation";
    /// The most findings of an operation.
    MAX_FINDINGS: usize = 1 << 14, "findings of an operation";
    /// The most findings of all operations.
    MAX_ALL_FINDINGS: u64 = 1 << 18, "findings";
    /// The most views of a finding.
    MAX_VIEWS: usize = 1 << 8, "views of a finding";
    /// The most lines beyond its text that a finding has.
    MAX_DETAIL: usize = 1 << 10, "lines beyond its text of a finding";
    /// The highest number of instructions: no machine performs more.
    MAX_INSTRUCTIONS: u64 = 1 << 56, "instructions that an event counts";
}

/// A list of at most `MOST` items; the rest of a longer one is not read.
pub(super) fn limited<'de, D, T, const MOST: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Reader<T, const MOST: usize>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for Reader<T, MOST> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {MOST} items")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
            let mut list = Vec::new();
            while let Some(item) = items.next_element()? {
                if list.len() == MOST {
                    return Err(A::Error::custom(format_args!("more than {MOST} items in a list")));
                }
                list.push(item);
            }
            Ok(list)
        }
    }

    deserializer.deserialize_seq(Reader::<T, MOST>(PhantomData))
}

/// A map of at most `MOST` keys; the rest of a larger one is not read.
pub(super) fn limited_map<'de, D, K, V, const MOST: usize>(
    deserializer: D,
) -> Result<BTreeMap<K, V>, D::Error>
where
    D: Deserializer<'de>,
    K: Deserialize<'de> + Ord,
    V: Deserialize<'de>,
{
    struct Reader<K, V, const MOST: usize>(PhantomData<(K, V)>);

    impl<'de, K, V, const MOST: usize> Visitor<'de> for Reader<K, V, MOST>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
    {
        type Value = BTreeMap<K, V>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a map of at most {MOST} items")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<BTreeMap<K, V>, A::Error> {
            let mut map = BTreeMap::new();
            while let Some((key, value)) = items.next_entry()? {
                if map.len() == MOST {
                    return Err(A::Error::custom(format_args!("more than {MOST} items in a map")));
                }
                map.insert(key, value);
            }
            Ok(map)
        }
    }

    deserializer.deserialize_map(Reader::<K, V, MOST>(PhantomData))
}

/// [`limited_map`] of what may be absent.
pub(super) fn limited_option<'de, D, K, V, const MOST: usize>(
    deserializer: D,
) -> Result<Option<BTreeMap<K, V>>, D::Error>
where
    D: Deserializer<'de>,
    K: Deserialize<'de> + Ord,
    V: Deserialize<'de>,
{
    limited_map::<_, _, _, MOST>(deserializer).map(Some)
}

/// [`limited`] of what may be absent.
pub(super) fn limited_list<'de, D, T, const MOST: usize>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    limited::<_, _, MOST>(deserializer).map(Some)
}
