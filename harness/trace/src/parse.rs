//! From lines to a [`Trace`]: what the words mean.

use std::ops::Range;

use parallax_abi::fault::Fault;
use parallax_addr::Expr;
use parallax_ops::{CpuId, Kind, Outcome, Param, Row, Schedule, row, rows};

use crate::error::{Problem, TraceError};
use crate::never_at_once;
use crate::op::{AtOnce, Op};
use crate::similar_name::similar;
use crate::spec::{self, MachineSpec};
use crate::syntax::{Expectation, Item, Line, parse_expr, parse_line, parse_number};
use crate::trace::Trace;
use crate::words::{self, WORDS, Word, place};

/// Words that a line can begin with and that are no operations.
const OTHERS: [&str; 4] = ["fault", "machine", "together", "end"];

/// Most operations that are performed at once: all orders of them are tried.
const MOST_AT_ONCE: usize = 4;

impl Trace {
    /// Reads the text of a trace; `path` is for messages only.
    ///
    /// # Errors
    /// The first thing that is malformed.
    pub fn parse(path: &str, text: &str) -> Result<Self, TraceError> {
        trace(path, text)
    }

    /// Changes the machine: `keys` is written as behind the word `machine`.
    ///
    /// # Errors
    /// A key or a value that does not fit.
    pub fn change_machine(&mut self, keys: &str) -> Result<(), TraceError> {
        self.machine = machine(self.machine.clone(), keys)?;
        let cpus = u64::from(self.machine.cpus);
        match self.ops.iter().find(|op| op.cpu >= cpus) {
            Some(op) => Err(too_few_cpus(keys, op.line)),
            None => Ok(()),
        }
    }
}

/// Reads a whole trace.
fn trace(path: &str, text: &str) -> Result<Trace, TraceError> {
    // A mark of the order of bytes says nothing.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader { fault: None, machine: None, ops: Vec::new(), open: None, at: 0 };
    for (index, source) in text.lines().enumerate() {
        let number = index + 1;
        reader.at = number;
        let line = parse_line(source).and_then(|line| reader.take(number, &line));
        line.map_err(|problem| {
            let source = text.lines().nth(reader.at - 1).unwrap_or(source);
            TraceError::new(path, reader.at, source, problem)
        })?;
    }
    let Reader { fault, machine, ops, open, .. } = reader;
    if let Some(open) = open {
        let source = text.lines().nth(open.line - 1).unwrap_or_default();
        let problem =
            Problem::new(0..source.len(), "`together` without an end", "`end` behind its operations");
        return Err(TraceError::new(path, open.line, source, problem));
    }
    if ops.is_empty() {
        let last = text.lines().count().max(1);
        let source = text.lines().last().unwrap_or_default();
        let problem =
            Problem::new(source.len()..source.len(), "the end of the trace", "at least one operation");
        return Err(TraceError::new(path, last, source, problem));
    }
    let mut machine = machine.unwrap_or_default();
    machine.hyp.fault = fault;
    machine.faults_build = fault.is_some();
    Ok(Trace { path: path.to_owned(), fault, machine, ops })
}

/// Reads `keys`, written as behind the word `machine`, on top of `config`.
fn machine(config: MachineSpec, keys: &str) -> Result<MachineSpec, TraceError> {
    let machine = parse_line(keys).and_then(|line| {
        no_result(&line)?;
        spec::parse(config, &line.items)
    });
    machine.map_err(|problem| TraceError::new("machine", 1, keys, problem))
}

/// The machine that `keys` make has fewer CPUs than the operation at `line` needs.
fn too_few_cpus(keys: &str, line: usize) -> TraceError {
    let problem =
        Problem::new(0..keys.len(), "too few CPUs", format!("as many as line {line} of the trace uses"));
    TraceError::new("machine", 1, keys, problem)
}

struct Reader {
    fault: Option<Fault>,
    machine: Option<MachineSpec>,
    ops: Vec<Op>,
    /// A `together` that has no `end` yet.
    open: Option<Open>,
    /// The line that a problem is in.
    at: usize,
}

/// Operations that are performed at once, as far as they are read.
struct Open {
    line: usize,
    /// Which operation is the first of them.
    first: usize,
    schedule: Schedule,
    /// Where that stands in its line.
    span: Range<usize>,
}

impl Reader {
    fn take(&mut self, number: usize, line: &Line<'_>) -> Result<(), Problem> {
        let Some(first) = line.items.first() else {
            return match &line.result {
                Some(result) => Err(Problem::new(result.arrow.clone(), "`=>`", "an operation before it")),
                None => Ok(()),
            };
        };
        match (&first.key, first.value.text) {
            (None, "fault") => self.fault(line),
            (None, "machine") => self.machine(line),
            (None, "together") => self.together(number, line),
            (None, "end") => self.end(line),
            _ => {
                let cpus = u64::from(self.machine.as_ref().map_or(1, |machine| machine.cpus));
                let op = operation(number, line, cpus)?;
                if let Some(open) = &self.open
                    && self.ops[open.first..].iter().any(|other| other.cpu == op.cpu)
                {
                    let found = format!("a second operation of CPU {}", op.cpu);
                    return Err(Problem::new(
                        first.span(),
                        found,
                        "one for each CPU between `together` and `end`",
                    ));
                }
                if let Some(open) = &self.open {
                    never_at_once::check(&op, &self.ops[open.first..], line)?;
                }
                self.ops.push(op);
                Ok(())
            }
        }
    }

