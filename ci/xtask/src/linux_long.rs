//! `cargo xtask linux-long`: the long run of Linux as the host.

use anyhow::Result;
use clap::Args;

use crate::ends::Failure;
use crate::room::{Room, print};

pub(crate) const EXAMPLE: &str = "\
Every combination of what the kernel sees of the SMMU, of its iommu.passthrough and of 1 and 4 CPUs is booted. It goes on after
a failure.

Examples:
  cargo xtask linux-long             # 64 MiB on each disk, the default Linux
  cargo xtask linux-long 16 7.2      # 16 MiB, the newest Linux 7.2
  cargo xtask linux-long 64 sid      # the newest Linux of a suite

Exit status: 0 all were good, 1 one was not, 125 the kernel could not be had or the command does not build.";

/// Arguments of `linux-long`.
#[derive(Debug, Args)]
pub(crate) struct LinuxLong {
    /// How much is written to each disk and read again
    #[arg(default_value_t = 64)]
    mib: u32,
    /// A series or a suite, as ci/fetch-linux has them; otherwise the default Linux
    name: Option<String>,
}

pub(crate) fn linux_long(room: &Room, arguments: &LinuxLong) -> Result<()> {
    let mut kernel = vec![];
    let fetch = match &arguments.name {
        None => vec!["ci/setup", "--linux"],
        Some(name) => {
            kernel.extend(["--kernel", name]);
            let series = name.starts_with(|first: char| first.is_ascii_digit());
            vec!["ci/fetch-linux", if series { "--series" } else { "--suite" }, name]
        }
    };
    if room.run(room.root().join(fetch[0])).words(&fetch[1..]).status()? != 0 {
        return Err(Failure::setup(format!("no kernel: {} failed", fetch.join(" "))).into());
    }
    let parallax = room.build()?;
    let mut bad = Vec::new();
    for words in combinations(&kernel, arguments.mib) {
        let shown = format!("parallax {}", words.join(" "));
        print(format!("\n== {shown}"))?;
        if room.run(&parallax).words(words).status()? != 0 {
            bad.push(format!("not good: {shown}"));
        }
    }
    if bad.is_empty() { Ok(()) } else { Err(Failure::different(bad.join("\n")).into()) }
}

/// The arguments of all boots.
fn combinations(kernel: &[&str], mib: u32) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for view in ["hidden", "emulated"] {
        for passthrough in ["0", "1"] {
            for cpus in ["1", "4"] {
                let io = ["--io", &mib.to_string(), "--cpus", cpus, "--passthrough", passthrough]
                    .map(str::to_owned);
                let end = ["--smmu-host", view, "--timeout", "900"].map(str::to_owned);
                let begin = ["linux"].iter().chain(kernel).map(|word| (*word).to_owned());
                all.push(begin.chain(io).chain(end).collect());
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_is_booted_once() {
        let mut all: Vec<String> =
            combinations(&["--kernel", "7.2"], 16).iter().map(|words| words.join(" ")).collect();
        assert_eq!(
            all[1],
            "linux --kernel 7.2 --io 16 --cpus 4 --passthrough 0 --smmu-host hidden --timeout 900"
        );
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 8);
    }
}
