//! The sessions in docs/gdb.md go as they are written there. `UPDATE_DOCS=1` writes them anew.

use std::fs;

use tempfile::TempDir;

use super::dap::ARGUMENTS;
use super::server::{Server, record, root};

/// What a session's commands stand behind.
const PROMPT: &str = "(gdb) ";
const FENCE: &str = "```text\n";

/// The sessions of `page`: where each begins and ends.
fn sessions(page: &str) -> Vec<(usize, usize)> {
    let starts = page.match_indices(FENCE).map(|(at, _)| at + FENCE.len());
    let blocks = starts.map(|start| (start, start + page[start..].find("```").expect("an end")));
    blocks.filter(|&(start, end)| page[start..end].contains(PROMPT)).collect()
}

/// `text` without what another compiler may place elsewhere: addresses, and the compiler's own files.
fn without_places(text: &str) -> String {
    let line = |line: &str| {
        let words = line.split_inclusive(|c: char| !c.is_ascii_alphanumeric());
        let long = |word: &str| word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()).len() > 6;
        let number = |word: &str| {
            let digits = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
            digits.starts_with("0x") || digits.chars().all(|c| c.is_ascii_digit())
        };
        words.map(|word| if long(word) && number(word) { "N" } else { word }).collect::<String>()
    };
    let mut library = false;
    let mut out = String::new();
    for text in text.lines() {
        let (start, _) = text.split_once(" at library/").unwrap_or((text, ""));
        // The line behind the one that names a file is a line of it.
        let start = if library { start.trim_start_matches(|c: char| c.is_ascii_digit()) } else { start };
        library = start.len() < text.len() && text.contains(" at library/");
        out += &(line(start) + "\n");
    }
    out
}

/// The address behind the first `mark` of `text`.
fn address<'a>(text: &'a str, mark: &str) -> &'a str {
    text.split_once(mark).map_or("", |(_, rest)| rest.split([' ', ')', '\n']).next().unwrap_or_default())
}

/// Has `server` do what `session` does. `elsewhere` are addresses of the session that are others here.
fn play(server: &Server, session: &str, elsewhere: &[(String, String)]) -> String {
    let mut script = "set width 0\n".to_owned();
    for command in session.lines().filter_map(|line| line.strip_prefix(PROMPT)) {
        let here = elsewhere.iter().fold(command.to_owned(), |text, (there, here)| text.replace(there, here));
        script += &format!("echo {PROMPT}{here}\\n\n{here}\n");
    }
    let text = server.gdb(&script);
    // Loading symbols is not what the sessions show, nor is the end.
    let shown = text.lines().filter(|line| {
        !line.starts_with("add symbol")
            && !line.starts_with("The target arch")
            && !line.starts_with("[Inferior 1")
    });
    // The compiler's own files are called otherwise where it came with its library.
    shown.map(|line| line.replace("/rust/library/", "library/") + "\n").collect()
}

#[test]
fn the_documented_sessions_are_real() {
    let path = root().join("docs/gdb.md");
    let mut page = fs::read_to_string(&path).unwrap();
    let folder = TempDir::new().unwrap();
    let recording = record(&folder, "donate", &[]);
    let found = sessions(&page);
    assert_eq!(found.len(), 2, "one on a recording, one on a live run");
    for (source, index) in [(recording.as_str(), 0), ("traces/good/donate.trace", 1)] {
        let (start, end) = sessions(&page)[index];
        let session = page[start..end].to_owned();
        let server = Server::start(&[source, "--port", "0"]);
        // The descriptor and the page's state, which the sessions watch.
        let probe = server.gdb("monitor op 4\nmonitor s2 ram+0x20000\nmonitor op 0\nmonitor page ram+0x20\n");
        let mut elsewhere = Vec::new();
        if index == 0 {
            let at = |text| address(text, "L3 entry at ").to_owned();
            elsewhere.push((at(&session), at(&probe)));
        } else {
            let watched = address(&session, "watch *(unsigned long *)").to_owned();
            elsewhere.push((watched, address(&probe, "(word at ").to_owned()));
        }
        drop(server);
        let server = Server::start(&[source, "--port", "0"]);
        let real = play(&server, &session, &elsewhere);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            page.replace_range(start..end, &real);
        } else {
            assert_eq!(
                without_places(&session),
                without_places(&real),
                "UPDATE_DOCS=1 writes it anew:\n{real}"
            );
        }
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, page).unwrap();
    }
}

#[test]
fn the_documented_settings_of_editors_are_what_the_tests_use() {
    let page = fs::read_to_string(root().join("docs/gdb.md")).unwrap();
    let blocks = |language: &str| {
        let fence = format!("```{language}\n");
        let parts = page.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
        parts.collect::<Vec<String>>()
    };
    let [json, lua] = ["json", "lua"].map(blocks);
    assert_eq!((json.len(), lua.len()), (2, 1));
    for text in &json {
        serde_json::from_str::<serde_json::Value>(text).expect(text);
    }
    let arguments =
        ARGUMENTS.map(|word| format!("\"{word}\", ")).concat() + "\"/tmp/parallax-gdb-1000/1234/editor.gdb\"";
    for text in [&json[0], &lua[0]] {
        assert!(text.contains(&arguments), "no {arguments} in\n{text}");
    }
    for (text, attach) in
        [(&json[1], "\"request\": \"attach\", \"target\": "), (&lua[0], "request = \"attach\", target = ")]
    {
        assert!(text.contains(attach), "no {attach} in\n{text}");
    }
}
