//! What histories change of the hypervisor, as texts that must be in its sources once.

use anyhow::Result;

use crate::ends::Failure;

/// A text that becomes another one.
#[derive(Debug)]
pub(super) struct Edit {
    /// The file, from the root of the source tree.
    pub(super) file: &'static str,
    pub(super) from: &'static str,
    pub(super) to: &'static str,
}

/// The invalidation of a single page is left out.
pub(super) const NO_INVALIDATION: Edit =
    Edit { file: "hyp/core/src/pgtable/tree.rs", from: "if stale {", to: "if stale && size > PAGE_SIZE {" };
/// How large a block a host's abort maps: single pages, on purpose.
pub(super) const SINGLE_PAGES: Edit = Edit {
    file: "hyp/core/src/ownership/abort.rs",
    from: "faulty::fault_level(level).max(host.largest(region.kind))..=LAST_LEVEL",
    to: "level.max(LAST_LEVEL)..=LAST_LEVEL",
};
/// After that a regression: blocks, which cover a neighbour that is not the host's.
pub(super) const BLOCKS_AGAIN: Edit =
    Edit { file: SINGLE_PAGES.file, from: SINGLE_PAGES.to, to: "level.max(LAST_LEVEL).min(2)..=LAST_LEVEL" };
/// A TCR_EL2 that makes no sense.
pub(super) const NO_BOOT: Edit = Edit {
    file: "hyp/src/stage1.rs",
    from: "tcr_el2: tcr_el2(phys_size())",
    to: "tcr_el2: tcr_el2(phys_size()) | 1 << 32",
};

impl Edit {
    /// `text` of the file with it.
    pub(super) fn apply(&self, text: &str) -> Result<String> {
        let Self { file, from, to } = self;
        match text.matches(from).count() {
            1 => Ok(text.replacen(from, to, 1)),
            count => Err(Failure::different(format!(
                "{file}: the text to edit is there {count} times: bring ci/xtask/src/bisect/edits.rs up to date: {from:?}"
            ))
            .into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// The night would say so hours later.
    #[test]
    fn what_is_edited_is_in_the_sources_once() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for histories in [&[NO_INVALIDATION][..], &[SINGLE_PAGES, BLOCKS_AGAIN], &[NO_BOOT]] {
            let mut text = fs::read_to_string(root.join(histories[0].file)).unwrap();
            for edit in histories {
                let edited = edit.apply(&text).unwrap();
                assert_ne!(edited, text);
                text = edited;
            }
        }
    }

    #[test]
    fn a_text_that_is_gone_or_there_twice_is_told() {
        let edit = Edit { file: "a.rs", from: "old", to: "new" };
        assert_eq!(edit.apply("an old one").unwrap(), "an new one");
        for (text, count) in [("one", "0 times"), ("old, old", "2 times")] {
            let error = edit.apply(text).unwrap_err().to_string();
            assert!(error.starts_with("a.rs: ") && error.contains(count), "{error}");
        }
    }
}
