//! A redistributor: its tables of LPIs are held while GICR_CTLR.EnableLPIs is set (docs/masters.md; IHI 0069, 12.11).

use parallax_addr::{PAGE_SIZE, PhysAddr, Span};
use parallax_gic::{LpiTables, Propbaser, RawRedistributor};

use super::registers::{FLAG, Frame, Register};
use crate::holding::{At, hold, release};
use crate::part::Part;
use crate::view::Effect;

/// IDbits of INTIDs of 16 bits: more count as these.
const LARGEST: u8 = 15;

/// A redistributor.
#[derive(Clone, Debug)]
pub(super) struct Redistributor {
    pub(super) frame: Frame,
    /// Its configuration table and its pending table, while it uses them.
    pub(super) held: Vec<Span<PhysAddr>>,
}

impl Redistributor {
    /// As it is at boot: off. Its registers are at `base`.
    pub(super) fn new(base: PhysAddr) -> Self {
        Self { frame: Frame::new(base, PAGE_SIZE), held: Vec::new() }
    }

    /// `value` is written to `part`, where `shared` are the configuration tables of the others. Nothing where what comes of it is not
    /// known.
    pub(super) fn write(
        &mut self,
        (part, value): (Part<Register>, u64),
        shared: &[Span<PhysAddr>],
        at: At<'_>,
        effects: &mut Vec<Effect>,
    ) -> Option<()> {
        match part.register {
            Register::Lpis if value & FLAG == 0 => {
                for table in std::mem::take(&mut self.held) {
                    release(table, at, effects);
                }
                if self.frame.lost {
                    self.frame.find();
                }
            }
            _ if self.frame.lost || !self.held.is_empty() => return Some(()),
            Register::Lpis => self.held = self.tables(shared, at, effects)?,
            register => {
                self.frame.put(part, value);
                let most = |base| if Propbaser(base).id_bits() > LARGEST { base & !0x1f | 15 } else { base };
                if register == Register::Propbaser {
                    self.frame.set(register, self.frame.get(register).map(most));
                }
            }
        }
        self.frame.set(Register::Lpis, Some(u64::from(!self.held.is_empty())));
        Some(())
    }

    /// Lends both tables, if they can be lent.
    fn tables(
        &self,
        shared: &[Span<PhysAddr>],
        at: At<'_>,
        effects: &mut Vec<Effect>,
    ) -> Option<Vec<Span<PhysAddr>>> {
        let (propbaser, pendbaser) =
            (self.frame.get(Register::Propbaser)?, self.frame.get(Register::Pendbaser)?);
        let registers = RawRedistributor { propbaser, pendbaser, ..Default::default() };
        let tables = LpiTables::of(&registers, u32::from(LARGEST) << 19);
        let mut held = Vec::new();
        if !tables.configuration.is_empty() {
            held.extend(hold(tables.configuration, at, shared, effects)?);
            held.extend(hold(tables.pending, at, &[], effects)?);
        }
        if held.len() < 2 {
            effects.clear();
            held.clear();
        }
        Some(held)
    }
}
