//! What a file is that is to be booted: an arm64 Image, or what else.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// Where an arm64 Image has its magic (Linux, Documentation/arch/arm64/booting).
const MAGIC: (usize, &[u8]) = (56, b"ARM\x64");
/// Where it has the size that it takes in memory.
const IMAGE_SIZE: Range<usize> = 16..24;
/// What a kernel says first of all; its release follows.
const BANNER: &[u8] = b"Linux version ";
/// No release is longer.
const MOST_RELEASE: usize = 64;

/// What else a file may be: magic, its place, what it is, and what to do.
const OTHERS: [(usize, &[u8], &str, &str); 9] = [
    (0, b"\x1f\x8b", "compressed with gzip", "unpack it: gzip -dc FILE >Image"),
    (0, b"\xfd7zXZ\0", "compressed with xz", "unpack it: xz -dc FILE >Image"),
    (0, b"\x28\xb5\x2f\xfd", "compressed with zstd", "unpack it: zstd -dc FILE >Image"),
    (0, b"\x02\x21\x4c\x18", "compressed with lz4", "unpack it: lz4 -dc FILE >Image"),
    (0, b"BZh", "compressed with bzip2", "unpack it: bzip2 -dc FILE >Image"),
    (
        4,
        b"zimg",
        "an EFI zboot image, compressed",
        "build the kernel's target Image, or let ci/fetch-linux unpack one",
    ),
    (0, b"\x7fELF", "an ELF file", "of a kernel's build, take arch/arm64/boot/Image, not vmlinux"),
    (0x202, b"HdrS", "a kernel of x86", "take one of arm64"),
    (0, b"!<arch>\n", "an archive or a Debian package", "let ci/fetch-linux unpack one"),
];

/// What a user is shown of a file that is none: what it is, and the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NoImage(String);

impl std::fmt::Display for NoImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads the Image at `path`; gives its release (`7.3.4+deb13-cloud-arm64`) if it tells one. The machine has `mem` bytes
/// of RAM.
///
/// # Errors
/// It is none, or does not fit into RAM. Nothing is waited for: a FIFO is not opened.
pub(super) fn release(path: &Path, mem: u64) -> Result<Option<String>, NoImage> {
    let shown = path.display();
    let cannot = |error: io::Error| NoImage(format!("the kernel {shown}: {error}"));
    let file = std::fs::metadata(path).map_err(cannot)?;
    let kind = file.file_type();
    if !kind.is_file() {
        let inside = path.join("Image");
        return Err(NoImage(if inside.is_file() {
            format!("the kernel {shown} is a folder; give the file in it: --kernel {}", inside.display())
        } else {
            let what = if kind.is_dir() {
                "a folder"
            } else if kind.is_fifo() {
                "a FIFO"
            } else {
                "a device or a socket"
            };
            format!("the kernel {shown} is {what}; --kernel needs an arm64 Image, a file")
        }));
    }
    if file.len() >= mem {
        let (has, mem) = (file.len() >> 20, mem >> 20);
        return Err(NoImage(format!("the kernel {shown} has {has} MiB, and the machine {mem} (--mem)")));
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)).map_err(cannot)?;
    recognise(&bytes, &shown.to_string())?;
    is_whole(&bytes, &shown.to_string())?;
    Ok(banner(&bytes))
}

/// Whether the file called `name` can hold what its header says. In memory a kernel is larger than its file, by what is 0 in it
/// (image_size, Documentation/arch/arm64/booting); but not twice as large.
fn is_whole(bytes: &[u8], name: &str) -> Result<(), NoImage> {
    let size = bytes.get(IMAGE_SIZE).and_then(|field| field.try_into().ok()).map(u64::from_le_bytes);
    match size {
        Some(size) if bytes.len() as u64 <= size / 2 => Err(NoImage(format!(
            "the kernel {name} is not whole: it has {} bytes, and its header asks for {size}; fetch or copy it again",
            bytes.len()
        ))),
        _ => Ok(()),
    }
}

fn has(bytes: &[u8], at: usize, magic: &[u8]) -> bool {
    bytes.get(at..at + magic.len()) == Some(magic)
}

