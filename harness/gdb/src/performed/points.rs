//! Breakpoints and watchpoints of a live machine: QEMU's.

use parallax_addr::ImageVa;

use crate::{Lost, Point, PointKind};

use super::{Performed, done};

impl Performed<'_> {
    /// Sets or removes what the gdbstub has of `point`.
    fn point(&mut self, letter: char, point: Point, at: u64) -> Result<bool, Lost> {
        let kind = match point.kind {
            PointKind::Execute => 1,
            PointKind::Write => 2,
            PointKind::Read => 3,
            PointKind::Access => 4,
        };
        Ok(done(&self.ask(0, &[format!("{letter}{kind},{at:x},{:x}", point.len)])?[0]))
    }

    /// Takes all points away from the gdbstub, or sets them again.
    pub(super) fn all_points(&mut self, letter: char) -> Result<(), Lost> {
        for (point, at) in self.points.clone() {
            if let Some(at) = at {
                self.point(letter, point, at)?;
            }
        }
        Ok(())
    }

    /// Sets `point`.
    pub(super) fn insert_point(&mut self, point: Point) -> Result<bool, Lost> {
        if self.points.contains_key(&point) {
            return Ok(true);
        }
        let own = [self.stops.wait, self.stops.stuck, self.stops.panic.into()].map(ImageVa::get);
        let at = match point.kind {
            PointKind::Execute if own.contains(&point.address) => None,
            PointKind::Execute => Some(point.address),
            // The gdbstub watches virtual addresses; the hypervisor reaches memory at this one.
            _ if self.physical => Some(point.address.wrapping_add(self.states.info.linear_offset)),
            _ => Some(point.address),
        };
        if let Some(at) = at
            && !self.point('Z', point, at)?
        {
            return Ok(false);
        }
        self.points.insert(point, at);
        Ok(true)
    }

    /// Removes `point`.
    pub(super) fn remove_point(&mut self, point: Point) -> Result<bool, Lost> {
        match self.points.remove(&point) {
            Some(Some(at)) => self.point('z', point, at),
            _ => Ok(true),
        }
    }
}
