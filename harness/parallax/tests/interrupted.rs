//! Ctrl-C ends a search with what was done until then, on machines that run.

mod program;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use program::program;
use rustix::process::{Pid, Signal, kill_process};

/// So long a command may take to end.
const LIMIT: Duration = Duration::from_secs(20);

/// A command under way.
struct Running {
    child: Child,
    begin: Instant,
}

impl Running {
    /// `parallax` with `args`, in the source tree.
    fn new(args: &str) -> Self {
        let mut command = Command::new(program());
        command.current_dir("../..").args(args.split(' ')).env("NO_COLOR", "1");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { child: command.spawn().expect("a command"), begin: Instant::now() }
    }

    /// The QEMUs that it started and that are there.
    fn machines(&self) -> Vec<i32> {
        let all = fs::read_dir("/proc").expect("/proc").filter_map(|entry| {
            let pid: i32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let (name, rest) = stat.rsplit_once(") ")?;
            let parent = rest.split(' ').nth(1)?;
            (name.contains("qemu") && parent == self.child.id().to_string()).then_some(pid)
        });
        all.collect()
    }

    /// Waits until a machine is there, and so long more.
    fn until_it_runs(&self, more: Duration) {
        while self.machines().is_empty() {
            assert!(self.begin.elapsed() < Duration::from_secs(300), "no machine");
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(more);
    }

    fn interrupt(&self) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::INT).expect("it is there");
    }

    /// Kills the machines that are there; whether there was one.
    fn kill_machines(&self) -> bool {
        let machines = self.machines();
        machines.iter().filter_map(|pid| Pid::from_raw(*pid)).for_each(|pid| {
            let _ = kill_process(pid, Signal::KILL);
        });
        !machines.is_empty()
    }

    /// Its exit status, and what it printed on both outputs. None of its machines is left.
    fn end(self) -> (Option<i32>, String, String) {
        self.end_within(LIMIT)
    }

    /// The same within `limit`.
    fn end_within(mut self, limit: Duration) -> (Option<i32>, String, String) {
        let machines = self.machines();
        let begin = Instant::now();
        while self.child.try_wait().expect("a child").is_none() {
            if begin.elapsed() > limit {
                let _ = self.child.kill();
                panic!("it does not end");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let status = self.child.wait().expect("it ended").code();
        let (mut out, mut error) = (String::new(), String::new());
        self.child.stdout.take().expect("a pipe").read_to_string(&mut out).expect("text");
        self.child.stderr.take().expect("a pipe").read_to_string(&mut error).expect("text");
        // The kernel takes its time with a process that was killed.
        std::thread::sleep(Duration::from_millis(200));
        for pid in machines {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            assert!(!name.contains("qemu"), "a QEMU is left");
        }
        (status, out, error)
    }
}

/// What `args` print when they are interrupted, so long after their first machine is there.
fn interrupted(args: &str, more: Duration) -> String {
    let running = Running::new(args);
    running.until_it_runs(more);
    running.interrupt();
    let (status, out, error) = running.end();
    assert_eq!(status, Some(130), "{args}: {out}{error}");
    assert!(!error.contains("error: "), "{args}: {error}");
    out
}

#[test]
fn what_fuzz_did_is_told_and_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let corpus = folder.path().join("corpus");
    let args = format!("fuzz --ops 100m --jobs 1 --corpus {}", corpus.display()).replace("100m", "100000000");
    let out = interrupted(&args, Duration::from_secs(3));
    let first = out.lines().next().unwrap_or_default();
    assert!(first.starts_with("seed 1, ") && !first.starts_with("seed 1, 0 operations"), "{out}");
    let end = format!(
        "interrupted: nothing found until then; {} has what is new: a run with it begins there\n",
        corpus.display()
    );
    assert!(out.contains("\ndigest ") && out.ends_with(&end), "{out}");
    let kept: Vec<_> = fs::read_dir(&corpus).expect("a folder").flatten().collect();
    // A trace has its device tree beside it.
    let whole = |file: &fs::DirEntry| file.path().extension().is_some_and(|x| x == "trace" || x == "dts");
    assert!(!kept.is_empty() && kept.iter().all(whole));
}

#[test]
fn what_attack_did_is_told() {
    let out = interrupted("attack --ops 100000000 --jobs 1", Duration::from_secs(3));
    let first = out.lines().next().unwrap_or_default();
    assert!(first.starts_with("seed 1, ") && !first.starts_with("seed 1, 0 operations"), "{out}");
    let end = "interrupted: nothing found until then; the same command begins anew\n";
    assert!(out.contains("\ndigest ") && out.ends_with(end), "{out}");
}

#[test]
fn what_schedules_tried_is_told() {
    let out = interrupted("schedules --schedules 100000 --jobs 1", Duration::from_secs(4));
    let counts = out.lines().nth(1).unwrap_or_default();
    assert!(counts.contains(" schedules, ") && !counts.starts_with("0 "), "{out}");
    let end =
        "interrupted: nothing found until then; the same command begins with the first schedule again\n";
    assert!(out.ends_with(end), "{out}");
}

