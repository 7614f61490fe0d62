//! What helps to look at a machine that somebody else started: the file behind its memory, names for addresses.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use object::{Object, ObjectSymbol};
use parallax_addr::{PAGE_SIZE, PhysAddr};
use parallax_trace::spec::RAM_BASE;

/// The largest file with symbols that is read.
const MOST: u64 = 1 << 30;

/// The file of QEMU's `-object memory-backend-file,share=on`, and where its memory begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RamFile {
    /// The file.
    pub path: PathBuf,
    /// The address of its first byte.
    pub base: PhysAddr,
}

/// `FILE`, or `FILE@ADDRESS`.
impl FromStr for RamFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number =
            |text: &str| text.strip_prefix("0x").and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let (path, base) = match text.rsplit_once('@') {
            Some((path, at)) => match number(at) {
                Some(base) if base.is_multiple_of(PAGE_SIZE) => (path, PhysAddr::new(base)),
                _ => return Err(format!("`{at}`: the address of a page, 0x40000000 on the board `virt`")),
            },
            None => (text, RAM_BASE),
        };
        if path.is_empty() {
            Err("a file, or FILE@ADDRESS".to_owned())
        } else {
            Ok(Self { path: path.into(), base })
        }
    }
}

/// Such a file, open to be read.
#[derive(Debug)]
pub(super) struct Ram {
    file: File,
    base: PhysAddr,
    size: u64,
}

impl Ram {
    pub(super) fn open(ram: &RamFile) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("{}: {error}", ram.path.display());
        // A pipe would be waited for.
        if !std::fs::metadata(&ram.path).map_err(failed)?.is_file() {
            return Err(format!("{}: no regular file, as QEMU's memory-backend-file is", ram.path.display()));
        }
        let file = File::open(&ram.path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        if size == 0 || !size.is_multiple_of(PAGE_SIZE) {
            return Err(format!(
                "{}: {size:#x} bytes are no whole pages, as the memory in QEMU's memory-backend-file is",
                ram.path.display()
            ));
        }
        Ok(Self { file, base: ram.base, size })
    }

    /// The page at `pa`; nothing if it is not in the file.
    pub(super) fn page(&self, pa: PhysAddr) -> Option<Box<[u8]>> {
        let at = pa.offset_from(self.base).filter(|at| at.saturating_add(PAGE_SIZE) <= self.size)?;
        let mut bytes = vec![0; PAGE_SIZE as usize];
        self.file.read_exact_at(&mut bytes, at).ok()?;
        Some(bytes.into_boxed_slice())
    }
}

/// Names of virtual addresses, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(Vec<(u64, String)>);

impl Names {
    /// Those in the file at `path`: an ELF file, or lines `ADDRESS TYPE NAME` as System.map and /proc/kallsyms have them. What is at
    /// virtual address 0 there is at `moved` here.
    ///
    /// # Errors
    /// It cannot be read, or has none.
    pub fn read(path: &Path, moved: u64) -> Result<Self, String> {
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let size = std::fs::metadata(path).map_err(|error| failed(&error))?.len();
        if size > MOST {
            return Err(failed(&format_args!("larger than {} MiB", MOST >> 20)));
        }
        let bytes = std::fs::read(path).map_err(|error| failed(&error))?;
        let names = Self::of(&bytes, moved).map_err(|error| failed(&error))?;
        if names.0.is_empty() {
            return Err(failed(&"no symbols: an ELF file with a symbol table, or lines `ADDRESS TYPE NAME`"));
        }
        Ok(names)
    }

    fn of(bytes: &[u8], moved: u64) -> Result<Self, String> {
        let mut names: Vec<(u64, String)> = if bytes.starts_with(b"\x7fELF") {
            let file = object::File::parse(bytes).map_err(|error| error.to_string())?;
            let symbols = file.symbols().filter(ObjectSymbol::is_definition);
            symbols.filter_map(|one| Some((one.address(), one.name().ok()?.to_owned()))).collect()
        } else {
            let text = String::from_utf8_lossy(bytes);
            let line = |line: &str| {
                let [address, kind, name] = line.split_whitespace().take(3).collect::<Vec<_>>()[..] else {
                    return None;
                };
                let address = u64::from_str_radix(address, 16).ok().filter(|_| kind.len() == 1)?;
                Some((address, name.to_owned()))
            };
            text.lines().filter_map(line).collect()
        };
        // Marks of the assembler (`$x`, `$d`) name nothing.
        names.retain(|(address, name)| *address != 0 && !name.is_empty() && !name.starts_with('$'));
        names.iter_mut().for_each(|(address, _)| *address = address.wrapping_add(moved));
        names.sort();
        names.dedup_by_key(|(address, _)| *address);
        Ok(Self(names))
    }

    /// The names of what begins in `from..to`, the first and how many more; none if nothing does.
    #[must_use]
    pub fn within(&self, from: u64, to: u64) -> Option<(&str, usize)> {
        let first = self.0.partition_point(|(address, _)| *address < from);
        let end = self.0.partition_point(|(address, _)| *address < to);
        let (_, name) = self.0.get(first).filter(|_| first < end)?;
        Some((name, end - first - 1))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_file_is_read_where_its_memory_is() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&[1; 0x1000]).unwrap();
        file.write_all(&[2; 0x1000]).unwrap();
        let path = file.path().display().to_string();
        let at: RamFile = format!("{path}@0x80000000").parse().unwrap();
        let ram = Ram::open(&at).unwrap();
        let page = |pa| ram.page(PhysAddr::new(pa)).map(|page| page[0]);
        assert_eq!((page(0x8000_0000), page(0x8000_1000)), (Some(1), Some(2)));
        assert_eq!((page(0x8000_2000), page(0x7fff_f000), page(!0xfff)), (None, None, None));
        assert_eq!(path.parse::<RamFile>().unwrap().base, RAM_BASE);
        for size in [0, 0x1001, 0xfff] {
            file.as_file().set_len(size).unwrap();
            assert!(Ram::open(&at).unwrap_err().contains("no whole pages"), "{size:#x}");
        }
        for bad in ["", "a@", "a@0x1", "a@x", "@0x1000"] {
            assert!(bad.parse::<RamFile>().is_err(), "{bad}");
        }
    }

    #[test]
    fn names_come_from_both_kinds_of_files() {
        let text = b"0000000000001000 T first\n0000000000001000 t again\n0000000000001008 t $x\nffff t\n\
            0000000000001800 D third [module]\n0000000000000000 A absolute\n";
        let names = Names::of(text, 0x10_0000).unwrap();
        assert_eq!(names.within(0x10_1000, 0x10_2000), Some(("again", 1)));
        assert_eq!(names.within(0x10_1001, 0x10_2000), Some(("third", 0)));
        assert_eq!((names.within(0x10_1801, u64::MAX), names.within(0x10_1000, 0x10_1000)), (None, None));
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(!Names::of(&program, 0).unwrap().0.is_empty());
        assert!(Names::of(b"\x7fELF", 0).is_err());
        let empty = tempfile::NamedTempFile::new().unwrap();
        assert!(Names::read(empty.path(), 0).unwrap_err().contains("no symbols"));
    }
}
