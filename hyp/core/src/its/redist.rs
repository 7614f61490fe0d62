//! The LPI tables of a redistributor, in the first page of its RD_base frame (IHI 0069, 12.11).

use super::probe::read64;
use super::regs::{
    CES, CHILDREN_ASLEEP, DPG, ENABLE_LPIS, GICR_CTLR, GICR_IIDR, GICR_PENDBASER, GICR_PROPBASER, GICR_TYPER,
    GICR_WAKER, IDBITS, LAST, PENDBASER_ADDRESS, PENDBASER_BITS, PLPIS, PROCESSOR_SLEEP, PROPBASER_ADDRESS,
    PROPBASER_BITS, PTZ, RWP, TYPER_SHOWN, VLPIS,
};
use super::{Env, ItsError, POLLS};
use crate::access::{Outcome, Part, Refusal};
use crate::faulty;
use crate::hw::Mmio;
use crate::regions::{Range, pages_of};
use core::ops::RangeInclusive;

/// GICR_PROPBASER.IDbits with which there are LPIs, INTIDs of 14 to 16 bits. What is more counts as 16, as an IDbits
/// beyond GICD_TYPER.IDbits would: tables for 24 bits are 4,608 pages, which would all be held in one access.
const IDBITS_WITH_LPIS: RangeInclusive<u64> = 13..=15;
/// INTIDs that are no LPIs: the configuration table has nothing for them.
const NO_LPIS: u64 = 8192;

/// A redistributor whose LPI tables are held while they are in use.
#[derive(Debug)]
pub struct Redistributor<R> {
    regs: R,
    /// GICR_TYPER.
    typer: u64,
    /// What the host wrote.
    propbaser: u64,
    pendbaser: u64,
    /// Configuration and pending table, while EnableLPIs = 1.
    held: Option<[Range; 2]>,
}

impl<R: Mmio> Redistributor<R> {
    /// Turns LPIs off.
    ///
    /// # Errors
    /// [`ItsError::LpisInUse`].
    pub fn new(regs: R) -> Result<Self, ItsError> {
        let typer = read64(&regs, GICR_TYPER);
        let redistributor = Self { regs, typer, propbaser: 0, pendbaser: 0, held: None };
        if redistributor.are_on() && !redistributor.turn_off() {
            return Err(ItsError::LpisInUse);
        }
        Ok(redistributor)
    }

    /// Whether it has physical LPIs, and with them tables in memory.
    pub const fn has_lpis(&self) -> bool {
        self.typer as u32 & PLPIS != 0
    }

    /// Whether it has the frame of virtual LPIs behind its own two.
    pub const fn has_vlpis(&self) -> bool {
        self.typer as u32 & VLPIS != 0
    }

    /// Whether it is the last one of its region.
    pub const fn is_last(&self) -> bool {
        self.typer as u32 & LAST != 0
    }

    /// The number of its processor.
    pub const fn processor(&self) -> u64 {
        self.typer >> 8 & 0xffff
    }

    fn are_on(&self) -> bool {
        self.regs.read32(GICR_CTLR) & ENABLE_LPIS != 0
    }

    /// Clears EnableLPIs; whether the tables are free then. On some hardware it cannot be cleared.
    fn turn_off(&self) -> bool {
        self.regs.write32(GICR_CTLR, self.regs.read32(GICR_CTLR) & DPG);
        faulty::are_off(|| !self.are_on() && (0..POLLS).any(|_| self.regs.read32(GICR_CTLR) & RWP == 0))
    }

