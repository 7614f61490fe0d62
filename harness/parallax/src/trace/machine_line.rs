//! `machine key=value ...`: the machine that a trace runs on.

use parallax_addr::{Base, Expr, Symbol};
use parallax_machine::{DmaDevice, HostView, MachineConfig, MapMode, MmioPolicy, SmmuMode, memory_map};

use super::error::Problem;
use super::syntax::{Item, Token, parse_expr, parse_number};

const KEYS: &str = "one of cpus=, mem=, cpu=, smmu=, smmu.map=, smmu.mmio=, smmu.sid_bits=, smmu.host=, \
                    donate_mmio=, host_s2_pages=, devices=";

/// Reads what follows the word `machine`; what it does not say stays as in `config`.
pub(super) fn parse(mut config: MachineConfig, items: &[Item<'_>]) -> Result<MachineConfig, Problem> {
    let mut seen: Vec<&str> = Vec::new();
    for item in items {
        let Some(key) = &item.key else {
            return Err(Problem::new(item.span(), format!("`{}`", item.value.text), KEYS));
        };
        if seen.contains(&key.text) {
            return Err(Problem::new(item.span(), format!("a second `{}=`", key.text), "each key once"));
        }
        seen.push(key.text);
        set(&mut config, key, &item.value)?;
    }
    config.check().map_err(|error| {
        let span =
            items.first().map_or(0, |item| item.span().start)..items.last().map_or(0, |i| i.span().end);
        Problem::new(span, error.to_string(), "a machine that can be built")
    })?;
    Ok(config)
}

fn set(config: &mut MachineConfig, key: &Token<'_>, value: &Token<'_>) -> Result<(), Problem> {
    match key.text {
        "cpus" => config.cpus = bounded(value, 1, 8)?,
        "mem" => config.mem_bytes = size(value)?,
        "cpu" => config.cpu = value.text.to_owned(),
        "smmu" => config.hyp.smmu = choice(value, SmmuMode::NAMES)?,
        "smmu.map" => config.hyp.map = choice(value, MapMode::NAMES)?,
        "smmu.mmio" => config.hyp.mmio = choice(value, MmioPolicy::NAMES)?,
        "smmu.sid_bits" => config.hyp.sid_bits = bounded(value, 0, 16)?,
        "smmu.host" => config.hyp.smmu_host = choice(value, HostView::NAMES)?,
        "donate_mmio" => config.hyp.donate_mmio = list(value, mmio_page)?,
        "host_s2_pages" => {
            config.hyp.host_s2_pages = Some(parse_number(value, "a number of pages")?);
        }
        "devices" => config.devices = devices(value)?,
        _ => return Err(Problem::new(key.span.clone(), format!("`{}=`", key.text), KEYS)),
    }
    Ok(())
}

fn bounded(value: &Token<'_>, low: u8, high: u8) -> Result<u8, Problem> {
    let expected = format!("a number from {low} to {high}");
    let number = parse_number(value, &expected)?;
    let fits = u8::try_from(number).ok().filter(|number| (low..=high).contains(number));
    fits.ok_or_else(|| Problem::new(value.span.clone(), format!("`{}`", value.text), expected))
}

fn choice<T: Copy>(value: &Token<'_>, names: &[(T, &str)]) -> Result<T, Problem> {
    names.iter().find(|(_, name)| *name == value.text).map(|(choice, _)| *choice).ok_or_else(|| {
        let all: Vec<&str> = names.iter().map(|(_, name)| *name).collect();
        Problem::new(value.span.clone(), format!("`{}`", value.text), format!("one of {}", all.join(", ")))
    })
}

/// `256M`, `4G`: at least 128M, at most 4G.
fn size(value: &Token<'_>) -> Result<u64, Problem> {
    let expected = "a size from 128M to 4G, such as 256M";
    let wrong = || Problem::new(value.span.clone(), format!("`{}`", value.text), expected);
    let (digits, shift) = match value.text.as_bytes().last() {
        Some(b'M') => (&value.text[..value.text.len() - 1], 20),
        Some(b'G') => (&value.text[..value.text.len() - 1], 30),
        _ => return Err(wrong()),
    };
    let count = parse_number(&Token { text: digits, span: value.span.clone() }, expected)?;
    let bytes = count.checked_mul(1 << shift).ok_or_else(wrong)?;
    (128 << 20..=4 << 30).contains(&bytes).then_some(bytes).ok_or_else(wrong)
}

fn list<T>(value: &Token<'_>, one: impl Fn(&Token<'_>) -> Result<T, Problem>) -> Result<Vec<T>, Problem> {
    let mut start = value.span.start;
    let parts = value.text.split(',').map(|text| {
        let token = Token { text, span: start..start + text.len() };
        start += text.len() + 1;
        one(&token)
    });
    parts.collect()
}

