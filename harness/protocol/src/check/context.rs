//! Context descriptors: where they are (IHI 0070, 5.2, S1ContextPtr), and what tells them from stream table entries.

use parallax_smmu::Ste;

use super::checker::Checker;
use super::structure::{Structure, Table};

/// SubstreamIDs have 20 bits at most.
const SSID_BITS: u8 = 20;

/// The linear table that a valid entry with a stage 1 points to: first byte and end.
fn table(ste: &Ste) -> Option<(u64, u64)> {
    let log2 = ste.s1cdmax();
    let linear = ste.s1fmt() == 0 || log2 == 0;
    let used = ste.0[0] & 1 != 0 && ste.config().stage1() && linear && log2 <= SSID_BITS;
    used.then(|| (ste.s1_context_ptr(), ste.s1_context_ptr() + (64 << log2)))
}

impl Checker {
    /// The context descriptors of a valid entry are live from here on.
    pub(super) fn find_contexts(&mut self, sid: u32, pa: u64) {
        if let Some((base, end)) = table(&self.ste(pa)) {
            self.smmu.contexts.0.insert(base, Table { end, sid, ste: pa });
        }
    }

    /// The SMMU has dropped the old copy of the entry of `sid`: tables that only that one pointed to are memory again.
    pub(super) fn forget_contexts(&mut self, sid: u32) {
        let mut contexts = std::mem::take(&mut self.smmu.contexts);
        contexts.0.retain(|base, of| {
            of.sid != sid || table(&self.ste(of.ste)).is_some_and(|(now, _)| now == *base)
        });
        if !contexts.0.values().any(|of| of.sid == sid) {
            let open = &mut self.smmu.streams_open;
            self.smmu.streams.retain(|structure, stream| {
                let gone = matches!(structure, Structure::Cd { sid: of, .. } if *of == sid);
                *open -= usize::from(gone && !stream.reported);
                !gone
            });
        }
        self.smmu.contexts = contexts;
    }
}
