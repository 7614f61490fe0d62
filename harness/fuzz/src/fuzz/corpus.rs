//! Machines that reached something new, as traces: in memory, and in a folder.
//!
//! A trace's name is the hash of its content, so folders are merged by copying, and the same content is there once. Device trees lie
//! beside the traces that need them.

use std::io;
use std::path::{Path, PathBuf};

use parallax_engine::status::Failure;
use parallax_machine::place::folder_of;
use parallax_ops::Outcome;
use parallax_report::{regular, whole_file};
use parallax_trace::spec::{Guest, MachineSpec};
use parallax_trace::{Op, Trace};
use sha2::{Digest, Sha256};

use super::trees;

/// What a trace begins with whose host was hostile.
const HOSTILE: &str = "# hostile\n";
/// Most bytes of a trace that is read, and so of one that is kept.
const MOST: u64 = 4 << 20;

/// What one machine performed until it reached something new for the last time.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) machine: MachineSpec,
    /// Whether its host did what no driver would do.
    pub(super) hostile: bool,
    pub(super) ops: Vec<Op>,
}

impl Entry {
    /// As a trace whose device tree lies beside it; without a fault, whatever it was found with.
    pub(super) fn text(&self) -> String {
        let mut machine = self.machine.clone();
        machine.hyp.fault = None;
        if let Some(tree) = &mut machine.tree {
            tree.name = trees::beside(tree);
        }
        let lines = self.ops.iter().map(line).collect::<String>();
        let mark = if self.hostile { HOSTILE } else { "" };
        format!("{mark}machine {}\n{lines}", machine.text())
    }

    /// Whether it would be read again. Machines that begin with one are longer than it, so they grow from run to run.
    pub(super) fn fits(&self) -> bool {
        self.text().len() as u64 <= MOST
    }

    /// The file's name.
    pub(super) fn name(&self) -> String {
        let hash: [u8; 32] = Sha256::digest(self.text()).into();
        let digits: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        format!("{digits}.trace")
    }

    /// Writes it into `folder`, whole or not at all; its device tree first, without which it is nothing.
    ///
    /// # Errors
    /// The file system refused.
    pub(super) fn save(&self, folder: &Path) -> io::Result<()> {
        self.machine.tree.as_ref().map_or(Ok(()), |tree| trees::put(folder, tree))?;
        let path = folder.join(self.name());
        if path.exists() { Ok(()) } else { whole_file::write(&path, self.text().as_bytes()) }
    }
}

/// `op` as a line of a trace. Where its CPU was off that must be said, or `run` finds it; whatever else was expected stays out.
pub(super) fn line(op: &Op) -> String {
    match &op.expect {
        Some(off @ Outcome::Timeout) => format!("{op} => {off}\n"),
        _ => format!("{op}\n"),
    }
}

/// Makes `folder`, where there is none, and gives how many traces it has. One that takes no files is refused: what is found would have no
/// place there, and that would be told at the end. So is one whose own folder is not there: that is a slip more often than a wish.
///
/// # Errors
/// What is wrong, and what can be done.
pub(super) fn begin(folder: &Path) -> Result<usize, Failure> {
    let name = folder.display();
    if let (false, Ok(target)) = (folder.exists(), std::fs::read_link(folder)) {
        return Err(Failure::usage(format!(
            "--corpus {name}: a link to {}, which is not there: make that folder, or name another one",
            target.display()
        )));
    }
    if folder.exists() && !folder.is_dir() {
        return Err(Failure::usage(format!("--corpus {name}: it is no folder: name one, or none yet")));
    }
    if !folder.exists() {
        make(folder)?;
    }
    tempfile::tempfile_in(folder).map_err(|error| {
        Failure::usage(format!("--corpus {name}: the folder takes no files: {error}: name another one"))
    })?;
    Ok(traces(folder).map_err(Failure::usage)?.len())
}

fn make(folder: &Path) -> Result<(), Failure> {
    let name = folder.display();
    if !folder_of(folder).exists() {
        let what = format!("--corpus {name}: its folder is not there: make that one first, or name another");
        return Err(Failure::usage(what));
    }
    std::fs::create_dir(folder)
        .map_err(|error| Failure::file(format_args!("--corpus {name}: no folder can be made there"), &error))
}

