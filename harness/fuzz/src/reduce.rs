//! From a long list of operations that ends in trouble to a short one that ends in the same.

use parallax_machine::{CancellationToken, Machine, MachineError};

use crate::act::{Act, Class};
use crate::round::{AttackedMachine, Trouble, piece_len};
use crate::search::{Search, Trials};

/// Machines that are booted for it, at most.
const TRIALS: usize = 200;

/// Boots the machine anew.
type Boot<'a> = &'a dyn Fn() -> Result<Box<dyn Machine>, MachineError>;

/// Reduces `acts` to what shows `trouble` if `shrink`, and to what came before it otherwise. Also gives whether the
/// list alone shows it, performed one operation at a time. Where the user cancels or QEMU is killed, the list is as short as it is by
/// then, and nobody knows.
///
/// # Errors
/// A machine does not boot.
pub(super) fn reduce(
    acts: Vec<Act>,
    trouble: &Trouble,
    shrink: bool,
    boot: Boot<'_>,
    cancel: &CancellationToken,
) -> Result<(Vec<Act>, Option<bool>), MachineError> {
    let trials = Trials::default();
    let mut attempt =
        |acts: &[Act], one_by_one| trials.attempt(|| shows(acts, one_by_one, &trouble.key, boot, cancel));
    let fixed = |acts: &[Act]| fixed(acts, &trouble.key);
    let mut search = Search { trial: &mut attempt, fixed: &fixed, left: TRIALS };
    let mut acts = acts;
    if shrink {
        acts = search.shrink(acts)?;
    }
    // One at a time the first operation to blame is the last one.
    search.left = search.left.max(1);
    let shown = search.shows(&acts, true)?;
    if let Some(at) = shown {
        acts.truncate(at);
    }
    Ok((acts, trials.unless_ended(shown.is_some())))
}

/// Performs `acts` on a new machine. Gives how many it took until the same trouble, if that came.
fn shows(
    acts: &[Act],
    one_by_one: bool,
    key: &str,
    boot: Boot<'_>,
    cancel: &CancellationToken,
) -> Result<Option<usize>, MachineError> {
    if cancel.is_cancelled() {
        return Err(MachineError::Cancelled);
    }
    let mut machine = boot()?;
    let Ok((mut attacked, at_boot)) = AttackedMachine::new(machine.as_mut()) else { return Ok(None) };
    if at_boot.is_some_and(|trouble| trouble.key == key) {
        return Ok(Some(0));
    }
    let mut rest = acts;
    while !rest.is_empty() {
        if cancel.is_cancelled() {
            return Err(MachineError::Cancelled);
        }
        let (piece, after) = rest.split_at(if one_by_one { 1 } else { piece_len(rest) });
        rest = after;
        attacked.look_closely();
        if let Some(trouble) = attacked.perform(piece)?.trouble {
            return Ok((trouble.key == key).then_some(acts.len() - rest.len()));
        }
    }
    Ok(None)
}

/// Operations from this one on belong together: an unexpected result says nothing once the operations that make
/// one expect it are gone.
fn fixed(acts: &[Act], key: &str) -> usize {
    if key != "result/expected" {
        return acts.len();
    }
    acts.iter().rposition(|act| act.class != Class::Service).map_or(0, |last| last + 1)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::act::number;
    use parallax_abi::mailbox::{Request, Response, kind, op};
    use parallax_addr::PhysAddr;
    use parallax_engine::fake::Fake;
    use parallax_trace::spec::MachineSpec;
    use parallax_vmsa::SparseMem;

    /// Hangs at a read of 0x20 that comes after a write.
    fn hangs(request: &Request, memory: &mut SparseMem) -> Result<Response, MachineError> {
        let done = Response { kind: kind::OK, ..Response::default() };
        match (request.op, request.args[0]) {
            (op::WRITE, _) => memory.write_u64(PhysAddr::new(0x4000_0000), 1),
            (op::READ, 0x20) if memory.pages().any(|(_, page)| page[0] == 1) => {
                return Err(MachineError::Contract("a hang\nof some kind".to_owned()));
            }
            _ => (),
        }
        Ok(done)
    }

    #[test]
    fn what_is_not_needed_goes() {
        let read = |at| Act::load(Class::Accesses, number(at), 8);
        let write = || Act::store(Class::Accesses, number(0x4000_0000), 8, number(1));
        let mut acts: Vec<Act> = (0x1000..0x1064).map(read).collect();
        acts[30] = write();
        acts[50] = write();
        acts[80] = read(0x20);
        let trouble = Trouble {
            at: 81,
            key: "a hang".to_owned(),
            op: "host_read ipa=0x20".to_owned(),
            findings: Vec::new(),
            end: None,
        };
        let spec = MachineSpec::default();
        let boot = || -> Result<Box<dyn Machine>, MachineError> { Ok(Box::new(Fake::new(&spec, hangs))) };
        let ended = CancellationToken::new();
        ended.cancel();
        let (as_found, shown) = reduce(acts.clone(), &trouble, true, &boot, &ended).unwrap();
        assert!(as_found.len() == acts.len() && shown.is_none(), "it is told all the same");
        let boots = Cell::new(0);
        let killed = || {
            boots.set(boots.get() + 1);
            let killed =
                || MachineError::QemuKilled { status: "signal: 9".to_owned(), report: String::new() };
            if boots.get() > 2 { Err(killed()) } else { boot() }
        };
        let (by_then, shown) =
            reduce(acts.clone(), &trouble, true, &killed, &CancellationToken::new()).unwrap();
        assert!(
            shown.is_none() && boots.get() == 3,
            "it is told all the same, and nothing is tried any more"
        );
        assert_eq!(by_then.len(), acts.len() / 2, "one trial left out half of it");
        let (acts, shown) = reduce(acts, &trouble, true, &boot, &CancellationToken::new()).unwrap();
        let texts: Vec<String> = acts.iter().map(|act| act.op.to_string()).collect();
        assert_eq!(shown, Some(true));
        assert_eq!(texts, ["host_write ipa=0x40000000 value=1", "host_read ipa=0x20"]);
    }
}
