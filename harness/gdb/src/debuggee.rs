//! What a debugger may ask.

/// The debuggee is gone, and why. Everything else that goes wrong is a request refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Lost(pub String);

/// What a point stops at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PointKind {
    /// Execution; how the breakpoint is made is the debuggee's business.
    Execute,
    /// A store.
    Write,
    /// A load.
    Read,
    /// Either.
    Access,
}

/// A breakpoint or a watchpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Point {
    /// What it stops at.
    pub kind: PointKind,
    /// Its first byte.
    pub address: u64,
    /// How many bytes, or for [`PointKind::Execute`] the kind of instruction.
    pub len: u64,
}

/// How to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Motion {
    /// On, until something stops it.
    Continue,
    /// One step of this CPU. The others go on, unless they are to stand still.
    Step {
        /// The CPU, from 0.
        cpu: usize,
        /// The others stand still.
        alone: bool,
    },
    /// Back, until something stops it.
    ReverseContinue,
    /// One step back.
    ReverseStep {
        /// The CPU that is told to have made it.
        cpu: usize,
    },
}

/// Why it stands still again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The step is done, or there is nothing more to go on with; of this CPU.
    Done(usize),
    /// At a breakpoint of this CPU.
    Break(usize),
    /// At a watchpoint of this CPU.
    Watch(usize, Point),
    /// It failed, as a person reads in what a `monitor` command says.
    Failed(usize),
    /// There is nothing before this moment.
    Begin,
    /// There is nothing after this moment.
    End,
}

/// Something that a debugger can be connected to. CPUs count from 0; registers have the numbers of the target description.
///
/// `None` and `false` refuse a request; [`Lost`] ends it all.
pub trait Debuggee {
    /// How many CPUs there are, at least 1.
    fn cpus(&self) -> usize;

    /// What a CPU is called in a list of threads.
    fn cpu_name(&self, cpu: usize) -> String;

    /// A document of the target description; the first one is `target.xml`.
    fn description(&self, document: &str) -> Option<&str>;

    /// The registers of the `g` packet in order of their numbers; a byte that is not known is `None`.
    ///
    /// # Errors
    /// The debuggee is gone.
    fn registers(&mut self, cpu: usize) -> Result<Option<Vec<Option<u8>>>, Lost>;

    /// Writes the registers of the `G` packet.
    ///
    /// # Errors
    /// The debuggee is gone.
    fn write_registers(&mut self, cpu: usize, bytes: &[u8]) -> Result<bool, Lost>;

    /// One register, in memory order.
    ///
    /// # Errors
    /// The debuggee is gone.
    fn register(&mut self, cpu: usize, number: usize) -> Result<Option<Vec<u8>>, Lost>;

    /// Writes one register.
    ///
    /// # Errors
    /// The debuggee is gone.
    fn write_register(&mut self, cpu: usize, number: usize, bytes: &[u8]) -> Result<bool, Lost>;

    /// Fills `buf` with memory as `cpu` sees it, or by physical address in [physical mode](Self::physical).
    ///
    /// # Errors
    /// The debuggee is gone.
    fn read(&mut self, cpu: usize, address: u64, buf: &mut [u8]) -> Result<bool, Lost>;

    /// Writes memory, as [`Self::read`] reads it.
    ///
    /// # Errors
    /// The debuggee is gone.
    fn write(&mut self, cpu: usize, address: u64, bytes: &[u8]) -> Result<bool, Lost>;

    /// Whether addresses are physical, to be read and to be set.
    fn physical(&mut self) -> &mut bool;

    /// Sets a point.
    ///
    /// # Errors
    /// The debuggee is gone.
    fn insert(&mut self, point: Point) -> Result<bool, Lost>;

    /// Removes a point.
    ///
    /// # Errors
    /// The debuggee is gone.
    fn remove(&mut self, point: Point) -> Result<bool, Lost>;

    /// Whether it can go back.
    fn reverses(&self) -> bool;

    /// Begins to go on.
    ///
    /// # Errors
    /// The debuggee is gone.
    fn resume(&mut self, motion: Motion) -> Result<(), Lost>;

    /// Waits for a stop, some milliseconds at most.
    ///
    /// # Errors
    /// The debuggee is gone.
    fn poll(&mut self) -> Result<Option<Stop>, Lost>;

    /// Brings it to a stop wherever it is, and gives the CPU that is meant from now on.
    ///
    /// # Errors
    /// The debuggee is gone.
    fn interrupt(&mut self) -> Result<usize, Lost>;

    /// The debugger is gone: stands still, without points, as for a new one.
    ///
    /// # Errors
    /// The debuggee is gone.
    fn leave(&mut self) -> Result<(), Lost>;

    /// Does what a `monitor` command says, and gives what is to be shown; it may end in a line feed.
    ///
    /// # Errors
    /// The debuggee is gone.
    fn monitor(&mut self, command: &str) -> Result<String, Lost>;
}
