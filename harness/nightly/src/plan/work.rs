//! The kinds of work.

use std::path::PathBuf;

use super::kernels::Kernel;
use crate::qemus::Qemu;

/// What is dealt out at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece(pub Vec<Work>);

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Traces on a machine.
    Cell(Cell),
    /// Any other check.
    Step(Step),
    /// The events of every so many good traces, for the checker whose format they are in.
    Casemate {
        /// Every so many.
        every: usize,
    },
    /// A part of all small changes of the hypervisor, another one each night.
    Mutants,
}

/// Traces on a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// What it is called.
    pub name: String,
    /// Which QEMU runs them; the usual one, if none is named.
    pub qemu: Option<Qemu>,
    /// Arguments of `parallax run` beside the traces.
    pub words: Vec<String>,
    /// Which.
    pub traces: Traces,
}

impl Cell {
    /// What must be there for it.
    #[must_use]
    pub const fn needs(&self) -> Needs {
        match self.traces {
            Traces::Kernel(kernel) => Needs::Kernel(kernel.series),
            Traces::All | Traces::Fit | Traces::BadWithoutFaults => Needs::Nothing,
        }
    }
}

/// Which traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traces {
    /// All, each on its own machine: that says which faults are caught.
    All,
    /// Good ones that are about no other setting.
    Fit,
    /// Bad ones with their faults switched off: nothing may be found.
    BadWithoutFaults,
    /// Those that run on this kernel: nothing may be found that is not known of it, and what is known must be found.
    Kernel(&'static Kernel),
}

/// Any other check, by its exit status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it is called.
    pub name: String,
    /// What is run.
    pub program: Program,
    /// Its arguments.
    pub words: Vec<String>,
    /// Variables of its environment.
    pub variables: Vec<(String, String)>,
    /// Which QEMU it runs on; the usual one, if none is named.
    pub qemu: Option<Qemu>,
    /// The exit status that is right.
    pub expect: i32,
    /// The exit status that says that it cannot be done here, if it has one.
    pub cannot: Option<i32>,
    /// What is taken from its output.
    pub reads: Reads,
    /// What must be there.
    pub needs: Needs,
}

/// What a step runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// The command itself.
    Parallax,
    /// `cargo xtask`, as it is built.
    Xtask,
    /// A script or a program of another name.
    Other(PathBuf),
}

/// The document that a step prints, where the night takes something from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reads {
    /// None.
    Nothing,
    /// Operations.
    Attack,
    /// Operations, and states that came up.
    Fuzz,
    /// Operations, states and transitions, which are called so.
    Explore(&'static str),
    /// Lines that are reached.
    Coverage,
    /// Instructions of operations.
    Bench,
    /// Instructions of operations on several targets.
    BenchTargets,
}

/// What must be there for a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing more.
    Nothing,
    /// This series of Linux, which the night does without where it could not be had.
    Kernel(&'static str),
    /// Root, and debootstrap.
    BareMachines,
}

impl Step {
    /// `parallax` with `words`.
    pub(super) fn parallax(name: impl Into<String>, words: &str) -> Self {
        Self::of(name, Program::Parallax, words)
    }

    /// `cargo xtask` with `words`.
    pub(super) fn xtask(name: impl Into<String>, words: &str) -> Self {
        Self::of(name, Program::Xtask, words)
    }

    /// Another program with `words`.
    pub(super) fn other(name: impl Into<String>, program: &str, words: &str) -> Self {
        Self::of(name, Program::Other(program.into()), words)
    }

    fn of(name: impl Into<String>, program: Program, words: &str) -> Self {
        Self {
            name: name.into(),
            program,
            words: words.split_whitespace().map(str::to_owned).collect(),
            variables: Vec::new(),
            qemu: None,
            expect: 0,
            cannot: None,
            reads: Reads::Nothing,
            needs: Needs::Nothing,
        }
    }

    /// The same, whose document says something.
    pub(super) fn reading(self, reads: Reads) -> Self {
        Self { reads, ..self }
    }

    /// The same with a variable.
    pub(super) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }
}
