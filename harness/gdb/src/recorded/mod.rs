//! A recording as a debuggee: it goes from operation to operation, forward and back.
//!
//! The program counter is in front of the operation that is performed next, and so are stops at watchpoints: forward, in
//! front of the operation that will change the memory; back, behind the one that changed it. That is where hardware that
//! stops before an access leaves a debugger of AArch64, which takes the step itself.

mod history_commands;
mod motion;
mod registers;
mod way;

use std::collections::BTreeSet;

use parallax_addr::{InputAddr, PhysAddr};
use parallax_engine::recorded;
use parallax_machine::recording::{RecordingError, Replay};
use parallax_machine::toolchain::Variant;
use parallax_machine::{Machine, Registers};
use parallax_model::Snapshot;
use parallax_vmsa::{Regime, translate};

use crate::{Debuggee, Lost, Motion, Point, PointKind, Stop, program};

use self::way::Way;
use crate::commands::answer_text;
use crate::history::Named;
use crate::inside::Inside;
use crate::state_view::{StateView, StateViews};

/// The recording.
pub struct Recorded {
    replay: Replay,
    /// The file's name, for a person.
    file: String,
    operations: Vec<Named>,
    /// What was found after the boot, and after each of them.
    found: Vec<Vec<String>>,
    events: bool,
    states: StateViews,
    description: String,
    physical: bool,
    /// Points with the physical addresses of what they watch.
    points: BTreeSet<(Point, u64)>,
    way: Option<Way>,
    /// The place inside of the operation behind the one after which the replay stands; none between two operations.
    inside: Option<Inside>,
}

fn lost(error: RecordingError) -> Lost {
    Lost(error.to_string())
}

impl Recorded {
    /// For `replay`, which is `file`.
    ///
    /// # Errors
    /// A line of it is malformed, or `cancelled` says so.
    pub fn new(replay: Replay, file: String, cancelled: &dyn Fn() -> bool) -> Result<Self, RecordingError> {
        let listed = replay.operations(cancelled)?;
        let events = listed.iter().any(|listed| listed.events);
        let operations = listed.iter().skip(1).map(|listed| {
            let mark = if listed.findings.is_empty() { "" } else { "  !" };
            let result = recorded::result_of(&listed.text, listed.response.as_ref()) + mark;
            Named { line: u64::from(listed.line), text: listed.text.clone(), result: Some(result) }
        });
        let operations = operations.collect();
        let marked = |findings: Vec<String>| findings.iter().map(|finding| format!("! {finding}")).collect();
        let found = listed.into_iter().map(|listed| marked(listed.findings)).collect();
        let states = StateViews::new(replay.target());
        Ok(Self {
            replay,
            file,
            operations,
            found,
            events,
            states,
            description: registers::description(),
            physical: false,
            points: BTreeSet::new(),
            way: None,
            inside: None,
        })
    }

    /// The operations.
    pub fn operations(&self) -> &[Named] {
        &self.operations
    }

    /// Whether it says what happened inside of operations.
    pub const fn events(&self) -> bool {
        self.events
    }

    /// What tells the images that ran from all others; nothing where the recording does not say.
    pub fn images(&self) -> Option<&str> {
        Some(self.replay.target().description.images.as_str()).filter(|id| !id.is_empty())
    }

    /// Revision of the hypervisor's source.
    pub fn revision(&self) -> &str {
        self.replay.revision()
    }

    /// Which build of it ran.
    pub fn variant(&self) -> Variant {
        if self.replay.target().description.config.faults_build { Variant::Faults } else { Variant::Normal }
    }

    const fn position(&self) -> u64 {
        self.replay.position()
    }

    fn registers_now(&mut self) -> Result<Registers, String> {
        self.replay.registers().map_err(|error| error.to_string())
    }

    /// The state now.
    fn now(&mut self) -> Result<Snapshot, String> {
        let registers = self.registers_now()?;
        Ok(self.states.snapshot(self.replay.memory(), &registers))
    }

