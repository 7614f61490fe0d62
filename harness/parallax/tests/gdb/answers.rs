//! What gdb is answered: to commands that are wrong, about entries of every kind, on several CPUs, of what is found.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::program::program;
use super::recorded;
use super::server::{Server, assert_in_order, record, root};

/// Commands that are wrong, each with what must be said to it.
const WRONG: [(&str, &str); 22] = [
    ("s2", "error: usage:\ns2 IPA"),
    ("s2 zzz", "error: `zzz`: expected a number or an address such as 0x40000000, ram+0x1000"),
    ("s2 0xffffffffffffffff", "is above the input size of 48 bits"),
    ("smmu", "error: usage:\nsmmu sid N"),
    ("smmu sid", "error: usage:\nsmmu sid N"),
    ("smmu sid x", "error: `x` is no number"),
    ("smmu sid 77777", "error: sid 0x12fd1: StreamID is out of the table's range"),
    ("smmu walk 8", "error: usage:\nsmmu sid N"),
    ("smmu walk 8 zzz", "error: `zzz`: expected a number or an address"),
    ("smmu walk 0x100000000 ram", "error: a StreamID has at most 32 bits"),
    ("op", "error: usage:\nop N"),
    ("op 99999", "error: no operation stands in line 99999; the last one is in line"),
    ("op zz", "error: `zz` is no number"),
    ("page", "error: usage:\npage PFN"),
    ("page 0xffffffffffffffff", "error: a page frame number has at most 40 bits"),
    ("page 0x60000", "state none: it is not memory"),
    ("diff 99999", "error: no operation stands in line 99999"),
    ("explain", "error: usage:\nexplain IPA"),
    ("explain 0xffffffffffffffff", "error: 0xffffffffffffffff is above the input size of 48 bits"),
    ("check now", "error: usage:\ncheck"),
    ("phys maybe", "error: usage:\nphys [on|off]"),
    ("dance", "error: no command is called `dance`; `monitor help` lists them"),
];

/// Each command, as it must be listed.
const HELP: [&str; 12] = [
    "ops [all] ",
    "\nop N ",
    "\ns2 IPA ",
    "\nsmmu sid N ",
    "\nsmmu walk SID IPA ",
    "\npage PFN ",
    "\ndiff [N] ",
    "\ncheck ",
    "\nexplain IPA ",
    "\nphys [on|off] ",
    "\nstay ",
    "\nhelp ",
];

#[test]
fn a_wrong_command_is_told_what_is_wrong_with_it() {
    let folder = TempDir::new().unwrap();
    let path = record(&folder, "two_cpus", &[]);
    for source in [path.as_str(), "traces/good/two_cpus.trace"] {
        let server = Server::start(&[source, "--port", "0", "--once"]);
        let script: String = WRONG.iter().map(|(command, _)| format!("monitor {command}\n")).collect();
        let text = server.gdb(&format!("{script}monitor help\n"));
        assert_in_order(&text, &WRONG.map(|(_, said)| said));
        let help = &text[text.rfind("ops [all] ").unwrap()..];
        assert_in_order(help, &HELP);
    }
}

#[test]
fn a_recording_that_is_cut_off_or_wrong_is_malformed_input() {
    let folder = TempDir::new().unwrap();
    let bytes = fs::read(record(&folder, "donate", &[])).unwrap();
    let bad = folder.path().join("bad.plx");
    let mut changed = bytes.clone();
    changed[bytes.len() / 2] ^= 0x40;
    for content in [&bytes[..0], &bytes[..100], &bytes[..bytes.len() - 1], &changed] {
        fs::write(&bad, content).unwrap();
        let output = Command::new("timeout")
            .args(["60", &program(), "gdb", "--port", "0"])
            .arg(&bad)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert_in_order(&said, &["error: ", "bad.plx"]);
    }
}

/// Descriptors of every kind, and what is said of them.
const DESCRIPTORS: [(&str, &str); 12] = [
    ("0", "empty"),
    ("0x40401003 0", "table at 0x40401000"),
    ("0x400007fd 1", "block 0x40000000 RW Normal-WB XN=0 inner-shareable"),
    ("0x0040000040600055 2", "block 0x40600000 R- Normal-NC XN=2 non-shareable AF=0"),
    ("0x400207ff", "page 0x40020000 RW Normal-WB XN=0 inner-shareable, or table at 0x40020000"),
    ("0x400207ff 3", "page 0x40020000 RW Normal-WB XN=0 inner-shareable"),
    ("0x0110000009000407 3", "page 0x9000000 -- Device-nGnRE XN=0 non-shareable contiguous software=0x2"),
    ("0x1000000000000000 3", "annotated locked, owner host"),
    ("0x2000000000000002 3", "annotated donation, owner hyp"),
    ("0x2000000000000004 3", "annotated donation, owner guest"),
    ("0x40020001 3", "reserved encoding 0x40020001"),
    ("0x60000040020783 3 s1", "page 0x40020000 R- AttrIndx=0 XN inner-shareable"),
];

