//! QEMU's argument vector: a pure function of the configuration and of a few paths.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use parallax_addr::{ImageVa, PhysAddr};
use parallax_trace::spec::{DmaDevice, MachineSpec, PAYLOAD_BASE};

use crate::toolchain::newer_api;

use super::Version;

/// The first QEMU that takes nothing older than the newer version of the plugin API.
const NEWER_API: Version = Version { major: 11, minor: 1, micro: 0 };

/// What the plugin takes for the mark where there is none.
const NO_MARK: u64 = u64::MAX;

/// The plugin that watches EL2, and what it has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pagewatch {
    /// The shared library.
    pub library: PathBuf,
    /// Where the hypervisor is; without it the journal says it, later.
    pub places: Option<Places>,
    /// Virtual address of the test host's mark, where there is one.
    pub mark: Option<ImageVa>,
    /// What it notes.
    pub notes: Notes,
}

/// Where a hypervisor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    /// Virtual addresses of its image: the first, and the first behind it.
    pub image: (ImageVa, ImageVa),
    /// Physical address of the image's first page, which also runs there.
    pub entry: PhysAddr,
    /// Virtual address of EL2's vectors.
    pub vectors: ImageVa,
}

/// What the plugin notes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Notes {
    /// What EL2 does, in a journal.
    #[default]
    Events,
    /// Which instructions ran, and nothing else.
    Code,
    /// Both.
    Both,
}

impl Pagewatch {
    /// The same, with the library that QEMU `version` loads.
    pub(super) fn made_for(&self, version: Version) -> Self {
        let library = if version >= NEWER_API { newer_api(&self.library) } else { self.library.clone() };
        Self { library, ..self.clone() }
    }
}

/// Files and sockets of one QEMU process.
#[derive(Clone, Copy, Debug)]
pub struct Paths<'a> {
    /// The hypervisor's flat image.
    pub hyp: &'a Path,
    /// The test host's flat image.
    pub payload: &'a Path,
    /// The flattened device tree, where it is not QEMU's own.
    pub tree: Option<&'a Path>,
    /// The file behind guest RAM.
    pub ram: &'a Path,
    /// Where the gdbstub's socket shall be.
    pub gdb: &'a Path,
    /// Where the monitor's socket shall be.
    pub qmp: &'a Path,
    /// What the machine prints.
    pub uart: &'a Path,
    /// A plugin and the files that it writes, each with the key that names it.
    pub plugin: Option<(&'a Pagewatch, &'a [(&'static str, &'a Path)])>,
}

/// The arguments for `config`. What they boot runs the same way every time: virtual time follows the instruction
/// count, and nothing random or of the outer world reaches the machine.
#[must_use]
pub fn arguments(config: &MachineSpec, paths: &Paths<'_>) -> Vec<OsString> {
    let mut args = Args::machine(config, paths, true);
    args.pair("-accel", "tcg,thread=single");
    args.pair("-icount", "shift=1,sleep=off");
    args.pair("-seed", "1");
    args.pair("-rtc", "base=2020-01-01,clock=vm");
    for (index, device) in config.devices.iter().enumerate() {
        args.device(index, *device);
    }
    args.0.extend(["-kernel".into(), paths.hyp.into()]);
    args.pair("-append", &config.hyp.to_string());
    args.with_path("-device", &format!("guest-loader,addr={PAYLOAD_BASE:#x},kernel="), paths.payload, "");
    if let Some(tree) = paths.tree {
        args.0.extend(["-dtb".into(), tree.into()]);
    }
    if let Some((plugin, files)) = paths.plugin {
        args.plugin(plugin, files);
    }
    args.0.extend(config.extra.iter().map(OsString::from));
    args.0
}

/// `-cpu max` gets a fast pointer authentication algorithm, and 48-bit addresses only.
fn cpu(model: &str) -> String {
    if model == "max" { "max,pauth-impdef=on,lpa2=off".to_owned() } else { model.to_owned() }
}

/// `path` with its commas doubled: QEMU reads two of them as one that belongs to the value.
fn doubled(path: &Path) -> OsString {
    let mut value = Vec::new();
    for &byte in path.as_os_str().as_bytes() {
        value.extend(if byte == b',' { &b",,"[..] } else { std::slice::from_ref(&byte) });
    }
    OsString::from_vec(value)
}

/// An argument vector under construction.
#[derive(Debug, Default)]
pub(crate) struct Args(pub(crate) Vec<OsString>);

impl Args {
    /// What every machine has: CPUs, RAM in a file, sockets and a serial port; stopped. With `el2`, its CPUs have EL2.
    pub(crate) fn machine(config: &MachineSpec, paths: &Paths<'_>, el2: bool) -> Self {
        let mut args = Self::default();
        for flag in ["-nodefaults", "-nographic", "-no-reboot", "-S"] {
            args.0.push(flag.into());
        }
        args.pair("-nic", "none");
        let virtualization = if el2 { "on" } else { "off" };
        // The newer machine type has an SMMU of both stages whatever it is asked for.
        let version = if config.second_stage_only { "9.1" } else { "10.0" };
        args.pair(
            "-M",
            &format!(
                "virt-{version},virtualization={virtualization},iommu=smmuv3,gic-version=3,its=on,\
                 dtb-randomness=off,memory-backend=ram0"
            ),
        );
        if config.second_stage_only {
            args.pair("-global", "arm-smmuv3.stage=2");
        }
        args.pair("-cpu", &cpu(&config.cpu));
        args.pair("-smp", &config.cpus.to_string());
        args.pair("-m", &format!("size={}k", config.mem_bytes >> 10));
        let ram = format!("memory-backend-file,id=ram0,size={},share=on,mem-path=", config.mem_bytes);
        args.with_path("-object", &ram, paths.ram, "");
        args.with_path("-chardev", "socket,id=gdb0,server=on,wait=off,path=", paths.gdb, "");
        args.pair("-gdb", "chardev:gdb0");
        args.with_path("-chardev", "socket,id=qmp0,server=on,wait=off,path=", paths.qmp, "");
        args.pair("-mon", "chardev=qmp0,mode=control");
        args.with_path("-chardev", "file,id=uart0,path=", paths.uart, "");
        args.pair("-serial", "chardev:uart0");
        args.pair("-monitor", "none");
        args
    }

