//! Files that are saved while somebody works on them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use parallax_machine::CancellationToken;

/// An editor writes a file in several steps, and people save several files at once: so long nothing must happen.
const QUIET: Duration = Duration::from_millis(60);
/// How long a wait goes on before it is looked whether the user cancelled it.
const LOOK: Duration = Duration::from_millis(50);
/// How names of files end that anything depends on.
const ENDS: [&str; 7] = ["rs", "toml", "ld", "S", "dts", "trace", "snap"];

/// Saves in some folders.
pub(crate) struct Saves {
    saved: Receiver<Instant>,
    cancel: CancellationToken,
    /// What is under way, which a save ends.
    round: Arc<Mutex<CancellationToken>>,
    watcher: RecommendedWatcher,
    /// The folders, and which ones they were when they were last looked at.
    folders: Vec<(PathBuf, Option<Identity>)>,
}

/// Device and inode. A folder that is removed and made again (`git checkout` does so) is another one, which nobody watches.
type Identity = (u64, u64);

fn identity(folder: &Path) -> Option<Identity> {
    fs::metadata(folder).ok().map(|data| (data.dev(), data.ino()))
}

impl Saves {
    /// Those in `folders` and below, until `cancel`.
    ///
    /// # Errors
    /// The system cannot watch them.
    pub(crate) fn of(folders: &[PathBuf], cancel: &CancellationToken) -> Result<Self> {
        let (sender, saved) = mpsc::channel();
        let round = Arc::new(Mutex::new(cancel.child_token()));
        let under_way = Arc::clone(&round);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| matters(&event)) {
                under_way.lock().unwrap_or_else(PoisonError::into_inner).cancel();
                // Nobody waits any more at the end.
                let _ = sender.send(Instant::now());
            }
        })
        .context("files cannot be watched here")?;
        for folder in folders {
            watcher
                .watch(folder, RecursiveMode::Recursive)
                .with_context(|| format!("{}: cannot be watched", folder.display()))?;
        }
        let folders = folders.iter().map(|folder| (folder.clone(), identity(folder))).collect();
        Ok(Self { saved, cancel: cancel.clone(), round, watcher, folders })
    }

    /// A token for what is done now: the next save ends it.
    pub(crate) fn round(&self) -> CancellationToken {
        let token = self.cancel.child_token();
        *self.round.lock().unwrap_or_else(PoisonError::into_inner) = token.clone();
        token
    }

    /// Waits for a save, and until nothing more is saved: when the first was. Nothing once it is cancelled.
    pub(crate) fn next(&mut self) -> Option<Instant> {
        let first = loop {
            if self.cancel.is_cancelled() {
                return None;
            }
            match self.saved.recv_timeout(LOOK) {
                Ok(at) => break at,
                Err(RecvTimeoutError::Timeout) if self.watch_again() => break Instant::now(),
                Err(RecvTimeoutError::Timeout) => (),
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        };
        while !self.cancel.is_cancelled() && self.saved.recv_timeout(QUIET).is_ok() {}
        Some(first)
    }

    /// Watches those folders that were made again since the last look, and says whether there was one.
    fn watch_again(&mut self) -> bool {
        let mut any = false;
        for (folder, known) in &mut self.folders {
            let now = identity(folder);
            if now == *known {
                continue;
            }
            if now.is_none() {
                (*known, any) = (None, true);
                continue;
            }
            // The old watch went with the old folder, or still holds it where it was only moved away.
            let _ = self.watcher.unwatch(folder);
            if self.watcher.watch(folder, RecursiveMode::Recursive).is_ok() {
                (*known, any) = (now, true);
            }
        }
        any
    }
}

/// Whether something depends on what changed.
fn matters(event: &notify::Event) -> bool {
    !matches!(event.kind, EventKind::Access(_)) && event.paths.iter().any(|path| is_source(path))
}

fn is_source(path: &Path) -> bool {
    path.extension().and_then(|end| end.to_str()).is_some_and(|end| ENDS.contains(&end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saves_are_one_when_they_come_together_and_end_what_is_under_way() {
        let folder = tempfile::tempdir().unwrap();
        let cancel = CancellationToken::new();
        let mut saves = Saves::of(&[folder.path().to_owned()], &cancel).unwrap();
        let round = saves.round();
        std::fs::write(folder.path().join("notes.txt~"), "x").unwrap();
        std::fs::write(folder.path().join("a.snap.new"), "x").unwrap();
        std::thread::sleep(QUIET);
        assert!(!round.is_cancelled(), "nothing depends on these");
        let begin = Instant::now();
        for name in ["a.rs", "b.trace", "a.rs"] {
            std::fs::write(folder.path().join(name), "x").unwrap();
        }
        assert!(saves.next().unwrap() >= begin);
        assert!(round.is_cancelled() && !saves.round().is_cancelled());
        cancel.cancel();
        assert_eq!(saves.next(), None);
    }

    #[test]
    fn a_folder_that_is_made_again_is_watched_again() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("traces");
        std::fs::create_dir(&folder).unwrap();
        let mut saves = Saves::of(std::slice::from_ref(&folder), &CancellationToken::new()).unwrap();
        let gone = root.path().join("gone");
        std::fs::rename(&folder, &gone).unwrap();
        saves.next().expect("it is told that a folder went");
        std::fs::rename(&gone, &folder).unwrap();
        saves.next().unwrap();
        for away in [root.path().join("old"), root.path().join("older")] {
            std::fs::rename(&folder, away).unwrap();
            std::fs::create_dir(&folder).unwrap();
            saves.next().unwrap();
            let round = saves.round();
            std::fs::write(folder.join("a.trace"), "x").unwrap();
            saves.next().unwrap();
            assert!(round.is_cancelled(), "a save in it is seen");
        }
    }
}
