//! The canonical form of a snapshot: what a golden may depend on, and nothing else.
//!
//! Table addresses, queue indices and the pool's own bookkeeping are left out; block sizes can be. The full state
//! ([`crate::state_lines`]) and differences ([`crate::Delta`]) are both written from it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parallax_addr::{AddressMap, HypVa, Ipa, PhysAddr, Span, VmHandle};

use crate::context::Context;
use crate::lane::{self, Lane};
use crate::leaf::{S1Entry, S2Entry};
use crate::page::PageState;
use crate::registers::{self, Register};
use crate::run::{self, Run};
use crate::runs::Runs;
use crate::smmu_state::Stream;
use crate::snapshot::{Layout, Snapshot};

/// Whether the size of the blocks that map something is part of the form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BlockSize {
    /// It is, as `1G`, `2M` or `4K`.
    #[default]
    Shown,
    /// It is not: two tables are equal when every address has the same meaning in both.
    Ignored,
}

/// The canonical form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canonical {
    pub(crate) layout: Layout,
    pub(crate) cpu: Runs<Ipa, S2Entry>,
    pub(crate) el2: Runs<HypVa, S1Entry>,
    pub(crate) smmu: Vec<Runs<Ipa, S2Entry>>,
    pub(crate) ste: Runs<u64, Stream>,
    pub(crate) regs: Arc<[Register]>,
    pub(crate) pages: Runs<PhysAddr, PageState>,
    pub(crate) guests: BTreeMap<VmHandle, Runs<Ipa, S2Entry>>,
}

impl Canonical {
    /// The form of a state in which there is nothing.
    pub(crate) fn empty(layout: Layout) -> Self {
        Self {
            layout,
            cpu: Runs::default(),
            el2: Runs::default(),
            smmu: Vec::new(),
            ste: Runs::default(),
            regs: Arc::default(),
            pages: Runs::default(),
            guests: BTreeMap::new(),
        }
    }

    /// The canonical form of `snapshot`.
    #[must_use]
    pub fn of(snapshot: &Snapshot, block_size: BlockSize) -> Self {
        let pages = without_own_references(snapshot.pages(), &snapshot.layout).into();
        Self::with(snapshot, block_size, registers::text(snapshot).into(), pages)
    }

    /// The same, of the state after `before`, whose form this is: what is the same is not made again.
    #[must_use]
    pub fn after(&self, before: &Snapshot, snapshot: &Snapshot, block_size: BlockSize) -> Self {
        let [old, new] = [before, snapshot].map(|state| state.smmu.as_ref().map(|smmu| &smmu.control));
        let same = before.cpus == snapshot.cpus
            && before.layout == snapshot.layout
            && old == new
            && before.gic == snapshot.gic
            && before.guests == snapshot.guests;
        let regs = if same { Arc::clone(&self.regs) } else { registers::text(snapshot).into() };
        let pages = if before.layout == snapshot.layout && before.pages == snapshot.pages {
            self.pages.clone()
        } else {
            without_own_references(snapshot.pages(), &snapshot.layout).into()
        };
        Self::with(snapshot, block_size, regs, pages)
    }

    fn with(
        snapshot: &Snapshot,
        block_size: BlockSize,
        regs: Arc<[Register]>,
        pages: Runs<PhysAddr, PageState>,
    ) -> Self {
        let tables = snapshot.smmu.as_ref().map_or(&[][..], |smmu| &smmu.tables);
        let (cpu, el2, smmu) = match block_size {
            BlockSize::Shown => (
                snapshot.host_runs(),
                snapshot.el2_runs(),
                tables.iter().map(|table| table.entries.clone()).collect(),
            ),
            BlockSize::Ignored => (
                run::map(snapshot.host(), |run| without_size(run.value)).into(),
                run::map(snapshot.el2(), |run| without_size_s1(run.value)).into(),
                tables
                    .iter()
                    .map(|table| run::map(&table.entries, |run| without_size(run.value)).into())
                    .collect(),
            ),
        };
        let guests = snapshot.guest_spaces().map(|(handle, entries)| match block_size {
            BlockSize::Shown => (handle, entries.clone()),
            BlockSize::Ignored => (handle, run::map(entries, |run| without_size(run.value)).into()),
        });
        Self {
            guests: guests.collect(),
            layout: snapshot.layout,
            cpu,
            el2,
            smmu,
            ste: snapshot.smmu.as_ref().map_or_else(Runs::default, |smmu| smmu.streams.clone()),
            regs,
            pages,
        }
    }
}

fn without_size(entry: S2Entry) -> S2Entry {
    match entry {
        S2Entry::Mapped(mut leaf) => {
            leaf.block = 0;
            leaf.contiguous = false;
            S2Entry::Mapped(leaf)
        }
        other => other,
    }
}

fn without_size_s1(entry: S1Entry) -> S1Entry {
    match entry {
        S1Entry::Mapped(mut leaf) => {
            leaf.block = 0;
            leaf.contiguous = false;
            S1Entry::Mapped(leaf)
        }
        other @ S1Entry::Malformed { .. } => other,
    }
}