    pub(crate) fn pair(&mut self, flag: &str, value: &str) {
        self.0.extend([flag.into(), value.into()]);
    }

    /// `flag` with a value that holds a path.
    pub(crate) fn with_path(&mut self, flag: &str, before: &str, path: &Path, after: &str) {
        let mut value = OsString::from(before);
        value.push(doubled(path));
        value.push(after);
        self.0.extend([flag.into(), value]);
    }

    pub(crate) fn plugin(&mut self, plugin: &Pagewatch, files: &[(&str, &Path)]) {
        let mut value = OsString::from("file=");
        value.push(doubled(&plugin.library));
        for (key, file) in files {
            value.push(format!(",{key}="));
            value.push(doubled(file));
        }
        if let Some(Places { image: (low, high), entry, vectors }) = plugin.places {
            value.push(format!(",low={low:#x},high={high:#x},entry={entry:#x},vectors={vectors:#x}"));
        }
        let mark = plugin.mark.map_or(NO_MARK, ImageVa::get);
        value.push(format!(",mark={mark:#x}"));
        self.0.extend(["-plugin".into(), value]);
    }

    pub(crate) fn device(&mut self, index: usize, device: DmaDevice) {
        let edu = "edu,dma_mask=0xffffffffffffffff";
        match device {
            DmaDevice::Slot(slot) => self.pair("-device", &format!("{edu},addr={slot:x}.0")),
            DmaDevice::BehindPort(slot) => {
                self.pair(
                    "-device",
                    &format!("pcie-root-port,id=port{index},chassis={},addr={slot:x}.0", index + 1),
                );
                self.pair("-device", &format!("{edu},bus=port{index},addr=0.0"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use parallax_trace::spec::HypOptions;

    use super::*;

    fn line(config: &MachineSpec) -> String {
        let paths = Paths {
            hyp: Path::new("h.img"),
            payload: Path::new("a,b/p.img"),
            tree: None,
            ram: Path::new("ram"),
            gdb: Path::new("gdb"),
            qmp: Path::new("qmp"),
            uart: Path::new("uart"),
            plugin: None,
        };
        let args = arguments(config, &paths);
        args.iter().map(|arg| arg.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_default_machine_is_deterministic_and_stopped() {
        let line = line(&MachineSpec::default());
        for part in
            ["-S ", "-icount shift=1,sleep=off", "-seed 1", "clock=vm", "dtb-randomness=off", "thread=single"]
        {
            assert!(line.contains(part), "{part} is missing in {line}");
        }
        assert!(line.contains("-m size=262144k"), "{line}");
        assert!(line.contains("size=268435456,share=on,mem-path=ram"), "{line}");
        assert!(line.contains("-device edu,dma_mask=0xffffffffffffffff,addr=1.0"), "{line}");
    }

    #[test]
    fn slots_are_hexadecimal_and_a_port_carries_its_device() {
        let devices = vec![DmaDevice::Slot(17), DmaDevice::BehindPort(2)];
        let line = line(&MachineSpec { devices, ..MachineSpec::default() });
        assert!(line.contains("addr=11.0"), "{line}");
        assert!(line.contains("pcie-root-port,id=port1,chassis=2,addr=2.0"), "{line}");
        assert!(line.contains("bus=port1,addr=0.0"), "{line}");
    }

    #[test]
    fn only_qemus_of_the_newer_api_get_the_other_library() {
        let library = PathBuf::from("a/libpagewatch.so");
        let plugin = Pagewatch { library, places: None, mark: None, notes: Notes::Events };
        let made_for = |major, minor| plugin.made_for(Version { major, minor, micro: 9 }).library;
        assert_eq!(made_for(11, 0), plugin.library);
        assert_eq!(made_for(11, 1), Path::new("a/libpagewatch-api7.so"));
    }

    #[test]
    fn commas_in_paths_are_doubled() {
        assert!(line(&MachineSpec::default()).contains("kernel=a,,b/p.img"));
    }

    #[test]
    fn options_of_the_hypervisor_and_extra_arguments_come_last() {
        let config = MachineSpec {
            cpu: "cortex-a53".into(),
            hyp: HypOptions { sid_bits: 4, ..HypOptions::default() },
            extra: vec!["-trace".into(), "smmu*".into()],
            ..MachineSpec::default()
        };
        let line = line(&config);
        assert!(line.contains("-cpu cortex-a53 "), "{line}");
        assert!(
            line.contains("-append smmu=shadow smmu.map=blocks smmu.mmio=region smmu.sid_bits=4 "),
            "{line}"
        );
        assert!(line.ends_with("-trace smmu*"), "{line}");
    }
}
