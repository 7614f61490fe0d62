//! What every hypervisor after pKVM's model says of a page, in one form: what two of them are compared by.
//!
//! Of the host's table it is who has the page, and what the host may do where it is mapped: what is mapped on demand, in which
//! blocks and through which tables is no part of it. What EL2 maps of its own memory and of MMIO is its own business.

use parallax_addr::{HypVa, Ipa, PhysAddr};
use parallax_vmsa::S2Xn;

use crate::context::Context;
use crate::freedom::{Freedom, Freedoms};
use crate::leaf::{S1Entry, S2Entry};
use crate::page::Ownership;
use crate::run;
use crate::snapshot::Snapshot;

/// What the host's stage 2 says of the page.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    /// The host may have it; so it is mapped, where it is.
    Reaches(Option<String>),
    /// It is another one's.
    Owner(String),
    /// It is no legal entry.
    Malformed,
}

/// What there is to say of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Face {
    host: Host,
    /// How EL2 maps it in its linear map; absent of what is not compared.
    el2: Option<Option<String>>,
    /// The host's relation and the hypervisor's; absent of what the array does not describe.
    state: Option<(Ownership, Ownership)>,
    /// It is in the hypervisor's image.
    code: bool,
    /// It has registers of what reaches memory by itself: of the SMMU, of the GIC, of a master.
    master: bool,
    freedoms: Freedoms,
}

/// What two hypervisors say otherwise of a page.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// Which record: `host`, `el2` or `page`.
    pub record: &'static str,
    /// What the first one says.
    pub one: String,
    /// What the other one says.
    pub other: String,
    /// What allows it.
    pub freedom: Option<Freedom>,
}

fn rights(read: bool, write: bool, exec: bool) -> String {
    [(read, 'R'), (write, 'W'), (exec, 'X')]
        .map(|(may, letter)| if may { letter } else { '-' })
        .iter()
        .collect()
}

fn host(entry: Option<&S2Entry>) -> Host {
    match entry {
        None => Host::Reaches(None),
        Some(S2Entry::Mapped(leaf)) => {
            let exec = leaf.exec() != S2Xn::None;
            let memory = if leaf.is_device() { "device" } else { "memory" };
            Host::Reaches(Some(format!("{} {memory}", rights(leaf.read, leaf.write, exec))))
        }
        Some(entry @ S2Entry::Annotated { .. }) => match entry.annotation() {
            Some(note) => Host::Owner(format!("{} to {}", note.ty, note.owner)),
            None => Host::Malformed,
        },
        Some(S2Entry::Malformed { .. }) => Host::Malformed,
    }
}

impl Face {
    /// That of the page at `page`.
    #[must_use]
    pub fn of(snapshot: &Snapshot, context: &Context, page: PhysAddr) -> Self {
        let layout = &snapshot.layout;
        let entry = run::find(snapshot.host(), Ipa::new(page.get())).map(|run| &run.value);
        let described = layout.described.contains(page);
        let state = run::find(snapshot.pages(), page).filter(|_| described).map(|run| run.value);
        let va = HypVa::new(page.get().wrapping_add(layout.linear_offset));
        let mapped = || match run::find(snapshot.el2(), va).map(|run| &run.value) {
            None => None,
            Some(S1Entry::Mapped(leaf)) => Some(rights(true, leaf.write, leaf.exec)),
            Some(S1Entry::Malformed { .. }) => Some("malformed".to_owned()),
        };
        Self {
            host: host(entry),
            el2: (described && !layout.is_own(page)).then(mapped),
            state: state.map(|state| (state.host, state.hyp)),
            code: layout.image.contains(page),
            master: context.lpis.iter().chain(&context.masters).any(|span| span.contains(page))
                || layout.smmu.contains(page),
            freedoms: context.freedoms,
        }
    }

    /// Whether it is lent to the hypervisor.
    fn is_lent(&self) -> bool {
        self.state == Some((Ownership::SharedOwned, Ownership::SharedBorrowed))
    }

    /// What allows it to map the page at EL2 where another does not.
    fn may_map(&self) -> Option<Freedom> {
        let plain = matches!(self.el2.as_ref(), Some(Some(rights)) if !rights.ends_with('X'));
        let may = plain && self.is_lent() && self.freedoms.allow(Freedom::MapsLoans);
        may.then_some(Freedom::MapsLoans)
    }

    /// What allows it to let the host reach the page where another does not.
    fn may_reach(&self) -> Option<Freedom> {
        let plain = matches!(&self.host, Host::Reaches(Some(rights)) if rights.starts_with("R--"));
        let may = plain && self.code && self.freedoms.allow(Freedom::ReadableCode);
        may.then_some(Freedom::ReadableCode)
    }

    /// What allows it to leave the page to the host where `other` takes it.
    fn may_leave(&self, other: &Self) -> Option<Freedom> {
        let registers = matches!(&self.host, Host::Reaches(Some(rights)) if rights.starts_with("RW- "));
        let held = matches!(other.host, Host::Owner(_)) && other.master && self.state.is_none();
        (registers && held && self.freedoms.allow(Freedom::Masters)).then_some(Freedom::Masters)
    }

