//! Performs one request on the CPU this runs on.

use parallax_abi::mailbox::{Request, Response, kind, op};

use crate::access;
use crate::board::Conduit;
use crate::calls;
use crate::cpus::Cpu;
use crate::dma;
use crate::host;
use crate::mmu::{self, MemoryType};
use crate::race;
use crate::vectors::Trap;

const BAD_REQUEST: Response = Response::of(kind::BAD_REQUEST);

/// Performs `request`, whose CPU number was looked at already.
pub(crate) fn perform(cpu: &Cpu, request: &Request) -> Response {
    let args = request.args;
    let window = |size, kind| mmu::window(cpu.index, args[0], size, kind);
    let by_address =
        || if host().board.ram.contains(args[0]) { MemoryType::Normal } else { MemoryType::Device };
    let asked = |normal| if normal != 0 { MemoryType::Normal } else { by_address() };
    let done = match request.op {
        op::NOP => Some(Ok([0; 4])),
        op::HYPERCALL => Some(calls::call(Conduit::Hvc, args)),
        op::SMC => Some(calls::call(Conduit::Smc, args)),
        op::READ if access::is_size(args[1]) => {
            window(args[1], asked(args[2])).map(|va| access::load(va, args[1]).map(one))
        }
        op::WRITE if access::is_size(args[1]) => window(args[1], asked(args[3])).map(|va| {
            access::store(va, args[1], args[2])?;
            if by_address() == MemoryType::Normal { access::clean(va).map(nothing) } else { Ok([0; 4]) }
        }),
        // Normal even for MMIO: it is for stage 2 to say whether the host may execute there.
        op::EXEC => window(4, MemoryType::Normal).map(|va| access::execute(va).map(nothing)),
        op::READ_PAIR => {
            window(16, by_address()).map(|va| access::load_pair(va).map(|[low, high]| [low, high, 0, 0]))
        }
        op::WALK => mmu::walk_through(args[0]).map(|walked| walked.map(nothing)),
        op::ATOMIC => window(8, by_address()).map(|va| access::atomic_add_nothing(va).map(one)),
        op::WRITE_PAIR => {
            window(16, by_address()).map(|va| access::store_pair(va, [args[1], args[2]]).map(nothing))
        }
        op::SWAP => window(8, by_address()).map(|va| access::swap(va, args[1]).map(one)),
        op::RACE => race::perform(cpu, request),
        op::DMA_READ | op::DMA_WRITE => return perform_dma(request),
        _ => None,
    };
    done.map_or(BAD_REQUEST, response)
}

fn perform_dma(request: &Request) -> Response {
    let [stream_id, target, count, pattern, ..] = request.args;
    if !(dma::MIN_BYTES..=dma::MAX_BYTES).contains(&count) {
        return BAD_REQUEST;
    }
    let Some(device) = host().devices.find(stream_id) else {
        return Response::of(kind::NO_DEVICE);
    };
    if request.op == op::DMA_READ {
        dma::read(device, target, count)
    } else {
        dma::write(device, target, count, pattern)
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
