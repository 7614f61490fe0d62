//! A review without a terminal.

use std::path::Path;

use super::*;
use crate::golden::{Place, save};

const OLD: &str = "2: host_write ipa=a -> ok\n3: host_donate_hyp pfn=a -> ok\n   smmu a\n4: nop -> ok\n";

/// A project with an item for each name under golden/, whose result is `new`.
pub(in crate::cmd::review) fn items(root: &Path, names: &[(&str, &str)]) -> Vec<Item> {
    names
        .iter()
        .map(|(name, new)| {
            let place = Place::of(&root.join("traces").join(name));
            save(&place, &place.golden, OLD).unwrap();
            save(&place, &place.pending(), new).unwrap();
            Item::load(root, &place.pending()).unwrap()
        })
        .collect()
}

fn app(names: &[(&str, &str)]) -> App {
    let root = tempfile::tempdir().unwrap();
    App::new(items(root.path(), names))
}

const NEW: &str = "2: host_write ipa=a -> ok\n3: host_donate_hyp pfn=a -> ok\n4: nop -> ok\n";
const FOUND: &str = "2: host_write ipa=a -> ok\n   ! sync/extra smmu a\n4: nop -> ok\n";
const ACCEPT: Action = Action::Accept { even_with_findings: false };

#[test]
fn each_decision_leads_on_and_the_last_one_to_the_summary() {
    let mut app = app(&[("good/a.trace", NEW), ("good/b.trace", NEW), ("good/c.trace", NEW)]);
    for action in [ACCEPT, Action::Next, Action::Reject] {
        assert_eq!(app.screen, Screen::Result);
        assert_eq!(app.act(action), Effect::None);
    }
    assert_eq!(app.decisions, [Some(Decision::Accept), None, Some(Decision::Reject)]);
    assert_eq!((app.screen.clone(), app.counts()), (Screen::Summary, (1, 1)));
    assert_eq!(app.act(Action::Finish), Effect::Write);
}

#[test]
fn every_decision_can_be_taken_back_until_the_end() {
    let mut app = app(&[("good/a.trace", NEW), ("good/b.trace", NEW)]);
    app.act(ACCEPT);
    app.act(Action::Reject);
    app.act(Action::Undo);
    assert_eq!((app.at, &app.screen), (1, &Screen::Result));
    app.act(Action::Undo);
    assert_eq!(app.decisions, [None, None]);
    assert_eq!(app.at, 0);
    app.act(Action::Undo);
    assert_eq!(app.message, "nothing to take back");
    assert_eq!(app.act(Action::Abandon), Effect::Leave);
}

#[test]
fn findings_are_accepted_only_with_the_other_key() {
    let mut app = app(&[("good/a.trace", FOUND), ("bad/b.trace", FOUND)]);
    app.act(ACCEPT);
    assert_eq!((app.at, app.decisions[0]), (0, None));
    assert!(app.message.contains("1 findings"), "{}", app.message);
    app.act(Action::Accept { even_with_findings: true });
    app.act(ACCEPT);
    assert_eq!(app.counts(), (2, 0), "under bad/ they are wanted");
}

#[test]
fn the_operation_that_differs_is_explained() {
    let mut app = app(&[("good/a.trace", NEW)]);
    assert_eq!(app.act(Action::Explain), Effect::Explain(3));
    app.screen = Screen::Explanation("why".to_owned(), 0);
    app.act(Action::Scroll(2));
    assert_eq!(app.screen, Screen::Explanation("why".to_owned(), 2));
    app.act(Action::Back);
    assert_eq!(app.screen, Screen::Result);
}

#[test]
fn only_what_differs_is_shown_unless_asked_for_all() {
    let same: String = (10..30).map(|n| format!("{n}: nop -> ok\n")).collect();
    let mut app = app(&[("good/a.trace", &format!("{NEW}{same}"))]);
    app.items[0].rows.extend(
        (0..20).map(|_| super::super::item::Row { old: Some("x".to_owned()), new: Some("x".to_owned()) }),
    );
    let few = app.visible();
    assert_eq!(few.iter().filter(|row| row.is_none()).count(), 1, "{few:?}");
    app.act(Action::Whole);
    assert_eq!(app.visible().len(), app.items[0].rows.len());
    app.act(Action::Scroll(1000));
    assert_eq!(app.scroll, app.items[0].rows.len() - 1);
    app.act(Action::NextChange);
    assert_eq!(app.message, "no difference further down");
}
