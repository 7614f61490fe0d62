//! Lets that Linux run, and looks at it meanwhile.

use std::collections::BTreeMap;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use anstream::{eprint, eprintln};
use parallax_addr::ImageVa;
use parallax_engine::{ReportedFinding, Reproducer, Session, SessionError};
use parallax_machine::{Linux, MachineError, Pause, Running};
use parallax_model::Finding;
use parallax_trace::{Op, Trace};

use crate::commands::Commands;
use crate::oops;
use crate::operations::Operations;
use crate::view;

/// The hypervisor comes here whenever its account of the kernel's commands is full.
const COMMANDS_FULL: &str = "smmu_host_commands_full";
/// How soon what the guest says is heard, while something waits for that.
const SOON: Duration = Duration::from_millis(50);
/// How long a kernel that dies may go on to say why.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Characters that are kept of what the guest says it has done.
const MOST_SAID: usize = 60;

/// What is done while it runs.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// How often all tables are looked at; zero for never.
    pub every: Duration,
    /// It must have ended after so long.
    pub limit: Duration,
    /// Rounds of operations beside its work.
    pub operations: u32,
    /// A look whenever a CPU comes to one of these: a function of the hypervisor, an address, or a symbol of the kernel.
    pub at: Vec<String>,
    /// A look when the console shows one of these.
    pub at_console: Vec<String>,
    /// Show both views of the SMMU at each look that was asked for.
    pub views: bool,
    /// Keep account of the kernel's commands to its SMMU.
    pub commands: bool,
}

/// All looks at a machine.
#[derive(Debug)]
pub struct Inspections {
    /// The command that looks at such a machine again.
    reproducer: Reproducer,
    /// What the guest said last that it has done.
    done: String,
    /// How many.
    pub count: usize,
    /// What they found.
    pub findings: Vec<ReportedFinding>,
    /// What was seen of the kernel's commands.
    pub commands: Option<Commands>,
    /// How many events were judged, if any were recorded.
    pub events: Option<u64>,
}

impl Inspections {
    /// Before the first look; `reproducer` is the command.
    #[must_use]
    pub fn new(reproducer: Reproducer, commands: Option<Commands>) -> Self {
        Self { reproducer, done: String::new(), count: 0, findings: Vec::new(), commands, events: None }
    }

    /// Notes what is wrong at the look that came last, for the reason `why`.
    fn found(&mut self, why: &str, findings: impl IntoIterator<Item = Finding>) {
        let done = if self.done.is_empty() { "boot" } else { &self.done };
        let op = format!("{why}; the guest's last step was {done}");
        let (count, reproducer) = (self.count, &self.reproducer);
        self.findings.extend(
            findings.into_iter().map(|finding| ReportedFinding::new(count, &op, finding, reproducer)),
        );
    }

    fn read_commands(&mut self, running: &dyn Running) {
        if let (Some(commands), Some(host)) = (&mut self.commands, running.host_smmu()) {
            commands.read(&host);
        }
    }

    /// What there is to say of what was found, and how much was judged.
    fn finish(&mut self, session: &Session<'_>) {
        self.findings.iter_mut().for_each(|found| found.detail = session.detail(&found.finding));
        self.events = session.events();
    }
}

/// What a piece of the run came to.
enum Turn {
    /// It stands still, and why.
    Still(Pause),
    /// It has switched itself off.
    Ended,
    /// The kernel dies.
    Dying,
}

/// The run, apart from the machine.
struct Run<'a> {
    plan: &'a Plan,
    console: &'a Receiver<String>,
    inspections: &'a mut Inspections,
    operations: &'a mut Operations,
    begin: Instant,
    /// When the next look is due.
    next: Instant,
    /// The disks are at work.
    working: bool,
    /// Stops by address, with the names that the user gave.
    stops: BTreeMap<ImageVa, String>,
    /// Where the hypervisor's account of the kernel's commands is full.
    full: Option<ImageVa>,
}

