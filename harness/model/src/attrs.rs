//! Effective memory attributes: what reaches memory for each type that a CPU's stage 1 or a device can come with.
//!
//! Computed from the combining rules of DDI 0487 (stage 1 and stage 2) and IHI 0070 (stage-1 bypass, MTCFG, SHCFG): no
//! emulator models attributes, so nothing here was observed.

use std::fmt::Write as _;

use parallax_addr::{Ipa, Span};
use parallax_smmu::idr::Idr1;
use parallax_vmsa::{MemAttr, MemAttrs, MemType, Shareability};

use crate::context::Context;
use crate::lane;
use crate::leaf::{S2Entry, S2Leaf};
use crate::run;
use crate::smmu_state::{SmmuState, Stream};
use crate::snapshot::Snapshot;

/// Stage-2 type and shareability of a leaf.
type Fields = (MemAttr, Shareability);

/// One incoming type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Type that stage 1 gives, or that the device emits; inner shareable.
    pub incoming: MemType,
    /// What a CPU's access ends up with, `None` for a reserved stage-2 encoding.
    pub cpu: Option<MemAttrs>,
    /// What a device's access ends up with.
    pub smmu: Option<MemAttrs>,
}

impl Row {
    /// Whether CPU and device see the same memory with different attributes.
    #[must_use]
    pub fn disagrees(&self) -> bool {
        self.cpu != self.smmu
    }
}

/// Addresses that CPU and SMMU map with the same pair of stage-2 attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Memory, or MMIO.
    pub memory: bool,
    /// The first such addresses, as an example.
    pub example: Span<Ipa>,
    /// Whether the CPU's entry is still zero there; it then counts as what the first access would map.
    pub on_demand: bool,
    /// The CPU's stage-2 type and shareability.
    pub cpu: (MemAttr, Shareability),
    /// The SMMU's.
    pub smmu: (MemAttr, Shareability),
    /// One row for each incoming type, the least restrictive first.
    pub rows: Vec<Row>,
}

const fn fields(leaf: &S2Leaf) -> Fields {
    (leaf.mem(), leaf.shareability())
}

/// The tables of a snapshot, seen from stream `sid`: one for each pair of attributes that occurs, memory first. None
/// where the stream has no stage 2.
#[must_use]
pub fn effective(snapshot: &Snapshot, context: &Context, sid: u32) -> Vec<Table> {
    let Some((smmu, stream)) =
        snapshot.smmu.as_ref().and_then(|smmu| smmu.stream(sid).map(|stream| (smmu, stream)))
    else {
        return Vec::new();
    };
    let Some(entries) = stream.table.and_then(|index| smmu.tables.get(index)).map(|table| &table.entries)
    else {
        return Vec::new();
    };
    // What the host's stage 2 gives on demand, in the encoding that is in force.
    let usual = (
        MemAttr::decode(if snapshot.control().fwb { 0b0111 } else { 0b1111 }, snapshot.control().fwb),
        Shareability::InnerShareable,
    );
    let mut tables: Vec<Table> = Vec::new();
    let limit = Span::new(Ipa::new(0), 1_u64 << snapshot.control().input_bits.min(63));
    for (span, host, device) in run::overlay(snapshot.host(), entries, limit) {
        let (Some(device), true) =
            (device.and_then(S2Entry::leaf), host.is_none_or(|entry| entry.leaf().is_some()))
        else {
            continue;
        };
        let host = host.and_then(S2Entry::leaf);
        let (cpu, device) = (host.map_or(usual, fields), fields(device));
        for (example, memory) in context.pieces(span) {
            let known = |table: &Table| {
                (table.memory, table.on_demand, table.cpu, table.smmu)
                    == (memory, host.is_none(), cpu, device)
            };
            if !tables.iter().any(known) {
                let rows = rows(cpu, device, smmu, stream);
                tables.push(Table { memory, example, on_demand: host.is_none(), cpu, smmu: device, rows });
            }
        }
    }
    tables.sort_by_key(|table| (!table.memory, table.on_demand));
    tables
}

