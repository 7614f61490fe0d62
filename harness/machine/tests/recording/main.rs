//! Recordings: what is written is read again; what is damaged is refused.

mod hostile;
mod limits;

use std::fs;
use std::path::{Path, PathBuf};

use parallax_abi::info::HypInfo;
use parallax_abi::journal::Record;
use parallax_abi::mailbox::Response;
use parallax_addr::{ImageVa, PhysAddr};
use parallax_gic::{RawGic, RawRedistributor};
use parallax_machine::recording::format::KEYFRAME_EVERY;
use parallax_machine::recording::{
    Change, Operation, RecordedFinding, Recorder, RecordingError, RecordingMem, Replay, Search,
};
use parallax_machine::{CpuRegisters, Description, Machine, MachineError, Registers, Target};
use parallax_model::{
    Field, Freedom, Freedoms, GuestTable, LockForm, Member, OwnerForm, PageArray, PageFormat, Rule, Space,
    Span, Told, Tree, TreeLock, Views, Violation,
};
use parallax_ops::{self as ops, Batch, CpuId};
use parallax_smmu::RawRegs;
use parallax_trace::spec::{MachineSpec, RAM_BASE, Region, regions};
use parallax_vmsa::{PhysMem, SparseMem, SysRegs};
use tempfile::TempDir;

const OPS: u64 = 3 * KEYFRAME_EVERY - 7;
const TABLE: u64 = RAM_BASE.get() + 0x5000;

fn description() -> Description {
    let config = MachineSpec::default();
    Description {
        qemu_version: "10.0.2".into(),
        images: "1d".into(),
        regions: regions(config.mem_bytes),
        payload: Region::new("host", PhysAddr::new(0x4300_0000), 0x1000),
        config,
    }
}

/// What is found after step `op`.
fn finding(op: u64) -> RecordedFinding {
    let span = Span::new(op << 12, 0x1000);
    let violation = Violation {
        rule: Rule::SyncExtra,
        space: Space::Smmu,
        span,
        subject: format!("ram+{:#x}", span.base),
        message: "devices reach it".to_owned(),
        function: op.is_multiple_of(3).then(|| "map".to_owned()),
    };
    violation.with_views(Some(span.cast()), Views::new("annotated hyp", "RW normal 4K")).into()
}

/// An imaginary target.
fn target(cpus: u64) -> Target {
    Target::new(description(), HypInfo { cpus, ..HypInfo::default() })
}

/// What the machine is asked in step `op`.
fn batch(op: u64) -> Batch {
    Batch::one(CpuId::new(0), ops::Operation::AnyHypercall { id: op, x: [op; 6] })
}

/// The operation, registers and memory of step `op` of an imaginary run.
fn step(op: u64) -> (Operation, Registers, SparseMem) {
    let mut memory = SparseMem::new();
    memory.write_u64(PhysAddr::new(TABLE + 8 * (op % 512)), op);
    memory.write_u64(PhysAddr::new(TABLE + 0xff8), u64::MAX - op / 10);
    if op.is_multiple_of(3) {
        memory.write_u64(PhysAddr::new(TABLE + 0x1000 * (1 + op)), 0);
    }
    let requests = if op == 0 { vec![] } else { batch(op).requests() };
    let responses =
        requests.iter().map(|_| Response { kind: 1, x: [op; 4], ..Response::default() }).collect();
    let event = Record { kind: 1, cpu: 2, size: 8, pc: op, a: 3, b: 4, value: u64::MAX, ..Record::default() };
    let (events, findings) = (vec![event; op as usize % 3], vec![finding(op); op as usize % 2]);
    let text = format!("op {op}");
    let others_at = (1..op as u32 % 4).map(|more| op as u32 + more).collect();
    let operation = Operation { line: op as u32, others_at, text, requests, responses, events, findings };
    let sys = SysRegs { vttbr_el2: op / 20, ..SysRegs::default() };
    let smmu = RawRegs([(0x20, 1), (0x98, op as u32)].into());
    let others = vec![CpuRegisters { below_el2: op > 7, sys }; 3];
    let redistributor = RawRedistributor { base: 0x80a_0000, pendbaser: op / 10, ..Default::default() };
    let gic = RawGic { gicd_typer: 1, its: None, redistributors: vec![redistributor] };
    (operation, Registers { sys, others, smmu: Some(smmu), gic: Some(gic) }, memory)
}

fn record(path: &Path) {
    let mut recorder = Recorder::create(path, "r1", &target(1)).unwrap();
    for op in 0..OPS {
        let (operation, registers, memory) = step(op);
        let seen = RecordingMem::new(&memory);
        memory.pages().for_each(|(pa, _)| seen.read(pa, &mut [0; 8]).unwrap());
        recorder.add(&operation, &registers, &seen).unwrap();
    }
    recorder.finish().unwrap();
}

