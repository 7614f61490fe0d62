//! Targets that are made up: no page is looked at, only how operations ended.

use parallax_engine::side::Page;
use parallax_engine::status::{Failure, Status};
use parallax_model::{ERANGE, Freedoms};
use parallax_trace::Trace;

use super::*;

const EPERM: i64 = -1;
const EBUSY: i64 = -16;

fn ops() -> Vec<Op> {
    let text =
        "machine mem=1G\nhost_share_hyp pfn=0x10000000\nhost_share_hyp pfn=ram\nhost_read ipa=ram => ok\n";
    Trace::parse("a.trace", text).unwrap().ops
}

/// A target that answers so; all names of pages but the first are of one page.
fn target(outcomes: &[Outcome], freedoms: &'static [Freedom]) -> Watched {
    let at = |named| parallax_addr::PhysAddr::new(if named == 0 { 0x1000 } else { 0x4000_0000 });
    let page = |named| Page { named: (named, 0), at: at(named), name: format!("page{named}") };
    let outcomes = std::iter::once(None).chain(outcomes.iter().cloned().map(Some));
    Watched {
        pages: (0..3).map(page).collect(),
        far: vec![true, false, false],
        seen: outcomes.map(|outcome| Seen { outcome, faces: Vec::new(), findings: Vec::new() }).collect(),
        freedoms: Freedoms::new(freedoms),
        failure: None,
    }
}

fn error(code: i64) -> Outcome {
    Outcome::Error(code)
}

const OK: Outcome = Outcome::Ok { value: None };

#[test]
fn a_named_error_is_allowed_and_another_is_a_finding() {
    let ours = target(&[error(EPERM), error(EPERM), OK], &[]);
    let theirs = target(&[error(ERANGE), error(EBUSY), Outcome::Ok { value: Some(7) }], &[Freedom::FarFrame]);
    let rows = rows(&ops(), &[ours, theirs]);
    let second: Vec<&Cell> = rows.iter().map(|row| &row.cells[1]).collect();
    assert_eq!(second[1].freedoms, BTreeSet::from([Freedom::FarFrame]));
    assert!(!second[1].is_finding() && second[2].is_finding() && second[2].freedoms.is_empty());
    assert_eq!(second[2].differences, [("result: EPERM / EBUSY".to_owned(), None)]);
    // The trace asks for no value.
    assert!(second[2].another_result && !second[3].another_result);
    assert_eq!(second[3], &Cell { outcome: Some("ok".to_owned()), ..Cell::default() });
    assert!(rows.iter().all(|row| !row.cells[0].is_finding()));
}

#[test]
fn where_no_freedom_is_taken_every_error_counts() {
    let all = [target(&[error(EPERM)], &[]), target(&[error(ERANGE)], &[])];
    assert!(rows(&ops()[..1], &all)[1].cells[1].is_finding());
}

#[test]
fn a_call_that_is_not_there_parts_its_pages_from_then_on() {
    let none = || Outcome::Unknown(LACKS.to_owned());
    let all = [target(&[error(EPERM), OK, OK], &[]), target(&[error(EPERM), none(), Outcome::Abort], &[])];
    let rows = rows(&ops(), &all);
    let apart: Vec<_> = rows.iter().map(|row| row.cells[1].apart).collect();
    assert_eq!(apart, [None, None, Some("lacks it"), Some("not comparable")]);
    assert!(rows.iter().all(|row| !row.cells[1].is_finding()));
}

#[test]
fn who_does_not_get_to_the_end_is_found_once() {
    let mut ends = target(&[error(EPERM)], &[]);
    ends.failure = Some(Failure { status: Status::Setup, message: "it is gone".to_owned() });
    let rows = rows(&ops(), &[target(&[error(EPERM), OK, OK], &[]), ends]);
    let found: Vec<_> = rows.iter().map(|row| row.cells[1].is_finding()).collect();
    assert_eq!(found, [false, false, true, false]);
    assert_eq!(rows[2].cells[1].findings, ["it ended: it is gone"]);
}