fn rows(cpu: Fields, device: Fields, smmu: &SmmuState, stream: &Stream) -> Vec<Row> {
    let idr1 = Idr1([u64::from(smmu.control.attr_types_ovr) << 27]);
    MemType::INCOMING
        .into_iter()
        .map(|incoming| {
            let attrs = MemAttrs::new(incoming, Shareability::InnerShareable);
            Row {
                incoming,
                cpu: attrs.combine_stage2(cpu.0, cpu.1),
                smmu: parallax_smmu::attrs::input(&stream.ste(), &idr1, attrs)
                    .combine_stage2(device.0, device.1),
            }
        })
        .collect()
}

/// The tables as text for people.
#[must_use]
pub fn text(tables: &[Table], context: &Context) -> String {
    let mut text = String::from("Effective memory attributes. Computed: QEMU models no attributes.\n");
    for table in tables {
        let kind = if table.memory { "Memory" } else { "MMIO" };
        let when = if table.on_demand { " (on first access)" } else { "" };
        let _infallible = writeln!(
            text,
            "\n{kind}, such as {}: CPU stage 2 {} {}{when}, SMMU stage 2 {} {}\n  {:<16} {:<20} {:<20}",
            context.symbols.span(table.example),
            lane::mem_attr(table.cpu.0),
            table.cpu.1,
            lane::mem_attr(table.smmu.0),
            table.smmu.1,
            "incoming",
            "CPU",
            "SMMU",
        );
        for row in &table.rows {
            let side = |attrs: Option<MemAttrs>| {
                attrs.map_or_else(|| "reserved".to_owned(), |attrs| attrs.to_string())
            };
            let (cpu, smmu) = (side(row.cpu), side(row.smmu));
            let verdict = if row.disagrees() { "disagree" } else { "" };
            let line = format!("  {:<16} {cpu:<20} {smmu:<20} {verdict}", row.incoming);
            let _infallible = writeln!(text, "{}", line.trim_end());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;

    #[test]
    fn write_back_on_both_sides_agrees_for_every_incoming_type() {
        let tables = effective(&clean(), &context(), 8);
        let memory = tables.iter().find(|table| table.memory && !table.on_demand).expect("memory is mapped");
        assert_eq!(memory.rows.len(), 7);
        assert!(
            memory
                .rows
                .iter()
                .all(|row| !row.disagrees() && row.cpu.map(|attrs| attrs.ty) == Some(row.incoming))
        );
    }

    #[test]
    fn device_in_the_smmu_alone_disagrees_except_for_what_is_as_strict() {
        let tables = effective(&clean(), &context(), 8);
        let uart = tables.iter().find(|table| !table.memory && !table.on_demand).expect("the UART is mapped");
        let disagree: Vec<_> =
            uart.rows.iter().filter(|row| row.disagrees()).map(|row| row.incoming.to_string()).collect();
        assert_eq!(disagree, ["Normal-WB", "Normal-WT", "Normal-NC", "Device-GRE", "Device-nGRE"]);
    }

    #[test]
    fn addresses_that_the_host_lost_are_not_judged() {
        let mut state = clean();
        for run in host_mut(&mut state) {
            run.value = HYP;
        }
        set(host_mut(&mut state), Span::new(0, 1 << BITS), Some(HYP));
        assert!(effective(&state, &context(), 8).is_empty());
        assert!(effective(&clean(), &context(), 0x100).is_empty(), "no such stream");
    }

    #[test]
    fn the_text_says_that_it_is_computed() {
        let text = text(&effective(&clean(), &context(), 8), &context());
        assert!(
            text.starts_with("Effective memory attributes. Computed: QEMU models no attributes.\n"),
            "{text}"
        );
        assert!(
            text.contains("\n  Normal-WB        Normal-WB ISH        Device-nGnRE OSH     disagree\n"),
            "{text}"
        );
        assert!(
            text.contains(
                "\nMMIO, such as mmio:uart: CPU stage 2 normal ISH, SMMU stage 2 Device-nGnRE NSH\n"
            ),
            "{text}"
        );
    }
}
