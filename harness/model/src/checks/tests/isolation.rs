//! The rules of isolation.

use super::*;
use crate::check::Space;
use crate::checks::isolation::check_tables;
use crate::snapshot::TableUse;

#[test]
fn isolation_follows_output_addresses() {
    let alias = S2Leaf { offset: POOL.base.wrapping_sub(PAGE.base), ..MEMORY };
    let rules = planted(|state| set(host_mut(state), PAGE, Some(S2Entry::Mapped(alias))));
    assert!(rules.contains(&("reachable", PAGE_NAME.into())), "{rules:?}");
    let rules = planted(|state| set(smmu_entries(state), PAGE, Some(S2Entry::Mapped(alias))));
    assert!(rules.contains(&("reachable", PAGE_NAME.into())), "{rules:?}");
}

#[test]
fn isolation_counts_a_zero_entry_as_reachable() {
    let rules = planted(|state| set(host_mut(state), SMMU, None));
    assert_eq!(rules, [("missing", "mmio:smmu".into()), ("unclaimed", "mmio:smmu".into())]);
    let rules = planted(|state| {
        set(host_mut(state), POOL, None);
        set(smmu_entries(state), POOL, Some(S2Entry::Mapped(MEMORY)));
    });
    assert_eq!(rules, [("unclaimed", "pool"), ("reachable", "pool"), ("annotation", "pool")].map(named));
}

#[test]
fn isolation_guards_table_pages_wherever_they_are() {
    let rules = planted(|state| {
        let user = TableUse { cpu: true, ..Default::default() };
        set(state.tables.make_mut(), PAGE, Some(user));
    });
    assert_eq!(
        rules,
        [("reachable", PAGE_NAME.into()), ("reachable", PAGE_NAME.into())],
        "by CPU and by device"
    );
}

#[test]
fn isolation_wants_the_gates_closed() {
    let open = planted(|state| {
        smmu_of(state).control.enabled = false;
        smmu_of(state).control.gbpa_abort = false;
    });
    assert_eq!(open, one("open", ""));
    assert_eq!(planted(|state| smmu_of(state).control.enabled = false), [], "GBPA.ABORT=1 is enough");
    assert_eq!(planted(|state| state.smmu = None), one("open", ""));
    assert_eq!(planted(|state| state.cpus[0].control.stage2_enabled = false), one("open", ""));
    assert_eq!(planted(|state| state.cpus[0].control.el2_enabled = false), one("el2-off", ""));
    assert_eq!(planted(|state| smmu_of(state).control.cmdq_error = 1), one("smmu-error", ""));
    assert_eq!(planted(|state| smmu_of(state).control.gerror = 4), one("smmu-error", ""));
}

#[test]
fn isolation_wants_what_every_cpu_keeps_from_the_host() {
    let registers = |change: fn(&mut SysRegs)| planted(|state| change(&mut state.cpus[0].registers));
    let control = || one("control", "");
    assert_eq!(registers(|regs| regs.hcr_el2 ^= 1 << 19), control(), "TSC");
    assert_eq!(registers(|regs| regs.hcr_el2 ^= 1 << 42), control(), "NV");
    assert_eq!(registers(|regs| regs.sctlr_el2 ^= 1 << 12), control(), "I");
    assert_eq!(registers(|regs| regs.vtcr_el2 ^= 1 << 8), control(), "walks past the caches");
    assert_eq!(registers(|regs| regs.control.as_mut().unwrap().vbar_el2 += 0x2_0000), control(), "constants");
    assert_eq!(registers(|regs| regs.hcr_el2 |= 1 << 40), [], "an extension of the host's own");
    assert_eq!(registers(|regs| regs.control = None), [], "not looked at");
}

