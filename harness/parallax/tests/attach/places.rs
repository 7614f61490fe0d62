//! Addresses and files that somebody names: an SMMU's, an input address, the file behind memory.

use std::fs;

use parallax_addr::PhysAddr;
use parallax_vmsa::PhysMem;

use super::{asked, attach, machine, ready, text};

#[test]
fn an_smmu_is_not_believed() {
    let (qemu, _ram) = machine();
    ready(&qemu);
    let socket = qemu.gdb_socket().unwrap();
    let look = |at: &str| attach(&["--gdb", socket.to_str().unwrap(), "--smmu", at]);
    // A serial line, a distributor, RAM and flash with what is there, and an address that nothing has.
    for at in
        ["mmio:uart", "0x8000000", "0x40000000", "0x0", "0x9030000", "0x7fffffff000", "0xfffffffffffff000"]
    {
        let output = look(at);
        let said = text(&output.stderr);
        assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(2), ""), "{at}: {said}");
        assert!(said.contains("no SMMUv3 is at 0x") && said.contains("mmio:smmu"), "{at}: {said}");
        assert!(asked(&qemu).running, "{at}");
    }
    let odd = look("0x1234");
    assert_eq!(odd.status.code(), Some(2));
    assert!(text(&odd.stderr).contains("begin with a page"), "{odd:?}");
    assert_eq!(look("mmio:smmu").status.code(), Some(0));
}

#[test]
fn an_address_beyond_every_table_is_said() {
    let (qemu, _ram) = machine();
    ready(&qemu);
    let socket = qemu.gdb_socket().unwrap();
    let output =
        attach(&["--gdb", socket.to_str().unwrap(), "--smmu", super::SMMU, "--at", "0xffff000000000000"]);
    let text = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for lane in ["cpu  ", "el2  ", "smmu "] {
        let said = format!("{lane}0xffff000000000000 is not translated: the table at 0x");
        assert_eq!(text.lines().filter(|line| line.starts_with(&said)).count(), 1, "{lane}: {text}");
    }
    assert!(
        text.lines().all(|line| line.contains("is not translated") || line.starts_with("ste  ")),
        "{text}"
    );
}

#[test]
fn a_file_that_is_not_the_memory_is_said() {
    let (qemu, ram) = machine();
    ready(&qemu);
    let socket = qemu.gdb_socket().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let copied = folder.path().join("ram");
    // What the monitor knows of it.
    let pieces = asked(&qemu).ram;
    let size: u64 = pieces.iter().map(|piece| piece.span.size).sum();
    let look = |ram: &str| attach(&["--gdb", socket.to_str().unwrap(), "--ram", ram]);
    let path = copied.to_str().unwrap();
    let plain = text(&attach(&["--gdb", socket.to_str().unwrap()]).stdout);
    // Nothing changes any more.
    let mut bytes = vec![0; usize::try_from(size).unwrap()];
    ram.read(PhysAddr::new(0x4000_0000), &mut bytes).unwrap();
    let write = |size: usize| fs::write(&copied, &bytes[..size]).unwrap();
    write(bytes.len());
    let whole = look(path);
    assert_eq!((text(&whole.stdout), text(&whole.stderr).as_str()), (plain.clone(), ""));
    // It begins elsewhere: nothing that is read is in it, or other bytes are.
    let beyond = look(&format!("{path}@0x4000000000"));
    let said = text(&beyond.stderr);
    assert_eq!((beyond.status.code(), text(&beyond.stdout)), (Some(0), plain.clone()), "{said}");
    assert!(said.starts_with("--ram: ") && said.contains("came by the gdbstub"), "{said}");
    let other = look(&format!("{path}@0x40001000"));
    assert_eq!(other.status.code(), Some(125), "{}", text(&other.stdout));
    assert!(text(&other.stderr).contains("holds other bytes"), "{other:?}");
    // It is too short.
    write(0x1000);
    let short = look(path);
    assert_eq!((short.status.code(), text(&short.stdout)), (Some(0), plain));
    assert!(text(&short.stderr).contains("is it too short"), "{short:?}");
    for size in [0, 0x1800] {
        fs::write(&copied, vec![0; size]).unwrap();
        let none = look(path);
        assert_eq!(none.status.code(), Some(125), "{size}");
        assert!(text(&none.stderr).contains("are no whole pages"), "{none:?}");
        assert!(asked(&qemu).running, "{size}");
    }
}
