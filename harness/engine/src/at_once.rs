//! Operations that several CPUs perform at once, and the next ones of a trace, whichever they are.

use parallax_machine::Turn;
use parallax_ops::{CpuId, Order};
use parallax_trace::Op;

use crate::error::SessionError;
use crate::scheduler::scheduler;
use crate::session::{Look, Session, Step, batch};

impl Session<'_> {
    /// Performs the first of `ops`, and those that are to be performed at once with it: as many steps.
    ///
    /// # Errors
    /// As [`Self::step`] and [`Self::at_once`].
    pub fn next(&mut self, ops: &[Op]) -> Result<Vec<Step>, SessionError> {
        match ops {
            [] => Ok(Vec::new()),
            [Op { at_once: Some(at_once), .. }, ..] => {
                let ops: Vec<&Op> = ops.iter().take(at_once.count).collect();
                Ok(self.at_once(&ops, &mut scheduler(&at_once.schedule))?.0)
            }
            [op, ..] => Ok(vec![self.step(op)?]),
        }
    }

    /// Has `ops` performed at once, each by a CPU of its own, of which one goes on at a time, as `choose` says
    /// ([`AtOnce::perform_at_once`](parallax_machine::AtOnce::perform_at_once)), and looks at what all of them did: the last step
    /// has what changed and what was found, but for what is wrong with another one's own result.
    ///
    /// # Errors
    /// As [`Self::step`]; or the machine's CPUs cannot be let go one at a time.
    pub fn at_once(
        &mut self,
        ops: &[&Op],
        choose: &mut dyn FnMut(&[CpuId]) -> CpuId,
    ) -> Result<(Vec<Step>, Vec<Turn>), SessionError> {
        let operations = ops.iter().map(|op| self.operation(op)).collect::<Result<Vec<_>, _>>()?;
        let batch = batch(ops, &operations, Order::AtOnce);
        self.announce(&batch);
        let machine = self.machine.at_once().ok_or(SessionError::NotAtOnce)?;
        let (answers, turns) = machine.perform_at_once(&batch, choose)?;
        let (mut look, events) = self.look_at(ops, &operations, &answers, Order::AtOnce)?;
        let mut own = std::mem::take(&mut look.own).into_iter();
        let mut next = || own.next().unwrap_or_default();
        let Some((last, others)) = answers.split_last() else { return Err(SessionError::NoResponse) };
        let mut steps: Vec<Step> =
            others.iter().map(|answer| Look::of_one(next()).step(answer, Vec::new())).collect();
        let of_last = next();
        let mut step = look.step(last, events);
        step.findings.splice(..0, of_last);
        steps.push(step);
        Ok((steps, turns))
    }
}
