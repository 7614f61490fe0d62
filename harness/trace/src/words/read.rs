//! What follows a word, read into the arguments of its row.

use parallax_addr::Expr;
use parallax_smmu::fields::Place;
use parallax_smmu::{Form, REGISTERS, Register};

use super::fields::{Dwords, Unfit, is_flag};
use super::{Subject, Word, fits, place, smmu};
use crate::error::Problem;
use crate::similar_name::similar;
use crate::syntax::{Item, parse_expr};

/// The arguments of the row of `word`, which `items` follow up to byte `end` of the line.
pub(crate) fn read(word: &Word, items: &[Item<'_>], end: usize) -> Result<Vec<Expr>, Problem> {
    match &word.subject {
        Subject::Register => {
            let (register, items) = register(items, end)?;
            let at = Expr { base: Some(smmu()), offset: register.offset.into() };
            let values = match word.row().params.iter().any(|param| param.name == "value") {
                true => vec![value(register, items, end)?],
                false => nothing_more(items, register)?,
            };
            Ok(word.args(&at, register.bytes, values))
        }
        Subject::Memory(structure) => {
            let Some((Item { key: Some(key), value }, items)) = items.split_first() else {
                return Err(missing(items.first(), end, "`at=ADDRESS`"));
            };
            if key.text != "at" {
                return Err(Problem::new(key.span.clone(), format!("`{}=`", key.text), "`at=ADDRESS` first"));
            }
            let at = place(value)?;
            let dwords = form(word.name, &structure.forms(), structure.dwords(), items, end)?;
            Ok(word.args(&at, 8, dwords))
        }
    }
}

fn missing(found: Option<&Item<'_>>, end: usize, expected: impl Into<String>) -> Problem {
    match found {
        Some(item) => Problem::new(item.span(), text(item), expected),
        None => Problem::new(end..end, "the end of the line", expected),
    }
}

fn text(item: &Item<'_>) -> String {
    item.key.as_ref().map_or(format!("`{}`", item.value.text), |key| format!("`{}=`", key.text))
}

fn register<'a, 'b>(
    items: &'a [Item<'b>],
    end: usize,
) -> Result<(&'static Register, &'a [Item<'b>]), Problem> {
    let first = items.first().ok_or_else(|| missing(None, end, "a register of the SMMU"))?;
    let known = Register::named(first.value.text).filter(|_| first.key.is_none());
    let names = REGISTERS.iter().map(|register| register.name);
    let known = known.ok_or_else(|| unknown(first, "a register of the SMMU", "one of", names))?;
    Ok((known, &items[1..]))
}

/// That `item` is not `what`; the names that could stand there, or the one that is most like it.
fn unknown<'a>(item: &Item<'_>, what: &str, of: &str, names: impl Iterator<Item = &'a str>) -> Problem {
    let names: Vec<&str> = names.filter(|name| !name.is_empty()).collect();
    let found = item.key.as_ref().unwrap_or(&item.value);
    let expected = match similar(found.text, names.iter().copied()) {
        Some(meant) => format!("{what}: did you mean `{meant}`?"),
        None => format!("{what} ({of} {})", names.join(", ")),
    };
    Problem::new(found.span.clone(), text(item), expected)
}

fn nothing_more(items: &[Item<'_>], register: &Register) -> Result<Vec<Expr>, Problem> {
    match items.first() {
        Some(item) => Err(missing(Some(item), 0, format!("nothing behind {}", register.name))),
        None => Ok(Vec::new()),
    }
}

/// The value of a register: one number or place, or fields.
fn value(register: &Register, items: &[Item<'_>], end: usize) -> Result<Expr, Problem> {
    let forms = Form::of_register(register);
    let named = |text: &str| {
        forms.iter().any(|form| form.name == text || form.fields.iter().any(|field| field.name == text))
    };
    match items {
        [] => Err(missing(None, end, "a number, a place or fields")),
        [item @ Item { key: None, value }] if !named(value.text) => {
            let Ok(whole) = parse_expr(value) else {
                let names = forms.iter().flat_map(|form| {
                    std::iter::once(form.name).chain(form.fields.iter().map(|field| field.name))
                });
                let what = format!("a number, a place or fields of {}", register.name);
                return Err(unknown(item, &what, "which has", names));
            };
            if whole.base.is_some() {
                place(value)?;
            }
            let expected = format!("a value of {} bits", 8 * register.bytes);
            fits(register, &whole).then_some(whole).ok_or_else(|| missing(Some(item), end, expected))
        }
        items => Ok(form(register.name, &forms, 1, items, end)?.swap_remove(0)),
    }
}

/// `[NAME] [FIELD …]`: the form by its name, then the fields that it has.
fn form(
    what: &str,
    forms: &[Form],
    dwords: usize,
    items: &[Item<'_>],
    end: usize,
) -> Result<Vec<Expr>, Problem> {
    let name = items.first().filter(|item| item.key.is_none()).map_or("", |item| item.value.text);
    let plain = forms.iter().find(|form| form.name.is_empty());
    let named = forms.iter().find(|form| form.name == name && !name.is_empty());
    let Some(form) = named.or(plain) else {
        let names = forms.iter().map(|form| form.name);
        let what = format!("what the {what} is");
        return Err(match items.first() {
            Some(item) => unknown(item, &what, "one of", names),
            None => missing(None, end, format!("{what}, such as `{}`", forms[0].name)),
        });
    };
    let others = forms.iter().map(|form| form.name).filter(|_| named.is_none());
    let mut filled = Dwords::new(form, dwords);
    for item in &items[usize::from(named.is_some())..] {
        let subject = if form.name.is_empty() { what } else { form.name };
        let wanted = item.key.as_ref().map_or(item.value.text, |key| key.text);
        let Some(field) = form.fields.iter().find(|field| field.name == wanted) else {
            let names = others.clone().chain(form.fields.iter().map(|field| field.name));
            return Err(unknown(item, &format!("a field of {subject}"), "it has", names));
        };
        put(&mut filled, field, item)?;
    }
    Ok(filled.done())
}

fn put(filled: &mut Dwords<'_>, field: &Place, item: &Item<'_>) -> Result<(), Problem> {
    let value = match &item.key {
        Some(_) => place(&item.value)?,
        None if is_flag(field) => Expr::number(1),
        None => return Err(missing(Some(item), 0, format!("`{}=VALUE`", field.name))),
    };
    filled.put(field, &value).map_err(|unfit| match unfit {
        Unfit::Twice => Problem::new(item.span(), format!("a second `{}`", field.name), "each field once"),
        Unfit::Value(fitting) => {
            let expected = format!("{fitting} for {}", field.name);
            Problem::new(item.value.span.clone(), format!("`{}`", item.value.text), expected)
        }
        Unfit::BesidePlace => {
            let expected = "a number instead of a place, where a field above the address is set";
            Problem::new(item.span(), format!("`{}`", field.name), expected)
        }
    })
}
