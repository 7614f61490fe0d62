//! Memory of the host's that the GIC uses, from when it is told of it until it has left it (IHI 0069, 5.3 and 12.11).

use std::collections::BTreeMap;

use parallax_addr::{PAGE_SIZE, PhysAddr, Span};
use parallax_gic::{Baser, Cbaser, Command, CommandKind, LpiTables, RawRedistributor};

use super::bases::{Area, overlaps, says_lent};
use super::checker::Checker;
use super::finding::{Site, Subject};
use super::rule::Rule;
use crate::event::GicRegister;
use crate::map::Map;

/// GITS_CWRITER and GITS_CREADR: the offset, bits 19:5.
const OFFSET: u64 = 0xf_ffe0;
/// GICR_CTLR: EnableLPIs, RWP.
const ENABLE_LPIS: u64 = 1;
const RWP: u64 = 1 << 3;
/// Devices, ITTs that leave, and redistributors; more of each are not followed.
const MOST: usize = 1024;

/// An ITT that its device has no more.
#[derive(Debug)]
struct Leaving {
    itt: Area,
    /// The number of the MAPD that took it out.
    since: u64,
}

/// The LPI tables of a redistributor.
#[derive(Debug, Default)]
struct Redistributor {
    propbaser: u64,
    pendbaser: u64,
    /// It has them.
    tables: Option<[Area; 2]>,
}

/// What the GIC has.
#[derive(Debug, Default)]
pub(super) struct Gic {
    /// The ITS's command queue.
    queue: Option<Area>,
    /// Offset of the first command that was not seen consumed, and of the first that was not given.
    creadr: u64,
    cwriter: u64,
    /// The last store to the queue: who and when.
    stored: Option<(u16, u64)>,
    /// ITTs by DeviceID.
    itts: Map<u32, Area>,
    leaving: Vec<Leaving>,
    /// Commands that were performed: their numbers, from 1.
    performed: u64,
    /// Redistributors that a MAPC has named, and the number of the last SYNC for each; that of the MAPC where none came since.
    targets: BTreeMap<u64, u64>,
    /// The number of the last SYNC.
    synced: u64,
    redistributors: Map<u64, Redistributor>,
    /// How many of these have their tables.
    enabled: usize,
}

impl Gic {
    /// A store, which may be of a command.
    pub(super) fn stored(&mut self, cpu: u16, pa: u64, time: u64) {
        if overlaps(self.queue, (pa, 8)) {
            self.stored = Some((cpu, time));
        }
    }

    /// Whether there is any memory of the host's that it may use.
    pub(super) fn holds_anything(&self) -> bool {
        self.enabled != 0 || !self.itts.is_empty() || !self.leaving.is_empty()
    }

    /// Who uses `page`, and what had to come first.
    fn holder(&self, page: Area) -> Option<(String, &'static str)> {
        let held = |area: &Area| overlaps(Some(*area), page);
        let device = self.itts.iter().filter(|(_, itt)| held(itt)).map(|(device, _)| *device).min();
        if let Some(device) = device {
            return Some((
                format!("the ITT of DeviceID {device:#x}"),
                "MAPD with V = 0 consumed, then a SYNC",
            ));
        }
        let settled = self.settled();
        if self.leaving.iter().any(|leaving| leaving.since > settled && held(&leaving.itt)) {
            let missing = "a SYNC for each redistributor behind the MAPD, and GITS_CREADR read behind both";
            return Some(("an ITT that a MAPD took out".to_owned(), missing));
        }
        let tables = |redistributor: &Redistributor| redistributor.tables.iter().flatten().any(held);
        let user = self.redistributors.values().any(tables);
        user.then(|| ("LPI tables in use".to_owned(), "GICR_CTLR read with EnableLPIs = 0 and RWP = 0"))
    }

    /// The number of the last command of which a SYNC for each redistributor has told that it is done everywhere.
    fn settled(&self) -> u64 {
        self.targets.values().copied().min().unwrap_or(self.synced)
    }

