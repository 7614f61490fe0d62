//! `monitor` commands that look at one state: `s2`, `smmu`, `page`, `check`.

use std::fmt::Write as _;

use parallax_abi::info::HypInfo;
use parallax_addr::{InputAddr, Ipa, Named, PAGE_SIZE, PhysAddr, Span};
use parallax_engine::Observer;
use parallax_machine::{Registers, Target};
use parallax_model::table_map::Table;
use parallax_model::{
    AddressMap, Context, Lane, Ownership, PageState, S2Entry, Snapshot, canonical, check, lane, run,
};
use parallax_smmu::{Config, SmmuRegs, Ste, StreamTable, illegal};
use parallax_vmsa::desc::{self, Kind};
use parallax_vmsa::mem::read_u64;
use parallax_vmsa::{PhysMem, Regime};

use crate::reader;

use crate::moment::Moment;

/// A state, and what to look at it with.
pub(super) struct StateView<'a> {
    snapshot: &'a Snapshot,
    registers: &'a Registers,
    memory: &'a dyn PhysMem,
    context: &'a Context,
    info: &'a HypInfo,
}

/// What makes views of the states of one machine.
pub(super) struct StateViews {
    pub(super) info: HypInfo,
    observer: Observer,
}

impl StateViews {
    pub(super) fn new(target: &Target) -> Self {
        Self { info: target.info_or_zero(), observer: Observer::new(target) }
    }

    /// What addresses are called.
    pub(super) const fn symbols(&self) -> &AddressMap {
        &self.observer.context().symbols
    }

    /// The state that `registers` and `memory` describe.
    pub(super) fn snapshot(&mut self, memory: &dyn PhysMem, registers: &Registers) -> Snapshot {
        self.observer.observe(memory, registers)
    }

    /// Looks at the state that `registers` and `memory` describe.
    pub(super) fn look<T>(
        &mut self,
        memory: &dyn PhysMem,
        registers: &Registers,
        look: impl FnOnce(&StateView<'_>) -> T,
    ) -> T {
        let snapshot = self.snapshot(memory, registers);
        let context = self.observer.context();
        look(&StateView { snapshot: &snapshot, registers, memory, context, info: &self.info })
    }
}

impl StateView<'_> {
    /// An address that a user wrote: a number or a place.
    pub(super) fn address(&self, text: &str) -> Result<Ipa, String> {
        self.context.symbols.parse(text)
    }

    fn named(&self, address: impl Named) -> String {
        self.context.symbols.address(address)
    }

    /// `s2 IPA`: the host's stage 2 for one address.
    pub(super) fn stage2(&self, text: &str) -> Result<String, String> {
        let ipa = self.address(text)?;
        let regime = Regime::stage2(&self.registers.sys).map_err(|error| error.to_string())?;
        let regime = regime.ok_or("the host's stage 2 is off (HCR_EL2.VM = 0)")?;
        let mut out = self.path(&regime, Lane::Cpu, ipa.into());
        let entry = self.entry(self.snapshot.host(), ipa, Lane::Cpu);
        let _ = writeln!(out, "the host's CPUs at {}: {entry}", self.named(ipa));
        Ok(out)
    }

    /// The entry at `ipa` as a golden shows it.
    fn entry(&self, entries: &[run::Run<Ipa, S2Entry>], ipa: Ipa, lane: Lane) -> String {
        run::find(entries, ipa).map_or_else(
            || "nothing is mapped".to_owned(),
            |found| lane::s2_entry(&found.value, ipa, lane, &self.context.symbols),
        )
    }

    /// The entries that a walk of `regime` for `ia` reads, a line each.
    fn path(&self, regime: &Regime, lane: Lane, ia: InputAddr) -> String {
        let mut out = String::new();
        if ia >= regime.ia_end() {
            let _ =
                writeln!(out, "{} {ia:#x} is above the input size of {} bits", lane.name(), regime.ia_bits);
            return out;
        }
        let mut level = regime.start;
        let mut at = regime.root.wrapping_add(8 * (ia.get() >> level.shift()));
        loop {
            let Ok(value) = read_u64(self.memory, at) else {
                let _ = writeln!(out, "{} {level} entry at {at:#x} cannot be read", lane.name());
                return out;
            };
            let (stage, form) = (regime.stage, regime.form());
            let meaning = Table { lane, pa: at, level, ia, entries: 1, stage, form }.meaning(value);
            let _ = writeln!(out, "{:<4} {level} entry at {at:#x} = {value:#018x}  {meaning}", lane.name());
            match (desc::kind(value, level, form), level.next()) {
                (Kind::Table, Some(next)) => {
                    level = next;
                    at = desc::table_address(value, form).wrapping_add(8 * (ia.get() >> level.shift() & 511));
                }
                _ => return out,
            }
        }
    }

