//! Ends that are not as said, and a bisection that is killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use super::clone::{Clone, IMAGES, must};
use super::histories::SPLIT;
use crate::ends::Failure;
use crate::room::print;

/// The commit before the good one is good as well, in each message.
fn good_is_good(clone: &Clone<'_>) -> String {
    format!("the bad end {} is good", &clone.good[..12])
}

/// What is said of ends that are not as said, and of changes in no commit.
pub(super) fn not_as_said(clone: &Clone<'_>, planted: &str) -> Result<()> {
    print("\n== ends that are not as said, and changes in no commit")?;
    let good = clone.good.as_str();
    let refused = |words: &[&str], text: &str| clone.refused(SPLIT, words, text);
    refused(&["--good", planted], "is bad (line 4")?;
    refused(&["--good", &format!("{good}~1"), "--bad", good], &good_is_good(clone))?;
    refused(&["--good", "HEAD", "--bad", good], "the other way round")?;
    refused(&["--good", "no-such-revision"], "no commit is called")?;
    clone.touch("hyp/core/src/addr.rs")?;
    refused(&["--good", good], "are in no commit")?;
    clone.git(&["checkout", "-q", "--", "hyp"]).map(drop)
}

/// One that is killed while it builds: the next one tidies up, and builds only what is missing.
/// It has to build `image` once more.
pub(super) fn killed(clone: &Clone<'_>, planted: &str, image: &Path) -> Result<()> {
    print(
        "\n== a bisection that is killed while it builds: the next one tidies up, and builds only what is missing",
    )?;
    fs::remove_dir_all(image).with_context(|| format!("cannot remove {}", image.display()))?;
    let reports = &clone.reports;
    let bisect = clone.bisect_alone(SPLIT).out_to(&reports.join("killed.out"))?;
    let mut bisect = bisect.error_to(&reports.join("killed.txt"))?.start()?;
    while bisect.ended()?.is_none() {
        let reused = clone.report("killed.txt")?.matches("image was there").count();
        if reused >= 4 && clone.builds() {
            break;
        }
        clone.room.go_on()?;
        thread::sleep(Duration::from_millis(100));
    }
    must(bisect.ended()?.is_none(), || "it was over before it could be killed".to_owned())?;
    bisect.kill()?;
    must(clone.worktrees()? == 2, || "it was not killed while it built".to_owned())?;
    // One that has nothing to build.
    let good = clone.good.as_str();
    clone.refused(SPLIT, &["--good", &format!("{good}~1"), "--bad", good], &good_is_good(clone))?;
    must(clone.worktrees()? == 1, || {
        "the worktree of a bisection that was killed is still there".to_owned()
    })?;
    // What does not build is tried again, and what it was killed at.
    clone.found(SPLIT, &[], "resumed.txt", &[planted, "in 2 builds (mode"])?;
    must(clone.worktrees()? == 1, || "worktrees are left behind by a bisection that was killed".to_owned())
}

/// The image that was built last.
pub(super) fn newest_image(clone: &Clone<'_>) -> Result<PathBuf> {
    let images = clone.tree.join(IMAGES);
    let entries = fs::read_dir(&images).with_context(|| format!("cannot read {}", images.display()))?;
    let entries = entries.map(|entry| {
        let entry = entry?;
        Ok((entry.metadata()?.modified()?, entry.path()))
    });
    let entries: Vec<_> = entries.collect::<std::io::Result<_>>()?;
    let newest = entries.into_iter().max().map(|(_, path)| path);
    newest.ok_or_else(|| Failure::different(format!("no image in {}", images.display())).into())
}
