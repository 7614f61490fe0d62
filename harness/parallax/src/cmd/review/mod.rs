//! `parallax review`: go through the results that wait, one trace at a time, in a terminal.
//!
//! The files are those of `cargo insta review`. Decisions are written at the end, all together; leaving with Ctrl-C
//! writes nothing.

mod app;
mod item;
mod view;

use std::fmt::Write;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use self::app::{Action, App, Decision, Effect, Screen};
use self::item::Item;
use super::print;
use crate::cli::Review;
use crate::golden;
use crate::project;
use crate::status::{Failure, Status};

/// Lines that a page key scrolls by.
const PAGE: isize = 20;

/// Runs it.
pub(super) fn review(args: &Review) -> Result<Status> {
    let root = project::root(&args.paths)?;
    let items = waiting(&root, &args.paths)?;
    if items.is_empty() {
        print("nothing waits for a review\n")?;
        return Ok(Status::Same);
    }
    if args.list {
        print(&listed(&items)?)?;
        return Ok(Status::Diverged);
    }
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        let message = "a review needs a terminal: `parallax review --list` tells what waits, \
                       `parallax accept` takes it";
        return Err(Failure::usage(message).into());
    }
    let mut app = App::new(items);
    let mut terminal = ratatui::try_init().context("the terminal cannot be set up")?;
    let decided = go_through(&mut terminal, &mut app, &root);
    ratatui::restore();
    if decided? {
        write(&app)
    } else {
        print("left without a change\n")?;
        Ok(Status::Interrupted)
    }
}

fn waiting(root: &Path, paths: &[PathBuf]) -> Result<Vec<Item>> {
    let pending = match paths {
        [] => super::accept::pending_in(&root.join("golden"))?,
        paths => super::accept::pending_of_all(paths)?,
    };
    let load = |path: &PathBuf| Item::load(root, path).map_err(|error| Failure::usage(error).into());
    pending.iter().map(load).collect()
}

fn listed(items: &[Item]) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for item in items {
        let what = if item.fresh { "no golden yet".to_owned() } else { item.kinds.to_string() };
        write!(text, "{}  {what}", item.trace.display())?;
        if item.findings > 0 {
            write!(text, ", {} findings", item.findings)?;
        }
        text.push('\n');
    }
    Ok(text)
}

/// Until the user is done: whether what was decided is to be written.
fn go_through(terminal: &mut DefaultTerminal, app: &mut App, root: &Path) -> Result<bool> {
    loop {
        terminal.draw(|frame| view::draw(frame, app))?;
        let Event::Key(key) = event::read()? else { continue };
        if key.kind == KeyEventKind::Release {
            continue;
        }
        match app.act(action(key)) {
            Effect::None => (),
            Effect::Write => return Ok(true),
            Effect::Leave => return Ok(false),
            Effect::Explain(line) => {
                "explaining …".clone_into(&mut app.message);
                terminal.draw(|frame| view::draw(frame, app))?;
                let text = explanation(root, &app.item().trace, line);
                app.message.clear();
                app.screen = Screen::Explanation(text, 0);
            }
        }
    }
}

fn action(key: KeyEvent) -> Action {
    match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Action::Abandon,
        KeyCode::Char('a') => Action::Accept { even_with_findings: false },
        KeyCode::Char('A') => Action::Accept { even_with_findings: true },
        KeyCode::Char('r') => Action::Reject,
        KeyCode::Char('s' | 'n') | KeyCode::Right => Action::Next,
        KeyCode::Char('p') | KeyCode::Left => Action::Previous,
        KeyCode::Char('u') => Action::Undo,
        KeyCode::Char('j') | KeyCode::Down => Action::Scroll(1),
        KeyCode::Char('k') | KeyCode::Up => Action::Scroll(-1),
        KeyCode::Char(' ') | KeyCode::PageDown => Action::Scroll(PAGE),
        KeyCode::Char('b') | KeyCode::PageUp => Action::Scroll(-PAGE),
        KeyCode::Char('c') => Action::NextChange,
        KeyCode::Char('w') => Action::Whole,
        KeyCode::Char('e') => Action::Explain,
        KeyCode::Char('?' | 'h') => Action::Help,
        KeyCode::Char('q') => Action::Finish,
        _ => Action::Back,
    }
}

/// What `parallax explain` says, or why it says nothing.
fn explanation(root: &Path, trace: &Path, line: usize) -> String {
    let run = || -> Result<String> {
        let mut command = Command::new(std::env::current_exe()?);
        let output =
            command.current_dir(root).arg("explain").arg(trace).args(["--op", &line.to_string()]).output()?;
        let said = [output.stdout, output.stderr].concat();
        Ok(anstream::adapter::strip_str(&String::from_utf8_lossy(&said)).to_string())
    };
    run().unwrap_or_else(|error| format!("parallax explain: {error:#}"))
}

fn write(app: &App) -> Result<Status> {
    for (item, decision) in app.items.iter().zip(&app.decisions) {
        match decision {
            Some(Decision::Accept) => {
                golden::accept(&item.pending).map_err(Failure::usage)?;
            }
            Some(Decision::Reject) => golden::reject(&item.pending).map_err(Failure::usage)?,
            None => (),
        }
    }
    let (accepted, rejected) = app.counts();
    let left = app.items.len() - accepted - rejected;
    print(&format!("{accepted} accepted, {rejected} rejected, {left} go on waiting\n"))?;
    Ok(if left == 0 { Status::Same } else { Status::Diverged })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_decided_is_written_and_the_rest_goes_on_waiting() {
        let root = tempfile::tempdir().unwrap();
        let new = "2: host_write ipa=a -> ok\n";
        let names = [("good/a.trace", new), ("good/b.trace", new), ("good/c.trace", new)];
        let mut app = App::new(app::tests::items(root.path(), &names));
        for action in [Action::Accept { even_with_findings: false }, Action::Reject, Action::Next] {
            app.act(action);
        }
        assert_eq!(write(&app).unwrap(), Status::Diverged);
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
                assert_ne!(action(KeyEvent::new(code, modifiers)), Action::Back, "{key}: {what}");
            }
        }
    }
}
