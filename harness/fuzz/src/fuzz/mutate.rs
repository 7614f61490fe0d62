//! What a machine begins with: a part of what another one did, with something changed.

use parallax_ops::Kind as Argument;
use parallax_trace::Op;

use super::corpus::Entry;
use crate::act::{number, plus};
use crate::random::Random;

/// The beginning of `entry`, of random length, in which about one operation of 50 is left out, done twice, exchanged with the
/// next one, or has another argument. With that nothing is expected of any of them.
pub(super) fn prefix(entry: &Entry, random: &mut Random) -> Vec<Op> {
    let len = 1 + random.below(entry.ops.len().max(1) as u64) as usize;
    let mut ops: Vec<Op> = Vec::with_capacity(len);
    for op in entry.ops.iter().take(len).map(|op| Op { expect: None, ..op.clone() }) {
        match if random.percent(2) { random.below(4) } else { 4 } {
            0 => {}
            1 => ops.extend([op.clone(), op]),
            2 => {
                let before = ops.pop();
                ops.push(op);
                ops.extend(before);
            }
            3 => ops.push(changed(&op, random)),
            _ => ops.push(op),
        }
    }
    ops
}

/// `op` on a page beside its own, or with another number of pages. What says how wide or where a device is stays.
fn changed(op: &Op, random: &mut Random) -> Op {
    let args = op.args.iter().zip(op.row.params).map(|(arg, param)| match param.kind {
        Argument::Frame => plus(arg.clone(), random.below(5).wrapping_sub(2)),
        Argument::Count => number(random.pick(&[0, 1, 2, 3, 512, u64::MAX])),
        _ => arg.clone(),
    });
    Op { args: args.collect(), ..op.clone() }
}

#[cfg(test)]
mod tests {
    use parallax_trace::Trace;

    use super::*;

    #[test]
    fn a_seed_gives_the_same_prefix() {
        let text = "host_share_hyp pfn=ram+0x10\nhost_unshare_hyp pfn=ram+0x10\n".repeat(200);
        let trace = Trace::parse("t", &text).unwrap();
        let entry = Entry { machine: trace.machine, hostile: false, ops: trace.ops };
        let of = |seed| {
            let ops = prefix(&entry, &mut Random::new(seed, 0));
            ops.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }
}
