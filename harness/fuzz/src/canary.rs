//! Memory of the hypervisor's that must keep its contents: its image where nobody may write, and a page that was
//! given to it.

use parallax_addr::PhysAddr;
use parallax_engine::Session;
use parallax_model::{AddressMap, Rule, Space, Span, Violation};
use parallax_vmsa::PhysMem;

use crate::act::physical;
use crate::layout::{CANARY, PAGE};

/// Contents that must not change.
#[derive(Debug)]
pub(super) struct Canary {
    sealed: Vec<(Span<PhysAddr>, Vec<u8>)>,
    page: bool,
}

impl Canary {
    /// Remembers those pages of the image that EL2 itself maps read-only: code and constants.
    pub(super) fn new(session: &Session<'_>) -> Self {
        let snapshot = session.snapshot();
        let image = snapshot.layout.image;
        let mut canary = Self { sealed: Vec::new(), page: false };
        for run in snapshot.el2() {
            let span = run.value.leaf().filter(|leaf| !leaf.write).map(|leaf| leaf.outputs(run.span()));
            if let Some(span) = span.filter(|span| image.contains(span.base)) {
                canary.seal(span, session.machine().memory());
            }
        }
        canary
    }

    fn seal(&mut self, span: Span<PhysAddr>, memory: &dyn PhysMem) {
        let mut bytes = vec![0; span.size as usize];
        if memory.read(span.base, &mut bytes).is_ok() {
            self.sealed.push((span, bytes));
        }
    }

    /// Bytes that are watched.
    pub(super) fn size(&self) -> u64 {
        self.sealed.iter().map(|(span, _)| span.size).sum()
    }

    /// The canary page has been given away: from now on it belongs to what must not change.
    pub(super) fn given(&mut self, memory: &dyn PhysMem) {
        if !std::mem::replace(&mut self.page, true) {
            self.seal(Span::new(PhysAddr::new(physical(CANARY)), PAGE), memory);
        }
    }

    /// What has changed all the same.
    pub(super) fn broken(&self, memory: &dyn PhysMem, symbols: &AddressMap) -> Option<Violation> {
        let changed = |(span, bytes): &&(Span<PhysAddr>, Vec<u8>)| {
            let mut now = vec![0; bytes.len()];
            memory.read(span.base, &mut now).is_err() || now != *bytes
        };
        self.sealed.iter().find(changed).map(|(span, _)| Violation {
            rule: Rule::IsolationContents,
            space: Space::Page,
            span: span.cast(),
            subject: symbols.span(*span),
            message: "memory of the hypervisor that nobody may write has changed".to_owned(),
            function: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use parallax_vmsa::SparseMem;

    use super::*;

    #[test]
    fn a_change_is_seen() {
        let mut memory = SparseMem::new();
        memory.write(PhysAddr::new(physical(CANARY)), &[7; PAGE as usize]);
        let mut canary = Canary { sealed: Vec::new(), page: false };
        canary.given(&memory);
        assert_eq!(canary.broken(&memory, &AddressMap::default()), None);
        memory.write(PhysAddr::new(physical(CANARY) + 0xfff), &[8]);
        assert_eq!(canary.broken(&memory, &AddressMap::default()).unwrap().rule, Rule::IsolationContents);
    }
}