#[test]
fn what_is_known_of_another_hypervisor_is_read_again() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.plx");
    let field = Field { shift: 24, bits: 2 };
    let format =
        PageFormat { size: 4, host: Some(field), hyp_inverted: None, refcount: field, share_count: None };
    let lock = TreeLock { tree: Tree::El2, at: PhysAddr::new(0x4300_0010), form: LockForm::Ticket };
    let pages = PageArray { pa: PhysAddr::new(0x5f60_0000), first_pfn: 0x40000, nr: 0x100, format };
    let told = Told {
        pages: Some(pages),
        owners: OwnerForm::Plain,
        freedoms: Freedoms::new(&[Freedom::E2h, Freedom::MapsLoans]),
        locks: [None, Some(lock), None],
        own_entries: [None, Some(PhysAddr::new(0x5f80_0010)), None, None, None, None, None, None],
        guests: Some(GuestTable {
            pa: PhysAddr::new(0x5f70_0000),
            nr: 512,
            handle: Member { offset: 8, bytes: 4 },
            vmid: Member { offset: 16, bytes: 8 },
            root: Member { offset: 24, bytes: 8 },
            vtcr: Member { offset: 32, bytes: 8 },
        }),
        ..Told::default()
    };
    let target = Target { description: description(), told, info: None, calls: Vec::new() };
    let mut recorder = Recorder::create(&path, "r1", &target).unwrap();
    let (operation, registers, memory) = step(0);
    recorder.add(&operation, &registers, &RecordingMem::new(&memory)).unwrap();
    recorder.finish().unwrap();
    assert_eq!(Replay::open(&path).unwrap().target(), &target);
}

fn recorded() -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.plx");
    record(&path);
    (dir, path)
}

/// The replay stands after `op`: everything that the run had then is there.
fn assert_at(replay: &mut Replay, op: u64) {
    let (operation, registers, memory) = step(op);
    assert_eq!((replay.position(), replay.operation()), (op, &operation));
    assert_eq!(replay.registers().unwrap(), registers);
    for (pa, page) in memory.pages() {
        let mut seen = [0; 4096];
        replay.memory().read(pa, &mut seen).unwrap();
        assert_eq!(&seen, page, "page {pa:#x} after operation {op}");
    }
}

#[test]
fn a_replay_gives_every_moment_of_the_run() {
    let (_dir, path) = recorded();
    let mut replay = Replay::open(&path).unwrap();
    assert_eq!((replay.last(), replay.revision(), replay.target().info_or_zero().cpus), (OPS - 1, "r1", 1));
    assert_eq!(replay.target().description, description());
    assert_at(&mut replay, 0);
    for op in 1..OPS {
        let (operation, ..) = step(op);
        let answers = replay.perform(&batch(op)).unwrap();
        assert_eq!(answers.iter().map(|answer| answer.response).collect::<Vec<_>>(), operation.responses);
        assert_at(&mut replay, op);
    }
    assert!(!replay.step().unwrap());
}

#[test]
fn a_replay_goes_to_any_operation_in_any_order() {
    let (_dir, path) = recorded();
    let mut replay = Replay::open(&path).unwrap();
    for op in
        [OPS - 1, 0, KEYFRAME_EVERY, KEYFRAME_EVERY - 1, 2 * KEYFRAME_EVERY + 1, 2 * KEYFRAME_EVERY, 1, 1]
    {
        replay.go_to(op).unwrap();
        assert_at(&mut replay, op);
    }
    assert!(matches!(replay.go_to(OPS), Err(RecordingError::End { .. })));
}

#[test]
fn memory_that_the_run_did_not_read_is_not_there() {
    let (_dir, path) = recorded();
    let replay = Replay::open(&path).unwrap();
    assert!(replay.memory().read(PhysAddr::new(RAM_BASE.get()), &mut [0; 8]).is_err());
}

#[test]
fn another_operation_than_the_recorded_one_is_refused() {
    let (_dir, path) = recorded();
    let mut replay = Replay::open(&path).unwrap();
    let error = replay.perform(&batch(0)).unwrap_err();
    assert!(
        matches!(error, MachineError::Recording(RecordingError::Different { operation: 1, .. })),
        "{error}"
    );
}

#[test]
fn the_same_run_gives_the_same_bytes() {
    let (_a, first) = recorded();
    let (_b, second) = recorded();
    assert_eq!(fs::read(first).unwrap(), fs::read(second).unwrap());
}

