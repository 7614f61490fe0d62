//! The modules of a crate depend on each other in one direction.
//!
//! What is looked at are the modules directly under `src` of each crate of the harness and of `hyp/core`. An arrow goes
//! from the module that names another one (`crate::other`, or `super::other` from the top) to that other one; through a
//! `pub use` of the root it goes to the module behind. Tests are left out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

/// Stands for what is written in `lib.rs` itself.
const ROOT: &str = "lib.rs";

/// A fault stands at a seam: what has the seam calls it, and it knows what it breaks.
const SEAMS: &str = "faulty";

/// Arrows from module to module, each with a place where it is.
type Arrows = BTreeMap<String, BTreeMap<String, String>>;

#[test]
fn no_crate_has_a_circle() {
    let root = Path::new("../..").canonicalize().expect("the root of the workspace");
    let mut crates: Vec<PathBuf> = fs::read_dir(root.join("harness"))
        .expect("the harness")
        .map(|entry| entry.expect("a folder").path())
        .collect();
    crates.push(root.join("hyp/core"));
    crates.sort();
    let mut all = String::new();
    let mut arrows = 0;
    for folder in crates.iter().filter(|folder| folder.join("src/lib.rs").is_file()) {
        let found = Source::read(&folder.join("src")).arrows();
        arrows += found.values().map(BTreeMap::len).sum::<usize>();
        for circle in circles(&found) {
            all += &format!(
                "{}:{}\n",
                folder.strip_prefix(&root).expect("below").display(),
                told(&circle, &found)
            );
        }
    }
    assert!(arrows > 300, "only {arrows} arrows seen");
    assert!(all.is_empty(), "modules that depend on each other in a circle:\n{all}");
}

#[test]
fn a_circle_is_seen_whatever_way_it_is_written() {
    let source = |files: &[(&str, &str)]| {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
        circles(&Source::read(folder.path()).arrows()).first().map(|circle| circle.join(" "))
    };
    let root = "mod a;\nmod b;\npub use b::Word;\n";
    let with = |a: &str, b: &str| source(&[("lib.rs", root), ("a.rs", a), ("b.rs", b)]);
    let back = "use crate::a::Thing;\n";
    for a in [
        "use crate::b::Word;\n",
        "use crate::{\n    b::Word,\n};\n",
        "use crate::Word;\n",
        "use super::b;\n",
        "use super::{b, Other};\n",
        "fn f() -> crate::b::Word {\n    1\n}\n",
    ] {
        assert_eq!(with(a, back).as_deref(), Some("a b"), "{a}");
    }
    for a in [
        "// crate::b\n",
        "/// [`crate::b::Word`]\nfn f() {}\n",
        "#[cfg(test)]\nmod tests {\n    use crate::b::Word;\n}\n",
        "#[cfg(test)]\nuse crate::b::Word;\n",
        "use std::b;\nmod crates {}\n",
    ] {
        assert_eq!(with(a, back), None, "{a}");
    }
    let deep =
        [("lib.rs", root), ("a/mod.rs", "mod c;\n"), ("a/c.rs", "use super::super::b;\n"), ("b.rs", back)];
    assert_eq!(source(&deep).as_deref(), Some("a b"));
    let own = [("lib.rs", "mod a;\npub struct Own(a::Thing);\n"), ("a.rs", "use crate::Own;\n")];
    assert_eq!(source(&own).as_deref(), Some("a lib.rs"));
}

/// The modules of a crate, tests left out.
struct Source {
    /// Text of each file with its path, and how deep it is: 0 for the root.
    files: Vec<(PathBuf, String, usize)>,
    /// The modules directly under the root.
    modules: BTreeSet<String>,
    /// What the root gives names to, and the module behind each name.
    given: BTreeMap<String, String>,
}

impl Source {
    fn read(src: &Path) -> Self {
        let mut source = Self { files: Vec::new(), modules: BTreeSet::new(), given: BTreeMap::new() };
        let root = src.join("lib.rs");
        let text = without_tests(&fs::read_to_string(&root).expect("lib.rs"));
        source.modules = children(&text).into_iter().collect();
        let mut own = String::new();
        for statement in text.split_inclusive(';') {
            match statement.rfind("pub use ") {
                Some(at) => {
                    own += &statement[..at];
                    source.give(&statement[at + "pub use ".len()..]);
                }
                None => own += statement,
            }
        }
        source.add(&root, own, 0, src, &text);
        for (path, text, _) in &source.files {
            let names: Vec<&str> = text.split("macro_rules! ").skip(1).map(identifier).collect();
            let module = module_of(src, path);
            source.given.extend(names.into_iter().map(|name| (name.to_owned(), module.clone())));
        }
        source
    }

    /// Adds a file and the modules that `text` declares; `below` is the folder that holds them.
    fn add(&mut self, path: &Path, own: String, depth: usize, below: &Path, text: &str) {
        self.files.push((path.to_owned(), own, depth));
        for child in children(text) {
            let file = [below.join(format!("{child}.rs")), below.join(&child).join("mod.rs")];
            let file = file
                .into_iter()
                .find(|file| file.is_file())
                .unwrap_or_else(|| panic!("{}: no module {child}", path.display()));
            let text = without_tests(&fs::read_to_string(&file).expect("a file"));
            self.add(&file, text.clone(), depth + 1, &below.join(&child), &text);
        }
    }

    /// Notes the names that `pub use {what}` gives.
    fn give(&mut self, what: &str) {
        let what = what.trim_start().trim_start_matches("self::").trim_start_matches("crate::");
        let module = identifier(what).to_owned();
        if self.modules.contains(&module) {
            let names = what[module.len()..].split(|c: char| !is_word(c)).filter(|name| !name.is_empty());
            self.given.extend(names.map(|name| (name.to_owned(), module.clone())));
        }
    }

