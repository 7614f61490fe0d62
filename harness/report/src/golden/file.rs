//! Snapshot files: read and written by insta itself, so that they are what `cargo insta` would have made.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use insta::Snapshot;
use parallax_machine::place::draft_beside;
use parallax_model::GoldenLine;

use super::{GoldenError, Place, header};
use crate::regular;

/// The test that insta's review tool runs to make these files (see `golden/traces.rs`).
const SOURCE: &str = "golden/traces.rs";

/// The form in which a text is stored and compared: without blank lines around it.
pub(super) fn body(text: &str) -> &str {
    text.trim_matches('\n')
}

fn malformed(path: &Path) -> impl FnOnce(Box<dyn std::error::Error>) -> GoldenError {
    |cause| GoldenError::Malformed { path: path.to_owned(), cause: cause.to_string() }
}

/// The largest golden, in bytes.
const MAX_SIZE: u64 = 64 << 20;

fn read(path: &Path) -> Result<Snapshot, GoldenError> {
    let bytes = regular::read(path, MAX_SIZE).map_err(unfit(path))?;
    let line = |(line, what)| GoldenError::Line { path: path.to_owned(), line, what };
    header::check(&bytes).map_err(line)?;
    Snapshot::from_file(path).map_err(malformed(path))
}

fn unfit(path: &Path) -> impl FnOnce(io::Error) -> GoldenError {
    |cause| match cause.kind() {
        ErrorKind::InvalidInput => GoldenError::Unfit { path: path.to_owned(), what: cause.to_string() },
        _ => GoldenError::io(path)(cause),
    }
}

/// The text of the golden at `path`, if there is one.
///
/// # Errors
/// It is no snapshot of text, or cannot be read.
pub fn text(path: &Path) -> Result<Option<String>, GoldenError> {
    if !path.try_exists().map_err(GoldenError::io(path))? {
        return Ok(None);
    }
    let snapshot = read(path)?;
    let text = snapshot.as_text().map(ToString::to_string);
    let text = text.ok_or_else(|| malformed(path)("it holds no text".into()))?;
    Ok(Some(body(&text).to_owned()))
}

/// Writes `text` to `path`, a golden or a pending one of `place`.
///
/// # Errors
/// The file system refused.
pub fn save(place: &Place, path: &Path, text: &str) -> Result<(), GoldenError> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(folder).map_err(GoldenError::io(folder))?;
    let mut draft = draft_beside(path, ".part").map_err(GoldenError::io(path))?;
    // Quoted, whatever the trace is called; insta writes it as it would.
    let description = serde_json::Value::from(format!("parallax run {}", place.label));
    write!(draft.as_file_mut(), "---\nsource: {SOURCE}\ndescription: {description}\n---\n{}\n", body(text))
        .map_err(GoldenError::io(path))?;
    // What waits for a review is replaced, whatever it was: nobody agreed to it.
    if fs::symlink_metadata(path).is_ok_and(|there| there.is_symlink()) && *path == place.pending() {
        fs::remove_file(path).map_err(GoldenError::io(path))?;
    }
    rewrite(draft.path(), path)
}

/// Puts what `from` holds to `to`, in insta's own form, in one step; where `to` is a link to a file, to that file.
fn rewrite(from: &Path, to: &Path) -> Result<(), GoldenError> {
    let to = &match fs::symlink_metadata(to) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => to.to_owned(),
        _ if !to.try_exists().map_err(GoldenError::io(to))? => {
            return Err(GoldenError::Unfit { path: to.to_owned(), what: "a link to nothing".to_owned() });
        }
        _ => {
            regular::check(to, MAX_SIZE).map_err(unfit(to))?;
            fs::canonicalize(to).map_err(GoldenError::io(to))?
        }
    };
    let whole = draft_beside(to, ".part").map_err(GoldenError::io(to))?;
    // insta does not say why it cannot write: whether there is room is seen first.
    let snapshot = read(from)?;
    fs::copy(from, whole.path()).map_err(GoldenError::io(to))?;
    snapshot.save(whole.path()).map_err(malformed(to))?;
    // A temporary file is private to its owner; a golden is read by everybody who reads the project.
    set_readable(whole.path()).map_err(GoldenError::io(to))?;
    whole.persist(to).map_err(|error| GoldenError::Io { path: to.to_owned(), cause: error.error })?;
    Ok(())
}

