//! Behind `parallax review`: going through the results that wait, one change at a time, in a terminal.
//!
//! The files are those of `cargo insta review`. Decisions are written at the end, all together; leaving with Ctrl-C
//! writes nothing.

#![forbid(unsafe_code)]

mod app;
mod explain;
mod item;
mod sorted;
mod tick;
mod view;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use parallax_engine::status::Failure;
use parallax_report::golden;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use parallax_machine::CancellationToken;

use self::app::{Action, App, Decision, Effect, Screen};
pub use self::item::Item;
use self::tick::{AT_ONCE, Tick, is_closed, tick};

/// Results that wait, loaded.
///
/// # Errors
/// One of `pending` cannot be read.
pub fn load(root: &Path, pending: &[PathBuf]) -> Result<Vec<Item>> {
    let load = |path: &PathBuf| Item::load(root, path).map_err(|error| Failure::from(error).into());
    pending.iter().map(load).collect()
}

/// What was decided in a review, and is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// How many were taken and rejected, as a line.
    pub text: String,
    /// Whether some go on waiting.
    pub left: bool,
}

/// Goes through `items` in this process's terminal and writes what was decided; `None` if the user left without a change.
///
/// # Errors
/// The terminal cannot be used, or a decision cannot be written.
pub fn review(root: &Path, items: Vec<Item>, cancel: &CancellationToken) -> Result<Option<Decided>> {
    let mut app = App::new(items);
    let mut terminal = ratatui::try_init().context("the terminal cannot be set up")?;
    let decided = go_through(&mut terminal, &mut app, root, cancel);
    if is_closed(Some(&AT_ONCE)).unwrap_or(true) {
        // There is none to be given back, and `ratatui` would end the process for that: it says so where nobody reads.
        std::mem::forget(terminal);
        return Ok(None);
    }
    ratatui::restore();
    if decided? { write(&app).map(Some) } else { Ok(None) }
}

/// What changed, and below it one line an item.
///
/// # Errors
/// None.
pub fn listed(items: Vec<Item>) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    let (items, parts) = sorted::sorted(items);
    for part in parts {
        writeln!(text, "{}", part.what.join("\n"))?;
        for item in &items[part.range] {
            writeln!(text, "    {}  {}", item.trace.display(), item.summary())?;
        }
    }
    Ok(text)
}

/// Until the user is done: whether what was decided is to be written.
fn go_through(
    terminal: &mut DefaultTerminal,
    app: &mut App,
    root: &Path,
    cancel: &CancellationToken,
) -> Result<bool> {
    loop {
        terminal.draw(|frame| view::draw(frame, app))?;
        let event = loop {
            match tick(cancel)? {
                Tick::Event(event) => break event,
                Tick::Nothing => (),
                Tick::End => return Ok(false),
            }
        };
        let Event::Key(key) = event else { continue };
        if key.kind == KeyEventKind::Release {
            continue;
        }
        let page = isize::try_from(terminal.size()?.height)?.saturating_sub(view::AROUND).max(1);
        match app.act(action(key, page)) {
            Effect::None => (),
            Effect::Write => return Ok(true),
            Effect::Leave => return Ok(false),
            Effect::Explain(line) => {
                "explaining …  any key: stop it".clone_into(&mut app.message);
                terminal.draw(|frame| view::draw(frame, app))?;
                let text = explain::explanation(root, &app.item().trace, line, cancel)?;
                app.message.clear();
                match text {
                    Some(text) => app.screen = Screen::Explanation(text, 0),
                    None => "stopped".clone_into(&mut app.message),
                }
            }
        }
    }
}

/// What a key asks for, where a page has `page` lines.
fn action(key: KeyEvent, page: isize) -> Action {
    match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Action::Abandon,
        KeyCode::Char('a') => Action::Accept { even_with_findings: false },
        KeyCode::Char('A') => Action::Accept { even_with_findings: true },
        KeyCode::Char('r') => Action::Reject,
        KeyCode::Char('g') => Action::AcceptGroup { even_with_findings: false },
        KeyCode::Char('G') => Action::AcceptGroup { even_with_findings: true },
        KeyCode::Char('R') => Action::RejectGroup,
        KeyCode::Char('S') => Action::NextGroup,
        KeyCode::Char('s' | 'n') | KeyCode::Right => Action::Next,
        KeyCode::Char('p') | KeyCode::Left => Action::Previous,
        KeyCode::Char('u') => Action::Undo,
        KeyCode::Char('j') | KeyCode::Down => Action::Scroll(1),
        KeyCode::Char('k') | KeyCode::Up => Action::Scroll(-1),
        KeyCode::Char(' ') | KeyCode::PageDown => Action::Scroll(page),
        KeyCode::Char('b') | KeyCode::PageUp => Action::Scroll(-page),
        KeyCode::Char('c') => Action::NextChange,
        KeyCode::Char('w') => Action::Whole,
        KeyCode::Char('e') => Action::Explain,
        KeyCode::Char('?' | 'h') => Action::Help,
        KeyCode::Char('q') => Action::Finish,
        _ => Action::Back,
    }
}

