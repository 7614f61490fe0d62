//! The pages, as they are and as a hostile trace would like to have them.

use parallax_engine::Reproducer;

use super::super::samples::sample;
use super::*;

const CPU: &str = "\
@@ -4,3 +4,3 @@ 3: host_donate_hyp pfn=ram+0x20 -> ok
    cpu  ram+0x20000..+0x21000   - RWX normal 4K
-   cpu  ram+0x20000..+0x21000   + annotated hyp
+   cpu  ram+0x20000..+0x21000   + annotated guest
";
const SMMU: &str = "-   smmu ram+0x20000..+0x21000   - RW normal 4K\n";
const RESULTS: &str = "-3: host_share_hyp pfn=ram+0x10 -> EPERM\n+3: host_share_hyp pfn=ram+0x10 -> ok\n";
const EVENTS: &str = "+   ! protocol/missing_dsb cpu ram+0x0..+0x1000: no DSB [cpu: empty; smmu: empty]\n";

fn diverged(label: &str, diff: &str) -> TraceReport {
    let verdict = Verdict::Diverged { diff: diff.to_owned() };
    TraceReport {
        label: label.to_owned(),
        name_here: label.to_owned(),
        explain: Vec::new(),
        waits: true,
        reproducer: Reproducer::new(["run", label]),
        verdict,
        findings: Vec::new(),
        ..sample().swap_remove(2)
    }
}

fn same(label: &str) -> TraceReport {
    TraceReport { verdict: Verdict::Same, ..diverged(label, "") }
}

fn page(reports: &[TraceReport]) -> String {
    markdown(reports, &Beside::default())
}

fn change(label: &str, what: What) -> Change {
    Change { label: format!("traces/good/{label}.trace"), what }
}

fn since(changes: Vec<Change>) -> Beside {
    Beside { since: Some(Since { revision: "origin/main".to_owned(), changes }), orphans: Vec::new() }
}

/// The pages, to be read by a person.
fn agreed(name: &str, page: &str) {
    insta::with_settings!({ snapshot_path => "pages", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, page);
    });
}

#[test]
fn what_is_wrong_has_a_section_and_everything_a_row() {
    agreed("all_kinds_of_results", &page(&sample()));
}

#[test]
fn the_kinds_of_changes_are_said_first() {
    for (diff, said) in [
        (RESULTS, "only results changed"),
        (CPU, "only CPU changed"),
        (SMMU, "only SMMU changed"),
        (EVENTS, "only events changed"),
        (&format!("{RESULTS}{SMMU}"), "results, SMMU changed"),
    ] {
        let page = page(&[diverged("traces/good/c.trace", diff), same("traces/good/d.trace")]);
        assert!(page.contains(&format!("\n**{said}**, in 1 of 2 traces.\n")), "{page}");
        assert!(page.contains(&format!("<code>traces/good/c.trace</code>: diverged ({said})")), "{page}");
        assert!(page.contains(diff), "{page}");
    }
    agreed("only_cpu", &page(&[diverged("traces/good/c.trace", CPU)]));
}

#[test]
fn forty_traces_in_which_the_same_is_wrong_fit_one_screen_with_an_example() {
    let found = |n: usize| {
        let label = format!("traces/good/number_{n}.trace");
        let verdict = Verdict::UnexpectedFindings { diff: SMMU.to_owned() };
        TraceReport { label, verdict, ..sample().swap_remove(1) }
    };
    let page = page(&(0..40).map(found).collect::<Vec<_>>());
    let open = page.split("<details>").next().unwrap();
    assert!(open.contains("**40 × `smmu … - RW normal 4K` gone"), "{open}");
    assert!(open.contains("\n+   ! sync/extra smmu") && open.contains(&format!("\n{SMMU}")), "{open}");
    assert!(page.contains("<details><summary>40 traces</summary>"), "{page}");
    assert!(open.lines().count() <= 40, "{open}");
}

