//! Entries of the hypervisor's page-state array, read through the layout that [`parallax_abi::page`] describes.

use parallax_abi::page as abi;
use serde::{Deserialize, Serialize};

/// Relation of one party to a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Ownership {
    /// Owned exclusively.
    Owned,
    /// Owned, and shared with another.
    SharedOwned,
    /// Borrowed from another who shares it.
    SharedBorrowed,
    /// No access.
    NoPage,
}

impl Ownership {
    pub(crate) fn from_bits(bits: u64) -> Self {
        match bits {
            abi::OWNED => Self::Owned,
            abi::SHARED_OWNED => Self::SharedOwned,
            abi::SHARED_BORROWED => Self::SharedBorrowed,
            _ => Self::NoPage,
        }
    }

    /// The name that semantics and the ABI use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Owned => "OWNED",
            Self::SharedOwned => "SHARED_OWNED",
            Self::SharedBorrowed => "SHARED_BORROWED",
            Self::NoPage => "NOPAGE",
        }
    }
}

/// State of one page frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PageState {
    /// The host's relation to it.
    pub host: Ownership,
    /// The hypervisor's.
    pub hyp: Ownership,
    /// Pins and other users.
    pub refcount: u16,
    /// How many guests the host shares it with.
    pub share_count: u32,
}

impl PageState {
    /// The state of a frame whose entry is zero: the host's own.
    pub const HOST_OWNED: Self =
        Self { host: Ownership::Owned, hyp: Ownership::NoPage, refcount: 0, share_count: 0 };

    /// Decodes one entry. The allocation order is the pool's own business and not part of the state.
    #[must_use]
    pub fn from_raw(raw: u64) -> Self {
        let field = |(shift, mask): (u32, u64)| (raw >> shift) & mask;
        Self {
            host: Ownership::from_bits(field(abi::HOST_STATE)),
            hyp: Ownership::from_bits(!field(abi::HYP_STATE) & abi::HYP_STATE.1),
            refcount: field(abi::REFCOUNT) as u16,
            share_count: field(abi::HOST_SHARE_GUEST_COUNT) as u32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zeroed_entry_is_the_hosts_own_page() {
        assert_eq!(PageState::from_raw(0), PageState::HOST_OWNED);
    }

    #[test]
    fn every_field_is_taken_from_its_bits() {
        let raw = 3 | 7 << 16 | abi::SHARED_OWNED << 24 | (!abi::SHARED_BORROWED & 3) << 28 | 5 << 32;
        let state = PageState::from_raw(raw);
        assert_eq!(state.host, Ownership::SharedOwned);
        assert_eq!(state.hyp, Ownership::SharedBorrowed);
        assert_eq!((state.refcount, state.share_count), (3, 5));
    }
}
