//! Which traces to run: files and folders that the user names, read and parsed before anything is built.

use std::fs;
use std::path::{Path, PathBuf};

use parallax_engine::status::{Failure, Status};
use parallax_machine::{place, recording};
use parallax_trace::similar;
use parallax_trace::tree::{MAX_SOURCE, TreeError};
use parallax_trace::{MachineSpec, Trace, TraceError};

use parallax_report::golden::Place;
use parallax_report::regular;
use parallax_report::walk::{self, WalkError};

use crate::made_for::{is_taken, target_of};

/// A trace, ready to run.
#[derive(Clone, Debug)]
pub struct Case {
    /// The trace.
    pub trace: Trace,
    /// Where its golden is.
    pub place: Place,
}

/// The target of who does not name one.
const USUAL: &str = "hyp";

impl Case {
    /// Whether something must be found in it.
    #[must_use]
    pub const fn is_bad(&self) -> bool {
        self.trace.fault.is_some()
    }

    /// The target that it is made for.
    #[must_use]
    pub fn target(&self) -> String {
        let folder = Path::new(&self.trace.path).parent();
        folder.and_then(target_of).unwrap_or_else(|| USUAL.to_owned())
    }

    /// The trace as a command names it that is given in this folder: its name in the project where that is right, and
    /// otherwise as the user named it.
    #[must_use]
    pub fn name_here(&self) -> String {
        let (label, path) = (Path::new(&self.place.label), Path::new(&self.trace.path));
        let same =
            fs::canonicalize(label).is_ok_and(|label| fs::canonicalize(path).is_ok_and(|path| path == label));
        if same { self.place.label.clone() } else { self.trace.path.clone() }
    }
}

/// The largest trace, in bytes.
const MAX_SIZE: u64 = 64 << 20;

/// What the user named cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum SuiteError {
    /// A path cannot be read.
    #[error("{path}: {cause}", path = .path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// A file that is no trace.
    #[error("{path}: {what}", path = .path.display())]
    NoTrace {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A folder cannot be looked through.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// There is nothing at a path.
    #[error("{path}: no such trace{}", hint(path, .similar.as_deref()), path = .path.display())]
    Missing {
        /// The path.
        path: PathBuf,
        /// A trace that may be meant.
        similar: Option<PathBuf>,
    },
    /// A folder without traces.
    #[error("{path}: no file `*.trace` in it: nothing would be checked", path = .path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// The device tree of a trace cannot be read.
    #[error(
        "{trace}:{line}: dtb={name}: {cause}: the path counts from the trace's folder, {folder}",
        trace = .trace.display(),
        folder = place::folder_of(.trace).display()
    )]
    NoTree {
        /// The trace.
        trace: PathBuf,
        /// The line of its machine.
        line: usize,
        /// The file, as the trace names it.
        name: String,
        /// Why.
        cause: std::io::Error,
    },
    /// The device tree of a trace is malformed.
    #[error("{path}: {cause}", path = .path.display())]
    Tree {
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        cause: TreeError,
    },
    /// Malformed traces, all of them.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Malformed(Vec<TraceError>),
}

impl SuiteError {
    /// The exit status that it asks for.
    #[must_use]
    pub const fn status(&self) -> Status {
        Status::Usage
    }
}

impl From<SuiteError> for Failure {
    fn from(error: SuiteError) -> Self {
        Self { status: error.status(), message: error.to_string() }
    }
}

fn hint(path: &Path, similar: Option<&Path>) -> String {
    match similar {
        Some(meant) => format!(": did you mean {}?", meant.display()),
        None if path.starts_with("traces") && !Path::new("traces").exists() => {
            " or folder here: run this in the root of a Parallax source tree".to_owned()
        }
        None => String::new(),
    }
}

/// Nothing is at `path`: what may be meant is a trace with a similar name in its folder, or in that of all traces.
fn missing(path: &Path) -> SuiteError {
    let folder = path.parent().filter(|folder| folder.is_dir() && !folder.as_os_str().is_empty());
    let near = folder.into_iter().chain([Path::new("traces")]);
    let mut traces = Vec::new();
    near.for_each(|folder| _ = descend(folder, &mut traces));
    let stem = |path: &Path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let stems: Vec<String> = traces.iter().filter_map(|trace| stem(trace)).collect();
    let meant =
        stem(path).and_then(|name| similar(&name, stems.iter().map(String::as_str)).map(str::to_owned));
    let similar = traces.into_iter().find(|trace| meant.is_some() && stem(trace) == meant);
    SuiteError::Missing { path: path.to_owned(), similar }
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> SuiteError {
    |cause| SuiteError::Io { path: path.to_owned(), cause }
}

/// The trace files that `paths` stand for: files as named, folders with all that is below them, in order of name.
///
/// # Errors
/// A path cannot be read, or a folder holds no trace.
pub fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>, SuiteError> {
    find_for(paths, USUAL)
}

/// The same for a run on `target`, without what is made for another one.
fn find_for(paths: &[PathBuf], target: &str) -> Result<Vec<PathBuf>, SuiteError> {
    let mut files = Vec::new();
    for path in paths {
        let metadata = match fs::metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(missing(path)),
            metadata => metadata.map_err(io(path))?,
        };
        if metadata.is_dir() {
            let before = files.len();
            descend(path, &mut files)?;
            let mut index = 0;
            files.retain(|file| {
                index += 1;
                index <= before || is_taken(file, path, target)
            });
            if files.len() == before {
                return Err(SuiteError::Empty { path: path.clone() });
            }
        } else if !metadata.is_file() {
            // A pipe may have no writer, and would be waited for.
            return Err(SuiteError::NoTrace { path: path.clone(), what: "it is no file: name a trace" });
        } else {
            files.push(path.clone());
        }
    }
    let mut seen = std::collections::HashSet::new();
    files.retain(|file| seen.insert(fs::canonicalize(file).unwrap_or_else(|_| file.clone())));
    Ok(files)
}