#[test]
fn goldens_that_a_pull_request_changes_are_listed_though_the_run_is_in_order() {
    let beside = since(vec![
        change("changed", What::Changed(SMMU.to_owned())),
        change("gone", What::Removed),
        change("new", What::New("2: host_share_hyp pfn=ram+0x10 -> ok\n   ! sync/extra x".to_owned())),
    ]);
    let reports = ["changed", "new", "d"].map(|name| same(&format!("traces/good/{name}.trace")));
    agreed("goldens_changed", &markdown(&reports, &beside));
    let nothing = markdown(&reports, &since(Vec::new()));
    assert!(nothing.contains("No golden changed since `origin/main`."), "{nothing}");
    let orphans = Beside { orphans: vec!["golden/good/x.snap".to_owned()], ..Beside::default() };
    assert!(markdown(&reports, &orphans).contains("`golden/good/x.snap`: no trace refers to it"));
}

#[test]
fn a_page_never_gets_longer_than_a_comment_and_says_what_it_leaves_out() {
    let diff: String = (0..2000).map(|n| format!("-   cpu  ram+{n:#x}\n")).collect();
    for count in [1, 5, 50, 60, 300, 5000] {
        let reports: Vec<TraceReport> =
            (0..count).map(|n| diverged(&format!("traces/good/number_{n}.trace"), &diff)).collect();
        let page = page(&reports);
        assert!(page.len() <= LIMIT, "{count}: {}", page.len());
        assert!(page.contains("more lines."), "{page}");
        assert_eq!(page.matches("<details>").count(), page.matches("</details>").count());
        assert_eq!(page.contains(" more, too long for one comment"), count >= 50, "{count}");
        let named =
            (0..count).filter(|n| page.contains(&format!("/number_{n}.trace</code>: diverged"))).count();
        assert!(named == count || page.contains("- … and "), "{count}: {named} are named");
        assert!(named >= count.min(300), "{count}: {named} are named");
    }
}

#[test]
fn nothing_in_a_name_or_a_text_can_end_what_it_stands_in() {
    let evil = "traces/</code></details>`@admin` <b>*x*|\n# y.trace";
    let text = "```\n</details>\n@admin <script>\n````\n";
    let mut failed = same(evil);
    failed.verdict = Verdict::Failed { status: Status::Diverged, message: text.to_owned() };
    let mut found = sample().swap_remove(1);
    found.findings[0].op = "`@admin` </details>".to_owned();
    let beside = Beside {
        orphans: vec![evil.to_owned()],
        ..since(vec![
            Change { label: evil.to_owned(), what: What::Removed },
            Change { label: evil.to_owned(), what: What::New(text.to_owned()) },
        ])
    };
    agreed("hostile", &markdown(&[failed, diverged(evil, text), found], &beside));
}

#[test]
fn what_decides_is_said_before_what_has_only_changed() {
    let of = |label: &str, bad: bool, verdict: Verdict, found: bool| TraceReport {
        label: label.to_owned(),
        bad,
        verdict,
        findings: if found { sample().swap_remove(1).findings } else { Vec::new() },
        ..same(label)
    };
    let failed = Verdict::Failed { status: Status::Diverged, message: "it is stuck\nand more".to_owned() };
    let unexpected = Verdict::UnexpectedFindings { diff: String::new() };
    let text = page(&[
        of("traces/good/fails.trace", false, failed, false),
        of("traces/good/finds.trace", false, unexpected, true),
        of("traces/good/taken.trace", false, Verdict::Same, true),
        of("traces/bad/other.trace", true, Verdict::Diverged { diff: CPU.to_owned() }, true),
        of("traces/bad/missed.trace", true, Verdict::Clean, false),
    ]);
    let heads: Vec<&str> = text.lines().filter(|line| line.starts_with("**")).take(5).collect();
    assert_eq!(
        heads,
        [
            "**1 trace fails**: `traces/good/fails.trace`: `it is stuck`.",
            "**1 finding in 1 good trace, where none is agreed**: `traces/good/finds.trace`.",
            "**1 finding taken into the goldens of 1 good trace**: `traces/good/taken.trace`.",
            "**1 fault is found no more**: `traces/bad/missed.trace`.",
            "**only CPU changed**, in 1 of 5 traces.",
        ],
        "{text}"
    );
}
