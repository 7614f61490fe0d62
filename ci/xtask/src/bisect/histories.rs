//! The histories, each from the good commit on.

use anyhow::{Context, Result};
use serde_json::Value;

use super::clone::{Clone, must};
use super::edits::{BLOCKS_AGAIN, NO_BOOT, NO_INVALIDATION, SINGLE_PAGES};
use crate::room::print;

/// The trace that sees a missing invalidation.
pub(super) const SPLIT: &str = "traces/good/split_2m.trace";
/// The trace that sees a block over a neighbour that is not the host's.
const NEIGHBOURS: &str = "traces/good/annotated_neighbours.trace";
const NEIGHBOURS_GOLDEN: &str = "golden/good/annotated_neighbours.snap";

const REGIONS: &str = "hyp/core/src/regions.rs";
const OPTIONS: &str = "hyp/core/src/options.rs";
const ADDR: &str = "hyp/core/src/addr.rs";
const ERROR: &str = "hyp/core/src/error.rs";
const STE: &str = "hyp/core/src/smmu/driver/ste.rs";
const CMDQ: &str = "hyp/core/src/smmu/driver/cmdq.rs";

/// Ten commits, one of which leaves the invalidation of a single page out; its name.
pub(super) fn one_invalidation(clone: &Clone<'_>) -> Result<String> {
    print("\n== ten commits: one does not build, one leaves the invalidation of a single page out")?;
    clone.harmless(REGIONS, "regions: touch")?;
    clone.page("A line.", "docs: a line")?;
    clone.harmless(OPTIONS, "options: touch")?;
    clone.harmless(ADDR, "addr: touch")?;
    clone.broken()?;
    let planted = clone.plant(&NO_INVALIDATION, "pgtable: invalidate ranges only")?;
    clone.page("Another.", "docs: another line")?;
    clone.harmless(STE, "ste: touch")?;
    clone.harmless(ERROR, "error: touch")?;
    clone.found(SPLIT, &[], "planted.txt", &[&planted, "first bad operation", "-        if stale {"])?;
    clone.found(SPLIT, &["--format", "markdown"], "planted.md", &["in 1 build (mode"])?;

    let diff = clone.parallax(&["diff", "--rev", &clone.good, SPLIT]);
    let status = diff.out_to(&clone.reports.join("rev.diff"))?.status()?;
    must(status == 1, || format!("exit status {status}, not 1, of diff --rev"))?;
    clone.expect("rev.diff", "-   event cpu0 tlbi ipas2e1is")?;
    let same = clone.parallax(&["diff", "--rev", "HEAD", SPLIT]).status()?;
    must(same == 0, || "the revision of the working tree is not as the working tree".to_owned())?;
    let clean = clone.git(&["diff", "--name-only"])?;
    must(clean.is_empty(), || format!("the working tree was changed: {clean}"))?;
    must(clone.worktrees()? == 1, || "worktrees are left behind".to_owned())?;
    Ok(planted)
}

/// The shape of a fix that adjusts how large a block a host's abort maps, and of its regression, which covers a neighbour that
/// is not the host's: the first changes results on purpose, the second is the fault.
pub(super) fn on_purpose(clone: &Clone<'_>) -> Result<()> {
    print("\n== ten commits: results change on purpose, and then a block covers what is annotated")?;
    clone.at(&clone.good)?;
    clone.harmless(REGIONS, "regions: touch")?;
    clone.harmless(OPTIONS, "options: touch")?;
    clone.edit(&SINGLE_PAGES)?;
    clone.parallax(&["run", "--accept", NEIGHBOURS]).quiet()?;
    let purpose = clone.save("abort: map single pages")?;
    clone.page("A line.", "docs: a line")?;
    clone.harmless(ADDR, "addr: touch")?;
    clone.harmless(ERROR, "error: touch")?;
    let planted = clone.plant(&BLOCKS_AGAIN, "abort: map blocks again")?;
    clone.harmless(STE, "ste: touch")?;
    clone.page("Another.", "docs: another line")?;
    clone.harmless(CMDQ, "cmdq: touch")?;
    let changed = clone.git(&["diff", "--name-only", &clone.good, &purpose, "--", NEIGHBOURS_GOLDEN])?;
    must(!changed.is_empty(), || "no golden changed on purpose".to_owned())?;
    clone.found(NEIGHBOURS, &["--mode", "range"], "range.txt", &[&planted])?;
    // By the golden of the working tree the good end is not in order: it says so and does not guess.
    clone.refused(NEIGHBOURS, &["--good", &clone.good, "--by", "golden"], "--by range")
}

/// 64 commits, all of which change the hypervisor: at most seven builds beyond the two ends.
pub(super) fn of_64(clone: &Clone<'_>) -> Result<()> {
    print("\n== 64 commits, all of which change the hypervisor: at most 7 builds beyond the two ends")?;
    clone.at(&clone.good)?;
    let mut planted = String::new();
    for number in 1..=64 {
        if number == 43 {
            planted = clone.plant(&NO_INVALIDATION, "pgtable: invalidate ranges only")?;
        } else {
            clone.harmless(REGIONS, &format!("regions: touch, {number}"))?;
        }
    }
    clone.found(SPLIT, &["--format", "json"], "64.json", &[])?;
    let report: Value = serde_json::from_str(&clone.report("64.json")?).context("64.json is no JSON")?;
    let found: Vec<_> =
        report["first_bad"].as_array().into_iter().flatten().map(|bad| &bad["commit"]).collect();
    must(found == [&Value::from(planted)] && report["commits"] == 64, || {
        format!("not the planted one of 64: {found:?} of {}", report["commits"])
    })?;
    let builds = report["builds"].as_u64().context("64.json has no number of builds")?;
    must(builds <= 9, || format!("{builds} builds for 64 commits"))?;
    clone.found(SPLIT, &[], "64.txt", &["in 0 builds (mode"])?;
    print(format!("{builds} builds, the two ends included; none the second time"))
}

/// `git bisect run`, with parallax as it is: what does not build is skipped.
pub(super) fn by_git(clone: &Clone<'_>) -> Result<()> {
    print("\n== git bisect run, with parallax as it is: what does not build is skipped")?;
    clone.at(&clone.good)?;
    clone.harmless(REGIONS, "regions: touch")?;
    clone.broken()?;
    let planted = clone.plant(&NO_INVALIDATION, "pgtable: invalidate ranges only")?;
    clone.harmless(OPTIONS, "options: touch")?;
    clone.by_git(SPLIT, "git.txt", &planted)
}

/// A hypervisor that does not boot is found, by git alone too, and not skipped.
pub(super) fn no_boot(clone: &Clone<'_>) -> Result<()> {
    print(
        "\n== a hypervisor that does not boot, with a TCR_EL2 that makes no sense: found, by git alone too, and not skipped",
    )?;
    clone.at(&clone.good)?;
    clone.harmless(REGIONS, "regions: touch")?;
    let planted = clone.plant(&NO_BOOT, "stage1: 52-bit addresses")?;
    clone.harmless(OPTIONS, "options: touch")?;
    clone.found(SPLIT, &[], "boot.txt", &[&planted, "the machine did not boot"])?;
    let named = clone.report("boot.txt")?.contains("first bad operation");
    must(!named, || "an operation is named of a hypervisor that does not boot".to_owned())?;
    clone.by_git(SPLIT, "git-boot.txt", &planted)
}
