//! The lanes of a golden, and how one value of each reads.

use std::borrow::Cow;
use std::fmt::Write as _;

use parallax_addr::{AddressMap, Ipa};
use parallax_smmu::{Config, Ste};
use parallax_vmsa::{AnnotationType, MemAttr, MemType, S2Xn, Shareability};

use crate::leaf::{OWNER_GUEST, OWNER_HYP, S2Entry};
use crate::page::PageState;
use crate::smmu_state::Stream;

/// A lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// The host's stage 2.
    Cpu,
    /// EL2's stage 1.
    El2,
    /// The SMMU's stage-2 tables.
    Smmu,
    /// Stream table entries.
    Ste,
    /// Registers of CPU and SMMU.
    Regs,
    /// Page states.
    Page,
    /// The stage 2 of virtual machines.
    Guest,
}

impl Lane {
    /// Its name in goldens.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::El2 => "el2",
            Self::Smmu => "smmu",
            Self::Ste => "ste",
            Self::Regs => "regs",
            Self::Page => "page",
            Self::Guest => "guest",
        }
    }
}

/// Which lanes to show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// All of them.
    #[default]
    All,
    /// Both sides of translation for the host: its stage 2, and the SMMU.
    Both,
    /// The CPU's side.
    Cpu,
    /// The SMMU's side.
    Smmu,
    /// EL2's own stage 1.
    El2,
    /// The stage 2 of virtual machines.
    Guest,
}

impl View {
    /// Whether `lane` belongs to it.
    #[must_use]
    pub const fn shows(self, lane: Lane) -> bool {
        match self {
            Self::All => true,
            Self::Both => matches!(lane, Lane::Cpu | Lane::Smmu | Lane::Ste | Lane::Regs),
            Self::Cpu => matches!(lane, Lane::Cpu),
            Self::Smmu => matches!(lane, Lane::Smmu | Lane::Ste | Lane::Regs),
            Self::El2 => matches!(lane, Lane::El2),
            Self::Guest => matches!(lane, Lane::Guest),
        }
    }
}

/// Bytes that most values fit in.
pub(crate) const TEXT: usize = 32;

/// `1G`, `2M`, `4K`, or none when the size is not to be shown (0).
pub(crate) fn put_block_size(text: &mut String, log2: u8) {
    let (size, unit) = match log2 {
        0 => return,
        30.. => (1_u64 << (log2.min(63) - 30), 'G'),
        20.. => (1 << (log2 - 20), 'M'),
        _ => (1 << log2.saturating_sub(10), 'K'),
    };
    let _infallible = write!(text, " {size}{unit}");
}

/// `normal` for write-back, the architecture's name for the rest.
fn normal(ty: MemType) -> Cow<'static, str> {
    if ty == MemType::WB { "normal".into() } else { ty.to_string().into() }
}

/// A stage-2 memory type: `normal` where stage 1 (or the incoming transaction) decides, in either encoding.
pub(crate) fn mem_attr(mem: MemAttr) -> Cow<'static, str> {
    match mem {
        MemAttr::FwbStage1 => "normal".into(),
        MemAttr::FwbWriteBack => "forced-normal".into(),
        MemAttr::FwbNonCacheable => "forced-Normal-NC".into(),
        MemAttr::FwbDevice(device) => normal(MemType::Device(device)),
        MemAttr::Type(ty) => normal(ty),
        MemAttr::Reserved(raw) => format!("memattr={raw:#x}").into(),
    }
}

/// A stage-1 memory type.
pub(crate) fn mem_type(mem: Option<MemType>, mair: u8) -> Cow<'static, str> {
    mem.map_or_else(|| format!("mair={mair:#04x}").into(), normal)
}

/// What is not as everywhere else: shareability (inner is usual), AF, hints, software bits.
pub(crate) fn put_oddities(text: &mut String, sh: Shareability, af: bool, contiguous: bool, sw: u8) {
    *text += match sh {
        Shareability::InnerShareable => "",
        Shareability::NonShareable => " nsh",
        Shareability::OuterShareable => " osh",
        Shareability::Reserved => " sh=0b01",
    };
    if !af {
        *text += " af=0";
    }
    if contiguous {
        *text += " contiguous";
    }
    if sw != 0 {
        *text += &format!(" sw={sw:#x}");
    }
}

