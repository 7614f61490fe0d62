//! Operations that the documents quote stand so in a golden.

use std::fs;
use std::path::Path;

/// Each quoted operation of `page`: its line and what stands below it, up to the end of the block.
fn quoted(page: &str) -> Vec<&str> {
    let blocks = page.split("```text\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.filter(|block| block.contains(" -> ok\n   ")).collect()
}

#[test]
fn what_the_documents_quote_of_goldens_is_there() {
    let root = Path::new("../..");
    let mut goldens = String::new();
    for folder in ["golden/good", "golden/bad"] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            goldens += &fs::read_to_string(entry.unwrap().path()).unwrap();
            goldens.push('\n');
        }
    }
    for page in ["README.md", "docs/goldens.md"] {
        let text = fs::read_to_string(root.join(page)).unwrap();
        let quotes = quoted(&text);
        assert!(!quotes.is_empty(), "{page} quotes nothing");
        for quote in quotes {
            assert!(goldens.contains(quote), "{page} quotes what no golden holds:\n{quote}");
        }
    }
}
