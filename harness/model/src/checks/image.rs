//! EL2's mappings of its own image, where the image's symbols tell what lies where.

use parallax_addr::{HypVa, PhysAddr, Span};

use super::findings::Findings;
use crate::check::Space;
use crate::context::Context;
use crate::finding::Finding;
use crate::rule::Rule;
use crate::run;
use crate::snapshot::Snapshot;

/// Stacks of a CPU: one, and one for exceptions from EL2 itself.
const STACKS: usize = 2;

/// Parts of the hypervisor's image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageParts {
    /// Its constants.
    pub constants: Span<PhysAddr>,
    /// The memory of its stacks, which is mapped at addresses of its own; empty where it is not known.
    pub stacks: Span<PhysAddr>,
    /// How many CPUs there are.
    pub cpus: usize,
}

/// Judges how EL2 has these parts mapped: constants not writable, and nothing mapped right below a stack, so that what
/// grows over its end faults.
#[must_use]
pub fn check_image(parts: &ImageParts, snapshot: &Snapshot, context: &Context) -> Vec<Finding> {
    let mut findings = Findings::new(snapshot, context);
    constants(&mut findings, parts.constants);
    if !parts.stacks.is_empty() {
        guards(&mut findings, parts);
    }
    findings.list
}

fn constants(findings: &mut Findings<'_>, constants: Span<PhysAddr>) {
    for run in findings.snapshot.el2() {
        let Some(leaf) = run.value.leaf().filter(|leaf| leaf.write) else { continue };
        if let Some(part) = leaf.outputs(run.span()).intersect(constants) {
            let at = leaf.inputs(part);
            findings.add(Rule::IsolationEl2Constants, Space::El2, at, "EL2 may write its own constants");
        }
    }
}

/// Stacks as they are mapped, each with its guard: runs of addresses that lead to the memory of stacks.
fn guards(findings: &mut Findings<'_>, parts: &ImageParts) {
    let snapshot = findings.snapshot;
    let mut stacks: Vec<Span<HypVa>> = Vec::new();
    for run in snapshot.el2() {
        let Some(leaf) = run.value.leaf() else { continue };
        let Some(part) = leaf.outputs(run.span()).intersect(parts.stacks) else { continue };
        let at = leaf.inputs(part);
        match stacks.last_mut() {
            Some(last) if last.end() == at.base => last.size += at.size,
            _ => stacks.push(at),
        }
    }
    for stack in &stacks {
        let below = Span::new(HypVa::new(stack.base.get().wrapping_sub(1)), 1);
        if run::find(snapshot.el2(), below.base).is_some() {
            let message = "EL2 has mapped what is right below a stack";
            findings.add(Rule::IsolationEl2Guard, Space::El2, below, message);
        }
    }
    let expected = STACKS * parts.cpus;
    if stacks.len() != expected {
        let found = stacks.len();
        let message =
            format!("of EL2's stacks {found} stand apart, and {STACKS} of each of {} CPUs must", parts.cpus);
        findings.add_of_registers(Rule::IsolationEl2Guard, &message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;

    const PARTS: ImageParts = ImageParts {
        constants: Span::new(PhysAddr::new(IMAGE.base + 0x2_0000), 0x1_0000),
        stacks: Span::new(PhysAddr::new(IMAGE.base + 0x3_8000), 0x8000),
        cpus: 1,
    };
    const STACK: u64 = 0xb000_0000_0000;

    /// A clean state with two stacks of three pages, a page between them.
    fn stacked() -> Snapshot {
        let mut state = clean();
        let image = IMAGE.base.wrapping_sub(IMAGE_VA);
        let data = Span::new(IMAGE_VA + 0x3_0000, 0x1_0000);
        set(el2_mut(&mut state), data, None);
        set(el2_mut(&mut state), Span::new(data.base, 0x8000), Some(el2(image, true, false)));
        for (va, pa) in [(STACK, PARTS.stacks.base.get()), (STACK + 0x4000, PARTS.stacks.base.get() + 0x3000)]
        {
            let offset = pa.wrapping_sub(va);
            set(el2_mut(&mut state), Span::new(va, 0x3000), Some(el2(offset, true, false)));
        }
        state
    }

    fn found(state: &Snapshot) -> Vec<Rule> {
        check_image(&PARTS, state, &context()).iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn nothing_is_found_where_all_is_right() {
        assert_eq!(found(&stacked()), []);
    }

    #[test]
    fn constants_are_not_writable_anywhere() {
        let mut state = stacked();
        let image = IMAGE.base.wrapping_sub(IMAGE_VA);
        set(el2_mut(&mut state), Span::new(IMAGE_VA + 0x2_1000, 0x1000), Some(el2(image, true, false)));
        assert_eq!(found(&state), [Rule::IsolationEl2Constants]);
        let mut state = stacked();
        let alias = Span::new(IMAGE.base + 0x2_1000 + LINEAR, 0x1000);
        set(el2_mut(&mut state), alias, Some(el2(LINEAR.wrapping_neg(), true, false)));
        assert_eq!(found(&state), [Rule::IsolationEl2Constants]);
    }

    #[test]
    fn constants_alone_may_be_known() {
        let parts = ImageParts { stacks: Span::default(), ..PARTS };
        let mut state = clean();
        assert_eq!(check_image(&parts, &state, &context()), []);
        let image = IMAGE.base.wrapping_sub(IMAGE_VA);
        set(el2_mut(&mut state), Span::new(IMAGE_VA + 0x2_1000, 0x1000), Some(el2(image, true, false)));
        let found = check_image(&parts, &state, &context());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].rule, Rule::IsolationEl2Constants);
    }

    #[test]
    fn nothing_is_mapped_right_below_a_stack() {
        let mut state = stacked();
        let other = POOL.base.wrapping_sub(STACK + 0x3000);
        set(el2_mut(&mut state), Span::new(STACK + 0x3000, 0x1000), Some(el2(other, true, false)));
        assert_eq!(found(&state), [Rule::IsolationEl2Guard]);
    }

    #[test]
    fn two_stacks_do_not_touch() {
        let mut state = stacked();
        let offset = (PARTS.stacks.base.get() + 0x6000).wrapping_sub(STACK + 0x3000);
        set(el2_mut(&mut state), Span::new(STACK + 0x3000, 0x1000), Some(el2(offset, true, false)));
        assert_eq!(found(&state), [Rule::IsolationEl2Guard]);
    }
}
