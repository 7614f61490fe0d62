//! Connecting to the gdbstub of a Linux machine.

use std::time::Duration;

use parallax_abi::info::{INFO_SYMBOL, PANIC_SYMBOL};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Below, LinuxConfig};
use crate::backend::hyp::registers::RegisterSet;
use crate::error::MachineError;
use crate::qemu::Qemu;
use crate::rsp::{Client, RspError};
use crate::symbols::Symbols;
use crate::toolchain::BuiltImages;

/// Limit of connecting to a QEMU that has just been started.
const CONNECT: Duration = Duration::from_secs(30);

/// Connects to the gdbstub of a machine of CPU model `cpu`; with the hypervisor, finds its symbols and sets a breakpoint on its panic.
pub(super) async fn connect(
    qemu: &mut Qemu,
    cpu: &str,
    config: &LinuxConfig,
    images: &BuiltImages,
    cancel: &CancellationToken,
) -> Result<(Client, Option<Below>), MachineError> {
    let socket = qemu.gdb_socket().ok_or_else(|| MachineError::Contract("QEMU has no sockets".to_owned()))?;
    let mut connecting = Box::pin(Client::connect(&socket, cancel.clone(), Instant::now() + CONNECT));
    let mut client = loop {
        tokio::select! {
            client = &mut connecting => break client?,
            () = tokio::time::sleep(Duration::from_millis(20)) => {
                if qemu.ended().is_some() {
                    return Err(RspError::Closed.into());
                }
            }
        }
    };
    client.handshake().await?;
    if config.bare {
        return Ok((client, None));
    }
    let symbols = Symbols::load(&images.hyp_elf, &images.payload_elf)?;
    let target = client.target_description().await?;
    let registers = RegisterSet::find(&target, Some(cpu), client.threads().await?)?;
    let mut arguments = [registers.pc; 8];
    for (slot, register) in arguments.iter_mut().zip(["x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7"]) {
        let unknown = || MachineError::UnknownRegister { register, cpu: Some(cpu.to_owned()) };
        *slot = target.register(register).ok_or_else(unknown)?;
    }
    let panic = symbols.hyp.required(PANIC_SYMBOL)?.at_el2();
    let info_va = symbols.hyp.required(INFO_SYMBOL)?.at_el2();
    client.command("Qqemu.PhyMemMode:1").await?;
    client.command(&format!("Z1,{:x},4", panic.get())).await?;
    Ok((client, Some(Below { symbols, registers, arguments, panic, info_va, info: None })))
}
