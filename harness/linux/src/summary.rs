//! What came of a boot, as text for a person.

use std::fmt::Write;

use crate::boot::Outcome;
use crate::spec::LinuxSpec;

/// What came of a boot on the machine `spec`, without the hypervisor if it is `bare`.
#[must_use]
pub fn summary(spec: &LinuxSpec, bare: bool, outcome: &Outcome) -> String {
    let mut text = String::new();
    let under = format!("under the hypervisor, SMMU {}", spec.smmu);
    let _ = writeln!(
        text,
        "{}: CPUs {}, {} MiB, iommu.passthrough={}",
        if bare { "alone at EL1" } else { &under },
        spec.cpus,
        spec.mem >> 20,
        spec.passthrough
    );
    let said = &outcome.said;
    if let Some(time) = said.userspace {
        let _ = writeln!(text, "  userspace after {:.2} s", time.wall.as_secs_f64());
    }
    let word = |good: bool| if good { "ok" } else { "FAILED" };
    for (name, good) in &said.steps {
        let rate = said.rates.iter().find(|rate| rate.name == *name);
        let rate = rate.map_or_else(String::new, |rate| format!("{:.0} MiB/s", rate.mib_per_second));
        let _ = writeln!(text, "{}", format!("  {:<7} {name:<15} {rate}", word(*good)).trim_end());
    }
    if let Some(death) = &said.death {
        let _ = writeln!(text, "  FAILED  the kernel died: {death}");
        outcome.printed.iter().for_each(|line| text.push_str(&format!("    {line}\n")));
    } else if let Some(written) = &outcome.written {
        for (file, good) in written {
            let _ =
                writeln!(text, "  {:<7} {file:<15} the file holds what the guest had to write", word(*good));
        }
        if said.verdict.is_none() {
            let _ = writeln!(text, "  FAILED  the guest did not come to its verdict");
        }
    }
    said.notes.iter().for_each(|note| text.push_str(&format!("  {note}\n")));
    if outcome.looks > 0 {
        let _ =
            writeln!(text, "  {} looks at all tables, {} findings", outcome.looks, outcome.findings.len());
    }
    text.push_str(&outcome.operations.to_string());
    if let Some(commands) = &outcome.commands {
        text.push_str(&commands.to_string());
    }
    if let Some(events) = outcome.events {
        let _ = writeln!(text, "  {events} events judged");
    }
    for found in &outcome.findings {
        let _ = writeln!(text, "  look {}, {}", found.line, found.op);
        found.lines().iter().for_each(|line| text.push_str(&format!("    {line}\n")));
        let _ = writeln!(text, "    again: {}", found.reproduce());
    }
    text
}
