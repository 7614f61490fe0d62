//! How a recording goes on, forward and back, and where it stops.

use parallax_addr::PhysAddr;
use parallax_machine::Machine;
use parallax_machine::recording::{RecordingError, Search};

use crate::{Motion, Point, PointKind, Stop, program};

use super::Recorded;
use super::way::Way;
use crate::inside::Inside;

impl Recorded {
    /// Watchpoints: each piece of memory with its point.
    fn watched(&self) -> Vec<(Point, (u64, u64))> {
        let stores = self.points.iter().filter(|(point, _)| point.kind == PointKind::Write);
        stores.map(|(point, pa)| (*point, (*pa, point.len))).collect()
    }

    /// Positions of breakpoints.
    fn breakpoints(&self) -> impl Iterator<Item = u64> {
        let points = self.points.iter().filter(|(point, _)| point.kind == PointKind::Execute);
        points.filter_map(|(point, _)| program::index(point.address))
    }

    fn begin(&mut self, motion: Motion) -> Way {
        let (at, last) = (self.position(), self.replay.last());
        let watched = self.watched();
        let pieces = watched.iter().map(|(_, (pa, len))| (PhysAddr::new(*pa), *len)).collect::<Vec<_>>();
        let (to, stop) = match motion {
            Motion::Step { .. } if at == last => return Way::To(at, Stop::End),
            Motion::Step { cpu, .. } => (at + 1, Stop::Done(cpu)),
            Motion::ReverseStep { .. } if at == 0 => return Way::To(at, Stop::Begin),
            Motion::ReverseStep { cpu } => (at - 1, Stop::Done(cpu)),
            Motion::Continue => match self.breakpoints().filter(|&point| point > at && point <= last).min() {
                Some(point) => (point, Stop::Break(0)),
                None => (last, Stop::End),
            },
            Motion::ReverseContinue => match self.breakpoints().filter(|&point| point < at).max() {
                Some(point) => (point, Stop::Break(0)),
                None => (0, Stop::Begin),
            },
        };
        if pieces.is_empty() || to == at {
            return Way::To(to, stop);
        }
        let search = if to > at { Search::forward(pieces, at, to) } else { Search::back(pieces, at, to) };
        Way::Search { search, otherwise: (to, stop) }
    }

    /// Standing in front of an operation that will change what is watched (`forward`), or behind one that changed it: goes on
    /// to the very store if the recording has it, and says what there is to be said of it.
    fn enter(&mut self, forward: bool, stop: Stop) -> Result<Stop, RecordingError> {
        let op = if forward { self.position() + 1 } else { self.position() };
        self.replay.go_to(op)?;
        let inside = Inside::end(op, self.replay.operation().events.clone());
        if let Some(mut inside) = inside {
            self.replay.go_to(op - 1)?;
            if let Some(stop) = self.change(&mut inside, forward) {
                self.inside = Some(inside);
                return Ok(stop);
            }
        }
        self.replay.go_to(if forward { op - 1 } else { op })?;
        Ok(stop)
    }

    /// Takes `inside` to the next change of what is watched.
    fn change(&self, inside: &mut Inside, forward: bool) -> Option<Stop> {
        let watched = self.watched();
        let pieces: Vec<(u64, u64)> = watched.iter().map(|(_, piece)| *piece).collect();
        let (found, cpu) = if forward {
            // From the end, where an operation is entered, to its beginning.
            if inside.next().is_none() {
                inside.rewind();
            }
            (inside.next_change(self.replay.memory(), &pieces)?, inside.next().map(|store| store.cpu))
        } else {
            (inside.last_change(self.replay.memory(), &pieces)?, inside.last().map(|store| store.cpu))
        };
        Some(Stop::Watch(usize::from(cpu.unwrap_or(0)), watched.get(found)?.0))
    }

    /// How `motion` goes on from inside of an operation; none between two operations.
    fn begin_inside(&mut self, motion: Motion) -> Result<Option<Way>, RecordingError> {
        let Some(mut inside) = self.inside.take() else { return Ok(None) };
        let op = inside.op;
        let stop = match motion {
            Motion::Step { cpu, .. } => (inside.step() && inside.next().is_some()).then_some(Stop::Done(cpu)),
            Motion::ReverseStep { cpu } => inside.back().then_some(Stop::Done(cpu)),
            Motion::Continue if inside.next().is_some() => self.change(&mut inside, true),
            Motion::Continue => None,
            Motion::ReverseContinue => self.change(&mut inside, false),
        };
        if let Some(stop) = stop {
            self.inside = Some(inside);
            return Ok(Some(Way::Here(stop)));
        }
        Ok(match motion {
            // Out of it: to its end, or to its beginning, where the replay stands.
            Motion::Step { cpu, .. } => Some(Way::To(op, Stop::Done(cpu))),
            Motion::ReverseStep { cpu } => Some(Way::Here(Stop::Done(cpu))),
            Motion::Continue => {
                self.replay.go_to(op)?;
                None
            }
            Motion::ReverseContinue => None,
        })
    }

    /// How `motion` goes on.
    pub(super) fn way(&mut self, motion: Motion) -> Result<Way, RecordingError> {
        Ok(self.begin_inside(motion)?.unwrap_or_else(|| self.begin(motion)))
    }

    /// Goes on for a while; the stop if it came to one.
    pub(super) fn go_on(&mut self) -> Result<Option<Stop>, RecordingError> {
        let Some(way) = &mut self.way else { return Ok(None) };
        let mut found = None;
        let (to, stop) = match way {
            Way::Here(stop) => {
                let stop = *stop;
                self.way = None;
                return Ok(Some(stop));
            }
            Way::To(to, stop) => (*to, *stop),
            Way::Search { search, otherwise } => match search.stretch(&mut self.replay)? {
                Some(change) => {
                    let forward = search.is_forward();
                    let to = if forward { change.op - 1 } else { change.op };
                    let watched = self.watched();
                    let point = watched.get(change.piece);
                    found = Some(forward);
                    (to, point.map_or(Stop::Done(0), |(point, _)| Stop::Watch(0, *point)))
                }
                None if search.done() => *otherwise,
                None => return Ok(None),
            },
        };
        self.way = None;
        self.replay.go_to(to)?;
        match found {
            Some(forward) => self.enter(forward, stop).map(Some),
            None => Ok(Some(stop)),
        }
    }
}
