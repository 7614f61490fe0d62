//! Boot options: words of the form `name=value` in the device tree's `/chosen/bootargs`.

use crate::addr::{PAGE_SIZE, PhysAddr};
use crate::idmap::MmioPolicy;
use crate::smmu::HostView;

/// How the SMMU is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SmmuMode {
    /// `smmu=shadow`: the SMMU has a table of its own, kept in step with the host's.
    #[default]
    Shadow,
    /// `smmu=shared`: the SMMU walks the host's own stage-2 table.
    Shared,
    /// `smmu=off`: the SMMU is left alone.
    Off,
}

/// How many MMIO pages `donate_mmio=` may name.
pub const MAX_DONATED: usize = 16;

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// `smmu=shadow|shared|off`.
    pub smmu: SmmuMode,
    /// `smmu.map=blocks|pages`: whether the SMMU's table may map memory by blocks.
    pub smmu_blocks: bool,
    /// `smmu.mmio=prot|region|cacheable`.
    pub mmio: MmioPolicy,
    /// `smmu.sid_bits=N`: streams 0 to 2^N - 1 are served; 0 to 32.
    pub sid_bits: u32,
    /// `smmu.host=hidden|emulated`: what the host sees of the SMMU.
    pub smmu_host: HostView,
    /// `donate_mmio=ADDR[,ADDR...]`: pages that the hypervisor takes before the host runs.
    donated: [PhysAddr; MAX_DONATED],
    donated_len: usize,
    /// `host_s2_pages=N`: limit of the host stage-2 table's pages, below 2^32.
    pub host_s2_pages: Option<u64>,
    /// `el2_free_pages=N`: how many pages the pool of EL2's and the SMMU's tables has left when the host starts, at most.
    pub el2_free_pages: u64,
    /// `fault=NAME`, only in a build with the feature `faults`.
    #[cfg(feature = "faults")]
    pub fault: Option<crate::fault::Fault>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            smmu: SmmuMode::Shadow,
            smmu_blocks: true,
            mmio: MmioPolicy::Region,
            sid_bits: 8,
            smmu_host: HostView::Hidden,
            donated: [PhysAddr(0); MAX_DONATED],
            donated_len: 0,
            host_s2_pages: None,
            el2_free_pages: u64::MAX,
            #[cfg(feature = "faults")]
            fault: None,
        }
    }
}

/// A word of the command line that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionError<'a> {
    /// There is no such option in this build.
    #[error("unknown boot option `{0}`")]
    Unknown(&'a str),
    /// The option is known, its value is not.
    #[error("bad value in boot option `{0}`")]
    BadValue(&'a str),
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// What `value` stands for.
fn choice<T, const N: usize>(value: &str, choices: [(&str, T); N]) -> Option<T> {
    choices.into_iter().find(|(name, _)| *name == value).map(|(_, choice)| choice)
}

impl Options {
    /// Reads the words of `bootargs`, separated by white space. A later word wins over an earlier one.
    ///
    /// # Errors
    /// [`OptionError`] with the first word that makes no sense.
    pub fn parse(bootargs: &str) -> Result<Self, OptionError<'_>> {
        let mut options = Self::default();
        for word in bootargs.split_whitespace() {
            let (name, value) = word.split_once('=').ok_or(OptionError::Unknown(word))?;
            match options.apply(name, value) {
                Some(true) => {}
                Some(false) => return Err(OptionError::Unknown(word)),
                None => return Err(OptionError::BadValue(word)),
            }
        }
        Ok(options)
    }

    /// Whether there is an option `name`; `None` when it does not take `value`.
    fn apply(&mut self, name: &str, value: &str) -> Option<bool> {
        match name {
            "smmu" => {
                let modes =
                    [("shadow", SmmuMode::Shadow), ("shared", SmmuMode::Shared), ("off", SmmuMode::Off)];
                self.smmu = choice(value, modes)?;
            }
            "smmu.map" => self.smmu_blocks = choice(value, [("blocks", true), ("pages", false)])?,
            "smmu.mmio" => {
                use MmioPolicy::{Cacheable, Prot, Region};
                self.mmio = choice(value, [("prot", Prot), ("region", Region), ("cacheable", Cacheable)])?;
            }
            "smmu.sid_bits" => self.sid_bits = number(value).filter(|&bits| bits <= 32)? as u32,
            "smmu.host" => {
                self.smmu_host =
                    choice(value, [("hidden", HostView::Hidden), ("emulated", HostView::Emulated)])?;
            }
            "donate_mmio" => value.split(',').try_for_each(|address| self.donate(number(address)?))?,
            "host_s2_pages" => self.host_s2_pages = Some(number(value).filter(|&pages| pages < 1 << 32)?),
            "el2_free_pages" => self.el2_free_pages = number(value)?,
            #[cfg(feature = "faults")]
            "fault" => self.fault = Some(crate::fault::Fault::from_name(value)?),
            _ => return Some(false),
        }
        Some(true)
    }

    fn donate(&mut self, address: u64) -> Option<()> {
        let address = PhysAddr(address);
        *self.donated.get_mut(self.donated_len).filter(|_| address.is_aligned(PAGE_SIZE))? = address;
        self.donated_len += 1;
        Some(())
    }

    /// The pages of `donate_mmio=`, one 4 KiB page each.
    #[must_use]
    pub fn donated_mmio(&self) -> &[PhysAddr] {
        self.donated.get(..self.donated_len).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_understood() {
        let text = " smmu=shared smmu.map=pages smmu.mmio=prot smmu.sid_bits=9 smmu.host=emulated\ndonate_mmio=0x9010000,0x9020000 host_s2_pages=12 el2_free_pages=3";
        let options = Options::parse(text).unwrap();
        assert_eq!(options.smmu, SmmuMode::Shared);
        assert!(!options.smmu_blocks);
        assert_eq!(options.mmio, MmioPolicy::Prot);
        assert_eq!(options.sid_bits, 9);
        assert_eq!(options.smmu_host, HostView::Emulated);
        assert_eq!(options.donated_mmio(), [PhysAddr(0x901_0000), PhysAddr(0x902_0000)]);
        assert_eq!((options.host_s2_pages, options.el2_free_pages), (Some(12), 3));
        assert_eq!(Options::parse(""), Ok(Options::default()));
    }

    #[test]
    fn the_bad_word_is_named() {
        for word in
            ["smmu=maybe", "smmu.sid_bits=33", "donate_mmio=0x9010001", "host_s2_pages=", "donate_mmio=1,"]
        {
            assert_eq!(Options::parse(&format!("smmu=off {word}")), Err(OptionError::BadValue(word)));
        }
        for word in ["quiet", "smmu.tables=3"] {
            assert_eq!(Options::parse(&format!("{word} smmu=off")), Err(OptionError::Unknown(word)));
        }
    }

    #[cfg(not(feature = "faults"))]
    #[test]
    fn a_build_without_faults_does_not_know_the_option() {
        let word = "fault=smmu_no_tlbi";
        assert_eq!(Options::parse(word), Err(OptionError::Unknown(word)));
    }
}