/// The traces below `folder`, which must be files: a pipe among them would be waited for.
fn descend(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), SuiteError> {
    let is_trace = |path: &Path| path.extension().is_some_and(|extension| extension == "trace");
    let found = walk::files(folder, is_trace)?;
    found.iter().try_for_each(|path| regular::check(path, MAX_SIZE).map_err(io(path)))?;
    files.extend(found);
    Ok(())
}

/// Reads and parses what `paths` stand for.
///
/// # Errors
/// As [`find`]; or all traces that are malformed or stand in the wrong folder.
pub fn load(paths: &[PathBuf]) -> Result<Vec<Case>, SuiteError> {
    load_for(paths, USUAL)
}

/// The same for a run on `target`, without what is made for another one.
///
/// # Errors
/// As [`load`].
pub fn load_for(paths: &[PathBuf], target: &str) -> Result<Vec<Case>, SuiteError> {
    let mut cases = Vec::new();
    let mut malformed = Vec::new();
    for file in find_for(paths, target)? {
        let bytes = regular::read(&file, MAX_SIZE).map_err(io(&file))?;
        if let Some(what) = no_trace(&bytes) {
            return Err(SuiteError::NoTrace { path: file, what });
        }
        let text = String::from_utf8_lossy(&bytes);
        match parse(&file, text.strip_prefix('\u{feff}').unwrap_or(&text)) {
            Ok(mut trace) => {
                read_tree(&mut trace.machine, &file, &text)?;
                cases.push(Case { place: Place::of(&file), trace });
            }
            Err(error) => malformed.push(error),
        }
    }
    if malformed.is_empty() { Ok(cases) } else { Err(SuiteError::Malformed(malformed)) }
}

/// What `bytes` are, if they cannot be a trace.
fn no_trace(bytes: &[u8]) -> Option<&'static str> {
    if recording::begins(bytes) {
        return Some(
            "a recording, which cannot be performed again: perform its trace, or look at it with `parallax dump`",
        );
    }
    bytes.contains(&0).then_some("no text, and so no trace")
}

/// Reads the device tree that the machine of the trace in `file`, with `text`, names, if it names one.
fn read_tree(machine: &mut MachineSpec, file: &Path, text: &str) -> Result<(), SuiteError> {
    let Some(tree) = &mut machine.tree else { return Ok(()) };
    let path = file.parent().unwrap_or(Path::new("")).join(&tree.name);
    let bytes = regular::read(&path, MAX_SOURCE).map_err(|cause| {
        let is_machine = |line: &str| line.split_whitespace().next() == Some("machine");
        let line = text.lines().position(is_machine).map_or(1, |index| index + 1);
        SuiteError::NoTree { trace: file.to_owned(), line, name: tree.name.clone(), cause }
    })?;
    tree.source = String::from_utf8_lossy(&bytes).into_owned();
    tree.tree().map(|_| ()).map_err(|cause| SuiteError::Tree { path, cause })
}

