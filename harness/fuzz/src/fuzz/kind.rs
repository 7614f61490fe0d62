//! What is done on purpose, and counted.

/// What an operation is there for, or where its pages are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A call that succeeds.
    Life,
    /// A call that is refused for a chosen reason.
    Refused,
    /// A range that begins in one owner's page and ends in another's.
    Border,
    /// A range of a power of two of pages.
    PowerOfTwo,
    /// Across the first entry of a level-3 table: 2 MiB.
    Table2M,
    /// Across the first entry of a level-2 table: 1 GiB.
    Table1G,
    /// At the first page of memory.
    RamFirst,
    /// At the last page of memory.
    RamLast,
    /// At and above 4 GiB.
    Above4G,
    /// Beside the hypervisor's image.
    Image,
    /// Beside its pool.
    Pool,
    /// Beside memory that the device tree calls no-map.
    NoMap,
    /// MMIO beside the SMMU's frame.
    Mmio,
    /// MMIO that the hypervisor took at boot, and what is beside it.
    DonatedMmio,
    /// The same in a hole between devices, on both sides of a border of 2 MiB: a table each for one page.
    MmioTable,
    /// Where the host's address space ends.
    End,
    /// No page at all.
    Nothing,
    /// More pages than there are.
    Huge,
    /// A range that wraps at 64 bits.
    Wrapping,
    /// A page in a block of its own: it takes a table, and those have an end.
    Tables,
    /// Pins of a page, one after the other.
    Pins,
    /// One pin more than can be counted.
    PinLimit,
    /// No such call.
    UnknownCall,
    /// A call with odd registers.
    OddCall,
    /// A secure monitor call.
    Secure,
    /// A load or store where nothing is mapped yet.
    Fault,
    /// A load or store in a page that may have changed hands.
    Access,
    /// An instruction at EL0 or EL1 where stage 2 may refuse it.
    Probe,
    /// An access to MMIO far apart, which takes tables that may have to be given up.
    Far,
    /// DMA by the first device.
    DmaFirst,
    /// DMA by the second device.
    DmaSecond,
    /// DMA by a stream that has no device, or is not served.
    DmaOther,
    /// The oldest record of the SMMU's event queue.
    Event,
    /// The host's own SMMU is turned on, off, or a stream of it changes.
    Smmu,
    /// Pages that the host's own SMMU holds.
    Held,
    /// The host's own SMMU under attack.
    Hostile,
    /// Registers, tables and commands of the ITS, and the tables of LPIs of the redistributors.
    Interrupts,
    /// What a driver in order does, with the result that it must have.
    Scene,
    /// A stream table at a limit of its format.
    OddTable,
    /// A queue of more than one page, or at a base that is not aligned to its size.
    LongQueue,
    /// Two queues at one address.
    UsedTwice,
    /// An index with bits that its queue does not have.
    WrappedIndex,
    /// One command, with nothing beside it that would do its work.
    Alone,
    /// A register that CR0 guards, or a half of one.
    Register,
    /// A stream with a stage 1: its context descriptor, and what is remembered of it.
    Nested,
    /// A queue or table in no-map memory.
    NotHeld,
    /// As many queues and tables as there can be.
    AllHeld,
    /// A queue or table for which EL2 has no table of its own left.
    NoTable,
    /// Work of the host's own SMMU that one access leaves to the next.
    Left,
    /// The host's own SMMU, above one that refuses commands.
    Failed,
    /// One command of the ITS that names the last there is, or one behind it.
    ItsLimit,
    /// A CPU goes and comes back.
    Cpus,
    /// What another machine did, changed here and there.
    Again,
}

