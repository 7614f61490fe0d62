//! What the host was told of its SMMU holds.

use parallax_smmu::Config;

use super::findings::Findings;
use crate::check::Space;
use crate::context::Context;
use crate::finding::Finding;
use crate::rule::Rule;
use crate::snapshot::Snapshot;

/// The host has been told that its own SMMU does not translate (CR0ACK.SMMUEN = 0), and its GBPA aborts: no stream lets
/// anything through (IHI 0070, 3.11 and 6.3.9).
#[must_use]
pub fn check_told_off(snapshot: &Snapshot, context: &Context) -> Vec<Finding> {
    let mut findings = Findings::new(snapshot, context);
    for run in snapshot.smmu.iter().flat_map(|smmu| &smmu.streams) {
        if run.value.config() != Config::Abort {
            let message = "the host was told that its SMMU is off, and the stream is open";
            findings.add(Rule::IsolationStreamOpen, Space::Ste, run.span(), message);
        }
    }
    findings.list
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;

    #[test]
    fn a_stream_of_an_smmu_that_is_off_must_abort() {
        let mut state = clean();
        assert_eq!(check_told_off(&state, &context()).len(), 1);
        smmu_of(&mut state).streams.make_mut()[0].value.dwords[0] = ABORT;
        assert!(check_told_off(&state, &context()).is_empty());
        smmu_of(&mut state).streams.make_mut().clear();
        assert!(check_told_off(&state, &context()).is_empty());
    }
}
