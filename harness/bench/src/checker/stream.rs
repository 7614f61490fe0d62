//! A long stream of events that breaks no rule: 1 GiB is mapped page by page on a CPU and in the SMMU, then pages are taken away
//! and given back, as donations do.

use parallax_addr::PhysAddr;
use parallax_protocol::{Barrier, Dsb, Event, Kind, Sysreg, TlbiOp};

const PAGE: u64 = 0x7ff;
const QUEUE: u64 = 0x900_0000;

/// A stream under way: each event goes to `take`.
struct Stream<'t> {
    take: &'t mut dyn FnMut(&Event),
    seq: u64,
    prod: u32,
}

impl Stream<'_> {
    fn push(&mut self, kind: Kind) {
        (self.take)(&Event { seq: self.seq, pc: 0x4000_0000 + self.seq % 64 * 4, cpu: 0, kind });
        self.seq += 1;
    }

    fn store(&mut self, pa: u64, value: u64) {
        self.push(Kind::Store { pa: PhysAddr::new(pa), value, size: 8, release: true });
    }

    fn dsb(&mut self, option: Dsb) {
        self.push(Kind::Barrier(Barrier::Dsb(option)));
    }

    fn smmu(&mut self, offset: u32, value: u64) {
        self.push(Kind::SmmuWrite { offset, size: if value >> 32 == 0 { 4 } else { 8 }, value });
    }

    /// Root, level-2 table and level-3 tables for 1 GiB at `base`, from level 1.
    fn tables(&mut self, base: u64) {
        self.store(base, (base + 0x1000) | 3);
        for table in 0..512 {
            let pa = base + 0x2000 + table * 0x1000;
            for page in 0..512 {
                self.store(pa + page * 8, (table * 512 + page) << 12 | PAGE);
            }
            self.store(base + 0x1000 + table * 8, pa | 3);
        }
        self.dsb(Dsb::Ishst);
    }

    fn command(&mut self, low: u64, high: u64) {
        let slot = QUEUE + u64::from(self.prod % 256) * 16;
        self.store(slot, low);
        self.store(slot + 8, high);
        self.prod = (self.prod + 1) % 512;
    }

    /// The SMMU is given the commands, and has consumed them.
    fn issued(&mut self) {
        self.dsb(Dsb::Sy);
        self.push(Kind::SmmuWrite { offset: 0x98, size: 4, value: u64::from(self.prod) });
        self.push(Kind::SmmuRead { offset: 0x9c, size: 4, value: u64::from(self.prod) });
    }

    /// A page leaves both tables (`value` 0), or comes back.
    fn change(&mut self, page: u64, value: u64) {
        self.push(Kind::Lock { address: 0x10 });
        let entry = 0x2000 + page * 8;
        self.store(0x100_0000 + entry, value);
        self.dsb(Dsb::Ishst);
        if value == 0 {
            self.push(Kind::Tlbi { op: TlbiOp::Ipas2e1is, operand: page });
            self.dsb(Dsb::Ish);
            self.push(Kind::Tlbi { op: TlbiOp::Vmalle1is, operand: 0 });
            self.dsb(Dsb::Ish);
        }
        self.store(0x200_0000 + entry, value);
        self.dsb(Dsb::Ishst);
        if value == 0 {
            self.command(0x2a, page << 12);
            self.command(0x46, 0);
            self.issued();
        }
        self.push(Kind::Unlock { address: 0x10 });
        self.push(Kind::Return);
    }
}

/// Hands about so many events to `take`.
pub(super) fn events(events: usize, take: &mut dyn FnMut(&Event)) {
    let mut stream = Stream { take, seq: 1, prod: 0 };
    // T0SZ 25, start at level 1, 48 bits out.
    let vtcr = 25 | 1 << 6 | 5 << 16;
    stream.push(Kind::SysregWrite { reg: Sysreg::VtcrEl2, value: vtcr });
    stream.tables(0x100_0000);
    stream.tables(0x200_0000);
    stream.push(Kind::SysregWrite { reg: Sysreg::VttbrEl2, value: 0x100_0000 });
    let ste = [0xd, 1 << 44, 25 << 32 | 1 << 38 | 5 << 48 | 1 << 51, 0x200_0000];
    for (dword, value) in (0..).zip(ste) {
        stream.store(0xa00_0000 + dword * 8, value);
    }
    stream.smmu(0x80, 0xa00_0000);
    stream.smmu(0x88, 8);
    stream.smmu(0x90, QUEUE | 8);
    // CMDQEN; CMD_CFGI_ALL, CMD_TLBI_NSNH_ALL, CMD_SYNC; SMMUEN.
    stream.smmu(0x20, 0x8);
    for (low, high) in [(0x04, 31), (0x30, 0), (0x46, 0)] {
        stream.command(low, high);
    }
    stream.issued();
    stream.smmu(0x20, 0x9);
    for step in 0_u64.. {
        if stream.seq + 20 > events as u64 {
            break;
        }
        let page = step / 2 * 77 % (512 * 512);
        stream.change(page, if step % 2 == 0 { 0 } else { page << 12 | PAGE });
    }
}
