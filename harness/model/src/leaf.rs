//! What one entry of a translation table means, without the address of the table it stands in.
//!
//! Fields keep the architecture's small encodings (they compare, hash and serialise as they are); methods give them
//! meaning through [`parallax_vmsa`].

use parallax_addr::{HypVa, Ipa, PhysAddr, Span};
use parallax_vmsa::{Annotation, AnnotationType, MemAttr, MemType, S2Xn, Shareability};
use serde::{Deserialize, Serialize};

/// Owner field of an annotated entry: the hypervisor.
pub const OWNER_HYP: u8 = parallax_abi::page::OWNER_HYP as u8;
/// Owner field of an annotated entry: a guest.
pub const OWNER_GUEST: u8 = parallax_abi::page::OWNER_GUEST as u8;

/// A valid leaf of a stage-2 table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct S2Leaf {
    /// Output address minus input address, wrapping: 0 is identity.
    pub offset: u64,
    /// log2 of the bytes that one entry maps: 30, 21 or 12.
    pub block: u8,
    /// S2AP\[0\]: may be read.
    pub read: bool,
    /// S2AP\[1\]: may be written.
    pub write: bool,
    /// XN\[1:0\], see [`S2Leaf::exec`].
    pub xn: u8,
    /// MemAttr, see [`S2Leaf::mem`].
    pub memattr: u8,
    /// Whether MemAttr is in the encoding of FEAT_S2FWB (HCR_EL2.FWB or STE.S2FWB).
    pub fwb: bool,
    /// SH, see [`S2Leaf::shareability`].
    pub sh: u8,
    /// AF, the access flag.
    pub af: bool,
    /// The Contiguous hint.
    pub contiguous: bool,
    /// DBM, dirty bit modifier.
    pub dbm: bool,
    /// Software bits 58:55.
    pub sw: u8,
    /// Bits of the descriptor that are set and mean none of the above, in place: nT, FnXS, 63:59, address bits
    /// below the block's size.
    pub other: u64,
}

impl S2Leaf {
    /// Output address of `ipa`.
    #[must_use]
    pub const fn output(&self, ipa: Ipa) -> PhysAddr {
        ipa.identity().wrapping_add(self.offset)
    }

    /// Where the output addresses `outputs`, all of this leaf, come from.
    #[must_use]
    pub fn inputs(&self, outputs: Span<PhysAddr>) -> Span<Ipa> {
        Span::new(Ipa::new(outputs.base.get().wrapping_sub(self.offset)), outputs.size)
    }

    /// Where the input addresses `ipas`, all under this leaf, lead.
    #[must_use]
    pub const fn outputs(&self, ipas: Span<Ipa>) -> Span<PhysAddr> {
        Span::new(self.output(ipas.base), ipas.size)
    }

    /// Who may execute.
    #[must_use]
    pub const fn exec(&self) -> S2Xn {
        S2Xn::from_bits(self.xn)
    }

    /// Memory type.
    #[must_use]
    pub const fn mem(&self) -> MemAttr {
        MemAttr::decode(self.memattr, self.fwb)
    }

    /// Shareability.
    #[must_use]
    pub const fn shareability(&self) -> Shareability {
        Shareability::from_bits(self.sh)
    }

    /// Whether the memory type is Normal write-back or leaves the choice to stage 1: both mean that stage 1, or the
    /// incoming transaction, decides.
    #[must_use]
    pub fn is_write_back(&self) -> bool {
        matches!(self.mem(), MemAttr::Type(MemType::WB) | MemAttr::FwbStage1 | MemAttr::FwbWriteBack)
    }

    /// Whether the memory type is a Device type.
    #[must_use]
    pub const fn is_device(&self) -> bool {
        self.mem().is_device()
    }
}

/// What a stage-2 table says about an input address. Addresses whose entry is zero have no run at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum S2Entry {
    /// Mapped.
    Mapped(S2Leaf),
    /// Invalid and not zero: says who owns the page.
    Annotated {
        /// The entry, see [`S2Entry::annotation`].
        raw: u64,
    },
    /// Not a legal entry of its level, a loop, or a table that cannot be read.
    Malformed {
        /// The descriptor.
        raw: u64,
    },
}

impl S2Entry {
    /// The leaf, if mapped.
    #[must_use]
    pub const fn leaf(&self) -> Option<&S2Leaf> {
        match self {
            Self::Mapped(leaf) => Some(leaf),
            Self::Annotated { .. } | Self::Malformed { .. } => None,
        }
    }

    /// The annotation, if annotated.
    #[must_use]
    pub const fn annotation(&self) -> Option<Annotation> {
        match self {
            Self::Annotated { raw } => Annotation::decode(*raw),
            Self::Mapped(_) | Self::Malformed { .. } => None,
        }
    }

    /// Whether it says that `owner` ([`OWNER_HYP`], [`OWNER_GUEST`]) has the page.
    #[must_use]
    pub fn is_donated_to(&self, owner: u8) -> bool {
        self.annotation().is_some_and(|note| note.ty == AnnotationType::Donation && note.owner == owner)
    }
}

/// A valid leaf of EL2's stage-1 table, the limits of the tables above it included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct S1Leaf {
    /// Output address minus virtual address, wrapping.
    pub offset: u64,
    /// log2 of the bytes that one entry maps: 30, 21 or 12.
    pub block: u8,
    /// May be written: AP\[2\] and APTable.
    pub write: bool,
    /// May be executed: XN, XNTable and SCTLR_EL2.WXN.
    pub exec: bool,
    /// The byte of MAIR_EL2 that AttrIndx selects, see [`S1Leaf::mem`].
    pub mair: u8,
    /// SH.
    pub sh: u8,
    /// AF.
    pub af: bool,
    /// The Contiguous hint.
    pub contiguous: bool,
    /// Software bits 58:55.
    pub sw: u8,
}

impl S1Leaf {
    /// Output address of `va`.
    #[must_use]
    pub const fn output(&self, va: HypVa) -> PhysAddr {
        PhysAddr::new(va.get()).wrapping_add(self.offset)
    }

    /// Where the output addresses `outputs`, all of this leaf, come from.
    #[must_use]
    pub fn inputs(&self, outputs: Span<PhysAddr>) -> Span<HypVa> {
        Span::new(HypVa::new(outputs.base.get().wrapping_sub(self.offset)), outputs.size)
    }

    /// Where the virtual addresses `vas`, all under this leaf, lead.
    #[must_use]
    pub const fn outputs(&self, vas: Span<HypVa>) -> Span<PhysAddr> {
        Span::new(self.output(vas.base), vas.size)
    }

    /// Memory type, `None` for a reserved encoding.
    #[must_use]
    pub const fn mem(&self) -> Option<MemType> {
        MemType::from_mair(self.mair)
    }

    /// Shareability.
    #[must_use]
    pub const fn shareability(&self) -> Shareability {
        Shareability::from_bits(self.sh)
    }
}

/// What EL2's stage-1 table says about a virtual address. Invalid entries have no run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum S1Entry {
    /// Mapped.
    Mapped(S1Leaf),
    /// Not a legal entry of its level, a loop, or a table that cannot be read.
    Malformed {
        /// The descriptor.
        raw: u64,
    },
}

impl S1Entry {
    /// The leaf, if mapped.
    #[must_use]
    pub const fn leaf(&self) -> Option<&S1Leaf> {
        match self {
            Self::Mapped(leaf) => Some(leaf),
            Self::Malformed { .. } => None,
        }
    }
}
