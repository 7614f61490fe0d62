//! Events as a Casemate trace, with the function and line of each.

use std::collections::HashMap;

use parallax_addr::ImageVa;
use parallax_machine::symbols::Symbols;
use parallax_protocol::Event;
use parallax_protocol::casemate::{Form, write};

use crate::event_text;

/// The text of the events so far.
///
/// With what Casemate does not know (the SMMU, exception entry and return, operations): without it, a check of the
/// text could not come to the same verdict. Casemate passes over lines that it does not know.
#[derive(Debug, Default)]
pub(super) struct Export {
    text: String,
    sources: HashMap<u64, Option<String>>,
}

impl Export {
    pub(super) fn add(&mut self, event: &Event, symbols: Option<&Symbols>) {
        let source = self.sources.entry(event.pc);
        let source = source.or_insert_with(|| symbols.and_then(|symbols| source_of(event.pc, symbols)));
        write(&mut self.text, event, source.as_deref(), Form::Named, true);
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

fn source_of(pc: u64, symbols: &Symbols) -> Option<String> {
    let place = event_text::innermost(ImageVa::new(pc), symbols)?;
    let (file, line) = place.line?;
    Some(format!("{} {file}:{line}", place.function))
}
