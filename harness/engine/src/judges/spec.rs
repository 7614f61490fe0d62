//! Whether an operation did what it is specified to do.

use parallax_model::Finding;
use parallax_ops::{Operation, Order, Outcome};
use parallax_spec::Around;
use parallax_trace::{Op, Symbol};

use crate::judge::{Judge, StepView};

impl Spec {
    /// The same of a machine that does more than it is asked for: what operations name is judged, and nothing else.
    pub(crate) fn beside() -> Self {
        Self(parallax_spec::Judge::beside())
    }

    /// What was `performed` at once must have happened in some order, one after the other (linearizability). Nothing is wrong if one
    /// order explains how all of them ended and what they left; otherwise it is told what is wrong if they had happened as they stand.
    fn in_some_order(&mut self, around: Around<'_>, performed: &[(&Operation, &Outcome)]) -> Vec<Finding> {
        let mut first = None;
        for order in orders(performed.len()) {
            let mut judge = self.0.clone();
            let found = judge.judge(around, order.iter().map(|index| performed[*index]));
            if found.is_empty() {
                self.0 = judge;
                return found;
            }
            first.get_or_insert((judge, found));
        }
        let Some((judge, found)) = first else { return Vec::new() };
        self.0 = judge;
        found
    }
}

/// Whether `op` is a hypercall by a name that only its hypervisor knows.
fn names_a_call(op: &Op) -> bool {
    let base = op.arg("id").and_then(|id| id.base.as_ref());
    base.is_some_and(|base| matches!(base.symbol, Symbol::Call(_)))
}

/// All orders of `count` things, that in which they stand first.
fn orders(count: usize) -> Vec<Vec<usize>> {
    let longer = |order: &Vec<usize>, next: usize| {
        let places = (0..=order.len()).rev();
        places.map(|place| [&order[..place], &[next], &order[place..]].concat()).collect::<Vec<_>>()
    };
    (0..count)
        .fold(vec![Vec::new()], |orders, next| orders.iter().flat_map(|order| longer(order, next)).collect())
}

/// Holds every step against the specification.
#[derive(Default)]
pub(crate) struct Spec(parallax_spec::Judge);

impl Judge for Spec {
    fn judge(&mut self, step: &StepView<'_>) -> Vec<Finding> {
        let (before, after) = (step.before, step.after.state);
        let around = Around { before, after, context: step.after.context, memory: step.after.memory };
        // What a hypervisor has for itself is specified nowhere, nor what becomes of pages by it. Of one that keeps no page states
        // nothing is known.
        if before.layout.described.is_empty() || step.performed.iter().any(|one| names_a_call(one.op)) {
            return Vec::new();
        }
        let performed: Vec<_> =
            step.performed.iter().map(|one| (one.operation, &one.answer.outcome)).collect();
        match step.order {
            Order::InTurn | Order::Together => self.0.judge(around, performed.into_iter()),
            Order::AtOnce => self.in_some_order(around, &performed),
        }
    }

    fn finds_again(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_comes_once() {
        assert_eq!(orders(1), [[0]]);
        assert_eq!(orders(2), [[0, 1], [1, 0]]);
        let mut of_three = orders(3);
        assert_eq!(of_three[0], [0, 1, 2]);
        of_three.sort();
        of_three.dedup();
        assert_eq!(of_three.len(), 6);
    }
}
