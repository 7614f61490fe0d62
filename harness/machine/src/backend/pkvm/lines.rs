//! Source lines of EL2's code, from the kernel's ELF file, where somebody has it.

use std::collections::BTreeMap;
use std::path::Path;

use object::{Object, ObjectSymbol};

use super::initrd::read;
use super::kernel::Kernel;
use crate::error::MachineError;
use crate::symbols::Image;

/// The largest ELF file of a kernel that is believed.
const MOST: u64 = 4 << 30;
/// Where the kernel's image begins.
const TEXT: &str = "_text";
/// Where to get the right file from.
const REMEDY: &str =
    "it is to be the kernel's vmlinux, with DWARF, as `ci/fetch-linux --series 7.3 --dbg` fetches it";
/// Folders at the top of its tree that EL2's code comes from.
const TOPS: [&str; 2] = ["arch", "include"];

/// Refuses an ELF file at `vmlinux` that is not one of a kernel.
pub(super) fn check(vmlinux: &Path) -> Result<(), MachineError> {
    let elf = read(vmlinux, MOST)?;
    let linked = symbols(&elf).and_then(|symbols| linked_to(&symbols));
    linked.map(|_| ()).map_err(|what| failed(vmlinux, &what))
}

/// The refusal of `vmlinux`.
fn failed(vmlinux: &Path, what: &str) -> MachineError {
    MachineError::Foreign(format!("--vmlinux {}: {what}", vmlinux.display()))
}

/// `image`, which is EL2's code of `kernel` and has at `moved` what is at virtual address 0 of the kernel, with the lines of the ELF
/// file at `vmlinux`.
pub(super) fn with_lines(
    image: Image,
    vmlinux: &Path,
    kernel: &Kernel,
    moved: u64,
) -> Result<Image, MachineError> {
    let linked = linked(kernel, &read(vmlinux, MOST)?).map_err(|what| failed(vmlinux, &what))?;
    // The image is not where it was linked (KASLR), and EL2 has it elsewhere again.
    let moved = kernel.symbol(TEXT)?.wrapping_sub(linked).wrapping_add(moved);
    Ok(image.with_lines(vmlinux, moved, file)?)
}

/// The file at `path` from the top of the kernel's tree on, wherever that was built.
fn file(path: &str) -> String {
    let mut folders: Vec<&str> = Vec::new();
    for folder in path.split('/') {
        match folder {
            ".." if folders.last().is_some_and(|last| *last != "..") => _ = folders.pop(),
            folder => folders.push(folder),
        }
    }
    let top = TOPS.iter().find_map(|top| folders.iter().rposition(|folder| folder == top));
    folders[top.unwrap_or(0)..].join("/")
}

/// Where the ELF file `elf` is linked to; or why it is none of `kernel`.
fn linked(kernel: &Kernel, elf: &[u8]) -> Result<u64, String> {
    let symbols = symbols(elf)?;
    let linked = linked_to(&symbols)?;
    let text = kernel.symbol(TEXT).map_err(|error| error.to_string())?;
    for (name, address) in kernel.el2_symbols_in_full() {
        let wanted = address.wrapping_sub(text).wrapping_add(linked);
        if !symbols.get(name).is_some_and(|there| there.contains(&wanted)) {
            return Err(format!(
                "of another kernel than {}: {name} is not where that has it",
                kernel.release
            ));
        }
    }
    Ok(linked)
}

/// The addresses of the symbols of `elf`, by name.
fn symbols(elf: &[u8]) -> Result<BTreeMap<String, Vec<u64>>, String> {
    let file = object::File::parse(elf).map_err(|error| error.to_string())?;
    let mut symbols: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for symbol in file.symbols().filter(ObjectSymbol::is_definition) {
        if let Ok(name) = symbol.name() {
            symbols.entry(name.to_owned()).or_default().push(symbol.address());
        }
    }
    Ok(symbols)
}

/// Where a kernel with `symbols` is linked to; or what to do where they are not those of a kernel.
fn linked_to(symbols: &BTreeMap<String, Vec<u64>>) -> Result<u64, String> {
    match symbols.get(TEXT).map(Vec::as_slice) {
        Some([linked]) => Ok(*linked),
        _ => Err(format!("this ELF file has no symbols of a kernel (no `{TEXT}`); {REMEDY}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_called_as_in_the_tree() {
        for (path, name) in [
            ("debian/build/a/arch/arm64/kvm/hyp/nvhe/../pgtable.c", "arch/arm64/kvm/hyp/pgtable.c"),
            ("/home/arch/linux/include/asm-generic/a.h", "arch/linux/include/asm-generic/a.h"),
            ("/home/me/linux/arch/arm64/include/asm/a.h", "arch/arm64/include/asm/a.h"),
            ("../../include/linux/a.h", "include/linux/a.h"),
            ("../a.c", "../a.c"),
        ] {
            assert_eq!(file(path), name);
        }
    }

    #[test]
    fn a_file_of_another_kernel_is_refused() {
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let kernel = Kernel::parse(b"release 6.1\nffff800080000000 T _text\nend\n").unwrap();
        let why = linked(&kernel, &program).unwrap_err();
        assert!(why.contains("no symbols of a kernel (no `_text`)") && why.contains("--dbg"), "{why}");
        let early = check(&std::env::current_exe().unwrap()).unwrap_err();
        assert!(early.to_string().ends_with(&why), "{early}");
        assert!(linked(&kernel, b"\x7fELF").is_err());
    }
}
