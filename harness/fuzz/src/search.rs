//! A shorter list that still shows the same.

use parallax_machine::MachineError;

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
