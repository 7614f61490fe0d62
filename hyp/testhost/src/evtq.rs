//! The event queue of the SMMU that the hypervisor shows us (IHI 0070, 7.2): whatever a trace has set up there.
//!
//! Registers and records are read by guarded loads: a trace may have put the queue where we may not read.

use parallax_abi::errno::EPERM;

use crate::access::{load, store};
use crate::board::Conduit;
use crate::calls;
use crate::dma::Event;
use crate::host;
use parallax_abi::hypercall::SMMU_READ_EVENT;

/// Offsets in the register frame.
const IDR1: u64 = 0x4;
const CR0: u64 = 0x20;
const EVENTQ_BASE: u64 = 0xa0;
const EVENTQ_PROD: u64 = 0x1_00a8;
const EVENTQ_CONS: u64 = 0x1_00ac;
/// CR0.EVENTQEN.
const EVENTQEN: u64 = 1 << 2;
/// EVENTQ_BASE: the address, and LOG2SIZE.
const ADDRESS: u64 = 0x000f_ffff_ffff_ffe0;
const LOG2SIZE: u64 = 0x1f;
/// Position of IDR1.EVENTQS.
const EVENTQS: u32 = 16;
/// EVENTQ_PROD.OVFLG.
const OVERFLOW: u64 = 1 << 31;
/// Bytes of a record.
const RECORD: u64 = 32;

/// Whether events are ours to read: the hypervisor says that they are not its own.
pub(crate) fn is_ours() -> bool {
    let answer = calls::call(Conduit::Hvc, [SMMU_READ_EVENT, 0, 0, 0, 0, 0, 0]);
    answer.is_ok_and(|[status, result, ..]| status == 0 && result as i64 == EPERM)
}

/// Empties the queue, whatever is in it.
pub(crate) fn drain() {
    let Some(frame) = host().board.smmu else { return };
    if let Ok(prod) = load(frame + EVENTQ_PROD, 4) {
        // Out of reach means that there is nothing to drain.
        let _ = store(frame + EVENTQ_CONS, 4, prod);
    }
}

/// Takes the oldest record off the queue; `None` when it is empty, off or out of reach.
pub(crate) fn pop() -> Option<Event> {
    let frame = host().board.smmu?;
    let register = |offset, size| load(frame + offset, size).ok();
    if register(CR0, 4)? & EVENTQEN == 0 {
        return None;
    }
    let base = register(EVENTQ_BASE, 8)?;
    let (prod, cons) = (register(EVENTQ_PROD, 4)?, register(EVENTQ_CONS, 4)?);
    // 6.3.26: a size beyond IDR1.EVENTQS counts as that.
    let limit = register(IDR1, 4)? >> EVENTQS & LOG2SIZE;
    let entries = 1_u64 << (base & LOG2SIZE).min(limit);
    let indices = 2 * entries - 1;
    if prod & indices == cons & indices {
        return None;
    }
    let record = (base & ADDRESS) + (cons & (entries - 1)) * RECORD;
    let (first, address) = (load(record, 8).ok()?, load(record + 16, 8).ok()?);
    let next = (cons + 1) & indices | prod & OVERFLOW;
    store(frame + EVENTQ_CONS, 4, next).ok()?;
    Some(Event { number: first & 0xff, stream_id: first >> 32, address })
}
