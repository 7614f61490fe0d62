//! Operations as a program: an ELF file with line tables, so that a debugger shows a trace line by line, steps through it
//! and sets breakpoints on its lines.
//!
//! Each operation is one "instruction" of [`STEP`] bytes from [`BASE`] on. A program counter names the operation that
//! is *about to be performed*, as one names the instruction that is about to run; the last one stands behind all of them.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use gimli::write::{Address, AttributeValue, DwarfUnit, EndianVec, LineProgram, LineString, Sections};
use gimli::{Encoding, Format, LittleEndian};

/// Address of the first operation: above every address that a CPU can translate, and below the bits of a tag.
pub const BASE: u64 = 1 << 52;
/// Bytes of an operation.
pub const STEP: u64 = 4;
/// Size of the header of an ELF file and of one of its sections, in bytes.
const HEADER: usize = 64;
/// Name of the function that all operations make up.
pub const FUNCTION: &str = "trace";

/// The program counter in front of the operation with this index.
#[must_use]
pub const fn address(index: u64) -> u64 {
    BASE + STEP * index
}

/// The index of the operation in front of which `address` stands.
#[must_use]
pub const fn index(address: u64) -> Option<u64> {
    match address.checked_sub(BASE) {
        Some(offset) if offset.is_multiple_of(STEP) => Some(offset / STEP),
        _ => None,
    }
}

/// The ELF file for a program whose operations stand in these lines of `source`, an absolute path; the last line is where it
/// ends.
///
/// # Errors
/// The DWARF sections cannot be made.
pub fn elf(source: &Path, lines: &[u64]) -> Result<Vec<u8>, gimli::write::Error> {
    let sections = dwarf(source, lines)?;
    let mut parts: Vec<(String, Vec<u8>)> = Vec::new();
    sections.for_each(|id, data| {
        if !data.slice().is_empty() {
            parts.push((id.name().to_owned(), data.slice().to_vec()));
        }
        Ok::<(), gimli::write::Error>(())
    })?;
    Ok(file(&parts, STEP * lines.len() as u64))
}

fn dwarf(source: &Path, lines: &[u64]) -> Result<Sections<EndianVec<LittleEndian>>, gimli::write::Error> {
    let text = |bytes: &[u8], or: &str| {
        LineString::String(if bytes.is_empty() { or.into() } else { bytes.to_vec() })
    };
    let folder = text(source.parent().unwrap_or(Path::new("/")).as_os_str().as_bytes(), "/");
    let name = text(source.file_name().unwrap_or_default().as_bytes(), "trace");
    let encoding = Encoding { format: Format::Dwarf32, version: 4, address_size: 8 };
    let mut program =
        LineProgram::new(encoding, gimli::LineEncoding::default(), folder.clone(), None, name.clone(), None);
    let file = program.add_file(name.clone(), program.default_directory(), None);
    program.begin_sequence(Some(Address::Constant(BASE)));
    for (line, index) in lines.iter().zip(0..) {
        let row = program.row();
        (row.file, row.line, row.address_offset) = (file, *line, STEP * index);
        program.generate_row();
    }
    program.end_sequence(STEP * lines.len() as u64);

    let mut unit = DwarfUnit::new(encoding);
    unit.unit.line_program = program;
    let string = |value: LineString| match value {
        LineString::String(bytes) => AttributeValue::String(bytes),
        _ => AttributeValue::String(Vec::new()),
    };
    let range = |entry: &mut gimli::write::DebuggingInformationEntry| {
        entry.set(gimli::DW_AT_low_pc, AttributeValue::Address(Address::Constant(BASE)));
        entry.set(gimli::DW_AT_high_pc, AttributeValue::Udata(STEP * lines.len() as u64));
    };
    let root = unit.unit.root();
    let entry = unit.unit.get_mut(root);
    entry.set(gimli::DW_AT_name, string(name));
    entry.set(gimli::DW_AT_comp_dir, string(folder));
    entry.set(gimli::DW_AT_language, AttributeValue::Language(gimli::DW_LANG_C));
    range(entry);
    let function = unit.unit.add(root, gimli::DW_TAG_subprogram);
    let entry = unit.unit.get_mut(function);
    entry.set(gimli::DW_AT_name, AttributeValue::String(FUNCTION.into()));
    entry.set(gimli::DW_AT_external, AttributeValue::Flag(true));
    range(entry);
    let mut sections = Sections::new(EndianVec::new(LittleEndian));
    unit.write(&mut sections)?;
    Ok(sections)
}

