//! Whatever a client sends, the server answers or closes; it serves the next one, and ends as it always does.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use parallax_hostile::{cases, changed};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use rustix::process::Signal;
use tempfile::TempDir;

use super::server::{Server, record};

/// How long an answer may take: no packet makes the server do what takes longer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Packets of one connection.
const PACKETS: usize = 48;

/// What gdb sends.
const REAL: [&str; 42] = [
    "qSupported:multiprocess+;swbreak+;hwbreak+;qRelocInsn+;vContSupported+;ReverseStep+;ReverseContinue+",
    "QStartNoAckMode",
    "vMustReplyEmpty",
    "!",
    "?",
    "Hg0",
    "Hgp1.1",
    "Hc-1",
    "qTStatus",
    "qXfer:features:read:target.xml:0,ffb",
    "qXfer:features:read:system.xml:0,ffb",
    "qXfer:threads:read::0,1000",
    "qXfer:memory-map:read::0,1000",
    "qfThreadInfo",
    "qsThreadInfo",
    "qThreadExtraInfo,p1.1",
    "qC",
    "qAttached:1",
    "qOffsets",
    "g",
    "p21",
    "P21=0000000000000000",
    "G0000000000000000",
    "m40400000,1000",
    "mffff800040400000,8",
    "M40400000,8:0000000000000000",
    "X40400000,4:abcd",
    "Z0,a00000000000,4",
    "Z1,10000000000000,4",
    "Z2,40406100,8",
    "z2,40406100,8",
    "Z3,40406100,8",
    "vCont?",
    "vCont;c:p1.-1",
    "vCont;s:p1.1;c:p1.-1",
    "bs",
    "bc",
    "Qqemu.PhyMemMode:1",
    "qqemu.PhyMemMode",
    "T1",
    "D",
    "vFile:setfs:0",
];

/// What somebody types behind `monitor`.
const TYPED: [&str; 14] = [
    "ops all",
    "op 4",
    "op 0",
    "s2 ram+0x20000",
    "smmu sid 8",
    "smmu walk 8 ram+0x20000",
    "page ram+0x20",
    "diff 4",
    "check",
    "explain ram+0x20000",
    "phys on",
    "phys off",
    "stay",
    "help",
];

/// A packet of `data`.
fn packet(data: &[u8]) -> Vec<u8> {
    let sum = data.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    [b"$", data, format!("#{sum:02x}").as_bytes()].concat()
}

/// The packet of a monitor command.
fn typed(command: &[u8]) -> Vec<u8> {
    let digits: String = command.iter().map(|byte| format!("{byte:02x}")).collect();
    packet(format!("qRcmd,{digits}").as_bytes())
}

/// What is sent at once: changed data in a packet as it must be, a changed command, or a packet that is changed itself.
fn sent() -> impl Strategy<Value = Vec<u8>> {
    let real = || REAL.iter().map(|data| data.as_bytes().to_vec()).collect::<Vec<_>>();
    let commands = TYPED.iter().map(|command| command.as_bytes().to_vec()).collect();
    let bytes = prop_oneof![
        4 => changed(real()).prop_map(|data| packet(&data)),
        2 => changed(commands).prop_map(|command| typed(&command)),
        1 => changed(real().iter().map(|data| packet(data)).collect()),
        1 => Just(b"\x03".to_vec()),
    ];
    // What asks for the end of the server gets it.
    let kills = |bytes: &[u8]| {
        bytes.windows(2).any(|pair| pair == b"$k") || bytes.windows(5).any(|word| word == b"vKill")
    };
    bytes.prop_filter("it would end the server", move |bytes| !kills(bytes))
}

/// All of a connection. A packet that is not understood ends it, and what is sent while the machine runs; commands do not.
fn conversation() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let commands = TYPED.iter().map(|command| command.as_bytes().to_vec()).collect();
    let command = changed(commands).prop_map(|command| typed(&command));
    prop_oneof![prop::collection::vec(sent(), 1..PACKETS), prop::collection::vec(command, 1..PACKETS)]
}