/// Whether the content of the file called `name` is an arm64 Image.
fn recognise(bytes: &[u8], name: &str) -> Result<(), NoImage> {
    // A zboot image has no arm64 magic, but its own at 4.
    if has(bytes, MAGIC.0, MAGIC.1) {
        return Ok(());
    }
    if bytes.is_empty() {
        return Err(NoImage(format!("the kernel {name} is empty; --kernel needs an arm64 Image")));
    }
    let other = OTHERS.iter().find(|(at, magic, ..)| has(bytes, *at, magic));
    Err(NoImage(match other {
        Some((_, _, what, remedy)) => {
            format!(
                "the kernel {name} is no arm64 Image but {what}; {}",
                remedy.replace("FILE", &shlex::try_quote(name).unwrap_or_default())
            )
        }
        None => format!(
            "the kernel {name} is no arm64 Image: `ARMd` is not at its byte {}; ci/fetch-linux fetches one",
            MAGIC.0
        ),
    }))
}

/// The release in `Linux version RELEASE (...`. The format string of /proc/version has a `%` there.
fn banner(bytes: &[u8]) -> Option<String> {
    let mut rest = bytes;
    while let Some(at) = rest.windows(BANNER.len()).position(|window| window == BANNER) {
        rest = &rest[at + BANNER.len()..];
        let end = rest.iter().take(MOST_RELEASE).position(|byte| !byte.is_ascii_graphic());
        let word = std::str::from_utf8(&rest[..end.unwrap_or(0)]).unwrap_or_default();
        if word.starts_with(|c: char| c.is_ascii_digit()) {
            return Some(word.to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Vec<u8> {
        let mut bytes = vec![0; 64];
        bytes[..2].copy_from_slice(b"MZ");
        bytes[56..60].copy_from_slice(b"ARM\x64");
        bytes
    }

    fn refused(bytes: &[u8]) -> String {
        recognise(bytes, "x y").unwrap_err().to_string()
    }

    #[test]
    fn half_an_image_is_none() {
        let mut bytes = image();
        let mut is = |size: u64| {
            bytes[IMAGE_SIZE].copy_from_slice(&size.to_le_bytes());
            is_whole(&bytes, "x").map_err(|error| error.to_string())
        };
        assert!(is(0).is_ok() && is(100).is_ok());
        assert!(is(128).unwrap_err().contains("it has 64 bytes, and its header asks for 128"));
    }

    #[test]
    fn an_image_is_recognised_and_its_release_read() {
        let mut bytes = image();
        assert_eq!(recognise(&bytes, "x"), Ok(()));
        assert_eq!(banner(&bytes), None);
        bytes.extend(b"\0Linux version %s (%s)\0Linux version 7.3.4+deb13 (a@b) #1\0");
        assert_eq!(banner(&bytes).as_deref(), Some("7.3.4+deb13"));
        assert_eq!(banner(b"Linux version 7.3"), None, "cut off");
    }

    #[test]
    fn what_is_none_is_named_with_the_remedy() {
        assert!(
            refused(b"\x1f\x8b\x08\0").contains("compressed with gzip; unpack it: gzip -dc 'x y' >Image")
        );
        let mut zboot = vec![0; 64];
        zboot[..8].copy_from_slice(b"MZ\0\0zimg");
        assert!(refused(&zboot).contains("zboot"));
        assert!(refused(b"").contains("is empty"));
        assert!(refused(b"Debian\n").contains("`ARMd` is not at its byte 56; ci/fetch-linux"));
        assert!(refused(b"\x7fELF\x02").contains("vmlinux"));
    }

    #[test]
    fn what_is_no_file_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let shown = |path: &Path| release(path, 1 << 20).unwrap_err().to_string();
        assert!(shown(folder.path()).contains("is a folder; --kernel needs"));
        let fifo = folder.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        assert!(shown(&fifo).contains("is a FIFO"));
        assert!(shown(&folder.path().join("none")).contains("none: No such file"));
        std::fs::write(folder.path().join("Image"), image()).unwrap();
        assert!(shown(folder.path()).contains("give the file in it: --kernel "));
        assert_eq!(release(&folder.path().join("Image"), 1 << 20), Ok(None));
        let huge = folder.path().join("huge");
        File::create(&huge).and_then(|file| file.set_len(1 << 40)).unwrap();
        assert!(shown(&huge).contains("has 1048576 MiB, and the machine 1 (--mem)"));
    }
}