    /// `together [SCHEDULE]`
    fn together(&mut self, number: usize, line: &Line<'_>) -> Result<(), Problem> {
        no_result(line)?;
        let span = line.items[0].span();
        if self.open.is_some() {
            return Err(Problem::new(span, "`together`", "`end` of the last one first"));
        }
        let (schedule, span, rest) = match &line.items[1..] {
            [Item { key: None, value }, rest @ ..] => {
                let schedule = value.text.parse().map_err(|expected: String| {
                    Problem::new(value.span.clone(), format!("`{}`", value.text), expected)
                })?;
                (schedule, value.span.clone(), rest)
            }
            rest => (Schedule::default(), span, rest),
        };
        if let Some(more) = rest.first() {
            let key = more.key.as_ref().map_or_else(String::new, |key| format!("{}=", key.text));
            let expected = "`together [SCHEDULE]` alone: its operations are the lines below, up to `end`";
            return Err(Problem::new(more.span(), format!("`{key}{}`", more.value.text), expected));
        }
        self.open = Some(Open { line: number, first: self.ops.len(), schedule, span });
        Ok(())
    }

    fn end(&mut self, line: &Line<'_>) -> Result<(), Problem> {
        no_result(line)?;
        let span = line.items[0].span();
        if let Some(more) = line.items.get(1) {
            return Err(Problem::new(more.span(), format!("`{}`", more.value.text), "nothing behind `end`"));
        }
        let Some(Open { line: opened, first, schedule, span: turns }) = self.open.take() else {
            return Err(Problem::new(span, "`end`", "`together` before it"));
        };
        let count = self.ops.len() - first;
        if !(2..=MOST_AT_ONCE).contains(&count) {
            let expected = format!("2 to {MOST_AT_ONCE} operations between `together` and `end`");
            return Err(Problem::new(span, format!("{count}"), expected));
        }
        let known = |cpu: &CpuId| self.ops[first..].iter().any(|op| op.cpu == cpu.get());
        if let Some(cpu) = schedule.turns().iter().find(|cpu| !known(cpu)) {
            let found = format!("a turn of CPU {}", cpu.get());
            self.at = opened;
            return Err(Problem::new(turns, found, "turns of the CPUs that have an operation here"));
        }
        self.ops[first].at_once = Some(AtOnce { count, schedule });
        Ok(())
    }

    fn fault(&mut self, line: &Line<'_>) -> Result<(), Problem> {
        no_result(line)?;
        let span = line.items[0].span();
        if self.fault.is_some() || self.machine.is_some() || !self.ops.is_empty() {
            return Err(Problem::new(span, "`fault`", "it once, before everything else"));
        }
        let [_, name] = line.items.as_slice() else {
            return Err(Problem::new(line.end..line.end, "no single name", "`fault NAME`"));
        };
        let fault = Fault::from_name(name.value.text).filter(|_| name.key.is_none());
        self.fault = Some(fault.ok_or_else(|| {
            let names = Fault::ALL.iter().map(|fault| fault.name());
            let expected = match similar(name.value.text, names) {
                Some(meant) => format!("the name of a fault: did you mean `{meant}`?"),
                None => "the name of a fault (`parallax faults` lists them)".to_owned(),
            };
            Problem::new(name.span(), format!("`{}`", name.value.text), expected)
        })?);
        Ok(())
    }

    fn machine(&mut self, line: &Line<'_>) -> Result<(), Problem> {
        no_result(line)?;
        if self.machine.is_some() || !self.ops.is_empty() {
            let span = line.items[0].span();
            return Err(Problem::new(span, "`machine`", "it once, before the first operation"));
        }
        self.machine = Some(spec::parse(MachineSpec::default(), &line.items[1..])?);
        Ok(())
    }
}

fn no_result(line: &Line<'_>) -> Result<(), Problem> {
    match &line.result {
        Some(result) => {
            Err(Problem::new(result.arrow.clone(), "`=>`", "no result: nothing is performed here"))
        }
        None => Ok(()),
    }
}

