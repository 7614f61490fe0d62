//! The devices that are mapped, and the memory of their interrupt translation tables.

use super::command::sync;
use super::{Env, Its};
use crate::faulty;
use crate::hw::{Cpu, Memory, Mmio};
use crate::regions::{Range, pages_of};

/// A device with an ITT.
#[derive(Clone, Copy, Debug)]
pub(super) struct Device {
    /// DeviceID.
    pub(super) id: u32,
    /// EventIDs have so many bits.
    event_bits: u32,
    /// The pages of its ITT, which are held.
    itt: Range,
}

impl<R: Mmio, M: Memory, C: Cpu> Its<R, M, C> {
    /// The EventID bits of a device that is mapped.
    pub(super) fn events_of(&self, id: u32) -> Option<u32> {
        self.devices.iter().flatten().find(|device| device.id == id).map(|device| device.event_bits)
    }

    /// MAPD, V = 1: the ITT is held before the hardware hears of it. `false`: the command is refused, and all is as before.
    pub(super) fn map<E: Env>(
        &mut self,
        env: &mut E,
        (id, event_bits): (u32, u32),
        itt: u64,
        command: [u64; 4],
    ) -> bool {
        let known = self.devices.iter().position(|device| device.is_some_and(|device| device.id == id));
        let Some(slot) = known.or_else(|| self.devices.iter().position(Option::is_none)) else {
            return false;
        };
        let itt = pages_of(itt, self.limits.itt_entry << event_bits);
        if faulty::itt_held(env.hold(itt)).is_err() {
            return false;
        }
        if !self.issue(command) {
            self.give_back(env, itt);
            return false;
        }
        if let Some(old) = self.devices[slot].replace(Device { id, event_bits, itt }) {
            self.settle();
            self.give_back(env, old.itt);
        }
        true
    }

    /// MAPD, V = 0: the ITT is given back when the hardware has let go of it.
    pub(super) fn unmap<E: Env>(&mut self, env: &mut E, id: u32, command: [u64; 4]) -> bool {
        if !self.issue(command) {
            return false;
        }
        let known = self.devices.iter_mut().find(|device| device.is_some_and(|device| device.id == id));
        if let Some(device) = known.and_then(Option::take) {
            self.settle();
            self.give_back(env, device.itt);
        }
        true
    }

    /// Gives all ITTs back. The hardware has no device any more.
    pub(super) fn forget_devices<E: Env>(&mut self, env: &mut E) {
        for slot in 0..self.devices.len() {
            if let Some(device) = self.devices[slot].take() {
                self.give_back(env, device.itt);
            }
        }
    }

    /// Waits until what was commanded has been done for every redistributor.
    fn settle(&mut self) {
        for target in faulty::settled(self.limits.targets).into_iter().flatten() {
            self.issue(sync(target));
        }
    }

    /// Releases memory, unless the hardware may still use it.
    pub(super) fn give_back<E: Env>(&self, env: &mut E, range: Range) {
        if !self.is_stuck {
            env.release(range);
        }
    }
}
