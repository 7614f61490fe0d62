use std::fs;

use super::*;

/// A kernel of `release`, a busybox, and a module, in `folder`.
fn fetched(folder: &Path, release: &str) {
    fs::create_dir_all(folder.join("modules")).unwrap();
    let mut bytes = vec![0; 64];
    bytes[56..60].copy_from_slice(b"ARM\x64");
    bytes.extend(format!("Linux version {release} (a@b)\0").bytes());
    fs::write(folder.join("Image"), bytes).unwrap();
    fs::write(folder.join("busybox"), "").unwrap();
    fs::write(folder.join("modules/virtio_blk.ko"), format!("ELF\0vermagic={release} SMP\0")).unwrap();
}

fn args(words: &[&str]) -> LinuxSpec {
    let value = |key| words.iter().position(|word| *word == key).map(|at| PathBuf::from(words[at + 1]));
    LinuxSpec { kernel: value("--kernel"), modules: value("--modules"), ..LinuxSpec::default() }
}

fn chosen(words: &[&str], linux: &Path) -> Result<Choice, Failure> {
    choose(&args(words), linux, false)
}

#[test]
fn a_name_has_its_own_modules() {
    let folder = tempfile::tempdir().unwrap();
    let linux = folder.path();
    fetched(linux, "6.12.1");
    fetched(&linux.join("7.3"), "7.3.4");
    for (words, place, release) in
        [(vec![], linux.to_owned(), "6.12.1"), (vec!["--kernel", "7.3"], linux.join("7.3"), "7.3.4")]
    {
        let choice = chosen(&words, linux).unwrap();
        assert_eq!((choice.image, choice.busybox), (place.join("Image"), place.join("busybox")));
        assert_eq!(choice.modules[0].release(), Some(release));
        assert!(choice.notes.is_empty());
    }
    let failure = chosen(&["--kernel", "7.4"], linux).unwrap_err();
    assert_eq!(failure.status, Status::Usage);
    assert!(failure.message.contains("which has 7.3; `ci/fetch-linux --series 7.4`"), "{failure}");
    for (name, way) in [("7.4.1", "--series 7.4`"), ("7", "--help`"), ("7.x", "--help`"), ("sid", "--help`")]
    {
        let failure = chosen(&["--kernel", name], linux).unwrap_err();
        assert!(failure.message.contains(way), "{failure}");
    }
}

#[test]
fn modules_of_another_kernel_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let linux = folder.path();
    fetched(linux, "6.12.1");
    fetched(&linux.join("7.3"), "7.3.4");
    let modules = linux.join("modules");
    let failure = chosen(&["--kernel", "7.3", "--modules", modules.to_str().unwrap()], linux).unwrap_err();
    assert_eq!(failure.status, Status::Usage);
    assert!(failure.message.contains("is of Linux 6.12.1, the kernel is 7.3.4"), "{failure}");
}

#[test]
fn a_file_gets_modules_of_its_version_or_none_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let linux = folder.path().join("linux");
    fetched(&linux.join("7.3"), "7.3.4");
    let image = folder.path().join("Image");
    fs::copy(linux.join("7.3/Image"), &image).unwrap();
    let words = ["--kernel", image.to_str().unwrap()];
    let choice = chosen(&words, &linux).unwrap();
    assert_eq!(choice.modules.len(), 1);
    assert!(choice.notes[0].contains("7.3/modules, which are of 7.3.4"), "{:?}", choice.notes);
    fetched(&linux.join("7.3"), "7.3.5");
    let choice = chosen(&words, &linux).unwrap();
    assert!(choice.modules.is_empty());
    assert!(choice.notes[0].starts_with("no modules: there are none of 7.3.4"), "{:?}", choice.notes);
}

#[test]
fn the_file_that_is_missing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let linux = folder.path();
    let told = |words: &[&str]| {
        let failure = chosen(words, linux).unwrap_err();
        (failure.status, failure.message)
    };
    assert!(told(&[]).1.contains("/Image; `ci/setup --linux`"));
    assert_eq!(told(&[]).0, Status::Setup);
    let (status, message) = told(&["--kernel", "./no/Image"]);
    assert_eq!(status, Status::Usage);
    assert_eq!(message, "--kernel ./no/Image: there is no such file");
    assert_eq!(told(&["--kernel", "/etc/hostname"]).0, Status::Usage);
    fetched(linux, "6.12.1");
    fs::remove_file(linux.join("busybox")).unwrap();
    assert!(told(&[]).1.contains("no busybox at "), "{:?}", told(&[]));
    fs::remove_dir_all(linux.join("modules")).unwrap();
    fs::write(linux.join("busybox"), "").unwrap();
    assert!(told(&[]).1.contains("no folder "), "{:?}", told(&[]));
}
