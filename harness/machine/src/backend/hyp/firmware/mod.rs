//! What whoever ran before the hypervisor leaves, and an SMMU that breaks afterwards: written through the gdbstub and mapped RAM
//! while the machine stands still, so that it is the same for any hypervisor.

mod gic;

use std::path::Path;

use parallax_abi::info::HypInfo;
use parallax_addr::{PAGE_SIZE, PhysAddr, Span};
use parallax_smmu::Register;
use parallax_trace::spec::{HYP_BASE, PAYLOAD_BASE, RAM_BASE, SMMU_BASE, SmmuFails};
use parallax_vmsa::PhysMem;
use tokio::runtime::Runtime;

use super::gic::GicAt;
use crate::error::MachineError;
use crate::ram::MappedRam;
use crate::rsp::{Client, RspError, hex};
use crate::target::Description;

/// What memory holds where nothing was loaded: no address, no legal opcode of a command of the SMMU's.
const GARBAGE: u64 = 0xdead_dead_dead_dead;
/// The first word of a device tree, big-endian, and where its size stands (Devicetree Specification, 5.2).
const TREE_MAGIC: [u8; 4] = [0xd0, 0x0d, 0xfe, 0xed];
/// The firmware's stream table and queues lie so far below the end of RAM, in bytes, and so far behind them what its GIC uses.
const FIRMWARE: u64 = 4 << 20;
const GIC: u64 = 3 << 16;
/// Entries of its stream table, and of each of its queues: 2^8.
const LOG2SIZE: u64 = 8;
/// Dword 0 of a stream table entry with V = 1 and Config = 0b100: bypass (IHI 0070, 5.2).
const BYPASS: u64 = 0b100 << 1 | 1;
/// Bytes of a stream table entry.
const STE: u64 = 64;

/// Fills memory with garbage and leaves the SMMU and the GIC on, as [`parallax_trace::spec::Firmware::Dirty`] says. `images` are the
/// files that were loaded as the hypervisor and the test host. Nothing has run yet.
pub(super) fn leave(
    runtime: &Runtime,
    client: &mut Client,
    ram: &MappedRam,
    description: &Description,
    images: [&Path; 2],
) -> Result<(), MachineError> {
    let bytes = description.config.mem_bytes;
    poison(ram, bytes, images)?;
    let own = RAM_BASE.wrapping_add(bytes - FIRMWARE);
    runtime.block_on(leave_smmu(client, ram, own))?;
    match GicAt::of(description) {
        Some(gic) => runtime.block_on(gic::leave(client, ram, &gic, own.wrapping_add(GIC))),
        None => Ok(()),
    }
}

/// Leaves the SMMU on, with a stream table at `table`, its queues behind it, and a command that it has refused.
async fn leave_smmu(client: &mut Client, ram: &MappedRam, table: PhysAddr) -> Result<(), MachineError> {
    for stream in 0..1 << LOG2SIZE {
        let entry = table.wrapping_add(stream * STE);
        let dwords = [BYPASS, 0, 0, 0, 0, 0, 0, 0].map(u64::to_le_bytes);
        ram.write(entry, dwords.as_flattened())?;
    }
    let cmdq = table.wrapping_add(1 << 16).get() | LOG2SIZE;
    let evtq = table.wrapping_add(2 << 16).get() | LOG2SIZE;
    // An MSI's address is a multiple of 4 in an image's second page: whoever is late finds it written over.
    let msi = HYP_BASE.wrapping_add(PAGE_SIZE).get();
    let values = [
        ("STRTAB_BASE", table.get()),
        ("STRTAB_BASE_CFG", LOG2SIZE),
        ("CMDQ_BASE", cmdq),
        ("EVENTQ_BASE", evtq),
        ("GERROR_IRQ_CFG0", msi),
        ("EVENTQ_IRQ_CFG0", msi + 4),
        ("PRIQ_IRQ_CFG0", msi + 8),
        // EVENTQ_IRQEN, PRIQ_IRQEN, GERROR_IRQEN.
        ("IRQ_CTRL", 0b111),
        // SMMUEN, EVENTQEN, CMDQEN.
        ("CR0", 0b1101),
        // Garbage is no command: CERROR_ILL, and GERROR.CMDQ_ERR stays active.
        ("CMDQ_PROD", 1),
    ];
    Ok(set(client, SMMU_BASE, &values).await?)
}

