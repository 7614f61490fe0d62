//! Reading: from lists to [`Event`]s.

use std::collections::HashMap;

use parallax_addr::PhysAddr;

use super::sexp::{Error, Item, Node, Reader, unescape};
use crate::event::{Barrier, DcOp, Dsb, Event, HintKind, Kind, Sysreg};
use crate::tlbi::TlbiOp;

/// Events that one file may hold.
pub(super) const MAX_EVENTS: usize = 50_000_000;

/// A Casemate file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// Its events; `pc` is the number of the `src` in [`Log::sources`], from 1, or 0 where there is none.
    pub events: Vec<Event>,
    /// What the `src` fields say, each different one once.
    pub sources: Vec<String>,
}

impl Log {
    /// The `src` of an event with this `pc`.
    #[must_use]
    pub fn source(&self, pc: u64) -> Option<&str> {
        let index = usize::try_from(pc.checked_sub(1)?).ok()?;
        self.sources.get(index).map(String::as_str)
    }
}

/// Reads a file in either form, or in both.
///
/// # Errors
/// The first thing that is wrong, with its line and column.
pub fn parse(text: &str) -> Result<Log, Error> {
    let mut reader = Reader::new(text);
    let read = events(&mut reader);
    read.map_err(|mut error| {
        if let Some(line) = reader.verdict() {
            error.message += &format!(
                "; it stands behind the verdict in line {line}: what Casemate prints there of its state is no event, leave it out"
            );
        }
        error
    })
}

fn events(reader: &mut Reader<'_>) -> Result<Log, Error> {
    let mut log = Log::default();
    let mut known: HashMap<String, u64> = HashMap::new();
    while let Some(node) = reader.next_list()? {
        if log.events.len() == MAX_EVENTS {
            return Err(reader.error(node.at, format!("more than {MAX_EVENTS} events")));
        }
        let mut fields = Fields::new(reader, node)?;
        let kind = kind(&mut fields)?;
        let source = fields.finish()?;
        let pc = match source {
            None => 0,
            Some(text) => match known.get(&text) {
                Some(pc) => *pc,
                None => {
                    log.sources.push(text.clone());
                    let pc = log.sources.len() as u64;
                    known.insert(text, pc);
                    pc
                }
            },
        };
        log.events.push(Event { seq: fields.id, pc, cpu: fields.tid, kind });
    }
    Ok(log)
}

