//! Which invalidations concern an entry (DDI 0487, D8.17; IHI 0070, 4.3 and 4.4).

use parallax_addr::{InputAddr, PAGE_SIZE};
use parallax_model::{Lane, Span};
use parallax_protocol::tlbi::{Target, TlbiOp};
use parallax_smmu::{Command, CommandKind};

use super::entry::Entry;

/// What an invalidation is to an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Concern {
    /// Nothing.
    None,
    /// It drops what hangs on the entry, such as combined entries, but not the entry itself.
    Beside(Lane),
    /// It drops the entry from the caches of this side.
    Drops(Lane),
}

/// The TLBI in instruction `word`.
pub(super) const fn tlbi(word: u64) -> Option<TlbiOp> {
    TlbiOp::from_encoding((word >> 16 & 7) as u8, (word >> 8 & 15) as u8, (word >> 5 & 7) as u8)
}

/// What a TLBI with `operand` is to `entry`.
pub(super) fn of_tlbi(op: TlbiOp, operand: u64, entry: &Entry) -> Concern {
    let Entry::Page { lanes, span, .. } = entry else { return Concern::None };
    let names_it =
        op.operand(operand).is_none_or(|named| overlap(Span::new(named.address.get(), named.size), *span));
    match op.target() {
        Target::El2 if lanes.contains(&Lane::El2) && names_it => Concern::Drops(Lane::El2),
        Target::Stage2 | Target::Both | Target::AllVmids if lanes.contains(&Lane::Cpu) && names_it => {
            Concern::Drops(Lane::Cpu)
        }
        // Whose VMID it is for stands in a register: one for the host and one for a virtual machine look alike here.
        Target::Stage2 | Target::Both | Target::AllVmids if lanes.contains(&Lane::Guest) && names_it => {
            Concern::Drops(Lane::Guest)
        }
        // Its operand, if there is one, is a virtual address.
        Target::Stage1 if lanes.contains(&Lane::Cpu) => Concern::Beside(Lane::Cpu),
        _ => Concern::None,
    }
}

/// What a command of the SMMU is to `entry`.
pub(super) fn of_command(command: &Command, entry: &Entry) -> Concern {
    let field = |name| command.field(name).unwrap_or_default();
    match (command.kind(), entry) {
        (CommandKind::CfgiSte, Entry::Stream { sid }) if field("StreamID") == *sid => {
            Concern::Drops(Lane::Ste)
        }
        (CommandKind::CfgiSteRange, Entry::Stream { sid }) => {
            let count = 2_u64 << field("Range");
            let first = field("StreamID") & !(count - 1);
            let named = field("Range") == 31 || Span::new(first, count).contains(*sid);
            if named { Concern::Drops(Lane::Ste) } else { Concern::None }
        }
        (kind, Entry::Page { lanes, span, .. }) if lanes.contains(&Lane::Smmu) => match kind {
            CommandKind::TlbiS2Ipa => {
                // Without TG, NUM and SCALE say nothing.
                let pages = if field("TG") == 0 { 1 } else { (field("NUM") + 1) << field("SCALE") };
                let named = Span::new(field("Address"), pages * PAGE_SIZE);
                if overlap(named, *span) { Concern::Drops(Lane::Smmu) } else { Concern::None }
            }
            CommandKind::TlbiS12Vmall | CommandKind::TlbiNsnhAll => Concern::Drops(Lane::Smmu),
            CommandKind::TlbiNhAll => Concern::Beside(Lane::Smmu),
            _ => Concern::None,
        },
        _ => Concern::None,
    }
}

fn overlap(operand: Span, translated: Span<InputAddr>) -> bool {
    translated.overlaps(operand.cast())
}

#[cfg(test)]
mod tests {
    use parallax_vmsa::desc::Level;

    use super::*;

    fn page(lane: Lane) -> Entry {
        Entry::Page {
            lanes: vec![lane],
            level: Level::LAST,
            span: Span::new(InputAddr::new(0x4000_1000), 0x1000),
            live: true,
        }
    }

    #[test]
    fn an_instruction_concerns_what_it_names() {
        let (cpu, el2) = (page(Lane::Cpu), page(Lane::El2));
        let by_ipa = |address: u64, entry| of_tlbi(TlbiOp::Ipas2e1is, address >> 12, entry);
        assert_eq!(by_ipa(0x4000_1000, &cpu), Concern::Drops(Lane::Cpu));
        assert_eq!(by_ipa(0x4000_2000, &cpu), Concern::None);
        assert_eq!(by_ipa(0x4000_1000, &el2), Concern::None);
        assert_eq!(of_tlbi(TlbiOp::Vmalls12e1is, 0, &cpu), Concern::Drops(Lane::Cpu));
        assert_eq!(of_tlbi(TlbiOp::Vmalle1is, 0, &cpu), Concern::Beside(Lane::Cpu));
        assert_eq!(of_tlbi(TlbiOp::Vae2is, 0x4_0001, &el2), Concern::Drops(Lane::El2));
        assert_eq!(of_tlbi(TlbiOp::Vae2is, 0x4_0002, &el2), Concern::None);
    }

    #[test]
    fn an_instruction_is_known_by_its_word() {
        assert_eq!(tlbi(0xd50c_8028), Some(TlbiOp::Ipas2e1is));
        assert_eq!(tlbi(0xd50c_83df), Some(TlbiOp::Vmalls12e1is));
    }

    #[test]
    fn a_command_concerns_what_it_names() {
        let (smmu, cpu, stream) = (page(Lane::Smmu), page(Lane::Cpu), Entry::Stream { sid: 8 });
        let one = Command([0x2a, 0x4000_1000]);
        assert_eq!(of_command(&one, &smmu), Concern::Drops(Lane::Smmu));
        assert_eq!(of_command(&one, &cpu), Concern::None);
        assert_eq!(of_command(&Command([0x2a, 0x4000_2000]), &smmu), Concern::None);
        // NUM 1, SCALE 0, TG 4K: two pages.
        assert_eq!(of_command(&Command([0x2a | 1 << 12, 0x4000_0400]), &smmu), Concern::Drops(Lane::Smmu));
        assert_eq!(of_command(&Command([0x28, 0]), &smmu), Concern::Drops(Lane::Smmu));
        assert_eq!(of_command(&Command([0x10, 0]), &smmu), Concern::Beside(Lane::Smmu));
        assert_eq!(of_command(&Command([0x03 | 8 << 32, 1]), &stream), Concern::Drops(Lane::Ste));
        assert_eq!(of_command(&Command([0x03 | 9 << 32, 1]), &stream), Concern::None);
        assert_eq!(of_command(&Command([0x04 | 9 << 32, 0]), &stream), Concern::Drops(Lane::Ste));
        assert_eq!(of_command(&Command([0x04 | 9 << 32, 31]), &stream), Concern::Drops(Lane::Ste));
    }
}
