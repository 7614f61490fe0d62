//! How a review looks. Differences are marked with `-` and `+`, so that colour only helps.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph, Wrap};

use crate::app::{App, Decision, Screen};
use crate::item::Row;

/// Below this width old and new stand one below the other.
const SIDE_BY_SIDE: u16 = 100;
/// Lines around the result: those of a header, the columns' names, the keys.
pub(super) const AROUND: isize = 6;
/// Lines of the header.
const HEADER: u16 = 4;

const OLD: Style = Style::new().fg(Color::Red);
const NEW: Style = Style::new().fg(Color::Green);
const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
const DIM: Style = Style::new().add_modifier(Modifier::DIM);

/// The keys and what they do.
pub(super) const KEYS: &[(&str, &str)] = &[
    ("a", "accept: it becomes the golden"),
    ("A", "accept even with findings"),
    ("r", "reject: the result is removed, the golden stays"),
    ("s, n, →", "skip: it goes on waiting"),
    ("g", "accept the group: all in which nothing else changed"),
    ("G", "accept the group even with findings"),
    ("R, S", "reject the group, skip it"),
    ("p, ←", "back to the one before"),
    ("u", "take the last decision back"),
    ("j, k, ↓, ↑", "a line down, up"),
    ("space, b", "a page down, up"),
    ("c", "to the next change"),
    ("w", "show all lines, or only what differs"),
    ("e", "explain the operation that differs (boots the machine)"),
    ("q", "to the end: see what was decided, then write it"),
    ("Ctrl-C", "leave; nothing is written"),
];

/// Draws what is on the screen.
pub(super) fn draw(frame: &mut Frame<'_>, app: &App) {
    let areas = Layout::vertical([Constraint::Length(HEADER), Constraint::Min(1), Constraint::Length(1)]);
    let [head, body, foot] = areas.areas(frame.area());
    header(frame, app, head);
    match &app.screen {
        Screen::Result => result(frame, app, body),
        Screen::Help => frame.render_widget(Paragraph::new(help()).wrap(Wrap { trim: false }), body),
        Screen::Summary => frame.render_widget(Paragraph::new(summary(app, body.height)), body),
        Screen::Explanation(text, top) => {
            let top = u16::try_from(*top).unwrap_or(u16::MAX);
            frame.render_widget(
                Paragraph::new(text.as_str()).wrap(Wrap { trim: false }).scroll((top, 0)),
                body,
            );
        }
    }
    frame.render_widget(Paragraph::new(footer(app, foot.width)), foot);
}

fn header(frame: &mut Frame<'_>, app: &App, area: Rect) {
    if app.screen == Screen::Summary {
        frame.render_widget(Line::styled(counted(app), BOLD), area);
        return;
    }
    let item = app.item();
    let (number, group) = app.group();
    let in_group = format!("group {}/{}: ", number + 1, app.groups.len());
    let what = Line::from(vec![Span::styled(in_group, DIM), Span::styled(group.what.join(", "), BOLD)]);
    let mut title = vec![Span::styled(format!("{}/{} ", app.at + 1, app.items.len()), DIM)];
    match app.decisions[app.at] {
        Some(Decision::Accept) => title.push(Span::styled("accepted ", NEW)),
        Some(Decision::Reject) => title.push(Span::styled("rejected ", OLD)),
        None => (),
    }
    title.push(Span::styled(item.trace.display().to_string(), BOLD));
    let style = if item.objections.is_empty() { Style::new() } else { OLD.add_modifier(Modifier::BOLD) };
    let reproducer = Line::styled(format!("reproduce: {}", item.reproducer()), DIM);
    let lines = vec![what, Line::from(title), Line::styled(item.summary(), style), reproducer];
    frame.render_widget(Paragraph::new(lines), area);
}

