//! No faults: everything passes as it is.

use crate::addr::{Ipa, PAGE_SIZE, PhysAddr};
use crate::error::Error;
use crate::hw::{Cpu, Memory, Mmio};
pub(crate) use crate::idmap::IdmapTlb;
use crate::idmap::{Change, Idmap};
use crate::ownership::boot::BootError;
use crate::ownership::{El2Mmu, HostMmu, Hyp, Transition};
use crate::page_pool::PagePool;
use crate::page_state::PageState;
use crate::pgtable::attrs::El2Prot;
pub(crate) use crate::pgtable::invalidate::{El2Tlb, HostTlb};
use crate::pgtable::{Content, Descriptor, Env, Invalidate, Level, SplitRule};
use crate::regions::{Kind, Range, Regions};
use crate::smmu::regs::{CMDQ_CONS, Cr0, Gbpa};
use crate::smmu::viommu::{self, Ring, Verdict};
use crate::smmu::{Command, Smmu, SmmuError, SmmuTlb, Ste, StreamId};
use core::ops::{DerefMut, Range as Addresses};
use spin::RelaxStrategy;

/// Seams that give back their first argument, which is right.
macro_rules! right {
    ($($name:ident($right:ty $(, $more:ty)*);)*) => { $(
        #[inline(always)]
        pub(crate) const fn $name(right: $right $(, _: $more)*) -> $right {
            right
        }
    )* };
}

right! {
    host_memory(u64);
    host_mmio(u64);
    el2_leaf(u64, El2Prot);
    locked(Descriptor, Descriptor);
    stale_size(u64);
    child(Descriptor, Descriptor, (Level, u64), SplitRule);
    is_broken(bool);
    is_cleared(bool, Descriptor);
    snapshot_entry(Descriptor);
    snapshot_content(Content, Kind);
    judged(PageState, Transition, Range, PhysAddr);
    page_state(PageState, Transition);
    left_at_el2(Option<El2Prot>, Kind);
    changed_part(Range, Kind, Change);
    fault_level(Level);
    fault_content(Content, Kind, Ipa, Range);
    annotated(Range, &HostMmu);
    donated_frame(Option<Range>);
    kept(Regions);
    is_full(bool);
    single_bytes(u64);
    gbpa_closed(Gbpa);
    cr0_opened(Cr0);
    may_be_combined(bool, u64);
    ste_stage2(Ste);
    steps([Ste; 3], &Ste, &Ste);
    is_stopped(bool);
    checked(Verdict, [u64; 2]);
    next_command(u32, &Ring, u32);
    events_off(Cr0);
    gerror(bool);
    itt_held(Result<(), Error>);
    pending_held(Result<(), Error>);
    l1_span(u64, u32);
    is_level2_returned(bool, bool);
    strtab_split(u32);
    shadow(Ste, &[u64; 8]);
    aborted_streams(u64);
    budget(u64);
    missing(Ste);
    strtab_base(u64);
    evtq_base(u64);
    cmdq_ring(Ring);
    cr1(u32);
    pinned(Option<El2Prot>);
    counted(Range);
    is_walked_by_devices(bool);
    is_taken(bool);
}

/// SCTLR_EL2.
#[must_use]
#[inline(always)]
pub const fn sctlr_el2(right: u64) -> u64 {
    right
}

/// VTTBR_EL2.
#[must_use]
#[inline(always)]
pub const fn vttbr_el2(right: u64) -> u64 {
    right
}

/// A CPU's stacks within its slot.
#[must_use]
#[inline(always)]
pub const fn stacks(right: [Addresses<u64>; 2]) -> [Addresses<u64>; 2] {
    right
}

/// HCR_EL2 of CPU `cpu`.
#[must_use]
#[inline(always)]
pub const fn hcr_el2(right: u64, _cpu: usize) -> u64 {
    right
}

/// MDCR_EL2, what is counted.
#[must_use]
#[inline(always)]
pub const fn mdcr_el2(right: u64) -> u64 {
    right
}

/// How much of what a CPU reads when it starts is cleaned.
#[must_use]
#[inline(always)]
pub const fn boot_bytes(right: u64) -> u64 {
    right
}

/// How much of the host's device tree is cleaned.
#[must_use]
#[inline(always)]
pub const fn tree_bytes(right: u64) -> u64 {
    right
}

