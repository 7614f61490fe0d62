//! What is told of a broken rule: in a golden the rule, the entry and the function; to a person also the lines of the
//! source and what was missing.

use parallax_addr::{ImageVa, Ipa, PAGE_SIZE, PhysAddr};
use parallax_machine::symbols::Symbols;
use parallax_model::{AddressMap, Layout, Rule, Space, Span, Violation};
use parallax_protocol::{self as protocol, Regime, Subject};

use crate::event_text;

/// The function of the instruction at `pc`.
pub(super) fn function(pc: u64, symbols: Option<&Symbols>) -> String {
    let place = symbols.and_then(|symbols| event_text::innermost(ImageVa::new(pc), symbols));
    place.map_or_else(|| format!("{pc:#x}"), |place| place.function)
}

/// What is wrong, without what moves when nothing behaves differently: numbers of events, addresses of tables, lines.
pub(super) fn violation(
    found: &protocol::Finding,
    function: &str,
    layout: &Layout,
    names: &AddressMap,
) -> Violation {
    let (space, span, message) = match found.subject {
        Subject::Entry { regime, level, ia, .. } => {
            let space = match regime {
                Regime::Cpu(_) => Space::Cpu,
                Regime::El2 => Space::El2,
                Regime::Smmu(_) => Space::Smmu,
            };
            (
                space,
                Span::new(ia.get(), 0x1000 << (9 * (3 - i32::from(level.min(3))))),
                format!("level {level}"),
            )
        }
        Subject::Page { pa } => {
            let message = match found.rule {
                protocol::Rule::Unlocked => "the page states",
                protocol::Rule::EventUnordered => "a record of the SMMU's event queue",
                protocol::Rule::LockTwice | protocol::Rule::LockHeld => "a lock",
                protocol::Rule::StartUnclean => "what a CPU reads when it starts",
                _ => "a page of tables",
            };
            (Space::Page, Span::new(pa.page().get(), PAGE_SIZE), message.to_owned())
        }
        Subject::Context { sid, ssid } => {
            (Space::Ste, Span::new(sid.into(), 1), format!("context descriptor {ssid}"))
        }
        Subject::Stream(sid) => (Space::Ste, Span::new(sid.into(), 1), String::new()),
        Subject::Register(name) if found.rule == protocol::Rule::BaseElsewhere => {
            (Space::Regs, Span::default(), format!("{name} {}", found.what))
        }
        Subject::Register(name) => (Space::Regs, Span::default(), name.to_owned()),
        // What it was, not which one.
        Subject::Command(_) if found.rule == protocol::Rule::CommandForbidden => {
            (Space::Regs, Span::default(), found.what.clone())
        }
        Subject::Command(_) => (Space::Regs, Span::default(), "command queue".to_owned()),
        Subject::Memory { pa } => (Space::Page, Span::new(pa.page().get(), PAGE_SIZE), found.what.clone()),
        Subject::Foreign { pa } => (Space::Page, Span::new(pa.get(), 8), String::new()),
    };
    let subject = match space {
        Space::Cpu | Space::Smmu => names.span(span.cast::<Ipa>()),
        Space::El2 => el2(span, layout, names),
        Space::Ste => format!("{:#x}", span.base),
        // Which page of the pool is chance.
        Space::Page if matches!(found.subject, Subject::Page { .. }) => {
            let pages: Span<PhysAddr> = span.cast();
            names.region_name(pages.base).map_or_else(|| names.span(pages), str::to_owned)
        }
        Space::Page => names.span(span.cast::<PhysAddr>()),
        Space::Regs => String::new(),
    };
    let (rule, function) = (Rule::Protocol(found.rule), Some(function.to_owned()));
    Violation { rule, space, span, subject, message, function }
}

/// Virtual addresses at EL2: the linear map by what it shows, the rest by what it is.
fn el2(span: Span, layout: &Layout, names: &AddressMap) -> String {
    let within = |base: u64, size: u64| span.base >= base && span.base - base < size;
    let linear = Span::new(PhysAddr::new(span.base.wrapping_sub(layout.linear_offset)), span.size);
    if within(layout.image_va.get(), layout.image.size) {
        "hyp".to_owned()
    } else if span.base >= layout.linear_offset && names.region_name(linear.base).is_some() {
        format!("linear:{}", names.span(linear))
    } else {
        format!("{:#x}", span.base)
    }
}

/// The rest of what is known, for all places in the code that `found`, findings of one function and rule, names.
pub(super) fn detail(found: &[&protocol::Finding], symbols: Option<&Symbols>) -> Vec<String> {
    let Some(first) = found.first() else { return Vec::new() };
    let place = |pc| symbols.map_or_else(|| format!("{pc:#x}"), |symbols| event_text::place(pc, symbols));
    let mut lines = vec![first.what.clone()];
    if !first.missing.is_empty() {
        lines.push(format!("missing: {}", first.missing));
    }
    for finding in found {
        let times = if finding.count == 1 { String::new() } else { format!(", {} times", finding.count) };
        lines.push(format!("at {} by cpu{}{times}", place(ImageVa::new(finding.at.pc)), finding.at.cpu));
    }
    if let Some(near) = &first.near {
        let at = near.at.map(|at| format!("at {} by cpu{}: ", place(ImageVa::new(at.pc)), at.cpu));
        lines.push(format!("but {}{}", at.unwrap_or_default(), near.what));
    }
    for (word, site) in [("since", first.since), ("until", first.until)] {
        if let Some(site) = site {
            lines.push(format!("{word} {} by cpu{}", place(ImageVa::new(site.pc)), site.cpu));
        }
    }
    lines
}
