//! Whether this command was built before the sources that it knows traces from.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use anyhow::Error;
use parallax_engine::project;
use parallax_report::walk;
use parallax_suite::cases::SuiteError;

/// Where the words of traces come from.
const SOURCES: [&str; 3] = ["hyp/abi/src", "harness/ops/src", "harness/trace/src"];

/// What there is to say beside `error`: a word that is new in the sources is none to a command that is older.
pub fn note(error: &Error) -> Option<String> {
    let malformed = matches!(error.downcast_ref::<SuiteError>()?, SuiteError::Malformed(_));
    let built = fs::metadata(std::env::current_exe().ok()?).ok()?.modified().ok()?;
    let root = project::root(&[]).ok().filter(|_| malformed)?;
    let newer = newer(&root, built).filter(|_| !is_checkout(&root, built))?;
    Some(format!("{newer} is newer than this command: cargo build --release -p parallax"))
}

/// Whether the sources at `root` are those of a commit from before `built`: a clone writes its files when it is made.
fn is_checkout(root: &Path, built: SystemTime) -> bool {
    project::same_sources(root, "HEAD", &SOURCES)
        && project::committed(root, &SOURCES).is_some_and(|committed| committed <= built)
}

/// A file of the sources at `root` that is newer than `built`.
fn newer(root: &Path, built: SystemTime) -> Option<String> {
    let sources = SOURCES.iter().filter_map(|folder| {
        walk::files(&root.join(folder), |path| path.extension().is_some_and(|end| end == "rs")).ok()
    });
    let is_newer = |path: &std::path::PathBuf| {
        fs::metadata(path).and_then(|file| file.modified()).is_ok_and(|written| written > built)
    };
    let written = |path: &std::path::PathBuf| fs::metadata(path).and_then(|file| file.modified()).ok();
    // The one that was written last is what somebody works on.
    let newer = sources.flatten().filter(is_newer).max_by_key(written)?;
    Some(newer.strip_prefix(root).unwrap_or(&newer).display().to_string())
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_fresh_clone_is_no_newer_source() {
        let root = tempfile::tempdir().unwrap();
        let git = |words: &[&str]| {
            let who = ["-c", "user.name=a", "-c", "user.email=a@localhost"];
            let output = Command::new("git").arg("-C").arg(root.path()).args(who).args(words).output();
            assert!(output.unwrap().status.success(), "git {words:?}");
        };
        let file = root.path().join("hyp/abi/src/operation.rs");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "").unwrap();
        git(&["init", "--quiet"]);
        for folder in &SOURCES[1..] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
            fs::write(root.path().join(folder).join("lib.rs"), "").unwrap();
        }
        git(&["add", "."]);
        git(&["commit", "--quiet", "-m", "all"]);
        let now = SystemTime::now() + Duration::from_secs(2);
        assert!(is_checkout(root.path(), now));
        assert!(!is_checkout(root.path(), now - Duration::from_secs(3600)), "the commit is newer");
        fs::write(&file, "// more").unwrap();
        assert!(!is_checkout(root.path(), now), "somebody works on it");
    }

    #[test]
    fn a_source_that_was_written_later_is_named() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("hyp/abi/src/operation.rs");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "").unwrap();
        let written = fs::metadata(&file).unwrap().modified().unwrap();
        assert_eq!(newer(root.path(), written + Duration::from_secs(1)), None);
        let said = newer(root.path(), written - Duration::from_secs(1));
        assert_eq!(said.as_deref(), Some("hyp/abi/src/operation.rs"));
    }
}
