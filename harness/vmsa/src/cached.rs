//! One table as it was when it was last read.

use std::sync::Arc;

use parallax_addr::{InputAddr, PhysAddr, Span};

use crate::desc::{Form, Level};
use crate::mem::PhysMem;
use crate::stage1::TableAttrs;
use crate::table::{Item, runs};
use crate::visit::{Run, Visit};

/// A table.
#[derive(Clone, Debug)]
pub(crate) struct Cached {
    /// The walk that was there last.
    pub(crate) walk: u64,
    /// Where that came across it first.
    pub(crate) ia: InputAddr,
    pub(crate) above: TableAttrs,
    pub(crate) level: Level,
    pub(crate) form: Form,
    pub(crate) version: Option<u64>,
    pub(crate) bytes: Box<[u8]>,
    /// What `bytes` mean, where somebody asked since they changed.
    items: Option<Arc<[Item]>>,
}

impl Cached {
    /// A table that no walk came across yet.
    pub(crate) fn new(bytes: &[u8], level: Level, form: Form) -> Self {
        Self {
            walk: 0,
            ia: InputAddr::default(),
            above: TableAttrs::default(),
            level,
            form,
            version: None,
            bytes: bytes.into(),
            items: None,
        }
    }

    /// What is in it.
    pub(crate) fn items(&mut self) -> Arc<[Item]> {
        let items = self.items.get_or_insert_with(|| {
            let descs = self.bytes.as_chunks().0.iter().map(|chunk| u64::from_le_bytes(*chunk));
            runs(descs, self.level, self.form).into()
        });
        Arc::clone(items)
    }

    /// Takes over what a table of the last level at `pa` holds now. Gives the input addresses of the entries from the first
    /// that changed to the last one, if any did, and adds what is there to `visits`. Nothing where that cannot be
    /// told by the table alone.
    pub(crate) fn follow<M: PhysMem + ?Sized>(
        &mut self,
        mem: &M,
        pa: PhysAddr,
        visits: &mut Vec<Visit>,
    ) -> Option<Option<Span<InputAddr>>> {
        let version = mem.version(pa)?;
        let mut buffer = [0; 4096];
        let bytes = buffer.get_mut(..self.bytes.len())?;
        if self.level != Level::LAST || mem.read(pa, bytes).is_err() {
            return None;
        }
        self.version = Some(version);
        let (old, new) = (self.bytes.as_chunks::<8>().0, bytes.as_chunks::<8>().0);
        let Some((first, end)) = changed_part(old, new) else { return Some(None) };
        let (level, size) = (self.level, self.level.entry_size());
        let at = |index: usize| self.ia.wrapping_add(index as u64 * size);
        let descs = new[first..end].iter().map(|chunk| u64::from_le_bytes(*chunk));
        for item in runs(descs, level, self.form) {
            let index = first as u16 + item.first;
            let (ia, count, desc) = (at(index.into()), item.count, item.desc);
            let run = Run { ia, level, count, desc, table: pa, index, tables: self.above, form: self.form };
            visits.extend(run.visits(item.what));
        }
        let span = Span::between(at(first), at(end));
        self.bytes.copy_from_slice(bytes);
        self.items = None;
        Some(Some(span))
    }
}

/// From the first word that differs to behind the last one; nothing if none does. Both have as many words.
#[must_use]
pub fn changed_part(old: &[[u8; 8]], new: &[[u8; 8]]) -> Option<(usize, usize)> {
    // Whole blocks first: that is how memory is compared quickly.
    const BLOCK: usize = 32;
    let blocks = || old.chunks(BLOCK).zip(new.chunks(BLOCK));
    let (head, tail) =
        (blocks().position(|(old, new)| old != new)?, blocks().rposition(|(old, new)| old != new)?);
    let (first, last) = (head * BLOCK, tail * BLOCK);
    let differ = |(old, new): (&[u8; 8], &[u8; 8])| old != new;
    let first = first + old[first..].iter().zip(&new[first..]).position(differ)?;
    let end = (last + BLOCK).min(old.len());
    let last = last + old[last..end].iter().zip(&new[last..end]).rposition(differ)?;
    Some((first, last + 1))
}
