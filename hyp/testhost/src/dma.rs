//! DMA requests: the device's transfer, and what the SMMU said about it.
//!
//! Every transfer is a leg of its own: drain the SMMU's events, transfer, read the events that came. The leg to or
//! from the target decides over [`kind::ABORT`]. When only the leg to or from the scratch page was refused, the
//! device never had the data and the request ends as [`kind::TIMEOUT`].
//!
//! Where the SMMU is ours ([`crate::evtq`]), events come from our own queue, as far as a trace has set one up. A
//! stream whose entry is "abort" makes none: it is told by a third transfer, from the scratch page and back, that
//! moves nothing. A refusal by translation while no queue is on goes unseen; only the data tells.

use parallax_abi::errno::SMCCC_SUCCESS;
use parallax_abi::hypercall::SMMU_READ_EVENT;
use parallax_abi::mailbox::{Response, kind};
use spin::Mutex;

use crate::board::Conduit;
use crate::calls;
use crate::edu::{Device, MAX_TRANSFER, Scratch, TimedOut};
use crate::evtq;

/// Fewest bytes of a request.
pub(crate) const MIN_BYTES: u64 = 8;
/// Most bytes of a request.
pub(crate) const MAX_BYTES: u64 = MAX_TRANSFER;

/// More events than any transfer makes: a hypervisor that never says "empty" must not keep us for ever.
const MAX_EVENTS: usize = 1 << 16;

static SCRATCH: Mutex<Scratch> = Mutex::new(Scratch::new());

/// An event record.
#[derive(Clone, Copy)]
pub(crate) struct Event {
    pub(crate) number: u64,
    pub(crate) stream_id: u64,
    pub(crate) address: u64,
}

/// The events of one leg.
#[derive(Clone, Copy, Default)]
struct Events {
    /// Pages they name; runs of the same page count once.
    pages: u64,
    first: Option<Event>,
}

/// The oldest event, or `None` when there is none (or no SMMU, or no hypervisor).
fn read_event() -> Option<Event> {
    if evtq::is_ours() {
        return evtq::pop();
    }
    match calls::call(Conduit::Hvc, [SMMU_READ_EVENT, 0, 0, 0, 0, 0, 0]) {
        Ok([status, 0, record, address]) if status as i64 == SMCCC_SUCCESS => {
            Some(Event { number: record & 0xff, stream_id: record >> 32, address })
        }
        _ => None,
    }
}

impl Events {
    /// Reads the queue empty, and keeps what concerns `stream_id`.
    fn collect(stream_id: u64) -> Self {
        let mut events = Self::default();
        let mut page = None;
        for event in core::iter::from_fn(read_event).take(MAX_EVENTS) {
            if event.stream_id != stream_id {
                continue;
            }
            if page != Some(event.address >> 12) {
                page = Some(event.address >> 12);
                events.pages += 1;
            }
            events.first.get_or_insert(event);
        }
        events
    }

    /// The events of one transfer.
    fn of(device: &Device, transfer: impl FnOnce() -> Result<(), TimedOut>) -> Result<Self, TimedOut> {
        if evtq::is_ours() {
            evtq::drain();
        } else {
            Self::collect(device.stream_id);
        }
        transfer()?;
        Ok(Self::collect(device.stream_id))
    }
}

/// The device reads `count` bytes ([`MIN_BYTES`] to [`MAX_BYTES`]) from `target`.
pub(crate) fn read(device: &Device, target: u64, count: u64) -> Response {
    run(|scratch| {
        scratch.fill(0);
        let at_target = Events::of(device, || device.fetch(target, count))?;
        let at_scratch = Events::of(device, || device.store(scratch.address(), count))?;
        let x = [scratch.first(), 0, 0, 0];
        Ok(Response { x, ..response(device, scratch, at_target, at_scratch)? })
    })
}

/// The device writes `count` bytes ([`MIN_BYTES`] to [`MAX_BYTES`]) to `target`: `pattern`, repeated.
pub(crate) fn write(device: &Device, target: u64, count: u64, pattern: u64) -> Response {
    run(|scratch| {
        scratch.fill(pattern);
        let at_scratch = Events::of(device, || device.fetch(scratch.address(), count))?;
        let at_target = Events::of(device, || device.store(target, count))?;
        response(device, scratch, at_target, at_scratch)
    })
}

fn run(legs: impl FnOnce(&mut Scratch) -> Result<Response, TimedOut>) -> Response {
    let timeout = Response::of(kind::TIMEOUT);
    // Held only by a CPU that was given up on.
    let Some(mut scratch) = SCRATCH.try_lock() else {
        return timeout;
    };
    legs(&mut scratch).unwrap_or(timeout)
}

/// Whether nothing that the device transfers arrives, without a word.
fn is_silent(device: &Device, scratch: &mut Scratch) -> Result<bool, TimedOut> {
    const MARK: u64 = 0x5a5a_5a5a_5a5a_5a5a;
    scratch.fill(MARK);
    device.fetch(scratch.address(), MIN_BYTES)?;
    scratch.fill(!MARK);
    device.store(scratch.address(), MIN_BYTES)?;
    Ok(scratch.first() != MARK)
}

fn response(
    device: &Device,
    scratch: &mut Scratch,
    at_target: Events,
    at_scratch: Events,
) -> Result<Response, TimedOut> {
    let Some(first) = at_target.first else {
        let kind = match at_scratch.first {
            Some(_) => kind::TIMEOUT,
            None if evtq::is_ours() && is_silent(device, scratch)? => kind::ABORT,
            None => kind::OK,
        };
        return Ok(Response { kind, ..Response::default() });
    };
    Ok(Response {
        kind: kind::ABORT,
        events: at_target.pages,
        event: first.number,
        event_sid: first.stream_id,
        event_addr: first.address,
        ..Response::default()
    })
}
