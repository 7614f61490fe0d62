//! Operations at random, near every border that there is.

use parallax_addr::{Ipa, Pfn, StreamId};
use parallax_ops::{Call, CpuAccess, DmaAccess, Operation};
use parallax_trace::spec::RAM_BASE;

const RAM: u64 = RAM_BASE.get() >> 12;
/// Bytes of memory: it does not end at a border of 1 GiB or of 2 MiB.
pub(crate) const MEMORY: u64 = (64 << 20) + 0x5000;

/// SplitMix64: a run is what its seed makes of it.
pub(crate) struct Random {
    state: u64,
    /// Calls that may be undone.
    done: Vec<Call>,
}

impl Random {
    /// Operations from `seed`.
    pub(crate) const fn new(seed: u64) -> Self {
        Self { state: seed, done: Vec::new() }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn one_of(&mut self, list: &[u64]) -> u64 {
        list[self.below(list.len() as u64) as usize]
    }

    /// A page frame: mostly a few frames around a border.
    fn pfn(&mut self) -> u64 {
        let (image, pool) = (RAM + 0x200, RAM + 0x400);
        let borders = [
            RAM,
            image,
            image + 0x10,
            pool,
            RAM + 0x2000,
            RAM + 0x2200,
            RAM + 0x2200,
            RAM + 0x3000,
            RAM + 0x3000,
            RAM + (MEMORY >> 12),
            0x9010,
            0x9050,
            0x9070,
            1 << 20,
            1 << 36,
        ];
        match self.below(24) {
            0 => self.next(),
            1 => RAM + self.below(MEMORY >> 12),
            // A block of 2 MiB of its own.
            2..5 => RAM + 0x2400 + 0x200 * self.below(4),
            _ => (self.one_of(&borders) + self.below(7)).wrapping_sub(3),
        }
    }

    fn nr(&mut self) -> u64 {
        match self.below(16) {
            0 => self.one_of(&[0, 512, 513, 1024, 1 << 18, 1 << 40, (1 << 40) + 1, 1 << 52, u64::MAX]),
            1..4 => 512,
            4 => 1 + self.below(600),
            _ => 1 + self.below(4),
        }
    }

    /// Any operation; often one that undoes another.
    pub(crate) fn operation(&mut self) -> Operation {
        if self.below(3) == 0 && !self.done.is_empty() {
            let at = self.below(self.done.len() as u64) as usize;
            return Operation::Hypercall(undone(self.done.swap_remove(at)));
        }
        let operation = self.any();
        if let Operation::Hypercall(call) = operation
            && undone(call) != call
        {
            self.done.push(call);
            if self.done.len() > 12 {
                self.done.remove(0);
            }
        }
        operation
    }

    fn any(&mut self) -> Operation {
        let (pfn, nr) = (Pfn::new(self.pfn()), self.nr());
        let ipa = Ipa::new((pfn.get() << 12 | self.below(0x200) << 3) & 0xffff_ffff_ffff);
        let (size, len, value, sid) = (8, 8, self.next(), StreamId::new(8));
        Operation::Hypercall(match self.below(20) {
            0..3 => Call::HostShareHyp { pfn },
            3..5 => Call::HostUnshareHyp { pfn },
            5..7 => Call::HypPinSharedMem { pfn, nr },
            7..9 => Call::HypUnpinSharedMem { pfn, nr },
            9..12 => Call::HostDonateHyp { pfn, nr },
            12..15 => Call::HypDonateHost { pfn, nr },
            15 => Call::HostDonateHypMmio { pfn, nr },
            16 => Call::HypDonateHostMmio { pfn, nr },
            17 => {
                return Operation::AnyHypercall {
                    id: 0xc600_0000 | self.below(0x1000),
                    x: [value, nr, 0, 0, 0, 0],
                };
            }
            18 => return Operation::Access(CpuAccess::Write { ipa, size, value, normal: 0 }),
            _ => return Operation::Dma(DmaAccess::Read { sid, ipa, len }),
        })
    }
}

/// The call that undoes `call`, or that call again.
const fn undone(call: Call) -> Call {
    match call {
        Call::HostShareHyp { pfn } => Call::HostUnshareHyp { pfn },
        Call::HypPinSharedMem { pfn, nr } => Call::HypUnpinSharedMem { pfn, nr },
        Call::HostDonateHyp { pfn, nr } => Call::HypDonateHost { pfn, nr },
        other => other,
    }
}
