//! `pagewatch`: a TCG plugin that journals what EL2 does to translation.
//!
//! Loaded with `-plugin libpagewatch.so,journal=FILE,low=A,high=B,entry=E,vectors=V,mark=M`: the file is mapped
//! ([`ring`]), and every instruction with a virtual address in `A..B`, the hypervisor's image, is watched, as is the
//! image's first page where it runs with the MMU off, at the physical address `E`. Other exception levels do not use
//! these addresses. Loads and stores by SP are left out: a stack is no table and no device. `M` is the test host's mark,
//! the one instruction of EL1 that is watched. Without `low` it is the journal that says where the hypervisor is, before that
//! runs.
//!
//! QEMU runs all CPUs on one thread (`-accel tcg,thread=single`), so the order of records is the order of what
//! happened. The callback of a memory access runs after the access, all others before their instruction.
//!
//! With `coverage=FILE` it notes which instructions ran and which branches were taken ([`coverage`]), from power-on; without `journal=FILE` nothing else.
//!
//! The plugin never stops QEMU: what it cannot tell truly it says in the header's error word.

mod coverage;
mod cpus;
mod install;
mod known;
mod registers;
mod ring;
mod watch;
mod word;

use qemu_plugin::{
    Args, Error, HasCallbacks, Info, PluginId, Register, Result, TranslationBlock, VCPUIndex, register,
};

use crate::coverage::Coverage;
use crate::ring::Ring;
use crate::watch::{Places, Watcher};

/// The plugin: nothing until QEMU has handed it its arguments.
#[derive(Default)]
struct Pagewatch {
    watcher: Option<Watcher>,
    coverage: Option<Coverage>,
}

impl Register for Pagewatch {
    fn register_default(&mut self, id: PluginId, args: &Args, info: &Info) -> Result<()> {
        install::register(id, info)?;
        self.register(id, args, info)
    }

    fn register(&mut self, _: PluginId, args: &Args, info: &Info) -> Result<()> {
        let number = |key: &str| {
            let text = argument(args, key)?;
            let digits = text.strip_prefix("0x").unwrap_or(text);
            u64::from_str_radix(digits, 16).map_err(|_| invalid(args))
        };
        let cpus = info.system.as_ref().map_or(1, |system| system.max_vcpus);
        if let Ok(file) = argument(args, "coverage") {
            let image = number("low")?..number("high")?;
            let coverage = Coverage::open(file.as_ref(), image, cpus.max(1) as usize);
            self.coverage = Some(coverage.map_err(|_| invalid(args))?);
        }
        let journal = match argument(args, "journal") {
            Err(_) if self.coverage.is_some() => return Ok(()),
            journal => journal?,
        };
        let places = match argument(args, "low") {
            Err(_) => None,
            Ok(_) => Some(Places {
                image: number("low")?..number("high")?,
                entry: number("entry")?,
                vectors: number("vectors")?,
            }),
        };
        let ring = Ring::open(journal.as_ref()).map_err(|_| invalid(args))?;
        self.watcher = Some(Watcher::new(ring, places, number("mark")?, cpus));
        Ok(())
    }
}

impl HasCallbacks for Pagewatch {
    fn on_vcpu_init(&mut self, _: PluginId, _: VCPUIndex) -> Result<()> {
        if let Some(watcher) = &mut self.watcher {
            watcher.find_registers()?;
        }
        Ok(())
    }

    fn on_translation_block_translate(&mut self, _: PluginId, block: TranslationBlock<'_>) -> Result<()> {
        if let Some(watcher) = &self.watcher {
            watcher.watch(&block);
        }
        if let Some(coverage) = &self.coverage {
            coverage.watch(&block);
        }
        Ok(())
    }
}

/// The value of argument `key`.
fn argument<'a>(args: &'a Args, key: &str) -> Result<&'a str> {
    let pairs = args.raw.iter().filter_map(|argument| argument.split_once('='));
    pairs.into_iter().find(|(name, _)| *name == key).map(|(_, value)| value).ok_or_else(|| invalid(args))
}

fn invalid(args: &Args) -> Error {
    Error::MissingArgValue { argument: args.raw.join(",") }
}

register!(Pagewatch::default());
