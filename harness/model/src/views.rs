//! What each side says of one place at one moment: the CPUs' stage 2, the SMMU, and what else is known there.

use std::fmt;

use parallax_addr::{HypVa, Ipa, PhysAddr, Span};
use parallax_trace::spec::SmmuMode;
use serde::{Deserialize, Serialize};

use crate::canonical;
use crate::check::Space;

use crate::context::Context;
use crate::lane::{self, Lane};
use crate::registers;
use crate::run;
use crate::snapshot::{CpuControl, Snapshot};

/// Who says something of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The host's stage 2 on the CPUs.
    Cpu,
    /// The stage 2 of the streams, once for each table if they have several.
    Smmu,
    /// The page-state array.
    Page,
    /// EL2's own table.
    El2,
    /// The stream table.
    Ste,
    /// The device that wanted something, which says its StreamID.
    Device,
}

impl Side {
    /// Its name in goldens.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Smmu => "smmu",
            Self::Page => "page",
            Self::El2 => "el2",
            Self::Ste => "ste",
            Self::Device => "device",
        }
    }
}

/// The views of a place, in a fixed order. Those of both sides are always among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Views(Vec<(Side, String)>);

impl Views {
    /// What both sides say. Who has nothing to give here says so.
    #[must_use]
    pub fn new(cpu: &str, smmu: &str) -> Self {
        let known = |view: &str| if view.is_empty() { "not known".to_owned() } else { view.to_owned() };
        Self(vec![(Side::Cpu, known(cpu)), (Side::Smmu, known(smmu))])
    }

    /// These, in this order; none where one of both sides is not among them.
    #[must_use]
    pub fn from_list(views: Vec<(Side, String)>) -> Option<Self> {
        let has = |wanted| views.iter().any(|(side, _)| *side == wanted);
        (has(Side::Cpu) && has(Side::Smmu)).then_some(Self(views))
    }

    /// What is said of `place`, which lies in the page at `page` if in any.
    pub(crate) fn of(
        snapshot: &Snapshot,
        context: &Context,
        (space, at): (Space, u64),
        page: Option<PhysAddr>,
    ) -> Self {
        // An address in a page is looked up as it is: output addresses are those of the byte, not of the page.
        let both = match (space, page) {
            (Space::Cpu | Space::Smmu | Space::Page, Some(_)) => {
                Self::of_page(snapshot, context, Ipa::new(at))
            }
            (_, Some(page)) => Self::of_page(snapshot, context, page.identity()),
            (_, None) => Self::of_registers(snapshot, context),
        };
        match space {
            Space::El2 => both.with(Side::El2, of_el2(snapshot, context, HypVa::new(at))),
            Space::Ste => both.with(Side::Ste, of_stream(snapshot, at)),
            Space::Cpu | Space::Smmu | Space::Page | Space::Regs => both,
        }
    }

    /// What both tables and the page-state array say of `at`, an address of the host's and of devices.
    #[must_use]
    pub fn of_page(snapshot: &Snapshot, context: &Context, at: Ipa) -> Self {
        let symbols = &context.symbols;
        let unmapped = || "unmapped".to_owned();
        let entry = |entries, lane| {
            run::find(entries, at).map_or_else(unmapped, |run| lane::s2_entry(&run.value, at, lane, symbols))
        };
        let cpu = if snapshot.control().stage2_enabled {
            entry(snapshot.host(), Lane::Cpu)
        } else {
            "off: every access passes".to_owned()
        };
        let mut views = vec![(Side::Cpu, cpu)];
        let tables = snapshot.smmu.as_ref().map_or(&[][..], |smmu| &smmu.tables);
        views.extend(tables.iter().map(|table| (Side::Smmu, entry(&table.entries, Lane::Smmu))));
        if tables.is_empty() {
            views.push((Side::Smmu, without_table(snapshot, context).to_owned()));
        }
        let page = run::find(snapshot.pages(), at.identity());
        views.extend(page.map(|run| (Side::Page, lane::page_state(&run.value))));
        Self(views)
    }