/// Lets `linux` run to its end, as `plan` says. `console` gives what it prints.
///
/// # Errors
/// The machine failed, or did not end in time.
pub fn drive(
    linux: &mut Linux,
    plan: &Plan,
    console: &Receiver<String>,
    inspections: &mut Inspections,
    operations: &mut Operations,
) -> Result<(), SessionError> {
    let begin = Instant::now();
    let full =
        if plan.commands { linux.places(COMMANDS_FULL).first().copied().map(ImageVa::from) } else { None };
    if let Some(full) = full {
        linux.stop_at(full)?;
    }
    let stops = stops(linux, plan)?;
    let next = begin + plan.every;
    let mut run = Run { plan, console, inspections, operations, begin, next, working: false, stops, full };
    let looked_at = !plan.every.is_zero() || !plan.at.is_empty() || !plan.at_console.is_empty();
    // Before the hypervisor has booted there is nothing to look at.
    let pause = loop {
        match run.turn(linux)? {
            Turn::Still(pause) => {
                linux.keep_events()?;
                let booted = linux.info()?.is_some();
                if looked_at && booted {
                    break pause;
                }
                if matches!(pause, Pause::At(address) if Some(address) == run.full) {
                    run.inspections.read_commands(linux);
                }
            }
            Turn::Ended => return Ok(()),
            Turn::Dying => return run.last_words(linux).map(|_| ()),
        }
    };
    let Some(mut host) = linux.host()? else { return Ok(()) };
    let (mut session, at_boot) = Session::start(&mut host, None)?;
    run.inspections.count += 1;
    run.inspections.found("boot", at_boot);
    let result = run.beside(&mut session, pause);
    run.inspections.finish(&session);
    match result {
        // That it ended while it was looked at is its own affair.
        Err(SessionError::Machine(MachineError::SwitchedOff)) => Ok(()),
        result => result,
    }
}

impl Run<'_> {
    /// Lets it run for a while, and hears what it says.
    fn turn(&mut self, machine: &mut dyn Running) -> Result<Turn, MachineError> {
        let plan = self.plan;
        let mut period = if plan.every.is_zero() { plan.limit } else { plan.every };
        if self.operations.left > 0 || !plan.at.is_empty() {
            period = period.min(SOON);
        }
        let pause = machine.run_for(period)?;
        let lines: Vec<String> = self.console.try_iter().collect();
        if pause == Pause::Ended {
            for name in plan.at.iter().filter(|name| !self.stops.values().any(|stop| stop == *name)) {
                eprintln!(
                    "--at {name}: no function of the hypervisor and no symbol of the kernel is called so"
                );
            }
            self.inspections.read_commands(machine);
            return Ok(Turn::Ended);
        }
        if lines.iter().any(|line| oops::death(line).is_some()) {
            return Ok(Turn::Dying);
        }
        for line in lines {
            // The disks are at work from then on.
            self.working |= line.contains("PLX step virtio_appears");
            if let Some((_, step)) = line.split_once("PLX step ") {
                self.inspections.done = step.chars().filter(|c| !c.is_control()).take(MOST_SAID).collect();
            }
            if let Some((name, address)) = kernel_symbol(&line).filter(|(name, _)| plan.at.contains(name)) {
                machine.stop_at(address.get())?;
                self.stops.insert(address, name);
            }
        }
        if self.begin.elapsed() >= plan.limit {
            let waiting_for = "the guest's switching itself off";
            return Err(MachineError::Hang { waiting_for, limit: plan.limit, report: machine.printed() });
        }
        Ok(Turn::Still(pause))
    }

    /// Inspections at the machine as often as the plan says, until it ends. It stands still because of `pause`.
    fn beside(&mut self, session: &mut Session<'_>, mut pause: Pause) -> Result<(), SessionError> {
        loop {
            self.react(session, pause)?;
            if self.working && self.operations.left > 0 {
                let inspections = &mut *self.inspections;
                self.operations.round(session, |op, step| {
                    inspections.count += 1;
                    inspections.found(op, step.findings.iter().cloned());
                })?;
            }
            match self.turn(running(session)?)? {
                Turn::Still(next) => {
                    self.read_events(session, false)?;
                    pause = next;
                }
                Turn::Ended => return self.read_events(session, true),
                Turn::Dying => {
                    let ended = self.last_words(running(session)?)?;
                    self.read_events(session, ended)?;
                    return if ended { Ok(()) } else { self.look(session, "the kernel died") };
                }
            }
        }
    }

    /// Does what a stop asks for, and looks if that is due.
    fn react(&mut self, session: &mut Session<'_>, pause: Pause) -> Result<(), SessionError> {
        match pause {
            Pause::At(address) if Some(address) == self.full => {
                self.inspections.read_commands(running(session)?)
            }
            Pause::At(address) => {
                let stop = self.stops.get(&address).map_or_else(|| format!("{address:#x}"), Clone::clone);
                self.asked(session, &format!("at {stop}"))?;
            }
            Pause::Woken => self.asked(session, "asked for")?,
            Pause::Running | Pause::Ended => {}
        }
        if !self.plan.every.is_zero() && Instant::now() >= self.next {
            self.look(session, &format!("every {} ms", self.plan.every.as_millis()))?;
            self.next = Instant::now() + self.plan.every;
        }
        Ok(())
    }

    /// Inspections once.
    fn look(&mut self, session: &mut Session<'_>, why: &str) -> Result<(), SessionError> {
        // Before the machine runs on to get out of the hypervisor.
        self.inspections.read_commands(running(session)?);
        session.look_closely();
        let step = session.step(&nop())?;
        self.inspections.count += 1;
        self.inspections.found(why, step.findings);
        self.inspections.read_commands(running(session)?);
        Ok(())
    }

    /// A look that was asked for: says so.
    fn asked(&mut self, session: &mut Session<'_>, why: &str) -> Result<(), SessionError> {
        let before = self.inspections.findings.len();
        self.look(session, why)?;
        eprintln!(
            "look {}, {why}: {} new findings",
            self.inspections.count,
            self.inspections.findings.len() - before
        );
        if self.plan.views {
            let text = match running(session)?.host_smmu() {
                Some(host) => view::text(&host, session.registers(), session.machine().memory()),
                None => "the kernel sees no SMMU of the hypervisor's\n".to_owned(),
            };
            eprint!("{text}");
        }
        Ok(())
    }

    /// Judges the order of what happened since the last time. Where that was wrong, a look shows what has become of it, or if
    /// the machine has ended, the last one.
    fn read_events(&mut self, session: &mut Session<'_>, ended: bool) -> Result<(), SessionError> {
        let findings = session.catch_up(!ended)?;
        let seen = if ended { "the last look before it ended" } else { "seen right after" };
        self.inspections.found(&format!("the order of events is wrong, {seen}"), findings);
        Ok(())
    }

    /// The kernel dies: what it still has to say. Whether it has ended then.
    fn last_words(&mut self, machine: &mut dyn Running) -> Result<bool, SessionError> {
        let begin = Instant::now();
        let mut pause = Pause::Running;
        while pause != Pause::Ended && begin.elapsed() < LAST_WORDS {
            pause = machine.run_for(LAST_WORDS.saturating_sub(begin.elapsed()))?;
        }
        self.inspections.read_commands(machine);
        Ok(pause == Pause::Ended)
    }
}

