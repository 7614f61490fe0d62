//! What the kernel says of itself: lines of /proc/kallsyms and /proc/iomem, as the initramfs sends them.

use std::collections::BTreeMap;

use parallax_addr::{PhysAddr, Span};

use crate::error::MachineError;

/// More text, symbols or regions are not believed.
pub(super) const MOST_TEXT: usize = 4 << 20;
const MOST_SYMBOLS: usize = 1 << 14;
const MOST_REGIONS: usize = 256;
/// What the names of EL2's symbols begin with.
const EL2: &str = "__kvm_nvhe_";
/// What the line about the virtual machine begins with, and what it says where all went well.
pub(super) const GUEST: &str = "guest";
pub(super) const GUEST_OK: &str = "ok";
/// The last line.
const END: &str = "end";

/// What it said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Kernel {
    /// Its release.
    pub(super) release: String,
    /// CPUs that came up.
    pub(super) cpus: usize,
    /// What became of the program with a virtual machine, where there was one.
    pub(super) guest: Option<String>,
    /// Virtual addresses of its symbols.
    symbols: BTreeMap<String, u64>,
    /// Physical addresses of its code.
    code: Option<Span<PhysAddr>>,
    /// Its memory.
    pub(super) ram: Vec<Span<PhysAddr>>,
}

/// Whether `text` is all that it has to say.
pub(super) fn is_whole(text: &[u8]) -> bool {
    text.ends_with(b"\nend\n") || text.ends_with(b"\nend\r\n")
}

impl Kernel {
    /// Reads what it said.
    pub(super) fn parse(text: &[u8]) -> Result<Self, MachineError> {
        let text = String::from_utf8_lossy(text.get(..MOST_TEXT.min(text.len())).unwrap_or_default());
        let mut kernel = Self::default();
        for line in text.lines().map(str::trim).take_while(|line| *line != END) {
            if let Some(said) = line.strip_prefix(GUEST).and_then(|rest| rest.strip_prefix(' ')) {
                kernel.guest = Some(said.to_owned());
                continue;
            }
            let words: Vec<&str> = line.split_whitespace().take(4).collect();
            match words[..] {
                ["release", release] => kernel.release = release.to_owned(),
                ["cpus", cpus] => kernel.cpus = cpus.parse().unwrap_or(0),
                [span, ":", "Kernel", "code"] => kernel.code = kernel.code.or(region(span)),
                [span, ":", "System", "RAM"] if kernel.ram.len() < MOST_REGIONS => {
                    kernel.ram.extend(region(span));
                }
                [address, kind, name] if kind.len() == 1 && kernel.symbols.len() < MOST_SYMBOLS => {
                    if let Ok(address) = u64::from_str_radix(address, 16) {
                        kernel.symbols.entry(name.to_owned()).or_insert(address);
                    }
                }
                _ => {}
            }
        }
        if kernel.symbols.values().all(|address| *address == 0) {
            return Err(not_found("addresses in /proc/kallsyms (CONFIG_KALLSYMS_ALL=y gives them)"));
        }
        Ok(kernel)
    }

    /// The virtual address of its symbol `name`.
    pub(super) fn symbol(&self, name: &str) -> Result<u64, MachineError> {
        self.symbols.get(name).copied().ok_or_else(|| not_found(&format!("symbol {name}")))
    }

    /// The virtual address that the kernel has for EL2's symbol `name`.
    pub(super) fn el2_symbol(&self, name: &str) -> Result<u64, MachineError> {
        self.symbol(&format!("{EL2}{name}"))
    }

