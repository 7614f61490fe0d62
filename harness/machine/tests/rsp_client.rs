//! The client against a server of a few lines, which shows what goes over the wire.

use std::path::PathBuf;
use std::time::Duration;

use parallax_machine::CancellationToken;
use parallax_machine::rsp::{Client, Register, RspError, StopReply};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::Instant;

/// What the server does: waits until exactly `expect` has arrived, then sends `answer`.
struct Exchange {
    expect: &'static str,
    answer: &'static str,
}

const fn exchange(expect: &'static str, answer: &'static str) -> Exchange {
    Exchange { expect, answer }
}

async fn serve(stream: &mut UnixStream, exchanges: &[Exchange]) {
    for Exchange { expect, answer } in exchanges {
        let mut seen = vec![0; expect.len()];
        stream.read_exact(&mut seen).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&seen), *expect);
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
}

/// Runs `test` against a server with `exchanges`; the server closes the connection after the last one if `close`.
fn against<T>(
    exchanges: &[Exchange],
    close: bool,
    test: impl AsyncFnOnce(&mut Client, CancellationToken) -> T,
) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let dir = TempDir::new().unwrap();
    let path: PathBuf = dir.path().join("gdb");
    runtime.block_on(async {
        let listener = UnixListener::bind(&path).unwrap();
        let cancel = CancellationToken::new();
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            serve(&mut stream, exchanges).await;
            if !close {
                std::future::pending::<()>().await;
            }
        };
        let client = async {
            let deadline = Instant::now() + Duration::from_secs(5);
            let mut client = Client::connect(&path, cancel.clone(), deadline).await.unwrap();
            test(&mut client, cancel).await
        };
        if close {
            tokio::join!(server, client).1
        } else {
            tokio::select! {
                () = server => panic!("the server never ends"),
                result = client => result,
            }
        }
    })
}

#[test]
fn requests_of_a_pipeline_arrive_before_the_first_reply() {
    // One exchange: nothing is answered before both requests are there.
    let exchanges = [exchange("$p1#a1$p2#a2", "+$0100000000000000#01+$ffff#98")];
    let registers = [Register { number: 1, bits: 64 }, Register { number: 2, bits: 16 }];
    let values =
        against(&exchanges, false, async |client, _| client.read_registers(&registers).await.unwrap());
    assert_eq!(values, [1, 0xffff]);
}

#[test]
fn a_resume_sets_registers_in_the_same_write_and_waits_for_the_stop() {
    let exchanges = [exchange("$P20=00#4f$vCont;c#a8", "+$OK#9a+$T05thread:p01.01;#06")];
    let stop = against(&exchanges, false, async |client, _| {
        client.resume(&["P20=00".into()], "vCont;c", Duration::from_secs(5)).await.unwrap()
    });
    assert_eq!(stop, StopReply::Stopped { signal: 5, thread: Some("p01.01".into()) });
}

#[test]
fn a_machine_that_runs_on_is_a_timeout_and_can_be_interrupted() {
    let exchanges = [exchange("$vCont;c#a8", "+"), exchange("\x03", "$T02thread:p01.01;#03")];
    against(&exchanges, false, async |client, _| {
        let error = client.resume(&[], "vCont;c", Duration::from_millis(20)).await.unwrap_err();
        assert!(matches!(&error, RspError::Timeout(request) if request == "vCont;c"), "{error}");
        assert!(matches!(client.interrupt().await, Ok(StopReply::Stopped { signal: 2, .. })));
    });
}

#[test]
fn an_error_reply_names_the_request() {
    let exchanges = [exchange("$Z1,0,4#47", "+$E22#a9")];
    let error = against(&exchanges, false, async |client, _| client.command("Z1,0,4").await.unwrap_err());
    assert_eq!(error.to_string(), "request `Z1,0,4` was answered `E22`");
}

#[test]
fn a_closed_connection_is_told_from_silence() {
    let exchanges = [exchange("$m0,4#fd", "+")];
    let error = against(&exchanges, true, async |client, _| client.read_memory(0, 4).await.unwrap_err());
    assert!(matches!(error, RspError::Closed), "{error}");
}

#[test]
fn damage_on_the_wire_is_an_error() {
    let exchanges = [exchange("$m0,4#fd", "+$00000000#81")];
    let error = against(&exchanges, false, async |client, _| client.read_memory(0, 4).await.unwrap_err());
    assert!(error.to_string().contains("checksum"), "{error}");
}

#[test]
fn cancelling_ends_a_wait() {
    let error = against(&[exchange("$vCont;c#a8", "+")], false, async |client, cancel| {
        let stop = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            cancel.cancel();
        };
        tokio::join!(client.resume(&[], "vCont;c", Duration::from_secs(60)), stop).0.unwrap_err()
    });
    assert!(matches!(error, RspError::Cancelled), "{error}");
}

#[test]
fn a_long_pipeline_is_cut_into_windows_without_losing_order() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("gdb");
    runtime.block_on(async {
        let listener = UnixListener::bind(&path).unwrap();
        // Echoes each request's address, and accepts no more than QEMU does in one read.
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = vec![0; 4096];
            loop {
                let count = stream.read(&mut buffer).await.unwrap();
                assert!(count < 4096, "more than QEMU reads at once");
                let text = String::from_utf8(buffer[..count].to_vec()).unwrap();
                for request in text.split('$').filter(|part| !part.is_empty()) {
                    let reply = &request[1..9];
                    let sum: u8 = reply.bytes().fold(0, u8::wrapping_add);
                    stream.write_all(format!("+${reply}#{sum:02x}").as_bytes()).await.unwrap();
                }
            }
        };
        let client = async {
            let deadline = Instant::now() + Duration::from_secs(5);
            let mut client = Client::connect(&path, CancellationToken::new(), deadline).await.unwrap();
            let requests: Vec<String> = (0..2000).map(|index| format!("m{index:08x},4")).collect();
            let replies = client.pipeline(&requests).await.unwrap();
            for (index, reply) in replies.iter().enumerate() {
                assert_eq!(String::from_utf8_lossy(reply), format!("{index:08x}"));
            }
        };
        tokio::select! {
            () = server => panic!("the server never ends"),
            () = client => {}
        }
    });
}
