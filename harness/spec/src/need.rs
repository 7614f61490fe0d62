//! What an operation needs of the pages that it names: a named rule, and the error where it is broken.

use parallax_abi::errno::{EBUSY, EINVAL, EPERM};
use parallax_addr::{PAGE_SHIFT, PAGE_SIZE, PhysAddr, Span};

use crate::page::Page;
use crate::view::View;

/// Page frames that have an address: those of 52 bits (DDI 0487, D8.1: FEAT_LPA and FEAT_LPA2).
const FRAMES: u64 = 1 << (52 - PAGE_SHIFT);

/// The pages that an operation names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// First page frame.
    pub pfn: u64,
    /// How many.
    pub nr: u64,
}

impl Named {
    /// The bytes of those pages that have an address.
    #[must_use]
    pub fn span(self) -> Span<PhysAddr> {
        let [base, end] = [self.pfn, self.pfn.saturating_add(self.nr)].map(|pfn| pfn.min(FRAMES) * PAGE_SIZE);
        Span::between(PhysAddr::new(base), PhysAddr::new(end))
    }

    /// Whether all of them have one.
    #[must_use]
    pub fn is_addressed(self) -> bool {
        self.pfn.checked_add(self.nr).is_some_and(|end| end <= FRAMES)
    }
}

/// What must hold.
#[derive(Clone, Copy)]
pub enum Holds {
    /// Of all that is named.
    All(fn(Named, &dyn View) -> bool),
    /// Of each page.
    Each(fn(Page) -> bool),
}

/// A rule of a call.
pub struct Need {
    /// Its name.
    pub name: &'static str,
    /// What is so where it holds.
    pub says: &'static str,
    /// What the call ends with where it does not.
    pub error: i64,
    /// Whether it holds.
    pub holds: Holds,
    /// Whether more than one page may be refused with EINVAL instead: a range of MMIO may cross a border of regions, and how
    /// MMIO is cut into regions is the implementation's choice.
    pub or_region: bool,
}

impl Need {
    /// A need of all that is named.
    const fn all(
        name: &'static str,
        says: &'static str,
        error: i64,
        holds: fn(Named, &dyn View) -> bool,
    ) -> Self {
        Self { name, says, error, holds: Holds::All(holds), or_region: false }
    }

    /// A need of each page.
    const fn each(name: &'static str, says: &'static str, error: i64, holds: fn(Page) -> bool) -> Self {
        Self { name, says, error, holds: Holds::Each(holds), or_region: false }
    }

    /// The same, where MMIO may be what is named.
    const fn of_mmio(self) -> Self {
        Self { or_region: true, ..self }
    }

    /// Whether a call that names `named` may end with `error` where this is broken.
    #[must_use]
    pub const fn allows(&self, named: Named, error: i64) -> bool {
        error == self.error || self.or_region && named.nr > 1 && error == EINVAL
    }
}

/// Which of `needs` decides how a call that names `named` is refused; none if all hold. Those of all pages come first, in
/// their order. Then it is judged page by page: the first page that breaks one decides.
#[must_use]
pub fn first_broken(needs: &'static [Need], named: Named, view: &dyn View) -> Option<&'static Need> {
    let of_all = needs.iter().find(|need| matches!(need.holds, Holds::All(holds) if !holds(named, view)));
    let of_page =
        |page: Page| needs.iter().find(|need| matches!(need.holds, Holds::Each(holds) if !holds(page)));
    of_all.or_else(|| view.pages(named.span()).into_iter().find_map(|(_, page)| of_page(page)))
}

/// Whether any of the pages that are named is memory.
fn names_memory(named: Named, view: &dyn View) -> bool {
    view.pages(named.span()).into_iter().any(|(_, page)| page.is_memory())
}

/// Whether all of them are.
fn names_only_memory(named: Named, view: &dyn View) -> bool {
    named.is_addressed() && view.pages(named.span()).into_iter().all(|(_, page)| page.is_memory())
}

/// There is a page.
pub const COUNT: Need = Need::all("count", "nr is not 0, and at most 2^40", EINVAL, |named, _| {
    named.nr != 0 && named.nr <= FRAMES
});

/// The first page is somewhere.
pub const PLACE: Need =
    Need::all("place", "the first page is in the host's address space", EPERM, |named, view| {
        named.pfn < view.frames()
    });

/// All pages are somewhere.
pub const RANGE: Need =
    Need::all("range", "every page is in the host's address space", EINVAL, |named, view| {
        named.pfn.saturating_add(named.nr) <= view.frames()
    });

/// It lies in one region.
pub const REGION: Need =
    Need::all("one-region", "all pages are memory, or none is", EINVAL, |named, view| {
        names_only_memory(named, view) || !names_memory(named, view)
    });

/// It is memory.
pub const MEMORY: Need = Need::all("memory", "every page is memory", EPERM, names_only_memory).of_mmio();

/// It is no memory.
pub const MMIO: Need =
    Need::all("mmio", "no page is memory", EINVAL, |named, view| !names_memory(named, view));

/// It is the host's alone.
pub const HOSTS: Need =
    Need::each("hosts-alone", "it is the host's, and lent to nobody", EPERM, |page| page == Page::Host);

/// It is lent.
pub const LENT: Need = Need::each("lent", "it is lent", EPERM, |page| matches!(page, Page::Lent { .. }));

/// It is lent, and not in use.
pub const NOT_PINNED: Need = Need::each("not-pinned", "it is not pinned", EBUSY, |page| !page.is_pinned());

/// It is pinned.
pub const PINNED: Need = Need::each("pinned", "it is lent and pinned by a call", EPERM, |page| {
    matches!(page, Page::Lent { pins: 1.., .. })
});

/// One more pin can be counted.
pub const COUNTABLE: Need =
    Need::each("countable", "it is not pinned 65,535 times", EBUSY, |page| page.all_pins() != u16::MAX);

/// It is the hypervisor's memory.
pub const GIVEN: Need = Need::each("hypervisors", "it is the hypervisor's", EPERM, |page| {
    matches!(page, Page::Given { .. } | Page::Kept)
});

/// Nobody uses it.
pub const UNUSED: Need =
    Need::each("unused", "it has no user, and is not the hypervisor's own", EBUSY, |page| {
        !matches!(page, Page::Given { users: 1.. } | Page::Kept)
    });

/// It is MMIO, and no memory that a driver of the host's alone may know.
pub const NOT_NO_MAP: Need =
    Need::each("not-no-map", "it is no memory that the device tree calls no-map", EPERM, |page| {
        page != Page::NoMap
    })
    .of_mmio();

/// It was given.
pub const MMIO_GIVEN: Need =
    Need::each("mmio-given", "it is MMIO that the host does not have", EINVAL, |page| {
        matches!(page, Page::UsedMmio | Page::TakenMmio)
    });

/// The hypervisor does not use it.
pub const MMIO_UNUSED: Need =
    Need::each("mmio-unused", "the hypervisor does not use it", EBUSY, |page| page != Page::UsedMmio)
        .of_mmio();

/// Never: what is decided at boot stays so.
pub const AT_BOOT: Need = Need::each(
    "at-boot",
    "the host does not run yet: what MMIO the hypervisor takes is decided at boot, for good",
    EPERM,
    |_| false,
)
.of_mmio();
