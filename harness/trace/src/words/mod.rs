//! Words for operations whose numbers mean something to an SMMU: registers by name, commands and entries by field.
//!
//! A word stands for one row of the table of operations. It is read into that row's arguments ([`read`]) and printed
//! from them ([`Word::text`]); nothing else is kept of what was written. Names are those of IHI 0070 and come from
//! `parallax-smmu`: there a [`Form`] says what a structure can be called and which fields it has.
//!
//! ```text
//! smmu_write CR0 SMMUEN EVENTQEN CMDQEN
//! ste at=ram+0x6012200 s1 S1ContextPtr=ram+0x6013000
//! smmu_command at=ram+0x6011000 CFGI_STE StreamID=8 Leaf
//! ```

mod fields;
mod place;
mod read;

use parallax_addr::{Base, Expr, Number, Symbol};
use parallax_ops::{Row, row};
use parallax_smmu::{Form, REGISTERS, Register, Structure};

pub(crate) use place::place;
pub(crate) use read::read;

/// A word.
#[derive(Debug, PartialEq, Eq)]
pub struct Word {
    /// The word itself.
    pub name: &'static str,
    /// What follows it, as the documentation shows it.
    pub arguments: &'static str,
    /// The operation that it stands for.
    pub operation: &'static str,
    /// What it does.
    pub summary: &'static str,
    subject: Subject,
}

#[derive(Debug, PartialEq, Eq)]
enum Subject {
    /// A register of the SMMU.
    Register,
    /// A structure in memory.
    Memory(Structure),
}

/// Every word, in the order of the documentation.
pub static WORDS: &[Word] = &[
    Word {
        name: "smmu_read",
        arguments: "REGISTER",
        operation: "host_read",
        summary: "A load of one of the SMMU's registers, as wide as it is.",
        subject: Subject::Register,
    },
    Word {
        name: "smmu_write",
        arguments: "REGISTER VALUE",
        operation: "host_write",
        summary: "A store to one of the SMMU's registers, as wide as it is: a number, a place, or fields. \
                  STRTAB_BASE_CFG takes `linear` and `two_level` too.",
        subject: Subject::Register,
    },
    Word {
        name: "smmu_command",
        arguments: "at=ADDRESS COMMAND [FIELD ...]",
        operation: "host_write_pair",
        summary: "A command for the SMMU, 16 bytes of its queue.",
        subject: Subject::Memory(Structure::Command),
    },
    Word {
        name: "ste",
        arguments: "at=ADDRESS [CONFIG] [FIELD ...]",
        operation: "host_write_entry",
        summary: "Dwords 0 to 3 of a stream table entry. CONFIG is `invalid` (V = 0), `abort`, `bypass`, `s1`, `s2` or `nested`; \
                  without it V and Config are fields as the others.",
        subject: Subject::Memory(Structure::Ste),
    },
    Word {
        name: "cd",
        arguments: "at=ADDRESS [FIELD ...]",
        operation: "host_write_entry",
        summary: "Dwords 0 to 3 of a context descriptor.",
        subject: Subject::Memory(Structure::Cd),
    },
    Word {
        name: "l1std",
        arguments: "at=ADDRESS [Span=N] [L2Ptr=ADDRESS]",
        operation: "host_write",
        summary: "A level-1 descriptor of a stream table: Span 0 for none, otherwise 2^(Span − 1) entries at L2Ptr.",
        subject: Subject::Memory(Structure::L1Std),
    },
    Word {
        name: "s1_descriptor",
        arguments: "at=ADDRESS TYPE [FIELD ...]",
        operation: "host_write",
        summary: "A descriptor of level 1 or 2 of a stage-1 table (DDI 0487, D8.3): `invalid`; `block` with AttrIndx, NS, AP, SH, AF, \
                  nG, OA, Contiguous, PXN, UXN; or `table` with NextLevelTable, PXNTable, UXNTable, APTable, NSTable.",
        subject: Subject::Memory(Structure::Stage1),
    },
];

