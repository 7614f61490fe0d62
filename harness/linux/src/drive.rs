//! Lets that Linux run, and looks at it meanwhile.

use std::collections::BTreeMap;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use anstream::{eprint, eprintln};
use parallax_engine::Observer;
use parallax_engine::ReportedFinding;
use parallax_engine::Reproducer;
use parallax_machine::{Linux, MachineError, Pause, Registers};
use parallax_model::{Finding, Reporter, Snapshot, Violation, check};

use crate::commands::Commands;
use crate::judge::Judge;
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
    observer: Option<Observer>,
    /// What the last look saw.
    last: Option<Snapshot>,
    /// What the guest said last that it has done.
    done: String,
    reporter: Reporter,
    /// How many.
    pub count: usize,
    /// What they found.
    pub findings: Vec<ReportedFinding>,
    /// What was seen of the kernel's commands.
    pub commands: Option<Commands>,
    /// What a plugin saw, put to the rules of order.
    pub(crate) judge: Judge,
}

impl Inspections {
    /// Before the first look; `reproducer` is the command.
    pub fn new(reproducer: Reproducer, commands: Option<Commands>) -> Self {
        Self {
            reproducer,
            observer: None,
            last: None,
            done: String::new(),
            reporter: Reporter::default(),
            count: 0,
            findings: Vec::new(),
            commands,
            judge: Judge::default(),
        }
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

    /// Inspections once, if the hypervisor has booted. Gives the registers.
    fn inspect(&mut self, linux: &mut Linux, why: &str) -> Result<Option<Registers>, MachineError> {
        // Before the machine runs on to get out of the hypervisor.
        self.read_commands(linux);
        let Some((info, registers)) = linux.look()? else { return Ok(None) };
        let observer = self.observer.get_or_insert_with(|| Observer::new(linux.description(), info));
        let violations = self.judge.meet(linux, &info, &observer.context().symbols)?;
        let snapshot = observer.observe(linux.memory(), &registers);
        let mut findings = self.reporter.fresh(check(&snapshot, observer.context()));
        findings.extend(
            violations.into_iter().map(|violation| violation.in_state(&snapshot, observer.context())),
        );
        self.last = Some(snapshot);
        self.count += 1;
        self.found(why, findings);
        self.read_commands(linux);
        Ok(Some(registers))
    }

    /// A look after operation `op`, with what was wrong with the operation itself.
    fn after(&mut self, linux: &mut Linux, op: &str, wrong: Option<Violation>) -> Result<(), MachineError> {
        self.inspect(linux, op)?;
        if let (Some(observer), Some(last), Some(violation)) = (&self.observer, &self.last, wrong) {
            let finding = violation.in_state(last, observer.context());
            self.found(op, [finding]);
        }
        Ok(())
    }

    /// A look that was asked for: says so.
    fn asked(&mut self, linux: &mut Linux, why: &str, views: bool) -> Result<(), MachineError> {
        let before = self.findings.len();
        let Some(registers) = self.inspect(linux, why)? else { return Ok(()) };
        eprintln!("look {}, {why}: {} new findings", self.count, self.findings.len() - before);
        if views {
            let text = match linux.host_smmu() {
                Some(host) => view::text(&host, &registers, linux.memory()),
                None => "the kernel sees no SMMU of the hypervisor's\n".to_owned(),
            };
            eprint!("{text}");
        }
        Ok(())
    }

    /// Judges what happened since the last time. Where that was wrong, a look shows what has become of it, or if the
    /// machine has ended, the last one.
    fn read_events(&mut self, linux: &mut Linux, ended: bool) -> Result<(), MachineError> {
        let violations = self.judge.judge_events(linux)?;
        if violations.is_empty() {
            return Ok(());
        }
        if !ended {
            self.inspect(linux, "the order of events is wrong")?;
        }
        let (Some(observer), Some(last)) = (&self.observer, &self.last) else { return Ok(()) };
        let context = observer.context();
        let findings: Vec<Finding> =
            violations.into_iter().map(|violation| violation.in_state(last, context)).collect();
        let seen = if ended { "the last look before it ended" } else { "seen right after" };
        self.found(&format!("the order of events is wrong, {seen}"), findings);
        Ok(())
    }

    fn read_commands(&mut self, linux: &Linux) {
        if let (Some(commands), Some(host)) = (&mut self.commands, linux.host_smmu()) {
            commands.read(&host);
        }
    }
}

/// Lets `linux` run to its end, as `plan` says. `console` gives what it prints.
pub fn drive(
    linux: &mut Linux,
    plan: &Plan,
    console: &Receiver<String>,
    inspections: &mut Inspections,
    operations: &mut Operations,
) -> Result<(), MachineError> {
    let begin = Instant::now();
    let (mut next, mut working) = (begin + plan.every, false);
    let mut places = stops(linux, plan)?;
    let full = if plan.commands { linux.function(COMMANDS_FULL) } else { None };
    if let Some(full) = full {
        linux.stop_at(full)?;
    }
    loop {
        let mut period = if plan.every.is_zero() { plan.limit } else { plan.every };
        if operations.left > 0 || !plan.at.is_empty() {
            period = period.min(SOON);
        }
        let pause = linux.run_for(period)?;
        let lines: Vec<String> = console.try_iter().collect();
        if pause != Pause::Ended && lines.iter().any(|line| oops::death(line).is_some()) {
            return last_words(linux, inspections);
        }
        inspections.read_events(linux, matches!(pause, Pause::Ended))?;
        match pause {
            Pause::Ended => {
                for name in plan.at.iter().filter(|name| !places.values().any(|place| place == *name)) {
                    eprintln!(
                        "--at {name}: no function of the hypervisor and no symbol of the kernel is called so"
                    );
                }
                inspections.read_commands(linux);
                return Ok(());
            }
            Pause::At(address) if Some(address) == full => {
                linux.info()?;
                inspections.read_commands(linux);
            }
            Pause::At(address) => {
                let place = places.get(&address).map_or_else(|| format!("{address:#x}"), Clone::clone);
                inspections.asked(linux, &format!("at {place}"), plan.views)?;
            }
            Pause::Woken => inspections.asked(linux, "asked for", plan.views)?,
            Pause::Running => {}
        }
        if begin.elapsed() >= plan.limit {
            let waiting_for = "the guest's switching itself off";
            return Err(MachineError::Hang { waiting_for, limit: plan.limit, report: linux.printed() });
        }
        if !plan.every.is_zero() && Instant::now() >= next {
            inspections.inspect(linux, &format!("every {} ms", plan.every.as_millis()))?;
            next = Instant::now() + plan.every;
        }
        for line in lines {
            // The disks are at work from then on.
            working |= line.contains("PLX step virtio_appears");
            if let Some((_, step)) = line.split_once("PLX step ") {
                inspections.done = step.chars().filter(|c| !c.is_control()).take(MOST_SAID).collect();
            }
            if let Some((name, address)) = kernel_symbol(&line).filter(|(name, _)| plan.at.contains(name)) {
                linux.stop_at(address)?;
                places.insert(address, name);
            }
        }
        let look = |linux: &mut Linux, op: &str, wrong| inspections.after(linux, op, wrong);
        if working && operations.left > 0 && operations.round(linux, look)?.is_none() {
            inspections.read_commands(linux);
            return inspections.read_events(linux, false);
        }
    }
}

/// The kernel dies: what it still has to say, and a last look.
fn last_words(linux: &mut Linux, inspections: &mut Inspections) -> Result<(), MachineError> {
    let begin = Instant::now();
    let mut pause = Pause::Running;
    while pause != Pause::Ended && begin.elapsed() < LAST_WORDS {
        pause = linux.run_for(LAST_WORDS.saturating_sub(begin.elapsed()))?;
    }
    inspections.read_events(linux, pause == Pause::Ended)?;
    if pause != Pause::Ended {
        inspections.inspect(linux, "the kernel died")?;
    }
    inspections.read_commands(linux);
    Ok(())
}

/// Sets the stops whose address is known now, and gives their names. The kernel's symbols come from the guest.
fn stops(linux: &mut Linux, plan: &Plan) -> Result<BTreeMap<u64, String>, MachineError> {
    let mut places = BTreeMap::new();
    for name in &plan.at {
        let number = name.strip_prefix("0x").and_then(|digits| u64::from_str_radix(digits, 16).ok());
        if let Some(address) = number.or_else(|| linux.function(name)) {
            linux.stop_at(address)?;
            places.insert(address, name.clone());
        }
    }
    Ok(places)
}

/// Name and address in a line such as `PLX symbol nvme_queue_rq ffff800080abcdef`; the guest has it from /proc/kallsyms.
fn kernel_symbol(line: &str) -> Option<(String, u64)> {
    let (_, text) = line.split_once("PLX symbol ")?;
    let (name, digits) = text.split_once(' ')?;
    Some((name.to_owned(), u64::from_str_radix(digits.trim(), 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_of_the_kernel_is_read_from_the_console() {
        assert_eq!(
            kernel_symbol("x PLX symbol f ffff800080abcd00\r"),
            Some(("f".to_owned(), 0xffff_8000_80ab_cd00))
        );
        assert_eq!(kernel_symbol("PLX symbol f"), None);
        assert_eq!(kernel_symbol("PLX step f ok"), None);
    }
}
