//! Counting the hypervisor's instructions, by single steps.

use std::time::Duration;

use parallax_abi::mailbox::{Request, Response};
use parallax_addr::HypVa;

use crate::backend::hyp::{Live, StopPoints, little_endian_hex};
use crate::error::MachineError;
use crate::rsp::{Client, Register, RspError, StopReply};

/// The most steps to take, in the test host and in the hypervisor together.
const MAX_STEPS: usize = 200_000;
/// Limit of one step.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);

/// A stepped operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stepped {
    /// Program counters of the instructions that ran at EL2, in order: from the first one of the vector to the `eret`.
    pub pcs: Vec<HypVa>,
    /// What came of the operation.
    pub response: Response,
}

/// Performs `request` on CPU 0 and steps through its first visit to EL2: the instructions between the test host's
/// `hvc` (not counted) and the instruction after it.
///
/// # Errors
/// As [`crate::Machine::perform`]; or the operation does not enter EL2.
pub fn count(live: &mut Live, request: Request) -> Result<Stepped, MachineError> {
    live.put(request)?;
    let pc = live.pc_register();
    let cpsr = live.cpsr_register();
    let (runtime, client, stops) = live.parts();
    let pcs = runtime.block_on(visit(client, stops, pc, cpsr));
    let pcs = match pcs {
        Ok(pcs) => pcs,
        Err(error) => return Err(live.connection_lost(error)),
    };
    live.run_on()?;
    if pcs.is_empty() {
        return Err(MachineError::Contract("the operation does not enter the hypervisor".to_owned()));
    }
    Ok(Stepped { pcs, response: live.response()? })
}

/// Steps from `parallax_wait` through the first visit to EL2.
async fn visit(
    client: &mut Client,
    stops: StopPoints,
    pc: Register,
    cpsr: Register,
) -> Result<Vec<HypVa>, RspError> {
    let thread = client.threads().await?.into_iter().next().ok_or(RspError::Closed)?;
    let action = format!("vCont;s:{thread}");
    client.command(&format!("P{:x}={}", pc.number, little_endian_hex(stops.wait.get() + 4))).await?;
    let mut pcs = Vec::new();
    for _ in 0..MAX_STEPS {
        if let StopReply::Exited { .. } = client.resume(&[], &action, STEP_TIMEOUT).await? {
            return Err(RspError::Closed);
        }
        let values = client.read_registers(&[pc, cpsr]).await?;
        match values[1] >> 2 & 3 {
            2 if values[0] == stops.panic.get() => return Ok(pcs),
            2 => pcs.push(HypVa::new(values[0])),
            _ if !pcs.is_empty() || values[0] == stops.wait.get() => return Ok(pcs),
            _ => {}
        }
    }
    Err(RspError::Timeout(action))
}