impl Kind {
    /// Each with its name, in the order of tables.
    pub const ALL: [(Self, &'static str); 53] = [
        (Self::Life, "meant to succeed"),
        (Self::Refused, "refused for a reason"),
        (Self::Border, "border of owners"),
        (Self::PowerOfTwo, "power of two"),
        (Self::Table2M, "2 MiB border"),
        (Self::Table1G, "1 GiB border"),
        (Self::RamFirst, "first page of memory"),
        (Self::RamLast, "last page of memory"),
        (Self::Above4G, "above 4 GiB"),
        (Self::Image, "beside the image"),
        (Self::Pool, "beside the pool"),
        (Self::NoMap, "beside no-map memory"),
        (Self::Mmio, "beside the SMMU"),
        (Self::DonatedMmio, "donated MMIO"),
        (Self::MmioTable, "donated MMIO, 2 MiB border"),
        (Self::End, "end of the address space"),
        (Self::Nothing, "no page"),
        (Self::Huge, "huge range"),
        (Self::Wrapping, "wrapping range"),
        (Self::Tables, "table of its own"),
        (Self::Pins, "pins in a row"),
        (Self::PinLimit, "pins at their limit"),
        (Self::UnknownCall, "unknown call"),
        (Self::OddCall, "odd registers"),
        (Self::Secure, "secure monitor call"),
        (Self::Fault, "fault"),
        (Self::Access, "access"),
        (Self::Probe, "probe"),
        (Self::Far, "far MMIO"),
        (Self::DmaFirst, "DMA, first stream"),
        (Self::DmaSecond, "DMA, second stream"),
        (Self::DmaOther, "DMA, other streams"),
        (Self::Event, "event queue"),
        (Self::Smmu, "emulated SMMU"),
        (Self::Held, "held by the SMMU"),
        (Self::Hostile, "hostile SMMU driver"),
        (Self::Interrupts, "ITS and redistributors"),
        (Self::Scene, "scenes of a driver"),
        (Self::OddTable, "odd stream table"),
        (Self::LongQueue, "queue of pages"),
        (Self::UsedTwice, "used twice"),
        (Self::WrappedIndex, "index too large"),
        (Self::Alone, "command alone"),
        (Self::Register, "guarded register"),
        (Self::Nested, "stage 1"),
        (Self::NotHeld, "queue in no-map memory"),
        (Self::AllHeld, "all held"),
        (Self::NoTable, "queue without an EL2 table"),
        (Self::Left, "work left to later accesses"),
        (Self::Failed, "SMMU that refuses"),
        (Self::ItsLimit, "ITS command at a limit"),
        (Self::Cpus, "CPU off and on"),
        (Self::Again, "from the corpus"),
    ];

    /// Whether it says what an operation's pages or structures are, and not what the operation is there for: each operation is there for
    /// one thing, and may have one of these beside it.
    #[must_use]
    pub const fn is_place(self) -> bool {
        matches!(
            self,
            Self::Table2M
                | Self::Table1G
                | Self::RamFirst
                | Self::RamLast
                | Self::Above4G
                | Self::Image
                | Self::Pool
                | Self::NoMap
                | Self::Mmio
                | Self::DonatedMmio
                | Self::MmioTable
                | Self::End
                | Self::Held
                | Self::OddTable
                | Self::LongQueue
                | Self::UsedTwice
                | Self::WrappedIndex
                | Self::Alone
                | Self::Register
                | Self::Nested
                | Self::NotHeld
                | Self::AllHeld
                | Self::NoTable
                | Self::Left
                | Self::Failed
                | Self::ItsLimit
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Kind;

    #[test]
    fn the_page_has_each_name() {
        let page = include_str!("../../../../docs/fuzz.md");
        for (_, name) in Kind::ALL {
            assert!(page.contains(&format!("\n| {name} | ")), "docs/fuzz.md does not say what `{name}` is");
        }
    }

    #[test]
    fn every_kind_has_one_name() {
        let kinds: BTreeSet<Kind> = Kind::ALL.iter().map(|(kind, _)| *kind).collect();
        let names: BTreeSet<&str> = Kind::ALL.iter().map(|(_, name)| *name).collect();
        assert_eq!((kinds.len(), names.len()), (Kind::ALL.len(), Kind::ALL.len()));
        assert_eq!(Kind::ALL.last().unwrap().0 as usize + 1, Kind::ALL.len());
    }
}