    /// EL2's symbols whose names begin with `start`: what follows that, and their addresses.
    pub(super) fn el2_symbols<'a>(&'a self, start: &'a str) -> impl Iterator<Item = (&'a str, u64)> {
        let named = move |(name, address): (&'a String, &u64)| {
            Some((name.strip_prefix(EL2)?.strip_prefix(start)?, *address))
        };
        self.symbols.iter().filter_map(named)
    }

    /// EL2's symbols by their whole names, and their addresses.
    pub(super) fn el2_symbols_in_full(&self) -> impl Iterator<Item = (&str, u64)> {
        self.symbols.iter().filter(|(name, _)| name.starts_with(EL2)).map(|(name, va)| (name.as_str(), *va))
    }

    /// The physical address of its first byte, and of what is at virtual address `va` of its image.
    pub(super) fn physical(&self, va: u64) -> Result<PhysAddr, MachineError> {
        let code = self.code.ok_or_else(|| not_found("`Kernel code` in /proc/iomem"))?;
        Ok(code.base.wrapping_add(va.wrapping_sub(self.symbol("_text")?)))
    }

    /// The physical address of its symbol `name`.
    pub(super) fn place(&self, name: &str) -> Result<PhysAddr, MachineError> {
        self.physical(self.symbol(name)?)
    }

    /// The physical address of EL2's symbol `name`.
    pub(super) fn el2_place(&self, name: &str) -> Result<PhysAddr, MachineError> {
        self.physical(self.el2_symbol(name)?)
    }

    /// From one symbol to another, physically; nothing if one of them is not there.
    pub(super) fn part(&self, [from, to]: [&str; 2]) -> Option<Span<PhysAddr>> {
        let (from, to) = (self.place(from).ok()?, self.place(to).ok()?);
        (from < to).then(|| Span::between(from, to))
    }

    /// Virtual addresses of its code.
    pub(super) fn text(&self) -> Result<(u64, u64), MachineError> {
        Ok((self.symbol("_text")?, self.symbol("_etext")?))
    }
}

/// `FROM-TO` of /proc/iomem; TO is the last byte.
fn region(text: &str) -> Option<Span<PhysAddr>> {
    let (from, to) = text.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    let (from, end) = (number(from)?, number(to)?.checked_add(1)?);
    (from < end).then(|| Span::between(PhysAddr::new(from), PhysAddr::new(end)))
}

/// The refusal of a kernel that has no `what`.
pub(super) fn not_found(what: &str) -> MachineError {
    MachineError::Foreign(format!("looked for {what} and did not find it"))
}

#[cfg(test)]
mod tests {
    use parallax_hostile::{cases, changed};
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "release 6.12.95\ncpus 2\nffff800080000000 T _text\nffff800081070000 D _etext\n\
        ffff800080dbe000 t __kvm_nvhe_handle___pkvm_host_share_hyp\n\
        40000000-7fffffff : System RAM\n  40200000-41a6ffff : Kernel code\nend\n";

    #[test]
    fn symbols_have_physical_addresses() {
        let kernel = Kernel::parse(TEXT.as_bytes()).unwrap();
        assert_eq!((kernel.release.as_str(), kernel.cpus), ("6.12.95", 2));
        assert_eq!(kernel.place("_etext").unwrap(), PhysAddr::new(0x4127_0000));
        assert_eq!(kernel.ram, [Span::new(PhysAddr::new(0x4000_0000), 0x4000_0000)]);
        let handlers: Vec<_> = kernel.el2_symbols("handle___").collect();
        assert_eq!(handlers, [("pkvm_host_share_hyp", 0xffff_8000_80db_e000)]);
        assert!(is_whole(TEXT.as_bytes()) && !is_whole(&TEXT.as_bytes()[..TEXT.len() - 1]));
    }

    #[test]
    fn what_is_missing_is_named() {
        let said = |name| Kernel::parse(TEXT.as_bytes()).unwrap().el2_symbol(name).unwrap_err().to_string();
        assert!(said("host_hcall").contains("__kvm_nvhe_host_hcall"), "{}", said("host_hcall"));
        let hidden = TEXT.replace("ffff8000", "00000000").replace("80000000 ", "00000000 ");
        let hidden = hidden.replace("81070000", "00000000").replace("80dbe000", "00000000");
        assert!(Kernel::parse(hidden.as_bytes()).unwrap_err().to_string().contains("KALLSYMS"));
    }

    proptest! {
        #![proptest_config(cases(512))]

        #[test]
        fn no_text_ends_in_a_panic(text in changed(vec![TEXT.as_bytes().to_vec()])) {
            if let Ok(kernel) = Kernel::parse(&text) {
                let _ = (kernel.place("_etext"), kernel.part(["_text", "_etext"]), kernel.text());
            }
        }
    }
}