#[test]
fn an_unfinished_recording_leaves_nothing_behind() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.plx");
    fs::write(&path, "old").unwrap();
    let (operation, registers, memory) = step(0);
    let mut recorder = Recorder::create(&path, "r1", &target(0)).unwrap();
    recorder.add(&operation, &registers, &RecordingMem::new(&memory)).unwrap();
    drop(recorder);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    assert_eq!(fs::read(&path).unwrap(), b"old");
}

#[test]
fn what_is_there_and_is_no_file_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let _socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let error = Recorder::create(&path, "test", &target(0)).unwrap_err().to_string();
    assert!(error.contains("it is there and is no file"), "{error}");
}

#[test]
fn a_file_that_is_cut_off_anywhere_is_refused() {
    let (_dir, path) = recorded();
    let bytes = fs::read(&path).unwrap();
    for length in (0..bytes.len()).step_by(97).chain([bytes.len() - 1]) {
        fs::write(&path, &bytes[..length]).unwrap();
        let error = Replay::open(&path).unwrap_err();
        assert!(error.to_string().contains("a.plx"), "{error}");
    }
}

#[test]
fn damaged_bytes_never_panic() {
    let (_dir, path) = recorded();
    let bytes = fs::read(&path).unwrap();
    for position in (0..bytes.len()).step_by(61) {
        let mut damaged = bytes.clone();
        damaged[position] ^= 0x41;
        fs::write(&path, damaged).unwrap();
        if let Ok(mut replay) = Replay::open(&path) {
            while let Ok(true) = replay.step() {}
        }
    }
}

/// A recording whose frames hold `frames`, each as it stands.
fn handmade(path: &Path, frames: &[&str]) {
    let bytes: Vec<u8> =
        frames.iter().flat_map(|text| zstd::encode_all(text.as_bytes(), 1).unwrap()).collect();
    fs::write(path, bytes).unwrap();
}

/// All lines of the recording at `path`.
fn lines_of(path: &Path) -> Vec<String> {
    let text = String::from_utf8(zstd::decode_all(&fs::read(path).unwrap()[..]).unwrap()).unwrap();
    text.lines().map(|line| format!("{line}\n")).collect()
}

#[test]
fn a_malformed_line_is_named() {
    let (_dir, path) = recorded();
    let lines = lines_of(&path);
    let (header, boot, next) = (&lines[0], &lines[1], &lines[2]);
    let broken = |change: &str| {
        handmade(&path, &[header, &format!("{boot}{change}"), "{\"entries\":2}\n"]);
        let mut replay = Replay::open(&path).unwrap();
        replay.step().unwrap_err().to_string()
    };
    let cases = [
        (next.replace("\"op\":1", "\"op\":2"), "operation 2 where 1 must be"),
        (next.replace("\"text\"", "\"colour\""), "unknown field `colour`"),
        (next.replace("0x40005000", "0x40005001"), "is not the address of a page"),
        (next.replace("[1,[\"0x1\"]]", "[512,[\"0x1\"]]"), "words from word 512"),
        (next.replace("sync/extra", "sync/other"), "there is no rule `sync/other`"),
        (next.replace("[\"smmu\",\"RW normal 4K\"]", "[\"cpu\",\"\"]"), "without what both sides say"),
        ("{}\n".to_owned(), "missing field"),
        ("nonsense\n".to_owned(), "column 2"),
    ];
    for (line, expected) in cases {
        assert_ne!(&line, next, "the case `{expected}` changes nothing");
        let error = broken(&line);
        assert!(error.contains("a.plx:3: ") && error.contains(expected), "{error}");
    }
}

#[test]
fn another_schema_is_refused_by_its_number() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.plx");
    handmade(&path, &["{\"parallax_recording\":99,\"new_field\":1}\n", "x\n", "{\"entries\":1}\n"]);
    let error = Replay::open(&path).unwrap_err();
    assert!(matches!(error, RecordingError::Schema { found: 99, .. }), "{error}");
}

#[test]
fn a_recording_of_the_first_schema_is_still_read() {
    let (_dir, path) = recorded();
    let lines = lines_of(&path);
    let header = lines[0].replace("\"parallax_recording\":8", "\"parallax_recording\":1");
    assert_ne!(header, lines[0]);
    // The boot has neither events nor findings here, so its line is what the first schema wrote.
    handmade(&path, &[&header, &lines[1], "{\"entries\":1}\n"]);
    let mut replay = Replay::open(&path).unwrap();
    assert_at(&mut replay, 0);
    assert!(replay.journal().unwrap().events().unwrap().is_empty() && replay.site(ImageVa::new(0)).is_none());
}