#[test]
fn isolation_wants_the_same_of_every_cpu() {
    let second = |change: fn(&mut Cpu)| {
        planted(|state| {
            let mut cpu = Cpu { number: 1, ..state.cpus[0] };
            change(&mut cpu);
            state.cpus.push(cpu);
        })
    };
    assert_eq!(second(|_| ()), []);
    assert_eq!(second(|cpu| cpu.registers.control.as_mut().unwrap().mdcr_el2 = 1), one("control", ""));
    assert_eq!(second(|cpu| cpu.registers.hcr_el2 |= 1 << 7), [], "an interrupt that is pending there");
    assert_eq!(second(|cpu| cpu.control.stage2_enabled = false), one("open", ""));
    let identities = |ids: [u64; 2]| {
        planted(|state| {
            state.cpus[0].registers.control.as_mut().unwrap().vmpidr_el2 = Some(ids[0]);
            let mut cpu = Cpu { number: 1, ..state.cpus[0] };
            cpu.registers.control.as_mut().unwrap().vmpidr_el2 = Some(ids[1]);
            state.cpus.push(cpu);
        })
    };
    assert_eq!((identities([0, 1]), identities([1, 1])), (vec![], one("control", "")), "each is itself");
    let third = planted(|state| {
        let cpu = state.cpus[0];
        state.cpus.extend([1, 2].map(|number| Cpu { number, ..cpu }));
        state.cpus[2].registers.vttbr_el2 = 1 << 48;
    });
    assert_eq!(third, one("control", ""), "CPUs behind the second, too");
}

#[test]
fn errors_of_a_hosts_own_smmu_are_its_own_but_for_the_command_queues() {
    let rules = |gerror| {
        let mut state = clean();
        smmu_of(&mut state).control.gerror = gerror;
        let context = Context { emulated: true, ..context() };
        check(&state, &context).iter().filter(|finding| finding.rule == Rule::IsolationSmmuError).count()
    };
    assert_eq!((rules(4), rules(5)), (0, 1));
}

#[test]
fn isolation_wants_safe_stream_table_entries() {
    let bypass = planted(|state| smmu_of(state).streams.make_mut()[0].value.dwords[0] = BYPASS);
    assert_eq!(bypass, [("stream-unserved", "0x0..0x100"), ("ste-bypass", "0x0..0x100")].map(named));
    // S2AA64, S2VMID, S2R, S2S, S2AFFD, MTCFG
    for (dword, bit) in [(2, 51), (2, 0), (2, 58), (2, 57), (2, 53), (1, 36)] {
        let rules = planted(|state| smmu_of(state).streams.make_mut()[0].value.dwords[dword] ^= 1 << bit);
        assert_eq!(rules, one("ste", "0x0..0x100"), "dword {dword} bit {bit}");
    }
    // S2PTW, which means something under a stage 1 only.
    assert_eq!(planted(|state| smmu_of(state).streams.make_mut()[0].value.dwords[2] ^= 1 << 54), []);
    let nested = |ptw: u64| {
        planted(|state| {
            let stream = &mut smmu_of(state).streams.make_mut()[0].value;
            stream.dwords[0] |= 0b111 << 1;
            stream.dwords[2] ^= ptw;
        })
    };
    assert_eq!((nested(0), nested(1 << 54)), (vec![], one("ste", "0x0..0x100")));
    let illegal = planted(|state| smmu_of(state).streams.make_mut()[0].value.illegal = "why".into());
    assert_eq!(illegal, one("ste", "0x0..0x100"));
}

#[test]
fn isolation_wants_el2_to_write_or_execute_never_both() {
    let image = IMAGE.base.wrapping_sub(IMAGE_VA);
    let text = Span::new(IMAGE_VA, 0x2_0000);
    assert_eq!(
        planted(|state| set(el2_mut(state), text, Some(el2(image, true, true)))),
        one("writable-code", "hyp")
    );
    let alias = Span::new(IMAGE.base + LINEAR, 0x1000);
    let rules = planted(|state| set(el2_mut(state), alias, Some(el2(LINEAR.wrapping_neg(), true, false))));
    assert_eq!(rules, one("writable-code", "linear:hyp"));
}

#[test]
fn no_table_of_any_hypervisor_is_in_reach() {
    let spaces = |user: TableUse, without_stage2: bool| {
        let mut state = clean();
        set(state.tables.make_mut(), PAGE, Some(user));
        if without_stage2 {
            smmu_of(&mut state).tables.clear();
        }
        let found = check_tables(&state, &context());
        assert!(found.iter().all(|finding| finding.rule == Rule::IsolationReachable), "{found:?}");
        found.iter().map(|finding| finding.space).collect::<Vec<_>>()
    };
    let (table, strtab) =
        (TableUse { el2: true, ..TableUse::default() }, TableUse { strtab: true, ..TableUse::default() });
    assert_eq!(spaces(table, false), [Space::Cpu, Space::Smmu]);
    assert_eq!(spaces(strtab, false), [Space::Cpu, Space::Smmu]);
    assert_eq!(spaces(table, true), [Space::Cpu]);
    assert_eq!(spaces(strtab, true), [], "it is the host's own SMMU");
}
