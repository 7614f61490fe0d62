//! The checker whose format we write has its own opinion of what the hypervisor does, where it is installed.

use std::fs;
use std::time::Instant;

use parallax_machine::programs::find_program;
use parallax_machine::scratch::Scratch;

use super::{AtWork, good};
use crate::child::Done;
use crate::error::NightError;
use crate::history::Problem;
use crate::plan::CASEMATE;
use crate::plan::known::{CASEMATE_MOST, CASEMATE_REFUSES};

impl AtWork<'_> {
    pub(super) fn casemate(&mut self, every: usize) -> Result<(), NightError> {
        let program = ["casemate-check", "casemate"].into_iter().find_map(find_program);
        let Some(program) = program else {
            (self.tell)(&format!("NOT RUN: {CASEMATE}: there is no casemate-check on the PATH"));
            return Ok(());
        };
        (self.tell)(CASEMATE);
        let begin = Instant::now();
        let log = self.log(CASEMATE);
        let folder = Scratch::new().map_err(NightError::io(&log))?;
        let events = folder.path().join("events.cm");
        let mut taken = 0;
        for trace in good(&self.runner.root)?.iter().step_by(every) {
            let _ = fs::remove_file(&events);
            let file = events.display().to_string();
            let words = ["run", "--no-golden", trace, "--export", "casemate", &file].map(str::to_owned);
            self.parallax(CASEMATE, &words, &[])?;
            let size = fs::metadata(&events).map(|events| events.len()).ok();
            if size.is_some_and(|size| size > CASEMATE_MOST) {
                let text = format!("{trace}: its events take more than {CASEMATE_MOST} bytes");
                (self.tell)(&format!("NOT JUDGED by Casemate: {text}"));
                continue;
            }
            let done = match size {
                Some(_) => self.runner.run(&program, &["-q".to_owned(), file], &[], &log)?,
                None => Done { status: 1, error: "it has no events".to_owned(), ..Done::default() },
            };
            taken += u64::from(done.status == 0);
            let said = done.last_line();
            let known = CASEMATE_REFUSES.iter().find(|(refused, _)| refused == trace);
            if known.map_or(done.status != 0, |(_, words)| !said.contains(words)) {
                let text =
                    if said.is_empty() { format!("exit status {}", done.status) } else { said.to_owned() };
                let (cell, trace) = (CASEMATE.to_owned(), trace.clone());
                self.problem(&Problem { cell, trace, text, ..Problem::default() })?;
            }
        }
        self.done(CASEMATE, [taken, 0], begin.elapsed().as_secs_f64(), 0)
    }
}
