//! Recordings with changed lines: they are refused, or read to their end, recorded anew and read again the same.

use std::fs;

use parallax_hostile::{cases, changed, changed_text, ending};
use proptest::prelude::*;

use super::*;

/// The lines of a small recording, with what they say of memory, registers, events and findings.
fn real() -> Vec<String> {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.plx");
    let mut recorder = Recorder::create(&path, "r1", &target(1)).unwrap();
    for op in 0..5 {
        let (operation, registers, memory) = step(op);
        let seen = RecordingMem::new(&memory);
        memory.pages().for_each(|(pa, _)| seen.read(pa, &mut [0; 8]).unwrap());
        recorder.add(&operation, &registers, &seen).unwrap();
    }
    recorder.finish().unwrap();
    vec![lines_of(&path).concat()]
}

/// A recording with these lines: the first is the header, the last the footer.
fn write(path: &Path, text: &str) {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    match &lines[..] {
        [first, entries @ .., last] => handmade(path, &[first, &entries.concat(), last]),
        lines => handmade(path, lines),
    }
}

/// Addresses of the pages that a text names.
fn pages(text: &str) -> Vec<PhysAddr> {
    let places = text.split("\"pa\":\"0x").skip(1);
    let numbers = places.filter_map(|rest| u64::from_str_radix(rest.split('"').next()?, 16).ok());
    numbers.map(PhysAddr::new).collect()
}

/// The pages that are there, with their bytes.
fn memory(replay: &Replay, pages: &[PhysAddr]) -> SparseMem {
    let mut memory = SparseMem::new();
    for pa in pages {
        let mut bytes = [0; 4096];
        if replay.memory().read(*pa, &mut bytes).is_ok() {
            for (index, word) in (0..).zip(bytes.as_chunks::<8>().0) {
                memory.write_u64(PhysAddr::new(pa.get() + index * 8), u64::from_le_bytes(*word));
            }
        }
    }
    memory
}

/// What a recording says at each operation.
type Told = Vec<(Operation, Registers, SparseMem)>;

/// All that a recording says, if it can be read to its end.
fn told(path: &Path, pages: &[PhysAddr]) -> Option<(Target, Told)> {
    let mut replay = Replay::open(path).ok()?;
    let mut told = Vec::new();
    loop {
        let registers = replay.registers().ok()?;
        told.push((replay.operation().clone(), registers, memory(&replay, pages)));
        if !replay.step().ok()? {
            return Some((replay.target().clone(), told));
        }
    }
}

fn bytes(memory: &SparseMem) -> Vec<(PhysAddr, Vec<u8>)> {
    memory.pages().map(|(pa, bytes)| (pa, bytes.to_vec())).collect()
}

proptest! {
    #![proptest_config(cases(2048))]

    #[test]
    fn what_is_read_is_recorded_and_read_again_the_same(text in changed_text(real())) {
        let dir = TempDir::new().unwrap();
        let (path, anew) = (dir.path().join("a.plx"), dir.path().join("b.plx"));
        write(&path, &text);
        let pages = pages(&text);
        if let Some((target, told_first)) = ending(&text, || told(&path, &pages)) {
            // A changed number of entries at the end may leave lines that nobody reads.
            let read: String = text.split_inclusive('\n').take(1 + told_first.len()).collect();
            let pages = self::pages(&read);
            prop_assert!(pages.iter().all(|pa| pa.get().is_multiple_of(4096)), "{pages:x?}");
            let mut recorder = Recorder::create(&anew, "r1", &target).unwrap();
            for (operation, registers, memory) in &told_first {
                let seen = RecordingMem::new(memory);
                memory.pages().for_each(|(pa, _)| seen.read(pa, &mut [0; 8]).unwrap());
                recorder.add(operation, registers, &seen).unwrap();
            }
            recorder.finish().unwrap();
            let again = told(&anew, &pages);
            prop_assert!(again.is_some(), "what was recorded anew is refused");
            let (target_again, told_again) = again.unwrap();
            prop_assert_eq!(&target_again, &target);
            prop_assert_eq!(told_again.len(), told_first.len());
            for (again, first) in told_again.iter().zip(&told_first) {
                prop_assert_eq!((&again.0, &again.1), (&first.0, &first.1));
                prop_assert_eq!(bytes(&again.2), bytes(&first.2));
            }
        }
    }

    #[test]
    fn a_file_of_other_bytes_is_refused_or_read_to_its_end(bytes in changed(vec![packed()])) {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("a.plx");
        fs::write(&path, &bytes).unwrap();
        ending(&bytes, || {
            let told = told(&path, &[]);
            let listed = Replay::open(&path).and_then(|replay| replay.operations(&|| false));
            prop_assert!(told.is_none() || listed.is_ok(), "what is read is not listed");
            Ok(())
        })?;
    }
}

/// The bytes of the same recording's file.
fn packed() -> Vec<u8> {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.plx");
    write(&path, &real().concat());
    fs::read(&path).unwrap()
}
