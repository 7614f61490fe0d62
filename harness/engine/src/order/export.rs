//! Events that are kept, to be written down with the function and line of each.

use std::collections::HashMap;

use parallax_addr::ImageVa;
use parallax_machine::symbols::Symbols;
use parallax_protocol::Event;
use parallax_protocol::casemate::{Form, plain, write};

use crate::event_text;

/// All events of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    events: Vec<Event>,
    /// Function, and file and line, of each instruction that is known.
    sources: HashMap<u64, Option<(String, String)>>,
    /// Pages that may be tables.
    pages: Vec<u64>,
}

impl Exported {
    pub(super) fn add(&mut self, event: &Event, symbols: Option<&Symbols>) {
        let source = self.sources.entry(event.pc);
        source.or_insert_with(|| symbols.and_then(|symbols| source_of(event.pc, symbols)));
        self.events.push(*event);
    }

    /// The events, with the pages that the checker follows.
    pub(super) fn finished(mut self, pages: Vec<u64>) -> Self {
        self.pages = pages;
        self
    }

    fn source(&self, pc: u64) -> Option<&(String, String)> {
        self.sources.get(&pc).and_then(Option::as_ref)
    }

    /// All of it: with what Casemate does not know (the SMMU, exception entry and return, operations). Without it, a check of
    /// the text could not come to the same verdict.
    #[must_use]
    pub fn events(&self) -> String {
        let sources = self.sources.iter().filter_map(|(pc, source)| {
            let (function, line) = source.as_ref()?;
            Some((*pc, format!("{function} {line}")))
        });
        let sources: HashMap<u64, String> = sources.collect();
        let mut text = String::new();
        for event in &self.events {
            write(&mut text, event, sources.get(&event.pc).map(String::as_str), Form::Named, true);
        }
        text
    }

    /// What Casemate itself takes.
    #[must_use]
    pub fn casemate(&self) -> String {
        let source = |pc| self.source(pc).map(|(function, line)| format!("{line} {function}"));
        plain(&self.events, &self.pages, source)
    }
}

fn source_of(pc: u64, symbols: &Symbols) -> Option<(String, String)> {
    let place = event_text::innermost(ImageVa::new(pc), symbols)?;
    let (file, line) = place.line?;
    Some((place.function, format!("{file}:{line}")))
}
