//! What is known of a hypervisor beside its registers: where it keeps its state, and in what form.
//!
//! Our hypervisor says it itself ([`HypInfo`]); of another one it comes from its symbols and types. What is not known is absent.

use parallax_abi::info::HypInfo;
use parallax_addr::PhysAddr;
use serde::{Deserialize, Serialize};

use crate::freedom::Freedoms;
use crate::page::{Ownership, PageState};
use crate::snapshot::Layout;

/// Where to look for the state of a hypervisor, and how to read what stands there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// Where the hypervisor and its parts are.
    pub layout: Layout,
    /// The array of page states.
    pub pages: Option<PageArray>,
    /// Physical addresses of the page pools' accounts of themselves.
    pub pools: Option<[u64; 2]>,
    /// How an invalid entry of a stage 2 names a page's owner.
    pub owners: OwnerForm,
    /// What it may do otherwise than ours.
    pub freedoms: Freedoms,
    /// The locks that protect its tables, as far as they are known.
    pub locks: [Option<TreeLock>; 3],
    /// Entries of EL2's stage 1 that one CPU alone writes, by CPU: no lock protects them.
    #[serde(default, skip_serializing_if = "is_default")]
    pub own_entries: [Option<PhysAddr>; 8],
    /// The table of virtual machines whose stage 2 it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guests: Option<GuestTable>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// An array with the address, at EL2, of what is kept of each virtual machine; 0 where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuestTable {
    /// Its first byte.
    pub pa: PhysAddr,
    /// How many entries it has.
    pub nr: u64,
    /// The virtual machine's handle.
    pub handle: Member,
    /// Its VMID.
    pub vmid: Member,
    /// The physical address of the root of its stage 2.
    pub root: Member,
    /// What is in VTCR_EL2 while it runs.
    pub vtcr: Member,
}

/// A little-endian number in a structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its first byte, from the structure's on.
    pub offset: u64,
    /// Bytes: 1, 2, 4 or 8.
    pub bytes: u8,
}

/// A lock in the hypervisor's memory, which its stores take and give back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TreeLock {
    /// Whose tables it protects.
    pub tree: Tree,
    /// Its first byte.
    pub at: PhysAddr,
    /// What it looks like.
    pub form: LockForm,
}

/// Tables with a lock of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tree {
    /// The host's stage 2.
    Host,
    /// EL2's stage 1.
    El2,
    /// The SMMU's stage 2.
    Smmu,
}

/// What a lock looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LockForm {
    /// A byte, which is 1 while the lock is taken.
    Byte,
    /// Two little-endian numbers of 16 bits: who has it, and the next ticket. A store of both draws a ticket, one of the first alone gives the
    /// lock to the next.
    Ticket,
}

impl From<&HypInfo> for Told {
    fn from(info: &HypInfo) -> Self {
        Self {
            layout: Layout::from(info),
            pages: Some(PageArray {
                pa: PhysAddr::new(info.vmemmap_pa),
                first_pfn: info.vmemmap_first_pfn,
                nr: info.vmemmap_nr,
                format: PageFormat::OURS,
            }),
            pools: Some(info.pools_pa).filter(|pools| !pools.contains(&0)),
            owners: OwnerForm::Typed,
            freedoms: Freedoms::default(),
            locks: [None; 3],
            own_entries: [None; 8],
            guests: None,
        }
    }
}

/// An array with an entry for each page frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageArray {
    /// Its first byte.
    pub pa: PhysAddr,
    /// The frame that its first entry is of.
    pub first_pfn: u64,
    /// How many entries it has.
    pub nr: u64,
    /// What an entry looks like.
    pub format: PageFormat,
}

/// A field of an entry of at most 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Its lowest bit.
    pub shift: u8,
    /// How many bits it has.
    pub bits: u8,
}

impl Field {
    /// The field of `raw`.
    #[must_use]
    pub fn of(self, raw: u64) -> u64 {
        let mask = u64::MAX.checked_shr(64_u32.saturating_sub(self.bits.into())).unwrap_or(0);
        raw.checked_shr(self.shift.into()).unwrap_or(0) & mask
    }
}

