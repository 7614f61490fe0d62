//! Reading: from lists to [`Event`]s.

use std::io::{self, Read};

use parallax_addr::PhysAddr;

use super::fields::Fields;
use super::place::Place;
use super::sexp::{Error, Item, Reader, unescape};
use crate::event::{Barrier, DcOp, Dsb, Event, GicRegister, HintKind, Kind, Sysreg};
use crate::map::Map;
use crate::tlbi::TlbiOp;

/// Events that one file may hold.
const MAX_EVENTS: usize = 50_000_000;
/// Bytes that are read at a time.
const PIECE: usize = 1 << 18;
/// Bytes of an event or of a verdict, spaces and all.
const MAX_EVENT: usize = 1 << 20;

/// A Casemate file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// Its events; `pc` is the number of the `src` in [`Log::sources`], from 1, or 0 where there is none.
    pub events: Vec<Event>,
    /// What the `src` fields say.
    pub sources: Sources,
}

/// What the `src` fields of a file say, each different one once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources(Vec<String>);

impl Sources {
    /// The `src` of an event with this `pc`.
    #[must_use]
    pub fn get(&self, pc: u64) -> Option<&str> {
        let index = usize::try_from(pc.checked_sub(1)?).ok()?;
        self.0.get(index).map(String::as_str)
    }
}

impl Log {
    /// The `src` of an event with this `pc`.
    #[must_use]
    pub fn source(&self, pc: u64) -> Option<&str> {
        self.sources.get(pc)
    }
}

