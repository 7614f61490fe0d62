//! Memory of the hypervisor's that must keep its contents: its image where nobody may write, and a page that was
//! given to it.

use parallax_addr::{Ipa, PhysAddr};
use parallax_model::{AddressMap, Finding, Rule, Space, Span, Violation};
use parallax_ops::Call;
use parallax_vmsa::PhysMem;

use crate::judge::{Judge, Moment, Performed, StepView};

/// Contents that must not change.
#[derive(Debug)]
pub struct Sentinel {
    sealed: Vec<(Span<PhysAddr>, Vec<u8>)>,
    page: Span<Ipa>,
    given: bool,
}

impl Sentinel {
    /// Watches the image from the end of the boot on, and the memory `page` from when an operation that must succeed has
    /// given it to the hypervisor. Nothing may take it back.
    #[must_use]
    pub const fn new(page: Span<Ipa>) -> Self {
        Self { sealed: Vec::new(), page, given: false }
    }

    fn seal(&mut self, span: Span<PhysAddr>, memory: &dyn PhysMem) {
        let mut bytes = vec![0; span.size as usize];
        if memory.read(span.base, &mut bytes).is_ok() {
            self.sealed.push((span, bytes));
        }
    }

    /// Whether `one` gives the page away.
    fn is_given(&self, one: &Performed<'_>) -> bool {
        let donated = matches!(one.operation.call(), Some(Call::HostDonateHyp { .. }));
        donated && one.op.expect.is_some() && one.operation.footprint().pages == Some(self.page)
    }

    /// What has changed all the same.
    fn broken(&self, memory: &dyn PhysMem, symbols: &AddressMap) -> Option<Violation> {
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

impl Judge for Sentinel {
    /// Remembers those pages of the image that EL2 itself maps read-only: code and constants.
    fn boot(&mut self, at: &Moment<'_>) -> Vec<Finding> {
        let image = at.state.layout.image;
        for run in at.state.el2() {
            let span = run.value.leaf().filter(|leaf| !leaf.write).map(|leaf| leaf.outputs(run.span()));
            if let Some(span) = span.filter(|span| image.contains(span.base)) {
                self.seal(span, at.memory);
            }
        }
        Vec::new()
    }

    fn judge(&mut self, step: &StepView<'_>) -> Vec<Finding> {
        let Moment { state, context, memory, .. } = step.after;
        if !self.given && step.performed.iter().any(|one| self.is_given(one)) {
            self.given = true;
            self.seal(self.page.cast(), memory);
        }
        let broken = self.broken(memory, &context.symbols);
        broken.map(|violation| violation.in_state(state, context)).into_iter().collect()
    }

    fn watched(&self) -> u64 {
        self.sealed.iter().map(|(span, _)| span.size).sum()
    }
}

#[cfg(test)]
mod tests {
    use parallax_addr::PAGE_SIZE;
    use parallax_ops::Answer;
    use parallax_trace::Trace;
    use parallax_vmsa::SparseMem;

    use super::*;

    const PAGE: Span<Ipa> = Span::new(Ipa::new(0x44f0_0000), PAGE_SIZE);

    #[test]
    fn a_change_is_seen() {
        let mut memory = SparseMem::new();
        let page: Span<PhysAddr> = PAGE.cast();
        memory.write(page.base, &[7; PAGE_SIZE as usize]);
        let mut sentinel = Sentinel::new(PAGE);
        sentinel.seal(page, &memory);
        assert_eq!(sentinel.broken(&memory, &AddressMap::default()), None);
        assert_eq!(sentinel.watched(), 0x1000);
        memory.write(page.base.wrapping_add(0xfff), &[8]);
        assert_eq!(sentinel.broken(&memory, &AddressMap::default()).unwrap().rule, Rule::IsolationContents);
    }

    #[test]
    fn only_what_must_succeed_gives_the_page() {
        let sentinel = Sentinel::new(PAGE);
        let gives = |text: &str| {
            let op = &Trace::parse("t", text).unwrap().ops[0];
            let operation = &op.operation(&AddressMap::default()).unwrap();
            let answer = &Answer::of(operation, &parallax_abi::mailbox::Response::default());
            sentinel.is_given(&Performed { op, operation, answer })
        };
        assert!(gives("host_donate_hyp pfn=0x44f00 => ok"));
        assert!(!gives("host_donate_hyp pfn=0x44f00"), "whatever comes of it");
        assert!(!gives("host_donate_hyp pfn=0x44f01 => ok"), "another page");
        assert!(!gives("hyp_donate_host pfn=0x44f00 => ok"), "the other way");
    }
}
