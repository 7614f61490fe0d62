//! As much on a page as a comment takes.

use std::fmt::Write;

use super::escape::html;

/// GitHub takes comments of up to 65,536 characters; some are left for whoever posts it.
pub(super) const LIMIT: usize = 60_000;
/// What is left for the end of a part, and of the page.
const END: usize = 200;

/// A folded part of the page.
pub(super) struct Section {
    title: String,
    text: String,
}

impl Section {
    pub(super) fn new(label: &str, what: &str, inside: &str) -> Self {
        let title = format!("<code>{}</code>: {what}", html(label));
        let text = format!("\n<details><summary>{title}</summary>\n\n{inside}</details>\n");
        Self { title, text }
    }

    /// What its title takes in a list.
    const fn listed(&self) -> usize {
        self.title.len() + 6
    }
}

/// Sections that belong together.
pub(super) struct Part {
    /// What stands above them, always to be seen.
    pub(super) head: String,
    /// What they are folded under, all together.
    pub(super) fold: Option<String>,
    /// They.
    pub(super) sections: Vec<Section>,
}

impl Part {
    fn listed(&self) -> usize {
        let fold = self.fold.as_ref().map_or(0, |fold| fold.len() + 50);
        self.head.len() + fold + self.sections.iter().map(Section::listed).sum::<usize>()
    }
}

/// As many sections of `parts` as fit, the titles of the others, and `table` if that fits, too.
pub(super) fn pack(page: &mut String, parts: &[Part], table: &str) {
    // Behind each section there must be room for the titles of the others.
    let mut left = parts.iter().map(Part::listed).sum::<usize>().min(LIMIT / 2);
    for (index, part) in parts.iter().enumerate() {
        if page.len() + part.head.len() + 2 * END > LIMIT {
            let _infallible = writeln!(page, "\n… and {} more groups.", parts.len() - index);
            break;
        }
        left = left.saturating_sub(part.head.len());
        page.push_str(&part.head);
        if let Some(fold) = &part.fold {
            let _infallible = writeln!(page, "\n<details><summary>{fold}</summary>");
        }
        sections(page, &part.sections, &mut left);
        if part.fold.is_some() {
            page.push_str("\n</details>\n");
        }
    }
    if page.len() + table.len() + END / 2 <= LIMIT {
        page.push_str(table);
    } else {
        page.push_str("\nThe table of all traces is left out: too long.\n");
    }
}

fn sections(page: &mut String, mut rest: &[Section], left: &mut usize) {
    while let [section, others @ ..] = rest {
        *left = left.saturating_sub(section.listed());
        if page.len() + section.text.len() + *left + END > LIMIT {
            break;
        }
        page.push_str(&section.text);
        rest = others;
    }
    if rest.is_empty() {
        return;
    }
    let more = rest.len();
    let _infallible =
        writeln!(page, "\n{more} more, too long for one comment; `parallax run` shows them whole:\n");
    for (index, section) in rest.iter().enumerate() {
        if page.len() + section.title.len() + END > LIMIT {
            let _infallible = writeln!(page, "- … and {} more", rest.len() - index);
            break;
        }
        let _infallible = writeln!(page, "- {}", section.title);
    }
}