    /// The host reads (`write` is `None`) or writes `width` bytes at `offset` of the page. What means nothing reads as
    /// zero, and writing to it does nothing.
    pub(super) fn access<E: Env>(
        &mut self,
        env: &mut E,
        offset: u64,
        width: u64,
        write: Option<u64>,
    ) -> Outcome {
        let is_wide = |register| matches!(register, GICR_TYPER | GICR_PROPBASER | GICR_PENDBASER);
        let (value, refusal) = match (Part::of(offset, width, is_wide), write) {
            (Some(part), None) => (self.read(part.register).map(|value| part.get(value)), None),
            (Some(part), Some(value)) => match self.write(env, part, value) {
                Ok(done) => (done.then_some(0), None),
                Err(refusal) => (Some(0), Some(refusal)),
            },
            (None, _) => (None, None),
        };
        let nothing = value.is_none().then_some(Refusal::of(offset, width, write));
        Outcome { value: value.unwrap_or(0), refusal: refusal.or(nothing), gerror: false }
    }

    fn read(&self, register: u64) -> Option<u64> {
        let word = |mask: u32| u64::from(self.regs.read32(register) & mask);
        Some(match register {
            GICR_CTLR => word(ENABLE_LPIS | CES | RWP | DPG),
            GICR_IIDR => word(!0),
            GICR_TYPER => self.typer & (!0 << 32 | u64::from(TYPER_SHOWN)),
            GICR_WAKER => word(PROCESSOR_SLEEP | CHILDREN_ASLEEP),
            GICR_PROPBASER => self.propbaser,
            GICR_PENDBASER => self.pendbaser & !PTZ,
            _ => return None,
        })
    }

    /// Writes a part of a register: whether it can be written now.
    fn write<E: Env>(&mut self, env: &mut E, part: Part, value: u64) -> Result<bool, Refusal> {
        match part.register {
            GICR_CTLR => return self.write_ctlr(env, value as u32).map(|()| true),
            GICR_WAKER => self.regs.write32(GICR_WAKER, value as u32 & PROCESSOR_SLEEP),
            GICR_PROPBASER if self.held.is_none() => {
                let written = part.put(self.propbaser, value) & PROPBASER_BITS;
                self.propbaser = written & !IDBITS | (written & IDBITS).min(*IDBITS_WITH_LPIS.end());
            }
            GICR_PENDBASER if self.held.is_none() => {
                self.pendbaser = part.put(self.pendbaser, value) & PENDBASER_BITS;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// GICR_CTLR. EnableLPIs stays 0 if a table is not the host's memory, and the tables stay held for as long as it, or
    /// what it started, does not end.
    fn write_ctlr<E: Env>(&mut self, env: &mut E, value: u32) -> Result<(), Refusal> {
        let dpg = value & DPG;
        let enable = value & ENABLE_LPIS != 0;
        if enable == self.held.is_some() {
            self.regs.write32(GICR_CTLR, dpg | value & ENABLE_LPIS);
            return Ok(());
        }
        if let Some(tables) = self.held.filter(|_| !enable) {
            if !self.turn_off() {
                return Err(Refusal::Stuck);
            }
            self.held = None;
            tables.into_iter().for_each(|table| env.release(table));
            self.regs.write32(GICR_CTLR, dpg);
            return Ok(());
        }
        self.held = Some(self.hold_tables(env).ok_or(Refusal::Memory)?);
        self.regs.write64(GICR_PROPBASER, self.propbaser);
        self.regs.write64(GICR_PENDBASER, self.pendbaser);
        self.regs.write32(GICR_CTLR, dpg | ENABLE_LPIS);
        Ok(())
    }

    /// Holds both tables, or none.
    fn hold_tables<E: Env>(&self, env: &mut E) -> Option<[Range; 2]> {
        let bits = self.propbaser & IDBITS;
        if !self.has_lpis() || !IDBITS_WITH_LPIS.contains(&bits) {
            return None;
        }
        let ids = 2 << bits;
        let configuration = pages_of(self.propbaser & PROPBASER_ADDRESS, ids - NO_LPIS);
        let pending = pages_of(self.pendbaser & PENDBASER_ADDRESS, ids / 8);
        env.hold(configuration).ok()?;
        if faulty::pending_held(env.hold(pending)).is_err() {
            env.release(configuration);
            return None;
        }
        Some([configuration, pending])
    }
}
