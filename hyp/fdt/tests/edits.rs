//! Edits of a good tree, looked at through another crate's parser.

mod support;

use dtoolkit::fdt::Fdt;
use dtoolkit::{Node as _, Property as _};
use hyp_fdt::{Editor, FdtError};
use support::{text, tree};

#[test]
fn a_property_replaces_anothers_and_the_rest_stays() {
    let mut bytes = tree(1024);
    let mut editor = Editor::new(&mut bytes).unwrap();
    let chosen = editor.child(editor.root().unwrap(), "chosen").unwrap().unwrap();
    let module = editor.compatible_child(chosen, "multiboot,module").unwrap().unwrap();
    editor.copy_property(module, chosen, "bootargs").unwrap();
    assert_eq!(text(&bytes, "/chosen", "bootargs").unwrap(), "console=ttyAMA0 quiet");
    assert_eq!(text(&bytes, "/chosen/module@50", "bootargs").unwrap(), "console=ttyAMA0 quiet");
    assert_eq!(text(&bytes, "/smmu@90", "compatible").unwrap(), "arm,smmu-v3");
}

#[test]
fn what_is_removed_is_gone_and_its_neighbours_stay() {
    let mut bytes = tree(1024);
    let mut editor = Editor::new(&mut bytes).unwrap();
    let root = editor.root().unwrap();
    let chosen = editor.child(root, "chosen").unwrap().unwrap();
    editor.remove_property(chosen, "bootargs").unwrap();
    editor.remove_property(chosen, "bootargs").unwrap();
    let smmu = editor.compatible_child(root, "arm,smmu-v3").unwrap().unwrap();
    editor.remove(smmu).unwrap();
    assert_eq!(editor.compatible_child(root, "arm,smmu-v3").unwrap(), None);
    assert_eq!(text(&bytes, "/chosen", "bootargs"), None);
    assert_eq!(text(&bytes, "/smmu@90", "compatible"), None);
    assert_eq!(text(&bytes, "/chosen/module@50", "compatible").unwrap(), "multiboot,module");
    assert_eq!(text(&bytes, "/", "compatible").unwrap(), "machine");
}

#[test]
fn a_child_comes_with_its_properties() {
    let mut bytes = tree(1024);
    let mut editor = Editor::new(&mut bytes).unwrap();
    let root = editor.root().unwrap();
    let parent = editor.add_child(root, "reserved-memory").unwrap();
    editor.add_cells(parent, "#size-cells", &[2]).unwrap();
    let child = editor.add_child(parent, "hypervisor").unwrap();
    editor.add_cells(child, "no-map", &[]).unwrap();
    editor.add_cells(child, "reg", &[0, 0x4000_0000, 0, 0x20_0000]).unwrap();
    let fdt = Fdt::new(&bytes).unwrap();
    let node = fdt.find_node("/reserved-memory/hypervisor").unwrap();
    assert!(node.property("no-map").is_some());
    let reg = node.property("reg").unwrap();
    assert_eq!(reg.value_as::<[u32; 4]>().unwrap(), [0, 0x4000_0000, 0, 0x20_0000]);
    assert_eq!(text(&bytes, "/smmu@90", "compatible").unwrap(), "arm,smmu-v3");
}

#[test]
fn a_full_tree_is_an_error_and_is_still_a_tree() {
    let used = tree(1024).iter().rposition(|&byte| byte != 0).unwrap() + 2;
    for total in [used, used + 40] {
        let mut bytes = tree(total);
        let mut editor = Editor::new(&mut bytes).unwrap();
        let root = editor.root().unwrap();
        let grown = editor.add_child(root, &"n".repeat(64));
        assert!(matches!(grown, Err(FdtError::Full(_))), "{total}: {grown:?}");
        assert_eq!(text(&bytes, "/smmu@90", "compatible").unwrap(), "arm,smmu-v3");
    }
}
