use std::fs;

use super::*;

/// A repository with one commit for each of `contents`, which is what `hyp/a` holds in it.
pub(in crate::bisect) fn history(contents: &[&str]) -> (tempfile::TempDir, Repository) {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"];
        let output = Command::new("git").arg("-C").arg(folder.path()).args(identity).args(arguments).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    run(&["init", "-q", "-b", "main"]);
    fs::create_dir(folder.path().join("hyp")).unwrap();
    for (index, text) in contents.iter().enumerate() {
        fs::write(folder.path().join("hyp/a"), text).unwrap();
        fs::write(folder.path().join("docs"), index.to_string()).unwrap();
        run(&["add", "."]);
        run(&["commit", "-q", "-m", &format!("commit {index}")]);
        run(&["tag", &format!("t{index}")]);
    }
    let repository = Repository::open(folder.path()).unwrap();
    (folder, repository)
}

#[test]
fn the_row_goes_from_the_good_to_the_bad_one() {
    let (_folder, repository) = history(&["a", "b", "b", "a"]);
    let row = repository.range("t0", "HEAD", &[]).unwrap();
    let subjects: Vec<&str> = row.iter().map(|commit| commit.subject.as_str()).collect();
    assert_eq!(subjects, ["commit 0", "commit 1", "commit 2", "commit 3"]);
}

#[test]
fn the_same_hypervisor_has_the_same_key_whatever_else_changed() {
    let (_folder, repository) = history(&["a", "b", "b", "a"]);
    let row = repository.range("t0", "HEAD", &["docs".to_owned()]).unwrap();
    assert_eq!((&row[1].key, &row[0].key), (&row[2].key, &row[3].key));
    assert_ne!(row[0].key, row[1].key);
    assert_ne!(row[1].trial, row[2].trial, "a file that a trial depends on counts for it");
    assert_eq!(repository.file(&row[1], "hyp/a").as_deref(), Some("b\n"));
    assert_eq!(repository.file(&row[1], "hyp/b"), None);
}

#[test]
fn what_is_no_range_is_refused_with_the_remedy() {
    let (folder, repository) = history(&["a", "b"]);
    let message = |good: &str, bad: &str| repository.range(good, bad, &[]).unwrap_err().message;
    assert!(message("nowhere", "HEAD").contains("no commit is called `nowhere`"));
    assert!(message("HEAD", "t1").contains("the same commit"));
    assert!(message("t1", "t0").contains("--good t0 --bad t1"));
    assert!(message("--upload-pack=x", "t0").contains("no commit is called"));
    let clone = folder.path().join("shallow");
    let url = format!("file://{}", folder.path().display());
    repository.git(&["clone", "-q", "--depth", "1", "--no-tags", &url, clone.to_str().unwrap()]).unwrap();
    let shallow = Repository::open(&clone).unwrap();
    assert!(shallow.range("t0", "HEAD", &[]).unwrap_err().message.contains("--unshallow"));
}

#[test]
fn a_merge_is_one_commit_of_the_row() {
    let (folder, repository) = history(&["a", "b"]);
    let git = |arguments: &[&str]| {
        let identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"];
        repository.git(&[&identity, arguments].concat()).unwrap()
    };
    git(&["checkout", "-q", "-b", "side", "t0"]);
    fs::write(folder.path().join("side"), "x").unwrap();
    git(&["add", "side"]);
    git(&["commit", "-q", "-m", "on the side"]);
    git(&["checkout", "-q", "main"]);
    git(&["merge", "-q", "--no-ff", "-m", "the merge", "side"]);
    let row = repository.range("t0", "main", &[]).unwrap();
    let subjects: Vec<&str> = row.iter().map(|commit| commit.subject.as_str()).collect();
    assert_eq!(subjects, ["commit 0", "commit 1", "the merge"]);
    assert_eq!(row[2].parents.len(), 2);
    assert!(repository.range("side", "t1", &[]).unwrap_err().message.contains("in common"));
}

#[test]
fn a_hypervisor_that_is_in_no_commit_is_refused() {
    let (folder, repository) = history(&["a"]);
    fs::write(folder.path().join("docs"), "changed").unwrap();
    assert!(repository.clean().is_ok());
    fs::write(folder.path().join("hyp/a"), "changed").unwrap();
    assert!(repository.clean().unwrap_err().message.contains("hyp/a"));
}
