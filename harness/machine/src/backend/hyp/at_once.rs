//! CPUs that go on one at a time, from point to point: what any schedule would do.
//!
//! All CPUs are let go until each of those that take part has entered the hypervisor, or has performed its operation without it; there
//! they are held. From then on one goes on at a time, to its next point ([`points`](super::points)).

use std::collections::BTreeMap;
use std::time::Duration;

use parallax_abi::journal::VECTORS_SYMBOL;
use parallax_abi::mailbox::{DONE_SYMBOL, Request, op};
use parallax_addr::ImageVa;
use parallax_ops::{Answer, Batch, CpuId};

use super::{Live, SIGTRAP, little_endian_hex, points, stay};
use crate::error::MachineError;
use crate::extensions::{AtOnce, PointKind, Turn};
use crate::rsp::StopReply;

/// Offset of the vector for what a host does at EL1 (DDI 0487, D1.3.1.5).
const FROM_LOWER_EL: u64 = 0x400;
/// Most turns of a batch.
const MOST_TURNS: usize = 100_000;
/// Looks at a lock, all other CPUs being done, after which nobody is taken to hold it.
const MOST_LOOKS: usize = 1000;
/// Limit of a single step.
const STEP: Duration = Duration::from_secs(10);

/// A CPU that takes part.
struct Taker {
    cpu: CpuId,
    thread: String,
    /// Where it is held; none while it is on its way to the hypervisor.
    at: Option<PointKind>,
    /// It waits for a lock, and no other CPU has gone on since it looked.
    waits: bool,
}

impl Taker {
    fn is_done(&self) -> bool {
        self.at == Some(PointKind::Done)
    }
}

impl AtOnce for Live {
    fn perform_at_once(
        &mut self,
        batch: &Batch,
        choose: &mut dyn FnMut(&[CpuId]) -> CpuId,
    ) -> Result<(Vec<Answer>, Vec<Turn>), MachineError> {
        let mut points = points::points(&self.symbols.hyp);
        points.insert(self.entry()?, PointKind::Entry);
        points.insert(self.done()?, PointKind::Done);
        let requests = batch.requests();
        let heading = Request { cpu: 0, op: op::AT_ONCE, args: [requests.len() as u64, 0, 0, 0, 0, 0, 0] };
        let requests: Vec<Request> = std::iter::once(heading).chain(requests).collect();
        self.mailbox.put(&self.ram, &requests)?;
        let mut takers = self.takers(batch)?;
        let skip =
            format!("P{:x}={}", self.registers.pc.number, little_endian_hex(self.stops.wait.get() + 4));
        let set = |letter: char| points.keys().map(move |at| format!("{letter}1,{at:x},4"));
        self.told(&std::iter::once(skip).chain(set('Z')).collect::<Vec<_>>())?;
        let mut turns = Vec::new();
        self.enter(&points, &mut takers, &mut turns)?;
        self.take_turns(&points, &mut takers, choose, &mut turns)?;
        self.told(&set('z').collect::<Vec<_>>())?;
        self.run_on()?;
        let responses = self.mailbox.responses(&self.ram, requests.len())?;
        let answers =
            batch.ops.iter().zip(&responses[1..]).map(|((_, op), response)| Answer::of(op, response));
        Ok((answers.collect(), turns))
    }
}

impl Live {
    /// Where the hypervisor is entered from a host.
    fn entry(&self) -> Result<ImageVa, MachineError> {
        let vectors = self.symbols.hyp.required(VECTORS_SYMBOL)?;
        Ok(ImageVa::new(vectors.get() + FROM_LOWER_EL))
    }

    /// Where the test host is when it has performed an operation.
    fn done(&self) -> Result<ImageVa, MachineError> {
        self.symbols.payload.symbol(DONE_SYMBOL).ok_or_else(|| {
            MachineError::Unfit(format!("the test host has no {DONE_SYMBOL}: it performs nothing at once"))
        })
    }

    /// The CPUs of `batch`, in order of their numbers.
    fn takers(&mut self, batch: &Batch) -> Result<Vec<Taker>, MachineError> {
        let mut takers: BTreeMap<CpuId, Taker> = BTreeMap::new();
        for (cpu, _) in &batch.ops {
            let thread = self.thread(cpu.get() as usize)?;
            let taker = Taker { cpu: *cpu, thread, at: None, waits: false };
            if takers.insert(*cpu, taker).is_some() {
                return Err(MachineError::Contract(format!("CPU {} has two operations at once", cpu.get())));
            }
        }
        Ok(takers.into_values().collect())
    }

    /// Has the gdbstub do `requests`, each of which it answers with OK.
    fn told(&mut self, requests: &[String]) -> Result<(), MachineError> {
        // The answers must fit into the sockets' buffers.
        for part in requests.chunks(64) {
            let answers = self.runtime.block_on(self.client.pipeline(part));
            let answers = answers.map_err(|error| self.connection_lost(error))?;
            if let Some((request, answer)) = part.iter().zip(answers).find(|(_, answer)| answer != b"OK") {
                let answer = String::from_utf8_lossy(&answer).into_owned();
                return Err(MachineError::Contract(format!("the gdbstub answers {request} with {answer:?}")));
            }
        }
        Ok(())
    }

