//! CR0: what is turned on and off, and what is lent meanwhile (IHI 0070, 6.3.9; docs/viommu.md).

use parallax_addr::{PAGE_SIZE, PhysAddr, Span};

use super::registers::{CMDQEN, CR2, EVENTQ_BASE, EVENTQEN, SMMUEN, STRTAB_BASE, STRTAB_BASE_CFG};
use super::stage1::Forget;
use super::streams::{Stream, stream, table};
use super::{BUDGET, Enable, FOLLOWED, PROGRESS, Viommu, queue};
use crate::holding::{At, hold, is_returned, release};
use crate::page::Page;
use crate::view::Effect;
use crate::words::Fetch;

impl Viommu {
    /// A write of CR0.
    pub(super) fn enable(&mut self, cr0: u64, at: At<'_>) -> Vec<Effect> {
        if matches!(self.smmu, Enable::Soon(_)) {
            // It is ignored, unless the last one is done by now.
            self.lose();
            self.asked(cr0);
            return Vec::new();
        }
        let mut effects = Vec::new();
        let has = |bit| cr0 & bit != 0;
        if self.smmu == Enable::On && !has(SMMUEN) {
            let work = self.work_of_streams();
            self.streams.clear();
            self.unknown = false;
            self.note(u64::MAX);
            self.remembered.forget(Forget::Context(None));
            if work > BUDGET {
                (self.smmu, self.left) = (Enable::Soon(false), work - PROGRESS);
            } else {
                self.smmu = Enable::Off;
                let strtab = self.held.strtab.take();
                self.release(strtab, at, &mut effects);
            }
        }
        if !has(EVENTQEN) {
            self.words.volatile = None;
            let eventq = self.held.eventq.take();
            self.release(eventq, at, &mut effects);
        }
        if !has(CMDQEN) {
            let cmdq = self.held.cmdq.take();
            self.release(cmdq, at, &mut effects);
            self.commands.stopped_at();
        }
        if has(CMDQEN) && self.held.cmdq.is_none() {
            self.held.cmdq = self.hold(self.commands.base.map(queue::memory_of_commands), at, &mut effects);
        }
        if has(EVENTQEN) && self.held.eventq.is_none() {
            self.held.eventq =
                self.hold(self.kept[EVENTQ_BASE.place].map(queue::memory_of_events), at, &mut effects);
            self.words.volatile = self.held.eventq;
        }
        if has(SMMUEN) && self.smmu == Enable::Off && self.held.cmdq.is_some() {
            self.enable_streams(at, &mut effects);
        }
        self.told = self.held.eventq.is_some() && self.events_at_zero;
        self.work(at);
        if self.lost { Vec::new() } else { effects }
    }

    /// CR0 was written while nothing is known: once CR0ACK reads as zero behind a write of zero, all is off.
    pub(super) const fn asked(&mut self, cr0: u64) {
        let off = cr0 & (SMMUEN | EVENTQEN | CMDQEN) == 0;
        self.smmu = if off { Enable::Soon(false) } else { Enable::On };
    }

    fn enable_streams(&mut self, at: At<'_>, effects: &mut Vec<Effect>) {
        let (Some(base), Some(cfg)) = (self.kept[STRTAB_BASE.place], self.kept[STRTAB_BASE_CFG.place]) else {
            return self.lose();
        };
        let Some(table) = table(base, cfg, self.sid_bits) else { return };
        self.held.strtab = self.hold(Some(Span::new(table.base, table.size)), at, effects);
        if self.held.strtab.is_none() {
            return;
        }
        self.configure(0, u64::MAX, at);
        self.smmu = Enable::On;
        let work = self.work_of_streams();
        if work > BUDGET {
            (self.smmu, self.left) = (Enable::Soon(true), work - PROGRESS);
            self.unknown = true;
            self.streams.clear();
        }
    }

