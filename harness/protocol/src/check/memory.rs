//! Memory as the stores made it, and what each page is used for.

use parallax_addr::PAGE_SIZE;

use crate::map::Map;

/// A page as part of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) tree: u32,
    pub(super) level: i8,
    /// First input address that the page translates.
    pub(super) ia: u64,
    /// Physical address of the entry that points here; 0 for a root.
    pub(super) parent: u64,
}

/// What a page is used for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Role {
    /// No table, as far as is known.
    #[default]
    Plain,
    /// A table that walks reach.
    Table(Place),
    /// No part of a tree any more, but walks may still go there until its group is clean.
    Detached(u32),
}

/// A page.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) data: Box<[u64; 512]>,
    pub(super) role: Role,
    /// CPU and time of the last store, for the order of stores before it is hooked in.
    pub(super) last: Option<(u16, u64)>,
}

/// Pages that were asked for lately: each has one place, by its number.
const LATELY: usize = 256;

/// All pages that were written. What was never written is zero.
#[derive(Debug)]
pub(super) struct Memory {
    pages: Vec<Page>,
    /// Where each is, by its number.
    places: Map<u64, u32>,
    /// The same for some of them, which needs no hash: most stores follow one to the same page.
    lately: [(u64, u32); LATELY],
    limit: usize,
    /// Stores that were not followed because there are too many pages.
    pub(super) lost: u64,
}

impl Memory {
    pub(super) fn new(limit: usize) -> Self {
        let lately = [(u64::MAX, 0); LATELY];
        Self { pages: Vec::new(), places: Map::default(), lately, limit, lost: 0 }
    }

    /// Where the page of this number is.
    fn place(&self, page: u64) -> Option<u32> {
        match self.lately[page as usize % LATELY] {
            (known, place) if known == page => Some(place),
            _ => self.places.get(&page).copied(),
        }
    }

    /// The page around `pa`; `None` when there are too many already.
    pub(super) fn page_mut(&mut self, pa: u64) -> Option<&mut Page> {
        let page = pa / PAGE_SIZE;
        let place = match self.place(page) {
            Some(place) => place,
            None if self.pages.len() >= self.limit => {
                self.lost += 1;
                return None;
            }
            None => {
                let place = self.pages.len() as u32;
                self.pages.push(Page { data: Box::new([0; 512]), role: Role::Plain, last: None });
                self.places.insert(page, place);
                place
            }
        };
        self.lately[page as usize % LATELY] = (page, place);
        self.pages.get_mut(place as usize)
    }

    pub(super) fn page(&self, pa: u64) -> Option<&Page> {
        self.pages.get(self.place(pa / PAGE_SIZE)? as usize)
    }

    /// The dword at `pa`.
    pub(super) fn read(&self, pa: u64) -> u64 {
        self.page(pa).map_or(0, |page| page.data[(pa / 8 % 512) as usize])
    }

    pub(super) fn role(&self, pa: u64) -> Role {
        self.page(pa).map_or(Role::Plain, |page| page.role)
    }

    pub(super) fn set_role(&mut self, pa: u64, role: Role) {
        if (role != Role::Plain || self.page(pa).is_some())
            && let Some(page) = self.page_mut(pa)
        {
            page.role = role;
        }
    }

    /// Known pages that lie in a range, in order of address.
    pub(super) fn known(&self, pa: u64, size: u64) -> Vec<u64> {
        let (first, last) = (pa / PAGE_SIZE, pa.saturating_add(size.saturating_sub(1)) / PAGE_SIZE);
        if size == 0 {
            return Vec::new();
        }
        let mut found: Vec<u64> = if last - first < self.pages.len() as u64 {
            (first..=last).filter(|page| self.places.contains_key(page)).collect()
        } else {
            self.places.keys().copied().filter(|page| (first..=last).contains(page)).collect()
        };
        found.sort_unstable();
        found.into_iter().map(|page| page * PAGE_SIZE).collect()
    }
}
