//! Reads what follows the word `machine`, as [`OPTIONS`] says.

use std::ops::RangeInclusive;

use parallax_addr::{Base, Expr, PAGE_SIZE, Symbol};

use super::options::{OPTIONS, keys};
use super::{DmaDevice, MachineSpec, SLOTS, board, parse_size};
use crate::error::Problem;
use crate::syntax::{Item, Token, parse_expr, parse_number};

/// Reads what follows the word `machine`; what it does not say stays as in `spec`.
pub(crate) fn parse(mut spec: MachineSpec, items: &[Item<'_>]) -> Result<MachineSpec, Problem> {
    let expected = || format!("one of {}", keys());
    let mut seen: Vec<&str> = Vec::new();
    for item in items {
        let Some(key) = &item.key else {
            return Err(Problem::new(item.span(), format!("`{}`", item.value.text), expected()));
        };
        if seen.contains(&key.text) {
            return Err(Problem::new(item.span(), format!("a second `{}=`", key.text), "each key once"));
        }
        seen.push(key.text);
        let option = OPTIONS.iter().find(|option| option.key == key.text);
        let option =
            option.ok_or_else(|| Problem::new(key.span.clone(), format!("`{}=`", key.text), expected()))?;
        (option.set)(&mut spec, &item.value)?;
    }
    spec.check().map_err(|error| {
        let span =
            items.first().map_or(0, |item| item.span().start)..items.last().map_or(0, |i| i.span().end);
        Problem::new(span, error.to_string(), "a machine that can be built")
    })?;
    Ok(spec)
}

/// A number of `range`.
pub(super) fn bounded(value: &Token<'_>, range: &RangeInclusive<u8>) -> Result<u8, Problem> {
    let expected = format!("a number from {} to {}", range.start(), range.end());
    let number = parse_number(value, &expected)?;
    let fits = u8::try_from(number).ok().filter(|number| range.contains(number));
    fits.ok_or_else(|| Problem::new(value.span.clone(), format!("`{}`", value.text), expected))
}

/// One of `names`.
pub(super) fn choice<T: Copy>(value: &Token<'_>, names: &[(T, &str)]) -> Result<T, Problem> {
    names.iter().find(|(_, name)| *name == value.text).map(|(choice, _)| *choice).ok_or_else(|| {
        let all: Vec<&str> = names.iter().map(|(_, name)| *name).collect();
        Problem::new(value.span.clone(), format!("`{}`", value.text), format!("one of {}", all.join(", ")))
    })
}

/// A size of RAM.
pub(super) fn size(value: &Token<'_>) -> Result<u64, Problem> {
    parse_size(value.text, 0)
        .map_err(|error| Problem::new(value.span.clone(), format!("`{}`", value.text), error.to_string()))
}

/// Values with `,` between.
pub(super) fn list<T>(
    value: &Token<'_>,
    one: impl Fn(&Token<'_>) -> Result<T, Problem>,
) -> Result<Vec<T>, Problem> {
    let mut start = value.span.start;
    let parts = value.text.split(',').map(|text| {
        let token = Token { text, span: start..start + text.len() };
        start += text.len() + 1;
        one(&token)
    });
    parts.collect()
}

/// MMIO pages that are given away before anything runs, each once.
pub(super) fn mmio_pages(value: &Token<'_>) -> Result<Vec<u64>, Problem> {
    let named = |part: &Token<'_>| Ok((mmio_page(part)?, part.span.clone(), format!("`{}`", part.text)));
    let mut pages = Vec::new();
    for (page, span, text) in list(value, named)? {
        if pages.contains(&page) {
            return Err(Problem::new(span, text, "each page once"));
        }
        pages.push(page);
    }
    Ok(pages)
}

/// One of them: its address must be known from the machine alone.
fn mmio_page(value: &Token<'_>) -> Result<u64, Problem> {
    let expected = "the address of a 4 KiB page of MMIO, such as mmio:rtc";
    let wrong = || Problem::new(value.span.clone(), format!("`{}`", value.text), expected);
    let address = match parse_expr(value).map_err(|_| wrong())? {
        Expr { base: None, offset } => offset,
        Expr { base: Some(Base { symbol: Symbol::Mmio(name), end: false }), offset } => {
            (board::device(&name).ok_or_else(wrong)?.base.wrapping_add(offset)).get()
        }
        Expr { .. } => return Err(wrong()),
    };
    address.is_multiple_of(PAGE_SIZE).then_some(address).ok_or_else(wrong)
}

/// `edu@1,edu@bus1`: a device in slot 1 of bus 0, one behind a root port in the first slot that is free.
pub(super) fn devices(value: &Token<'_>) -> Result<Vec<DmaDevice>, Problem> {
    let expected =
        format!("a list of edu@SLOT ({} to {}) and at most one edu@bus1", SLOTS.start(), SLOTS.end());
    let slots = list(value, |part| {
        let wrong = || Problem::new(part.span.clone(), format!("`{}`", part.text), &*expected);
        let place = part.text.strip_prefix("edu@").ok_or_else(wrong)?;
        if place == "bus1" {
            return Ok(None);
        }
        let slot = place.parse::<u8>().ok().filter(|slot| SLOTS.contains(slot));
        slot.map(Some).ok_or_else(wrong)
    })?;
    let mut all_slots = SLOTS;
    let free = all_slots.find(|slot| !slots.contains(&Some(*slot)));
    let port = free.filter(|_| slots.iter().filter(|slot| slot.is_none()).count() <= 1);
    let place = |slot: &Option<u8>| match slot {
        Some(slot) => Some(DmaDevice::Slot(*slot)),
        None => port.map(DmaDevice::BehindPort),
    };
    let all: Option<Vec<DmaDevice>> = slots.iter().map(place).collect();
    all.ok_or_else(|| Problem::new(value.span.clone(), format!("`{}`", value.text), expected))
}

#[cfg(test)]
mod tests {
    use super::super::{Firmware, Guest, HostView, MapMode, MmioPolicy, SmmuFails, SmmuMode};
    use super::*;
    use crate::syntax::parse_line;

    fn machine(line: &str) -> Result<MachineSpec, Problem> {
        parse(MachineSpec::default(), &parse_line(line).unwrap().items)
    }

    #[test]
    fn every_key_sets_its_field() {
        let config = machine(
            "cpus=4 mem=1G cpu=cortex-a53 smmu=shared smmu.map=pages smmu.mmio=prot smmu.sid_bits=9 \
             smmu.host=emulated donate_mmio=mmio:rtc,0x9030000 host_s2_pages=12 el2_free_pages=3 devices=edu@1,edu@3,edu@bus1 \
             dtb=../trees/a.dts firmware=dirty smmu.fails=refuses guest=ordinary",
        )
        .unwrap();
        assert_eq!((config.cpus, config.mem_bytes, config.cpu.as_str()), (4, 1 << 30, "cortex-a53"));
        assert_eq!((config.hyp.smmu, config.hyp.map), (SmmuMode::Shared, MapMode::Pages));
        assert_eq!((config.hyp.mmio, config.hyp.sid_bits), (MmioPolicy::Prot, 9));
        assert_eq!(config.hyp.smmu_host, HostView::Emulated);
        assert_eq!(config.hyp.donate_mmio, [0x0901_0000, 0x0903_0000]);
        assert_eq!((config.hyp.host_s2_pages, config.hyp.el2_free_pages), (Some(12), Some(3)));
        assert_eq!(config.devices, [DmaDevice::Slot(1), DmaDevice::Slot(3), DmaDevice::BehindPort(2)]);
        assert_eq!(config.tree.map(|tree| tree.name).as_deref(), Some("../trees/a.dts"));
        assert_eq!((config.firmware, config.smmu_fails), (Firmware::Dirty, SmmuFails::Refuses));
        assert_eq!(config.guest, Guest::Ordinary);
    }

    #[test]
    fn a_bad_value_is_pointed_at() {
        for (line, start, found) in [
            ("cpus=9", 5, "`9`"),
            ("mem=64M", 4, "`64M`"),
            ("mem=9G", 4, "`9G`"),
            ("mem=256", 4, "`256`"),
            ("smmu=on", 5, "`on`"),
            ("donate_mmio=mmio:rtc,mmio:nope", 21, "`mmio:nope`"),
            ("donate_mmio=mmio:rtc+4", 12, "`mmio:rtc+4`"),
            ("donate_mmio=ram", 12, "`ram`"),
            ("donate_mmio=mmio:rtc,0x9010000", 21, "`0x9010000`"),
            ("devices=edu@1,nvme@2", 14, "`nvme@2`"),
            ("devices=edu@bus1,edu@bus1", 8, "`edu@bus1,edu@bus1`"),
            ("colour=red", 0, "`colour=`"),
            ("cpus=1 fast", 7, "`fast`"),
            ("cpus=1 cpus=2", 7, "a second `cpus=`"),
        ] {
            let problem = machine(line).unwrap_err();
            assert_eq!((problem.span.start, problem.found.as_str()), (start, found), "{line}");
        }
    }

    #[test]
    fn what_no_machine_can_be_is_refused() {
        assert!(machine("cpu=max,x").unwrap_err().found.contains("CPU model"));
        assert!(machine("devices=edu@1,edu@1").unwrap_err().found.contains("slot 1"));
    }

    #[test]
    fn the_text_parses_to_the_same_machine() {
        for line in [
            "cpus=1",
            "cpus=4 mem=1G cpu=cortex-a53 smmu=shared smmu.map=pages smmu.mmio=prot smmu.sid_bits=9 smmu.host=emulated \
             donate_mmio=mmio:rtc,0x9030000 host_s2_pages=12 el2_free_pages=3 devices=edu@1,edu@3,edu@bus1 dtb=a.dts firmware=dirty smmu.fails=silent guest=ordinary",
        ] {
            let parse = |line: &str| {
                crate::Trace::parse("t", &format!("machine {line}\nsnapshot\n")).unwrap().machine
            };
            let machine = parse(line);
            assert_eq!(parse(&machine.text()), machine, "{line}");
        }
    }
}
