//! The disks of that Linux, and what is known to be on them.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use sha2::{Digest, Sha256};

const MIB: usize = 1 << 20;

/// Data that the guest finds on its disks and must write without a flaw: different in every word.
#[derive(Clone, Debug)]
pub(super) struct KnownData(Vec<u8>);

impl KnownData {
    /// `mib` MiB of it.
    pub(super) fn new(mib: u16) -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut data = Vec::with_capacity(usize::from(mib) * MIB);
        while data.len() < usize::from(mib) * MIB {
            // xorshift64 (Marsaglia, 2003).
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            data.extend(state.to_le_bytes());
        }
        Self(data)
    }

    /// How many MiB.
    pub(super) fn mib(&self) -> usize {
        self.0.len() / MIB
    }

    /// What `sha256sum` says of it.
    pub(super) fn sha256(&self) -> String {
        Sha256::digest(&self.0).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Where on a disk the guest writes the data again, in MiB: behind a file system that can hold it.
    pub(super) fn behind(&self) -> usize {
        2 * self.mib() + 16
    }

    /// The first of it, which goes over the network: QEMU's user network takes about a second for a MiB.
    pub(super) fn of_network(&self) -> Self {
        Self(self.0[..self.0.len().min(2 * MIB)].to_vec())
    }

    /// Makes a file of the data alone.
    pub(super) fn file(&self, path: &Path) -> io::Result<()> {
        File::create_new(path)?.write_all(&self.0)
    }

    /// Makes a disk image with the data at its beginning and room for what the guest writes.
    pub(super) fn disk(&self, path: &Path) -> io::Result<()> {
        let mut file = File::create_new(path)?;
        file.write_all(&self.0)?;
        file.set_len(((self.behind() + self.mib()) * MIB) as u64)
    }

    /// Whether the file at `path` has the data at `mib`.
    pub(super) fn is_at(&self, path: &Path, mib: usize) -> io::Result<bool> {
        let mut copy = vec![0; self.0.len()];
        match File::open(path)?.read_exact_at(&mut copy, (mib * MIB) as u64) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            read => read.map(|()| copy == self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_sha256sum() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(KnownData(Vec::new()).sha256(), empty);
    }

    #[test]
    fn a_copy_is_recognised() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        let data = KnownData::new(1);
        data.disk(&path).unwrap();
        assert!(data.is_at(&path, 0).unwrap());
        assert!(!data.is_at(&path, data.behind()).unwrap());
        let file = File::options().write(true).open(&path).unwrap();
        file.write_all_at(&data.0, (data.behind() * MIB) as u64).unwrap();
        assert!(data.is_at(&path, data.behind()).unwrap());
        file.set_len(MIB as u64).unwrap();
        assert!(!data.is_at(&path, data.behind()).unwrap());
    }
}