#[test]
fn what_explore_performed_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let parts = folder.path().join("parts");
    let pages = "--page ram+0x6000 --page ram+0x6001 --page ram+0x6002 --page ram+0x61ff";
    let args = format!("explore {pages} --jobs 1 --resume {}", parts.display());
    let out = interrupted(&args, Duration::from_secs(3));
    let performed = out.lines().find(|line| line.starts_with("performed ")).unwrap_or_default();
    assert!(performed.contains(" transitions in ") && !performed.starts_with("performed 0 "), "{out}");
    let last = out.lines().last().unwrap_or_default();
    assert!(last.starts_with("interrupted: nothing found until then; "), "{out}");
    let end = format!(" in {}: the same command goes on from there", parts.display());
    assert!(last.ends_with(&end), "{out}");
}

#[test]
fn what_was_scored_is_told_and_the_rest_was_not_tried() {
    let args = "faults --score --attack-ops 0 --fuzz-ops 0 --jobs 1";
    let out = interrupted(args, Duration::from_secs(20));
    let rows: Vec<&str> =
        out.lines().skip(1).take_while(|line| !line.contains(": their traces catch ")).collect();
    let tried = |row: &&&str| row.matches("not tried").count() == 2;
    let finished = rows.iter().filter(tried).count();
    assert!(finished > 0 && finished < rows.len() / 2, "{out}");
    assert!(rows.iter().rev().take(100).all(|row| row.matches("not tried").count() == 7), "{out}");
    let are = if finished == 1 { "is" } else { "are" };
    let end = format!("interrupted: {finished} of {} rows {are} finished; ", rows.len());
    assert!(out.lines().last().unwrap_or_default().starts_with(&end), "{end}: {out}");
}

#[test]
fn a_program_is_told_too() {
    for command in ["fuzz", "attack"] {
        let args = format!("{command} --ops 100000000 --jobs 1 --format json");
        let out = interrupted(&args, Duration::from_secs(3));
        let document: serde_json::Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!(document["status"], 130);
        assert!(document["operations"].as_u64().is_some_and(|operations| operations > 0), "{out}");
    }
}

#[test]
fn a_qemu_that_is_killed_is_no_finding() {
    let args = "fuzz --ops 20000 --jobs 1";
    let whole = Running::new(args).end_within(Duration::from_secs(300));
    let running = Running::new(args);
    running.until_it_runs(Duration::from_millis(1500));
    while !running.kill_machines() {}
    let (status, out, error) = running.end_within(Duration::from_secs(300));
    assert!(status == Some(0) && out == whole.1, "{out}{error}");
    assert!(error.contains("QEMU was killed from outside (signal: 9"), "{error}");
    assert!(error.contains("its machine is run once more"), "{error}");
    // Again and again.
    let mut running = Running::new(args);
    running.until_it_runs(Duration::from_millis(1500));
    while running.child.try_wait().expect("a child").is_none() {
        running.kill_machines();
        std::thread::sleep(Duration::from_millis(20));
    }
    let (status, out, error) = running.end();
    assert_eq!(status, Some(125), "{out}{error}");
    assert!(error.contains("QEMU was killed from outside") && !out.contains("found"), "{out}{error}");
}

#[test]
fn what_was_found_is_not_lost_with_a_qemu_that_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    for command in ["fuzz --ops 20000", "attack --ops 100000"] {
        let save = folder.path().join(command.replace(' ', "-"));
        let args = format!("{command} --jobs 1 --fault smmu_no_tlbi --save {}", save.display());
        let mut running = Running::new(&args);
        let mut out = BufReader::new(running.child.stdout.take().expect("a pipe"));
        let mut text = String::new();
        while !text.lines().any(|line| line.starts_with("again: ")) {
            assert_ne!(out.read_line(&mut text).expect("text"), 0, "it found nothing: {text}");
        }
        while running.child.try_wait().expect("a child").is_none() {
            running.kill_machines();
            std::thread::sleep(Duration::from_millis(5));
        }
        out.read_to_string(&mut text).expect("text");
        let status = running.child.wait().expect("it ended").code();
        assert_eq!(status, Some(1), "{text}");
        assert!(text.contains("QEMU was killed: the trace is as short as it was by then\n"), "{text}");
        let trace = fs::read_to_string(&save).expect("it is saved");
        assert!(trace.starts_with("fault smmu_no_tlbi\n# parallax "), "{trace}");
    }
}

#[test]
fn the_second_time_it_ends_at_once() {
    let running = Running::new("explore --jobs 1");
    running.until_it_runs(Duration::from_millis(500));
    running.interrupt();
    running.interrupt();
    let begin = Instant::now();
    let (status, ..) = running.end();
    assert_eq!(status, Some(130));
    assert!(begin.elapsed() < Duration::from_secs(2));
}