/// The kind of event, from the fields that are its own.
fn kind(fields: &mut Fields<'_, '_>) -> Result<Kind, Error> {
    let name = fields.name.to_ascii_lowercase();
    Ok(match name.as_str() {
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
        "sysreg-write" | "msr" => Kind::SysregWrite {
            reg: fields.choice("sysreg", "a translation register", Sysreg::from_name)?,
            value: fields.hex("value")?,
        },
        "sysreg-read" => Kind::SysregRead {
            reg: fields.choice("sysreg", "a translation register", Sysreg::from_name)?,
            value: fields.hex("value")?,
        },
        "hint" => Kind::Hint {
            kind: fields.choice("kind", "a hint", HintKind::from_name)?,
            location: fields.hex("location")?,
            value: fields.hex("value")?,
        },
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
        "smmu-command" => Kind::Command([fields.hex("low")?, fields.hex("high")?]),
        "smmu-synced" => Kind::Synced,
        "enter" => Kind::Enter,
        "return" => Kind::Return,
        "op" => Kind::Op { number: fields.hex("number")? },
        _ => return Err(fields.reader.error(fields.at, format!("`{}` is no event", fields.name))),
    })
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

/// The fields of one event, in the order in which they stand.
struct Fields<'r, 'a> {
    reader: &'r Reader<'a>,
    at: usize,
    name: &'a str,
    id: u64,
    tid: u16,
    named: bool,
    rest: Vec<Node<'a>>,
    source: Option<String>,
}

impl<'r, 'a> Fields<'r, 'a> {
    fn new(reader: &'r Reader<'a>, node: Node<'a>) -> Result<Self, Error> {
        let Item::List(mut items) = node.item else { return Err(reader.error(node.at, "expected an event")) };
        let name = match items.first() {
            Some(Node { item: Item::Word(word), .. }) => *word,
            _ => return Err(reader.error(node.at, "expected the name of an event after `(`")),
        };
        items.remove(0);
        let named = matches!(items.first(), Some(Node { item: Item::List(_), .. }));
        let mut fields = Self { reader, at: node.at, name, id: 0, tid: 0, named, rest: items, source: None };
        fields.id = fields.decimal("id", u64::MAX)?;
        fields.tid = fields.decimal("tid", u64::from(u16::MAX))? as u16;
        if !named && matches!(fields.rest.first(), Some(Node { item: Item::Text(_), .. })) {
            let Node { item: Item::Text(text), .. } = fields.rest.remove(0) else { unreachable!() };
            fields.source = Some(unescape(text));
        }
        Ok(fields)
    }

    fn missing(&self, name: &str) -> Error {
        self.reader.error(self.at, format!("`{}` has no `{name}`", self.name))
    }

    /// The word of field `name`, and where it stands.
    fn take(&mut self, name: &str) -> Result<(usize, &'a str), Error> {
        let index = if self.named {
            self.rest.iter().position(|node| field(node).is_some_and(|(known, _)| known == name))
        } else {
            (!self.rest.is_empty()).then_some(0)
        };
        let index = index.ok_or_else(|| self.missing(name))?;
        let node = self.rest.remove(index);
        let value = match (&node.item, self.named) {
            (Item::List(items), true) => match items.get(1) {
                Some(value) if items.len() == 2 => value.clone(),
                _ => return Err(self.reader.error(node.at, format!("expected one value of `{name}`"))),
            },
            _ => node,
        };
        match value.item {
            Item::Word(word) => Ok((value.at, word)),
            _ => Err(self.reader.error(value.at, format!("expected a word or number for `{name}`"))),
        }
    }

    /// A word that stands without a field's name in both forms.
    fn flag<T>(&mut self, expected: &str, of: impl Fn(&str) -> Option<T>) -> Result<T, Error> {
        let index = self.rest.iter().position(|node| matches!(node.item, Item::Word(_)));
        let index = index.ok_or_else(|| self.missing(expected))?;
        let Node { at, item: Item::Word(word) } = self.rest.remove(index) else { unreachable!() };
        of(&word.to_ascii_lowercase())
            .ok_or_else(|| self.reader.error(at, format!("found `{word}`, expected {expected}")))
    }

    fn choice<T>(&mut self, name: &str, expected: &str, of: impl Fn(&str) -> Option<T>) -> Result<T, Error> {
        let (at, word) = self.take(name)?;
        of(&word.to_ascii_lowercase())
            .ok_or_else(|| self.reader.error(at, format!("found `{word}`, expected {expected}")))
    }

    fn decimal(&mut self, name: &str, most: u64) -> Result<u64, Error> {
        let (at, word) = self.take(name)?;
        let number = word.bytes().all(|byte| byte.is_ascii_digit()).then(|| word.parse().ok()).flatten();
        number.filter(|number| *number <= most).ok_or_else(|| {
            self.reader
                .error(at, format!("found `{word}`, expected a decimal number up to {most} for `{name}`"))
        })
    }

    fn hex(&mut self, name: &str) -> Result<u64, Error> {
        self.small(name, u64::MAX)
    }

    fn small(&mut self, name: &str, most: u64) -> Result<u64, Error> {
        let (at, word) = self.take(name)?;
        let digits = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")).unwrap_or(word);
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = plain.then(|| u64::from_str_radix(digits, 16).ok()).flatten();
        number.filter(|number| *number <= most).ok_or_else(|| {
            self.reader.error(
                at,
                format!("found `{word}`, expected a hexadecimal number up to {most:#x} for `{name}`"),
            )
        })
    }

    /// What `src` says; it is an error if any other field is left.
    fn finish(&mut self) -> Result<Option<String>, Error> {
        let rest = std::mem::take(&mut self.rest);
        let mut source = self.source.take();
        for node in rest {
            let text = match (&node.item, self.named) {
                (Item::List(_), true) => match field(&node) {
                    Some(("src", value)) => Some(value),
                    _ => None,
                },
                // In the condensed form it stands behind the other fields, or in front of them.
                (Item::Text(_), false) => Some(&node),
                _ => None,
            };
            match text.map(|value| &value.item) {
                Some(Item::Text(text)) if source.is_none() => source = Some(unescape(text)),
                Some(Item::Word(word)) if source.is_none() => source = Some((*word).to_owned()),
                _ => return Err(self.reader.error(node.at, format!("too much for `{}`", self.name))),
            }
        }
        Ok(source)
    }
}

/// Name and value of a field in the named form.
fn field<'n, 'a>(node: &'n Node<'a>) -> Option<(&'a str, &'n Node<'a>)> {
    match &node.item {
        Item::List(items) => match items.as_slice() {
            [Node { item: Item::Word(name), .. }, value] => Some((name, value)),
            _ => None,
        },
        _ => None,
    }
}