    /// Lets all CPUs go until each of `takers` is held.
    fn enter(
        &mut self,
        points: &BTreeMap<ImageVa, PointKind>,
        takers: &mut [Taker],
        turns: &mut Vec<Turn>,
    ) -> Result<(), MachineError> {
        let threads = self.runtime.block_on(self.client.threads());
        let threads = threads.map_err(|error| self.connection_lost(error))?;
        while takers.iter().any(|taker| taker.at.is_none()) {
            let held =
                |thread: &String| takers.iter().any(|taker| taker.at.is_some() && taker.thread == *thread);
            let going: String =
                threads.iter().filter(|thread| !held(thread)).map(|thread| format!(";c:{thread}")).collect();
            let (thread, at, pc) = self.go_on(&format!("vCont{going}"), points)?;
            let taker = takers.iter_mut().find(|taker| taker.thread == thread);
            // Another one of the hypervisor's points can only be one of a CPU that nobody asked.
            let Some(taker) = taker.filter(|taker| taker.at.is_none()) else {
                return Err(self.astray("a CPU that takes no part", pc));
            };
            taker.at = Some(at);
            turns.push(Turn { cpu: taker.cpu, pc, kind: at });
        }
        Ok(())
    }

    /// Lets one of `takers` go on after the other, until all are done.
    fn take_turns(
        &mut self,
        points: &BTreeMap<ImageVa, PointKind>,
        takers: &mut [Taker],
        choose: &mut dyn FnMut(&[CpuId]) -> CpuId,
        turns: &mut Vec<Turn>,
    ) -> Result<(), MachineError> {
        let mut looks = 0;
        while takers.iter().any(|taker| !taker.is_done()) {
            let mut able: Vec<CpuId> = takers
                .iter()
                .filter(|taker| !taker.is_done() && !taker.waits)
                .map(|taker| taker.cpu)
                .collect();
            if able.is_empty() {
                // Somebody may have given it back since.
                able.extend(takers.iter().filter(|taker| !taker.is_done()).map(|taker| taker.cpu));
                looks += 1;
                if looks > MOST_LOOKS {
                    return Err(self.hang("a lock that nobody gives back", STEP));
                }
            }
            let chosen = if able.len() > 1 { choose(&able) } else { able[0] };
            let chosen = if able.contains(&chosen) { chosen } else { able[0] };
            let index = takers.iter().position(|taker| taker.cpu == chosen).unwrap_or_default();
            let thread = takers[index].thread.clone();
            let (at, pc) = self.turn(&thread, points)?;
            for (other, taker) in takers.iter_mut().enumerate() {
                // Whoever has gone on may have given a lock back.
                taker.waits = at == PointKind::Wait && (other == index || taker.waits);
            }
            takers[index].at = Some(at);
            turns.push(Turn { cpu: chosen, pc, kind: at });
            if turns.len() > MOST_TURNS {
                return Err(self.hang("the end of operations that are performed at once", STEP));
            }
        }
        Ok(())
    }

    /// Lets the CPU called `thread` go on to its next point.
    fn turn(
        &mut self,
        thread: &str,
        points: &BTreeMap<ImageVa, PointKind>,
    ) -> Result<(PointKind, ImageVa), MachineError> {
        // A breakpoint where it stands would hold it: a step is not held.
        let step = self.runtime.block_on(self.client.resume(&[], &format!("vCont;s:{thread}"), STEP));
        let stop = step.map_err(|error| self.connection_lost(error))?;
        let (_, pc) = self.stand_of(&stop)?;
        if let Some(at) = points.get(&pc) {
            return Ok((*at, pc));
        }
        let (stopped, at, pc) = self.go_on(&format!("vCont;c:{thread}"), points)?;
        if stopped == thread { Ok((at, pc)) } else { Err(self.astray(&stopped, pc)) }
    }

    /// Resumes by `action` and waits until a CPU comes to a point.
    fn go_on(
        &mut self,
        action: &str,
        points: &BTreeMap<ImageVa, PointKind>,
    ) -> Result<(String, PointKind, ImageVa), MachineError> {
        let (watched, limit) = (&self.watched, self.options.perform_timeout);
        let stopped = self.runtime.block_on(async {
            self.client.start(action).await?;
            let stop = stay::stopped(&mut self.client, watched, limit).await?;
            stop.map(|reply| stay::parse(&reply)).transpose()
        });
        let stop = match stopped {
            Ok(Some(stop)) => stop,
            Ok(None) => return Err(self.hang("a point of the hypervisor", limit)),
            Err(error) => return Err(self.connection_lost(error)),
        };
        let (thread, pc) = self.stand_of(&stop)?;
        match points.get(&pc) {
            Some(at) => Ok((thread, *at, pc)),
            None => {
                self.at_stop(stop)?;
                Err(self.astray(&thread, pc))
            }
        }
    }

    /// The CPU that `stop` is about, and its program counter.
    fn stand_of(&mut self, stop: &StopReply) -> Result<(String, ImageVa), MachineError> {
        let StopReply::Stopped { signal: SIGTRAP, thread: Some(thread) } = stop else {
            self.at_stop(stop.clone())?;
            return Err(self.astray("no CPU", self.stops.wait));
        };
        let pc = self.registers.pc;
        let read = self.runtime.block_on(async {
            self.client.command(&format!("Hg{thread}")).await?;
            self.client.read_registers(&[pc]).await
        });
        let read = read.map_err(|error| self.connection_lost(error))?;
        Ok((thread.clone(), ImageVa::new(read[0])))
    }

    fn astray(&mut self, who: &str, pc: ImageVa) -> MachineError {
        let what = format!("{who} stopped at {}, which is no point of a schedule", self.symbols.describe(pc));
        MachineError::UnexpectedStop { what, report: self.report() }
    }
}