/// All traces of `folder`, by their names.
///
/// # Errors
/// What cannot be read, or is no trace, and what can be done.
pub(super) fn load(folder: &Path) -> Result<Vec<Entry>, String> {
    traces(folder)?.iter().map(|path| read(path)).collect()
}

/// The files of `folder` that are traces, by their names.
fn traces(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let told = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let listed = std::fs::read_dir(folder).map_err(|error| told(folder, &error))?;
    let mut paths = Vec::new();
    for file in listed {
        let path: PathBuf = file.map_err(|error| told(folder, &error))?.path();
        if path.extension().is_some_and(|end| end == "trace") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> Result<Entry, String> {
    let name = path.display();
    let no_trace = |why: &dyn std::fmt::Display| format!("{name}: {why}\nremove it from the corpus");
    let bytes = regular::read(path, MOST).map_err(|error| no_trace(&error))?;
    let text = String::from_utf8(bytes).map_err(|_| no_trace(&"no text"))?;
    let trace = Trace::parse(&name.to_string(), &text)
        .map_err(|error| format!("{error}\nremove it from the corpus"))?;
    let machine = machine(trace.machine, folder_of(path)).map_err(|error| no_trace(&error))?;
    // Nothing is expected, no timeout either: with a fault or another hypervisor a CPU may be on that was off.
    let ops = trace.ops.into_iter().map(|op| Op { line: 0, expect: None, ..op }).collect();
    Ok(Entry { machine, hostile: text.starts_with(HOSTILE), ops })
}

/// The machine `spec` of a trace in `folder`, with its device tree.
fn machine(mut spec: MachineSpec, folder: &Path) -> Result<MachineSpec, String> {
    if spec.guest != Guest::None {
        return Err("guest= is for an unmodified kernel, and `fuzz` is about this hypervisor".to_owned());
    }
    spec.tree = spec.tree.map(|tree| trees::read(folder, &tree.name)).transpose()?;
    Ok(spec)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> Entry {
        let trace = Trace::parse("t", text).unwrap();
        Entry { machine: trace.machine, hostile: true, ops: trace.ops }
    }

    #[test]
    fn what_is_kept_is_read_again_and_half_a_file_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let kept = entry("machine cpus=2\ncpu=1 host_share_hyp pfn=ram+0x10\nhost_read ipa=hyp_end-8\n");
        kept.save(folder.path()).unwrap();
        kept.save(folder.path()).unwrap();
        std::fs::write(folder.path().join(".parallax-x.part"), "host_sh").unwrap();
        let read = load(folder.path()).unwrap();
        assert_eq!(read.len(), 1);
        assert_eq!((read[0].text(), read[0].name()), (kept.text(), kept.name()));
    }

    #[test]
    fn what_a_cpu_that_is_off_does_not_do_is_written_and_nothing_else_is_expected() {
        let folder = tempfile::tempdir().unwrap();
        let text = "machine cpus=2\ncpu=1 nop => timeout\nhost_share_hyp pfn=ram+0x10 => EPERM\n";
        let kept = entry(text);
        assert!(
            kept.text().ends_with("\ncpu=1 nop => timeout\nhost_share_hyp pfn=ram+0x10\n"),
            "{}",
            kept.text()
        );
        kept.save(folder.path()).unwrap();
        let read = load(folder.path()).unwrap();
        assert!(read[0].ops.len() == 2 && read[0].ops.iter().all(|op| op.expect.is_none()));
    }

    #[test]
    fn what_is_too_long_to_be_read_again_does_not_fit() {
        let folder = tempfile::tempdir().unwrap();
        let mut long = entry("nop\n");
        let line = "nop\n".len() as u64;
        long.ops =
            vec![long.ops[0].clone(); usize::try_from((MOST - long.text().len() as u64) / line).unwrap()];
        assert!(long.fits());
        long.save(folder.path()).unwrap();
        assert_eq!(load(folder.path()).unwrap()[0].ops.len(), long.ops.len());
        long.ops.extend_from_within(..2);
        assert!(!long.fits());
        long.save(folder.path()).unwrap();
        assert!(load(folder.path()).unwrap_err().contains("larger than 4 MiB"));
    }

    #[test]
    fn where_nothing_could_be_kept_is_told_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let refused = |path: &Path| begin(path).unwrap_err().message;
        std::os::unix::fs::symlink("nowhere", at("link")).unwrap();
        let said = refused(&at("link"));
        assert!(
            said.ends_with("a link to nowhere, which is not there: make that folder, or name another one"),
            "{said}"
        );
        std::fs::create_dir(at("nowhere")).unwrap();
        begin(&at("link")).unwrap();
        std::fs::write(at("file"), "x").unwrap();
        assert!(refused(&at("file")).contains("it is no folder"));
        // Nobody makes files there, whoever it is.
        assert!(refused(Path::new("/proc/self")).contains("the folder takes no files"));
        assert!(refused(&at("new/one")).contains("its folder is not there"));
        assert_eq!(begin(&at("new")).unwrap(), 0);
        entry("nop\n").save(&at("new")).unwrap();
        assert_eq!(begin(&at("new")).unwrap(), 1);
    }

    #[test]
    fn a_trace_is_kept_with_its_device_tree_and_found_again_wherever_they_are() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut kept = entry("machine dtb=traces/trees/reserved.dts\nnop\n");
        kept.machine.tree = trees::named("traces/trees/reserved.dts");
        kept.save(folder.path()).unwrap();
        let mut copied = 0;
        for file in std::fs::read_dir(folder.path()).unwrap().flatten() {
            std::fs::copy(file.path(), other.path().join(file.file_name())).unwrap();
            copied += 1;
        }
        assert_eq!(copied, 2);
        for folder in [&folder, &other] {
            let read = load(folder.path()).unwrap();
            assert_eq!(read[0].machine, kept.machine);
            assert_eq!(read[0].name(), kept.name());
        }
        // A corpus of an older revision has no trees.
        std::fs::write(other.path().join("0.trace"), "machine dtb=traces/trees/reserved.dts\nnop\n").unwrap();
        assert_eq!(load(other.path()).unwrap()[0].machine, kept.machine);
    }

    #[test]
    fn a_machine_that_cannot_be_made_is_told_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.dts"), "/dts-v1/;\n/ { };\n").unwrap();
        for (machine, why) in [
            ("dtb=a.dts", "is no device tree that `fuzz` has"),
            ("dtb=nowhere.dts", "No such file"),
            ("guest=ordinary", "guest= is for an unmodified kernel"),
        ] {
            std::fs::write(folder.path().join("a.trace"), format!("machine {machine}\nnop\n")).unwrap();
            let error = load(folder.path()).unwrap_err();
            let whole = error.contains("a.trace: ") && error.ends_with("\nremove it from the corpus");
            assert!(whole && error.contains(why), "{error}");
        }
    }

    #[test]
    fn what_is_no_trace_is_told_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.trace"), "host_sh").unwrap();
        let error = load(folder.path()).unwrap_err();
        assert!(error.contains("a.trace") && error.contains("remove it"), "{error}");
        assert!(load(&folder.path().join("nowhere")).is_err());
    }

    #[test]
    fn what_is_no_file_is_refused_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |why: &str| {
            let error = load(folder.path()).unwrap_err();
            assert!(
                error.contains(why) && error.contains("a.trace") && error.contains("remove it"),
                "{error}"
            );
        };
        let at = folder.path().join("a.trace");
        let socket = std::os::unix::net::UnixListener::bind(&at).unwrap();
        refused("a socket");
        drop(socket);
        std::fs::remove_file(&at).unwrap();
        std::os::unix::fs::symlink("nowhere", &at).unwrap();
        refused("No such file");
        std::fs::remove_file(&at).unwrap();
        std::fs::write(&at, [0xff, 0xfe]).unwrap();
        refused("no text");
    }
}