    /// The physical addresses of the entries that end the walks for `ia`: the host's, and that of the first stream with a
    /// stage 2, which speaks for all of them.
    pub(super) fn last_entries(&self, ipa: Ipa) -> Result<Vec<(&'static str, PhysAddr)>, String> {
        let ia = InputAddr::from(ipa);
        let mut entries = Vec::new();
        if let Ok(Some(regime)) = Regime::stage2(&self.registers.sys) {
            if ia >= regime.ia_end() {
                return Err(format!(
                    "{ia:#x} is above the input size of {} bits: no entry translates it",
                    regime.ia_bits
                ));
            }
            entries.push((Lane::Cpu.name(), self.last_entry(&regime, ia)));
        }
        let streams = self.snapshot.smmu.iter().flat_map(|smmu| &smmu.streams);
        if let Some(stream) = streams.into_iter().find(|stream| stream.value.table.is_some()) {
            let (_, _, ste, regs) = self.stream(&stream.base.to_string())?;
            if let Some(regime) = ste.stage2(&regs.idr5).map_err(|error| error.to_string())? {
                entries.push((Lane::Smmu.name(), self.last_entry(&regime, ia)));
            }
        }
        Ok(entries)
    }

    fn last_entry(&self, regime: &Regime, ia: InputAddr) -> PhysAddr {
        match parallax_vmsa::translate(self.memory, regime, ia) {
            Ok(found) => found.entry_pa,
            Err(fault) => fault.entry_pa,
        }
    }

    fn smmu(&self) -> Result<SmmuRegs, String> {
        let raw = self.registers.smmu.as_ref().ok_or("the hypervisor uses no SMMU")?;
        SmmuRegs::decode(raw).map_err(|error| error.to_string())
    }

    /// The stream that a user wrote: its number, its entry and where that is.
    fn stream(&self, text: &str) -> Result<(u32, PhysAddr, Ste, SmmuRegs), String> {
        let regs = self.smmu()?;
        let sid = u32::try_from(reader::number(text)?).map_err(|_| "a StreamID has at most 32 bits")?;
        let table = StreamTable::from_regs(&regs);
        let fault = |error| format!("sid {sid:#x}: {error}: its transactions abort");
        let at = table.entry_address(self.memory, sid).map_err(fault)?;
        Ok((sid, at, table.stream(self.memory, sid).map_err(fault)?, regs))
    }

    /// `smmu sid N`: a stream table entry.
    pub(super) fn sid(&self, text: &str) -> Result<String, String> {
        let (sid, at, ste, regs) = self.stream(text)?;
        let mut out = format!("STE of sid {sid:#x} at {at:#x} ({})\n", self.named(at));
        let dwords: Vec<String> = ste.0.iter().map(|dword| format!("{dword:016x}")).collect();
        let _ = writeln!(out, "  {}\n  {}", dwords[..4].join(" "), dwords[4..].join(" "));
        for field in Ste::FIELDS.iter().filter(|field| field.value(&ste.0) != 0) {
            let _ = writeln!(out, "  {:<13} {:#x}", field.name, field.value(&ste.0));
        }
        for why in illegal::illegal(&ste, &regs) {
            let _ = writeln!(out, "  ILLEGAL: {why}");
        }
        let _ = writeln!(out, "{}", fate(&ste));
        if !regs.cr0ack.smmuen() {
            out.push_str("SMMUEN is 0: no stream table is read\n");
        }
        Ok(out)
    }

    /// `smmu walk SID IPA`: what a device reaches.
    pub(super) fn walk(&self, sid: &str, text: &str) -> Result<String, String> {
        let ipa = self.address(text)?;
        let (number, at, ste, regs) = self.stream(sid)?;
        let mut out = format!("ste  sid {number:#x} at {at:#x}: {}\n", fate(&ste));
        let Some(regime) = ste.stage2(&regs.idr5).map_err(|error| error.to_string())? else { return Ok(out) };
        if ste.config() == Config::Nested {
            out.push_str("stage 1 comes first; the address is taken as its output\n");
        }
        out += &self.path(&regime, Lane::Smmu, ipa.into());
        let tables = self.snapshot.smmu.iter().flat_map(|smmu| &smmu.tables);
        if let Some(table) = tables.into_iter().find(|table| table.root == regime.root) {
            let entry = self.entry(&table.entries, ipa, Lane::Smmu);
            let _ = writeln!(out, "device {number:#x} at {}: {entry}", self.named(ipa));
        }
        Ok(out)
    }

