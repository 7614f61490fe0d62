//! How a review looks. Differences are marked with `-` and `+`, so that colour only helps.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph, Wrap};

use super::app::{App, Decision, Screen};
use super::item::{Item, Row};

/// Below this width old and new stand one below the other, in columns.
const SIDE_BY_SIDE: u16 = 110;

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
    let areas = Layout::vertical([Constraint::Length(2), Constraint::Min(1), Constraint::Length(1)]);
    let [head, body, foot] = areas.areas(frame.area());
    frame.render_widget(Paragraph::new(header(app)), head);
    match &app.screen {
        Screen::Result => result(frame, app, body),
        Screen::Help => frame.render_widget(Paragraph::new(help()), body),
        Screen::Summary => frame.render_widget(Paragraph::new(summary(app)), body),
        Screen::Explanation(text, top) => {
            let top = u16::try_from(*top).unwrap_or(u16::MAX);
            frame.render_widget(
                Paragraph::new(text.as_str()).wrap(Wrap { trim: false }).scroll((top, 0)),
                body,
            );
        }
    }
    frame.render_widget(Paragraph::new(footer(app)), foot);
}

fn header(app: &App) -> Vec<Line<'_>> {
    let item = app.item();
    let mut title = vec![
        Span::styled(format!("{}/{} ", app.at + 1, app.items.len()), DIM),
        Span::styled(item.trace.display().to_string(), BOLD),
        Span::raw(if item.fresh { "  no golden yet".to_owned() } else { format!("  {}", item.kinds) }),
    ];
    if item.findings > 0 {
        title.push(Span::styled(format!("  {} findings", item.findings), OLD.add_modifier(Modifier::BOLD)));
    }
    match app.decisions[app.at] {
        Some(Decision::Accept) => title.push(Span::styled("  accepted", NEW)),
        Some(Decision::Reject) => title.push(Span::styled("  rejected", OLD)),
        None => (),
    }
    vec![Line::from(title), Line::raw("")]
}

fn footer(app: &App) -> Line<'_> {
    if !app.message.is_empty() {
        return Line::styled(app.message.as_str(), BOLD);
    }
    Line::styled(
        match app.screen {
            Screen::Result => "a accept  r reject  s skip  u undo  e explain  c next change  ? keys  q end",
            Screen::Summary => "q write it  u undo  any other key: back",
            Screen::Help => "any key: back",
            Screen::Explanation(..) => "j/k scroll  any other key: back",
        },
        DIM,
    )
}

fn result(frame: &mut Frame<'_>, app: &App, body: Rect) {
    let item = app.item();
    let visible = app.visible();
    let rows = visible.get(app.scroll..).unwrap_or_default();
    let height = usize::from(body.height);
    if body.width < SIDE_BY_SIDE {
        let lines: Vec<Line<'_>> = rows.iter().take(height).flat_map(|row| unified(item, *row)).collect();
        frame.render_widget(Paragraph::new(lines), body);
        return;
    }
    let [left, right] = Layout::horizontal([Constraint::Ratio(1, 2); 2]).areas(body);
    let side = |title: &'static str, pick: fn(&Row) -> Option<&str>, mark, style| {
        let lines = rows.iter().take(height).map(move |row| match row {
            None => Line::styled("…", DIM),
            Some(row) => column(&item.rows[*row], pick, mark, style),
        });
        Paragraph::new(lines.collect::<Vec<_>>()).block(Block::new().title(title))
    };
    frame.render_widget(side("agreed", |row| row.old.as_deref(), "-", OLD), left);
    frame.render_widget(side("came out", |row| row.new.as_deref(), "+", NEW), right);
}

fn column<'a>(row: &'a Row, pick: fn(&Row) -> Option<&str>, mark: &'static str, style: Style) -> Line<'a> {
    match pick(row) {
        None => Line::raw(""),
        Some(text) if row.same() => Line::raw(format!("  {text}")),
        Some(text) => Line::styled(format!("{mark} {text}"), style),
    }
}

fn unified(item: &Item, row: Option<usize>) -> Vec<Line<'_>> {
    let Some(row) = row else { return vec![Line::styled("…", DIM)] };
    let row = &item.rows[row];
    if row.same() {
        return vec![column(row, |row| row.new.as_deref(), " ", Style::new())];
    }
    let sides = [
        row.old.is_some().then(|| column(row, |row| row.old.as_deref(), "-", OLD)),
        row.new.is_some().then(|| column(row, |row| row.new.as_deref(), "+", NEW)),
    ];
    sides.into_iter().flatten().collect()
}

fn help() -> Vec<Line<'static>> {
    KEYS.iter().map(|(key, what)| Line::raw(format!("  {key:<12}{what}"))).collect()
}

fn summary(app: &App) -> Vec<Line<'_>> {
    let (accepted, rejected) = app.counts();
    let left = app.items.len() - accepted - rejected;
    let mut lines = vec![
        Line::styled(format!("{accepted} accepted, {rejected} rejected, {left} go on waiting"), BOLD),
        Line::raw(""),
    ];
    for (item, decision) in app.items.iter().zip(&app.decisions) {
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
    lines
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::app::tests::items;
    use super::super::app::{Action, App};
    use super::*;

    const NEW_TEXT: &str = "2: host_write ipa=a -> ok\n3: host_donate_hyp pfn=a -> EPERM\n4: nop -> ok\n";

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
        let line = text.lines().find(|line| line.contains("EPERM")).expect(&text);
        assert!(line.contains("- 3: host_donate_hyp pfn=a -> ok"), "{text}");
        assert!(line.contains("+ 3: host_donate_hyp pfn=a -> EPERM"), "{text}");
        assert!(text.contains("results, SMMU changed"), "{text}");
    }

    #[test]
    fn a_narrow_one_shows_them_one_below_the_other_and_the_smallest_does_not_fail() {
        let text = shown(&app(), 60, 12);
        let at = |what: &str| text.lines().position(|line| line.contains(what)).expect(&text);
        assert!(at("- 3: host_donate_hyp pfn=a -> ok") < at("+ 3: host_donate_hyp pfn=a -> EPERM"), "{text}");
        for (width, height) in [(1, 1), (5, 3), (20, 2)] {
            shown(&app(), width, height);
        }
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
