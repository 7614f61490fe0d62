//! Snapshot, canonical form, diff, invariants and golden text.