/// Stream table entries by their first four dwords, and what is said of them.
const STES: [([u64; 4], &[&str]); 7] = [
    ([0, 0, 0, 0], &["V=0 Config=0x0: abort, the entry is not valid"]),
    ([0x1, 0, 0, 0], &["V=1 Config=0x0: abort"]),
    ([0x9, 0, 0, 0], &["V=1 Config=0x4: bypass"]),
    ([0xb | 0x4400_0000, 0, 0, 0], &["V=1 Config=0x5: stage 1", "S1ContextPtr=0x44000000"]),
    (
        [0xd, 0x1000_0000_0000, 0x044c_3594_0000_0007, 0x4059_0000],
        &["V=1 Config=0x6: stage 2", "S2TTB=0x40590000 S2VMID=0x7 S2T0SZ=20 S2SL0=2 S2TG=0 S2PS=4 S2AA64=1"],
    ),
    (
        [0xf | 0x4400_0000, 0, 0x044c_3594_0000_0007, 0x4059_0000],
        &["V=1 Config=0x7: stage 1 and stage 2", "S1ContextPtr=0x44000000", "S2TTB=0x40590000"],
    ),
    ([0xe, 0, 0, 0], &["V=0 Config=0x7: abort, the entry is not valid"]),
];

#[test]
fn entries_of_every_kind_are_printed() {
    // Memory of the host that nothing of it uses, by its physical address.
    const FREE: u64 = 0x4400_0000;
    let server = Server::start(&["traces/good/donate.trace", "--port", "0", "--once"]);
    let mut script = "monitor phys on\nset language c\n".to_owned();
    for (value, _) in DESCRIPTORS {
        script += &format!("pdesc {value}\n");
    }
    for (dwords, _) in STES {
        for (index, dword) in dwords.iter().enumerate() {
            script += &format!("set {{unsigned long}}{:#x} = {dword:#x}\n", FREE + 8 * index as u64);
        }
        script += &format!("pste {FREE:#x}\n");
    }
    // The hypervisor's own types; a table with a run in it.
    script += &format!(
        "set {{unsigned long}}{FREE:#x} = 0x2000000000000002\nset {{unsigned long}}{:#x} = 0\n",
        FREE + 8
    );
    script += &format!("ptable {FREE:#x}\nset language rust\n");
    script += &format!("print *({FREE:#x} as *mut hyp_core::pgtable::desc::Descriptor)\n");
    script += &format!("print *({FREE:#x} as *mut hyp_core::smmu::driver::ste::Ste)\n");
    let (text, well) = server.script(&script);
    assert!(well, "{text}");
    assert_in_order(&text, &DESCRIPTORS.map(|(_, said)| said));
    assert_in_order(&text, &STES.iter().flat_map(|(_, said)| said.iter().copied()).collect::<Vec<_>>());
    assert_in_order(
        &text,
        &[
            "[  0] 0x2000000000000002 annotated donation, owner hyp\n",
            "$1 = 0x2000000000000002 (annotated donation, owner hyp)",
            "$2 = 2000000000000002",
            "V=0 Config=0x1: abort, the entry is not valid",
        ],
    );
}

#[test]
fn each_cpu_of_a_live_run_is_a_thread() {
    let server = Server::start(&["traces/good/four_cpus.trace", "--port", "0", "--once"]);
    let text = server.gdb(
        "info threads\n\
         p/x $SMMU_CR0\ninfo symbol $pc\n\
         thread 3\ninfo symbol $pc\nset language c\np $VTCR_EL2 != 0\n\
         monitor phys on\n\
         python word = gdb.execute('monitor page ram+0x20', to_string=True).split('word at ')[1].split(')')[0]\n\
         python gdb.execute('rwatch *(unsigned long *)' + word)\n\
         continue\nset language c\n\
         delete\npython gdb.execute('awatch *(unsigned long *)' + word)\n\
         continue\n\
         delete\nmonitor check\nop 12\ncheck\n",
    );
    assert_in_order(
        &text,
        &[
            "(CPU 0)",
            "(CPU 1)",
            "(CPU 2)",
            "(CPU 3)",
            "$1 = 0xd",
            "parallax_wait in section",
            "cpus::Cpu>::serve",
            "$2 = 1",
            // CPU 2 gives a page away: it reads and writes its state.
            "Thread 3 hit Hardware read watchpoint 1",
            "Value = 0",
            "Thread 3 hit Hardware access (read/write) watchpoint 2",
            "in the middle of 7: cpu=2 host_donate_hyp",
            "reproduce: parallax gdb traces/good/four_cpus.trace, then `op 6` and go on to here",
            "after 12: cpu=3 hyp_donate_host",
            "nothing found",
        ],
    );
}

