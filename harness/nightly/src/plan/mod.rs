//! What a night runs: pieces of work, which are dealt out in turn.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`form`] | how much of everything, and which part |
//! | [`work`] | the kinds of work |
//! | [`machines`] | traces on their own machines and on others |
//! | [`kernels`] | unmodified kernels with pKVM |
//! | [`known`] | what is known of single traces and faults |

mod form;
mod kernels;
pub(crate) mod known;
mod machines;
mod work;

pub use self::form::{Form, Partition};
use self::kernels::KERNELS;
pub use self::kernels::{Kernel, Known};
use self::known::{HOSTILE_FAULTS, SERIES};
pub use self::work::{Cell, Needs, Piece, Program, Reads, Step, Traces, Work};
use crate::qemus::Qemu;

/// What is called so in the history.
pub(crate) const CASEMATE: &str = "Casemate takes the events of all good traces";
pub(crate) const MUTANTS: &str = "small changes of the hypervisor";

/// All pieces of a night. Whether something is there that a piece needs shows later: the parts of a night must agree on
/// their turns.
#[must_use]
pub fn plan(form: Form, qemus: &[Qemu]) -> Vec<Piece> {
    let mut pieces = machines::pieces(form, qemus);
    pieces.extend(every_night(form).into_iter().map(|work| Piece(vec![work])));
    if form == Form::Full {
        pieces.extend(linux(qemus).into_iter().map(|step| Piece(vec![Work::Step(step)])));
        let own = Step::parallax("instructions of operations that others have, too", "bench --target hyp");
        pieces.push(Piece(vec![Work::Step(own.reading(Reads::BenchTargets))]));
        pieces.extend(KERNELS.iter().map(pkvm));
        pieces.extend(full_only());
    }
    pieces
}

/// What both forms have, one of them less of each.
fn every_night(form: Form) -> Vec<Work> {
    let short = form == Form::Short;
    let either = |few: &'static str, all: &'static str| if short { few } else { all };
    let mut all = vec![
        Work::Cell(Cell {
            name: "bad traces, faults switched off".to_owned(),
            qemu: None,
            words: vec!["--without-faults".to_owned()],
            traces: Traces::BadWithoutFaults,
        }),
        Work::Step(Step::parallax("every switchable fault has a trace", "faults")),
        Work::Step(Step::parallax(
            "who catches which fault, after how many operations",
            either(
                "faults --score --fault smmu_no_tlbi --attack-ops 2000 --fuzz-ops 2000",
                "faults --score --attack-ops 100000",
            ),
        )),
    ];
    let ops = either("5000", "100000");
    for seed in 1..=if short { 1 } else { 4 } {
        let name = format!("a hostile host, seed {seed}, {ops} operations");
        let step = Step::parallax(name, &format!("attack --seed {seed} --ops {ops}"));
        all.push(Work::Step(step.reading(Reads::Attack)));
    }
    // What a night reaches is there for the next one.
    let long = either("fuzz --ops 20000", "fuzz --time 1h --corpus target/corpus");
    all.push(Work::Step(Step::parallax("operations that know the state", long).reading(Reads::Fuzz)));
    for fault in &HOSTILE_FAULTS[..if short { 1 } else { HOSTILE_FAULTS.len() }] {
        let step =
            Step::parallax(format!("a hostile host finds {fault}"), &format!("attack --fault {fault}"));
        all.push(Work::Step(Step { expect: 1, ..step.reading(Reads::Attack) }));
    }
    let pages = "explore --page ram+0x6000 --page ram+0x6001 --page ram+0x61ff --page ram+0x6200";
    let pages = either("explore", pages);
    let explore = Step::parallax("every operation in every state of a few pages", pages);
    all.push(Work::Step(explore.reading(Reads::Explore("a few pages"))));
    let pages = either("explore --smmu", "explore --smmu --page ram+0x6000 --page ram+0x6001");
    let explore = Step::parallax("the same with an SMMU of the host's own", pages);
    all.push(Work::Step(explore.reading(Reads::Explore("an SMMU of the host's own"))));
    all.push(Work::Casemate { every: if short { 6 } else { 1 } });
    let coverage = Step::parallax("coverage", "coverage --allow ci/uncovered.txt");
    all.push(Work::Step(coverage.reading(Reads::Coverage)));
    all.push(Work::Step(
        Step::parallax("instructions of each operation, and operations a second", "bench --rates")
            .reading(Reads::Bench),
    ));
    all
}

/// Linux as the host, with each QEMU.
fn linux(qemus: &[Qemu]) -> Vec<Step> {
    let mut all = Vec::new();
    for qemu in qemus {
        let version = &qemu.version;
        let on = |step| Step { qemu: Some(qemu.clone()), ..step };
        all.push(on(Step::xtask(format!("qemu {version}, Linux as the host, long"), "linux-long")));
        all.extend(SERIES.map(|series| {
            let name = format!("qemu {version}, Linux {series} as the host, long");
            let step = Step::xtask(name, &format!("linux-long 64 {series}"));
            on(Step { needs: Needs::Kernel(series), ..step })
        }));
    }
    all
}

