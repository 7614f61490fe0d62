//! Operations of a difference of two goldens: which are other ones, and which only have another line number.

use parallax_model::GoldenLine;

/// An operation and its result, without its line number.
type Performed<'d> = (&'d str, &'d str);

/// The operations that differ between the sides of a unified difference.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Operations<'d> {
    /// Some are the same but for their line numbers.
    pub(super) moved: bool,
    /// Those with another result: the operation, the result that was agreed, and the one now.
    pub(super) results: Vec<(&'d str, &'d str, &'d str)>,
    /// Those that were agreed and are gone.
    pub(super) gone: Vec<Performed<'d>>,
    /// Those that are new.
    pub(super) new: Vec<Performed<'d>>,
}

impl<'d> Operations<'d> {
    /// Those of `diff`.
    pub(super) fn of_diff(diff: &'d str) -> Self {
        let of = |sign| {
            let lines = diff.lines().filter_map(move |line| line.strip_prefix(sign));
            lines.filter_map(performed).collect::<Vec<_>>()
        };
        let (mut gone, mut found) = (of('-'), Self::default());
        // What is the same first: an operation that is there twice may have two results.
        let others: Vec<Performed<'d>> = of('+')
            .into_iter()
            .filter(|new| match gone.iter().position(|old| old == new) {
                Some(at) => {
                    gone.remove(at);
                    found.moved = true;
                    false
                }
                None => true,
            })
            .collect();
        for (op, result) in others {
            match gone.iter().position(|(old, _)| *old == op) {
                Some(at) => found.results.push((op, gone.remove(at).1, result)),
                None => found.new.push((op, result)),
            }
        }
        Self { gone, ..found }
    }
}

/// The operation of a golden's line.
fn performed(line: &str) -> Option<Performed<'_>> {
    let GoldenLine::Operation(text) = GoldenLine::of(line) else { return None };
    let text = text.split_once(": ").map_or(text, |(_, text)| text);
    Some(text.rsplit_once(" -> ").unwrap_or((text, "")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_numbers_do_not_count() {
        let diff = "-3: y -> ok\n-4: z -> ok\n-5: w -> ok\n+4: y -> ok\n+5: z -> EPERM\n+6: cpu=1 v -> ok\n+   page a\n";
        let expected = Operations {
            moved: true,
            results: vec![("z", "ok", "EPERM")],
            gone: vec![("w", "ok")],
            new: vec![("cpu=1 v", "ok")],
        };
        assert_eq!(Operations::of_diff(diff), expected);
    }

    #[test]
    fn one_that_is_there_twice_keeps_the_result_that_it_had() {
        let found = Operations::of_diff("-3: y -> ok\n-4: y -> EPERM\n+4: y -> EPERM\n+5: y -> ok\n");
        assert_eq!(found, Operations { moved: true, ..Operations::default() });
    }
}
