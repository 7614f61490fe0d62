//! Instructions of the kernel's own that perform an operation: nothing is written into its text.

use parallax_addr::{PhysAddr, Span};
use parallax_vmsa::PhysMem;

use super::kernel::{Kernel, not_found};
use crate::error::MachineError;

/// `hvc #0; ldr x4, [sp]`: how the kernel makes hypercalls. An `hvc` of EL2's own code cannot be executed by the host.
const CONDUIT: [u32; 2] = [0xd400_0002, 0xf940_03e4];
/// `msr sctlr_el1, x0`.
const MSR_SCTLR: [u32; 1] = [0xd518_1000];
/// `ldrb`, `ldrh`, `ldr` of `w0`, `ldr` of `x0`, each from `[x1]`.
const LOADS: [[u32; 1]; 4] = [[0x3940_0020], [0x7940_0020], [0xb940_0020], [0xf940_0020]];
/// `strb`, `strh`, `str` of `w0`, `str` of `x0`, each to `[x1]`.
const STORES: [[u32; 1]; 4] = [[0x3900_0020], [0x7900_0020], [0xb900_0020], [0xf900_0020]];
/// `b .`: where a CPU stands while time passes.
const SPIN: [u32; 1] = [0x1400_0000];
/// More code is not believed.
const MOST: u64 = 128 << 20;

/// An instruction: where the kernel has it, and where it is in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    pub(super) va: u64,
    pub(super) pa: u64,
}

impl Instruction {
    /// The one behind.
    pub(super) const fn next(self) -> Self {
        Self { va: self.va.wrapping_add(4), pa: self.pa.wrapping_add(4) }
    }
}

/// The instructions.
#[derive(Clone, Debug)]
pub(super) struct Code {
    /// `hvc #0`.
    pub(super) hvc: Instruction,
    /// `msr sctlr_el1, x0`.
    pub(super) msr_sctlr: Instruction,
    /// A load of 1, 2, 4, 8 bytes.
    loads: [Option<Instruction>; 4],
    /// A store of so many.
    stores: [Option<Instruction>; 4],
    /// `b .`.
    pub(super) spin: Option<Instruction>,
}

impl Code {
    /// Looks for them in the kernel's text, less EL2's, which is at `el2`.
    pub(super) fn find(
        kernel: &Kernel,
        memory: &dyn PhysMem,
        el2: Span<PhysAddr>,
    ) -> Result<Self, MachineError> {
        let (from, to) = kernel.text()?;
        let size = to.saturating_sub(from);
        let base = kernel.physical(from)?;
        if size > MOST {
            return Err(not_found(&format!("a kernel of {} MiB of code at most", MOST >> 20)));
        }
        let mut bytes = vec![0; size as usize];
        memory.read(base, &mut bytes)?;
        let words: Vec<u32> = bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
        let find = |pattern: &[u32]| {
            let places = words.windows(pattern.len()).enumerate().filter(|(_, part)| *part == pattern);
            let mut places = places.map(|(index, _)| 4 * index as u64);
            let own = |offset: &u64| !el2.contains(base.wrapping_add(*offset));
            places
                .find(own)
                .map(|offset| Instruction { va: from + offset, pa: base.get().wrapping_add(offset) })
        };
        Ok(Self {
            hvc: find(&CONDUIT).ok_or_else(|| not_found("`hvc #0; ldr x4, [sp]` in the kernel's code"))?,
            msr_sctlr: find(&MSR_SCTLR)
                .ok_or_else(|| not_found("`msr sctlr_el1, x0` in the kernel's code"))?,
            loads: LOADS.map(|pattern| find(&pattern)),
            stores: STORES.map(|pattern| find(&pattern)),
            spin: find(&SPIN),
        })
    }

    /// The access of `size` bytes, if the kernel has it.
    pub(super) fn access(&self, size: u64, write: bool) -> Option<Instruction> {
        let index = [1, 2, 4, 8].iter().position(|known| *known == size)?;
        if write { self.stores[index] } else { self.loads[index] }
    }

    /// Where a CPU stops behind any of them.
    pub(super) fn stops(&self) -> Vec<u64> {
        let accesses = self.loads.iter().chain(&self.stores).flatten().map(|one| one.next().pa);
        let msr = self.msr_sctlr.next();
        [self.hvc.next().va, msr.va, msr.pa].into_iter().chain(accesses).collect()
    }
}

#[cfg(test)]
mod tests {
    use parallax_vmsa::SparseMem;

    use super::*;

    const TEXT: &str = "ffff800080000000 T _text\nffff800080002000 D _etext\n\
        40200000-40201fff : Kernel code\nend\n";

    /// The code in which `words` stand at byte offsets.
    fn find(words: &[(u64, u32)], text: &str) -> Result<Code, MachineError> {
        let mut memory = SparseMem::new();
        let mut code = vec![0_u8; 0x2000];
        for (at, word) in words {
            code[*at as usize..][..4].copy_from_slice(&word.to_le_bytes());
        }
        memory.write(PhysAddr::new(0x4020_0000), &code);
        let el2 = Span::new(PhysAddr::new(0x4020_0000), 0x1000);
        Code::find(&Kernel::parse(text.as_bytes()).unwrap(), &memory, el2)
    }

    #[test]
    fn an_instruction_of_el2s_is_not_taken() {
        let [hvc, ldr] = CONDUIT;
        let mine = [(0x1100, hvc), (0x1104, ldr), (0x1200, MSR_SCTLR[0]), (0x1300, LOADS[3][0])];
        let el2 = [(0x100, hvc), (0x104, ldr), (0x200, MSR_SCTLR[0]), (0x300, STORES[0][0])];
        let code = find(&[&mine[..], &el2].concat(), TEXT).unwrap();
        let at = |offset: u64| Instruction { va: 0xffff_8000_8000_0000 + offset, pa: 0x4020_0000 + offset };
        assert_eq!((code.hvc, code.msr_sctlr), (at(0x1100), at(0x1200)));
        assert_eq!(
            (code.access(8, false), code.access(1, true), code.access(3, true)),
            (Some(at(0x1300)), None, None)
        );
        assert!(code.stops().contains(&at(0x1304).pa));
        assert!(find(&el2, TEXT).unwrap_err().to_string().contains("hvc #0"));
        assert!(find(&mine[..2], TEXT).unwrap_err().to_string().contains("sctlr_el1"));
    }

    #[test]
    fn more_code_than_can_be_is_refused() {
        let text = TEXT.replace("ffff800080002000", "ffff8000f0002000");
        assert!(find(&[], &text).unwrap_err().to_string().contains("128 MiB"));
    }
}