/// What an entry of a page-state array looks like, a little-endian number.
///
/// A relation that the array does not hold stands in the software bits of the party's own table, bits 56:55 of a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageFormat {
    /// Bytes of an entry: 1 to 8.
    pub size: u8,
    /// The host's relation to the page.
    pub host: Option<Field>,
    /// The hypervisor's relation, with all bits inverted.
    pub hyp_inverted: Option<Field>,
    /// Pins and other users.
    pub refcount: Field,
    /// How many guests the host shares it with.
    pub share_count: Option<Field>,
}

impl PageFormat {
    /// That of [`parallax_abi::page`].
    pub const OURS: Self = {
        use parallax_abi::page;
        const fn field((shift, mask): (u32, u64)) -> Field {
            Field { shift: shift as u8, bits: mask.count_ones() as u8 }
        }
        Self {
            size: 8,
            host: Some(field(page::HOST_STATE)),
            hyp_inverted: Some(field(page::HYP_STATE)),
            refcount: field(page::REFCOUNT),
            share_count: Some(field(page::HOST_SHARE_GUEST_COUNT)),
        }
    };

    /// The state in the entry `raw`; a relation that the array does not hold is that of a page of the host's alone.
    #[must_use]
    pub fn state(&self, raw: u64) -> PageState {
        let inverted =
            |field: Field| Ownership::from_bits(!field.of(raw) & Field { shift: 0, ..field }.of(u64::MAX));
        PageState {
            host: self.host.map_or(Ownership::Owned, |field| Ownership::from_bits(field.of(raw))),
            hyp: self.hyp_inverted.map_or(Ownership::NoPage, inverted),
            refcount: self.refcount.of(raw) as u16,
            share_count: self.share_count.map_or(0, |field| field.of(raw) as u32),
        }
    }

    /// Whether the array holds all there is.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.host.is_some() && self.hyp_inverted.is_some()
    }
}

/// How an invalid entry of the host's stage 2 that is not 0 names a page's owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OwnerForm {
    /// A type in bits 63:60 and, for a donation, the owner in bits 3:1.
    #[default]
    Typed,
    /// The owner in bits 9:2, and nothing else.
    Plain,
}

impl OwnerForm {
    /// The entry `raw` in the form [`Self::Typed`]; what is of neither form stays as it is.
    #[must_use]
    pub const fn typed(self, raw: u64) -> u64 {
        const DONATION: u64 = 2 << 60;
        match self {
            Self::Plain if raw & !(0xff << 2) == 0 && raw >> 2 <= 0b111 => DONATION | (raw >> 2) << 1,
            _ => raw,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_format_is_what_the_abi_says() {
        for raw in [0, 7 << 16, 3 | 2 << 28 | 1 << 24 | 5 << 32, u64::MAX] {
            assert_eq!(PageFormat::OURS.state(raw), PageState::from_raw(raw));
        }
    }

    #[test]
    fn what_an_array_does_not_hold_is_the_hosts() {
        let field = |shift, bits| Field { shift, bits };
        let format =
            PageFormat { size: 4, host: None, hyp_inverted: None, refcount: field(0, 16), share_count: None };
        assert_eq!(format.state(0x1_0002), PageState { refcount: 2, ..PageState::HOST_OWNED });
        assert!(!format.is_whole() && PageFormat::OURS.is_whole());
        assert_eq!((field(70, 3).of(u64::MAX), field(0, 0).of(7), field(0, 64).of(9)), (0, 0, 9));
    }

    #[test]
    fn an_owner_is_the_same_in_both_forms() {
        assert_eq!(OwnerForm::Plain.typed(0x4), 0x2000_0000_0000_0002);
        assert_eq!(OwnerForm::Plain.typed(0x8), 0x2000_0000_0000_0004);
        for odd in [0x24, 0x2000_0000_0000_0002, 0x1000_0000_0000_0000] {
            assert_eq!(OwnerForm::Plain.typed(odd), odd);
        }
        assert_eq!(OwnerForm::Typed.typed(0x4), 0x4);
    }
}