/// Has the SMMU of the hypervisor that `info` describes do with commands what `fails` says, from now on.
///
/// Its queue is moved to a page of the pool that nobody has used: what stands there is no command. Or CMDQEN is 0.
pub(super) fn break_commands(
    runtime: &Runtime,
    client: &mut Client,
    info: &HypInfo,
    fails: SmmuFails,
) -> Result<(), MachineError> {
    let last = info.pool_pa + info.pool_size - PAGE_SIZE;
    let value = match fails {
        _ if info.smmu_pa == 0 => return Ok(()),
        SmmuFails::Never => return Ok(()),
        SmmuFails::Refuses => ("CMDQ_BASE", last | LOG2SIZE),
        SmmuFails::Silent => {
            let cr0 = PhysAddr::new(info.smmu_pa).get() + CR0;
            let bytes = runtime.block_on(client.read_memory(cr0, 4))?;
            let now = bytes.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
            ("CR0", u64::from(now & !CMDQEN))
        }
    };
    Ok(runtime.block_on(set(client, PhysAddr::new(info.smmu_pa), &[value]))?)
}

/// Where CR0 is, and its bit for the command queue.
const CR0: u64 = 0x20;
const CMDQEN: u32 = 1 << 3;

/// Writes registers of the SMMU at `base`, by name.
async fn set(client: &mut Client, base: PhysAddr, values: &[(&str, u64)]) -> Result<(), RspError> {
    for (name, value) in values {
        let Some(register) = Register::named(name) else { continue };
        let at = base.wrapping_add(register.offset.into()).get();
        put(client, at, &value.to_le_bytes()[..register.bytes as usize]).await?;
    }
    Ok(())
}

/// Writes `bytes` to a register at `at`, in one access.
async fn put(client: &mut Client, at: u64, bytes: &[u8]) -> Result<(), RspError> {
    client.command(&format!("M{at:x},{:x}:{}", bytes.len(), hex::encode(bytes))).await
}

/// Fills all pages with garbage that are zero, and that nothing was loaded to.
fn poison(ram: &MappedRam, bytes: u64, images: [&Path; 2]) -> Result<(), MachineError> {
    let loaded = |base: PhysAddr, file: &Path| {
        let size = std::fs::metadata(file).map_or(0, |data| data.len());
        Span::new(base, size.next_multiple_of(PAGE_SIZE))
    };
    let mut kept = vec![loaded(HYP_BASE, images[0]), loaded(PAYLOAD_BASE, images[1])];
    let garbage = [GARBAGE.to_le_bytes(); PAGE_SIZE as usize / 8];
    let mut page = [0; PAGE_SIZE as usize];
    for at in Span::new(RAM_BASE, bytes).pages() {
        if kept.iter().any(|span| span.contains(at)) {
            continue;
        }
        ram.read(at, &mut page)?;
        if page.starts_with(&TREE_MAGIC) {
            let size = u32::from_be_bytes([page[4], page[5], page[6], page[7]]);
            kept.push(Span::new(at, u64::from(size).next_multiple_of(PAGE_SIZE)));
        } else if page.iter().all(|&byte| byte == 0) {
            ram.write(at, garbage.as_flattened())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_is_wherever_nothing_was_loaded() {
        let (bytes, folder) = (0x400_0000, tempfile::tempdir().unwrap());
        let (file, image) = (tempfile::tempfile().unwrap(), folder.path().join("image"));
        file.set_len(bytes).unwrap();
        std::fs::write(&image, [0; 0x1001]).unwrap();
        let ram = MappedRam::new(&file, bytes).unwrap();
        let tree = RAM_BASE.wrapping_add(0x1000);
        ram.write(tree, &[TREE_MAGIC, 0x1001_u32.to_be_bytes()].concat()).unwrap();
        ram.write(RAM_BASE, &[1]).unwrap();
        poison(&ram, bytes, [&image, &image]).unwrap();
        let dword = |pa: PhysAddr| {
            let mut bytes = [0; 8];
            ram.read(pa, &mut bytes).unwrap();
            u64::from_le_bytes(bytes)
        };
        assert_eq!(dword(RAM_BASE), 1);
        assert_eq!(dword(RAM_BASE.wrapping_add(8)), 0, "the page has something in it");
        assert_eq!([0x1008, 0x2000, 0x3000].map(|at| dword(RAM_BASE.wrapping_add(at))), [0, 0, GARBAGE]);
        for base in [HYP_BASE, PAYLOAD_BASE] {
            assert_eq!([0x1ff8, 0x2000].map(|at| dword(base.wrapping_add(at))), [0, GARBAGE]);
        }
    }
}