#[cfg(unix)]
fn set_readable(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn set_readable(_path: &Path) -> std::io::Result<()> {
    Ok(())
}

/// Takes a pending golden (`*.snap.new`); gives the golden.
///
/// # Errors
/// It is no snapshot, or the file system refused; the pending one is still there then.
pub fn accept(pending: &Path) -> Result<PathBuf, GoldenError> {
    let golden = pending.with_extension("");
    rewrite(pending, &golden)?;
    reject(pending)?;
    Ok(golden)
}

/// How many findings a golden or a pending one holds.
///
/// # Errors
/// It is no snapshot, or cannot be read.
pub fn findings_in(path: &Path) -> Result<usize, GoldenError> {
    Ok(findings_of(&text(path)?.unwrap_or_default()))
}

/// How many findings a golden's text holds.
pub(super) fn findings_of(text: &str) -> usize {
    GoldenLine::findings(text).count()
}

/// Removes a pending golden, if there is one.
///
/// # Errors
/// The file system refused.
pub fn reject(pending: &Path) -> Result<(), GoldenError> {
    match fs::remove_file(pending) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(GoldenError::io(pending)(cause)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Comparison, compare, pending_under};
    use super::*;

    fn place(folder: &Path) -> Place {
        Place::of(&folder.join("traces/good/x.trace"))
    }

    #[test]
    fn a_saved_golden_is_the_same_as_its_text() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path());
        assert_eq!(compare(&place, "1: nop -> ok\n", true).unwrap(), Comparison::Missing);
        save(&place, &place.golden, "1: nop -> ok\n").unwrap();
        assert_eq!(compare(&place, "1: nop -> ok\n", true).unwrap(), Comparison::Same);
        let Comparison::Different { diff } = compare(&place, "1: nop -> abort\n", true).unwrap() else {
            panic!("another text must differ");
        };
        assert!(diff.contains("-1: nop -> ok") && diff.contains("+1: nop -> abort"), "{diff}");
    }

    #[test]
    fn the_file_is_what_insta_writes_and_accepting_does_not_change_it() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path());
        save(&place, &place.pending(), "5: host_write value=0x1 -> ok\n   cpu  ram+0x0 - RWX\n").unwrap();
        let bytes = fs::read_to_string(place.pending()).unwrap();
        assert_eq!(
            bytes,
            "---\nsource: golden/traces.rs\ndescription: parallax run traces/good/x.trace\n---\n\
             5: host_write value=0x1 -> ok\n   cpu  ram+0x0 - RWX\n"
        );
        assert_eq!(accept(&place.pending()).unwrap(), place.golden);
        assert_eq!(fs::read_to_string(&place.golden).unwrap(), bytes);
        assert!(pending_under(folder.path()).unwrap().is_empty());
    }

    #[test]
    fn nothing_is_left_beside_the_golden() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path());
        save(&place, &place.golden, "a").unwrap();
        let names: Vec<_> = fs::read_dir(place.golden.parent().unwrap()).unwrap().collect();
        assert_eq!(names.len(), 1);
    }

    #[test]
    fn a_golden_that_is_a_link_stays_one_and_its_file_is_changed() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path());
        let elsewhere = folder.path().join("elsewhere.snap");
        fs::create_dir_all(place.golden.parent().unwrap()).unwrap();
        save(&place, &elsewhere, "1: nop -> ok").unwrap();
        std::os::unix::fs::symlink(&elsewhere, &place.golden).unwrap();
        assert_eq!(compare(&place, "1: nop -> ok", true).unwrap(), Comparison::Same);
        for text in ["1: nop -> abort", "1: nop -> undef"] {
            match text.ends_with("abort") {
                true => save(&place, &place.golden, text).unwrap(),
                false => {
                    save(&place, &place.pending(), text).unwrap();
                    accept(&place.pending()).map(drop).unwrap();
                }
            }
            assert!(fs::symlink_metadata(&place.golden).unwrap().is_symlink(), "{text}");
            assert_eq!(super::text(&elsewhere).unwrap().unwrap(), text);
        }
        // A result that waits is no agreement: what a link in its place leads to is let alone.
        std::os::unix::fs::symlink(&elsewhere, place.pending()).unwrap();
        save(&place, &place.pending(), "1: nop -> ok").unwrap();
        assert_eq!(super::text(&elsewhere).unwrap().unwrap(), "1: nop -> undef");
    }

    #[test]
    fn what_is_no_golden_is_told_as_what_it_is_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path());
        fs::create_dir_all(place.golden.parent().unwrap()).unwrap();
        for (to, what) in [("/dev/zero", "a device"), ("nowhere", "a link to nothing"), (".", "a folder")] {
            std::os::unix::fs::symlink(to, &place.golden).unwrap();
            let error = save(&place, &place.golden, "1: nop -> ok").unwrap_err().to_string();
            assert!(error.ends_with(&format!("x.snap: {what}, and no golden: remove it")), "{error}");
            if to != "nowhere" {
                assert_eq!(text(&place.golden).unwrap_err().to_string(), error);
            }
            assert!(fs::symlink_metadata(&place.golden).unwrap().is_symlink());
            fs::remove_file(&place.golden).unwrap();
        }
        fs::File::create(&place.golden).unwrap().set_len(3 << 30).unwrap();
        let error = text(&place.golden).unwrap_err().to_string();
        assert!(error.ends_with("x.snap: larger than 64 MiB, and no golden: remove it"), "{error}");
    }

    #[test]
    fn findings_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path());
        save(&place, &place.golden, "1: nop -> ok\n   cpu  a!\n   ! sync/extra smmu b\n").unwrap();
        assert_eq!(findings_in(&place.golden).unwrap(), 1);
        assert_eq!(findings_in(&place.pending()).unwrap(), 0);
    }

    #[test]
    fn pending_goldens_are_found_in_order() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b", "a"] {
            let place = Place::of(&folder.path().join(format!("traces/bad/{name}.trace")));
            save(&place, &place.pending(), "x").unwrap();
        }
        let names: Vec<String> = pending_under(folder.path())
            .unwrap()
            .iter()
            .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(names, ["a.snap.new", "b.snap.new"]);
    }
}
