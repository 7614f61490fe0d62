//! QEMU's argument vector for a Linux, with the hypervisor below it or without.
//!
//! The machine runs by the clock, its CPUs side by side (with the plugin: in turn): what is measured here is time, and nothing of it is compared
//! byte by byte. The devices are those that a distribution's kernel has drivers for, each behind the SMMU.

use std::ffi::OsString;

use parallax_trace::spec::{LINUX_BASE, MachineSpec};

use super::LinuxConfig;
use crate::qemu::args::{Args, Paths};

/// The arguments for `config` on the machine `spec`. `paths.payload` is the kernel; `paths.hyp` is not used when it runs alone.
pub(super) fn arguments(spec: &MachineSpec, config: &LinuxConfig, paths: &Paths<'_>) -> Vec<OsString> {
    let mut args = Args::machine(spec, paths, !config.bare);
    // The plugin tells CPUs apart by what runs on the one thread.
    let threads = if paths.plugin.is_some() { "single" } else { "multi" };
    args.pair("-accel", &format!("tcg,thread={threads}"));
    args.pair("-rtc", "base=2020-01-01,clock=host");
    let drives = [(&config.nvme, "nvme0"), (&config.virtio_blk, "blk0")];
    for (path, id) in drives {
        args.with_path("-drive", &format!("if=none,id={id},format=raw,cache=writeback,file="), path, "");
    }
    args.pair("-device", "nvme,drive=nvme0,serial=parallax,addr=2.0");
    args.pair("-device", "virtio-blk-pci,drive=blk0,disable-legacy=on,iommu_platform=on,addr=3.0");
    let (from, to) = &config.net;
    args.with_path("-chardev", "file,id=net-in,path=/dev/null,input-path=", from, "");
    args.with_path("-chardev", "file,id=net-out,path=", to, "");
    let ports = "guestfwd=tcp:10.0.2.100:1-chardev:net-in,guestfwd=tcp:10.0.2.100:2-chardev:net-out";
    args.pair("-netdev", &format!("user,id=net0,restrict=on,{ports}"));
    args.pair("-device", "virtio-net-pci,netdev=net0,disable-legacy=on,iommu_platform=on,romfile=,addr=4.0");
    if config.edu {
        args.pair("-device", "edu,dma_mask=0xffffffffffffffff,addr=5.0");
    }
    if let Some((plugin, journal)) = paths.plugin {
        args.plugin(plugin, journal);
    }
    args.0.extend(["-initrd".into(), config.initrd.clone().into()]);
    if config.bare {
        args.0.extend(["-kernel".into(), paths.payload.into()]);
        args.pair("-append", &config.append);
    } else {
        args.0.extend(["-kernel".into(), paths.hyp.into()]);
        args.pair("-append", &spec.hyp.to_string());
        let loader = format!("guest-loader,addr={LINUX_BASE:#x},kernel=");
        let bootargs = format!(",bootargs={}", config.append.replace(',', ",,"));
        args.with_path("-device", &loader, paths.payload, &bootargs);
    }
    args.0
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn line(bare: bool) -> String {
        let spec = MachineSpec { cpus: 4, mem_bytes: 1 << 30, ..MachineSpec::default() };
        let config = LinuxConfig {
            kernel: "Image".into(),
            initrd: "initrd".into(),
            append: "console=ttyAMA0,115200".into(),
            nvme: "a.img".into(),
            virtio_blk: "b,c.img".into(),
            net: ("in".into(), "out".into()),
            edu: false,
            bare,
            pagewatch: None,
        };
        let path = Path::new;
        let paths = Paths {
            tree: None,
            plugin: None,
            hyp: path("h.img"),
            payload: path("Image"),
            ram: path("ram"),
            gdb: path("gdb"),
            qmp: path("qmp"),
            uart: path("uart"),
        };
        let args = arguments(&spec, &config, &paths);
        args.iter().map(|arg| arg.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn under_the_hypervisor_the_kernel_is_a_module_with_its_own_command_line() {
        let line = line(false);
        for part in [
            "virtualization=on",
            "-kernel h.img",
            "-append smmu=shadow ",
            "guest-loader,addr=0x50000000,kernel=Image,bootargs=console=ttyAMA0,,115200",
            "file=b,,c.img",
        ] {
            assert!(line.contains(part), "{part} is missing in {line}");
        }
    }

    #[test]
    fn alone_it_has_the_same_devices_and_no_el2() {
        let (alone, under) = (line(true), line(false));
        assert!(alone.contains("virtualization=off") && alone.contains("-kernel Image"), "{alone}");
        assert!(!alone.contains("guest-loader"), "{alone}");
        let devices = |line: &str| -> Vec<String> {
            let all = line.split(" -").filter(|arg| arg.starts_with("device") || arg.starts_with("drive"));
            all.filter(|arg| !arg.contains("guest-loader")).map(str::to_owned).collect()
        };
        assert_eq!(devices(&alone), devices(&under));
    }
}
