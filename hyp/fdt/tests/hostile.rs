//! Trees that break the format.

#[allow(dead_code, reason = "not every test uses all of it")]
mod support;

use hyp_fdt::{Editor, FdtError};
use support::tree;

proptest::proptest! {
    #[test]
    fn no_tree_makes_it_panic(changes in proptest::collection::vec((0_usize..420, 0_u8..), 1..8)) {
        let mut bytes = tree(420);
        for (at, value) in changes {
            bytes[at] = value;
        }
        let edit = |bytes: &mut [u8]| -> Result<(), FdtError> {
            let mut editor = Editor::new(bytes)?;
            let root = editor.root()?;
            if let Some(smmu) = editor.compatible_child(root, "arm,smmu-v3")? {
                editor.remove(smmu)?;
            }
            if let Some(chosen) = editor.child(root, "chosen")?
                && let Some(module) = editor.compatible_child(chosen, "multiboot,module")?
            {
                editor.copy_property(module, chosen, "bootargs")?;
            }
            let child = editor.add_child(root, "reserved-memory")?;
            editor.add_cells(child, "reg", &[1, 2])
        };
        let _ = edit(&mut bytes);
    }
}
