//! Boot options of the hypervisor, typed.

use std::fmt;

use parallax_abi::fault::Fault;
use serde::{Deserialize, Serialize};

use super::options;

/// How the hypervisor uses the SMMU (`smmu=`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SmmuMode {
    /// The SMMU has tables of its own that follow the host's stage 2.
    #[default]
    Shadow,
    /// The SMMU walks the host's stage-2 tables themselves.
    Shared,
    /// The hypervisor leaves the SMMU alone.
    Off,
}

/// With what the SMMU's identity table maps memory (`smmu.map=`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MapMode {
    /// The largest blocks that fit.
    #[default]
    Blocks,
    /// 4 KiB pages only.
    Pages,
}

/// Memory type that the SMMU's identity table gives to MMIO (`smmu.mmio=`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MmioPolicy {
    /// By the protection that the host's own mapping has.
    Prot,
    /// Device for all that is not memory.
    #[default]
    Region,
    /// Cacheable for everything.
    Cacheable,
}

/// What the host sees of the SMMU (`smmu.host=`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HostView {
    /// Nothing: its registers are out of reach.
    #[default]
    Hidden,
    /// An SMMU of its own, emulated.
    Emulated,
}

macro_rules! option_names {
    ($($type:ty { $($variant:ident = $name:literal),* })*) => {$(
        impl $type {
            /// Every value, with its name on the hypervisor's command line.
            pub const NAMES: &[(Self, &'static str)] = &[$((Self::$variant, $name)),*];

            /// The value that `name` stands for.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::NAMES.iter().find(|(_, known)| *known == name).map(|(value, _)| *value)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $name),* })
            }
        }
    )*};
}

option_names! {
    SmmuMode { Shadow = "shadow", Shared = "shared", Off = "off" }
    MapMode { Blocks = "blocks", Pages = "pages" }
    HostView { Hidden = "hidden", Emulated = "emulated" }
    MmioPolicy { Prot = "prot", Region = "region", Cacheable = "cacheable" }
}

/// Boot options of the hypervisor; [`fmt::Display`] gives its command line (`/chosen/bootargs`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HypOptions {
    /// `smmu=`
    pub smmu: SmmuMode,
    /// `smmu.map=`
    pub map: MapMode,
    /// `smmu.mmio=`
    pub mmio: MmioPolicy,
    /// `smmu.sid_bits=`: StreamIDs 0 to 2^N - 1 are served, see [`super::SID_BITS`].
    pub sid_bits: u8,
    /// `smmu.host=`
    #[serde(default)]
    pub smmu_host: HostView,
    /// `donate_mmio=`: physical addresses of 4 KiB MMIO pages that the hypervisor takes before the host runs.
    pub donate_mmio: Vec<u64>,
    /// `host_s2_pages=`: limit of the page pool for the host's stage 2, in pages.
    pub host_s2_pages: Option<u64>,
    /// `el2_free_pages=`: most pages that the pool of EL2's and the SMMU's tables has left when the host starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub el2_free_pages: Option<u64>,
    /// `fault=`: needs a hypervisor built with faults.
    #[serde(with = "fault_name")]
    pub fault: Option<Fault>,
}

impl Default for HypOptions {
    fn default() -> Self {
        Self {
            smmu: SmmuMode::default(),
            map: MapMode::default(),
            mmio: MmioPolicy::default(),
            sid_bits: 8,
            smmu_host: HostView::default(),
            donate_mmio: Vec::new(),
            host_s2_pages: None,
            el2_free_pages: None,
            fault: None,
        }
    }
}

impl fmt::Display for HypOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&options::boot_words(self).join(" "))
    }
}

/// Faults are written by name, so that renumbering them does not change what a recording says.
mod fault_name {
    use parallax_abi::fault::Fault;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(fault: &Option<Fault>, serializer: S) -> Result<S::Ok, S::Error> {
        fault.map(Fault::name).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Fault>, D::Error> {
        let name = Option::<String>::deserialize(deserializer)?;
        name.map(|name| {
            Fault::from_name(&name).ok_or_else(|| D::Error::custom(format!("unknown fault `{name}`")))
        })
        .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_names_every_option() {
        let options = HypOptions {
            smmu: SmmuMode::Shared,
            smmu_host: HostView::Emulated,
            donate_mmio: vec![0x0901_0000, 0x0903_0000],
            host_s2_pages: Some(12),
            el2_free_pages: Some(3),
            fault: Some(Fault::SmmuNoTlbi),
            ..HypOptions::default()
        };
        assert_eq!(
            options.to_string(),
            "smmu=shared smmu.map=blocks smmu.mmio=region smmu.sid_bits=8 smmu.host=emulated \
             donate_mmio=0x9010000,0x9030000 host_s2_pages=12 el2_free_pages=3 fault=smmu_no_tlbi"
        );
    }

    #[test]
    fn names_stand_for_the_values_they_print() {
        for (value, name) in SmmuMode::NAMES {
            assert_eq!(value.to_string(), *name);
            assert_eq!(SmmuMode::from_name(name), Some(*value));
        }
        assert_eq!(MapMode::from_name("page"), None);
    }
}
