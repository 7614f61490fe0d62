//! Events of a plugin as text.

use parallax_abi::journal::{Record, kind};
use parallax_addr::ImageVa;
use parallax_machine::symbols::{Place, Symbols};
use parallax_protocol::tlbi::TlbiOp;

/// What happened, and where in the source: the instruction is `instruction`, and its address is `described` so, if it is.
#[must_use]
pub fn line(record: &Record, described: Option<&str>, instruction: &str) -> String {
    let pc = ImageVa::new(record.pc);
    let place = described.map_or_else(|| format!("{pc:#x}"), |all| place_in(pc, all));
    let digits = 2 + 2 * usize::from(record.size);
    let what = match record.kind {
        kind::STORE => format!("store      {:#014x} = {:#0digits$x}", record.b, record.value),
        kind::LOAD => format!("load       {:#014x} gave {:#0digits$x}", record.b, record.value),
        kind::MMIO_WRITE => format!("device     {:#014x} = {:#0digits$x}", record.b, record.value),
        kind::MMIO_READ => format!("device     {:#014x} gave {:#0digits$x}", record.b, record.value),
        kind::TLBI => format!("invalidate {instruction}{}", named(record)),
        kind::BARRIER => format!("barrier    {instruction}"),
        kind::MSR => format!("register   {instruction}, value {:#x}", record.value),
        kind::MRS => format!("register   {instruction} gives {:#x}", record.value),
        kind::DC => format!("cache      {instruction}, operand {:#x}", record.value),
        kind::SMC => format!("firmware   smc {:#x}, x3 {:#x}", record.a, record.value),
        kind::ERET => "return     to the host".to_owned(),
        kind::VECTOR => format!("enter      vector {:#05x}", record.a),
        kind::MARK => "done       the test host has its answer".to_owned(),
        other => format!("unknown    kind {other}"),
    };
    format!("  cpu{} {what:<46} {place}", record.cpu)
}

/// The addresses that a TLBI names with its operand; nothing where it has none. One that is not known has its number.
fn named(record: &Record) -> String {
    let field = |at: u32, mask: u64| (record.a >> at & mask) as u8;
    match TlbiOp::from_encoding(field(16, 7), field(8, 15), field(5, 7)) {
        Some(op) => op.operand(record.value).map_or_else(String::new, |named| {
            let (base, size) = (named.address.get(), named.size);
            format!(" names {base:#x}..{:#x}", base.wrapping_add(size))
        }),
        None => format!(", operand {:#x}", record.value),
    }
}

/// How many source lines [`place`] names.
const LINES: usize = 3;
/// Where the functions are single instructions, or stand in front of them to leave one out: who calls them is of more
/// interest.
const WRAPPERS: [&str; 2] = ["hyp/src/hw.rs", "hyp/core/src/faulty/"];

/// Where the instruction at `address` is in the hypervisor's source: its function, and the innermost lines, from the inside out, without
/// those of libraries. All there is to say if none is left.
#[must_use]
pub fn place(address: ImageVa, symbols: &Symbols) -> String {
    place_in(address, &symbols.describe(address))
}

fn place_in(address: ImageVa, all: &str) -> String {
    let frames: Vec<(&str, &str)> = frames(all).into_iter().filter_map(in_source).collect();
    let Some((function, _)) = frames.first() else { return all.to_owned() };
    let lines: Vec<&str> = frames.iter().map(|(_, line)| *line).collect();
    format!("{address:#x} {function} {}", lines.join(" < "))
}

/// The innermost function at `address` that is the hypervisor's own and no wrapper of an instruction.
#[must_use]
pub fn innermost(address: ImageVa, symbols: &Symbols) -> Option<Place> {
    let places = symbols.image_at(address)?.places(address);
    let file = |place: &Place| place.line.as_ref().map_or("", |(file, _)| file).to_owned();
    let own = |place: &&Place| file(place).starts_with("hyp/") && !is_wrapper(&file(place));
    places.iter().find(own).or(places.last()).cloned()
}

/// Whether a path, with or without a line, leads to one of [`WRAPPERS`].
fn is_wrapper(path: &str) -> bool {
    WRAPPERS.iter().any(|wrapper| path.starts_with(wrapper))
}

fn source_line(frame: &str) -> Option<&str> {
    in_source(frame).map(|(_, line)| line)
}

/// The function of a frame, and its line.
fn in_source(frame: &str) -> Option<(&str, &str)> {
    let (function, line) = frame.rsplit_once('(')?;
    Some((function.trim_end(), line.trim_end_matches(')')))
}

/// The frames of a described address that [`place`] is made from: `<Tree>::set (hyp/core/src/tree.rs:9)`. Code that is not of our source
/// has all of its own.
#[must_use]
pub fn frames(described: &str) -> Vec<&str> {
    let frames = || described.split_once(' ').map_or("", |(_, frames)| frames).split(" in ");
    let is_ours = |frame: &&str| source_line(frame).is_some_and(|line| line.starts_with("hyp/"));
    if frames().any(|frame| is_ours(&frame)) {
        let shown = |frame: &&str| is_ours(frame) && !source_line(frame).is_some_and(is_wrapper);
        return frames().filter(shown).take(LINES).collect();
    }
    let is_foreign = |frame: &&str| {
        let in_library = |line: &str| line.starts_with("library/") || line.starts_with('/');
        // `(in no image)` is no frame.
        !frame.starts_with('(') && !frame.is_empty() && !source_line(frame).is_some_and(in_library)
    };
    frames().filter(is_foreign).take(LINES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalidation_tells_the_addresses_that_it_names() {
        let tlbi = |a, value| Record { kind: kind::TLBI, a, value, ..Record::default() };
        assert_eq!(named(&tlbi(0xd50c_8020, 0x4_0020)), " names 0x40020000..0x40021000");
        assert_eq!(named(&tlbi(0xd50c_83c0, 0)), "", "vmalls12e1is has no operand");
        assert_eq!(named(&tlbi(0xd50f_8720, 7)), ", operand 0x7", "no TLBI that is known");
    }

    #[test]
    fn lines_of_libraries_and_of_wrapped_instructions_are_left_out() {
        let described = "0x10 store::<u64> (library/core/src/sync/atomic.rs:9) in <M as Memory>::write \
                         (hyp/src/hw.rs:29) in <Tree>::split (hyp/core/src/tree.rs:263) in f+0x4 (hyp/src/a.rs:2)";
        let place = place_in(ImageVa::new(0x10), described);
        assert_eq!(place, "0x10 <Tree>::split hyp/core/src/tree.rs:263 < hyp/src/a.rs:2");
        assert_eq!(frames(described), ["<Tree>::split (hyp/core/src/tree.rs:263)", "f+0x4 (hyp/src/a.rs:2)"]);
        assert_eq!(place_in(ImageVa::new(0x10), "0x10 (in no image)"), "0x10 (in no image)");
    }

    #[test]
    fn a_function_of_another_hypervisor_is_shown_with_and_without_a_line() {
        assert_eq!(frames("0x10 set_pte+0x44"), ["set_pte+0x44"]);
        let described = "0x10 store (arch/pte.h:3) in set_pte+0x44 (arch/pte.c:7)";
        assert_eq!(frames(described), ["store (arch/pte.h:3)", "set_pte+0x44 (arch/pte.c:7)"]);
        for none in ["0x10", "0x10 (in no image)", "0x10 copy+0x4 (library/core/src/a.rs:9)"] {
            assert_eq!(frames(none), [""; 0], "{none}");
        }
    }
}
