//! `cargo xtask report-test`: reports in a real headless browser.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;

use crate::child::{Child, find};
use crate::ends::Failure;
use crate::folder::Folder;
use crate::room::Room;

pub(crate) const EXAMPLE: &str = "\
Reports, the page of the nights and a trace for Perfetto are opened; what they show and do is checked, and faults are planted
that the checks must find. `ci/setup --browser` installs the browser.

Examples:
  cargo xtask report-test
  cargo xtask report-test --pictures docs/images      # renews the pictures of the pages

Exit status: 0 all is as it must be, 1 not, 125 there is no browser, or the command is not built.";

/// Arguments of `report-test`.
#[derive(Debug, Args)]
pub(crate) struct ReportTest {
    /// Gets pictures of what was opened
    #[arg(long, value_name = "FOLDER", value_parser = crate::from_here)]
    pictures: Option<PathBuf>,
}

const BROWSERS: &[&str] = &["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"];

pub(crate) fn report_test(room: &Room, arguments: &ReportTest) -> Result<()> {
    let browser = browser()?;
    let parallax = room.parallax()?;
    if let Some(pictures) = &arguments.pictures {
        fs::create_dir_all(pictures).with_context(|| format!("cannot make {}", pictures.display()))?;
    }
    let folder = Folder::new(&room.root().join("target"), "report-test")?;
    let test = Test { room, parallax: &parallax, folder: folder.path() };
    test.make()?;
    // It sees to the browser itself, which it started: told to end, or left alone.
    let node = test.with_folder(room.run_alone("node")).word("ci/report/main.mjs").word(browser);
    let status = node.word(folder.path()).word(&parallax).words(&arguments.pictures).status()?;
    // It has said what is wrong.
    if status == 0 { Ok(()) } else { Err(Failure::different("").into()) }
}

/// The browser, where all else is there, too.
fn browser() -> Result<PathBuf> {
    let browser = BROWSERS.iter().find_map(|name| find(name));
    let mut missing = Vec::new();
    if browser.is_none() {
        missing.push("no Chromium");
    }
    for (tool, none) in [("node", "no node"), ("zstd", "no zstd")] {
        if find(tool).is_none() {
            missing.push(none);
        }
    }
    let message =
        || format!("NOT RUN: {} here; ci/setup --browser installs what is missing", missing.join(", "));
    browser.filter(|_| missing.is_empty()).ok_or_else(|| Failure::setup(message()).into())
}

/// What is opened, in its folder.
struct Test<'a> {
    room: &'a Room,
    parallax: &'a Path,
    folder: &'a Path,
}

impl Test<'_> {
    /// Makes the recordings and their pages.
    fn make(&self) -> Result<()> {
        self.record("traces/bad/smmu_no_tlbi.trace", "stale", &[])?;
        self.record("traces/bad/smmu_unmap_skipped.trace", "skipped", &[])?;
        let fixed = ["--without-faults", "--no-golden"];
        self.record("traces/bad/smmu_unmap_skipped.trace", "fixed", &fixed)?;
        self.record("traces/good/donate.trace", "clean", &[])?;
        let refused = "host_donate_hyp pfn=ram+0x10 => ok\nhost_donate_hyp pfn=ram+0x10 => EPERM\n";
        fs::write(self.folder.join("refused.trace"), refused)?;
        self.record(&self.at("refused.trace"), "refused", &["--no-golden"])?;
        self.record("traces/good/four_cpus.trace", "cpus", &[])?;
        let run = self.command(&["run", "traces/bad/smmu_no_tlbi.trace", "--format", "json"]);
        run.out_to(&self.folder.join("run.json"))?.good()?;
        fs::write(self.folder.join("long.trace"), long_trace())?;
        self.record(&self.at("long.trace"), "long", &["--no-golden", "--mode", "stream"])?;
        let hostile = self.with_folder(self.room.run("node")).word("ci/report/hostile.mjs");
        hostile.words([self.at("stale.plx"), self.at("hostile.plx")]).good()?;
        for page in ["stale", "skipped", "clean", "refused", "cpus", "long", "hostile"] {
            self.quiet(&["report", &self.at(&format!("{page}.plx"))])?;
        }
        for [one, other, page] in [["skipped", "fixed", "compare"], ["stale", "stale", "equal"]] {
            let [one, other] = [one, other].map(|name| self.at(&format!("{name}.plx")));
            self.quiet(&["report", &one, "--compare", &other, "-o", &self.at(&format!("{page}.html"))])?;
        }
        for name in ["stale", "cpus"] {
            let [plx, json] = ["plx", "json"].map(|end| self.at(&format!("{name}.{end}")));
            self.quiet(&["report", &plx, "--perfetto", &json])?;
        }
        let nights = "ci/report/nights.jsonl";
        self.quiet(&["nightly", "history", "--import", nights, "--results", &self.at("night")])
    }

    /// Runs a trace and keeps its recording.
    fn record(&self, trace: &str, name: &str, words: &[&str]) -> Result<()> {
        let recording = self.at(&format!("{name}.plx"));
        self.command(&["run", trace, "--record", &recording]).words(words).quiet()
    }

    fn quiet(&self, words: &[&str]) -> Result<()> {
        self.command(words).quiet()
    }

    fn command(&self, words: &[&str]) -> Child<'_> {
        self.with_folder(self.room.run(self.parallax)).words(words)
    }

    /// What `child` leaves while it works goes with the folder.
    fn with_folder<'b>(&self, child: Child<'b>) -> Child<'b> {
        child.variable("TMPDIR", Some(self.folder.as_os_str()))
    }

    /// The file `name` of the folder.
    fn at(&self, name: &str) -> String {
        self.folder.join(name).to_string_lossy().into_owned()
    }
}

/// A trace of 10,000 operations.
fn long_trace() -> String {
    let mut text = "machine cpus=1 mem=256M smmu=shadow\n".to_owned();
    for number in 0..2500 {
        let frame = 0x4000 + number * 7 % 0x8000;
        for call in ["host_donate_hyp", "hyp_donate_host", "host_share_hyp", "host_unshare_hyp"] {
            writeln!(text, "{call} pfn=ram+{frame:#x}").expect("a string takes all");
        }
    }
    text
}