    /// How much work it may be until all streams have heard that the SMMU is on, or off.
    fn work_of_streams(&self) -> u64 {
        let entries = 1_u64 << self.sid_bits;
        let unknown = self.streams.values().any(|stream| *stream == Stream::Unknown) || self.unknown;
        let changed = if unknown { entries } else { self.streams.len() as u64 };
        let pages = self.held.strtab.map_or(0, |pages| pages.size / PAGE_SIZE);
        entries + changed * 2 + entries / 64 * 16 + pages
    }

    /// What is in `span` is lent, if it can be.
    fn hold(
        &mut self,
        span: Option<Span<PhysAddr>>,
        at: At<'_>,
        effects: &mut Vec<Effect>,
    ) -> Option<Span<PhysAddr>> {
        let held = span.and_then(|span| hold(span, at, &self.held.spans(), effects));
        if held.is_none() {
            self.lose();
        }
        held.flatten()
    }

    /// What is in `span` is returned.
    fn release(&mut self, span: Option<Span<PhysAddr>>, at: At<'_>, effects: &mut Vec<Effect>) {
        if span.is_some_and(|pages| !release(pages, at, effects)) {
            self.lose();
        }
    }

    /// The stream table is returned when the last stream has heard that the SMMU is off, and CR0ACK says so from then on.
    pub(super) fn turned_off(&mut self, at: At<'_>) -> Vec<Effect> {
        let returned = self.held.strtab.is_some_and(|pages| is_returned(pages, at));
        if self.lost || self.smmu != Enable::Soon(false) || !returned {
            return Vec::new();
        }
        self.smmu = Enable::Off;
        self.return_table(at)
    }

    /// SMMUEN is acknowledged as clear: the stream table has been returned, by this access or by one before it.
    pub(super) fn return_table(&mut self, at: At<'_>) -> Vec<Effect> {
        let Some(pages) = self.held.strtab.take() else { return Vec::new() };
        if self.held.spans().iter().any(|other| other.overlaps(pages)) {
            self.lose();
            return Vec::new();
        }
        let returned = |(span, page)| match page {
            Page::Lent { pins: 0, held: 1 } => Some(Effect { span, page: Page::Host }),
            Page::Lent { pins, held: 1 } => Some(Effect { span, page: Page::Lent { pins, held: 0 } }),
            _ => None,
        };
        at.view.pages(pages).into_iter().filter_map(returned).collect()
    }

    /// The entries of `count` streams may change.
    fn note(&mut self, count: u64) {
        if let Some(issued) = &mut self.issued {
            issued.streams = issued.streams.saturating_add(count);
        }
    }

    /// The entries of `count` streams from `first` on are read anew.
    pub(super) fn configure(&mut self, first: u32, count: u64, at: At<'_>) {
        let (Some(base), Some(cfg)) = (self.kept[STRTAB_BASE.place], self.kept[STRTAB_BASE_CFG.place]) else {
            return self.lose();
        };
        let (Some(table), Some(cr2)) = (table(base, cfg, self.sid_bits), self.kept[CR2.place]) else {
            return self.lose();
        };
        self.note(count);
        let followed = FOLLOWED.min(1 << self.sid_bits.min(31));
        let all = 1_u64 << self.sid_bits;
        if u64::from(first) + count.min(all) > u64::from(followed) && all > u64::from(followed) {
            self.unknown = true;
        }
        let end = u64::from(first).saturating_add(count).min(u64::from(followed)) as u32;
        let own = self.held.spans();
        let fetch = Fetch::new(&self.words, at.memory, at.view);
        for sid in first.min(end)..end {
            self.remembered.forget(Forget::Context(Some(sid)));
            match stream((&table, cr2), sid, self.features, &own, &fetch) {
                Stream::Abort => {
                    self.streams.remove(&sid);
                    if self.unknown {
                        self.streams.insert(sid, Stream::Abort);
                    }
                }
                stream => {
                    self.streams.insert(sid, stream);
                }
            }
        }
    }
}
