//! Arguments of `run`.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use parallax_engine::Mode;
use parallax_engine::status::Failure;
use parallax_machine::PkvmForm;

use parallax_report::regular;
use parallax_report::report::Format;

use super::require::Require;

/// How an ELF file begins.
const ELF: [u8; 4] = *b"\x7fELF";

pub(crate) const EXAMPLE: &str = "\
Examples:
  parallax run                                        every trace under traces/
  parallax run traces/good --jobs 4
  parallax run traces/good/share.trace --record share.plx
  parallax run traces/good/share.trace --export events share.cm
  parallax run --format junit > results.xml
  parallax run --format markdown --since origin/main   the comment for a pull request
  parallax run traces/bad --without-faults            the same operations on a hypervisor in order
  parallax run --repeat 20 traces/good/dma.trace      twenty times the same bytes
  parallax run --rev HEAD traces/good/donate.trace    on the hypervisor of a commit
  parallax run --machine cpus=2 --machine smmu.map=pages
  parallax run --target pkvm --kernel 7.3 traces/pkvm  on an unmodified Linux with pKVM
  parallax run --target pkvm:7.3 traces/pkvm/share.trace --record share.plx
  parallax run --partition 2/5                        every fifth trace from the second on

Exit status: 0 as agreed, 1 diverged or a check failed, 2 malformed trace, 125 could not build or
start, 130 interrupted.";

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct Run {
    /// Traces, or folders of traces
    #[arg(value_name = "TRACE|DIR", default_value = "traces")]
    pub traces: Vec<PathBuf>,
    /// How many traces at a time [default: one for each core]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// The form of the output
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Also list the goldens that were changed, added or removed since a commit; with `--format markdown`
    #[arg(long, value_name = "REV", conflicts_with = "accept")]
    pub since: Option<String>,
    /// Record the run of a single trace, over the recording that is there
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Write down the events of a single trace, over those that are there: all of them (`events`), or as Casemate takes them (`casemate`)
    #[arg(long, num_args = 2, value_names = ["FORMAT", "FILE"], conflicts_with = "without_events")]
    pub export: Vec<OsString>,
    /// How to drive the machine
    #[arg(long, value_enum, default_value_t)]
    pub mode: Mode,
    /// What to run on: `hyp`, `pkvm`, or `pkvm:KERNEL` as `--kernel` names it; `pkvm:KERNEL+nvhe`, `+hvhe` and `+no-lpa2` say how EL2 is to
    /// run. Several are compared with the first, operation by operation
    #[arg(long, value_name = "TARGET", value_delimiter = ',', default_value = "hyp", value_parser = on)]
    pub target: Vec<On>,
    /// Run on the hypervisor of another commit, built from it; nothing is left that waits for a review
    #[arg(long, value_name = "REV", conflicts_with_all = ["accept", "target", "kernel", "vmlinux"])]
    pub rev: Option<String>,
    /// The kernel of target `pkvm`: an arm64 Image, or a folder of target/linux [default: target/linux/Image]
    #[arg(long, value_name = "IMAGE|NAME")]
    pub kernel: Option<PathBuf>,
    /// The ELF file of that kernel, with DWARF: functions then come with their source lines
    #[arg(long, value_name = "FILE")]
    pub vmlinux: Option<PathBuf>,
    /// Take results that differ as the new goldens
    #[arg(long, conflicts_with = "no_golden")]
    pub accept: bool,
    /// Check only; compare with no golden
    #[arg(long)]
    pub no_golden: bool,
    /// Compare, but leave nothing that waits for a review beside the goldens
    #[arg(long, conflicts_with_all = ["accept", "no_golden"])]
    pub look: bool,
    /// Leave the faults of bad traces switched off: nothing may be found then. Compares with no golden
    #[arg(long, conflicts_with = "accept")]
    pub without_faults: bool,
    /// Do without the QEMU plugin, and so without the checks `protocol` and `sentinel`; only in mode `step`
    #[arg(long, conflicts_with = "accept")]
    pub without_events: bool,
    /// Run each trace N times; every run must give the same result and recording, byte for byte
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub repeat: u16,
    /// Change the machine of every trace. Traces that do not fit it (an operation on a CPU that is not there) are left
    /// out, and it is an error where all are; nothing is compared with goldens, which are those of the traces' own machines
    #[arg(long, value_name = "KEY=VALUE", conflicts_with = "accept")]
    pub machine: Vec<String>,
    /// Have the order of events judged by more than the architecture asks for, for CPUs that need it. Compares with no golden
    #[arg(long, value_enum, value_name = "WHAT", conflicts_with_all = ["accept", "without_events"])]
    pub require: Vec<Require>,
    /// Run part I of N equal parts of the traces: every Nth, from the Ith on
    #[arg(long, value_name = "I/N", value_parser = partition)]
    pub partition: Option<(usize, usize)>,
}

