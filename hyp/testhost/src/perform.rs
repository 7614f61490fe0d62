//! Performs one request on the CPU this runs on.

use parallax_abi::mailbox::{Request, Response, kind, op};
use parallax_abi::operation::{DeviceOp, HostOp};

use crate::access;
use crate::board::Conduit;
use crate::calls;
use crate::cpus::Cpu;
use crate::dma;
use crate::host;
use crate::mmu::{self, MemoryType};
use crate::probe;
use crate::race;
use crate::vectors::Trap;

const BAD_REQUEST: Response = Response::of(kind::BAD_REQUEST);

/// Performs `request`, whose CPU number was looked at already.
pub(crate) fn perform(cpu: &Cpu, request: &Request) -> Response {
    let args = request.args;
    let done = match request.op {
        op::NOP => Some(Ok([0; 4])),
        op::HYPERCALL => Some(calls::call(Conduit::Hvc, args)),
        op::SMC => Some(calls::call(Conduit::Smc, args)),
        op::DMA_READ | op::DMA_WRITE => return perform_dma(request),
        number => match HostOp::decode(number, args) {
            Some(HostOp::Race { .. }) => race::perform(cpu, request),
            Some(access) => perform_access(cpu, access),
            None => None,
        },
    };
    done.map_or(BAD_REQUEST, response)
}

/// An access of this CPU; `None` if it makes no sense.
fn perform_access(cpu: &Cpu, access: HostOp) -> Option<Result<[u64; 4], Trap>> {
    let window = |ipa, size, kind| mmu::window(cpu.index, ipa, size, kind);
    let by_address =
        |ipa| if host().board.ram.contains(ipa) { MemoryType::Normal } else { MemoryType::Device };
    let asked = |ipa, normal| if normal != 0 { MemoryType::Normal } else { by_address(ipa) };
    match access {
        HostOp::Read { size, .. } | HostOp::Write { size, .. } if !access::is_size(size) => None,
        HostOp::Read { ipa, size, normal } => {
            window(ipa, size, asked(ipa, normal)).map(|va| access::load(va, size).map(one))
        }
        HostOp::Write { ipa, size, value, normal } => window(ipa, size, asked(ipa, normal)).map(|va| {
            access::store(va, size, value)?;
            if by_address(ipa) == MemoryType::Normal { access::clean(va).map(nothing) } else { Ok([0; 4]) }
        }),
        // Normal even for MMIO: it is for stage 2 to say whether the host may execute there.
        HostOp::Execute { ipa } => {
            window(ipa, 4, MemoryType::Normal).map(|va| access::execute(va).map(nothing))
        }
        HostOp::ReadPair { ipa } => window(ipa, 16, by_address(ipa))
            .map(|va| access::load_pair(va).map(|[low, high]| [low, high, 0, 0])),
        HostOp::WritePair { ipa, value, second } => {
            window(ipa, 16, by_address(ipa)).map(|va| access::store_pair(va, [value, second]).map(nothing))
        }
        HostOp::WriteEntry { ipa, .. } if !ipa.is_multiple_of(32) => None,
        HostOp::WriteEntry { ipa, value, second, third, fourth } => window(ipa, 32, by_address(ipa))
            .map(|va| access::store_entry(va, [value, second, third, fourth]).map(nothing)),
        HostOp::Swap { ipa, value } => {
            window(ipa, 8, by_address(ipa)).map(|va| access::swap(va, value).map(one))
        }
        HostOp::Walk { ipa } => mmu::walk_through(ipa).map(|walked| walked.map(nothing)),
        HostOp::Atomic { ipa } => {
            window(ipa, 8, by_address(ipa)).map(|va| access::atomic_add_nothing(va).map(one))
        }
        HostOp::Probe { ipa, form, el, value } => probe::perform(cpu, ipa, form, el, value).map(Ok),
        HostOp::Race { .. } => None,
    }
}

fn perform_dma(request: &Request) -> Response {
    let Some(access) = DeviceOp::decode(request.op, request.args) else { return BAD_REQUEST };
    let (DeviceOp::Read { sid, len, .. } | DeviceOp::Write { sid, len, .. }) = access;
    if !(dma::MIN_BYTES..=dma::MAX_BYTES).contains(&len) {
        return BAD_REQUEST;
    }
    let Some(device) = host().devices.find(sid) else {
        return Response::of(kind::NO_DEVICE);
    };
    match access {
        DeviceOp::Read { ipa, len, .. } => dma::read(device, ipa, len),
        DeviceOp::Write { ipa, len, value, .. } => dma::write(device, ipa, len, value),
    }
}

fn one(value: u64) -> [u64; 4] {
    [value, 0, 0, 0]
}

fn nothing((): ()) -> [u64; 4] {
    [0; 4]
}

fn response(result: Result<[u64; 4], Trap>) -> Response {
    match result {
        Ok(x) => Response { x, ..Response::of(kind::OK) },
        Err(trap) => {
            let kind = if trap.is_undefined() { kind::UNDEF } else { kind::ABORT };
            Response { esr: trap.esr, far: trap.far, ..Response::of(kind) }
        }
    }
}
