//! The links of a folder of pages: each must lead to a file that is there, and to a name in it where it names one.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use html5gum::{State, Token, Tokenizer};
use percent_encoding::percent_decode_str;

/// How much was looked at.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Links {
    pub(super) pages: usize,
    pub(super) links: usize,
}

/// Elements that hold text only, and how it is read.
const TEXTS: &[(&str, State)] = &[
    ("script", State::ScriptData),
    ("style", State::RawText),
    ("title", State::RcData),
    ("textarea", State::RcData),
];

/// A page.
#[derive(Debug, Default)]
struct Page {
    links: Vec<String>,
    names: BTreeSet<String>,
}

/// Follows the links of all pages of `folder` that stay on this machine; gives those that are dead, with their pages.
pub(super) fn check(folder: &Path) -> Result<(Links, BTreeSet<String>)> {
    let folder = folder.canonicalize().with_context(|| format!("cannot read {}", folder.display()))?;
    let mut pages = BTreeMap::new();
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "html") {
            let text =
                fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            pages.insert(path, read(&text));
        }
    }
    let (mut links, mut dead) = (0, BTreeSet::new());
    for (path, page) in &pages {
        for link in page.links.iter().filter(|link| stays(link)) {
            links += 1;
            if !leads(link, path, &pages) {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                dead.insert(format!("{name}: {link}"));
            }
        }
    }
    Ok((Links { pages: pages.len(), links }, dead))
}

/// What is in a page.
fn read(text: &str) -> Page {
    let mut page = Page::default();
    let mut tokens = Tokenizer::new(text);
    while let Some(token) = tokens.next() {
        let Ok(token): Result<Token, Infallible> = token;
        let Token::StartTag(tag) = token else { continue };
        // What looks like a tag in a script is none; what is there for who has no scripts counts.
        if let Some((_, state)) = TEXTS.iter().find(|(name, _)| name.as_bytes() == &tag.name[..]) {
            tokens.set_state(*state);
        }
        for (name, value) in tag.attributes {
            let value = String::from_utf8_lossy(&value).into_owned();
            match &name[..] {
                b"href" | b"src" if !value.is_empty() => page.links.push(value),
                b"id" => {
                    page.names.insert(value);
                }
                _ => {}
            }
        }
    }
    page
}

/// Whether a link is to a file here.
fn stays(link: &str) -> bool {
    let to = link.split('#').next().unwrap_or_default();
    !to.contains("://") && !["data:", "javascript:", "mailto:"].iter().any(|scheme| to.starts_with(scheme))
}

/// Whether `link` of the page at `path` leads to something.
fn leads(link: &str, path: &Path, pages: &BTreeMap<PathBuf, Page>) -> bool {
    let (to, name) = link.split_once('#').unwrap_or((link, ""));
    let file = match to {
        "" => Ok(path.to_owned()),
        to => path.with_file_name(plain(to)).canonicalize(),
    };
    let Ok(file) = file else { return false };
    name.is_empty() || pages.get(&file).is_none_or(|page| page.names.contains(&plain(name)))
}

/// A part of an address as it was before it was encoded.
fn plain(part: &str) -> String {
    percent_decode_str(part).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_dead_whose_file_or_name_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let docs = folder.path().join("docs");
        fs::create_dir(&docs).unwrap();
        fs::write(folder.path().join("a b.trace"), "").unwrap();
        fs::write(docs.join("two.html"), "<h1 id='over&amp;under'>Two</h1><a href=one.html#gone>x</a>")
            .unwrap();
        let one = "<title><a href='title.html'></title><h1 id=top>One</h1><noscript><img src='gone.png'></noscript><script>var a = '<a href=\"in-a-script.html\">';</script>
            <a href='two.html'>x</a><a href=\"two.html#over%26under\">x</a><A HREF='#top'>x</A>
            <a href='../a%20b.trace#anything'>x</a><img src='missing.png'><a href=''>x</a><!-- <a href=comment.html> -->
            <a href='two.html#over'>x</a><a href='#bottom'>x</a><a href='three.html'>x</a>
            <a href='https://example.org/no#where'>x</a><a href='data:text/plain,no'>x</a>";
        fs::write(docs.join("one.html"), one).unwrap();
        let (found, dead) = check(&docs).unwrap();
        assert_eq!(found, Links { pages: 2, links: 10 });
        let dead: Vec<&str> = dead.iter().map(String::as_str).collect();
        assert_eq!(
            dead,
            [
                "one.html: #bottom",
                "one.html: gone.png",
                "one.html: missing.png",
                "one.html: three.html",
                "one.html: two.html#over",
                "two.html: one.html#gone"
            ]
        );
    }
}