#[test]
fn the_findings_of_the_second_schema_are_texts_and_stay_texts() {
    let (_dir, path) = recorded();
    let lines = lines_of(&path);
    let old = lines[0].replace("\"parallax_recording\":8", "\"parallax_recording\":2");
    let (before, _) = lines[2].split_once("\"findings\":").expect("a finding");
    let text = "sync/extra smmu ram: devices reach it";
    let told = format!("{before}\"findings\":[\"{text}\"]}}\n");
    let replay = |header: &str, line: &str| {
        handmade(&path, &[header, &format!("{}{line}", lines[1]), "{\"entries\":2}\n"]);
        let mut replay = Replay::open(&path).unwrap();
        replay.step().map(|_| replay.operation().findings.clone())
    };
    assert_eq!(replay(&old, &told).unwrap(), [RecordedFinding::Told(text.to_owned())]);
    assert_eq!(replay(&lines[0], &lines[2]).unwrap(), [finding(1)]);
    for (header, line) in [(&old, &lines[2]), (&lines[0], &told)] {
        let error = replay(header, line).unwrap_err().to_string();
        assert!(error.contains("a.plx:3: a finding in another form than schema "), "{error}");
    }
}

/// Goes through a search to its end, or to what it finds.
fn found(mut search: Search, replay: &mut Replay) -> Option<Change> {
    while !search.done() {
        let change = search.stretch(replay).unwrap();
        if change.is_some() {
            return change;
        }
    }
    None
}

#[test]
fn the_list_of_operations_is_that_of_the_run() {
    let (_dir, path) = recorded();
    let mut replay = Replay::open(&path).unwrap();
    replay.go_to(70).unwrap();
    let list = replay.operations(&|| false).unwrap();
    assert_eq!((list.len() as u64, replay.position()), (OPS, 70));
    for (listed, op) in list.iter().zip(0..) {
        let (operation, ..) = step(op);
        assert_eq!((listed.line, &listed.text), (operation.line, &operation.text));
        assert_eq!(listed.response, operation.responses.first().copied());
    }
}

#[test]
fn a_change_is_found_forward_and_back_across_keyframes() {
    let (_dir, path) = recorded();
    let mut replay = Replay::open(&path).unwrap();
    // The first word changes with each tenth operation, the other one twice.
    let pieces = vec![(PhysAddr::new(TABLE + 0xff8), 8), (PhysAddr::new(TABLE + 8 * 66), 8)];
    let changes: Vec<Change> = (1..OPS)
        .filter_map(|op| match op {
            _ if op.is_multiple_of(10) => Some(Change { op, piece: 0 }),
            66 | 67 => Some(Change { op, piece: 1 }),
            _ => None,
        })
        .collect();
    for at in 0..OPS {
        let next = changes.iter().find(|change| change.op > at).copied();
        assert_eq!(found(Search::forward(pieces.clone(), at, OPS - 1), &mut replay), next, "after {at}");
        let last = changes.iter().rev().find(|change| change.op <= at).copied();
        assert_eq!(found(Search::back(pieces.clone(), at, 0), &mut replay), last, "up to {at}");
    }
    assert_eq!(found(Search::back(pieces, 69, 67), &mut replay), None);
}

#[test]
fn what_a_keyframe_no_longer_knows_has_not_changed() {
    let (_dir, path) = recorded();
    let mut replay = Replay::open(&path).unwrap();
    // Only operation 63 touched this page, and the keyframe after it does not hold it.
    let piece = vec![(PhysAddr::new(TABLE + 0x1000 * 64), 8)];
    assert_eq!(
        found(Search::back(piece.clone(), OPS - 1, 0), &mut replay),
        Some(Change { op: 63, piece: 0 })
    );
    assert_eq!(found(Search::forward(piece, 63, OPS - 1), &mut replay), None);
}

#[test]
fn what_no_reader_would_take_is_not_written() {
    let dir = TempDir::new().unwrap();
    let (mut operation, registers, memory) = step(1);
    let mut recorder = Recorder::create(&dir.path().join("a.plx"), "r1", &target(0)).unwrap();
    operation.findings = vec![finding(1); (1 << 14) + 1];
    let error = recorder.add(&operation, &registers, &RecordingMem::new(&memory)).unwrap_err().to_string();
    assert!(error.ends_with("operation 0 has 16385 findings; a recording holds at most 16384"), "{error}");
}

#[test]
fn a_reading_ends_when_it_is_cancelled() {
    let (_dir, path) = recorded();
    let replay = Replay::open(&path).unwrap();
    let asked = std::cell::Cell::new(0);
    let cancelled = || asked.replace(asked.get() + 1) == 3;
    assert!(matches!(replay.operations(&cancelled), Err(RecordingError::Cancelled)));
    assert_eq!(asked.get(), 4);
}

#[test]
fn a_pipe_is_no_recording() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.plx");
    let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    assert!(
        Replay::open(&path).unwrap_err().to_string().ends_with("a pipe or a device: a recording is a file")
    );
}
