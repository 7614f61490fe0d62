//! What only some machines can do.

use std::time::Duration;

use parallax_abi::journal::{Record, kind};
use parallax_abi::smmu_host::HostSmmu;
use parallax_addr::{HypVa, ImageVa, PhysAddr, Span};
use parallax_ops::{Answer, Batch, CpuId, Operation};

use crate::error::MachineError;
use crate::target::Registers;

/// What a plugin records.
pub trait Journal {
    /// What was recorded since the last call, in the order of what happened.
    ///
    /// # Errors
    /// The plugin's journal cannot be believed.
    fn events(&mut self) -> Result<Vec<Record>, MachineError>;

    /// Level of FEAT_BBM on the CPUs (ID_AA64MMFR2_EL1.BBM); 0 where it cannot be told.
    ///
    /// # Errors
    /// The connection failed.
    fn bbm_level(&mut self) -> Result<u8, MachineError>;
}

/// Operations that are looked at while the machine goes on with the next ones.
pub trait Stream {
    /// Has `batch` performed. The machine runs until [`Self::ended`] says that it stands still; until then nothing else may
    /// be asked of it but its journal and [`Self::answer`].
    ///
    /// # Errors
    /// The connection failed, or `batch` does not fit: [`parallax_abi::mailbox::SLOTS`] operations at most.
    fn launch(&mut self, batch: &Batch) -> Result<(), MachineError>;

    /// Whether the machine stands still again; with `wait`, waits for it.
    ///
    /// # Errors
    /// As [`crate::Machine::perform`].
    fn ended(&mut self, wait: bool) -> Result<bool, MachineError>;

    /// The answer to number `index` of the batch, which was `operation` and must have been marked.
    ///
    /// # Errors
    /// There is no such operation.
    fn answer(&self, index: usize, operation: &Operation) -> Result<Answer, MachineError>;

    /// The registers, now that it stands still, after operations in which EL2 did to devices what `writes` says. What it wrote
    /// nothing to is as in `known`: nobody else has been at it, as no operation of a batch is an access.
    ///
    /// # Errors
    /// The connection failed.
    fn registers_after(&mut self, writes: DeviceWrites, known: &Registers)
    -> Result<Registers, MachineError>;
}

/// Which devices EL2 wrote to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceWrites {
    /// The SMMU.
    pub smmu: bool,
    /// Any other one.
    pub others: bool,
}

impl DeviceWrites {
    /// With those of `records`; the SMMU's registers are at `smmu`.
    pub fn add(&mut self, records: &[Record], smmu: Span<PhysAddr>) {
        for record in records.iter().filter(|record| record.kind == kind::MMIO_WRITE) {
            let of_smmu = smmu.contains(PhysAddr::new(record.b));
            self.smmu |= of_smmu;
            self.others |= !of_smmu;
        }
    }
}

/// Addresses where the machine stops by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stops {
    /// `parallax_wait`, at EL1: it waits for its next operation.
    pub wait: ImageVa,
    /// `parallax_stuck`, at EL1: the test host has no answer.
    pub stuck: ImageVa,
    /// `parallax_panic_stop`, at EL2: the hypervisor panicked.
    pub panic: HypVa,
}

/// Where and why it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stand {
    /// Signal number as GDB counts them.
    pub signal: u8,
    /// The CPU, from 0.
    pub cpu: usize,
    /// Address of the watchpoint that stopped it.
    pub watch: Option<u64>,
    /// Its program counter.
    pub pc: ImageVa,
    /// Its exception level, 0 to 3.
    pub el: u8,
}

/// A debugger's way in: an operation can be stopped half-way, and QEMU's own gdbstub answers what it can answer.
///
/// A debugger begins an operation with [`Debug::begin`], lets the machine go with [`Debug::go`] until it stands at
/// [`Stops::wait`] again, and takes the answer with [`Debug::answer`]. In between [`crate::Machine::perform`] must not be
/// called.
pub trait Debug {
    /// Where it stops by itself.
    fn stops(&self) -> Stops;

    /// Why it stands at [`Stops::stuck`].
    fn stuck(&self) -> String;

    /// What the machine printed so far, with its addresses explained.
    fn printed(&self) -> String;

