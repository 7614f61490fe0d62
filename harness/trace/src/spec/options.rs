//! The one table of what a machine line can say.

use super::line::{bounded, choice, devices, mmio_pages, size};
use super::size::Size;
use super::{
    CPUS, DmaDevice, Firmware, Guest, HostView, HypOptions, MEMORY, MachineSpec, MapMode, MmioPolicy,
    SID_BITS, SLOTS, SmmuFails, SmmuMode, TreeFile,
};
use crate::error::Problem;
use crate::syntax::{Token, parse_number};

/// One key of the machine line.
pub struct MachineOption {
    /// The key, as in `key=value`; also the name of the hypervisor's boot option where it is one.
    pub key: &'static str,
    /// Whether the hypervisor has it on its command line.
    pub boot: bool,
    /// Markdown: the values that are possible and what they do. `{}` stands for the range.
    meaning: &'static str,
    /// The range of values, where there is one.
    range: fn() -> String,
    /// Reads the value into a machine.
    pub(super) set: fn(&mut MachineSpec, &Token<'_>) -> Result<(), Problem>,
    /// The value that a machine has; none where the line leaves it out.
    pub(super) print: fn(&MachineSpec) -> Option<String>,
    /// What it is if no machine line says it, where [`Self::print`] does not tell.
    unset: &'static str,
}

impl MachineOption {
    /// Its values and what they do, as Markdown.
    #[must_use]
    pub fn meaning(&self) -> String {
        self.meaning.replace("{}", &(self.range)())
    }

    /// What it is if no machine line says it, as Markdown.
    #[must_use]
    pub fn default_text(&self) -> String {
        (self.print)(&MachineSpec::default())
            .map_or_else(|| self.unset.to_owned(), |value| format!("`{value}`"))
    }
}

impl std::fmt::Debug for MachineOption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MachineOption").field("key", &self.key).finish_non_exhaustive()
    }
}

fn range(range: &std::ops::RangeInclusive<u8>) -> String {
    format!("{} to {}", range.start(), range.end())
}

const fn no_range() -> String {
    String::new()
}