/// DFSC or IFSC for a user process, in place of `_fault`.
#[must_use]
#[inline(always)]
pub const fn user_fsc(right: u64, _fault: u64) -> u64 {
    right
}

/// The vector that the host goes to, as an offset in bytes.
#[must_use]
#[inline(always)]
pub const fn vector(right: u64) -> u64 {
    right
}

/// SPSR_EL1.
#[must_use]
#[inline(always)]
pub const fn spsr_el1(right: u64) -> u64 {
    right
}

/// FAR_EL1.
#[must_use]
#[inline(always)]
pub const fn far_el1(right: u64) -> u64 {
    right
}

/// ESR_EL1.
#[must_use]
#[inline(always)]
pub const fn esr_el1(right: u64) -> u64 {
    right
}

/// The syndrome by which a value that was read is extended.
#[must_use]
#[inline(always)]
pub const fn load_syndrome(right: u64) -> u64 {
    right
}

/// The number of the register of an access.
#[must_use]
#[inline(always)]
pub const fn register(right: usize) -> usize {
    right
}

/// The first byte and the size of memory that nobody may map.
#[must_use]
#[inline(always)]
pub const fn no_map(right: (u64, u64)) -> (u64, u64) {
    right
}

/// Whether there is no SMMU to use; `_frame` is where it was found.
#[must_use]
#[inline(always)]
pub const fn is_off(right: bool, _frame: Option<Range>) -> bool {
    right
}

/// Whether an access is stepped over once its page is mapped.
#[must_use]
#[inline(always)]
pub const fn is_stepped_over(right: bool) -> bool {
    right
}

#[inline(always)]
pub(crate) fn set_range<M>(
    env: &mut Env<'_, M>,
    _range: (u64, u64),
    set: impl FnOnce(&mut Env<'_, M>) -> Result<bool, Error>,
) -> Result<bool, Error> {
    set(env)
}

#[inline(always)]
pub(crate) const fn before_entry<M>(
    _env: &mut Env<'_, M>,
    _slot: PhysAddr,
    _old_new: (Descriptor, Descriptor),
    _level_ia: (Level, u64),
) {
}

#[inline(always)]
pub(crate) const fn before_fill<M: Memory>(_mem: &M, _slot: PhysAddr, _table: Descriptor, _rule: SplitRule) {}

#[inline(always)]
pub(crate) const fn before_hook<M: Memory>(_mem: &M, _slot: PhysAddr, _table: Descriptor, _rule: SplitRule) {}

#[inline(always)]
pub(crate) fn invalidate_block(tlb: &mut dyn Invalidate, ia: u64, size: u64) {
    tlb.invalidate(ia, size, size);
}

#[inline(always)]
pub(crate) fn prune<M>(env: &mut Env<'_, M>, prune: impl FnOnce(&mut Env<'_, M>)) {
    prune(env);
}

#[inline(always)]
pub(crate) fn host_changed<H: Memory + Cpu, S: SmmuTlb>(
    idmap: &Idmap,
    hw: &H,
    driver: &mut S,
    pool: &mut PagePool,
    what: (Range, Kind),
    change: Change,
) -> Result<(), Error> {
    idmap.host_changed(hw, driver, pool, what, change)
}

#[inline(always)]
pub(crate) const fn may_donate<H>(
    _hw: &H,
    _host: &mut HostMmu,
    _page: PhysAddr,
    _transition: Transition,
) -> Result<(), Error> {
    Ok(())
}

#[inline(always)]
pub(crate) const fn before_smmu<H, S, R>(
    _hyp: &Hyp<H, S, R>,
    _el2: &mut El2Mmu,
    _what: (Range, Kind),
    _change: Change,
) -> Result<(), Error> {
    Ok(())
}

#[inline(always)]
pub(crate) const fn recycled<H, S, R>(_hyp: &Hyp<H, S, R>, _range: Range) {}

#[inline(always)]
pub(crate) fn fault_lock<M, G>(_lock: &M, host: G) -> G {
    host
}