    /// The documents of the target description with their names, `target.xml` first.
    ///
    /// # Errors
    /// The connection failed.
    fn documents(&mut self) -> Result<Vec<(String, String)>, MachineError>;

    /// Has the gdbstub answer `requests` for `cpu`, in one go.
    ///
    /// # Errors
    /// The connection failed, or there is no such CPU.
    fn ask(&mut self, cpu: usize, requests: &[String]) -> Result<Vec<Vec<u8>>, MachineError>;

    /// Hands `operation` of `cpu` to the test host, which waits; [`Self::go`] has it performed.
    ///
    /// # Errors
    /// The connection failed.
    fn begin(&mut self, cpu: CpuId, operation: &Operation) -> Result<(), MachineError>;

    /// Takes the answer to what was begun. The machine stands at [`Stops::wait`].
    ///
    /// # Errors
    /// There is none, or the connection failed.
    fn answer(&mut self, operation: &Operation) -> Result<Answer, MachineError>;

    /// Lets it go: all CPUs, or one step of one of them, while the others go on unless it is to go `alone`.
    ///
    /// # Errors
    /// The connection failed.
    fn go(&mut self, step: Option<usize>, alone: bool) -> Result<(), MachineError>;

    /// Waits for it to stop, `limit` at most.
    ///
    /// # Errors
    /// The connection failed, or QEMU ended.
    fn stopped(&mut self, limit: Duration) -> Result<Option<Stand>, MachineError>;

    /// Brings it to a stop while it goes.
    ///
    /// # Errors
    /// The connection failed, or QEMU ended.
    fn halt(&mut self) -> Result<Stand, MachineError>;
}

/// How a piece of a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// The machine stands still and can go on.
    Running,
    /// As [`Self::Running`]; it was woken or SIGUSR1 came.
    Woken,
    /// As [`Self::Running`]; a CPU is about to execute the instruction that [`Running::stop_at`] named.
    At(ImageVa),
    /// It has switched itself off.
    Ended,
}

/// A guest that runs on its own, and is stopped and looked at now and then.
pub trait Running {
    /// Lets it run for `limit` of wall time, until it switches itself off, is woken, or comes to one of its stops.
    ///
    /// # Errors
    /// The hypervisor panicked, the machine stopped where it must not, QEMU died, or the run was cancelled.
    fn run_for(&mut self, limit: Duration) -> Result<Pause, MachineError>;

    /// Stops whenever a CPU is about to execute the instruction at `address`, at whatever exception level.
    ///
    /// # Errors
    /// The connection failed.
    fn stop_at(&mut self, address: u64) -> Result<(), MachineError>;

    /// The end of what it printed, the hypervisor's addresses explained.
    fn printed(&self) -> String;

    /// The SMMU as the hypervisor shows it to the guest; nothing where it shows none.
    fn host_smmu(&self) -> Option<HostSmmu>;
}

/// What a CPU is about to execute when another one may go on in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PointKind {
    /// The first instruction of the hypervisor.
    Entry,
    /// A load with which a lock is taken.
    Lock,
    /// It waits for a lock that another CPU holds.
    Wait,
    /// A store that publishes, or gives a lock back.
    Release,
    /// A TLBI.
    Tlbi,
    /// A DSB.
    Dsb,
    /// It has performed its operation.
    Done,
}

/// A turn: a CPU went on to its next point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The CPU.
    pub cpu: CpuId,
    /// Where it is now.
    pub pc: ImageVa,
    /// What that is.
    pub kind: PointKind,
}

/// Operations that CPUs perform at once, one CPU going on at a time.
pub trait AtOnce {
    /// Performs the operations of `batch`, each of a CPU of its own, and gives as many answers, and the turns. Whenever more than
    /// one CPU can go on, `choose` says which of them does; they are in order. What it gives that is none of them is the first.
    ///
    /// # Errors
    /// As [`crate::Machine::perform`]; or the CPUs wait for each other, or there are more turns than any operation takes.
    fn perform_at_once(
        &mut self,
        batch: &Batch,
        choose: &mut dyn FnMut(&[CpuId]) -> CpuId,
    ) -> Result<(Vec<Answer>, Vec<Turn>), MachineError>;
}
