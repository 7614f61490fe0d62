//! Copies of files and folders. A symbolic link is copied as what it is; what is written is new, whatever the times of the old.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result};

/// Copies the file, link or folder `from` to `to`, whose parents are made.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    }
    one(from, to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}

fn one(from: &Path, to: &Path) -> Result<()> {
    let kind = fs::symlink_metadata(from)?.file_type();
    if kind.is_symlink() {
        symlink(fs::read_link(from)?, to)?;
    } else if kind.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            one(&entry.path(), &to.join(entry.file_name()))?;
        }
    } else {
        fs::copy(from, to)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_copy_has_links_as_links_and_programs_as_programs() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("from/deep")).unwrap();
        fs::write(at("from/deep/program"), "1").unwrap();
        fs::set_permissions(at("from/deep/program"), fs::Permissions::from_mode(0o755)).unwrap();
        symlink("deep/nothing", at("from/link")).unwrap();
        copy(&at("from"), &at("a/b/to")).unwrap();
        assert_eq!(fs::read_link(at("a/b/to/link")).unwrap(), Path::new("deep/nothing"));
        assert_eq!(fs::metadata(at("a/b/to/deep/program")).unwrap().permissions().mode() & 0o777, 0o755);
        let gone = copy(&at("gone"), &at("c")).unwrap_err();
        assert!(format!("{gone:#}").contains("gone to "), "{gone:#}");
    }
}
