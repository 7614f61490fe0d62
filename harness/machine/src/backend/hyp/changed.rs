//! Why the test host is stuck: a register that a visit to the hypervisor must leave alone, and that changed.

use parallax_abi::mailbox::CHANGED_SYMBOL;
use parallax_addr::PhysAddr;
use parallax_vmsa::PhysMem;

use super::Live;

/// What the test host holds: x0 to x30, SP and NZCV.
const REGISTERS: usize = 33;
/// What is said of all else.
const NO_ANSWER: &str = "the test host met something that it has no answer to";

impl Live {
    /// What is said of a test host that is stuck.
    pub(super) fn stuck(&self) -> String {
        let at = self.symbols.payload.symbol(CHANGED_SYMBOL);
        let text = at.and_then(|at| told(&read(&self.ram, PhysAddr::new(at.get()))?));
        text.unwrap_or_else(|| NO_ANSWER.to_owned())
    }
}

/// What was held, and what was found.
fn read(memory: &dyn PhysMem, at: PhysAddr) -> Option<[[u64; REGISTERS]; 2]> {
    let mut bytes = [0; 2 * REGISTERS * size_of::<u64>()];
    memory.read(at, &mut bytes).ok()?;
    Some(zerocopy::transmute!(bytes))
}

/// Names the registers that changed.
fn told([held, found]: &[[u64; REGISTERS]; 2]) -> Option<String> {
    let changed: Vec<String> = (held.iter().zip(found).enumerate())
        .filter(|(_, (held, found))| held != found)
        .map(|(number, (held, found))| format!("{} held {held:#x}, and {found:#x} was found", name(number)))
        .collect();
    let does = "the hypervisor changed what it must leave alone of the host's registers";
    (!changed.is_empty()).then(|| format!("{does}: {}", changed.join("; ")))
}

fn name(number: usize) -> String {
    match number {
        31 => "SP".to_owned(),
        32 => "NZCV".to_owned(),
        _ => format!("x{number}"),
    }
}

#[cfg(test)]
mod tests {
    use parallax_trace::spec::RAM_BASE;
    use parallax_vmsa::MemError;

    use super::*;
    use crate::ram::MappedRam;

    #[test]
    fn the_registers_that_changed_are_named() {
        let held: [u64; REGISTERS] = std::array::from_fn(|number| number as u64);
        let mut found = held;
        assert_eq!(told(&[held, found]), None);
        found[18] = 0;
        let one = "the hypervisor changed what it must leave alone of the host's registers: x18 held 0x12, and 0x0 was found";
        assert_eq!(told(&[held, found]).as_deref(), Some(one));
        (found[31], found[32]) = (0x40, 0x6000_0000);
        let more = "; SP held 0x1f, and 0x40 was found; NZCV held 0x20, and 0x60000000 was found";
        assert_eq!(told(&[held, found]), Some(format!("{one}{more}")));
    }

    #[test]
    fn what_was_held_comes_before_what_was_found() -> Result<(), MemError> {
        let file = tempfile::tempfile().unwrap();
        file.set_len(1 << 20).unwrap();
        let ram = MappedRam::new(&file, 1 << 20).unwrap();
        ram.write(RAM_BASE.wrapping_add(29 * 8), &1_u64.to_le_bytes())?;
        ram.write(RAM_BASE.wrapping_add((REGISTERS as u64 + 29) * 8), &2_u64.to_le_bytes())?;
        let text = read(&ram, RAM_BASE).and_then(|changed| told(&changed)).unwrap();
        assert!(text.ends_with("x29 held 0x1, and 0x2 was found"), "{text}");
        assert_eq!(read(&ram, PhysAddr::new(0)), None);
        Ok(())
    }
}