/// Every key, in the order in which a machine is written.
pub static OPTIONS: [MachineOption; 17] = [
    MachineOption {
        key: "cpus",
        boot: false,
        meaning: "{}",
        range: || range(&CPUS),
        set: |spec, value| bounded(value, &CPUS).map(|cpus| spec.cpus = cpus),
        print: |spec| Some(spec.cpus.to_string()),
        unset: "",
    },
    MachineOption {
        key: "mem",
        boot: false,
        meaning: "{}",
        range: || format!("{} to {}", Size(*MEMORY.start()), Size(*MEMORY.end())),
        set: |spec, value| size(value).map(|bytes| spec.mem_bytes = bytes),
        print: |spec| Some(format!("{}M", spec.mem_bytes >> 20)),
        unset: "",
    },
    MachineOption {
        key: "cpu",
        boot: false,
        meaning: "a QEMU CPU model with EL2: `max`, `cortex-a53`, …",
        range: no_range,
        set: |spec, value| {
            value.text.clone_into(&mut spec.cpu);
            Ok(())
        },
        print: |spec| Some(spec.cpu.clone()),
        unset: "",
    },
    MachineOption {
        key: "smmu",
        boot: true,
        meaning: "`shadow` (a table of its own), `shared` (the CPU's own table), `off`",
        range: no_range,
        set: |spec, value| choice(value, SmmuMode::NAMES).map(|smmu| spec.hyp.smmu = smmu),
        print: |spec| Some(spec.hyp.smmu.to_string()),
        unset: "",
    },
    MachineOption {
        key: "smmu.map",
        boot: true,
        meaning: "`blocks` (split in place, needs BBML 2), `pages`",
        range: no_range,
        set: |spec, value| choice(value, MapMode::NAMES).map(|map| spec.hyp.map = map),
        print: |spec| Some(spec.hyp.map.to_string()),
        unset: "",
    },
    MachineOption {
        key: "smmu.mmio",
        boot: true,
        meaning: "`prot`, `region`, `cacheable`: see [attributes.md](attributes.md)",
        range: no_range,
        set: |spec, value| choice(value, MmioPolicy::NAMES).map(|mmio| spec.hyp.mmio = mmio),
        print: |spec| Some(spec.hyp.mmio.to_string()),
        unset: "",
    },
    MachineOption {
        key: "smmu.sid_bits",
        boot: true,
        meaning: "{}: StreamIDs 0 to 2^N − 1 are served, all others abort",
        range: || range(&SID_BITS),
        set: |spec, value| bounded(value, &SID_BITS).map(|bits| spec.hyp.sid_bits = bits),
        print: |spec| Some(spec.hyp.sid_bits.to_string()),
        unset: "",
    },
    MachineOption {
        key: "smmu.host",
        boot: true,
        meaning: "what the host sees of the SMMU: `hidden` (accesses abort), `emulated` (an SMMU of its own, by trap and emulate)",
        range: no_range,
        set: |spec, value| choice(value, HostView::NAMES).map(|view| spec.hyp.smmu_host = view),
        print: |spec| {
            Some(spec.hyp.smmu_host).filter(|view| *view != HostView::Hidden).map(|view| view.to_string())
        },
        unset: "`hidden`",
    },
    MachineOption {
        key: "smmu.stages",
        boot: false,
        meaning: "what the hardware has: `nested` (both stages), `second` (stage 2 only: there is nothing that a host with `smmu.host=emulated` could translate with)",
        range: no_range,
        set: |spec, value| {
            choice(value, &[(false, "nested"), (true, "second")])
                .map(|second| spec.second_stage_only = second)
        },
        print: |spec| spec.second_stage_only.then(|| "second".to_owned()),
        unset: "`nested`",
    },
    MachineOption {
        key: "donate_mmio",
        boot: true,
        meaning: "addresses of MMIO pages that the hypervisor takes before the host runs, `,` between",
        range: no_range,
        set: |spec, value| mmio_pages(value).map(|pages| spec.hyp.donate_mmio = pages),
        print: |spec| {
            let pages: Vec<String> = spec.hyp.donate_mmio.iter().map(|page| format!("{page:#x}")).collect();
            Some(pages.join(",")).filter(|pages| !pages.is_empty())
        },
        unset: "none",
    },
    MachineOption {
        key: "host_s2_pages",
        boot: true,
        meaning: "pages for the host's stage 2; few of them make MMIO recycling happen",
        range: no_range,
        set: |spec, value| {
            parse_number(value, "a number of pages").map(|pages| spec.hyp.host_s2_pages = Some(pages))
        },
        print: |spec| spec.hyp.host_s2_pages.map(|pages| pages.to_string()),
        unset: "as needed",
    },
    MachineOption {
        key: "el2_free_pages",
        boot: true,
        meaning: "pages that EL2's and the SMMU's tables have left when the host starts, at most; few of them make ENOMEM happen",
        range: no_range,
        set: |spec, value| {
            parse_number(value, "a number of pages").map(|pages| spec.hyp.el2_free_pages = Some(pages))
        },
        print: |spec| spec.hyp.el2_free_pages.map(|pages| pages.to_string()),
        unset: "as needed",
    },
    MachineOption {
        key: "devices",
        boot: false,
        meaning: "DMA devices: `edu@SLOT` on bus 0 (slots {}; StreamID = slot × 8), `edu@bus1` behind a root port (StreamID 256)",
        range: || range(&SLOTS),
        set: |spec, value| devices(value).map(|devices| spec.devices = devices),
        print: |spec| {
            let device = |device: &DmaDevice| match device {
                DmaDevice::Slot(slot) => format!("edu@{slot}"),
                DmaDevice::BehindPort(_) => "edu@bus1".to_owned(),
            };
            let devices: Vec<String> = spec.devices.iter().map(device).collect();
            Some(devices.join(",")).filter(|devices| !devices.is_empty())
        },
        unset: "",
    },
    MachineOption {
        key: "dtb",
        boot: false,
        meaning: "a device tree's source, a file from the trace's folder on, that the hypervisor gets in place of QEMU's: see [below](#device-trees)",
        range: no_range,
        set: |spec, value| {
            spec.tree = Some(TreeFile { name: value.text.to_owned(), source: String::new() });
            Ok(())
        },
        print: |spec| spec.tree.as_ref().map(|tree| tree.name.clone()),
        unset: "QEMU's own",
    },
    MachineOption {
        key: "firmware",
        boot: false,
        meaning: "what is there before the hypervisor: `clean` (zeros), `dirty` (memory full of garbage; the SMMU is on, its streams bypass, its MSIs go to the hypervisor's image; LPIs and the ITS are on)",
        range: no_range,
        set: |spec, value| choice(value, Firmware::NAMES).map(|firmware| spec.firmware = firmware),
        print: |spec| printed(spec.firmware, Firmware::NAMES),
        unset: "`clean`",
    },
    MachineOption {
        key: "smmu.fails",
        boot: false,
        meaning: "what the SMMU does with commands once the hypervisor has booted: `never` (performs them), `refuses` (CERROR_ILL at the first), `silent` (consumes none)",
        range: no_range,
        set: |spec, value| choice(value, SmmuFails::NAMES).map(|fails| spec.smmu_fails = fails),
        print: |spec| printed(spec.smmu_fails, SmmuFails::NAMES),
        unset: "`never`",
    },
    MachineOption {
        key: "guest",
        boot: false,
        meaning: "a virtual machine of the host's, which has run and used a few pages: `none`, `ordinary` (not protected from the host); only with an unmodified kernel",
        range: no_range,
        set: |spec, value| choice(value, Guest::NAMES).map(|guest| spec.guest = guest),
        print: |spec| printed(spec.guest, Guest::NAMES),
        unset: "`none`",
    },
];

/// The name of `value`, unless it is what a machine has anyway.
fn printed<T: Copy + Default + PartialEq>(value: T, names: &[(T, &str)]) -> Option<String> {
    let name = names.iter().find(|(known, _)| *known == value).map(|(_, name)| (*name).to_owned());
    name.filter(|_| value != T::default())
}

/// Every key as a list for messages: `cpus=, mem=`.
pub(super) fn keys() -> String {
    OPTIONS.iter().map(|option| format!("{}=", option.key)).collect::<Vec<_>>().join(", ")
}

/// The words of the hypervisor's command line; the fault, which a machine line cannot name, last.
pub(super) fn boot_words(hyp: &HypOptions) -> Vec<String> {
    let spec = MachineSpec { hyp: hyp.clone(), ..MachineSpec::default() };
    let boot = OPTIONS.iter().filter(|option| option.boot);
    let words = boot.filter_map(|option| Some(format!("{}={}", option.key, (option.print)(&spec)?)));
    words.chain(hyp.fault.map(|fault| format!("fault={}", fault.name()))).collect()
}
