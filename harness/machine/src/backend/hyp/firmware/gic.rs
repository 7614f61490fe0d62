//! A GIC whose LPIs firmware used: GICR_CTLR.EnableLPIs of every redistributor, an ITS with tables and a queue, a device that is mapped,
//! and an LPI that is pending on each CPU (IHI 0069, 5 and 12).

use parallax_addr::PhysAddr;
use parallax_gic::raw::{BASERS, gicr, gits};
use parallax_gic::{Baser, Command, TableKind};

use super::put;
use crate::backend::hyp::gic::GicAt;
use crate::error::MachineError;
use crate::ram::MappedRam;
use crate::rsp::{Client, RspError};

/// The structures begin so many bytes from each other: a table's page of 64 KiB, and as GICR_PENDBASER asks for.
const STEP: u64 = 0x1_0000;
/// Where they are, in steps from the first: configuration of LPIs, device table, collection table, queue, ITT, pending tables.
const CONFIGURATION: u64 = 0;
const DEVICES: u64 = 1;
const COLLECTIONS: u64 = 2;
const QUEUE: u64 = 3;
const ITT: u64 = 4;
const PENDING: u64 = 5;
/// GICR_PROPBASER.IDbits: INTIDs have 16 bits.
const ID_BITS: u64 = 15;
/// The configuration of an LPI: enabled, with priority 0xa0.
const LPI_ENABLED: u8 = 0xa1;
/// GITS_CBASER and GITS_BASER<n>: valid, inner write-back, inner shareable.
const VALID: u64 = 1 << 63 | 0b111 << 59 | 0b01 << 10;
/// GITS_BASER<n>.Page_Size: 64 KiB.
const PAGE_64K: u64 = 0b10 << 8;
/// V of a command.
const V: u64 = 1 << 63;
/// The device that is mapped, and the EventIDs it has, in bits less one.
const DEVICE: u64 = 8 << 32;
const EVENT_BITS: u64 = 4;
/// The first LPI. That of CPU N is N behind it.
const FIRST_LPI: u64 = 8192;

/// Leaves the GIC at `gic` as firmware that used its LPIs would, with tables in `ram` from `base` on.
pub(super) async fn leave(
    client: &mut Client,
    ram: &MappedRam,
    gic: &GicAt,
    base: PhysAddr,
) -> Result<(), MachineError> {
    let at = |step: u64| base.wrapping_add(step * STEP);
    let cpus = gic.frames().count() as u64;
    ram.write(at(CONFIGURATION), &[LPI_ENABLED; STEP as usize])?;
    for step in DEVICES..PENDING + cpus {
        ram.write(at(step), &[0; STEP as usize])?;
    }
    for (cpu, frame) in gic.frames().enumerate() {
        put64(client, frame + gicr::PROPBASER, at(CONFIGURATION).get() | ID_BITS).await?;
        put64(client, frame + gicr::PENDBASER, at(PENDING + cpu as u64).get()).await?;
        put32(client, frame + gicr::CTLR, 1).await?;
    }
    let queue = commands(cpus, at(ITT));
    let bytes: Vec<u8> = queue.iter().flat_map(|command| command.0).flat_map(u64::to_le_bytes).collect();
    ram.write(at(QUEUE), &bytes)?;
    tables(client, gic.its, at(DEVICES), at(COLLECTIONS)).await?;
    put64(client, gic.its + gits::CBASER, VALID | at(QUEUE).get()).await?;
    put32(client, gic.its + gits::CTLR, 1).await?;
    // QEMU performs them before this write ends, and nothing has run that could take the interrupts.
    put64(client, gic.its + gits::CWRITER, bytes.len() as u64).await?;
    Ok(())
}

/// Writes a register of 64 bits.
async fn put64(client: &mut Client, at: u64, value: u64) -> Result<(), RspError> {
    put(client, at, &value.to_le_bytes()).await
}

/// Writes a register of 32 bits.
async fn put32(client: &mut Client, at: u64, value: u32) -> Result<(), RspError> {
    put(client, at, &value.to_le_bytes()).await
}

/// Gives the ITS whose registers are at `its` a page for each table. Which GITS_BASER<n> is for what, it says itself.
async fn tables(
    client: &mut Client,
    its: u64,
    devices: PhysAddr,
    collections: PhysAddr,
) -> Result<(), RspError> {
    for index in 0..BASERS as u64 {
        let register = its + gits::BASER + 8 * index;
        let bytes = client.read_memory(register, 8).await?;
        let value = bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let table = match TableKind::from_type(Baser(value).table_type()) {
            TableKind::Devices => devices,
            TableKind::Collections => collections,
            TableKind::Other(_) => continue,
        };
        put64(client, register, VALID | PAGE_64K | table.get()).await?;
    }
    Ok(())
}

/// Commands that map a device with its ITT at `itt`, and have an event of it reach each of `cpus` CPUs. RDbase is the number of a
/// processor, as GITS_TYPER.PTA is 0.
fn commands(cpus: u64, itt: PhysAddr) -> Vec<Command> {
    let mut list = vec![Command([0x08 | DEVICE, EVENT_BITS, V | itt.get(), 0])];
    for cpu in 0..cpus {
        list.extend([
            Command([0x09, 0, V | cpu << 16 | cpu, 0]),
            Command([0x0a | DEVICE, (FIRST_LPI + cpu) << 32 | cpu, cpu, 0]),
            Command([0x03 | DEVICE, cpu, 0, 0]),
            Command([0x05, 0, cpu << 16, 0]),
        ]);
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_one_device_reaches_each_cpu() {
        let texts: Vec<_> = commands(2, PhysAddr::new(0x4703_0000)).iter().map(Command::to_string).collect();
        let expected = [
            "MAPD DeviceID=8 Size=4 ITT_addr=0x47030000 V=1",
            "MAPC ICID=0 RDbase=0x0 V=1",
            "MAPTI DeviceID=8 EventID=0 pINTID=8192 ICID=0",
            "INT DeviceID=8 EventID=0",
            "SYNC RDbase=0x0",
            "MAPC ICID=1 RDbase=0x10000 V=1",
            "MAPTI DeviceID=8 EventID=1 pINTID=8193 ICID=1",
            "INT DeviceID=8 EventID=1",
            "SYNC RDbase=0x10000",
        ];
        assert_eq!(texts, expected);
        assert!(
            commands(8, PhysAddr::new(0)).len() as u64 * Command::BYTES <= 0x1000,
            "the queue is one page"
        );
    }
}
