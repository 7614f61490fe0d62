//! A session whose machine goes on while it is looked at.

use std::time::Duration;

use parallax_machine::DeviceWrites;
use parallax_machine::journal::by_operation;
use parallax_ops::Order;
use parallax_trace::Op;

use crate::error::SessionError;
use crate::judge::{Moment, Performed};
use crate::session::{self, Session, Step, batch};
use crate::stream::Stream;

/// Pause when the machine has not done another operation yet.
const PAUSE: Duration = Duration::from_micros(50);
/// Pauses in a row after which the batch's end is waited for.
const MOST_PAUSES: u32 = 100;

impl Session<'_> {
    /// From now on keeps a copy of the hypervisor's memory that follows the plugin's journal, so that [`Self::batch`] can
    /// be used. The machine must have the plugin.
    ///
    /// # Errors
    /// The hypervisor's memory cannot be read.
    pub fn stream(&mut self) -> Result<(), SessionError> {
        session::events(self.machine)?;
        let info = self.machine.target().info.ok_or(SessionError::NoStream)?;
        self.stream = Some(Stream::new(self.machine.memory(), &self.registers, &info)?);
        Ok(())
    }

    /// Performs `ops`, at most as many as a mailbox holds, without a stop between them, and looks at what each of them
    /// did, as the plugin's journal tells it, while the machine goes on with the next ones. None of them may be one that [`touches_data`].
    ///
    /// # Errors
    /// As [`Self::step`]; or the journal is not all that happened.
    pub fn batch(&mut self, ops: &[&Op]) -> Result<Vec<Step>, SessionError> {
        let operations = ops.iter().map(|op| self.operation(op)).collect::<Result<Vec<_>, _>>()?;
        self.streaming()?.launch(&batch(ops, &operations, Order::InTurn))?;
        let mut steps = Vec::with_capacity(ops.len());
        let mut events = Vec::new();
        let mut idle = 0;
        let mut writes = DeviceWrites::default();
        loop {
            // In this order: when it has ended, all that happened is in the journal.
            let ended = self.streaming()?.ended(idle > MOST_PAUSES)?;
            let more = session::events(self.machine)?;
            writes.add(&more, self.now.layout.smmu);
            events.extend(more);
            let (performed, rest) = by_operation(&events);
            idle = if performed.is_empty() { idle + 1 } else { 0 };
            let next = ops.iter().zip(&operations).skip(steps.len());
            if performed.len() > next.len() {
                return Err(SessionError::Unseen(format!("more than {} operations have a mark", ops.len())));
            }
            for ((op, operation), (_, events)) in next.zip(performed) {
                let answer = self.streaming()?.answer(steps.len(), operation)?;
                let stream = self.stream.as_mut().ok_or(SessionError::NoStream)?;
                stream.apply(events);
                if let Some(registers) = stream.changed_registers() {
                    self.registers.clone_from(registers);
                }
                let performed = [Performed { op, operation, answer: &answer }];
                steps.push(self.judge(&performed, Order::InTurn, events, false)?.step(&answer, Vec::new()));
            }
            let judged = events.len() - rest.len();
            events.drain(..judged);
            if ended {
                break;
            }
            if idle > 0 {
                std::thread::sleep(PAUSE);
            }
        }
        if steps.len() != ops.len() {
            let text = format!("{} operations were performed, {} have a mark", ops.len(), steps.len());
            return Err(SessionError::Unseen(text));
        }
        let stream = self.stream.as_mut().ok_or(SessionError::NoStream)?;
        stream.apply(&events);
        let performed = steps.len();
        if let Some(last) = steps.last_mut() {
            let (memory, symbols) = (self.machine.memory(), self.machine.symbols());
            let context = self.observer.context();
            let at = Moment { state: &self.now, context, memory, events: &events, symbols };
            last.findings.extend(self.protocol.rest(&at));
            if let Some(unseen) = &mut self.unseen {
                unseen.apply(&events);
                unseen.count(performed);
                if unseen.is_asked_for() {
                    last.findings.extend(unseen.compare(&self.now, context, memory));
                }
            }
        }
        let known = &self.registers;
        let stood = self.machine.stream().ok_or(SessionError::NoStream)?.registers_after(writes, known)?;
        self.registers = stood;
        match stream.agree(self.machine.memory(), &self.registers, &self.now)? {
            None => Ok(steps),
            Some(difference) => Err(SessionError::Unseen(difference)),
        }
    }

    /// The machine, which must be one that can be looked at while it goes on.
    fn streaming(&mut self) -> Result<&mut dyn parallax_machine::Stream, SessionError> {
        self.machine.stream().ok_or(SessionError::NoStream)
    }
}