/// `2/5`.
fn partition(text: &str) -> Result<(usize, usize), String> {
    let parts = text.split_once('/').and_then(|(part, of)| Some((part.parse().ok()?, of.parse().ok()?)));
    parts
        .filter(|(part, of)| (1..=*of).contains(part))
        .ok_or_else(|| "expected a part and how many there are, such as 1/3".to_owned())
}

/// What to run on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Target {
    /// The hypervisor of this project.
    #[default]
    Hyp,
    /// An unmodified Linux with pKVM; `--kernel` says which.
    Pkvm,
}

/// A target, and what it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct On {
    /// The target.
    pub target: Target,
    /// Its kernel, if one is named.
    pub kernel: Option<PathBuf>,
    /// How its EL2 is to run.
    pub forms: Vec<PkvmForm>,
}

impl On {
    /// Refuses `vmlinux`, the ELF file of a kernel, where there is none.
    pub(crate) fn check(&self, vmlinux: Option<&PathBuf>) -> Result<(), Failure> {
        match (self.target, vmlinux) {
            (Target::Hyp, Some(_)) => Err(Failure::usage("--vmlinux is of the kernel of --target pkvm")),
            (_, Some(file)) => is_elf(file),
            (_, None) => Ok(()),
        }
    }
}

/// Refuses what is no ELF file before a kernel is booted for it.
fn is_elf(path: &Path) -> Result<(), Failure> {
    let refused = |why: &str| {
        Failure::usage(format!(
            "--vmlinux {}: {why}; it is the ELF file of the kernel, with DWARF",
            path.display()
        ))
    };
    let mut magic = [0; ELF.len()];
    regular::check(path, u64::MAX).map_err(|error| refused(&error.to_string()))?;
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    if read.is_ok() && magic == ELF { Ok(()) } else { Err(refused("it is no ELF file")) }
}

/// Refuses several targets of which two are the same: one would be compared with itself.
///
/// # Errors
/// There are two.
pub(crate) fn distinct(on: &[On]) -> Result<(), Failure> {
    match on.iter().enumerate().find(|(at, one)| on[..*at].contains(one)) {
        Some((_, twice)) => {
            Err(Failure::usage(format!("--target names {twice} twice: it would be compared with itself")))
        }
        None => Ok(()),
    }
}

impl fmt::Display for On {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.target.to_possible_value().as_ref().map_or("", |value| value.get_name()))?;
        self.kernel.as_ref().map_or(Ok(()), |kernel| write!(f, ":{}", kernel.display()))?;
        self.forms.iter().try_for_each(|form| write!(f, "+{form}"))
    }
}

/// `hyp`, `pkvm`, `pkvm:7.3` or `pkvm:7.3+nvhe`.
pub(super) fn on(text: &str) -> Result<On, String> {
    let (text, forms) = forms(text)?;
    let (name, kernel) = text.split_once(':').map_or((text, None), |(name, kernel)| (name, Some(kernel)));
    if name == "spec" {
        return Err("the specification judges every target by itself: name hyp and pkvm only".to_owned());
    }
    let target = Target::from_str(name, false)
        .map_err(|_| format!("no target `{name}`; there are hyp, pkvm and pkvm:KERNEL, and behind those +nvhe, +hvhe and +no-lpa2"))?;
    match kernel {
        Some("") => Err("behind `:` there must be a kernel, such as pkvm:7.3".to_owned()),
        Some(_) if target == Target::Hyp => Err("hyp has no kernel: leave `:` out".to_owned()),
        _ if target == Target::Hyp && !forms.is_empty() => {
            Err("hyp runs as its traces say: leave `+` out".to_owned())
        }
        kernel => Ok(On { target, kernel: kernel.map(PathBuf::from), forms }),
    }
}

