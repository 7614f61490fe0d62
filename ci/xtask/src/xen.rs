//! `cargo xtask xen`: `parallax attach` needs to know nothing of a hypervisor.

mod shown;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;

use crate::child::Running;
use crate::copy::copy;
use crate::ends::Failure;
use crate::folder::Folder;
use crate::room::{Room, print, say};

pub(crate) const EXAMPLE: &str = "\
Debian's Xen for arm64 is booted in QEMU with a Linux as dom0, that of target/linux, and EL2's tables and dom0's stage 2 are
looked at. Xen comes into target/xen (ci/fetch-xen); nothing is installed.

Examples:
  cargo xtask xen
  cargo xtask xen --keep shown       # leaves there what `attach` and the machine printed

Exit status: 0 as expected, 1 not, 2 usage, 125 Xen or a kernel could not be had.";

/// Arguments of `xen`.
#[derive(Debug, Args)]
pub(crate) struct Xen {
    /// Gets what `attach` and the machine printed
    #[arg(long, value_name = "DIR", value_parser = crate::from_here)]
    keep: Option<PathBuf>,
}

/// How long Xen and its Linux have to come up, in seconds.
const PATIENCE: u32 = 240;
/// What dom0 prints once it is up: one of these.
const UP: &[&str] = &["PCI: ", "VFS: ", "registered taskstats"];
const MACHINE: &str = "virt,virtualization=on,gic-version=3,iommu=smmuv3";

pub(crate) fn xen(room: &Room, arguments: &Xen) -> Result<()> {
    let parallax = room.parallax()?;
    if room.run(room.root().join("ci/fetch-xen")).status()? != 0 {
        return Err(Failure::setup("no Xen: ci/fetch-xen failed").into());
    }
    let kernel = room.root().join("target/linux/Image");
    if !kernel.is_file() {
        return Err(Failure::setup("no kernel for dom0: ci/fetch-linux fetches one").into());
    }
    let folder = Folder::new(&env::temp_dir(), "parallax-xen")?;
    let work = folder.path();
    let machine = boot(room, work)?;
    let shown = work.join("shown");
    let attach = room.run(&parallax).words(["attach", "--gdb"]).word(work.join("gdb"));
    let status = attach.words(["--smmu", "mmio:smmu"]).out_to(&shown)?.status()?;
    drop(machine);
    if let Some(keep) = &arguments.keep {
        copy(&work.join("uart"), &keep.join("uart"))?;
        copy(&shown, &keep.join("shown"))?;
    }
    let shown = fs::read_to_string(shown)?;
    print(shown.trim_end())?;
    if status != 0 {
        return Err(Failure::different(format!("attach ended with {status}")).into());
    }
    if let Some(wrong) = shown::wrong(&shown) {
        say(last_lines(&read(&work.join("uart")), 20));
        return Err(Failure::different(wrong).into());
    }
    let version =
        fs::read_to_string(room.root().join("target/xen/version")).context("no target/xen/version")?;
    say(format!("xen: {}: as expected", version.trim_end()));
    Ok(())
}

/// Boots Xen and waits for its Linux.
fn boot<'a>(room: &'a Room, work: &Path) -> Result<Running<'a>> {
    let at = |before: &str, name: &str, after: &str| format!("{before}{}{after}", work.join(name).display());
    // The loaders put Xen, and dom0's kernel with its arguments, where Xen looks for them.
    let loader = "guest-loader,addr=0x50000000,kernel=target/linux/Image,bootargs=console=hvc0";
    let qemu = room
        .run("qemu-system-aarch64")
        .words(["-M", MACHINE, "-cpu", "max,pauth-impdef=on,sme=off", "-m", "1G", "-smp", "2"])
        .words(["-display", "none", "-no-reboot", "-nic", "none"])
        .words(["-serial", &at("file:", "uart", ""), "-gdb", &at("unix:", "gdb", ",server=on,wait=off")])
        .words(["-kernel", "target/xen/xen", "-append", "dom0_mem=512M console=dtuart dtuart=/pl011@9000000"])
        .words(["-device", loader]);
    let mut machine = qemu.error_to(&work.join("qemu"))?.start()?;
    for _ in 0..PATIENCE {
        let uart = read(&work.join("uart"));
        if UP.iter().any(|text| uart.contains(text)) {
            return Ok(machine);
        }
        if machine.ended()?.is_some() {
            say(format!("{}{uart}", read(&work.join("qemu"))).trim_end());
            return Err(Failure::different("QEMU ended").into());
        }
        room.go_on()?;
        thread::sleep(Duration::from_secs(1));
    }
    // `attach` tells where it stands instead.
    Ok(machine)
}

/// What a file holds so far; nothing, while it is not there.
fn read(file: &Path) -> String {
    fs::read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
