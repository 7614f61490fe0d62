//! One mutant: built, and run under the traces until one of them is not in order.

use std::fs;
use std::path::{Path, PathBuf};

use parallax_engine::status::{Failure, Status};
use parallax_machine::toolchain::{self, ToolchainError, Variant};
use parallax_machine::{Backend, CancellationToken, Hyp, MachineError};
use parallax_report::report::{TraceReport, Verdict};

use super::fate::Fate;
use super::list::Mutant;
use super::tree::Tree;
use crate::cases::Case;
use crate::jobs::{self, GoldenMode, Options};

/// The traces, and the hypervisor as it is without a mutant.
pub struct Trials<'a> {
    tree: &'a Tree,
    plugin: PathBuf,
    /// Those that saw a mutant last come first.
    cases: Vec<Case>,
    image: Vec<u8>,
    options: Options,
}

impl<'a> Trials<'a> {
    /// Builds the hypervisor in `tree` and the plugin of the source tree at `root`, and sees that `cases` are all in order there; `tell` gets each report.
    ///
    /// # Errors
    /// It does not build, a trace is not in order, or the user cancelled.
    pub fn new(
        root: &Path,
        tree: &'a Tree,
        cases: Vec<Case>,
        jobs: usize,
        cancel: &CancellationToken,
        mut tell: impl FnMut(&TraceReport),
    ) -> Result<Self, Failure> {
        let options = Options {
            jobs,
            golden: GoldenMode::Compare,
            record: None,
            export: None,
            repeat: 1,
            mode: parallax_engine::Mode::Step,
            events: true,
            require: parallax_engine::order::Requirements::default(),
            flags: Vec::new(),
            explain: Vec::new(),
            cancel: cancel.clone(),
        };
        let plugin = toolchain::plugin(root, cancel).map_err(MachineError::from)?;
        let mut trials = Self { tree, plugin, cases, image: Vec::new(), options };
        let (hyp, image) = trials.build().map_err(MachineError::from)?;
        trials.image = image;
        let reports = jobs::run(&trials.cases, &hyp, &trials.options, |report, _| tell(report));
        trials.cancelled()?;
        match reports.iter().find(|report| report.verdict.status() != Status::Same) {
            None => Ok(trials),
            Some(report) => Err(Failure {
                status: report.verdict.status(),
                message: format!(
                    "{} is not in order without a mutant ({}): mend that first",
                    report.label,
                    report.verdict.word()
                ),
            }),
        }
    }

    /// What becomes of `mutant`.
    ///
    /// # Errors
    /// There is no compiler or no room, or the user cancelled.
    pub fn fate(&mut self, mutant: &Mutant) -> Result<Fate, Failure> {
        let planted = self.tree.plant(mutant)?;
        let built = self.build();
        drop(planted);
        let (hyp, image) = match built {
            Ok(built) => built,
            Err(ToolchainError::Failed { tail, .. }) => {
                let error =
                    tail.lines().find(|line| line.starts_with("error")).unwrap_or("error: it does not build");
                return Ok(Fate::Unviable { error: error.to_owned() });
            }
            Err(error @ (ToolchainError::Flatten { .. } | ToolchainError::NoImageHeader(_))) => {
                return Ok(Fate::Unviable { error: error.to_string() });
            }
            Err(error) => return Err(MachineError::from(error).into()),
        };
        if image == self.image {
            return Ok(Fate::Equal);
        }
        self.run(&hyp)
    }

    /// The hypervisor as it is in the tree now, and its image.
    fn build(&self) -> Result<(Hyp, Vec<u8>), ToolchainError> {
        let images = toolchain::build(&self.tree.root, Variant::Normal, &self.options.cancel)?;
        let image = fs::read(&images.hyp_img);
        let image = image.map_err(|source| ToolchainError::Io { path: images.hyp_img.clone(), source })?;
        let hyp = Hyp::new("mutant", &self.options.cancel).with_images(Variant::Normal, images);
        Ok((hyp.with_events(self.plugin.clone()), image))
    }

    /// Runs the traces on `backend` until a check finds something, or one does not get to its end.
    fn run(&mut self, backend: &dyn Backend) -> Result<Fate, Failure> {
        let mut options = self.options.clone();
        options.cancel = self.options.cancel.child_token();
        let (mut seen, mut differs) = (None, None);
        let mut index = 0;
        jobs::run(&self.cases, backend, &options, |report, _| {
            let here = index;
            index += 1;
            if seen.is_some() || report.verdict.status() == Status::Same {
                return;
            }
            match killed(report) {
                Some(fate) => {
                    seen = Some((here, fate));
                    options.cancel.cancel();
                }
                None => _ = differs.get_or_insert_with(|| report.label.clone()),
            }
        });
        self.cancelled()?;
        if let Some((index, fate)) = seen {
            self.cases[..=index].rotate_right(1);
            return Ok(fate);
        }
        Ok(differs.map_or(Fate::Survived, |trace| Fate::Golden { trace }))
    }

    fn cancelled(&self) -> Result<(), Failure> {
        if self.options.cancel.is_cancelled() {
            return Err(Failure { status: Status::Interrupted, message: "interrupted".to_owned() });
        }
        Ok(())
    }
}

/// What `report` of a trace that is not in order says, unless it is a golden that differs and nothing else.
fn killed(report: &TraceReport) -> Option<Fate> {
    let trace = report.label.clone();
    if let Some(found) = report.findings.first() {
        return Some(Fate::Found { trace, after: found.line, rule: found.finding.rule.to_string() });
    }
    let Verdict::Failed { message, .. } = &report.verdict else { return None };
    // What failed, and how.
    let why = message.lines().take(2).collect::<Vec<_>>().join(": ");
    Some(Fate::Failed { trace, why })
}
