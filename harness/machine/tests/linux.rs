//! An unmodified Linux on the real hypervisor under the real QEMU, booted as any other machine.

use std::fs;
use std::path::Path;
use std::time::Duration;

use parallax_machine::toolchain::{Variant, build};
use parallax_machine::{Backend, CancellationToken, LinuxBackend, LinuxConfig};
use parallax_ops::{Batch, CpuId, Operation, Outcome};
use parallax_trace::spec::MachineSpec;

/// Boots the kernel of `ci/fetch-linux`, with an initramfs that is none: the hypervisor has booted long before it is read.
#[test]
#[ignore = "needs a kernel: ci/fetch-linux"]
fn a_linux_boots_as_a_machine_and_has_no_test_host() {
    let root = Path::new("../..").canonicalize().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| {
        let path = folder.path().join(name);
        fs::write(&path, vec![0; 1 << 20]).unwrap();
        path
    };
    let cancel = CancellationToken::new();
    let linux = LinuxBackend {
        config: LinuxConfig {
            kernel: root.join("target/linux/Image"),
            initrd: file("initrd"),
            append: "console=ttyAMA0".to_owned(),
            nvme: file("nvme"),
            virtio_blk: file("virtio"),
            net: (file("net-in"), file("net-out")),
            edu: false,
            bare: false,
            pagewatch: None,
        },
        images: build(&root, Variant::Normal, &cancel).unwrap_or_else(|error| panic!("{error}")),
        revision: "test".to_owned(),
        limit: Duration::from_secs(120),
        cancel,
    };
    let spec = MachineSpec { mem_bytes: 1 << 30, devices: Vec::new(), ..MachineSpec::default() };
    let mut machine = linux.boot(&spec).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(machine.target().description.config, spec);
    assert!(machine.target().info_or_zero().pool_size != 0, "the hypervisor has booted");
    assert!(machine.running().is_some() && machine.debug().is_none() && machine.journal().is_none());
    let answers = machine.perform(&Batch::one(CpuId::new(0), Operation::Nop)).unwrap();
    assert_eq!(answers[0].outcome, Outcome::Ok { value: None });
    let registers = machine.registers().unwrap();
    assert!(registers.smmu.is_some());
}
