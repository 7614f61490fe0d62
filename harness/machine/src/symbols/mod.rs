//! Addresses to functions, source lines and instructions, for people.
//!
//! [`Image`] is one ELF file; [`Symbols`] knows both images of a machine and turns any program counter into a line of
//! text. Paths are shown relative to the repository.

mod beginnings;
mod disasm;
mod image;
mod locks;
mod name;

use std::fmt::Write as _;
use std::path::Path;

use parallax_addr::ImageVa;

pub use self::image::{Image, Place, SymbolError};
pub use self::locks::Lock;

/// The images that run on a machine.
pub struct Symbols {
    /// The EL2 hypervisor, by its EL2 virtual addresses.
    pub hyp: Image,
    /// The EL1 test host, by its addresses.
    pub payload: Image,
}

impl Symbols {
    /// Reads the two ELF files.
    ///
    /// # Errors
    /// A file cannot be read or is no AArch64 ELF file.
    pub fn load(hyp: &Path, payload: &Path) -> Result<Self, SymbolError> {
        Ok(Self { hyp: Image::load(hyp)?, payload: Image::load(payload)? })
    }

    /// The image that holds code at `address`.
    #[must_use]
    pub fn image_at(&self, address: ImageVa) -> Option<&Image> {
        [&self.hyp, &self.payload].into_iter().find(|image| image.is_code(address))
    }

    /// `address` with function, offset and source line, calls that were inlined there included:
    /// `0x43000010 parallax_wait+0x10 (hyp/testhost/src/start.rs:31)`.
    #[must_use]
    pub fn describe(&self, address: ImageVa) -> String {
        let mut text = format!("{address:#x}");
        match self.image_at(address).map(|image| image.places(address)) {
            Some(places) if !places.is_empty() => {
                for (index, place) in places.iter().enumerate() {
                    text.push_str(if index == 0 { " " } else { " in " });
                    text.push_str(&place.to_string());
                }
            }
            _ => text.push_str(" (in no image)"),
        }
        text
    }

    /// The instructions around `address`, the one at it marked.
    #[must_use]
    pub fn disassembly(&self, address: ImageVa) -> String {
        self.image_at(address).map_or_else(String::new, |image| disasm::around(image, address))
    }

    /// The instruction at `address`, if it is code of an image.
    #[must_use]
    pub fn instruction(&self, address: ImageVa) -> Option<String> {
        self.image_at(address).and_then(|image| disasm::one(image, address))
    }

    /// `text` with a description under each line that holds the address of code in hexadecimal.
    #[must_use]
    pub fn annotate(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len() * 2);
        for line in text.lines() {
            out.push_str(line);
            out.push('\n');
            for address in hex_numbers(line).filter(|&address| self.image_at(ImageVa::new(address)).is_some())
            {
                let _ = writeln!(out, "        ^ {}", self.describe(ImageVa::new(address)));
            }
        }
        out
    }
}

impl std::fmt::Debug for Symbols {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Symbols").finish_non_exhaustive()
    }
}

/// The numbers written `0x...` in `line`.
fn hex_numbers(line: &str) -> impl Iterator<Item = u64> {
    line.split("0x").skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len());
        u64::from_str_radix(&rest[..end], 16).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_numbers_are_found_anywhere_in_a_line() {
        let line = "ELR 0x0000a00000001234, (0x10)0x, 0xzz pc=0x43000010";
        assert_eq!(hex_numbers(line).collect::<Vec<_>>(), [0xa000_0000_1234, 0x10, 0x4300_0010]);
    }
}