/// The keys that matter most, as many as fit.
fn footer(app: &App, width: u16) -> Line<'_> {
    if !app.message.is_empty() {
        return Line::styled(app.message.as_str(), BOLD);
    }
    let keys = match app.screen {
        Screen::Result => {
            let last = "? keys  q end";
            let more = [
                "a accept",
                "r reject",
                "s skip",
                "g accept group",
                "u undo",
                "e explain",
                "p back",
                "c next change",
                "w all",
            ];
            let mut text = String::new();
            for key in more {
                if text.len() + key.len() + 2 + last.len() <= usize::from(width) {
                    text = text + key + "  ";
                }
            }
            text + last
        }
        Screen::Summary => "q write it  u undo  any other key: back".to_owned(),
        Screen::Help => "any key: back".to_owned(),
        Screen::Explanation(..) => "j/k scroll  any other key: back".to_owned(),
    };
    Line::styled(keys, DIM)
}

fn result(frame: &mut Frame<'_>, app: &App, body: Rect) {
    let [names, body] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(body);
    let visible = app.visible();
    let rows = visible.get(app.scroll..).unwrap_or_default();
    let rows = rows.iter().map(|row| row.map(|row| &app.item().rows[row]));
    let place = Line::styled(format!("{} of {}", app.scroll + 1, visible.len()), DIM).right_aligned();
    if body.width < SIDE_BY_SIDE {
        let lines = rows.flat_map(|row| one_below_the_other(row, body.width));
        let lines: Vec<Line<'_>> = lines.take(usize::from(body.height)).collect();
        frame.render_widget(Line::styled("- agreed  + came out", DIM), names);
        frame.render_widget(place, names);
        frame.render_widget(Paragraph::new(lines), body);
        return;
    }
    let halves = Layout::horizontal([Constraint::Ratio(1, 2); 2]);
    let [left, right] = halves.areas(body);
    let (mut old, mut new) = (Vec::new(), Vec::new());
    for row in rows {
        if old.len() >= usize::from(body.height) {
            break;
        }
        old.extend(column(row, |row| row.old.as_deref(), "- ", OLD, left.width.saturating_sub(1)));
        new.extend(column(row, |row| row.new.as_deref(), "+ ", NEW, right.width));
        // What stands opposite to each other begins in the same line.
        let height = old.len().max(new.len());
        old.resize(height, Line::default());
        new.resize(height, Line::default());
    }
    let [left_name, right_name] = halves.areas(names);
    frame.render_widget(Line::styled("  agreed", DIM), left_name);
    frame.render_widget(Line::styled("  came out", DIM), right_name);
    frame.render_widget(place, right_name);
    frame.render_widget(
        Paragraph::new(old).block(Block::new().borders(Borders::RIGHT).border_style(DIM)),
        left,
    );
    frame.render_widget(Paragraph::new(new), right);
}

/// One side of a row, in as many lines as it takes.
fn column<'a>(
    row: Option<&'a Row>,
    pick: fn(&Row) -> Option<&str>,
    mark: &'static str,
    style: Style,
    width: u16,
) -> Vec<Line<'a>> {
    let Some(row) = row else { return vec![Line::styled("  …", DIM)] };
    let Some(text) = pick(row) else { return Vec::new() };
    let (mark, style) = if row.same() { ("  ", Style::new()) } else { (mark, style) };
    let mut parts = wrapped(text, usize::from(width)).into_iter();
    let first = parts.next().map(|part| Line::styled(format!("{mark}{part}"), style));
    let rest = parts.map(|part| Line::styled(format!("{}{part}", " ".repeat(INDENT)), style));
    first.into_iter().chain(rest).collect()
}

fn one_below_the_other(row: Option<&Row>, width: u16) -> Vec<Line<'_>> {
    let new = |row| column(row, |row| row.new.as_deref(), "+ ", NEW, width);
    match row {
        Some(row) if !row.same() => {
            let old = column(Some(row), |row| row.old.as_deref(), "- ", OLD, width);
            [old, new(Some(row))].concat()
        }
        row => new(row),
    }
}

/// What the second line of a long one begins with, the mark included.
const INDENT: usize = 10;

/// `text` in parts that fit into `width` behind their marks, broken at spaces where there are some.
fn wrapped(text: &str, width: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut rest, mut room) = (text, width.saturating_sub(2).max(1));
    while let Some((end, _)) = rest.char_indices().nth(room) {
        let indent = rest.len() - rest.trim_start().len();
        let space = rest[..end].rfind(' ').filter(|at| *at > indent && *at >= end / 2);
        let end = space.unwrap_or(end);
        parts.push(&rest[..end]);
        rest = rest[end..].trim_start();
        room = width.saturating_sub(INDENT).max(1);
    }
    parts.push(rest);
    parts
}