    /// Gives the ITT that the ITS has from here on, if it is one.
    fn perform(&mut self, command: &Command) -> Option<Area> {
        self.performed += 1;
        let field = |name| command.field(name).unwrap_or(0);
        match command.kind() {
            CommandKind::Mapc if field("V") != 0 && self.targets.len() < MOST => {
                self.targets.entry(field("RDbase")).or_insert(self.performed);
            }
            CommandKind::Mapd => {
                let device = field("DeviceID") as u32;
                if let Some(itt) = self.itts.remove(&device) {
                    if self.leaving.len() >= MOST {
                        let settled = self.settled();
                        self.leaving.retain(|leaving| leaving.since > settled);
                        // The oldest ones are followed no longer: half of them, so that this comes seldom.
                        let left = self.leaving.len();
                        self.leaving.drain(..left.saturating_sub(MOST / 2));
                    }
                    self.leaving.push(Leaving { itt, since: self.performed });
                }
                if field("V") != 0 && self.itts.len() < MOST {
                    // An entry has a byte at least: how many is the ITS's own business.
                    let itt = (field("ITT_addr"), 2 << field("Size"));
                    self.itts.insert(device, itt);
                    return Some(itt);
                }
            }
            CommandKind::Sync => {
                self.synced = self.performed;
                if let Some(last) = self.targets.get_mut(&field("RDbase")) {
                    *last = self.performed;
                }
            }
            _ => {}
        }
        None
    }

    /// The ITS has another table: it was disabled, and quiescent. Its queue stands as it was.
    fn forget_devices(&mut self) {
        self.itts.clear();
        self.leaving.clear();
    }

    fn redistributor(&mut self, frame: u64) -> Option<&mut Redistributor> {
        let known = self.redistributors.len() < MOST || self.redistributors.contains_key(&frame);
        known.then(|| self.redistributors.entry(frame).or_default())
    }

    /// A redistributor uses its tables from now on, or does not any more.
    fn use_tables(&mut self, frame: u64, enabled: bool) {
        let Some(redistributor) = self.redistributor(frame) else { return };
        let raw = RawRedistributor {
            ctlr: ENABLE_LPIS as u32,
            propbaser: redistributor.propbaser,
            pendbaser: redistributor.pendbaser,
            ..RawRedistributor::default()
        };
        // How many bits an INTID has at most is not told.
        let tables = LpiTables::of(&raw, u32::MAX);
        let areas = [tables.configuration, tables.pending].map(|span| (span.base.get(), span.size));
        let before = std::mem::replace(&mut redistributor.tables, enabled.then_some(areas));
        self.enabled = self.enabled - usize::from(before.is_some()) + usize::from(enabled);
    }
}

impl Checker {
    /// A register of the GIC was written.
    pub(super) fn gic_write(&mut self, at: Site, register: GicRegister, frame: u64, value: u64) {
        match register {
            GicRegister::GitsCbaser => {
                self.given_cleared(at, "GITS_CBASER", Cbaser(value).memory());
                // IHI 0069, 12.19: a write of it clears GITS_CREADR.
                (self.gic.creadr, self.gic.cwriter, self.gic.stored) = (0, 0, None);
                self.gic.queue = Cbaser(value).memory().map(|queue| (queue.base.get(), queue.size));
            }
            GicRegister::GitsBaser => {
                self.given_cleared(at, "GITS_BASER<n>", Baser(value).memory());
                self.gic.forget_devices();
            }
            GicRegister::GitsCwriter => {
                let dsb = self.cpus.of(at.cpu).dsb;
                let early = |stored: &mut (u16, u64)| stored.0 == at.cpu && stored.1 > dsb;
                if self.gic.stored.take_if(early).is_some() {
                    let what = "a command is given to the ITS before it was visible".to_owned();
                    let missing =
                        "DSB between the stores to the queue and the one to GITS_CWRITER".to_owned();
                    let subject = Subject::Register("GITS_CWRITER");
                    self.report(Rule::ItsUnordered, subject, at, None, what, missing);
                }
                self.gic.cwriter = value & OFFSET;
            }
            GicRegister::GicrPropbaser | GicRegister::GicrPendbaser => {
                let Some(redistributor) = self.gic.redistributor(frame) else { return };
                let is_live = redistributor.tables.is_some();
                let (name, base) = match register {
                    GicRegister::GicrPendbaser => ("GICR_PENDBASER", &mut redistributor.pendbaser),
                    _ => ("GICR_PROPBASER", &mut redistributor.propbaser),
                };
                *base = value;
                if is_live {
                    let what = "is written while EnableLPIs is set, or not seen clear".to_owned();
                    let missing =
                        "GICR_CTLR read with EnableLPIs = 0 and RWP = 0, or the write before EnableLPIs";
                    self.report(
                        Rule::GicLiveBase,
                        Subject::Register(name),
                        at,
                        None,
                        what,
                        missing.to_owned(),
                    );
                }
            }
            GicRegister::GicrCtlr if value & ENABLE_LPIS != 0 => self.gic.use_tables(frame, true),
            GicRegister::GicrCtlr | GicRegister::GitsCreadr => {}
        }
    }