fn letter(allowed: bool, letter: char) -> char {
    if allowed { letter } else { '-' }
}

/// Permissions of a stage-2 entry: `RWX` for CPUs; for devices, which do not execute, `RW`, and `xn` said apart.
pub(crate) fn put_permissions(text: &mut String, read: bool, write: bool, execute: S2Xn, lane: Lane) {
    text.extend([letter(read, 'R'), letter(write, 'W')]);
    if matches!(lane, Lane::Cpu | Lane::Guest) {
        text.push(match execute {
            S2Xn::All => 'X',
            S2Xn::None => '-',
            S2Xn::El0Only => 'u',
            S2Xn::El1Only => 'k',
        });
    } else if execute != S2Xn::All {
        *text += " xn";
    }
}

/// The stage-2 entry at `ipa` as a lane shows it.
#[must_use]
pub fn s2_entry(entry: &S2Entry, ipa: Ipa, lane: Lane, symbols: &AddressMap) -> String {
    match entry {
        S2Entry::Mapped(leaf) => {
            let mut text = String::with_capacity(TEXT);
            put_permissions(&mut text, leaf.read, leaf.write, leaf.exec(), lane);
            text.push(' ');
            text += &mem_attr(leaf.mem());
            put_oddities(&mut text, leaf.shareability(), leaf.af, leaf.contiguous, leaf.sw);
            if leaf.dbm {
                text += " dbm";
            }
            if leaf.other != 0 {
                text += &format!(" bits={:#x}", leaf.other);
            }
            put_block_size(&mut text, leaf.block);
            if leaf.offset != 0 || lane == Lane::Guest {
                text += &format!(" -> {}", symbols.address(leaf.output(ipa)));
            }
            text
        }
        S2Entry::Annotated { raw } => annotated(entry, *raw),
        S2Entry::Malformed { raw } => format!("malformed {raw:#018x}"),
    }
}

pub(crate) fn annotated(entry: &S2Entry, raw: u64) -> String {
    let Some(note) = entry.annotation() else { return format!("annotated {raw:#018x}") };
    let owner: Cow<'_, str> = match note.owner {
        0 => "host".into(),
        OWNER_HYP => "hyp".into(),
        OWNER_GUEST => format!("guest handle={:#x} gfn={:#x}", note.extra & 0xffff, note.extra >> 16).into(),
        other => format!("owner={other}").into(),
    };
    match note.ty {
        AnnotationType::Donation if note.owner != OWNER_GUEST && note.extra != 0 => {
            format!("annotated {owner} extra={:#x}", note.extra)
        }
        AnnotationType::Donation => ["annotated ", &owner].concat(),
        ty => format!("annotated {ty} {owner} extra={:#x}", note.extra),
    }
}

/// A page's state.
#[must_use]
pub fn page_state(state: &PageState) -> String {
    let mut text = String::with_capacity(TEXT);
    for part in ["host=", state.host.name(), " hyp=", state.hyp.name()] {
        text += part;
    }
    if state.refcount != 0 {
        text += &format!(" refcount={}", state.refcount);
    }
    if state.share_count != 0 {
        text += &format!(" guests={}", state.share_count);
    }
    text
}

/// A valid STE: what it does, its table, and every field that is not 0.
#[must_use]
pub fn stream(stream: &Stream) -> String {
    let ste = stream.ste();
    let mut text = match ste.config() {
        Config::Abort => "abort",
        Config::Bypass => "bypass",
        Config::Stage1 => "stage-1",
        Config::Stage2 => "stage-2",
        Config::Nested => "nested",
    }
    .to_owned();
    if let Some(table) = stream.table {
        text += &format!(" table={table}");
    }
    for field in Ste::FIELDS.iter().filter(|field| !matches!(field.name, "V" | "Config")) {
        let value = field.value(&ste.0);
        if value != 0 {
            text += &format!(" {}={value:#x}", field.name);
        }
    }
    if !stream.illegal.is_empty() {
        text += &format!(" ILLEGAL: {}", stream.illegal);
    }
    text
}
