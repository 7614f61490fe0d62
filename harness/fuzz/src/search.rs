//! A shorter list that still shows the same.

use std::cell::Cell;

use parallax_machine::MachineError;

use crate::end::killed_by;

/// Tries a list, one element at a time or not. Gives how many it took until the same came up, if it did.
pub(super) type Shows<'a, T> = &'a mut dyn FnMut(&[T], bool) -> Result<Option<usize>, MachineError>;

/// Lists of `T`, tried a number of times at most.
pub(super) struct Search<'a, T> {
    /// Tries one.
    pub(super) trial: Shows<'a, T>,
    /// Elements from this one on belong together.
    pub(super) fixed: &'a dyn Fn(&[T]) -> usize,
    /// Trials that are left.
    pub(super) left: usize,
}

/// What a trial came to; nothing where the user cancelled it. So a list that is being made shorter is told as short as it is by then.
pub(super) fn until_cancelled<T>(tried: Result<Option<T>, MachineError>) -> Result<Option<T>, MachineError> {
    match tried {
        Err(MachineError::Cancelled) => Ok(None),
        tried => tried,
    }
}

/// Trials on machines, until something ends them that says nothing of the hypervisor: the user cancels, or QEMU is killed. From then on
/// none comes to anything, so that what was found is told as short as it is by then, and is not lost.
#[derive(Debug, Default)]
pub(super) struct Trials {
    ended: Cell<bool>,
}

impl Trials {
    /// What `trial` comes to.
    ///
    /// # Errors
    /// Those of `trial`, but for the two.
    pub(super) fn attempt<T>(
        &self,
        trial: impl FnOnce() -> Result<Option<T>, MachineError>,
    ) -> Result<Option<T>, MachineError> {
        if self.ended.get() {
            return Ok(None);
        }
        let tried = trial();
        match &tried {
            Err(MachineError::Cancelled) => (),
            Err(error) if error.is_killed() => {
                parallax_engine::note!("{}: what was found is made no shorter", killed_by(error));
            }
            _ => return tried,
        }
        self.ended.set(true);
        Ok(None)
    }

    /// Whether the last trial `shows` it, if that one was made.
    pub(super) fn unless_ended(&self, shows: bool) -> Option<bool> {
        (!self.ended.get()).then_some(shows)
    }
}

impl<T: Clone> Search<'_, T> {
    /// Tries `list`, if there are trials left.
    pub(super) fn shows(&mut self, list: &[T], one_by_one: bool) -> Result<Option<usize>, MachineError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        (self.trial)(list, one_by_one)
    }

    /// Leaves out what is not needed: halves, then quarters, down to single elements.
    pub(super) fn shrink(&mut self, mut list: Vec<T>) -> Result<Vec<T>, MachineError> {
        let Some(at) = self.shows(&list, false)? else { return Ok(list) };
        list.truncate(at);
        let mut size = list.len().div_ceil(2);
        while size != 0 && self.left > 1 {
            let mut start = 0;
            let before = list.len();
            while start < list.len() && self.left > 1 {
                let end = (start + size).min(list.len());
                let kept = (self.fixed)(&list);
                let without: Vec<T> = list
                    .iter()
                    .enumerate()
                    .filter(|(index, _)| !(start..end).contains(index) || *index >= kept)
                    .map(|(_, element)| element.clone())
                    .collect();
                match if without.len() < list.len() { self.shows(&without, false)? } else { None } {
                    Some(at) => {
                        list = without;
                        list.truncate(at);
                    }
                    None => start = end,
                }
            }
            // Single elements are gone through until none of them can go.
            if size > 1 || list.len() == before {
                size /= 2;
            }
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_tried_once_the_user_or_somebody_else_ended_it() {
        let killed = || MachineError::QemuKilled { status: "signal: 9".to_owned(), report: String::new() };
        for error in [MachineError::Cancelled, killed(), MachineError::Boot(Box::new(killed()))] {
            let trials = Trials::default();
            assert_eq!(trials.attempt(|| Ok(Some(1))).unwrap(), Some(1));
            assert_eq!(trials.unless_ended(true), Some(true));
            assert_eq!(trials.attempt::<u8>(|| Err(error)).unwrap(), None);
            assert_eq!(trials.attempt::<u8>(|| panic!("it is over")).unwrap(), None);
            assert_eq!(trials.unless_ended(false), None);
        }
        let hypervisor = || Err(MachineError::SwitchedOff);
        assert!(Trials::default().attempt::<u8>(hypervisor).is_err());
    }
}