/// `[cpu=N] NAME key=value... [=> RESULT]`, or a word and what follows it instead of name and keys.
fn operation(number: usize, line: &Line<'_>, cpus: u64) -> Result<Op, Problem> {
    let (cpu, items) = match line.items.split_first() {
        Some((Item { key: Some(key), value }, rest)) if key.text == "cpu" => {
            let expected = match cpus {
                1 => "CPU 0, the only one (`machine cpus=2` before all operations: there are two)".to_owned(),
                _ => format!("a CPU of this machine, 0 to {}", cpus - 1),
            };
            let cpu = parse_number(value, &expected)?;
            if cpu >= cpus {
                return Err(Problem::new(value.span.clone(), format!("`{}`", value.text), expected));
            }
            (cpu, rest)
        }
        _ => (0, line.items.as_slice()),
    };
    let Some((name, arguments)) = items.split_first() else {
        return Err(Problem::new(line.end..line.end, "the end of the line", "the name of an operation"));
    };
    let word = Word::named(name.value.text).filter(|_| name.key.is_none());
    let (row, args) = match word {
        Some(word) => (word.row(), words::read(word, arguments, line.end)?),
        None => {
            let row = row(name.value.text).filter(|_| name.key.is_none()).ok_or_else(|| unknown(name))?;
            (row, self::arguments(row, arguments, line.end)?)
        }
    };
    let mut op = Op { line: number, cpu, word, row, args, expect: None, at_once: None };
    op.expect = line.result.as_ref().map(|result| expectation(&op, result)).transpose()?;
    Ok(op)
}

fn unknown(name: &Item<'_>) -> Problem {
    let names: Vec<&str> = rows().map(|row| row.name).chain(WORDS.iter().map(|word| word.name)).collect();
    let all = names.iter().copied().chain(OTHERS);
    let expected = match similar(name.value.text, all).filter(|_| name.key.is_none()) {
        Some(meant) => format!("an operation: did you mean `{meant}`?"),
        None => format!("an operation (one of {})", names.join(", ")),
    };
    let text = name.key.as_ref().map_or(format!("`{}`", name.value.text), |key| format!("`{}=`", key.text));
    Problem::new(name.span(), text, expected)
}

fn arguments(row: &Row, items: &[Item<'_>], end: usize) -> Result<Vec<Expr>, Problem> {
    let mut values: Vec<Option<Expr>> = vec![None; row.params.len()];
    for item in items {
        let key = item.key.as_ref().ok_or_else(|| {
            Problem::new(item.span(), format!("`{}`", item.value.text), argument_names(row))
        })?;
        let Some(index) = row.params.iter().position(|param| param.name == key.text) else {
            return Err(Problem::new(key.span.clone(), format!("`{}=`", key.text), argument_names(row)));
        };
        if values[index].is_some() {
            return Err(Problem::new(item.span(), format!("a second `{}=`", key.text), "each argument once"));
        }
        values[index] = Some(argument(&row.params[index], item)?);
    }
    let filled = row.params.iter().zip(values).map(|(param, value)| {
        value.or(param.default.map(Expr::number)).ok_or_else(|| {
            let expected = format!("`{}=` ({} needs it)", param.name, row.name);
            Problem::new(end..end, "the end of the arguments", expected)
        })
    });
    filled.collect()
}

fn argument_names(row: &Row) -> String {
    let names: Vec<String> = row.params.iter().map(|param| format!("{}=", param.name)).collect();
    match names.as_slice() {
        [] => format!("nothing: {} takes no arguments", row.name),
        names => format!("an argument of {}: {}", row.name, names.join(", ")),
    }
}

fn argument(param: &Param, item: &Item<'_>) -> Result<Expr, Problem> {
    let within = |expected: &str, fits: fn(u64) -> bool| {
        let number = parse_number(&item.value, expected)?;
        let wrong = || Problem::new(item.value.span.clone(), format!("`{}`", item.value.text), expected);
        fits(number).then_some(Expr::number(number)).ok_or_else(wrong)
    };
    match param.kind {
        Kind::Frame | Kind::Address => place(&item.value),
        Kind::Count => within("a number of pages", |_| true),
        Kind::Value => match parse_expr(&item.value) {
            Ok(expr) if expr.base.is_some() => place(&item.value),
            _ => within("a number of at most 64 bits", |_| true),
        },
        Kind::Size => within("a size of 1, 2, 4 or 8 bytes", |size| matches!(size, 1 | 2 | 4 | 8)),
        Kind::Length => within("a length from 8 to 4096 bytes", |length| (8..=4096).contains(&length)),
        Kind::Stream => within("a StreamID", |sid| u32::try_from(sid).is_ok()),
    }
}

/// What stands behind `=>`.
fn expectation(op: &Op, result: &Expectation<'_>) -> Result<Outcome, Problem> {
    let expected = || format!("a result: one of {}", Outcome::names());
    let Some((name, rest)) = result.items.split_first() else {
        return Err(Problem::new(result.arrow.clone(), "nothing behind `=>`", expected()));
    };
    let outcome = Outcome::from_name(name.value.text)
        .filter(|_| name.key.is_none())
        .ok_or_else(|| Problem::new(name.span(), format!("`{}`", name.value.text), expected()))?;
    let gives_value = op.gives_value();
    match (rest, &outcome) {
        ([], _) => Ok(outcome),
        ([Item { key: Some(key), value }], Outcome::Ok { .. }) if key.text == "value" && gives_value => {
            Ok(Outcome::Ok { value: Some(parse_number(value, "a number of at most 64 bits")?) })
        }
        ([item, ..], _) => {
            let expected = match gives_value {
                true => "nothing more, or `ok value=NUMBER`".to_owned(),
                false => format!("nothing more: {} gives no value", op.name()),
            };
            Err(Problem::new(item.span(), "more behind the result", expected))
        }
    }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
