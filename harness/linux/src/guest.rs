//! What runs inside that Linux, and what it says.

use std::io;
use std::path::Path;
use std::time::Duration;

use crate::disks::KnownData;
use crate::modules::Module;
use crate::oops;
use parallax_machine::cpio::Archive;

/// What the test Linux is to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job<'a> {
    /// CPUs that must be there.
    pub cpus: u8,
    /// The kernel sees an SMMU.
    pub smmu: bool,
    /// Only measure, so often, and test nothing; or test.
    pub measure: u8,
    /// There are operations of others beside what it does.
    pub operations: bool,
    /// Symbols whose addresses it is to tell, as far as they are the kernel's.
    pub at: &'a [String],
    /// What is on the disks.
    pub data: &'a KnownData,
}

/// The initramfs: `busybox`, `modules` in the order in which they are loaded, and what PID 1 does with them.
pub(crate) fn initramfs(busybox: &Path, modules: &[Module], job: Job<'_>) -> io::Result<Vec<u8>> {
    let mut archive = Archive::default();
    ["bin", "dev", "modules"].into_iter().for_each(|name| archive.folder(name));
    archive.device("dev/console", 5, 1);
    archive.file("init", include_bytes!("init.sh"));
    let Job { cpus, smmu, measure, operations, at, data } = job;
    let [smmu, operations] = [smmu, operations].map(|set| if set { "yes" } else { "no" });
    let (mib, behind, sum) = (data.mib(), data.behind(), data.sha256());
    let (net_mib, net_sum) = (data.of_network().mib(), data.of_network().sha256());
    let settings = format!(
        "CPUS={cpus}\nSMMU={smmu}\nMEASURE={measure}\nOPERATIONS={operations}\nMIB={mib}\nBEHIND={behind}\nSUM={sum}\nNET_MIB={net_mib}\nNET_SUM={net_sum}\n"
    );
    archive.file("symbols", (at.join("\n") + "\n").as_bytes());
    archive.file("parallax.conf", settings.as_bytes());
    archive.file("bin/busybox", &std::fs::read(busybox)?);
    let mut order = String::new();
    for Module { name, data } in modules {
        archive.file(&format!("modules/{name}.ko"), data);
        order.push_str(&format!("{name}\n"));
    }
    archive.file("modules/order", order.as_bytes());
    Ok(archive.finish())
}

/// A moment of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Wall time since its beginning.
    pub wall: Duration,
    /// CPU time that the machine has taken since then, all its CPUs together.
    pub cpu: Duration,
}

/// How fast something went.
#[derive(Clone, Debug, PartialEq)]
pub struct Rate {
    /// What.
    pub name: String,
    /// MiB a second, by the guest's clock.
    pub mib_per_second: f64,
    /// CPU time of the machine.
    pub cpu: Duration,
}

/// What it said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    /// From the first instruction of the machine to PID 1.
    pub userspace: Option<Moment>,
    /// When the last thing with a rate began.
    begun: Moment,
    /// What it tried, and whether that went well.
    pub steps: Vec<(String, bool)>,
    /// How fast.
    pub rates: Vec<Rate>,
    /// For people.
    pub notes: Vec<String>,
    /// What the kernel died of, if it did: the first that it said of it.
    pub death: Option<String>,
    /// Its own verdict, if it came to that.
    pub verdict: Option<bool>,
}

impl Said {
    /// Takes in a line of the console that was seen `at` after the start. Lines of others are none of ours.
    pub fn line(&mut self, at: Moment, line: &str) {
        if self.death.is_none() {
            self.death = oops::death(line).map(str::to_owned);
        }
        let Some((_, text)) = line.split_once("PLX ") else { return };
        let words: Vec<&str> = text.split_whitespace().collect();
        match words[..] {
            ["userspace", ..] => self.userspace = Some(at),
            ["begin", ..] => self.begun = at,
            ["step", name, result] => self.steps.push((name.to_owned(), result == "ok")),
            ["rate", name, mib, from, to] => {
                let number = |text: &str| text.parse::<f64>().ok();
                if let (Some(mib), Some(from), Some(to)) = (number(mib), number(from), number(to)) {
                    // The guest counts in hundredths of a second.
                    let mib_per_second = mib / (to - from).max(0.01);
                    let cpu = at.cpu.saturating_sub(self.begun.cpu);
                    self.rates.push(Rate { name: name.to_owned(), mib_per_second, cpu });
                }
            }
            ["note", ..] => self.notes.push(words[1..].join(" ")),
            ["verdict", result] => self.verdict = Some(result == "ok"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_says_is_understood_among_other_output() {
        let mut said = Said::default();
        let lines = "[ 0.1] PLX\nPLX userspace 2.87\r\nPLX step ext4 ok\nPLX step net failed\n\
                     PLX begin nvme_read\n[ 3.0] noisePLX rate nvme_read 16 3.00 3.50\nPLX rate x 16 a b\nPLX note 0 groups\nPLX verdict failed";
        for (index, line) in lines.lines().enumerate() {
            let wall = Duration::from_secs(index as u64);
            said.line(Moment { wall, cpu: 2 * wall }, line);
        }
        assert_eq!(
            said.userspace,
            Some(Moment { wall: Duration::from_secs(1), cpu: Duration::from_secs(2) })
        );
        assert_eq!(said.steps, [("ext4".to_owned(), true), ("net".to_owned(), false)]);
        assert_eq!(
            said.rates,
            [Rate { name: "nvme_read".to_owned(), mib_per_second: 32.0, cpu: Duration::from_secs(2) }]
        );
        assert_eq!(said.notes, ["0 groups"]);
        assert_eq!(said.verdict, Some(false));
    }
}
