//! The keys of a machine's line, one of them less: a trace says nothing of a machine that it does not need.

use parallax_trace::Trace;
use parallax_trace::spec::MachineSpec;

/// The machines that are `spec` but for one of its keys, which has its default; by what is left of the line that `spec` has.
pub(super) fn with_one_less(spec: &MachineSpec) -> Vec<MachineSpec> {
    let line = text(spec);
    let words: Vec<&str> = line.split(' ').collect();
    let less = (0..words.len()).rev().filter_map(|at| parsed(&without(&words, at), spec));
    // A line without a word has nothing that could go.
    less.filter(|less| less != spec).collect()
}

/// The line of `spec` without the keys that have their defaults.
pub(super) fn text(spec: &MachineSpec) -> String {
    let line = spec.text();
    let mut words: Vec<&str> = line.split(' ').collect();
    for at in (0..words.len()).rev() {
        if parsed(&without(&words, at), spec).is_some_and(|same| same == *spec) {
            words.remove(at);
        }
    }
    words.join(" ")
}

fn without(words: &[&str], at: usize) -> String {
    let (before, after) = words.split_at(at);
    [before, after.get(1..).unwrap_or_default()].concat().join(" ")
}

/// The machine of `line`, with the fault and the device tree of `like`. None if there is no such machine.
fn parsed(line: &str, like: &MachineSpec) -> Option<MachineSpec> {
    let mut spec = Trace::parse("fuzz", &format!("machine {line}\nnop\n")).ok()?.machine;
    spec.hyp.fault = like.hyp.fault;
    spec.faults_build = like.faults_build;
    if let Some(tree) = &mut spec.tree {
        tree.source.clone_from(&like.tree.as_ref()?.source);
    }
    Some(spec)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(line: &str) -> MachineSpec {
        let mut spec = Trace::parse("t", &format!("machine {line}\nnop\n")).unwrap().machine;
        if let Some(tree) = &mut spec.tree {
            "its source".clone_into(&mut tree.source);
        }
        spec
    }

    #[test]
    fn a_key_that_has_its_default_is_not_printed() {
        for line in ["", "cpus=2 smmu.host=emulated", "mem=5120M el2_free_pages=7", "devices=edu@2 dtb=a.dts"]
        {
            let spec = machine(line);
            let mut words: Vec<String> = text(&spec).split(' ').map(str::to_owned).collect();
            words.sort();
            let mut expected: Vec<&str> = line.split(' ').collect();
            expected.sort_unstable();
            assert_eq!(words, expected);
        }
    }

    #[test]
    fn each_key_is_left_out_once_and_the_rest_stays() {
        let spec = machine("cpus=2 smmu.host=emulated dtb=a.dts");
        let mut less: Vec<String> = with_one_less(&spec).iter().map(text).collect();
        less.sort();
        let mut expected = ["cpus=2 smmu.host=emulated", "cpus=2 dtb=a.dts", "smmu.host=emulated dtb=a.dts"]
            .map(|line| text(&machine(line)));
        expected.sort();
        assert_eq!(less, expected);
        let with_tree = with_one_less(&spec).into_iter().filter_map(|spec| spec.tree);
        assert!(with_tree.count() == 2, "two have the tree");
        assert!(with_one_less(&MachineSpec::default()).is_empty(), "there is nothing left to leave out");
    }
}