    fn arrows(&self) -> Arrows {
        let mut arrows = Arrows::new();
        let src = self.files[0].0.parent().expect("a folder");
        for (path, text, depth) in &self.files {
            let from = module_of(src, path);
            for (at, name) in names(text, *depth, &self.modules) {
                let to = if self.modules.contains(name) {
                    name
                } else {
                    self.given.get(name).map_or(ROOT, String::as_str)
                };
                if to != from && to != SEAMS {
                    let line = text[..at].lines().count().max(1);
                    let place = format!("{}:{line}", path.strip_prefix(src).expect("below").display());
                    arrows.entry(from.clone()).or_default().entry(to.to_owned()).or_insert(place);
                }
            }
        }
        arrows
    }
}

/// The first name of each path from the root, and where it stands.
fn names<'a>(text: &'a str, depth: usize, modules: &BTreeSet<String>) -> Vec<(usize, &'a str)> {
    let mut found = Vec::new();
    let begin = |at: usize| !text[..at].ends_with(is_word) && !text[..at].ends_with("::");
    for (at, _) in text.match_indices("crate::").filter(|(at, _)| begin(*at)) {
        found.extend(first_names(text, at + "crate::".len()));
    }
    let up = "super::".repeat(depth);
    if depth > 0 {
        let places = text.match_indices(&up).filter(|(at, _)| begin(*at));
        places.for_each(|(at, _)| found.extend(first_names(text, at + up.len())));
    } else {
        for (at, _) in text.match_indices("::") {
            let start = text[..at].rfind(|c| !is_word(c)).map_or(0, |before| before + 1);
            let name = &text[start..at];
            if modules.contains(name) && !text[..start].ends_with("::") {
                found.push((start, name));
            }
        }
    }
    found
}

/// The names that a path can begin with at `at`: one, or those in braces.
fn first_names(text: &str, at: usize) -> Vec<(usize, &str)> {
    if !text[at..].starts_with('{') {
        return vec![(at, identifier(&text[at..]))];
    }
    let (mut found, mut level, mut fresh) = (Vec::new(), 0, true);
    for (offset, c) in text[at..].char_indices() {
        match c {
            '{' => level += 1,
            '}' if level == 1 => break,
            '}' => level -= 1,
            ',' if level == 1 => fresh = true,
            c if fresh && is_word(c) => {
                found.push((at + offset, identifier(&text[at + offset..])));
                fresh = false;
            }
            _ => (),
        }
    }
    found
}

/// `text` without comments and without what is compiled for tests only; lines stay where they are.
fn without_tests(text: &str) -> String {
    let mut kept = String::new();
    // The indentation of an item that is left out, once its first line is past.
    let mut left_out: Option<usize> = None;
    let mut begun = false;
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let code = line.split("//").next().unwrap_or_default();
        match left_out {
            Some(at) => {
                let closes = indent == at && line.trim_start().starts_with(['}', ')', ']']);
                let whole =
                    !begun && !line.trim_start().starts_with("#[") && code.trim_end().ends_with([';', '}']);
                begun |= !line.trim_start().starts_with("#[");
                if closes || whole {
                    left_out = None;
                }
            }
            None if line.trim_start().starts_with("#[cfg(test)]") => {
                (left_out, begun) = (Some(indent), false)
            }
            None => kept += code,
        }
        kept += "\n";
    }
    kept
}

/// The modules that `text` declares in files of their own.
fn children(text: &str) -> Vec<String> {
    let declared = text.lines().filter_map(|line| {
        let line = line.trim_start();
        let line = line
            .strip_prefix("pub ")
            .or_else(|| line.strip_prefix("pub(crate) "))
            .or_else(|| line.strip_prefix("pub(super) "))
            .unwrap_or(line);
        line.strip_prefix("mod ")?.trim_end().strip_suffix(';')
    });
    declared.map(str::to_owned).collect()
}

/// The module directly under `src` that the file at `path` belongs to.
fn module_of(src: &Path, path: &Path) -> String {
    let below = path.strip_prefix(src).expect("below");
    let first = below.iter().next().expect("a name").to_string_lossy().into_owned();
    if first == ROOT { first } else { first.trim_end_matches(".rs").to_owned() }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn identifier(text: &str) -> &str {
    &text[..text.find(|c| !is_word(c)).unwrap_or(text.len())]
}

/// For each module in a circle a shortest one, beginning with its first module by name.
fn circles(arrows: &Arrows) -> BTreeSet<Vec<String>> {
    arrows.keys().filter_map(|start| way_back(arrows, start)).map(from_first).collect()
}

/// A shortest way from `start` back to it.
fn way_back(arrows: &Arrows, start: &str) -> Option<Vec<String>> {
    let mut ways = VecDeque::from([vec![start]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        for next in arrows.get(way[way.len() - 1]).into_iter().flat_map(BTreeMap::keys) {
            if next == start {
                return Some(way.into_iter().map(str::to_owned).collect());
            }
            if seen.insert(next.as_str()) {
                ways.push_back(way.iter().copied().chain([next.as_str()]).collect());
            }
        }
    }
    None
}

fn from_first(mut circle: Vec<String>) -> Vec<String> {
    let first = (0..circle.len()).min_by_key(|at| circle[*at].clone()).unwrap_or_default();
    circle.rotate_left(first);
    circle
}

/// A circle for a person, with a place of each arrow.
fn told(circle: &[String], arrows: &Arrows) -> String {
    let next = circle.iter().cycle().skip(1);
    let steps =
        circle.iter().zip(next).map(|(from, to)| format!("\n  {from} -> {to} ({})", arrows[from][to]));
    steps.collect()
}