/// Page states without the reference counts inside image and pool: which of its pages the pool gave out, and how
/// often a table page is used, is its own business.
fn without_own_references(
    pages: &[Run<PhysAddr, PageState>],
    layout: &Layout,
) -> Vec<Run<PhysAddr, PageState>> {
    let mut borders: Vec<PhysAddr> = layout.own().flat_map(|own| [own.base, own.end()]).collect();
    borders.sort_unstable();
    let mut out: Vec<Run<PhysAddr, PageState>> = Vec::with_capacity(pages.len());
    for page_run in pages {
        let mut at = page_run.base;
        while at < page_run.end() {
            let until = borders
                .iter()
                .copied()
                .find(|&border| border > at)
                .unwrap_or(PhysAddr::new(u64::MAX))
                .min(page_run.end());
            let mut value = page_run.value;
            if layout.is_own(at) {
                value.refcount = 0;
            }
            let piece = Run::new(Span::between(at, until), value);
            run::push(&mut out, piece);
            at = until;
        }
    }
    out
}

/// Whether a line says that something is, was, or came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// Part of a full state.
    State,
    /// Gone since the state before.
    Removed,
    /// New since the state before.
    Added,
}

/// One line of canonical text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The lane.
    pub lane: Lane,
    /// Number of the table within the lane; more than 0 only where streams use several stage-2 tables.
    pub table: usize,
    /// Where: addresses in names, StreamIDs, or nothing for registers.
    pub subject: String,
    /// State or change.
    pub sign: Sign,
    /// What is there.
    pub value: String,
}

impl Line {
    /// Appends its text.
    pub(crate) fn put(&self, text: &mut impl fmt::Write) -> fmt::Result {
        match self.table {
            0 => write!(text, "{:<4}", self.lane.name())?,
            table => write!(text, "{}:{table}", self.lane.name())?,
        }
        if !self.subject.is_empty() {
            text.write_char(' ')?;
            text.write_str(&self.subject)?;
        }
        text.write_str(match self.sign {
            Sign::State => "  ",
            Sign::Removed => "   - ",
            Sign::Added => "   + ",
        })?;
        text.write_str(&self.value)
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.put(f)
    }
}

/// StreamIDs as text.
#[must_use]
pub fn stream_ids(span: Span) -> String {
    if span.size == 1 { format!("{:#x}", span.base) } else { format!("{:#x}..{:#x}", span.base, span.end()) }
}

/// The physical address behind `va` of EL2: as it is mapped, or where it is not any more, as the linear map has it.
pub(crate) fn el2_output(snapshot: &Snapshot, context: &Context, va: HypVa) -> Option<PhysAddr> {
    let mapped = run::find(snapshot.el2(), va).and_then(|run| run.value.leaf()).map(|leaf| leaf.output(va));
    mapped.or_else(|| {
        let pa = va.get().checked_sub(snapshot.layout.linear_offset)?;
        let pa = PhysAddr::new(pa);
        context.symbols.region_name(pa).map(|_| pa)
    })
}

/// Where an EL2 virtual address range is, and what it maps.
///
/// The image's segments move with every change of the code, and where a stack lies in the pool is chance: of the
/// image only its name is given, of stacks only the region that they are taken from.
#[must_use]
pub fn el2_entry(
    entry: &S1Entry,
    span: Span<HypVa>,
    layout: &Layout,
    symbols: &AddressMap,
) -> (String, String) {
    let plain = || format!("{:#x}..{:#x}", span.base, span.end());
    let leaf = match entry {
        S1Entry::Mapped(leaf) => leaf,
        S1Entry::Malformed { raw } => return (plain(), format!("malformed {raw:#018x}")),
    };
    let pa = leaf.output(span.base);
    let mut value = String::with_capacity(lane::TEXT);
    value.extend(['R', if leaf.write { 'W' } else { '-' }, if leaf.exec { 'X' } else { '-' }, ' ']);
    value += &lane::mem_type(leaf.mem(), leaf.mair);
    lane::put_oddities(&mut value, leaf.shareability(), leaf.af, leaf.contiguous, leaf.sw);
    lane::put_block_size(&mut value, leaf.block);
    let output = Span::new(pa, span.size);
    let in_image = layout.image.contains(pa);
    let subject = if in_image && leaf.offset == layout.image.base.get().wrapping_sub(layout.image_va.get()) {
        "hyp".to_owned()
    } else if in_image && leaf.offset == 0 {
        "identity:hyp".to_owned()
    } else if layout.linear_offset != 0 && leaf.offset == layout.linear_offset.wrapping_neg() {
        let mut subject = String::with_capacity(lane::TEXT);
        subject += "linear:";
        if in_image {
            subject += "hyp"
        } else {
            symbols.put_span(&mut subject, output)
        }
        subject
    } else {
        let own = in_image || layout.pool.contains(pa);
        let target =
            symbols.region_name(pa).filter(|_| own).map_or_else(|| symbols.address(pa), str::to_owned);
        value += &format!(" -> {target}");
        plain()
    };
    (subject, value)
}
