//! What a page is to the parties.

use std::fmt;

use parallax_model::{Ownership, PageState};

/// What a page of 4 KiB is. Who may reach it follows from that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Page {
    /// Memory of the host alone.
    Host,
    /// Memory of the host's that it has lent to the hypervisor.
    Lent {
        /// How often it was pinned by a call, and is undone by one.
        pins: u16,
        /// How often the hypervisor has pinned it for a device that it emulates: tables and queues of the host's driver.
        held: u16,
    },
    /// Memory of the hypervisor's that the host has given.
    Given {
        /// How many users it has: it cannot be returned before the last one leaves.
        users: u16,
    },
    /// Memory of the hypervisor's own: its image, and the pool that its tables come from.
    Kept,
    /// Memory that the device tree calls no-map: a driver of the host's may know what it is for, nobody else is to have it.
    NoMap,
    /// MMIO of the host.
    HostMmio,
    /// MMIO of the hypervisor's, which uses it.
    UsedMmio,
    /// MMIO of the hypervisor's that nobody uses: it was taken from the host for good.
    TakenMmio,
    /// No legal combination.
    Broken(PageState),
}

impl Page {
    /// The page whose state in the hypervisor's array is `state`, and of whose pins `held` are for emulated devices.
    #[must_use]
    pub const fn of(state: PageState, held: u16) -> Self {
        let PageState { host, hyp, refcount, share_count } = state;
        match (host, hyp) {
            _ if share_count != 0 => Self::Broken(state),
            (Ownership::Owned, Ownership::NoPage) if refcount == 0 => Self::Host,
            (Ownership::SharedOwned, Ownership::SharedBorrowed) => {
                Self::Lent { pins: refcount.saturating_sub(held), held }
            }
            (Ownership::NoPage, Ownership::Owned) => Self::Given { users: refcount },
            _ => Self::Broken(state),
        }
    }

    /// Whether it is memory that can be lent and given.
    #[must_use]
    pub const fn is_memory(self) -> bool {
        !matches!(self, Self::NoMap | Self::HostMmio | Self::UsedMmio | Self::TakenMmio)
    }

    /// Whether the host's CPUs may reach it; and its devices may, just as they.
    #[must_use]
    pub const fn is_the_hosts(self) -> bool {
        matches!(self, Self::Host | Self::Lent { .. } | Self::NoMap | Self::HostMmio)
    }

    /// Whether it may be, or become, lent to a device: it is memory of the host's.
    #[must_use]
    pub const fn may_be_lent(self) -> bool {
        matches!(self, Self::Host | Self::Lent { .. })
    }

    /// Its pins, by whomever: none if it is not lent.
    #[must_use]
    pub const fn all_pins(self) -> u16 {
        if let Self::Lent { pins, held } = self { pins.saturating_add(held) } else { 0 }
    }

    /// Whether it is pinned, by whomever.
    #[must_use]
    pub const fn is_pinned(self) -> bool {
        self.all_pins() > 0
    }

    /// Whether EL2 maps it, beside image, pool and MMIO, which are its own business.
    #[must_use]
    pub const fn is_mapped_at_el2(self) -> bool {
        matches!(self, Self::Given { .. }) || self.is_pinned()
    }
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("the host's"),
            Self::Lent { pins: 0, held: 0 } => f.write_str("lent"),
            Self::Lent { pins, held: 0 } => write!(f, "lent, pins {pins}"),
            Self::Lent { pins, held } => write!(f, "lent, pins {pins}, pins for devices {held}"),
            Self::Given { users: 0 } => f.write_str("given to the hypervisor"),
            Self::Given { users } => write!(f, "given to the hypervisor, users {users}"),
            Self::Kept => f.write_str("the hypervisor's own"),
            Self::NoMap => f.write_str("no-map memory"),
            Self::HostMmio => f.write_str("MMIO of the host"),
            Self::UsedMmio => f.write_str("MMIO that the hypervisor uses"),
            Self::TakenMmio => f.write_str("MMIO that was taken for good"),
            Self::Broken(state) => {
                write!(f, "host={} hyp={} refs={}", state.host.name(), state.hyp.name(), state.refcount)
            }
        }
    }
}
