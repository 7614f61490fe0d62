//! What an operation of a trace is here.

use parallax_abi::mailbox::{Response, kind};
use parallax_ops::{Answer, CpuAccess, Operation};

use super::Live;
use super::inject::{Ended, Injector, LIMIT};
use crate::error::MachineError;
use crate::rsp::RspError;

/// What the functions are called that a hypercall of the ABI stands for: this, and the word in traces.
const FUNCTION: &str = "__pkvm_";

impl Live {
    /// Performs `operation` on CPU number `cpu`. What this target lacks is answered as a bad request.
    pub(super) fn perform_one(&mut self, cpu: u64, operation: &Operation) -> Result<Answer, MachineError> {
        let (response, disturbed) = self.respond(cpu, operation)?;
        let disturbed = (0..32).filter(|number| disturbed >> number & 1 == 1).collect();
        Ok(Answer { disturbed, ..Answer::of(operation, &response) })
    }

    /// The response, and which registers a call has changed, a bit each.
    fn respond(&mut self, cpu: u64, operation: &Operation) -> Result<(Response, u32), MachineError> {
        let call = operation.call().map(Operation::Hypercall);
        let word = call.as_ref().map(|call| call.spelled());
        let of = |kind| Ok((Response::of(kind), 0));
        match (*operation, word) {
            (Operation::Nop | Operation::Snapshot, _) => of(kind::OK),
            (_, Some((row, values))) => match self.calls.id(&format!("{FUNCTION}{}", row.name)) {
                Some(id) => {
                    let arguments: Vec<u64> = std::iter::once(id).chain(values).collect();
                    self.call(cpu, &arguments)
                }
                None => of(kind::BAD_REQUEST),
            },
            (Operation::AnyHypercall { id, x }, None) => {
                let arguments: Vec<u64> = std::iter::once(id).chain(x).collect();
                self.call(cpu, &arguments)
            }
            (Operation::Access(CpuAccess::Read { ipa, size, .. }), None) => {
                self.access(cpu, ipa.get(), size, None)
            }
            (Operation::Access(CpuAccess::Write { ipa, size, value, .. }), None) => {
                self.access(cpu, ipa.get(), size, Some(value))
            }
            (Operation::Dma(access), None) => Ok((self.dma(&access)?, 0)),
            _ => of(kind::BAD_REQUEST),
        }
    }

    fn call(&mut self, cpu: u64, arguments: &[u64]) -> Result<(Response, u32), MachineError> {
        let ended = self.inject(cpu, async |mut injector| injector.call(arguments).await.map(Some))?;
        self.response(ended)
    }

    /// One that is not aligned would fault with stage 1 off, where all memory is Device memory.
    fn access(
        &mut self,
        cpu: u64,
        ipa: u64,
        size: u64,
        value: Option<u64>,
    ) -> Result<(Response, u32), MachineError> {
        if size == 0 || !ipa.is_multiple_of(size) {
            return Ok((Response::of(kind::BAD_REQUEST), 0));
        }
        let ended = self.inject(cpu, async |mut injector| injector.access(ipa, size, value).await)?;
        self.response(ended)
    }

    /// Has `work` done on CPU number `cpu`; nothing came of it if there is no such CPU.
    fn inject(
        &mut self,
        cpu: u64,
        work: impl AsyncFnOnce(Injector<'_>) -> Result<Option<Ended>, RspError>,
    ) -> Result<Option<Ended>, MachineError> {
        let cpu = usize::try_from(cpu).ok().and_then(|cpu| self.cpus.get(cpu));
        let (Some(cpu), Some(code)) = (cpu, &self.code) else { return Ok(None) };
        let injector = Injector { client: &mut self.client, set: &self.set, code, cpu };
        match self.runtime.block_on(work(injector)) {
            Err(RspError::Timeout(_)) => {
                let (waiting_for, report) = ("the end of an operation", self.standing());
                Err(MachineError::Hang { waiting_for, limit: LIMIT, report })
            }
            other => Ok(other?),
        }
    }

    fn response(&self, ended: Option<Ended>) -> Result<(Response, u32), MachineError> {
        match ended {
            None => Ok((Response::of(kind::BAD_REQUEST), 0)),
            Some(Ended::Behind { x, disturbed }) => Ok((Response { x, ..Response::of(kind::OK) }, disturbed)),
            Some(Ended::Abort(esr, far)) => Ok((Response { esr, far, ..Response::of(kind::ABORT) }, 0)),
            Some(Ended::At(pc)) if pc == self.panic => {
                let report =
                    "EL2 came to a BUG or to an exception that it does not expect, and told the host so";
                Err(MachineError::Panic { report: report.to_owned() })
            }
            Some(Ended::At(pc)) => {
                let what = format!("at {pc:#x}, behind no instruction of the operation");
                Err(MachineError::UnexpectedStop { what, report: self.qemu.uart_tail() })
            }
        }
    }
}
