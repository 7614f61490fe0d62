//! The device tree that the host got, at the end of the boot. From then on it is the host's own.

use parallax_addr::{PhysAddr, Span};
use parallax_machine::{Machine, Target};
use parallax_model::{Finding, HostTree, Rule, Space, Violation, check_host_tree};
use parallax_vmsa::PhysMem;

use crate::judge::{Judge, Moment, StepView};

/// A larger tree is not read, in bytes.
const LARGEST: u64 = 2 << 20;

/// Where the tree is, by the hypervisor's own account; nothing where it does not say.
pub(crate) struct Tree(Option<Span<PhysAddr>>);

impl Tree {
    /// Of the machine `target`.
    pub(crate) fn new(target: &Target) -> Self {
        let place = target.info.map(|info| Span::new(PhysAddr::new(info.tree_pa), info.tree_size));
        Self(place.filter(|place| !place.is_empty()))
    }
}

/// The tree that the host of `machine`, which has just booted, got; nothing where its hypervisor does not say where that is.
///
/// # Errors
/// It cannot be read, or is malformed: what is wrong.
pub fn host_tree(machine: &dyn Machine) -> Result<Option<HostTree>, String> {
    let Tree(place) = Tree::new(machine.target());
    place.map(|place| read(machine.memory(), place)).transpose()
}

/// The tree at `place` of `memory`.
fn read(memory: &dyn PhysMem, place: Span<PhysAddr>) -> Result<HostTree, String> {
    if place.size > LARGEST {
        return Err(format!("it has {} bytes, more than {LARGEST}", place.size));
    }
    let mut bytes = vec![0; place.size as usize];
    memory.read(place.base, &mut bytes).map_err(|error| error.to_string())?;
    HostTree::read(&bytes)
}

impl Judge for Tree {
    fn boot(&mut self, at: &Moment<'_>) -> Vec<Finding> {
        let Some(place) = self.0 else { return Vec::new() };
        match read(at.memory, place) {
            Ok(tree) => check_host_tree(&tree, at.state, at.context),
            Err(why) => {
                let violation = Violation {
                    rule: Rule::SanityTree,
                    space: Space::Page,
                    span: place.cast(),
                    subject: format!("page {}", at.context.symbols.span(place)),
                    message: format!("the host's device tree cannot be read: {why}"),
                    function: None,
                };
                vec![violation.in_state(at.state, at.context)]
            }
        }
    }

    fn judge(&mut self, _: &StepView<'_>) -> Vec<Finding> {
        Vec::new()
    }
}
