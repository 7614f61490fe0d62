//! The real gdb-multiarch on both kinds of debuggee.

use std::fs;

use tempfile::TempDir;

use super::server::{Server, assert_in_order, record, root};

#[test]
fn a_recording_goes_forward_and_back() {
    let folder = TempDir::new().unwrap();
    let path = record(&folder, "donate", &[]);
    let mut server = Server::start(&[&path, "--port", "0", "--once"]);
    let text = server.gdb(
        "info registers pc HCR_EL2\n\
         next\nnext\nstep\n\
         monitor s2 ram+0x20000\n\
         monitor phys on\n\
         monitor op 12\n\
         python word = gdb.execute('monitor page ram+0x20', to_string=True).split('word at ')[1].split(')')[0]\n\
         python gdb.execute('watch *(unsigned long *)' + word)\n\
         op 5\nop 12\n\
         reverse-continue\n\
         reverse-continue\n\
         continue\n\
         delete\nbreak donate.trace:7\nreverse-continue\ncontinue\n\
         reverse-step\n\
         monitor diff 4\n\
         monitor smmu walk 8 ram+0x20000\n\
         monitor page ram+0x20\n\
         monitor explain ram+0x20000\n\
         monitor check\n\
         monitor s2\n\
         monitor op 99\n\
         print $desc(0x2000000000000002)\n",
    );
    assert_in_order(
        &text,
        &[
            "trace () at donate.trace:2",
            "pc             0x10000000000000",
            "3\tdma_write",
            "4\thost_donate_hyp",
            "5\thost_read",
            "the host's CPUs at ram+0x20000: annotated hyp",
            "that was the last one",
            "after 5: host_read",
            "that was the last one",
            // Back over the two operations that changed the page's state, to the stores that did it, and forward over
            // the first one.
            "Old value = 0\nNew value = 855638016\nhyp_core::ownership::Hyp<",
            "::change_host<",
            "self.pages.set(&self.hw, page,",
            "Old value = 855638016\nNew value = 0\nhyp_core::ownership::Hyp<",
            "self.pages.set(&self.hw, page,",
            "Old value = 0\nNew value = 855638016\n0x",
            // What gdb says here depends on its version.
            "\ntrace () at donate.trace:2",
            "Breakpoint 2, trace () at donate.trace:7",
            "6\thost_write",
            "4: host_donate_hyp pfn=ram+0x20 -> ok",
            "+ annotated hyp",
            "device 0x8 at ram+0x20000: nothing is mapped",
            "state host=NOPAGE hyp=OWNED",
            "owner the hypervisor",
            "changed by 4: host_donate_hyp",
            "nothing found",
            "error: usage:\ns2 IPA",
            "error: no operation stands in line 99",
            "annotated donation, owner hyp",
        ],
    );
    assert_eq!(server.ends(), Some(0));
    assert!(!server.commands.exists(), "the session's files are still there");
}

#[test]
fn a_live_run_stops_where_gdb_says() {
    let source = fs::read_to_string(root().join("hyp/core/src/pgtable/tree.rs")).unwrap();
    let line = 1 + source.lines().position(|line| line.contains("write_release(slot, new.0)")).unwrap();
    let mut server = Server::start(&["traces/good/donate.trace", "--port", "0", "--once"]);
    let text = server.gdb(&format!(
        "monitor op 3\n\
         break tree.rs:{line}\n\
         continue\n\
         set language c\n\
         p $pc > 0xa00000000000\n\
         stepi\n\
         delete\n\
         monitor phys on\n\
         python page = gdb.execute('monitor page ram+0x20', to_string=True).split('word at ')[1].split(')')[0]\n\
         python gdb.execute('watch *(unsigned long *)' + page)\n\
         continue\n\
         bt 1\n\
         delete\n\
         monitor op 4\n\
         monitor phys off\n\
         monitor diff\n\
         monitor explain ram+0x20000\n\
         monitor check\n\
         monitor op 2\n\
         break parallax_wait\n\
         continue\n\
         monitor ops\n\
         p/x $VTCR_EL2 != 0\n\
         x/i $pc\n"
    ));
    assert_in_order(
        &text,
        &[
            "parallax_wait ()",
            "after 3: dma_write",
            "next  4: host_donate_hyp pfn=ram+0x20",
            "Breakpoint 1, ",
            "tree.rs:",
            "$1 = 1",
            "Hardware watchpoint 2",
            "Old value = 0\nNew value = 855638016",
            "after 4: host_donate_hyp pfn=ram+0x20 -> ok",
            "+ annotated hyp",
            "stored by 4: host_donate_hyp",
            "hyp/core/src/pgtable/tree.rs:",
            "nothing found",
            "error: a live run does not go back",
            "Breakpoint 3, ",
            "   5: host_read ipa=ram+0x20000 -> abort\n=> 6: host_write",
            "= 0x1",
            "<parallax_wait>",
        ],
    );
    assert_eq!(server.ends(), Some(0));
}

#[test]
fn a_function_that_is_generic_and_inlined_is_stopped_at_by_its_name() {
    let mut server = Server::start(&["traces/good/donate.trace", "--port", "0", "--once"]);
    let text = server.gdb(
        "python\n\
         try: gdb.execute('pbreak no_such_function')\n\
         except gdb.error as error: print(error)\n\
         end\n\
         complete pbreak host_donate_\n\
         pbreak host_donate_hyp\n\
         continue\n\
         p pfn\n\
         info symbol $pc\n\
         delete\n\
         op 4\n",
    );
    assert_in_order(
        &text,
        &[
            "no function is called no_such_function; Tab shows names",
            "pbreak host_donate_hyp\n",
            "<Hyp>::host_donate_hyp begins in ",
            "Breakpoint 1 at 0xa0",
            "Breakpoint 1, ",
            "host_donate_hyp",
            "$1 = 262176",
            "after 4: host_donate_hyp pfn=ram+0x20 -> ok",
        ],
    );
    assert_eq!(server.ends(), Some(0));
}
