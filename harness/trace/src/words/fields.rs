//! The fields of a form, in dwords that may be places.
//!
//! A dword holds one address at most. If that is a place (`ram+0x1000`), the dword is the place plus the fields in the
//! bits below the address; places are aligned to pages, and no address has a field of more than that below it.

use parallax_addr::{Expr, Number};
use parallax_smmu::Form;
use parallax_smmu::fields::Place;

/// Values from here on are written in hexadecimal.
const LARGE: u64 = 0x1_0000;

/// `NAME FIELD FIELD=value …`, what is zero left out; `None` if `dwords` hold anything else.
pub(super) fn text(form: &Form, dwords: &[&Expr]) -> Option<String> {
    let mut rest: Vec<u64> = dwords.iter().map(|dword| dword.offset).collect();
    let mut places = vec![None; dwords.len()];
    for (word, dword) in dwords.iter().enumerate() {
        if let Some(base) = &dword.base {
            let field = form.fields.iter().find(|field| field.word == word && field.address)?;
            let below = (1 << field.lo) - 1;
            places[word] = Some(Expr { base: Some(base.clone()), offset: dword.offset & !below });
            rest[word] &= below;
        }
    }
    let all = rest.clone();
    for (place, value) in &form.fixed {
        if places[place.word].is_some() && place.mask() >= 1 << below_of(form, place.word) {
            return None;
        }
        if place.value(&all) != *value {
            return None;
        }
        rest[place.word] &= !place.mask();
    }
    let mut words: Vec<String> = Vec::new();
    words.extend((!form.name.is_empty()).then(|| form.name.to_owned()));
    for field in &form.fields {
        if let Some(place) = places[field.word].as_ref().filter(|_| field.address) {
            words.push(format!("{}={place}", field.name));
            continue;
        }
        let value = field.value(&rest);
        rest[field.word] &= !field.mask();
        match value {
            0 => (),
            1 if is_flag(field) => words.push(field.name.to_owned()),
            _ if field.address || field.mask() == u64::MAX || value >= LARGE => {
                words.push(format!("{}={}", field.name, Number(value)));
            }
            _ => words.push(format!("{}={value}", field.name)),
        }
    }
    rest.iter().all(|bits| *bits == 0).then(|| words.join(" "))
}

/// Whether it is a single bit, which its name alone sets.
pub(super) const fn is_flag(field: &Place) -> bool {
    field.hi == field.lo
}

/// How many bits are below the address of dword `word`: all if there is none.
fn below_of(form: &Form, word: usize) -> u32 {
    let address = form.fields.iter().find(|field| field.word == word && field.address);
    address.map_or(63, |field| field.lo)
}

/// Dwords under construction.
pub(super) struct Dwords<'a> {
    form: &'a Form,
    dwords: Vec<Expr>,
    /// Fields that have their value.
    given: Vec<&'static str>,
}

/// Why a field cannot have a value; what could stand there instead.
pub(super) enum Unfit {
    /// It has one.
    Twice,
    /// The value is too large, not aligned, or a place that is no address.
    Value(String),
    /// The dword has a place, and this field is not below it.
    BesidePlace,
}

impl<'a> Dwords<'a> {
    pub(super) fn new(form: &'a Form, count: usize) -> Self {
        let mut dwords = vec![Expr::number(0); count];
        for (place, value) in &form.fixed {
            dwords[place.word].offset |= place.bits(*value).unwrap_or_default();
        }
        Self { form, dwords, given: Vec::new() }
    }

    /// Puts `value` into `field`.
    pub(super) fn put(&mut self, field: &Place, value: &Expr) -> Result<(), Unfit> {
        if self.given.contains(&field.name) {
            return Err(Unfit::Twice);
        }
        let dword = &mut self.dwords[field.word];
        let bits = match value {
            Expr { base: None, offset } => field.bits(*offset),
            Expr { base: Some(_), offset } if field.address => {
                Some(*offset).filter(|_| offset.trailing_zeros() >= field.lo)
            }
            Expr { .. } => None,
        };
        let bits = bits.ok_or_else(|| Unfit::Value(fitting(field)))?;
        let lo = below_of(self.form, field.word);
        if value.base.is_some() {
            if dword.offset >> lo != 0 {
                return Err(Unfit::BesidePlace);
            }
            dword.base.clone_from(&value.base);
        } else if dword.base.is_some() && bits >> lo != 0 {
            return Err(Unfit::BesidePlace);
        }
        dword.offset |= bits;
        self.given.push(field.name);
        Ok(())
    }

    pub(super) fn done(self) -> Vec<Expr> {
        self.dwords
    }
}

/// Which values `field` can have.
fn fitting(field: &Place) -> String {
    match (field.address, field.hi - field.lo + 1) {
        (true, _) => format!("a place, or a number of which only bits {} to {} are set", field.lo, field.hi),
        (false, 1) => "0 or 1".to_owned(),
        (false, bits) => format!("a number of {bits} bits"),
    }
}
