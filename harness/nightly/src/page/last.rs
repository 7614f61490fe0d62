//! The last night: what is not in order, whether it was so before, and what led to it.

use std::path::Path;

use parallax_engine::visible;
use parallax_report::html::still::escape;

use super::Sources;
use super::html::{Value, section, table};
use super::ran::{log_link, word};
use super::sources::revision;
use crate::history::{Night, Problem};
use crate::news::{self, Compared, Since, together};

/// Traces that a `bisect` is given for.
const BISECTIONS: usize = 5;

/// Lines of a text that are open.
const OPEN: usize = 5;

/// A row of what is not in order.
struct Row<'a> {
    since: String,
    problem: &'a Problem,
}

/// The section of the night.
pub(super) fn section_of(
    nights: &[Night],
    compared: Compared<'_>,
    folder: &Path,
    sources: &Sources,
) -> String {
    let night = compared.night;
    let mut body = problems(nights, compared, folder);
    body += &missed(compared);
    body += &bisections(nights, compared);
    // The table above has what is not in order now.
    let news: Vec<_> = compared.lines(nights).into_iter().filter(|line| !line.now).collect();
    let before = compared.before.map(|before| before.night);
    if news.is_empty() {
        body += &before.map_or_else(
            || "<p>The first night of this form.</p>".to_owned(),
            |before| format!("<p>Nothing else is new since night {before}.</p>"),
        );
    } else {
        let since = before.map(|before| format!(" since night {before}")).unwrap_or_default();
        let lines: String = news.iter().map(|line| format!("<li>{}</li>", escape(&line.text))).collect();
        body += &format!("<h2>What else is new{since}</h2><ul>{lines}</ul>\n");
    }
    body += &commits(compared, sources);
    let (class, word) = word(night.status);
    section(&format!("Night {}: {word}", night.night), &body, if class == "bad" { class } else { "" })
}

/// Faults that were tried and not caught, with whether that was so the night before.
fn missed(compared: Compared<'_>) -> String {
    let caught = |name: &str| {
        let before = compared.before?.faults.iter().find(|fault| fault.name == name)?;
        Some(before.caught)
    };
    let since = |name: &str| match caught(name) {
        Some(true) => "new",
        Some(false) => "still",
        None => "not tried before",
    };
    let missed = compared.night.faults.iter().filter(|fault| !fault.caught);
    let rows: Vec<Vec<Value>> =
        missed.map(|fault| vec![(&fault.name).into(), since(&fault.name).into()]).collect();
    if rows.is_empty() {
        return String::new();
    }
    format!("<h2>Faults that nothing caught</h2>{}", table(&["fault", "since the night before"], &rows))
}

/// What is not in order: good traces come first, those in which the same changed are one row.
fn problems(nights: &[Night], compared: Compared<'_>, folder: &Path) -> String {
    let mut all: Vec<&Problem> = compared.night.problems.iter().collect();
    all.sort_by_key(|problem| (problem.flaky, &problem.cell, problem.trace.starts_with("traces/bad/")));
    let row = |problem| {
        let first = news::begun(nights, compared.night, problem).0.night;
        let since = match compared.since(problem) {
            Since::New => "new".to_owned(),
            Since::Still => format!("night {first}"),
            Since::Otherwise => format!("night {first}, otherwise the night before"),
        };
        Row { since, problem }
    };
    let groups = together(all.into_iter().map(row).collect(), |row| {
        let Problem { cell, flaky, change, .. } = row.problem;
        (!change.is_empty()).then_some((*flaky, row.since.clone(), cell, change))
    });
    if groups.is_empty() {
        return "<p>Nothing to look at.</p>\n".to_owned();
    }
    let logs = folder.join("logs").join(compared.night.night.to_string());
    let fresh = compared.night.problems.iter().any(|problem| compared.since(problem) == Since::New);
    let known = if fresh || compared.before.is_none() { "" } else { "<p>Nothing of it is new.</p>\n" };
    let rows: Vec<Vec<Value>> =
        groups.iter().filter_map(|group| cells(group, &logs, compared.night.night)).collect();
    known.to_owned() + &table(&["", "since", "where", "trace", "what"], &rows)
}

