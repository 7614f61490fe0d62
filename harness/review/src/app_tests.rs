//! A review without a terminal.

use std::path::Path;

use parallax_report::golden::{Place, save};

use super::*;

const OLD: &str = "\
2: host_share_hyp pfn=ram+0x10 -> ok
3: host_unshare_hyp pfn=ram+0x11 -> ok
   smmu a
4: nop -> ok
";

/// A trace whose result has these operations.
fn trace_of(result: &str) -> String {
    let mut trace = String::new();
    for (line, rest) in result.lines().filter_map(|line| line.split_once(": ")) {
        let Some((op, _)) = rest.split_once(" -> ") else { continue };
        let before = line.parse::<usize>().unwrap() - 1 - trace.lines().count();
        trace.push_str(&format!("{}{op}\n", "\n".repeat(before)));
    }
    trace
}

/// A project with a trace for each name, all with the same golden, and what came out.
pub(crate) fn items(root: &Path, names: &[(&str, &str)]) -> Vec<Item> {
    names
        .iter()
        .map(|(name, new)| {
            let trace = root.join("traces").join(name);
            std::fs::create_dir_all(trace.parent().unwrap()).unwrap();
            std::fs::write(&trace, trace_of(new)).unwrap();
            let place = Place::of(&trace);
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

const NEW: &str =
    "2: host_share_hyp pfn=ram+0x10 -> ok\n3: host_unshare_hyp pfn=ram+0x11 -> ok\n4: nop -> ok\n";
const FOUND: &str = "2: host_share_hyp pfn=ram+0x10 -> ok\n   ! sync/extra smmu a\n4: nop -> ok\n";
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
    assert!(app.message.contains("it holds 1 finding:"), "{}", app.message);
    app.act(Action::Accept { even_with_findings: true });
    app.act(ACCEPT);
    assert_eq!(app.counts(), (2, 0), "under bad/ they are wanted");
}

#[test]
fn what_can_never_be_a_golden_cannot_be_accepted() {
    let root = tempfile::tempdir().unwrap();
    items(root.path(), &[("good/a.trace", NEW)]);
    std::fs::remove_file(root.path().join("traces/good/a.trace")).unwrap();
    let pending = root.path().join("golden/good/a.snap.new");
    let mut app = App::new(vec![Item::load(root.path(), &pending).unwrap()]);
    app.act(Action::Accept { even_with_findings: true });
    assert!(app.message.contains("its trace is gone"), "{}", app.message);
    assert_eq!(app.decisions, [None]);
    app.act(Action::Reject);
    assert_eq!(app.decisions, [Some(Decision::Reject)]);
}

#[test]
fn the_operation_that_differs_is_explained() {
    let mut app = app(&[("good/a.trace", NEW)]);
    assert_eq!(app.act(Action::Explain), Effect::Explain(3));
    app.screen = Screen::Explanation("why\nso\n".to_owned(), 0);
    app.act(Action::Scroll(20));
    assert_eq!(app.screen, Screen::Explanation("why\nso\n".to_owned(), 1), "not beyond its end");
    app.act(Action::Back);
    assert_eq!(app.screen, Screen::Result);
}

#[test]
fn only_what_differs_is_shown_unless_asked_for_all() {
    let same: String = (10..30).map(|n| format!("{n}: nop -> ok\n")).collect();
    let mut app = app(&[("good/a.trace", &format!("{NEW}{same}"))]);
    app.items[0]
        .rows
        .extend((0..20).map(|_| crate::item::Row { old: Some("x".to_owned()), new: Some("x".to_owned()) }));
    let few = app.visible();
    assert_eq!(few.iter().filter(|row| row.is_none()).count(), 1, "{few:?}");
    app.act(Action::Whole);
    assert_eq!(app.visible().len(), app.items[0].rows.len());
    app.act(Action::Scroll(1000));
    assert_eq!(app.scroll, app.items[0].rows.len() - 1);
    app.act(Action::NextChange);
    assert_eq!(app.message, "no difference further down");
}

const OTHER: &str = "2: host_share_hyp pfn=ram+0x10 -> ok\n3: host_unshare_hyp pfn=ram+0x11 -> EPERM\n   smmu a\n4: nop -> ok\n";
const GROUP: Action = Action::AcceptGroup { even_with_findings: false };

/// Three results in which the same line went, and one with another result.
fn grouped() -> App {
    app(&[("bad/a.trace", NEW), ("good/b.trace", OTHER), ("good/c.trace", NEW), ("good/d.trace", NEW)])
}

#[test]
fn what_changed_alike_is_one_group_with_good_traces_first() {
    let app = grouped();
    let names: Vec<_> = app.items.iter().map(|item| item.trace.display().to_string()).collect();
    assert_eq!(
        names,
        ["c", "d", "a", "b"]
            .map(|name| { format!("traces/{}/{name}.trace", if name == "a" { "bad" } else { "good" }) })
    );
    let what: Vec<_> = app.groups.iter().map(|group| group.what.join(" ")).collect();
    assert_eq!(
        what,
        ["3 × smmu a gone after host_unshare_hyp", "1 × host_unshare_hyp -> EPERM instead of ok"]
    );
}

#[test]
fn a_group_is_accepted_and_taken_back_as_a_whole() {
    let mut app = grouped();
    app.act(GROUP);
    assert_eq!((app.at, app.counts()), (3, (3, 0)));
    app.act(Action::RejectGroup);
    assert_eq!((app.screen.clone(), app.counts()), (Screen::Summary, (3, 1)));
    app.act(Action::Undo);
    app.act(Action::Undo);
    assert_eq!((app.at, app.counts()), (0, (0, 0)));
    app.act(Action::Reject);
    app.act(GROUP);
    assert_eq!((app.at, app.counts()), (3, (2, 1)), "what was decided stays");
    app.act(Action::Previous);
    app.act(Action::NextGroup);
    assert_eq!((app.at, app.counts()), (3, (2, 1)));
}

#[test]
fn what_cannot_be_accepted_with_its_group_is_left_and_shown() {
    let mut app = app(&[("bad/b.trace", FOUND), ("good/a.trace", FOUND)]);
    app.act(GROUP);
    assert_eq!((app.at, &app.decisions[..]), (0, &[None, Some(Decision::Accept)][..]));
    assert_eq!(app.message, "1 accepted, 1 left: this one: 1 finding");
    app.act(Action::AcceptGroup { even_with_findings: true });
    assert_eq!((app.screen.clone(), app.counts()), (Screen::Summary, (2, 0)));
}