    /// What `other`, which another hypervisor says of the same page, says otherwise. What one of them does not know is not
    /// compared.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<Difference> {
        let mut found = Vec::new();
        let mut add = |record, one, other, freedom| found.push(Difference { record, one, other, freedom });
        let reach = |host: &Host| match host {
            Host::Reaches(None) => "the host's".to_owned(),
            Host::Reaches(Some(rights)) => format!("the host's, {rights}"),
            Host::Owner(owner) => owner.clone(),
            Host::Malformed => "malformed".to_owned(),
        };
        let on_demand = matches!(
            (&self.host, &other.host),
            (Host::Reaches(None), Host::Reaches(_)) | (Host::Reaches(_), Host::Reaches(None))
        );
        if self.host != other.host && !on_demand {
            let code = self.may_reach().or_else(|| other.may_reach());
            let freedom = code.or_else(|| self.may_leave(other)).or_else(|| other.may_leave(self));
            add("host", reach(&self.host), reach(&other.host), freedom);
        }
        if let (Some(one), Some(two)) = (&self.el2, &other.el2)
            && one != two
        {
            let text = |rights: &Option<String>| rights.clone().unwrap_or_else(|| "not mapped".to_owned());
            let freedom = match (one, two) {
                (Some(_), None) => self.may_map(),
                (None, Some(_)) => other.may_map(),
                _ => None,
            };
            add("el2", text(one), text(two), freedom);
        }
        if let (Some(one), Some(two)) = (self.state, other.state)
            && one != two
        {
            let text =
                |(host, hyp): (Ownership, Ownership)| format!("host={} hyp={}", host.name(), hyp.name());
            let code = self.may_reach().or_else(|| other.may_reach());
            add("page", text(one), text(two), code);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(host: Host, el2: Option<&str>, hyp: Ownership, freedoms: &'static [Freedom]) -> Face {
        let state = if hyp == Ownership::NoPage { Ownership::Owned } else { Ownership::SharedOwned };
        Face {
            host,
            el2: Some(el2.map(str::to_owned)),
            state: Some((state, hyp)),
            code: false,
            master: false,
            freedoms: Freedoms::new(freedoms),
        }
    }

    fn reached(rights: Option<&str>) -> Host {
        Host::Reaches(rights.map(str::to_owned))
    }

    #[test]
    fn what_is_mapped_on_demand_is_no_difference() {
        let mapped = face(reached(Some("RWX memory")), None, Ownership::NoPage, &[]);
        let later = face(reached(None), None, Ownership::NoPage, &[]);
        assert!(mapped.differences(&later).is_empty() && later.differences(&mapped).is_empty());
        let less = face(reached(Some("R-- memory")), None, Ownership::NoPage, &[]);
        assert_eq!(mapped.differences(&less).len(), 1);
        let taken = face(Host::Owner("donation to 1".to_owned()), None, Ownership::NoPage, &[]);
        assert_eq!(later.differences(&taken)[0].freedom, None);
    }

    #[test]
    fn only_a_loan_may_be_mapped_by_who_takes_that_freedom() {
        let borrowed = Ownership::SharedBorrowed;
        let pinned_only = face(reached(None), None, borrowed, &[]);
        let freedom = |rights, hyp, freedoms| {
            let other = face(reached(None), Some(rights), hyp, freedoms);
            let pinned_only = Face { state: other.state, ..pinned_only.clone() };
            let (one, two) = (pinned_only.differences(&other), other.differences(&pinned_only));
            assert_eq!((one.len(), one[0].freedom), (1, two[0].freedom));
            one[0].freedom
        };
        assert_eq!(freedom("RW-", borrowed, &[Freedom::MapsLoans]), Some(Freedom::MapsLoans));
        assert_eq!(freedom("RW-", borrowed, &[]), None);
        assert_eq!(freedom("RWX", borrowed, &[Freedom::MapsLoans]), None);
        assert_eq!(freedom("RW-", Ownership::NoPage, &[Freedom::MapsLoans]), None);
    }

    #[test]
    fn what_one_does_not_know_is_not_compared() {
        let known = face(reached(None), Some("RW-"), Ownership::SharedBorrowed, &[]);
        let unknown = Face { el2: None, state: None, ..known.clone() };
        assert!(known.differences(&unknown).is_empty());
        let other = face(reached(None), Some("RW-"), Ownership::NoPage, &[]);
        assert_eq!(known.differences(&other)[0].record, "page");
    }

    #[test]
    fn only_code_may_be_read_by_the_host() {
        let taken = face(Host::Owner("donation to 1".to_owned()), None, Ownership::NoPage, &[]);
        let read = face(reached(Some("R-- memory")), None, Ownership::NoPage, &[Freedom::ReadableCode]);
        assert_eq!(taken.differences(&read)[0].freedom, None);
        let code = Face { code: true, ..read };
        assert_eq!(taken.differences(&code)[0].freedom, Some(Freedom::ReadableCode));
        let written = Face { host: reached(Some("RW- memory")), ..code };
        assert_eq!(taken.differences(&written)[0].freedom, None);
    }

    #[test]
    fn only_registers_of_a_master_may_be_left_to_the_host() {
        let mmio =
            |host, freedoms| Face { state: None, el2: None, ..face(host, None, Ownership::NoPage, freedoms) };
        let taken = Face { master: true, ..mmio(Host::Owner("donation to 1".to_owned()), &[]) };
        let left = |rights, freedoms| mmio(reached(Some(rights)), freedoms);
        let freedom = |one: &Face, two: &Face| {
            let (there, back) = (one.differences(two), two.differences(one));
            assert_eq!((there.len(), there[0].freedom), (1, back[0].freedom));
            there[0].freedom
        };
        let masters = &[Freedom::Masters];
        assert_eq!(freedom(&taken, &left("RW- memory", masters)), Some(Freedom::Masters));
        assert_eq!(freedom(&taken, &left("RW- memory", &[])), None);
        assert_eq!(freedom(&taken, &left("RWX memory", masters)), None);
        assert_eq!(freedom(&Face { master: false, ..taken.clone() }, &left("RW- memory", masters)), None);
        let described = Some((Ownership::Owned, Ownership::NoPage));
        let memory = Face { state: described, ..left("RW- memory", masters) };
        assert_eq!(freedom(&taken, &memory), None);
    }
}
