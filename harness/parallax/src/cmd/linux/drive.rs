//! Lets that Linux run, and looks at it meanwhile.

use std::collections::BTreeMap;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use anstream::{eprint, eprintln};
use parallax_machine::{Linux, MachineError, Pause, Registers};
use parallax_model::{Finding, Reporter, check};

use super::commands::Commands;
use super::judge::Judge;
use super::operations::Operations;
use super::view;
use crate::engine::Observer;

/// The hypervisor comes here whenever its account of the kernel's commands is full.
const COMMANDS_FULL: &str = "smmu_host_commands_full";
/// How soon what the guest says is heard, while something waits for that.
const SOON: Duration = Duration::from_millis(50);

/// What is done while it runs.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    /// How often all tables are looked at; zero for never.
    pub(super) every: Duration,
    /// It must have ended after so long.
    pub(super) limit: Duration,
    /// Rounds of operations beside its work.
    pub(super) operations: u32,
    /// A look whenever a CPU comes to one of these: a function of the hypervisor, an address, or a symbol of the kernel.
    pub(super) at: Vec<String>,
    /// A look when the console shows one of these.
    pub(super) at_console: Vec<String>,
    /// Show both views of the SMMU at each look that was asked for.
    pub(super) views: bool,
    /// Keep account of the kernel's commands to its SMMU.
    pub(super) commands: bool,
}

/// All looks at a machine.
#[derive(Debug, Default)]
pub(super) struct Looks {
    observer: Option<Observer>,
    reporter: Reporter,
    /// How many.
    pub(super) count: usize,
    /// What they found.
    pub(super) findings: Vec<Finding>,
    /// What was seen of the kernel's commands.
    pub(super) commands: Option<Commands>,
    /// What a plugin saw, put to the rules of order.
    pub(super) judge: Judge,
}

impl Looks {
    /// Looks once, if the hypervisor has booted. Gives the registers.
    fn look(&mut self, linux: &mut Linux) -> Result<Option<Registers>, MachineError> {
        // Before the machine runs on to get out of the hypervisor.
        self.read_commands(linux);
        let Some((info, registers)) = linux.look()? else { return Ok(None) };
        let observer = self.observer.get_or_insert_with(|| Observer::new(linux.description(), info));
        self.findings.extend(self.judge.meet(linux, &info, &observer.context().symbols)?);
        let snapshot = observer.observe(linux.memory(), &registers);
        self.findings.extend(self.reporter.fresh(check(&snapshot, observer.context())));
        self.count += 1;
        self.read_commands(linux);
        Ok(Some(registers))
    }

    /// A look that was asked for: says so.
    fn asked(&mut self, linux: &mut Linux, why: &str, views: bool) -> Result<(), MachineError> {
        let before = self.findings.len();
        let Some(registers) = self.look(linux)? else { return Ok(()) };
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

    /// Judges what happened since the last time.
    fn read_events(&mut self, linux: &mut Linux) -> Result<(), MachineError> {
        self.findings.extend(self.judge.take(linux)?);
        Ok(())
    }

    fn read_commands(&mut self, linux: &Linux) {
        if let (Some(commands), Some(host)) = (&mut self.commands, linux.host_smmu()) {
            commands.read(&host);
        }
    }
}

/// Lets `linux` run to its end, as `plan` says. `console` gives what it prints.
pub(super) fn drive(
    linux: &mut Linux,
    plan: &Plan,
    console: &Receiver<String>,
    looks: &mut Looks,
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
        looks.read_events(linux)?;
        match pause {
            Pause::Ended => {
                for name in plan.at.iter().filter(|name| !places.values().any(|place| place == *name)) {
                    eprintln!(
                        "--at {name}: no function of the hypervisor and no symbol of the kernel is called so"
                    );
                }
                looks.read_commands(linux);
                return Ok(());
            }
            Pause::At(address) if Some(address) == full => {
                linux.info()?;
                looks.read_commands(linux);
            }
            Pause::At(address) => {
                let place = places.get(&address).map_or_else(|| format!("{address:#x}"), Clone::clone);
                looks.asked(linux, &format!("at {place}"), plan.views)?;
            }
            Pause::Woken => looks.asked(linux, "asked for", plan.views)?,
            Pause::Running => {}
        }
        if begin.elapsed() >= plan.limit {
            let waiting_for = "the guest's switching itself off";
            return Err(MachineError::Hang { waiting_for, limit: plan.limit, report: linux.printed() });
        }
        if !plan.every.is_zero() && Instant::now() >= next {
            looks.look(linux)?;
            next = Instant::now() + plan.every;
        }
        for line in console.try_iter() {
            // The disks are at work from then on.
            working |= line.contains("PLX step virtio_appears");
            if let Some((name, address)) = kernel_symbol(&line).filter(|(name, _)| plan.at.contains(name)) {
                linux.stop_at(address)?;
                places.insert(address, name);
            }
        }
        let look = |linux: &mut Linux| looks.look(linux).map(|_| ());
        if working && operations.left > 0 && operations.round(linux, look)?.is_none() {
            looks.read_commands(linux);
            return looks.read_events(linux);
        }
    }
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
