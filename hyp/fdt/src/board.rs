//! What a tree says of the machine: memory and what is kept of it, CPUs, and the devices that a hypervisor uses itself.
//!
//! The whole tree is looked at, below whatever buses a device lies.

use crate::header::OFF_MEM_RSVMAP;
use crate::masters::{GIC, ITS, SMMU};
use crate::walk::{Bus, number, word};
use crate::{Editor, FdtError, Node};
use core::ops::Range;

/// The first byte, and how many there are.
pub type Span = (u64, u64);

/// One thing that the tree says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// Memory, of any alignment.
    Memory(Span),
    /// Memory that has a purpose: /reserved-memory, /memreserve/, an initial RAM disk, a module besides the host's image.
    Reserved(Span),
    /// Memory in /reserved-memory with `no-map`: only who knows its purpose may map it.
    NoMap(Span),
    /// The MPIDR affinity of a CPU.
    Cpu(u64),
    /// How PSCI is called.
    Psci(&'a str),
    /// The host's image, a module of the loader.
    Host(Span),
    /// The registers of the PL011 that /chosen/stdout-path names, by its path or by an alias.
    Console(Span),
    /// The SMMUv3's registers, and the SPI of its global errors.
    Smmu(Span, Option<u32>),
    /// The GICv3's distributor.
    Distributor(Span),
    /// A region of its redistributors.
    Redistributors(Span),
    /// An ITS of the GIC.
    Its(Span),
}

