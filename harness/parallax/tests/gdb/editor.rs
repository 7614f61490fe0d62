//! An editor on both kinds of debuggee: everything that it shows, and every button that it has.

use serde_json::json;
use tempfile::TempDir;

use super::dap::Editor;
use super::server::{Server, assert_in_order, record, root};

#[test]
fn an_editor_goes_forward_and_back_in_a_recording() {
    let folder = TempDir::new().unwrap();
    let path = record(&folder, "donate", &[]);
    let mut server = Server::start(&[&path, "--port", "0", "--once"]);
    let trace = server.alone.with_file_name("donate.trace");
    let mut editor = Editor::attach(&server, |editor| editor.breakpoints(&trace, &[7]));
    assert_eq!(editor.capabilities["supportsStepBack"], true);

    let threads = editor.ask("threads", json!({}));
    assert_eq!(threads["threads"], json!([{"id": 1, "name": "CPU 0, performs the next operation"}]));
    assert_eq!(editor.line(1), "donate.trace:2");
    let registers = editor.registers(1);
    let register = |name: &str| registers.iter().find(|(known, _)| known == name).expect(name).1.clone();
    assert_eq!(register("x0"), "<unavailable>");
    assert_eq!(register("VTTBR_EL2"), "1077936128");
    assert_eq!(register("SMMU_CR0"), "13");

    // Forward by the buttons, back by the buttons.
    assert_eq!(editor.press("continue", 1), ("breakpoint".to_owned(), 1));
    assert_eq!(editor.line(1), "donate.trace:7");
    editor.breakpoints(&trace, &[]);
    assert_eq!(editor.press("next", 1), ("step".to_owned(), 1));
    assert_eq!(editor.line(1), "donate.trace:8");
    editor.press("stepIn", 1);
    assert_eq!(editor.line(1), "donate.trace:9");
    editor.press("stepBack", 1);
    assert_eq!(editor.line(1), "donate.trace:8");

    // Commands in the console; the editor is told when one of them goes elsewhere.
    let walk = editor.console("monitor s2 ram+0x20000").unwrap();
    assert_in_order(&walk, &["L3 entry at", "the host's CPUs at ram+0x20000: annotated hyp"]);
    assert!(editor.console("monitor s2").unwrap().starts_with("error: usage:"));
    assert_in_order(&editor.console("op 99").unwrap_err(), &["no operation stands in line 99"]);
    editor.stopped();
    for (command, line) in [("op 12", 13), ("monitor op 3", 4), ("op 12", 13)] {
        assert_in_order(&editor.console(command).unwrap(), &["after "]);
        assert_eq!(editor.stopped().0, "step", "{command}");
        assert_eq!(editor.line(1), format!("donate.trace:{line}"), "{command}");
    }
    assert_eq!(editor.console("pdesc 0x2000000000000002").unwrap(), "annotated donation, owner hyp\n");

    // Physical memory, a watchpoint on the descriptor, and back to the store that wrote it.
    editor.console("monitor phys on").unwrap();
    let entry = walk.split("L3 entry at ").nth(1).unwrap().split(' ').next().unwrap();
    let bytes = editor.ask("readMemory", json!({"memoryReference": "0x40400000", "count": 8}));
    assert_eq!(bytes["data"], "AxBAQAAAAAA=");
    editor.console(&format!("watch *(unsigned long *){entry}")).unwrap();
    assert_in_order(&editor.console(&format!("rwatch *(long *){entry}")).unwrap_err(), &["stores only"]);
    assert_eq!(editor.press("reverseContinue", 1), ("data breakpoint".to_owned(), 1));
    let frame = editor.frames(1)[0].clone();
    assert_in_order(frame["name"].as_str().unwrap(), &["atomic_store"]);
    let code = editor.ask(
        "disassemble",
        json!({"memoryReference": frame["instructionPointerReference"], "instructionCount": 1}),
    );
    assert_in_order(&code["instructions"][0].to_string(), &["\"instruction\":\"st"]);
    editor.disconnect();
    assert_eq!(server.ends(), Some(0));
}

#[test]
fn an_editor_stops_inside_of_a_live_hypervisor() {
    let tree = root().join("hyp/core/src/pgtable/tree.rs");
    let source = std::fs::read_to_string(&tree).unwrap();
    let line = 1 + source.lines().position(|line| line.contains("write_release(slot, new.0)")).unwrap();
    let mut server = Server::start(&["traces/good/two_cpus.trace", "--port", "0", "--once"]);
    let mut editor = Editor::attach(&server, |editor| editor.breakpoints(&tree, &[line]));
    assert_eq!(editor.capabilities["supportsStepBack"], serde_json::Value::Null, "a live run goes back");
    let threads = editor.ask("threads", json!({}))["threads"].clone();
    let mut names: Vec<&str> =
        threads.as_array().unwrap().iter().filter_map(|thread| thread["name"].as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["CPU 0", "CPU 1"]);
    assert_eq!(editor.frames(1)[0]["name"], "parallax_wait");
    assert!(!editor.frames(2).is_empty());

    let (reason, thread) = editor.press("continue", 1);
    assert_eq!(reason, "breakpoint");
    assert!(editor.line(thread).starts_with("tree.rs:"));
    assert!(editor.frames(thread).len() > 3);
    let registers = editor.registers(thread);
    for name in ["x0", "VTCR_EL2", "ESR_EL2", "SMMU_CR0"] {
        assert!(
            registers.iter().any(|(known, value)| known == name && value.parse::<i64>().is_ok()),
            "{name}"
        );
    }
    let frame = editor.frames(thread)[0]["id"].clone();
    let scopes = editor.ask("scopes", json!({"frameId": frame}))["scopes"].clone();
    for scope in scopes.as_array().unwrap().iter().filter(|scope| scope["name"] != "Registers") {
        editor.ask("variables", json!({"variablesReference": scope["variablesReference"], "count": 20}));
    }
    let at = editor.frames(thread)[0]["instructionPointerReference"].clone();
    let code = editor.ask("disassemble", json!({"memoryReference": at, "instructionCount": 2}));
    assert_eq!(code["instructions"].as_array().unwrap().len(), 2);
    assert_eq!(editor.press("next", thread).0, "step");

    editor.breakpoints(&tree, &[]);
    assert_in_order(&editor.console("op 10").unwrap(), &["after 10: cpu=1 host_write"]);
    editor.stopped();
    assert_eq!(editor.frames(1)[0]["name"], "parallax_wait");
    assert_in_order(&editor.console("monitor check").unwrap(), &["nothing found"]);
    assert_in_order(&editor.console("op 3").unwrap_err(), &["a live run does not go back"]);
    editor.disconnect();
    assert_eq!(server.ends(), Some(0));
}