/// How a client goes.
#[derive(Clone, Copy, Debug)]
enum Going {
    /// Having read all that comes.
    Reading,
    /// Having read nothing.
    Deaf,
    /// In the middle of a packet, after so many of all bytes.
    Early(Index),
}

fn going() -> impl Strategy<Value = Going> {
    prop_oneof![
        2 => Just(Going::Reading),
        1 => Just(Going::Deaf),
        2 => any::<Index>().prop_map(Going::Early),
    ]
}

/// Sends `bytes` as `going` says; a server that closes is in its right.
fn send(address: &str, bytes: &[u8], going: Going) {
    let mut client = TcpStream::connect(address).expect("a server that listens");
    client.set_write_timeout(Some(PATIENCE)).expect("a socket");
    client.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let bytes = match going {
        Going::Early(at) => &bytes[..at.index(bytes.len() + 1)],
        _ => bytes,
    };
    let closed = |error: &io::Error| {
        matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::NotConnected)
    };
    let mut reader = client.try_clone().expect("a socket");
    thread::scope(|scope| {
        let read = scope.spawn(move || match going {
            Going::Reading => io::copy(&mut reader, &mut io::sink()).map(drop),
            _ => Ok(()),
        });
        let wrote = client.write_all(bytes).and_then(|()| client.shutdown(Shutdown::Write));
        for done in [wrote, read.join().expect("a reader")] {
            assert!(done.as_ref().err().is_none_or(closed), "the server hangs: {done:?}");
        }
    });
}

/// The answer to `?` in a fresh connection.
fn asked(address: &str) -> io::Result<Vec<u8>> {
    let mut client = TcpStream::connect(address)?;
    client.set_read_timeout(Some(PATIENCE))?;
    client.write_all(b"$?#3f")?;
    let mut reply = Vec::new();
    while reply.iter().rev().nth(2) != Some(&b'#') {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        reply.extend(byte);
    }
    Ok(reply)
}

#[test]
fn whatever_a_client_sends_the_next_one_is_served() {
    let folder = TempDir::new().unwrap();
    let path = record(&folder, "donate", &[]);
    let mut server = Server::start(&[&path, "--port", "0"]);
    let strategy = (conversation(), going());
    let config = cases(64);
    let connections = config.cases;
    let mut runner = TestRunner::new(config);
    for _ in 0..connections {
        let (packets, going) = strategy.new_tree(&mut runner).expect("packets").current();
        let shown = || packets.iter().map(|bytes| bytes.escape_ascii().to_string()).collect::<Vec<_>>();
        send(&server.address, &packets.concat(), going);
        if let Some(status) = server.child.try_wait().unwrap() {
            panic!("the server ended with {status}: {going:?} {:?}", shown());
        }
        let reply = asked(&server.address);
        assert!(
            reply.as_ref().is_ok_and(|reply| reply.starts_with(b"+$T05")),
            "{reply:?} behind {going:?} {:?}",
            shown()
        );
    }
    server.signal(Signal::INT);
    assert_eq!(server.ends(), Some(130));
}

#[test]
fn a_client_that_never_reads_holds_up_nothing() {
    let folder = TempDir::new().unwrap();
    let path = record(&folder, "donate", &[]);
    let mut server = Server::start(&[&path, "--port", "0"]);
    let mut deaf = TcpStream::connect(&server.address).unwrap();
    deaf.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    // The answers are more than what all buffers on the way hold, and the questions may be.
    let asks = packet(b"qXfer:features:read:target.xml:0,ffb").repeat(20_000);
    let begun = Instant::now();
    drop(deaf.write_all(&asks));
    // As long as it is served, others are turned away.
    while !asked(&server.address).is_ok_and(|reply| reply.starts_with(b"+$T05")) {
        assert!(begun.elapsed() < PATIENCE, "nobody else is served");
    }
    server.signal(Signal::INT);
    assert_eq!(server.ends(), Some(130));
}