impl Editor<'_> {
    /// The boot options, /chosen/bootargs.
    ///
    /// # Errors
    /// [`FdtError::Malformed`].
    pub fn bootargs(&self) -> Result<&str, FdtError> {
        let chosen = self.child(self.root()?, "chosen")?;
        chosen.map_or(Ok(""), |chosen| self.text_of(chosen, "bootargs"))
    }

    /// Where the path is that /chosen/stdout-path has, or the alias that stands there.
    fn console_path(&self) -> Result<Range<usize>, FdtError> {
        let root = self.root()?;
        let Some(chosen) = self.child(root, "chosen")? else { return Ok(0..0) };
        let mut path = self.text_range(chosen, "stdout-path")?;
        let options = self.tree[path.clone()].iter().position(|&byte| byte == b':');
        path.end = options.map_or(path.end, |at| path.start + at);
        let name = str::from_utf8(&self.tree[path.clone()]).unwrap_or_default();
        match self.child(root, "aliases")? {
            Some(aliases) if !name.starts_with('/') => self.text_range(aliases, name),
            _ => Ok(path),
        }
    }

    /// Whether `path` leads to `node` of `bus`; a unit address may be missing.
    fn is_at(&self, node: Node, bus: &Bus<'_>, path: &[u8]) -> Result<bool, FdtError> {
        let slash = path.iter().rposition(|&byte| byte == b'/');
        let (parent, wanted) = slash.map_or((&[][..], path), |slash| (&path[..slash], &path[slash + 1..]));
        let name = self.text(node.start + 4)?;
        let plain = name.split(|&byte| byte == b'@').next();
        if slash.is_none() || name != wanted && plain != Some(wanted) {
            return Ok(false);
        }
        bus.outer.map_or(Ok(parent.is_empty()), |outer| self.is_at(bus.node, outer, parent))
    }

    /// Gives all that there is to `found`.
    ///
    /// # Errors
    /// [`FdtError::Malformed`]; [`FdtError::NoAddress`].
    pub fn board(&mut self, found: &mut dyn FnMut(Found<'_>)) -> Result<(), FdtError> {
        self.reserved_by_header(found)?;
        let root = self.root()?;
        if let Some(chosen) = self.child(root, "chosen")? {
            self.loaded(chosen, found)?;
        }
        for parent in ["cpus", "reserved-memory"] {
            let Some(parent) = self.child(root, parent)? else { continue };
            let bus = self.top(parent)?;
            self.walk_below(&bus, &mut |tree, node, bus| {
                if tree.is_named(node, b"cpu")? {
                    found(Found::Cpu(number(tree.value(node, "reg")?)));
                } else {
                    // Without `reg` it is the host that chooses a place.
                    let no_map = tree.property(node, "no-map")?.is_some();
                    let kind = if no_map { Found::NoMap } else { Found::Reserved };
                    tree.regs(node, bus, &mut |base, size| found(kind((base, size))))?;
                }
                Ok(false)
            })?;
        }
        let console = self.console_path()?;
        self.walk(&mut |tree, node, bus| {
            if tree.is_compatible(node, "arm,pl011")? && tree.is_at(node, bus, &tree.tree[console.clone()])? {
                found(Found::Console(tree.first_reg(node, bus, "the console")?));
            }
            tree.device(node, bus, found)?;
            Ok(!matches!(tree.text(node.start + 4)?, b"cpus" | b"chosen" | b"reserved-memory"))
        })
    }

    /// One device.
    fn device(&self, node: Node, bus: &Bus<'_>, found: &mut dyn FnMut(Found<'_>)) -> Result<(), FdtError> {
        if bus.outer.is_none() && self.is_named(node, b"memory")? {
            if matches!(self.value(node, "status")?, b"" | b"okay\0" | b"ok\0") {
                self.regs(node, bus, &mut |base, size| found(Found::Memory((base, size))))?;
            }
        } else if self.is_any(node, &["arm,psci", "arm,psci-0.2", "arm,psci-1.0"])? {
            found(Found::Psci(self.text_of(node, "method")?));
        } else if crate::faulty::is_smmu(self.is_compatible(node, SMMU)?, bus) {
            found(Found::Smmu(self.first_reg(node, bus, "the SMMU")?, self.gerror_spi(node)?));
        } else if self.is_compatible(node, GIC)? {
            let regions = self.number(node, "#redistributor-regions")?.unwrap_or(1);
            self.first_reg(node, bus, "the GIC")?;
            let mut index = 0;
            self.regs(node, bus, &mut |base, size| {
                match index {
                    0 => found(Found::Distributor((base, size))),
                    index if index <= regions => found(Found::Redistributors((base, size))),
                    _ => {}
                }
                index += 1;
            })?;
        } else if self.is_compatible(node, ITS)? && self.is_compatible(bus.node, GIC)? {
            found(Found::Its(self.first_reg(node, bus, "the ITS")?));
        }
        Ok(())
    }

    /// The first address of a device that there must be.
    fn first_reg(&self, node: Node, bus: &Bus<'_>, what: &'static str) -> Result<Span, FdtError> {
        let mut first = None;
        self.regs(node, bus, &mut |base, size| _ = first.get_or_insert((base, size)))?;
        first.ok_or(FdtError::NoAddress(what))
    }

    /// What the loader put into memory (QEMU's guest loader writes a module's `reg` as two 64-bit numbers, whatever
    /// #address-cells and #size-cells are in /chosen).
    fn loaded(&mut self, chosen: Node, found: &mut dyn FnMut(Found<'_>)) -> Result<(), FdtError> {
        let [start, end] =
            ["linux,initrd-start", "linux,initrd-end"].map(|name| self.value(chosen, name).map(number));
        let (start, end) = (start?, end?);
        if start < end {
            found(Found::Reserved((start, end - start)));
        }
        let mut is_host = true;
        let bus = self.top(chosen)?;
        self.walk_below(&bus, &mut |tree, node, bus| {
            if tree.is_compatible(node, "multiboot,module")? {
                let mut tell = |base, size| {
                    found(if is_host { Found::Host((base, size)) } else { Found::Reserved((base, size)) });
                    is_host = false;
                };
                match tree.value(node, "reg")?.as_chunks::<8>() {
                    ([base, size], []) => tell(number(base), number(size)),
                    _ => tree.regs(node, bus, &mut tell)?,
                }
            }
            Ok(false)
        })
    }

    /// The memory reservation block (5.3).
    fn reserved_by_header(&self, found: &mut dyn FnMut(Found<'_>)) -> Result<(), FdtError> {
        let entries = self.tree.get(self.word(OFF_MEM_RSVMAP)?..).unwrap_or_default().as_chunks::<16>().0;
        let entries = entries.iter().map(|entry| (number(&entry[..8]), number(&entry[8..])));
        entries.take_while(|&entry| entry != (0, 0)).for_each(|entry| found(Found::Reserved(entry)));
        Ok(())
    }

    /// The SPI that `interrupts` has (type 0, number, trigger) where `interrupt-names` has "gerror" or "combined".
    fn gerror_spi(&self, node: Node) -> Result<Option<u32>, FdtError> {
        let mut names = self.value(node, "interrupt-names")?.split(|&byte| byte == 0);
        let index = names.position(|name| matches!(name, b"gerror" | b"combined"));
        let interrupts = self.value(node, "interrupts")?.as_chunks::<12>().0;
        let interrupt =
            index.and_then(|index| interrupts.get(index)).filter(|interrupt| word(*interrupt) == 0);
        Ok(interrupt.map(|interrupt| word(&interrupt[4..]) as u32))
    }

    /// Whether the name of `node`, without its unit address, is `name`.
    fn is_named(&self, node: Node, name: &[u8]) -> Result<bool, FdtError> {
        Ok(self.text(node.start + 4)?.split(|&byte| byte == b'@').next() == Some(name))
    }

    /// A property as text; nothing where there is none, or it is not text.
    fn text_of(&self, node: Node, name: &str) -> Result<&str, FdtError> {
        Ok(str::from_utf8(&self.tree[self.text_range(node, name)?]).unwrap_or_default())
    }

    /// Where the text of a property is.
    fn text_range(&self, node: Node, name: &str) -> Result<Range<usize>, FdtError> {
        let value = self.property(node, name)?.map_or(0..0, |property| property.value);
        let len = self.words(value.clone()).iter().position(|&byte| byte == 0).unwrap_or(0);
        Ok(value.start..value.start + len)
    }
}
