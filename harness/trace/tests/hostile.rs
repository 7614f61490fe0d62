//! Whatever a trace says, reading it comes to an end, and what is read is printed and read again the same.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use parallax_hostile::{cases, changed_text, ending};
use parallax_trace::tree::Tree;
use parallax_trace::{Op, Trace};
use proptest::prelude::*;

/// The traces of the project; and each line of them alone, where a change is sure to hit it.
fn real() -> Vec<String> {
    let root = Path::new("../../traces");
    let folders = ["good", "bad"].map(|folder| fs::read_dir(root.join(folder)).expect("traces"));
    let paths = folders.into_iter().flatten().map(|entry| entry.expect("a trace").path());
    let whole: Vec<String> = paths.filter_map(|path| fs::read_to_string(path).ok()).collect();
    let lines: BTreeSet<&str> = whole.iter().flat_map(|text| text.lines()).collect();
    let (machines, ops): (Vec<&str>, Vec<&str>) =
        lines.into_iter().filter(|line| !line.starts_with('#')).partition(|line| line.starts_with("machine"));
    // As many machines as operations.
    let machines: Vec<String> =
        machines.iter().map(|line| format!("{}\nnop\n", with_numbers(line))).collect();
    let machines = machines.iter().cycle().take(ops.len()).cloned();
    let ops = ops.iter().map(|line| format!("machine cpus=2\n{line}\n"));
    whole.iter().cloned().chain(machines).chain(ops).collect()
}

/// A machine's line with all that holds numbers.
fn with_numbers(line: &str) -> String {
    let numbers = ["donate_mmio=mmio:rtc+0x1000,0x9020000", "devices=edu@3,edu@bus1", "mem=512M", "cpus=2"];
    let is_there =
        |word: &str| word.split_once('=').is_some_and(|(key, _)| line.contains(&format!("{key}=")));
    numbers.iter().filter(|word| !is_there(word)).fold(line.to_owned(), |line, word| line + " " + word)
}

/// The text of `trace`: its operations in canonical form, what stands before them as it is in `text`.
fn printed(trace: &Trace, text: &str) -> String {
    let first = trace.ops.first().map_or(0, |op| op.line - 1);
    let is_heading = |line: &&str| !line.trim_start_matches('\u{feff}').trim_start().starts_with("together");
    let before = text.lines().take(first).filter(is_heading);
    let mut printed: String = before.map(|line| format!("{line}\n")).collect();
    let mut left = 0;
    for op in &trace.ops {
        if let Some(at_once) = &op.at_once {
            printed += &format!("together {}\n", at_once.schedule);
            left = at_once.count;
        }
        match &op.expect {
            Some(outcome) => printed += &format!("{op} => {outcome}\n"),
            None => printed += &format!("{op}\n"),
        }
        if left > 0 {
            left -= 1;
            printed += if left == 0 { "end\n" } else { "" };
        }
    }
    printed
}

/// Its operations, wherever they stand.
fn ops(trace: &Trace) -> Vec<Op> {
    trace.ops.iter().map(|op| Op { line: 0, ..op.clone() }).collect()
}

proptest! {
    #![proptest_config(cases(32768))]

    #[test]
    fn what_is_read_is_printed_and_read_again_the_same(text in changed_text(real())) {
        if let Ok(trace) = ending(&text, || Trace::parse("t", &text)) {
            prop_assert!(trace.ops.len() <= text.lines().count());
            let printed = printed(&trace, &text);
            match Trace::parse("t", &printed) {
                Ok(again) => {
                    prop_assert_eq!(ops(&again), ops(&trace));
                    prop_assert_eq!((again.fault, &again.machine), (trace.fault, &trace.machine));
                }
                Err(error) => prop_assert!(false, "{error}\n{printed}"),
            }
        }
    }

    #[test]
    fn a_tree_is_read_to_its_end_or_refused_in_its_line(text in changed_text(trees())) {
        match ending(&text, || Tree::parse(&text)) {
            // No more than six changes, none of which makes it much longer.
            Ok(tree) => prop_assert!(tree.flat().len() <= 64 * (1 + text.len())),
            Err(error) => prop_assert!((1..=1 + text.matches('\n').count()).contains(&error.line), "{error}"),
        }
    }
}

/// The device trees of the project, and each line of them in a small one.
fn trees() -> Vec<String> {
    let paths = fs::read_dir("../../traces/trees").expect("trees").map(|entry| entry.expect("a tree").path());
    let whole: Vec<String> = paths.filter_map(|path| fs::read_to_string(path).ok()).collect();
    let lines = whole.iter().flat_map(|text| text.lines()).filter(|line| line.ends_with(';'));
    let small = lines.map(|line| {
        format!("/dts-v1/;\n/memreserve/ 0x1000 0x2000;\n/ {{\n\tn: n@0 {{\n{line}\n\t}};\n}};\n")
    });
    whole.iter().cloned().chain(small).collect()
}