/// Linux as the hypervisor: the traces that run on it, and how many instructions its operations take.
fn pkvm(kernel: &'static Kernel) -> Piece {
    let series = kernel.series;
    let name = format!("the pKVM of Linux {series}");
    let words = ["--target".to_owned(), format!("pkvm:{series}"), "-j1".to_owned()].to_vec();
    let cell = Cell { name: format!("traces on {name}"), qemu: None, words, traces: Traces::Kernel(kernel) };
    let bench = Step::parallax(format!("instructions on {name}"), &format!("bench --target pkvm:{series}"));
    let bench = Step { needs: Needs::Kernel(series), ..bench.reading(Reads::BenchTargets) };
    let mut all = vec![Work::Cell(cell), Work::Step(bench)];
    // Where a touch of EL2's memory ends the machine, random operations have nothing to say.
    if kernel.left_out.is_empty() {
        for (what, command) in
            [("random operations", "fuzz"), ("every transition that both have,", "explore")]
        {
            let step = Step::parallax(
                format!("{what} on ours and on {name}"),
                &format!("{command} --target hyp,pkvm:{series}"),
            );
            all.push(Work::Step(Step { needs: Needs::Kernel(series), ..step }));
        }
    }
    Piece(all)
}

/// What a variable says, or what is usual.
fn variable(name: &str, usual: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| usual.to_owned())
}

/// What the full form has beside.
fn full_only() -> Vec<Piece> {
    const CASES: &str = "PARALLAX_HOSTILE_CASES";
    let steps = |steps: Vec<Step>| Piece(steps.into_iter().map(Work::Step).collect());
    let crates =
        "-p parallax-trace -p parallax-protocol -p parallax-machine -p parallax-report again_the_same";
    let readers = Step::other(
        "what is read from others, on changed inputs",
        "cargo",
        &format!("test --release {crates}"),
    );
    let clients = Step::other(
        "a gdb server with hostile clients",
        "cargo",
        "test --release -p parallax --test gdb the_next_one_is_served",
    );
    let twin = "the hypervisor's core without a machine: 36,000,000 operations, 500,000 schedules";
    let twin = Step::other(twin, "cargo", "test --release -p parallax-twin");
    let (count, seed) = (variable("PARALLAX_SCHEDULES", "6660"), variable("PARALLAX_SEED", "1"));
    let schedules =
        Step::parallax("two operations at once", &format!("schedules --schedules {count} --seed {seed}"));
    let xen = Step::xtask("attach beside Xen", "xen");
    let bare = Step::other("bare machines, ci/run and ci/test", "ci/bare", "bookworm trixie sid --test");
    vec![
        steps(vec![
            readers.with(CASES, variable(CASES, "50000")),
            clients.with(CASES, variable(CASES, "2000")),
        ]),
        steps(vec![twin.with("PARALLAX_TWIN_MACHINES", "1500").with("PARALLAX_TWIN_SCHEDULES", "400")]),
        steps(vec![schedules]),
        Piece(vec![Work::Mutants]),
        steps(vec![Step::xtask("bisections of known faults", "bisect"), Step { cannot: Some(125), ..xen }]),
        steps(vec![
            Step::xtask("a source tree that was moved", "moved"),
            Step::xtask("examples of adding an operation, a check and a command", "examples"),
        ]),
        steps(vec![Step { cannot: Some(125), needs: Needs::BareMachines, ..bare }]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn qemus(count: usize) -> Vec<Qemu> {
        let qemu = |number| Qemu { version: format!("{number}.0"), program: "qemu".into() };
        (0..count).map(qemu).collect()
    }

    fn names(pieces: &[Piece]) -> Vec<String> {
        let name = |work: &Work| match work {
            Work::Cell(cell) => cell.name.clone(),
            Work::Step(step) => step.name.clone(),
            other => format!("{other:?}"),
        };
        pieces.iter().flat_map(|piece| piece.0.iter().map(name)).collect()
    }

    #[test]
    fn every_piece_is_of_one_part_and_has_a_name_of_its_own() {
        for form in [Form::Short, Form::Full] {
            let pieces = plan(form, &qemus(2));
            let mut all = names(&pieces);
            for of in [1, 3, 4, 100] {
                let parts = (1..=of).map(|part| format!("{part}/{of}").parse::<Partition>().unwrap());
                let dealt = parts.flat_map(|part| (0..pieces.len()).filter(move |index| part.has(*index)));
                let mut dealt: Vec<usize> = dealt.collect();
                dealt.sort_unstable();
                assert_eq!(dealt, (0..pieces.len()).collect::<Vec<_>>());
            }
            all.sort_unstable();
            let count = all.len();
            all.dedup();
            assert_eq!(all.len(), count);
        }
    }

    #[test]
    fn the_short_form_has_every_value_of_a_setting() {
        let names = names(&plan(Form::Short, &qemus(1))).join("\n");
        for value in ["smmu=shadow", "smmu=shared", "map=blocks", "map=pages", "cpus=1", "cpus=2", "cpus=4"] {
            assert!(names.contains(value), "{value}");
        }
        assert_eq!(
            plan(Form::Full, &qemus(1)).len() - plan(Form::Full, &qemus(0)).len(),
            2 + 24 + 1 + SERIES.len()
        );
    }

    #[test]
    fn a_part_that_is_none_is_refused() {
        for part in ["0/3", "4/3", "x", "1", "/", "1/0"] {
            assert!(part.parse::<Partition>().is_err(), "{part}");
        }
    }
}