    /// Looks at the state now.
    fn look<T>(&mut self, look: impl FnOnce(&StateView<'_>) -> Result<T, String>) -> Result<T, String> {
        let registers = self.registers_now()?;
        self.states.look(self.replay.memory(), &registers, look)
    }

    /// The physical address of `address`: by EL2's states 1, or as an address of the host.
    fn resolve(&mut self, address: u64) -> Option<u64> {
        if self.physical {
            return Some(address);
        }
        let registers = self.replay.registers().ok()?;
        let memory = self.replay.memory();
        let el2 = Regime::el2_stage1(&registers.sys).ok().flatten();
        let host = Regime::stage2(&registers.sys).ok().flatten();
        let input = InputAddr::new(address);
        let found = el2.and_then(|regime| translate(memory, &regime, input).ok());
        let found = found.or_else(|| host.and_then(|regime| translate(memory, &regime, input).ok()));
        found.map(|found| found.oa.get())
    }
}

impl Debuggee for Recorded {
    fn cpus(&self) -> usize {
        usize::try_from(self.states.info.cpus).unwrap_or(1).clamp(1, 8)
    }

    fn cpu_name(&self, cpu: usize) -> String {
        let next = self.operations.get(self.position() as usize);
        match next.is_some_and(|next| next.cpu() == cpu) {
            true => format!("CPU {cpu}, performs the next operation"),
            false => format!("CPU {cpu}"),
        }
    }

    fn description(&self, document: &str) -> Option<&str> {
        (document == "target.xml").then_some(&self.description)
    }

    fn registers(&mut self, cpu: usize) -> Result<Option<Vec<Option<u8>>>, Lost> {
        let pc = match &self.inside {
            Some(inside) => inside.next_of(cpu).map_or(program::address(inside.op), |store| store.pc),
            None => program::address(self.position()),
        };
        let registers = self.replay.registers().map_err(|error| Lost(error.to_string()))?;
        Ok(Some(registers::bytes(pc, cpu, &registers)))
    }

    fn write_registers(&mut self, _cpu: usize, _bytes: &[u8]) -> Result<bool, Lost> {
        Ok(false)
    }

    fn register(&mut self, _cpu: usize, _number: usize) -> Result<Option<Vec<u8>>, Lost> {
        Ok(None)
    }

    fn write_register(&mut self, _cpu: usize, _number: usize, _bytes: &[u8]) -> Result<bool, Lost> {
        Ok(false)
    }

    fn read(&mut self, _cpu: usize, address: u64, buf: &mut [u8]) -> Result<bool, Lost> {
        let mut done = 0;
        while done < buf.len() {
            let at = address.wrapping_add(done as u64);
            // One translation holds to the end of its page.
            let len = (buf.len() - done).min((4096 - at % 4096) as usize);
            let Some(pa) = self.resolve(at) else { return Ok(false) };
            let piece = &mut buf[done..done + len];
            if self.replay.memory().read(PhysAddr::new(pa), piece).is_err() {
                return Ok(false);
            }
            if let Some(inside) = &self.inside {
                inside.patch(pa, piece);
            }
            done += len;
        }
        Ok(true)
    }

    fn write(&mut self, _cpu: usize, _address: u64, _bytes: &[u8]) -> Result<bool, Lost> {
        Ok(false)
    }

    fn physical(&mut self) -> &mut bool {
        &mut self.physical
    }

    fn insert(&mut self, point: Point) -> Result<bool, Lost> {
        let pa = match point.kind {
            PointKind::Execute => Some(point.address),
            // A recording knows of no loads.
            PointKind::Read | PointKind::Access => None,
            PointKind::Write => self.resolve(point.address),
        };
        Ok(pa.is_some_and(|pa| {
            self.points.insert((point, pa));
            true
        }))
    }

    fn remove(&mut self, point: Point) -> Result<bool, Lost> {
        self.points.retain(|(known, _)| *known != point);
        Ok(true)
    }

    fn reverses(&self) -> bool {
        true
    }

    fn resume(&mut self, motion: Motion) -> Result<(), Lost> {
        self.way = Some(self.way(motion).map_err(lost)?);
        Ok(())
    }

    fn poll(&mut self) -> Result<Option<Stop>, Lost> {
        self.go_on().map_err(lost)
    }

    fn interrupt(&mut self) -> Result<usize, Lost> {
        self.way = None;
        Ok(0)
    }

    fn monitor(&mut self, command: &str) -> Result<String, Lost> {
        Ok(answer_text(self.command(command)))
    }

    fn leave(&mut self) -> Result<(), Lost> {
        (self.way, self.inside) = (None, None);
        self.points.clear();
        self.physical = false;
        Ok(())
    }
}