/// A file that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is malformed.
    #[error(transparent)]
    Malformed(#[from] Error),
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads a file in either form, or in both.
///
/// # Errors
/// The first thing that is wrong, with its line and column.
pub fn parse(text: &str) -> Result<Log, Error> {
    let mut events = Vec::new();
    match read(text.as_bytes(), |event| events.push(*event)) {
        Ok(sources) => Ok(Log { events, sources }),
        Err(ReadError::Malformed(error)) => Err(error),
        Err(ReadError::Io(error)) => Err(Error { line: 1, column: 1, message: error.to_string() }),
    }
}

/// Reads a file in either form, or in both, piece by piece, and hands each event to `take`.
///
/// # Errors
/// The first thing that is wrong, with its line and column; `take` got what stands before it.
pub fn read(input: impl Read, take: impl FnMut(&Event)) -> Result<Sources, ReadError> {
    read_pieces(input, PIECE, take)
}

/// The same, with pieces of `piece` bytes.
fn read_pieces(
    mut input: impl Read,
    piece: usize,
    mut take: impl FnMut(&Event),
) -> Result<Sources, ReadError> {
    let mut names = Names::default();
    let mut bytes: Vec<u8> = Vec::new();
    let mut state = State { place: Place::START, verdict: None, events: 0 };
    let mut begun = false;
    loop {
        let end = fill(&mut input, &mut bytes, piece)?;
        if !std::mem::replace(&mut begun, true) && bytes.starts_with("\u{feff}".as_bytes()) {
            // A mark of the order of bytes says nothing.
            bytes.drain(..3);
        }
        let (text, broken) = match str::from_utf8(&bytes) {
            Ok(text) => (text, false),
            Err(error) => {
                let whole = bytes.get(..error.valid_up_to()).unwrap_or_default();
                let text = str::from_utf8(whole).unwrap_or_default();
                (text, error.error_len().is_some() || end)
            }
        };
        let used = state.piece(text, end && !broken, &mut names, &mut take)?;
        if broken {
            let Place { line, column } = state.place.behind(text.get(used..).unwrap_or_default());
            return Err(Error { line, column, message: "not UTF-8".to_owned() }.into());
        }
        if end {
            return Ok(Sources(names.sources));
        }
        bytes.drain(..used);
        if bytes.len() > MAX_EVENT {
            let Place { line, column } = state.place;
            let message = format!("an event or a verdict of more than {MAX_EVENT} bytes");
            return Err(Error { line, column, message }.into());
        }
    }
}

/// Appends up to `most` bytes; gives whether that was the end.
fn fill(input: &mut impl Read, bytes: &mut Vec<u8>, most: usize) -> io::Result<bool> {
    let before = bytes.len();
    input.take(most as u64).read_to_end(bytes)?;
    Ok(bytes.len() - before < most)
}

/// How far a file is read.
struct State {
    /// Where the next piece begins.
    place: Place,
    /// The line of the last verdict.
    verdict: Option<usize>,
    events: usize,
}

impl State {
    /// Reads the events that are whole in a piece, and gives how many of its bytes are done with.
    fn piece(
        &mut self,
        text: &str,
        last: bool,
        names: &mut Names,
        take: &mut impl FnMut(&Event),
    ) -> Result<usize, Error> {
        let mut reader = Reader::new(text, self.place, last);
        let read = self.events(&mut reader, names, take);
        if let Some(at) = reader.verdict {
            self.verdict = Some(reader.place(at).line);
        }
        if let Err(mut error) = read {
            if let Some(line) = self.verdict {
                error.message += &format!(
                    "; it stands behind the verdict in line {line}: what Casemate prints there of its state is no event, leave it out"
                );
            }
            return Err(error);
        }
        self.place = reader.place(reader.at);
        Ok(reader.at)
    }

    fn events(
        &mut self,
        reader: &mut Reader<'_>,
        names: &mut Names,
        take: &mut impl FnMut(&Event),
    ) -> Result<(), Error> {
        while let Some(at) = reader.next_list()? {
            if self.events == MAX_EVENTS {
                return Err(reader.error(at, format!("more than {MAX_EVENTS} events")));
            }
            self.events += 1;
            let mut fields = Fields::new(reader, at)?;
            let kind = kind(&mut fields)?;
            let pc = fields.finish()?.map_or(0, |source| names.pc(source));
            take(&Event { seq: fields.id, pc, cpu: fields.tid, kind });
        }
        Ok(())
    }
}

/// The numbers of the sources.
#[derive(Debug, Default)]
struct Names {
    sources: Vec<String>,
    known: Map<String, u64>,
}

impl Names {
    fn pc(&mut self, source: Item<'_>) -> u64 {
        match source {
            Item::Text(text) if text.contains('\\') => self.number(&unescape(text)),
            Item::Text(text) | Item::Word(text) => self.number(text),
            Item::List(_) => 0,
        }
    }

    fn number(&mut self, source: &str) -> u64 {
        if let Some(pc) = self.known.get(source) {
            return *pc;
        }
        self.sources.push(source.to_owned());
        let pc = self.sources.len() as u64;
        self.known.insert(source.to_owned(), pc);
        pc
    }
}

/// The kind of event, from the fields that are its own.
fn kind(fields: &mut Fields<'_, '_>) -> Result<Kind, Error> {
    match named(fields.name, fields)? {
        Some(kind) => Ok(kind),
        None => {
            let kind = named(&fields.name.to_ascii_lowercase(), fields)?;
            kind.ok_or_else(|| fields.no_event())
        }
    }
}

/// The kind called `name`, if there is one.
fn named(name: &str, fields: &mut Fields<'_, '_>) -> Result<Option<Kind>, Error> {
    Ok(Some(match name {
        "mem-write" => {
            let order = fields.choice("mem-order", "plain, release or page", |word| match word {
                "plain" | "page" => Some(false),
                "release" => Some(true),
                _ => None,
            })?;
            let pa = fields.hex("address")?;
            Kind::Store { pa: PhysAddr::new(pa), value: fields.hex("value")?, size: 8, release: order }
        }
        "mem-read" => Kind::Load { pa: PhysAddr::new(fields.hex("address")?), value: fields.hex("value")? },
        "touch" => Kind::Touch { pa: PhysAddr::new(fields.hex("address")?) },
        "mem-init" => Kind::MemInit { pa: PhysAddr::new(fields.hex("address")?), size: fields.hex("size")? },
        "mem-free" => Kind::MemFree { pa: PhysAddr::new(fields.hex("address")?), size: fields.hex("size")? },
        "mem-set" => Kind::MemSet {
            pa: PhysAddr::new(fields.hex("address")?),
            size: fields.small("size", u64::from(u32::MAX))? as u32,
            value: fields.small("value", 0xff)? as u8,
        },
        "barrier" => Kind::Barrier(barrier(fields)?),
        "tlbi" => {
            let op = fields.flag("a TLBI operation", TlbiOp::from_any_name)?;
            Kind::Tlbi { op, operand: if op.has_operand() { fields.hex("value")? } else { 0 } }
        }
        "dc" => Kind::Dc {
            op: fields.flag("a cache maintenance operation", DcOp::from_name)?,
            operand: fields.hex("value")?,
        },
        "smc" => Kind::Smc {
            function: fields.small("function", u64::from(u32::MAX))? as u32,
            entry: fields.hex("entry")?,
            context: fields.hex("context")?,
        },
        "sysreg-write" | "msr" => Kind::SysregWrite {
            reg: fields.choice("sysreg", "a translation register", Sysreg::from_name)?,
            value: fields.hex("value")?,
        },
        "sysreg-read" => Kind::SysregRead {
            reg: fields.choice("sysreg", "a translation register", Sysreg::from_name)?,
            value: fields.hex("value")?,
        },
        "hint" => {
            let kind = fields.choice("kind", "a hint", HintKind::from_name)?;
            let location = fields.hex("location")?;
            // Memory ends where addresses do.
            let most = if kind.is_area() { u64::MAX - location } else { u64::MAX };
            Kind::Hint { kind, location, value: fields.small("value", most)? }
        }
        "lock" => Kind::Lock { address: fields.hex("address")? },
        "trylock" => Kind::Trylock { address: fields.hex("address")? },
        "unlock" => Kind::Unlock { address: fields.hex("address")? },
        "smmu-write" => Kind::SmmuWrite {
            offset: fields.small("offset", u64::from(u32::MAX))? as u32,
            size: fields.small("size", 8)? as u8,
            value: fields.hex("value")?,
        },
        "smmu-read" => Kind::SmmuRead {
            offset: fields.small("offset", u64::from(u32::MAX))? as u32,
            size: fields.small("size", 8)? as u8,
            value: fields.hex("value")?,
        },
        "gic-write" | "gic-read" => {
            let register = fields.choice("register", "a register of the GIC", GicRegister::from_name)?;
            let frame = PhysAddr::new(fields.hex("frame")?);
            let value = fields.hex("value")?;
            if name == "gic-read" {
                Kind::GicRead { register, frame, value }
            } else {
                Kind::GicWrite { register, frame, value }
            }
        }
        "smmu-command" => Kind::Command([fields.hex("low")?, fields.hex("high")?]),
        "smmu-synced" => Kind::Synced,
        "enter" => Kind::Enter,
        "return" => Kind::Return,
        "op" => Kind::Op { number: fields.hex("number")? },
        _ => return Ok(None),
    }))
}

fn barrier(fields: &mut Fields<'_, '_>) -> Result<Barrier, Error> {
    let what = fields.flag("isb, dsb or dmb", |word| match word {
        "isb" => Some(None),
        "dsb" => Some(Some(true)),
        "dmb" => Some(Some(false)),
        _ => None,
    })?;
    let Some(dsb) = what else { return Ok(Barrier::Isb) };
    let option = fields.choice("kind", "sy, ish, ishst, nsh or another option", Dsb::from_name)?;
    Ok(if dsb { Barrier::Dsb(option) } else { Barrier::Dmb(option) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of a text that is read in pieces of so many bytes.
    fn in_pieces(text: &str, piece: usize) -> Result<Log, String> {
        let mut events = Vec::new();
        let sources = read_pieces(text.as_bytes(), piece, |event| events.push(*event));
        sources.map(|sources| Log { events, sources }).map_err(|error| error.to_string())
    }

    #[test]
    fn pieces_of_any_size_are_read_as_the_whole() {
        for text in [
            "(lock 1 0 \"x.c:1\" 0x10)\n! a verdict\n (unlock (id 2) (tid 0)\n (address 10) (src \"é\\\"\"))\n",
            "\u{feff}(lock 1 0 10)(lock 2 0 10)\n!",
            "(lock 1 0 10)\n!x",
            "(lock 1 0 10) ! no verdict",
            "(lock 1 0 10)\n! a verdict\n(lokc 2 0 10)",
            "(lock 1 0 \"é\n\" 10)",
            "(lock 1 0 (a b) 10",
            "(lock 1 0 \"é",
            "",
        ] {
            let whole = in_pieces(text, 1 << 16);
            for piece in 3..40 {
                assert_eq!(in_pieces(text, piece), whole, "{text:?} in pieces of {piece}");
            }
        }
    }
}