/// The cells of a row of problems that are the same: the first one's text is open, the others are folded.
fn cells(group: &[Row<'_>], logs: &Path, night: i64) -> Option<Vec<Value>> {
    let [Row { since, problem }, more @ ..] = group else { return None };
    let word =
        if problem.flaky { Value::Word("flaky", "~ flaky") } else { Value::Word("bad", "✗ not in order") };
    let (trace, what) = if more.is_empty() {
        ((&problem.trace).into(), Value::Html(folded(&problem.text)))
    } else {
        let others: String = more
            .iter()
            .map(|Row { problem, .. }| {
                format!("<li>{}<pre>{}</pre></li>", escape(&problem.trace), escape(&problem.text))
            })
            .collect();
        let count = more.len();
        let what = format!(
            "<b>{}</b>{}<details><summary>the same in {count} more</summary><ul>{others}</ul></details>",
            escape(&problem.change),
            folded(&problem.text)
        );
        (Value::Text(format!("{} and {count} more", problem.trace)), Value::Html(what))
    };
    Some(vec![word, since.as_str().into(), log_link(logs, night, &problem.cell), trace, what])
}

/// A text with its first lines open; of a long one the others are folded.
fn folded(text: &str) -> String {
    let at = text.match_indices('\n').map(|(at, _)| at).nth(OPEN - 1);
    match at.filter(|_| text.lines().count() > 2 * OPEN) {
        None => format!("<pre>{}</pre>", escape(text)),
        Some(at) => format!(
            "<pre>{}</pre><details><summary>{} more lines</summary><pre>{}</pre></details>",
            escape(&text[..at]),
            text.lines().count() - OPEN,
            escape(&text[at + 1..])
        ),
    }
}

/// The commands that find the commits of what is not in order: between the last night in which it was, and the first in which
/// it was not.
fn bisections(nights: &[Night], compared: Compared<'_>) -> String {
    let night = compared.night;
    let mut commands = Vec::new();
    for problem in night.problems.iter().filter(|problem| !problem.flaky && !problem.bisect.is_empty()) {
        let (first, before) = news::begun(nights, night, problem);
        let ends = before.and_then(|before| revision(&before.revision)).zip(revision(&first.revision));
        if let Some((good, bad)) = ends.filter(|(good, bad)| good != bad) {
            let new = first.night == night.night;
            // What a history from elsewhere has is shown as the words that it is.
            let Some(words) = shlex::split(&problem.bisect) else { continue };
            let words = words.iter().map(|word| visible::line(word).into_owned());
            let Ok(words) = shlex::try_join(words.collect::<Vec<_>>().iter().map(String::as_str)) else {
                continue;
            };
            let command = format!("parallax bisect --good {good} --bad {bad} {words}\n");
            let (trace, length) = (&*problem.trace, command.len());
            commands.push((!new, trace.starts_with("traces/bad/"), trace, length, command));
        }
    }
    // One of each trace, on the machine that takes the fewest words.
    commands.sort();
    commands.dedup_by_key(|(_, _, trace, ..)| *trace);
    if commands.is_empty() {
        return String::new();
    }
    let commands: String = commands.into_iter().take(BISECTIONS).map(|(.., command)| command).collect();
    format!("<h2>Which commit did that</h2><pre class=\"code\">{}</pre>\n", escape(commands.trim_end()))
}

/// The commits since the night before.
fn commits(compared: Compared<'_>, sources: &Sources) -> String {
    let Some(before) = compared.before else { return String::new() };
    let (then, now) = (&before.revision, &compared.night.revision);
    let Some((lines, more)) = sources.commits(then, now) else {
        let (then, now) = (escape(then), escape(now));
        return format!(
            "<p class=\"soft\">Git does not know here which commits lie between {then} and {now}, nor would a bisection: \
             git fetch first.</p>\n"
        );
    };
    if lines.is_empty() {
        return format!("<p class=\"soft\">No commit since night {}.</p>\n", before.night);
    }
    let count = lines.len() + more;
    let more = if more == 0 { String::new() } else { format!("\nand {more} more") };
    let text = escape(&(lines.join("\n") + &more));
    let night = before.night;
    format!(
        "<details><summary>{count} commits since night {night}</summary><pre class=\"code\">{text}</pre></details>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Fault;

    #[test]
    fn a_fault_that_was_caught_the_night_before_is_new() {
        let night = |faults: &[(&str, bool)]| {
            let faults =
                faults.iter().map(|(name, caught)| Fault { name: (*name).to_owned(), caught: *caught });
            Night { faults: faults.collect(), ..Night::begun(0, "r", "short", "1/1") }
        };
        let before = night(&[("a", true), ("b", false), ("d", true)]);
        let now = night(&[("a", false), ("b", false), ("c", false), ("d", true)]);
        let said = missed(Compared { night: &now, before: Some(&before) });
        let order = ["a<", "new", "b<", "still", "c<", "not tried before"];
        let places: Vec<usize> = order.iter().map(|part| said.find(part).expect("it is there")).collect();
        assert!(places.is_sorted() && !said.contains("d<"), "{said}");
        assert_eq!(missed(Compared { night: &before, before: None }).matches("not tried before").count(), 1);
    }

    #[test]
    fn a_long_text_is_folded() {
        let text = |count: usize| (1..=count).map(|line| format!("l{line}\n")).collect::<String>();
        assert!(!folded(&text(10)).contains("details"));
        let long = folded(text(11).trim());
        assert!(long.starts_with("<pre>l1\nl2\nl3\nl4\nl5</pre><details><summary>6 more lines"), "{long}");
        assert!(long.contains("<pre>l6\n"));
    }

    #[test]
    fn a_command_finds_the_commit_of_what_is_new_in_a_trace() {
        let problem = |trace: &str, flaky, options: &str| Problem {
            cell: "c".to_owned(),
            trace: trace.to_owned(),
            text: "why".to_owned(),
            flaky,
            bisect: if options == "none" { String::new() } else { format!("{options}--trace {trace}") },
            ..Problem::default()
        };
        let night = |id, revision: &str, problems: &[Problem]| Night {
            night: id,
            seconds: Some(1.0),
            problems: problems.to_vec(),
            ..Night::begun(0, revision, "short", "1/1")
        };
        let now = [
            problem("traces/good/a.trace", false, ""),
            problem("traces/good/b.trace", true, ""),
            problem("traces/good/c.trace", false, "--mode stream "),
            problem("traces/good/a.trace", false, "--mode stream "),
            problem("traces/good/d.trace; rm -rf ~", false, ""),
            problem("(all)", false, "none"),
        ];
        let said = |nights: &[Night]| bisections(nights, news::compared(nights, nights.len() - 1));
        let (good, bad) = ("v1-3-gabc", "v1-4-gdef-dirty");
        let commands = said(&[night(1, good, &[]), night(2, bad, &now)]);
        let ends = "parallax bisect --good v1-3-gabc --bad v1-4-gdef";
        assert!(commands.contains(&format!("{ends} --trace traces/good/a.trace")), "{commands}");
        assert!(
            commands.contains(&format!("{ends} --mode stream --trace traces/good/c.trace")),
            "{commands}"
        );
        assert!(commands.contains("--trace &#39;traces/good/d.trace;&#39; rm -rf &#39;~&#39;"), "{commands}");
        assert_eq!(commands.matches("parallax bisect").count(), 3);
        assert_eq!(said(&[night(1, "v1-4-gdef", &[]), night(2, bad, &now)]), "", "the same revision");
        assert_eq!(said(&[night(1, good, &now), night(2, bad, &now)]), "", "no night was in order");
        // What is not in order for more than a night began where it began.
        let later =
            said(&[night(1, good, &[]), night(2, "v1-4-gdef", &now[..1]), night(3, "v1-9-g123", &now)]);
        assert!(later.contains("--good v1-3-gabc --bad v1-4-gdef --trace traces/good/a.trace"), "{later}");
        assert!(later.contains("--good v1-4-gdef --bad v1-9-g123 --mode stream"), "{later}");
    }

    #[test]
    fn what_is_not_in_order_says_since_which_night() {
        let problem = Problem {
            cell: "c".to_owned(),
            trace: "t".to_owned(),
            text: "why".to_owned(),
            ..Problem::default()
        };
        let night = |id, wrong| Night {
            night: id,
            seconds: Some(1.0),
            problems: if wrong { vec![problem.clone()] } else { Vec::new() },
            ..Night::begun(0, "r", "short", "1/1")
        };
        let rows = |nights: &[Night]| {
            problems(nights, news::compared(nights, nights.len() - 1), Path::new("/nowhere"))
        };
        assert!(rows(&[night(1, true), night(2, false), night(3, true)]).contains(">new<"));
        let still = rows(&[night(1, true), night(2, false), night(3, true), night(4, true), night(5, true)]);
        assert!(still.contains(">night 3<") && still.contains("Nothing of it is new"), "{still}");
    }
}
