//! Kernels that a command of the user's makes when they are asked for.
//!
//! Each is copied away: the next one may be built in the same place.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use parallax_engine::status::{Failure, Status};
use parallax_linux::kernel_and_busybox;
use parallax_machine::scratch::Scratch;
use parallax_machine::{Backend, CancellationToken, Machine, MachineError};
use parallax_suite::bisect::row::Member;
use parallax_trace::MachineSpec;

use crate::cli::{On, Target};
use crate::cmd::run::target;

/// The variable that tells the command which one is wanted.
const VARIABLE: &str = "PARALLAX_KERNEL";
/// Its exit status for one that cannot be tried, as `git bisect run` has it.
const SKIP: i32 = 125;
/// More of them are not believed.
const MOST: u64 = 1 << 16;

/// The row of those called `names`, which `command` makes; where it is `ordered`, the order of events is judged in each.
pub(super) fn row(
    command: &str,
    names: &[String],
    ordered: bool,
    root: &Path,
    cancel: &CancellationToken,
) -> Result<Vec<Member>, Failure> {
    let setup = |error: std::io::Error| Failure { status: Status::Setup, message: error.to_string() };
    let folder = Rc::new(Scratch::new().map_err(setup)?);
    let mut row = Vec::new();
    for (number, name) in expanded(names)?.into_iter().enumerate() {
        let image = Arc::new(OnceLock::new());
        let backend = |watched| Later {
            name: name.clone(),
            image: Arc::clone(&image),
            root: root.to_owned(),
            watched,
            cancel: cancel.clone(),
        };
        let (plain, watched) = (Box::new(backend(ordered)), Box::new(backend(true)));
        let (command, folder, root) = (command.to_owned(), Rc::clone(&folder), root.to_owned());
        let made =
            Made { name: name.clone(), command, folder, number, root, image, skipped: OnceLock::new() };
        row.push(Member { name, make: Box::new(move || made.make()), plain, watched });
    }
    Ok(row)
}

/// `names`, in which `1..4` stands for four numbers.
fn expanded(names: &[String]) -> Result<Vec<String>, Failure> {
    let mut all = Vec::new();
    for name in names.iter().map(|name| name.trim()).filter(|name| !name.is_empty()) {
        let ends = name
            .split_once("..")
            .and_then(|(from, to)| Some((from.parse::<u64>().ok()?, to.parse::<u64>().ok()?)));
        match ends {
            Some((from, to)) if from > to || to - from >= MOST => {
                return Err(Failure::usage(format!(
                    "--kernel-names {name}: from 1 to {MOST} of them, ascending"
                )));
            }
            Some((from, to)) => all.extend((from..=to).map(|number| number.to_string())),
            None => all.push(name.to_owned()),
        }
    }
    Ok(all)
}

/// One of them, and how it is made.
struct Made {
    name: String,
    command: String,
    folder: Rc<Scratch>,
    number: usize,
    root: PathBuf,
    image: Arc<OnceLock<PathBuf>>,
    skipped: OnceLock<String>,
}

impl Made {
    /// Makes it, once; gives why it cannot be tried, if so.
    fn make(&self) -> Result<Option<String>, Failure> {
        if self.image.get().is_some() || self.skipped.get().is_some() {
            return Ok(self.skipped.get().cloned());
        }
        let failed = |what: &str| {
            let message = format!("--kernel-cmd for {}: {what}", self.name);
            Failure { status: Status::Setup, message }
        };
        let mut command = Command::new("sh");
        command.args(["-c", &self.command]).env(VARIABLE, &self.name);
        let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
        let output = output.map_err(|error| failed(&format!("sh: {error}")))?;
        if output.status.code() == Some(SKIP) {
            let why = format!("the command that makes it ended with {SKIP}");
            return Ok(Some(self.skipped.get_or_init(|| why).clone()));
        }
        if !output.status.success() {
            return Err(failed(&format!("it ended with {} ({SKIP} would skip this one)", output.status)));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let Some(line) = text.lines().map(str::trim).rfind(|line| !line.is_empty()) else {
            return Err(failed("it printed no line with the path of an Image"));
        };
        let (image, _) = kernel_and_busybox(Some(Path::new(line)), &self.root.join("target/linux"))
            .map_err(|failure| failed(&format!("its last line is `{line}`: {}", failure.in_short())))?;
        let copy = self.folder.path().join(format!("{}.Image", self.number));
        std::fs::copy(&image, &copy).map_err(|error| failed(&format!("{}: {error}", image.display())))?;
        self.image.get_or_init(|| copy);
        Ok(None)
    }
}

/// Boots one of them once it is made.
struct Later {
    name: String,
    image: Arc<OnceLock<PathBuf>>,
    root: PathBuf,
    watched: bool,
    cancel: CancellationToken,
}

impl Backend for Later {
    fn boot(&self, spec: &MachineSpec) -> Result<Box<dyn Machine>, MachineError> {
        let failed = |what: String| MachineError::Foreign(what);
        let image = self.image.get().ok_or_else(|| failed(format!("{} was not made", self.name)))?;
        let on = On { target: Target::Pkvm, kernel: Some(image.clone()), forms: Vec::new() };
        let [plain, watched] =
            target::both(&on, &self.root, &self.cancel).map_err(|failure| failed(failure.message))?;
        if self.watched { watched.boot(spec) } else { plain.boot(spec) }
    }

    fn revision(&self) -> &str {
        &self.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Result<Vec<String>, String> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        expanded(&names).map_err(|failure| failure.message)
    }

    #[test]
    fn two_numbers_stand_for_all_between_them() {
        assert_eq!(names(&["a1..b2", "8..11", "", "x"]).unwrap(), ["a1..b2", "8", "9", "10", "11", "x"]);
        assert!(names(&["4..3"]).unwrap_err().contains("--kernel-names 4..3"));
        assert!(names(&["0..999999"]).is_err());
    }

    #[test]
    fn what_the_command_ends_with_decides() {
        let root = Scratch::new().unwrap();
        let made = |command: &str| {
            let row =
                row(command, &["one".to_owned()], false, root.path(), &CancellationToken::new()).unwrap();
            (row[0].make)().map_err(|failure| failure.message)
        };
        assert!(made("exit 125").unwrap().unwrap().contains("ended with 125"));
        assert!(made("exit 3").unwrap_err().contains("for one: it ended with exit status: 3"));
        assert!(made("true").unwrap_err().contains("no line with the path"));
        let error = made("echo /nowhere/$PARALLAX_KERNEL").unwrap_err();
        assert!(error.contains("/nowhere/one") && error.contains("no such file"), "{error}");
    }
}