#[inline(always)]
pub(crate) fn perform<H: Memory + Cpu, S: SmmuTlb, R: RelaxStrategy>(
    hyp: &Hyp<H, S, R>,
    (mut host, mut el2): (impl DerefMut<Target = HostMmu>, impl DerefMut<Target = El2Mmu>),
    what: (Range, Kind),
    transition: Transition,
) -> Result<(), Error> {
    hyp.perform(&mut host, &mut el2, what, transition)
}

#[inline(always)]
pub(crate) const fn before_donation<H, S, R>(
    _hyp: &Hyp<H, S, R>,
    _host: &mut HostMmu,
    _el2: &mut El2Mmu,
) -> Result<(), BootError> {
    Ok(())
}

#[inline(always)]
pub(crate) const fn command(command: Command) -> Option<Command> {
    Some(command)
}

#[inline(always)]
pub(crate) fn commands_visible(cpu: &impl Cpu) {
    cpu.dsb_sy();
}

#[inline(always)]
pub(crate) fn record_ordered(cpu: &impl Cpu) {
    cpu.dsb_sy();
}

#[inline(always)]
pub(crate) fn cmdq_cons(regs: &impl Mmio, _prod: u32) -> u32 {
    regs.read32(CMDQ_CONS)
}

#[inline(always)]
pub(crate) const fn combined_first<R, M, C>(_smmu: &mut Smmu<R, M, C>, right: bool) -> bool {
    right
}

#[inline(always)]
pub(crate) fn sync_step(tlb: &mut impl SmmuTlb) {
    tlb.sync();
}

#[inline(always)]
pub(crate) fn write_head(mem: &impl Memory, pa: PhysAddr, dword: u64) {
    mem.write_release(pa, dword);
}

#[inline(always)]
pub(crate) const fn forget_early<R, M, C>(_smmu: &mut Smmu<R, M, C>, _stream: StreamId, _step: &Ste) -> bool {
    false
}

#[inline(always)]
pub(crate) fn issued(right: Verdict, _env: &impl viommu::Env, _slot: PhysAddr, _is_first: bool) -> Verdict {
    right
}

#[inline(always)]
pub(crate) fn before_events(_env: &impl viommu::Env, _base: u64) {}

#[inline(always)]
pub(crate) fn msi(_env: &impl viommu::Env, _register: u64, _value: u32) -> bool {
    false
}

#[inline(always)]
pub(crate) fn after_baser(_regs: &impl Mmio, _register: u64, _value: u64) {}

#[inline(always)]
pub(crate) fn confine(_mem: &impl Memory, _pa: PhysAddr, _ste: &Ste) -> bool {
    false
}

#[inline(always)]
pub(crate) const fn env<H, S, R>(env: &Hyp<H, S, R>) -> &Hyp<H, S, R> {
    env
}

#[inline(always)]
pub(crate) fn clear_msi(regs: &impl Mmio, register: u64) {
    regs.write64(register, 0);
}

#[inline(always)]
pub(crate) fn page_states<M: Memory>(pool: &mut PagePool, mem: &M, pages: u64) -> Option<PhysAddr> {
    pool.alloc_contiguous(mem, pages, PAGE_SIZE)
}

#[inline(always)]
pub(crate) fn table_page<M: Memory>(pool: &mut PagePool, mem: &M) -> Option<PhysAddr> {
    pool.alloc_contiguous(mem, 1, PAGE_SIZE)
}

#[inline(always)]
pub(crate) fn fail<R: Mmio, M: Memory, C: Cpu>(smmu: &mut Smmu<R, M, C>, error: SmmuError) {
    smmu.fail(error);
}

#[inline(always)]
pub(crate) fn give_back<M: Memory>(env: &mut Env<'_, M>, table: PhysAddr) {
    env.pool.free(env.mem, table);
}

#[inline(always)]
pub(crate) const fn given(command: [u64; 4]) -> [u64; 4] {
    command
}

#[inline(always)]
pub(crate) fn command_visible(cpu: &impl Cpu) {
    cpu.dsb_sy();
}

#[inline(always)]
pub(crate) const fn settled<const N: usize>(targets: [Option<u64>; N]) -> [Option<u64>; N] {
    targets
}

#[inline(always)]
pub(crate) fn are_off(right: impl FnOnce() -> bool) -> bool {
    right()
}

#[inline(always)]
pub(crate) const fn is_there(right: bool) -> bool {
    right
}
