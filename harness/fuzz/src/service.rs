//! What a host in order does, with the result that it must have: whatever was done before, the hypervisor serves.
//!
//! All of it is in pages that no attack uses.

use parallax_addr::PAGE_SIZE;
use parallax_trace::{Expr, Outcome};

use crate::act::{Act, Class, DONE, Tells, number, physical, ram, smmu};
use crate::commands::{self, Command};
use crate::entries::{BLOCK, CONTEXT};
use crate::layout::OURS;
use crate::random::Random;
use crate::smmu::{Table, View, reg, write};

const CLASS: Class = Class::Service;
const EVENTS: u64 = OURS;
const QUEUE: u64 = OURS + PAGE_SIZE;
const TABLE: u64 = OURS + 2 * PAGE_SIZE;
const CONTEXT_AT: u64 = OURS + 3 * PAGE_SIZE;
const STAGE1: u64 = OURS + 4 * PAGE_SIZE;
/// Pages for devices.
const DATA: u64 = OURS + 0x10 * PAGE_SIZE;
/// How far above RAM stage 1 shows it once more.
const ALIAS: u64 = 0x1_0000_0000;
/// The stream of the first device.
const STREAM: u64 = 8;

/// Puts one service after another together.
struct Service<'a> {
    view: View,
    acts: &'a mut Vec<Act>,
    value: u64,
}

impl Service<'_> {
    fn store(&mut self, to: u64, value: Expr) {
        self.acts.push(Act::store(CLASS, ram(to), 8, value).expecting(DONE));
    }

    fn write(&mut self, offset: u64, size: u64, value: Expr) {
        self.acts.push(write(CLASS, offset, size, value).expecting(DONE));
    }

    /// Gives commands, and sees that all are taken.
    fn give(&mut self, list: &[Command]) {
        for command in list {
            commands::put(&mut self.view, CLASS, command, self.acts);
        }
        self.write(reg::CMDQ_PROD, 4, number(self.view.prod));
        let taken = Outcome::Ok { value: Some(self.view.prod) };
        let tells = Tells::Taken(list.len() as u64, self.view.prod);
        self.acts.push(Act::load(CLASS, smmu(reg::CMDQ_CONS), 4).expecting(taken).telling(tells));
    }

    /// The device writes to `to`, or must not.
    fn dma(&mut self, to: Expr, passes: bool) {
        self.value += 1;
        let args = [number(STREAM), to, number(8), number(self.value)];
        let outcome = if passes { DONE } else { Outcome::Abort };
        self.acts.push(Act::new(CLASS, "dma_write", &args).expecting(outcome));
    }

    fn pages(&mut self, name: &str, page: u64) {
        self.acts.push(Act::pages(CLASS, name, ram(page / PAGE_SIZE), 1).expecting(DONE));
    }

    /// Turns the SMMU off, and on with a queue, a table and an event queue.
    fn enable(&mut self) {
        self.write(reg::CR0, 4, number(0));
        self.write(reg::GERRORN, 4, number(self.view.errors));
        for (offset, size, value) in [
            (reg::CMDQ_BASE, 8, ram(QUEUE | 8)),
            (reg::CMDQ_CONS, 4, number(0)),
            (reg::CMDQ_PROD, 4, number(0)),
            (reg::EVENTQ_BASE, 8, ram(EVENTS | 7)),
            (reg::EVENTQ_PROD, 4, number(0)),
            (reg::EVENTQ_CONS, 4, number(0)),
            (reg::STRTAB_BASE, 8, ram(TABLE)),
            (reg::STRTAB_BASE_CFG, 4, number(4)),
        ] {
            self.write(offset, size, value);
        }
        self.store(TABLE + STREAM * 64, number(9));
        self.write(reg::CR0, 4, number(0xd));
        let all = Outcome::Ok { value: Some(0xd) };
        self.acts.push(Act::load(CLASS, smmu(reg::CR0ACK), 4).expecting(all).telling(Tells::Enabled(0xd)));
    }

    /// Bypass, abort, stage 1 and off again, each seen by the device.
    fn translate(&mut self, page: u64) {
        let sync = || [number(0x46), number(0)];
        self.dma(ram(page), true);
        self.store(TABLE + STREAM * 64, number(1));
        self.give(&[sync(), commands::configure(STREAM), sync()]);
        self.dma(ram(page), false);
        // Stage 1, by a range of streams that begins before this one. An attack may have used its ASID: TLBI_NSNH_ALL.
        for (to, value) in [
            (CONTEXT_AT, number(CONTEXT)),
            (CONTEXT_AT + 8, ram(STAGE1)),
            (CONTEXT_AT + 0x18, number(0xff)),
            (STAGE1 + 8, number(physical(0) | BLOCK)),
            (STAGE1 + 0x20, number(physical(0) | BLOCK)),
            (TABLE + STREAM * 64, ram(CONTEXT_AT | 0xb)),
        ] {
            self.store(to, value);
        }
        self.give(&[[number(4), number(3)], [number(0x30), number(0)], sync()]);
        self.dma(number(ALIAS + page), true);
        // A page that is warm in both views goes, and comes back.
        self.dma(ram(page + PAGE_SIZE), true);
        self.dma(number(ALIAS + page + PAGE_SIZE), true);
        self.pages("host_donate_hyp", page + PAGE_SIZE);
        self.dma(ram(page + PAGE_SIZE), false);
        self.dma(number(ALIAS + page + PAGE_SIZE), false);
        self.pages("hyp_donate_host", page + PAGE_SIZE);
        // The second view goes while it is warm; the host's VMID counts as 0.
        self.dma(number(ALIAS + page), true);
        self.store(STAGE1 + 0x20, number(0));
        self.give(&[sync(), [number(1 << 48 | 5 << 32 | 0x11), number(0)], sync()]);
        self.dma(number(ALIAS + page), false);
        self.store(TABLE + STREAM * 64, number(9));
        self.give(&[commands::configure(STREAM), sync()]);
        self.dma(ram(page), true);
        self.write(reg::CR0, 4, number(0xc));
        self.dma(ram(page), false);
        self.write(reg::CR0, 4, number(0));
    }
}

/// One round of service. `errors` is GERROR; `value` a number that is written nowhere else, of which the next
/// 16 are taken.
pub(super) fn serve(random: &mut Random, errors: u64, emulated: bool, value: u64, acts: &mut Vec<Act>) {
    let page = DATA + random.below(8) * 2 * PAGE_SIZE;
    let table = Table { entries: TABLE, count: 16, descriptor: None };
    let view = View { queue: (QUEUE, 8), prod: 0, events: EVENTS, table, context: (0, 0), errors, cons: 0 };
    let mut service = Service { view, acts, value };
    if emulated {
        service.enable();
        service.translate(page);
    } else {
        service.dma(ram(page), true);
        service.pages("host_donate_hyp", page);
        service.dma(ram(page), false);
        service.pages("hyp_donate_host", page);
        service.dma(ram(page), true);
    }
    service.pages("host_share_hyp", page);
    service.pages("host_unshare_hyp", page);
}