fn parse(file: &Path, text: &str) -> Result<Trace, TraceError> {
    let trace = Trace::parse(&file.display().to_string(), text)?;
    let folder = file.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    let (found, expected) = match (folder, trace.fault) {
        (Some("good"), Some(_)) => ("a fault under good/", "a trace without one: nothing may be found here"),
        (Some("bad"), None) => ("no fault", "`fault NAME` first: something must be found under bad/"),
        _ => return Ok(trace),
    };
    let first = |line: &&str| line.trim_start().starts_with(|c: char| c != '#');
    let (index, line) = text.lines().enumerate().find(|(_, line)| first(line)).unwrap_or_default();
    Err(TraceError {
        path: trace.path,
        line: index + 1,
        column: 1,
        width: line.chars().count().max(1),
        text: line.to_owned(),
        found: found.to_owned(),
        expected: expected.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn folders_give_their_traces_in_order_and_each_once() {
        let root = project(&[("t/b.trace", "nop"), ("t/a/z.trace", "nop"), ("t/notes.txt", "x")]);
        let folder = root.path().join("t");
        let files = find(&[folder.clone(), folder.join("b.trace")]).unwrap();
        assert_eq!(files, [folder.join("a/z.trace"), folder.join("b.trace")]);
    }

    #[test]
    fn a_device_or_everything_is_no_trace() {
        let root = project(&[("t/a.trace", "nop")]);
        std::os::unix::fs::symlink("/dev/zero", root.path().join("t/zero.trace")).unwrap();
        for (path, what) in [
            (root.path().join("t"), "t/zero.trace: a device"),
            (root.path().join("t/zero.trace"), "t/zero.trace: it is no file: name a trace"),
            ("/".into(), "/: the root of all folders: name one further down"),
        ] {
            let error = load(std::slice::from_ref(&path)).unwrap_err().to_string();
            assert!(error.ends_with(what), "{error}");
        }
    }

    #[test]
    fn what_is_no_text_is_told_by_what_it_is() {
        let root = project(&[("b", "nop\0")]);
        fs::write(root.path().join("a.plx"), [0x28, 0xb5, 0x2f, 0xfd, 0]).unwrap();
        for (name, what) in [("a.plx", "a recording, which cannot be performed again"), ("b", "no text")] {
            let error = load(&[root.path().join(name)]).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    }

    #[test]
    fn a_folder_without_traces_checks_nothing_and_is_an_error() {
        let root = project(&[("t/notes.txt", "x")]);
        assert!(matches!(find(&[root.path().join("t")]), Err(SuiteError::Empty { .. })));
        assert!(matches!(
            find(&[root.path().join("nowhere")]),
            Err(SuiteError::Missing { similar: None, .. })
        ));
    }

    #[test]
    fn the_trace_that_is_meant_is_named() {
        let root =
            project(&[("t/share.trace", "nop"), ("t/split.trace", "nop"), ("t/deep/donate.trace", "nop")]);
        let said = |name: &str| find(&[root.path().join("t").join(name)]).unwrap_err().to_string();
        for (name, meant) in [("shar.trace", "share"), ("share", "share"), ("donat.trace", "deep/donate")] {
            assert!(said(name).ends_with(&format!("t/{meant}.trace?")), "{}", said(name));
        }
        assert!(said("xyz.trace").ends_with("no such trace"), "{}", said("xyz.trace"));
    }

    #[test]
    fn all_malformed_traces_are_told_at_once() {
        let root = project(&[("a.trace", "nopp"), ("b.trace", "nop"), ("c.trace", "nop =>")]);
        let SuiteError::Malformed(errors) = load(&[root.path().to_owned()]).unwrap_err() else {
            panic!("malformed traces must be refused");
        };
        assert_eq!(errors.len(), 2);
    }

    #[test]
    fn the_tree_of_a_machine_is_read_from_where_the_trace_is() {
        let root = project(&[
            ("good/a.trace", "machine dtb=../trees/a.dts\nnop"),
            ("trees/a.dts", "/dts-v1/;\n/ { };\n"),
            ("odd/a.trace", "machine dtb=b.dts\nnop"),
            ("odd/b.dts", "/dts-v1/;\n/ {\n"),
            ("none/a.trace", "# x\nmachine dtb=c.dts\nnop"),
        ]);
        let load = |name: &str| load(&[root.path().join(name)]);
        let cases = load("good").unwrap();
        assert!(cases[0].trace.machine.tree.as_ref().is_some_and(|tree| tree.tree().is_ok()));
        let said = load("odd").unwrap_err().to_string();
        assert!(said.ends_with("b.dts: line 2: no name"), "{said}");
        let said = load("none").unwrap_err().to_string();
        assert!(said.contains("none/a.trace:2: dtb=c.dts: No such file"), "{said}");
        assert!(
            said.contains("the path counts from the trace's folder, ") && said.ends_with("none"),
            "{said}"
        );
    }

    #[test]
    fn folder_and_fault_must_agree() {
        let root = project(&[
            ("good/a.trace", "# x\nfault smmu_no_tlbi\nnop"),
            ("bad/b.trace", "# x\n\nnop => ok"),
            ("bad/c.trace", "fault smmu_no_tlbi\nnop"),
        ]);
        let SuiteError::Malformed(errors) = load(&[root.path().to_owned()]).unwrap_err() else {
            panic!("a trace in the wrong folder must be refused");
        };
        let places: Vec<(&str, usize)> =
            errors.iter().map(|error| (error.found.as_str(), error.line)).collect();
        assert_eq!(places, [("no fault", 3), ("a fault under good/", 2)]);
        assert!(load(&[root.path().join("bad/c.trace")]).unwrap()[0].is_bad());
    }
}