#[test]
fn a_recording_tells_which_cpu_did_what() {
    let folder = TempDir::new().unwrap();
    let path = record(&folder, "two_cpus", &[]);
    let server = Server::start(&[&path, "--port", "0", "--once"]);
    let text = server.gdb(
        "info threads\n\
         monitor op 3\n\
         info threads\n\
         monitor phys on\n\
         python word = gdb.execute('monitor page ram+0x20', to_string=True).split('word at ')[1].split(')')[0]\n\
         python gdb.execute('watch *(unsigned long *)' + word)\n\
         continue\n\
         thread apply 1 info line *$pc\n\
         set language c\nop 16\nreverse-continue\nreverse-continue\nreverse-continue\n\
         delete\n\
         thread 1\nwatch *(unsigned long *)0x40400000\nrwatch *(unsigned long *)0x40400000\n",
    );
    assert_in_order(
        &text,
        &[
            "1.1 (CPU 0, performs the next operation)",
            "1.2 (CPU 1)",
            "1.1 (CPU 0)",
            "1.2 (CPU 1, performs the next operation)",
            // Line 5: CPU 1 gives the page away.
            "Thread 2 hit Hardware watchpoint 1",
            "Old value = 0\nNew value = 855638016",
            "of \"two_cpus.trace\"",
            "a recording knows of stores only; `watch` stops at those",
        ],
    );
    assert!(!text.contains("Traceback"), "{text}");
}

#[test]
fn what_is_found_is_told_with_its_operation_and_a_way_to_see_it_again() {
    let trace = "traces/bad/host_donate_keeps_mapping.trace";
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("bad.plx").display().to_string();
    let run =
        Command::new(program()).args(["run", trace, "--record", &path]).current_dir(root()).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let source = fs::read_to_string(root().join(trace)).unwrap();
    let line = 1 + source.lines().position(|line| line.starts_with("host_donate_hyp")).unwrap();
    for (source, again) in
        [(trace, format!("parallax run {trace}")), (&path, format!("parallax gdb {path}, then `op {line}`"))]
    {
        let server = Server::start(&[source, "--port", "0"]);
        let (text, well) = server.script(&format!("op {line}\ncheck\n"));
        assert!(!well, "a script in batch mode does not fail:\n{text}");
        let donated = format!("after {line}: host_donate_hyp");
        assert_in_order(
            &text,
            &[&donated, "! ", "[cpu: ", &format!("reproduce: {again}"), "that must not be"],
        );
        let (text, well) = server.script("op 99999\necho not reached\n");
        assert!(!well && !text.contains("not reached"), "{text}");
    }
}

#[test]
fn what_an_operation_was_found_to_do_is_not_forgotten_when_the_state_is_in_order() {
    let trace = "traces/bad/smmu_no_tlbi.trace";
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("stale.plx").display().to_string();
    let run =
        Command::new(program()).args(["run", trace, "--record", &path]).current_dir(root()).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    for source in [trace, &path] {
        let server = Server::start(&[source, "--port", "0"]);
        let (text, well) = server.script("op 6\nmonitor diff\ncheck\n");
        assert!(!well, "a script in batch mode does not fail:\n{text}");
        assert_in_order(
            &text,
            &[
                "after 6: dma_write sid=8 ipa=ram+0x4000000 value=2 -> ok  !",
                "   ! access/stale smmu",
                "found up to here",
                "  after 5: host_donate_hyp pfn=ram+0x4000 -> ok  !\n  ! protocol/released-unclean smmu",
                "  after 6: dma_write",
                "  ! access/stale smmu",
                "reproduce: parallax ",
            ],
        );
        assert!(!text.contains("nothing found"), "{text}");
    }
}

#[test]
fn a_recording_of_other_images_is_not_shown_with_the_symbols_of_these() {
    let folder = TempDir::new().unwrap();
    let path = record(&folder, "donate", &[]);
    let has_symbols = || {
        let server = Server::start(&[&path, "--port", "0"]);
        fs::read_to_string(&server.commands).unwrap().contains("hyp.elf")
    };
    assert!(has_symbols());
    // The revision stays the same, as that of a tree with changes does whatever is changed.
    let mut lines = recorded::lines(Path::new(&path));
    let (before, id) = lines[0].split_once("\"images\":\"").expect("what tells the images");
    lines[0] = format!("{before}\"images\":\"{}{}", "0".repeat(64), &id[64..]);
    recorded::write(Path::new(&path), &lines);
    assert!(!has_symbols());
}