    /// A register of the GIC was read.
    pub(super) fn gic_read(&mut self, at: Site, register: GicRegister, frame: u64, value: u64) {
        match register {
            GicRegister::GitsCreadr => self.commands_consumed(at, value & OFFSET),
            GicRegister::GicrCtlr if value & (ENABLE_LPIS | RWP) == 0 => self.gic.use_tables(frame, false),
            _ => {}
        }
    }

    /// The ITS is given `memory` by the register `name`: what it must not find there has been cleared, and is visible.
    fn given_cleared(&mut self, at: Site, name: &'static str, memory: Option<Span<PhysAddr>>) {
        let Some(memory) = memory else { return };
        let dsb = self.cpus.of(at.cpu).dsb;
        let stored = |page: &u64| self.memory.page(*page).and_then(|page| page.last);
        let pages = self.memory.known(memory.base.get(), memory.size);
        if pages.iter().filter_map(stored).any(|(cpu, time)| cpu == at.cpu && time > dsb) {
            let what = "gives the ITS memory whose contents it may not see yet".to_owned();
            let missing = "DSB between the stores to that memory and the one to the register".to_owned();
            self.report(Rule::ItsUnordered, Subject::Register(name), at, None, what, missing);
        }
    }

    /// The ITS has come to `creadr`: the commands below it are performed.
    fn commands_consumed(&mut self, at: Site, creadr: u64) {
        let Some((base, size)) = self.gic.queue else { return };
        let from = self.gic.creadr;
        let ahead = |to: u64| (to % size + size - from % size) % size;
        // Further than it was told to go it has not come.
        if creadr >= size || ahead(creadr) > ahead(self.gic.cwriter) {
            return;
        }
        for _ in 0..ahead(creadr) / Command::BYTES {
            let slot = base.wrapping_add(self.gic.creadr);
            let command = Command([0, 8, 16, 24].map(|offset| self.memory.read(slot.wrapping_add(offset))));
            self.legal_command(at, &command);
            if let Some(itt) = self.gic.perform(&command) {
                self.host_base(at, "the ITT_addr of a MAPD", itt);
            }
            self.gic.creadr = (self.gic.creadr + Command::BYTES) % size;
        }
    }

    /// The ITS has performed `command`: all its bits are those of fields that somebody has looked at.
    fn legal_command(&mut self, at: Site, command: &Command) {
        let unknown = matches!(command.kind(), CommandKind::Unknown(_));
        if !unknown && command.reserved() == [0; 4] {
            return;
        }
        let (subject, what) = (Subject::Register("GITS_CREADR"), format!("the ITS was given {command}"));
        let missing = if unknown {
            "a command number that the ITS has".to_owned()
        } else {
            let [one, two, three, four] = command.reserved();
            format!("zeros in the bits of no field: {one:#x} {two:#x} {three:#x} {four:#x}")
        };
        self.report(Rule::ItsCommand, subject, at, None, what, missing);
    }

    /// The dword at `pa` went from `old` to `new`: if it is the state of a page, the page may have been given back.
    pub(super) fn state_stored(&mut self, at: Site, pa: u64, old: u64, new: u64) {
        if !says_lent(old) || says_lent(new) {
            return;
        }
        let Some(page) = self.page_of_state(pa) else { return };
        let memory = page.saturating_mul(PAGE_SIZE);
        self.event_page_returned(at, memory);
        let Some((who, missing)) = self.gic.holder((memory, PAGE_SIZE)) else { return };
        let subject = Subject::Memory { pa: PhysAddr::new(memory) };
        let what = format!("given back to the host: it is of {who}");
        self.report(Rule::GicReturned, subject, at, None, what, missing.to_owned());
    }
}