/// An ELF file (System V ABI, 64-bit little-endian, EM_AARCH64, ET_EXEC) with a `.text` of `size` bytes that is not in the
/// file, and `parts`.
fn file(parts: &[(String, Vec<u8>)], size: u64) -> Vec<u8> {
    const SHT_PROGBITS: u32 = 1;
    const SHT_STRTAB: u32 = 3;
    const SHT_NOBITS: u32 = 8;
    const ALLOC_EXEC: u64 = 0b110;
    let mut names = b"\0".to_vec();
    let mut name = |text: &str| {
        let at = names.len() as u32;
        names.extend_from_slice(text.as_bytes());
        names.push(0);
        at
    };
    let mut headers = vec![[0; HEADER], section(name(".text"), SHT_NOBITS, ALLOC_EXEC, BASE, HEADER, size)];
    let mut body = Vec::new();
    for (title, data) in parts {
        let at = HEADER + body.len();
        headers.push(section(name(title), SHT_PROGBITS, 0, 0, at, data.len() as u64));
        body.extend_from_slice(data);
    }
    let title = name(".shstrtab");
    headers.push(section(title, SHT_STRTAB, 0, 0, HEADER + body.len(), names.len() as u64));
    body.extend_from_slice(&names);
    body.resize(body.len().next_multiple_of(8), 0);

    let mut out = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    out.extend([2_u16, 183].iter().flat_map(|field| field.to_le_bytes()));
    out.extend(1_u32.to_le_bytes());
    out.extend([BASE, 0, (HEADER + body.len()) as u64].iter().flat_map(|field| field.to_le_bytes()));
    out.extend(0_u32.to_le_bytes());
    let count = headers.len() as u16;
    out.extend(
        [HEADER as u16, 0, 0, HEADER as u16, count, count - 1].iter().flat_map(|field| field.to_le_bytes()),
    );
    out.extend(body);
    out.extend(headers.concat());
    out
}

fn section(name: u32, kind: u32, flags: u64, address: u64, offset: usize, size: u64) -> [u8; HEADER] {
    let mut out = [0; HEADER];
    out[..4].copy_from_slice(&name.to_le_bytes());
    out[4..8].copy_from_slice(&kind.to_le_bytes());
    for (slot, field) in [flags, address, offset as u64, size, 0, 1, 0].iter().enumerate() {
        let at = 8 + 8 * slot;
        out[at..at + 8].copy_from_slice(&field.to_le_bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_stands_in_front_of_one_operation() {
        assert_eq!(index(address(7)), Some(7));
        assert_eq!(index(address(7) + 1), None);
        assert_eq!(index(0x4000_0000), None);
    }

    #[test]
    fn the_file_has_a_section_table_that_lies_inside_it() {
        let elf = elf(Path::new("/tmp/a.trace"), &[2, 3, 9]).unwrap();
        let number = |at: usize, len: usize| {
            elf[at..at + len].iter().rev().fold(0_usize, |value, byte| value << 8 | usize::from(*byte))
        };
        let (table, count) = (number(40, 8), number(60, 2));
        assert_eq!(&elf[..4], b"\x7fELF");
        assert_eq!(table + count * HEADER, elf.len());
        assert_eq!(number(table + HEADER + 32, 8), 12, "size of .text");
    }
}