/// The forms at the end of `text`, and what stands before them. The name of a kernel may have a `+` too.
fn forms(text: &str) -> Result<(&str, Vec<PkvmForm>), String> {
    let (mut rest, mut forms) = (text, Vec::new());
    while let Some((before, last)) = rest.rsplit_once('+')
        && let Some(form) = PkvmForm::ALL.into_iter().find(|form| form.name() == last)
    {
        if forms.contains(&form) {
            return Err(format!("+{form} is named twice"));
        }
        forms.push(form);
        rest = before;
    }
    if [PkvmForm::Hvhe, PkvmForm::Nvhe].iter().all(|form| forms.contains(form)) {
        return Err("EL2 is either +hvhe or +nvhe".to_owned());
    }
    // In one order, whatever they are written in: they are the same machine.
    Ok((rest, PkvmForm::ALL.into_iter().filter(|form| forms.contains(form)).collect()))
}

impl Run {
    /// The target, or the first of several.
    #[must_use]
    pub fn on(&self) -> On {
        self.target.first().cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_kernel_has_an_elf_file_with_lines() {
        let folder = tempfile::tempdir().unwrap();
        let (file, other) = (folder.path().join("vmlinux"), folder.path().join("text"));
        std::fs::write(&file, "\x7fELF").unwrap();
        std::fs::write(&other, "x").unwrap();
        let refused = On::default().check(Some(&file)).unwrap_err().message;
        assert!(refused.starts_with("--vmlinux is of the kernel"), "{refused}");
        let on = on("pkvm:7.3").unwrap();
        assert!(On::default().check(None).is_ok() && on.check(Some(&file)).is_ok());
        let refused = |path: &PathBuf| on.check(Some(path)).unwrap_err().message;
        assert!(refused(&other).contains("it is no ELF file"));
        assert!(refused(&folder.path().join("nowhere")).contains("No such file"));
        assert!(refused(&folder.path().to_owned()).contains("a folder"));
    }

    #[test]
    fn nothing_is_compared_with_itself() {
        let all = |texts: &[&str]| distinct(&texts.iter().map(|text| on(text).unwrap()).collect::<Vec<_>>());
        assert!(
            all(&["hyp", "pkvm:7.3", "pkvm:6.12"]).is_ok() && all(&["pkvm:7.3", "pkvm:7.3+nvhe"]).is_ok()
        );
        let turned = all(&["pkvm:7.3+nvhe+no-lpa2", "pkvm:7.3+no-lpa2+nvhe"]).unwrap_err().message;
        assert!(turned.contains("pkvm:7.3+nvhe+no-lpa2 twice"), "{turned}");
        assert!(all(&["pkvm:7.3", "hyp", "pkvm:7.3"]).unwrap_err().message.contains("pkvm:7.3 twice"));
    }

    #[test]
    fn a_target_may_name_its_kernel() {
        let named = |text: &str| on(text).map(|on| on.to_string());
        for text in ["hyp", "pkvm", "pkvm:7.3", "pkvm:a/b:c", "pkvm+nvhe", "pkvm:7.3+b1+hvhe+no-lpa2"] {
            assert_eq!(named(text).as_deref(), Ok(text));
        }
        for (text, says) in [
            ("xen", "no target"),
            ("hyp:7.3", "no kernel"),
            ("pkvm:", "must be a kernel"),
            ("spec", "judges"),
            ("hyp+nvhe", "as its traces say"),
            ("pkvm:7.3+hvhe+nvhe", "either"),
            ("pkvm+nvhe+nvhe", "twice"),
            ("pkvm+lpa3", "no target"),
        ] {
            assert!(named(text).unwrap_err().contains(says), "{text}");
        }
    }
}