fn running<'s>(session: &'s mut Session<'_>) -> Result<&'s mut dyn Running, SessionError> {
    let none = || MachineError::Contract("the machine does not run on its own".to_owned());
    Ok(session.machine_mut().running().ok_or_else(none)?)
}

/// The operation that a look is.
fn nop() -> Op {
    Trace::parse("look", "nop").expect("a trace").ops.remove(0)
}

/// Sets the stops whose address is known now, and gives their names. The kernel's symbols come from the guest.
fn stops(linux: &mut Linux, plan: &Plan) -> Result<BTreeMap<ImageVa, String>, MachineError> {
    let mut stops = BTreeMap::new();
    for name in &plan.at {
        let places = match parallax_addr::parse_number(name) {
            Some(number) => vec![ImageVa::new(number)],
            None => linux.places(name).into_iter().map(Into::into).collect(),
        };
        for address in places {
            linux.stop_at(address)?;
            stops.insert(address, name.clone());
        }
    }
    Ok(stops)
}

/// Name and address in a line such as `PLX symbol nvme_queue_rq ffff800080abcdef`; the guest has it from /proc/kallsyms.
fn kernel_symbol(line: &str) -> Option<(String, ImageVa)> {
    let (_, text) = line.split_once("PLX symbol ")?;
    let (name, digits) = text.split_once(' ')?;
    Some((name.to_owned(), ImageVa::new(u64::from_str_radix(digits.trim(), 16).ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_of_the_kernel_is_read_from_the_console() {
        assert_eq!(
            kernel_symbol("x PLX symbol f ffff800080abcd00\r"),
            Some(("f".to_owned(), ImageVa::new(0xffff_8000_80ab_cd00)))
        );
        assert_eq!(kernel_symbol("PLX symbol f"), None);
        assert_eq!(kernel_symbol("PLX step f ok"), None);
    }
}