/// An MMIO page that is given away before anything runs: its address must be known from the machine alone.
fn mmio_page(value: &Token<'_>) -> Result<u64, Problem> {
    let expected = "the address of a 4 KiB page of MMIO, such as mmio:rtc";
    let wrong = || Problem::new(value.span.clone(), format!("`{}`", value.text), expected);
    let address = match parse_expr(value).map_err(|_| wrong())? {
        Expr { base: None, offset } => offset,
        Expr { base: Some(Base { symbol: Symbol::Mmio(name), end: false }), offset } => {
            device(&name).ok_or_else(wrong)?.base.wrapping_add(offset)
        }
        Expr { .. } => return Err(wrong()),
    };
    address.is_multiple_of(0x1000).then_some(address).ok_or_else(wrong)
}

/// The device region called `name`.
pub(super) fn device(name: &str) -> Option<memory_map::Region> {
    memory_map::regions(0).into_iter().find(|region| region.name == name && name != "ram")
}

/// Names of all device regions, for messages.
pub(super) fn device_names() -> String {
    let names: Vec<String> = memory_map::regions(0)
        .into_iter()
        .filter(|region| region.name != "ram")
        .map(|region| format!("mmio:{}", region.name))
        .collect();
    names.join(", ")
}

/// `edu@1,edu@bus1`: a device in slot 1 of bus 0, one behind a root port in the first slot that is free.
fn devices(value: &Token<'_>) -> Result<Vec<DmaDevice>, Problem> {
    let expected = "a list of edu@SLOT (1 to 31) and at most one edu@bus1";
    let slots = list(value, |part| {
        let wrong = || Problem::new(part.span.clone(), format!("`{}`", part.text), expected);
        let place = part.text.strip_prefix("edu@").ok_or_else(wrong)?;
        if place == "bus1" {
            return Ok(None);
        }
        let slot = place.parse::<u8>().ok().filter(|slot| (1..=31).contains(slot));
        slot.map(Some).ok_or_else(wrong)
    })?;
    let free = (1..=31).find(|slot| !slots.contains(&Some(*slot)));
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
    use super::super::syntax::parse_line;
    use super::*;

    fn machine(line: &str) -> Result<MachineConfig, Problem> {
        parse(MachineConfig::default(), &parse_line(line).unwrap().items)
    }

    #[test]
    fn every_key_sets_its_field() {
        let config = machine(
            "cpus=4 mem=1G cpu=cortex-a53 smmu=shared smmu.map=pages smmu.mmio=prot smmu.sid_bits=9 \
             smmu.host=emulated donate_mmio=mmio:rtc,0x9030000 host_s2_pages=12 devices=edu@1,edu@3,edu@bus1",
        )
        .unwrap();
        assert_eq!((config.cpus, config.mem_bytes, config.cpu.as_str()), (4, 1 << 30, "cortex-a53"));
        assert_eq!((config.hyp.smmu, config.hyp.map), (SmmuMode::Shared, MapMode::Pages));
        assert_eq!((config.hyp.mmio, config.hyp.sid_bits), (MmioPolicy::Prot, 9));
        assert_eq!(config.hyp.smmu_host, HostView::Emulated);
        assert_eq!(config.hyp.donate_mmio, [0x0901_0000, 0x0903_0000]);
        assert_eq!(config.hyp.host_s2_pages, Some(12));
        assert_eq!(config.devices, [DmaDevice::Slot(1), DmaDevice::Slot(3), DmaDevice::BehindPort(2)]);
    }

    #[test]
    fn a_bad_value_is_pointed_at() {
        for (line, start, found) in [
            ("cpus=9", 5, "`9`"),
            ("mem=64M", 4, "`64M`"),
            ("mem=5G", 4, "`5G`"),
            ("mem=256", 4, "`256`"),
            ("smmu=on", 5, "`on`"),
            ("donate_mmio=mmio:rtc,mmio:nope", 21, "`mmio:nope`"),
            ("donate_mmio=mmio:rtc+4", 12, "`mmio:rtc+4`"),
            ("donate_mmio=ram", 12, "`ram`"),
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
}