    /// What the registers of both sides say: for what is about no page.
    #[must_use]
    pub fn of_registers(snapshot: &Snapshot, context: &Context) -> Self {
        Self::of_cpu(snapshot, context, snapshot.control())
    }

    /// The same, of the CPU whose registers say `control`.
    #[must_use]
    pub fn of_cpu(snapshot: &Snapshot, context: &Context, control: &CpuControl) -> Self {
        let smmu = snapshot.smmu.as_ref().map(|smmu| registers::smmu_side(&smmu.control));
        let none = || without_table(snapshot, context).to_owned();
        Self::new(&registers::cpu_side(control), &smmu.unwrap_or_else(none))
    }

    /// The same, with what is known beside both sides before them.
    #[must_use]
    pub fn with(mut self, side: Side, view: String) -> Self {
        self.0.insert(0, (side, view));
        self
    }

    /// Each side and its view.
    pub fn iter(&self) -> impl Iterator<Item = (Side, &str)> {
        self.0.iter().map(|(side, view)| (*side, view.as_str()))
    }
}

impl fmt::Display for Views {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (side, view)) in self.iter().enumerate() {
            write!(f, "{}{}: {view}", if n == 0 { "" } else { "; " }, side.name())?;
        }
        Ok(())
    }
}

/// What becomes of a device's access where no stream has a table.
fn without_table(snapshot: &Snapshot, context: &Context) -> &'static str {
    match &snapshot.smmu {
        None if context.smmu == SmmuMode::Off => "not used",
        None => "there is none",
        Some(smmu) if smmu.control.enabled => "no stream has a stage 2",
        Some(smmu) if smmu.control.gbpa_abort => "off: every access aborts",
        Some(_) => "off: every access passes",
    }
}

/// The entry of EL2's stage 1 at `va`.
fn of_el2(snapshot: &Snapshot, context: &Context, va: HypVa) -> String {
    run::find(snapshot.el2(), va).map_or_else(
        || "unmapped".to_owned(),
        |run| canonical::el2_entry(&run.value, Span::new(va, 1), &snapshot.layout, &context.symbols).1,
    )
}

/// The stream table entry of StreamID `sid`.
fn of_stream(snapshot: &Snapshot, sid: u64) -> String {
    let streams = snapshot.smmu.as_ref().map_or(&[][..], |smmu| &smmu.streams);
    run::find(streams, sid).map_or_else(|| "V=0".to_owned(), |run| lane::stream(&run.value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{PAGE, clean, context};

    fn sides(views: &Views) -> Vec<Side> {
        views.iter().map(|(side, _)| side).collect()
    }

    #[test]
    fn both_sides_are_there_whatever_the_place_is() {
        let (state, context) = (clean(), context());
        let places =
            Space::ALL.iter().flat_map(|&space| [(space, None), (space, Some(PhysAddr::new(PAGE.base)))]);
        for (space, page) in places {
            let views = Views::of(&state, &context, (space, PAGE.base), page);
            for side in [Side::Cpu, Side::Smmu] {
                assert!(sides(&views).contains(&side), "{space:?}: {views}");
            }
            assert!(views.iter().all(|(_, view)| !view.is_empty()), "{space:?}: {views}");
        }
    }

    #[test]
    fn an_smmu_without_tables_says_what_becomes_of_accesses() {
        let (mut state, mut context) = (clean(), context());
        let said = |state: &Snapshot, context: &Context| {
            let views = Views::of_page(state, context, Ipa::new(PAGE.base));
            views.iter().find(|(side, _)| *side == Side::Smmu).unwrap().1.to_owned()
        };
        let smmu = state.smmu.as_mut().unwrap();
        smmu.tables.clear();
        assert_eq!(said(&state, &context), "no stream has a stage 2");
        state.smmu.as_mut().unwrap().control.enabled = false;
        assert!(said(&state, &context).starts_with("off: every access "));
        state.smmu = None;
        assert_eq!(said(&state, &context), "there is none");
        context.smmu = SmmuMode::Off;
        assert_eq!(said(&state, &context), "not used");
    }

    #[test]
    fn who_knows_nothing_says_so() {
        assert_eq!(Views::new("", "RW").to_string(), "cpu: not known; smmu: RW");
    }
}