/// Writes what was decided; nothing, if a file is not any more what was shown.
fn write(app: &App) -> Result<Decided> {
    let decided = || app.items.iter().zip(&app.decisions).filter(|(_, decision)| decision.is_some());
    for (item, _) in decided() {
        if !item.as_shown().map_err(Failure::from)? {
            let trace = item.trace.display();
            let message = format!(
                "{trace}: its result changed while it was shown; nothing was written: review it again"
            );
            return Err(Failure::usage(message).into());
        }
    }
    for (done, (item, decision)) in decided().enumerate() {
        let written = match decision {
            Some(Decision::Accept) => golden::accept(&item.pending).map(drop),
            _ => golden::reject(&item.pending),
        };
        written.map_err(|error| {
            let all = decided().count();
            let Failure { status, message } = error.into();
            let left = format!("{done} of {all} decisions are written: review the others again");
            Failure { status, message: format!("{message}\n{left}") }
        })?;
    }
    let (accepted, rejected) = app.counts();
    let left = app.items.len() - accepted - rejected;
    Ok(Decided { text: format!("{}\n", view::counted(app)), left: left != 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_decided_is_written_and_the_rest_goes_on_waiting() {
        let root = tempfile::tempdir().unwrap();
        let new = "2: host_share_hyp pfn=ram+0x10 -> ok\n";
        let names = [("good/a.trace", new), ("good/b.trace", new), ("good/c.trace", new)];
        let mut app = App::new(app::tests::items(root.path(), &names));
        for action in [Action::Accept { even_with_findings: false }, Action::Reject, Action::Next] {
            app.act(action);
        }
        assert!(write(&app).unwrap().left);
        let golden = root.path().join("golden/good");
        let text = |name: &str| golden::text(&golden.join(name)).unwrap();
        assert_eq!(text("a.snap").unwrap(), new.trim_end());
        assert_ne!(text("b.snap").unwrap(), new.trim_end());
        assert_eq!(
            ["a", "b", "c"].map(|name| text(&format!("{name}.snap.new")).is_some()),
            [false, false, true]
        );
    }

    #[test]
    fn what_changed_since_it_was_shown_is_not_taken_and_nothing_else_either() {
        let new = "2: host_share_hyp pfn=ram+0x10 -> ok\n";
        for changed in ["b.snap", "b.snap.new"] {
            let root = tempfile::tempdir().unwrap();
            let names = [("good/a.trace", new), ("good/b.trace", new)];
            let mut app = App::new(app::tests::items(root.path(), &names));
            app.act(Action::Accept { even_with_findings: false });
            app.act(Action::Reject);
            let golden = root.path().join("golden/good");
            let path = golden.join(changed);
            let text = std::fs::read_to_string(&path).unwrap();
            std::fs::write(&path, text.replace("ok", "EPERM")).unwrap();
            let error = write(&app).unwrap_err().to_string();
            assert!(error.starts_with("traces/good/b.trace: its result changed"), "{changed}: {error}");
            assert!(golden.join("a.snap.new").exists());
        }
    }

    #[test]
    fn every_key_of_the_help_does_something() {
        for (keys, what) in view::KEYS {
            for key in keys.split(", ") {
                let code = match key {
                    "→" => KeyCode::Right,
                    "←" => KeyCode::Left,
                    "↓" => KeyCode::Down,
                    "↑" => KeyCode::Up,
                    "space" => KeyCode::Char(' '),
                    "Ctrl-C" => KeyCode::Char('c'),
                    key => KeyCode::Char(key.chars().next().unwrap()),
                };
                let modifiers = if key == "Ctrl-C" { KeyModifiers::CONTROL } else { KeyModifiers::NONE };
                assert_ne!(action(KeyEvent::new(code, modifiers), 10), Action::Back, "{key}: {what}");
            }
        }
    }
}
