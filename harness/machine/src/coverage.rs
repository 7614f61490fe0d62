//! Which instructions of the hypervisor ran, and which of its branches were taken (`parallax_abi::coverage`).
//!
//! The plugin maps the file, this side reads it: both see the same pages of the page cache, and bits are only ever
//! set, so what is read at a stop is all that ran until then.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use parallax_abi::coverage::{BRANCHES, bit, file_size};
use parallax_addr::{HypVa, ImageVa};

use crate::unlinked::UnlinkedFile;

/// A file that a plugin marks instructions in.
#[derive(Debug)]
pub struct Coverage {
    file: File,
    image: (ImageVa, ImageVa),
}

impl Coverage {
    /// Makes one for the image with the virtual addresses `image` (the first, and the first behind it), in a new file
    /// in memory if there is a file system for it, else in `dir`. It is to be held until the plugin has opened it.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn create(dir: &Path, image: (ImageVa, ImageVa)) -> io::Result<(Self, UnlinkedFile)> {
        let size = file_size(image.1.get().saturating_sub(image.0.get()));
        let file = UnlinkedFile::create(dir, size + BRANCHES / 8)?;
        Ok((Self { file: file.as_file().try_clone()?, image }, file))
    }

    /// What ran until now.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn executed(&self) -> io::Result<Executed> {
        let size = file_size(self.image.1.get().saturating_sub(self.image.0.get()));
        let mut bits = vec![0; (size + BRANCHES / 8) as usize];
        self.file.read_exact_at(&mut bits, 0)?;
        let branches = bits.split_off(size as usize);
        Ok(Executed { first: self.image.0.get(), bits, branches })
    }
}

/// The instructions of an image that ran, and the branches that were taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executed {
    first: u64,
    bits: Vec<u8>,
    branches: Vec<u8>,
}

impl Executed {
    /// Those of an image that begins at `first`, with a bit for each instruction and one for each branch.
    #[must_use]
    pub const fn new(first: HypVa, bits: Vec<u8>, branches: Vec<u8>) -> Self {
        Self { first: first.get(), bits, branches }
    }

    /// A bit for each instruction from the image's first one on, from the lowest bit of the first byte up.
    #[must_use]
    pub fn bits(&self) -> &[u8] {
        &self.bits
    }

    /// A bit for each branch that was taken, by a hash of where it is and where it goes: two may have the same.
    #[must_use]
    pub fn branches(&self) -> &[u8] {
        &self.branches
    }

    /// Whether the instruction at `pc` did.
    #[must_use]
    pub fn contains(&self, pc: HypVa) -> bool {
        let Some(offset) = pc.get().checked_sub(self.first) else { return false };
        let (byte, mask) = bit(offset);
        usize::try_from(byte).ok().and_then(|byte| self.bits.get(byte)).is_some_and(|byte| byte & mask != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_plugin_marks_is_what_ran() {
        let dir = tempfile::tempdir().unwrap();
        let (coverage, file) =
            Coverage::create(dir.path(), (ImageVa::new(0x1000), ImageVa::new(0x1104))).unwrap();
        // 0x104 bytes are 65 instructions, in nine bytes.
        assert_eq!(file.as_file().metadata().unwrap().len(), 9 + BRANCHES / 8);
        file.as_file().write_all_at(&[0b10], 0).unwrap();
        file.as_file().write_all_at(&[1, 0b100], 8).unwrap();
        let executed = coverage.executed().unwrap();
        let ran: Vec<u64> =
            (0xff0..0x1200).step_by(4).filter(|pc| executed.contains(HypVa::new(*pc))).collect();
        assert_eq!(ran, [0x1004, 0x1100]);
        assert_eq!((executed.bits().len(), executed.branches().len() as u64), (9, BRANCHES / 8));
        assert_eq!(executed.branches()[0], 0b100);
    }
}