fn help() -> Vec<Line<'static>> {
    KEYS.iter().map(|(key, what)| Line::raw(format!("{key:<12}{what}"))).collect()
}

/// What was decided, in numbers.
pub(super) fn counted(app: &App) -> String {
    let (accepted, rejected) = app.counts();
    let left = app.items.len() - accepted - rejected;
    let go = if left == 1 { "goes" } else { "go" };
    format!("{accepted} accepted, {rejected} rejected, {left} {go} on waiting")
}

/// What is going to be written, as much as fits.
fn summary(app: &App, height: u16) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    let fits = usize::from(height).saturating_sub(1);
    for (item, decision) in app.items.iter().zip(&app.decisions).take(fits) {
        let (word, style) = match decision {
            Some(Decision::Accept) => ("accept", NEW),
            Some(Decision::Reject) => ("reject", OLD),
            None => ("wait", DIM),
        };
        lines.push(Line::from(vec![
            Span::styled(format!("  {word:<8}"), style),
            Span::raw(item.trace.display().to_string()),
        ]));
    }
    if app.items.len() > fits {
        lines.push(Line::styled(format!("  … and {} more", app.items.len() - fits), DIM));
    }
    lines
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::app::tests::items;
    use crate::app::{Action, App};

    const NEW_TEXT: &str =
        "2: host_share_hyp pfn=ram+0x10 -> ok\n3: host_unshare_hyp pfn=ram+0x11 -> EPERM\n4: nop -> ok\n";

    fn shown(app: &App, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, app)).unwrap();
        terminal.backend().to_string()
    }

    fn app() -> App {
        let root = tempfile::tempdir().unwrap();
        App::new(items(root.path(), &[("good/a.trace", NEW_TEXT)]))
    }

    #[test]
    fn a_wide_terminal_shows_both_sides_in_one_line() {
        let text = shown(&app(), 120, 12);
        let line = text.lines().find(|line| line.contains("│+")).expect(&text);
        assert!(line.contains("- 3: host_unshare_hyp pfn=ram+0x11 -> ok"), "{text}");
        assert!(line.contains("+ 3: host_unshare_hyp pfn=ram+0x11 -> EPERM"), "{text}");
        assert!(text.contains("results, SMMU changed"), "{text}");
    }

    #[test]
    fn a_narrow_one_shows_them_one_below_the_other_and_the_smallest_does_not_fail() {
        let text = shown(&app(), 60, 12);
        let at = |what: &str| text.lines().position(|line| line.contains(what)).expect(&text);
        assert!(
            at("- 3: host_unshare_hyp pfn=ram+0x11 -> ok")
                < at("+ 3: host_unshare_hyp pfn=ram+0x11 -> EPERM"),
            "{text}"
        );
        for (width, height) in [(1, 1), (5, 3), (20, 2), (100, 5)] {
            shown(&app(), width, height);
        }
    }

    #[test]
    fn long_lines_are_broken_at_spaces_and_nothing_of_them_is_lost() {
        assert_eq!(wrapped("   cpu  aaa bbb", 40), ["   cpu  aaa bbb"]);
        assert_eq!(wrapped("   cpu  aaaa bbbb cccc dddd", 18), ["   cpu  aaaa", "bbbb", "cccc", "dddd"]);
        assert_eq!(wrapped("123456789", 6), ["1234", "5", "6", "7", "8", "9"]);
        assert_eq!(wrapped("", 6), [""]);
    }

    #[test]
    fn the_summary_and_the_keys_are_shown() {
        let mut app = app();
        app.act(Action::Help);
        assert!(shown(&app, 80, 20).contains("take the last decision back"));
        app.act(Action::Back);
        app.act(Action::Reject);
        let text = shown(&app, 80, 20);
        assert!(text.contains("0 accepted, 1 rejected, 0 go on waiting"), "{text}");
        assert!(text.contains("reject  traces/good/a.trace"), "{text}");
    }
}