    /// `page PFN`: who has a page, and every way to reach it.
    pub(super) fn page(&self, text: &str) -> Result<String, String> {
        let pfn = self.context.symbols.parse_frame(text)?;
        let pa = pfn.ipa().map(Ipa::identity).filter(|pa| pa.get() >> 52 == 0);
        let pa =
            pa.ok_or("a page frame number has at most 40 bits; to name an address, drop three digits")?;
        let mut out = format!("page {pfn} at {pa:#x} ({})\n", self.named(pa));
        match run::find(self.snapshot.pages(), pa) {
            Some(found) => {
                let word = self
                    .info
                    .vmemmap_pa
                    .wrapping_add(8 * pfn.get().wrapping_sub(self.info.vmemmap_first_pfn));
                let _ = writeln!(out, "state {} (word at {word:#x})", lane::page_state(&found.value));
                let _ = writeln!(out, "owner {}", owner(&found.value));
            }
            None => out.push_str("state none: it is not memory\n"),
        }
        let (before, page) = (out.len(), Span::new(pa, PAGE_SIZE));
        for found in self.snapshot.host() {
            self.mapping(&mut out, Lane::Cpu, found, page);
        }
        for found in self.snapshot.el2() {
            let Some(leaf) = found.value.leaf() else { continue };
            let span = leaf.inputs(page);
            if found.span().contains(span.base) {
                let (_, value) =
                    canonical::el2_entry(&found.value, span, &self.snapshot.layout, &self.context.symbols);
                let _ = writeln!(out, "el2  {}  {value}", span.base);
            }
        }
        for found in self.snapshot.smmu.iter().flat_map(|smmu| &smmu.tables).flat_map(|table| &table.entries)
        {
            self.mapping(&mut out, Lane::Smmu, found, page);
        }
        if out.len() == before {
            out.push_str("nothing maps it\n");
        }
        Ok(out)
    }

    /// A line if `found` maps the page at `pa`, or says who has it.
    fn mapping(&self, out: &mut String, lane: Lane, found: &run::Run<Ipa, S2Entry>, page: Span<PhysAddr>) {
        let ipa = found.value.leaf().map_or_else(|| page.cast(), |leaf| leaf.inputs(page)).base;
        if found.span().contains(ipa) {
            let value = lane::s2_entry(&found.value, ipa, lane, &self.context.symbols);
            let _ = writeln!(out, "{:<4} {}  {value}", lane.name(), self.named(ipa));
        }
    }

    /// `check`: everything that must hold, now, which is at `moment`; and what was found up to then.
    pub(super) fn check(&self, moment: &Moment) -> String {
        let findings = check(self.snapshot, self.context);
        if findings.is_empty() && moment.found.is_empty() {
            return "nothing found\n".to_owned();
        }
        let mut out = String::new();
        if !findings.is_empty() {
            let _ = writeln!(out, "{}", moment.when);
        }
        for finding in findings {
            let _ = writeln!(out, "! {finding}\n  {}", finding.about());
        }
        if !moment.found.is_empty() {
            let _ = write!(out, "found up to here\n{}", moment.found);
        }
        let _ = writeln!(out, "reproduce: {}", moment.reproducer);
        out
    }
}

/// What becomes of a stream's transactions.
fn fate(ste: &Ste) -> &'static str {
    match (ste.v(), ste.config()) {
        (false, _) => "V = 0: its transactions abort",
        (true, Config::Abort) => "its transactions abort",
        (true, Config::Bypass) => "its transactions bypass translation",
        (true, Config::Stage1) => "stage 1 translates",
        (true, Config::Stage2) => "stage 2 translates",
        (true, Config::Nested) => "stage 1 and stage 2 translate",
    }
}

fn owner(state: &PageState) -> &'static str {
    match (state.host, state.hyp) {
        (Ownership::Owned, _) => "the host",
        (Ownership::SharedOwned, _) => "the host, who shares it with the hypervisor",
        (_, Ownership::Owned) => "the hypervisor",
        (_, Ownership::SharedOwned) => "the hypervisor, who shares it with the host",
        _ => "another than host and hypervisor",
    }
}
