//! What can be written down in words: the forms that a structure or a register can have, and the fields of each.
//!
//! A form is a name for bits that are fixed (the opcode of a command, V and Config of a stream table entry) and the
//! fields that the others make. What has no such name is a form without one.

use crate::cd::Cd;
use crate::command::CommandKind;
use crate::fields::Place;
use crate::register::Register;
use crate::ste::Ste;

/// A form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// What it is called; empty if it has no name.
    pub name: &'static str,
    /// Fields with a value that the name stands for.
    pub fixed: Vec<(Place, u64)>,
    /// Fields with a value of their own.
    pub fields: Vec<Place>,
}

impl Form {
    fn new(name: &'static str, fixed: &[(Place, u64)], fields: &[Place]) -> Self {
        let free = |field: &&Place| !fixed.iter().any(|(place, _)| place.overlaps(field));
        Self { name, fixed: fixed.to_vec(), fields: fields.iter().filter(free).copied().collect() }
    }

    /// The forms of a register's value.
    #[must_use]
    pub fn of_register(register: &Register) -> Vec<Self> {
        let fields = register.fields;
        let format = |name, value| Self::new(name, &[(Place::new("FMT", 0, 17, 16), value)], fields);
        match register.name {
            "STRTAB_BASE_CFG" => {
                vec![format("linear", 0), format("two_level", 1), Self::new("", &[], fields)]
            }
            _ => vec![Self::new("", &[], fields)],
        }
    }
}

/// A structure in memory. Only its first four dwords have words: a context descriptor and a stream table entry keep
/// there all that Non-secure streams without MPAM need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Structure {
    /// A command in its queue (chapter 4).
    Command,
    /// A stream table entry (5.2).
    Ste,
    /// A context descriptor (5.4).
    Cd,
    /// A level-1 stream table descriptor (5.1).
    L1Std,
    /// A descriptor of a stage-1 table above the last level, with the 4 KiB granule (DDI 0487, D8.3).
    Stage1,
}

impl Structure {
    /// How many dwords of it are written.
    #[must_use]
    pub const fn dwords(self) -> usize {
        match self {
            Self::Command => 2,
            Self::Ste | Self::Cd => 4,
            Self::L1Std | Self::Stage1 => 1,
        }
    }

    /// Its forms. The first that fits says most.
    #[must_use]
    pub fn forms(self) -> Vec<Form> {
        let written = |fields: &[Place]| -> Vec<Place> {
            fields.iter().filter(|field| field.word < self.dwords()).copied().collect()
        };
        match self {
            Self::Command => commands(),
            Self::Ste => stes(&written(Ste::FIELDS)),
            Self::Cd => vec![Form::new("", &[], &written(Cd::FIELDS))],
            Self::L1Std => vec![Form::new("", &[], L1STD)],
            Self::Stage1 => descriptors(),
        }
    }
}

fn commands() -> Vec<Form> {
    let opcode = |kind: CommandKind| (Place::new("opcode", 0, 7, 0), u64::from(kind.number()));
    let range = CommandKind::CfgiSteRange;
    let everything = (Place::new("Range", 1, 4, 0), 31);
    let streamless: Vec<Place> =
        range.places().iter().filter(|place| place.name == "SSec").copied().collect();
    let all = Form::new("CFGI_ALL", &[opcode(range), everything], &streamless);
    let by_name = CommandKind::ALL.iter().map(|kind| {
        let name = kind.name().strip_prefix("CMD_").unwrap_or(kind.name());
        Form::new(name, &[opcode(*kind)], kind.places())
    });
    std::iter::once(all).chain(by_name).collect()
}

fn stes(fields: &[Place]) -> Vec<Form> {
    let (v, config) = (Place::new("V", 0, 0, 0), Place::new("Config", 0, 3, 1));
    let valid = |name, value| Form::new(name, &[(v, 1), (config, value)], fields);
    vec![
        Form::new("invalid", &[(v, 0)], fields),
        valid("abort", 0b000),
        valid("bypass", 0b100),
        valid("s1", 0b101),
        valid("s2", 0b110),
        valid("nested", 0b111),
        Form::new("", &[], fields),
    ]
}

const L1STD: &[Place] = &[Place::new("Span", 0, 4, 0), Place::address("L2Ptr", 0, 55, 6)];

const BLOCK: &[Place] = &[
    Place::new("AttrIndx", 0, 4, 2),
    Place::new("NS", 0, 5, 5),
    Place::new("AP", 0, 7, 6),
    Place::new("SH", 0, 9, 8),
    Place::new("AF", 0, 10, 10),
    Place::new("nG", 0, 11, 11),
    Place::address("OA", 0, 47, 12),
    Place::new("Contiguous", 0, 52, 52),
    Place::new("PXN", 0, 53, 53),
    Place::new("UXN", 0, 54, 54),
];
const TABLE: &[Place] = &[
    Place::address("NextLevelTable", 0, 47, 12),
    Place::new("PXNTable", 0, 59, 59),
    Place::new("UXNTable", 0, 60, 60),
    Place::new("APTable", 0, 62, 61),
    Place::new("NSTable", 0, 63, 63),
];

fn descriptors() -> Vec<Form> {
    let form = |name, value, fields| Form::new(name, &[(Place::new("type", 0, 1, 0), value)], fields);
    vec![form("invalid", 0b00, &[]), form("block", 0b01, BLOCK), form("table", 0b11, TABLE)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Structure; 5] =
        [Structure::Command, Structure::Ste, Structure::Cd, Structure::L1Std, Structure::Stage1];

    #[test]
    fn forms_are_told_apart_and_their_fields_share_no_bit() {
        for structure in ALL {
            let forms = structure.forms();
            for (index, form) in forms.iter().enumerate() {
                assert!(forms[index + 1..].iter().all(|other| other.name != form.name), "{}", form.name);
                let fixed = form.fixed.iter().map(|(place, _)| place);
                let places: Vec<&Place> = fixed.chain(&form.fields).collect();
                for (at, place) in places.iter().enumerate() {
                    assert!(place.word < structure.dwords(), "{} {}", form.name, place.name);
                    let clash = |other: &&&Place| place.overlaps(other) || place.name == other.name;
                    assert_eq!(places[at + 1..].iter().find(clash), None, "{} {}", form.name, place.name);
                }
            }
        }
    }

    #[test]
    fn only_one_address_is_in_a_dword() {
        for form in ALL.into_iter().flat_map(Structure::forms) {
            for word in 0..4 {
                let addresses = form.fields.iter().filter(|field| field.word == word && field.address);
                assert!(addresses.count() <= 1, "{}", form.name);
            }
        }
    }
}