impl Word {
    /// The word called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        WORDS.iter().find(|word| word.name == name)
    }

    /// The row that it stands for.
    ///
    /// # Panics
    /// Not with a word of [`WORDS`].
    #[must_use]
    pub fn row(&self) -> &'static Row {
        row(self.operation).expect("a word stands for an operation that there is")
    }

    /// The word with what follows it, for an operation of its row with `args`; `None` if it cannot say these.
    #[must_use]
    pub fn text(&self, args: &[Expr]) -> Option<String> {
        let Self { name, .. } = self;
        let (at, size, dwords) = self.parts(args)?;
        match &self.subject {
            Subject::Register => {
                let register = register_at(at).filter(|register| size == Some(register.bytes))?;
                let value = match dwords.as_slice() {
                    [] => String::new(),
                    [value] if !fits(register, value) => return None,
                    [value] => format!(" {}", register_value(register, value)),
                    _ => return None,
                };
                Some(format!("{name} {}{value}", register.name))
            }
            Subject::Memory(structure) => {
                size.is_none_or(|size| size == 8).then_some(())?;
                let text = first_form(&structure.forms(), &dwords)?;
                let gap = if text.is_empty() { "" } else { " " };
                Some(format!("{name} at={at}{gap}{text}"))
            }
        }
    }

    /// Address, size if there is one, and values of an operation with `args`; `None` if another argument is not as it is
    /// left out.
    fn parts<'a>(&self, args: &'a [Expr]) -> Option<(&'a Expr, Option<u64>, Vec<&'a Expr>)> {
        let (at, rest) = args.split_first()?;
        let (mut size, mut values) = (None, Vec::new());
        for (param, arg) in self.row().params[1..].iter().zip(rest) {
            match param.name {
                "size" => size = Some(arg.offset),
                "normal" if *arg == Expr::number(0) => (),
                "normal" => return None,
                _ => values.push(arg),
            }
        }
        Some((at, size, values))
    }

    /// The arguments of its row: the other way round.
    fn args(&self, at: &Expr, size: u64, values: Vec<Expr>) -> Vec<Expr> {
        let mut values = values.into_iter();
        let arg = |param: &parallax_ops::Param| match param.name {
            "ipa" => at.clone(),
            "size" => Expr::number(size),
            "normal" => Expr::number(0),
            _ => values.next().unwrap_or(Expr::number(0)),
        };
        self.row().params.iter().map(arg).collect()
    }
}

/// The names of the registers and of the commands, for the documentation.
#[must_use]
pub fn names() -> [Vec<&'static str>; 2] {
    let commands = Structure::Command.forms().iter().map(|form| form.name).collect();
    [REGISTERS.iter().map(|register| register.name).collect(), commands]
}

/// The register at `at`, an address in the SMMU's frame.
fn register_at(at: &Expr) -> Option<&'static Register> {
    (at.base.as_ref() == Some(&smmu())).then(|| Register::at(at.offset)).flatten()
}

fn smmu() -> Base {
    Base { symbol: Symbol::Mmio("smmu".to_owned()), end: false }
}

/// Whether `register` has as many bits as `value`: a place has 64.
fn fits(register: &Register, value: &Expr) -> bool {
    register.bytes == 8 || value.base.is_none() && u32::try_from(value.offset).is_ok()
}

/// A register's value: by its fields if they say all of it, otherwise as a number.
fn register_value(register: &Register, value: &Expr) -> String {
    first_form(&Form::of_register(register), &[value]).filter(|text| !text.is_empty()).unwrap_or_else(|| {
        match value.base {
            None => Number(value.offset).to_string(),
            Some(_) => value.to_string(),
        }
    })
}

fn first_form(forms: &[Form], dwords: &[&Expr]) -> Option<String> {
    forms.iter().find_map(|form| fields::text(form, dwords))
}

#[cfg(test)]
mod tests;
