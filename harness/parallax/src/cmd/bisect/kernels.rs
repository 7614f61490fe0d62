//! `parallax bisect --kernels`: which of several kernels is the first whose pKVM behaves otherwise.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use parallax_engine::project;
use parallax_engine::status::{Failure, Status};
use parallax_machine::CancellationToken;
use parallax_suite::bisect::row::{Compared, Member, first_otherwise};
use parallax_suite::cases;

use super::made;
use crate::cli::{self, BisectFormat, On, Only, Target};
use crate::cmd::output::{print, print_as_it_is};
use crate::cmd::run::target;

/// Runs it.
pub(super) fn bisect(args: &cli::Bisect, cancel: &CancellationToken) -> Result<Status> {
    let trace = &args.trace;
    let mut cases = cases::load(std::slice::from_ref(trace)).map_err(Failure::from)?;
    let case = match (cases.pop(), cases.is_empty()) {
        (Some(case), true) => case,
        _ => return Err(Failure::usage("--trace takes one trace").into()),
    };
    let root = project::root(std::slice::from_ref(&case.place.golden))?;
    // Results come out the same without the plugin, and in half the time.
    let ordered = args.only.is_none();
    let row = match (&args.kernels, &args.kernel_cmd) {
        (Some(folder), _) => there(folder, ordered, &root, cancel)?,
        (None, command) => {
            let command = command.as_deref().unwrap_or_default();
            made::row(command, &args.kernel_names, ordered, &root, cancel)?
        }
    };
    let compared = match args.only {
        Some(Only::Results) => Compared::Results,
        None => Compared::Everything,
    };
    let report = first_otherwise(&case, trace, &row, compared, cancel)?;
    match args.format {
        BisectFormat::Human => print(&report.human())?,
        BisectFormat::Markdown => print(&report.markdown())?,
        BisectFormat::Json => print_as_it_is(&report.json()?)?,
    }
    Ok(if report.is_found() { Status::Same } else { Status::Diverged })
}

/// Those below `folder`; where it is `ordered`, the order of events is judged in each.
fn there(
    folder: &Path,
    ordered: bool,
    root: &Path,
    cancel: &CancellationToken,
) -> Result<Vec<Member>, Failure> {
    let mut row = Vec::new();
    for (name, image) in kernels(folder)? {
        let on = On { target: Target::Pkvm, kernel: Some(image), forms: Vec::new() };
        let [plain, watched] = target::both(&on, root, cancel)?;
        let plain = if ordered { target::with_plugin(&on, root, [], cancel)? } else { plain };
        row.push(Member { name, make: Box::new(|| Ok(None)), plain, watched });
    }
    Ok(row)
}

/// The kernels below `folder`, each an `Image` in a folder of its own, in the order of the versions that those are called by.
fn kernels(folder: &Path) -> Result<Vec<(String, PathBuf)>, Failure> {
    let failed = |error| Failure::usage(format!("--kernels {}: {error}", folder.display()));
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let image = entry.path().join("Image");
        if image.is_file() {
            found.push((entry.file_name().to_string_lossy().into_owned(), image));
        }
    }
    if found.is_empty() {
        let what = "no kernel there; ci/fetch-linux --series 7.3 puts one into target/linux/7.3";
        return Err(Failure::usage(format!("--kernels {}: {what}", folder.display())));
    }
    found.sort_by_cached_key(|(name, _)| (numbers(name), name.clone()));
    Ok(found)
}

/// The numbers in `name`, which versions are sorted by.
fn numbers(name: &str) -> Vec<u64> {
    let parts = name.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty());
    parts.map(|part| part.parse().unwrap_or(u64::MAX)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_come_in_the_order_of_their_versions() {
        let folder = tempfile::tempdir().unwrap();
        assert!(kernels(folder.path()).unwrap_err().message.contains("no kernel there"));
        for name in ["7.1", "6.12", "6.9", "7.1.13-mine", "7.10", "modules"] {
            fs::create_dir(folder.path().join(name)).unwrap();
            if name != "modules" {
                fs::write(folder.path().join(name).join("Image"), "").unwrap();
            }
        }
        let names: Vec<String> = kernels(folder.path()).unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["6.9", "6.12", "7.1", "7.1.13-mine", "7.10"]);
        assert!(kernels(Path::new("/nowhere")).is_err());
    }
}
