//! Clients that mean no good: slow, silent, huge, talking nonsense, or just very many. They are let go or refused, and those who
//! mean well are served meanwhile.

use std::time::Duration;

use apex_sandbox::Ledger;
use apex_tests::program::Builder;
use apex_tests::{Apex, Client, GoogleLead, wait};
use futures::future::join_all;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::scene::{CUSTOMER, Scene, text};

/// Most idle connections; fewer where fewer files may be open.
const IDLE: usize = 3_000;
/// Files that the program and the test have open besides.
const OTHER_FILES: usize = 500;
/// Connections that are opened at the same time: fewer than wait at the door.
const AT_ONCE: usize = 100;
/// Time between two bytes of a client that is slow on purpose.
const DRIP: Duration = Duration::from_millis(100);
/// Where a lead form goes, with a body that is announced and never whole.
const HALF_A_FORM: &str = "POST /api/v1/webhooks/google-ads?project_id=kereru HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{";

/// A connection, byte for byte.
struct Wire(TcpStream);

impl Wire {
    async fn open(apex: &Apex) -> Self {
        let address = apex.api().strip_prefix("http://").expect("our own address");
        Self(TcpStream::connect(address).await.expect("the program listens"))
    }

    /// Opens one and sends this.
    async fn sent(apex: &Apex, bytes: impl AsRef<[u8]>) -> Self {
        let mut wire = Self::open(apex).await;
        drop(wire.0.write_all(bytes.as_ref()).await); // the server may have had enough before the end
        wire
    }

    /// Everything that comes until the server closes the connection.
    async fn until_closed(&mut self, what: &str) -> String {
        let mut bytes = Vec::new();
        let closed = tokio::time::timeout(wait::PATIENCE, self.0.read_to_end(&mut bytes)).await;
        assert!(closed.is_ok(), "still open: {what}\n{}", String::from_utf8_lossy(&bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The head of the next answer; the connection stays open.
    async fn head(&mut self) -> String {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            let byte = tokio::time::timeout(wait::PATIENCE, self.0.read_u8()).await.expect("an answer in time");
            bytes.push(byte.expect("an answer"));
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Whether the other side has closed it, as far as is known now.
    fn is_closed(&self) -> bool {
        match self.0.try_read(&mut [0]) {
            Ok(taken) => taken == 0,
            Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
        }
    }
}

/// The status of the first answer; `None` without one.
fn status(answers: &str) -> Option<u16> {
    answers.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()
}

/// The problem in an answer.
fn problem(answer: &str) -> Value {
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

/// A program that has little patience.
fn impatient() -> Builder {
    Apex::builder().env("APEX_HEAD_SECONDS", "1").env("APEX_BODY_SECONDS", "1").env("APEX_KEEP_ALIVE_SECONDS", "1")
}

/// A lead comes in, and the call is made.
async fn a_lead_is_answered(scene: &Scene, id: &str) {
    let context = scene.accept(&GoogleLead::new(id, CUSTOMER)).await;
    let ended = scene.client.wait_end(&context).await;
    assert_eq!(text(&ended["data"], "status"), "completed", "{ended}");
}

#[tokio::test]
async fn who_does_not_say_what_it_wants_is_let_go() {
    let scene = Scene::open(impatient()).await;
    let silences = [
        "",
        "G",
        "GET / HTTP/1.1\r\nhost: a\r\nx-half: ",
        "PRI * HTTP/2.0\r\n\r",
        "POST /api/v1/auth/login HTTP/1.1\r\n",
    ];
    let mut wires = Vec::new();
    for silence in silences {
        wires.push((silence, Wire::sent(&scene.apex, silence).await));
    }
    let slow = drip(Wire::open(&scene.apex).await);
    let silent = join_all(wires.iter_mut().map(async |(what, wire)| (*what, wire.until_closed(what).await)));
    let (dripped, answers) = tokio::join!(slow, silent);
    assert!(dripped < 200, "the headers were taken for {dripped} steps");
    for (silence, answer) in answers {
        assert!(!answer.contains(" 200 "), "{silence:?}: {answer}");
    }
    a_lead_is_answered(&scene, "lead-1").await;
    scene.finish().await;
}

/// Sends a header that does not end, a byte at a time. How many were taken.
async fn drip(mut wire: Wire) -> usize {
    drop(wire.0.write_all(b"GET /health HTTP/1.1\r\nhost: a\r\nx-slow: ").await);
    for taken in 0..200 {
        if wire.is_closed() || wire.0.write_all(b"x").await.is_err() {
            return taken;
        }
        wait::let_pass(DRIP).await;
    }
    200
}

#[tokio::test]
async fn a_connection_that_rests_too_long_after_an_answer_is_closed_and_one_that_goes_on_is_not() {
    let apex = impatient().env("APEX_KEEP_ALIVE_SECONDS", "2").start().await;
    let ask = "GET /health HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut wire = Wire::sent(&apex, ask).await;
    // Longer in all than a connection may be silent, also than the time to its first request.
    for _ in 0..6 {
        assert_eq!(status(&wire.head().await), Some(200));
        let mut body = [0; 15];
        wire.0.read_exact(&mut body).await.expect("a body");
        wait::let_pass(Duration::from_millis(500)).await;
        wire.0.write_all(ask.as_bytes()).await.expect("an open connection");
    }
    let rest = wire.until_closed("it rests").await;
    assert_eq!(status(&rest), Some(200));
}

#[tokio::test]
async fn a_body_that_does_not_arrive_in_time_is_refused_and_nothing_is_done() {
    let scene = Scene::open(impatient()).await;
    let login = "POST /api/v1/auth/login HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n";
    for request in [HALF_A_FORM, login] {
        let answer = Wire::sent(&scene.apex, request).await.until_closed(request).await;
        assert_eq!(
            (status(&answer), problem(&answer)["code"].as_str()),
            (Some(408), Some("body_too_slow")),
            "{answer}"
        );
    }
    assert!(scene.client.leads("kereru").await.is_empty());
    a_lead_is_answered(&scene, "lead-1").await;
    scene.finish().await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_before_it_is_read() {
    let scene = Scene::open(Apex::builder()).await;
    let announced = HALF_A_FORM.replace("content-length: 99", "content-length: 99999999999");
    let answer = Wire::sent(&scene.apex, &announced).await.head().await;
    assert_eq!(status(&answer), Some(413), "{answer}");
    let chunk = format!("8000\r\n{}\r\n", "x".repeat(0x8000));
    let unannounced =
        HALF_A_FORM.replace("content-length: 99", "transfer-encoding: chunked").replace("\r\n\r\n{", "\r\n\r\n");
    let mut wire = Wire::sent(&scene.apex, format!("{unannounced}{chunk}{chunk}{chunk}")).await;
    assert_eq!(status(&wire.head().await), Some(413));
    a_lead_is_answered(&scene, "lead-1").await;
    scene.finish().await;
}

#[tokio::test]
async fn headers_that_are_too_many_or_too_large_are_refused() {
    let mut apex = Apex::builder().start().await;
    let many = "x-a: b\r\n".repeat(150);
    let large = format!("x-a: {}\r\n", "b".repeat(200_000));
    let long = "a".repeat(200_000);
    let requests = [
        format!("GET /health HTTP/1.1\r\nhost: a\r\n{many}\r\n"),
        format!("GET /health HTTP/1.1\r\nhost: a\r\n{large}\r\n"),
        format!("GET /{long} HTTP/1.1\r\nhost: a\r\n\r\n"),
    ];
    for request in requests {
        // A server that closes while it is still being written to may lose its answer on the way.
        let answer = Wire::sent(&apex, &request).await.until_closed("too much").await;
        assert!(matches!(status(&answer), None | Some(400 | 414 | 431)), "{answer}");
    }
    let answer = Wire::sent(&apex, format!("GET /health HTTP/1.1\r\nhost: a\r\n{many}\r\n")).await.head().await;
    assert_eq!(status(&answer), Some(431), "{answer}");
    assert!(apex.terminate().await.success());
}

#[tokio::test]
async fn nonsense_is_refused_and_nothing_of_it_is_taken_for_a_request() {
    let mut apex = Apex::builder().start().await;
    let garbage: String = (0..2_000_u32).map(|nth| char::from((nth.wrapping_mul(97) % 95) as u8 + 32)).collect();
    let two_lengths = "POST /health HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx";
    let spaced = "GET /health HTTP/1.1\r\nhost: a\r\ntransfer-encoding : chunked\r\n\r\n";
    let bad_chunk = "POST /api/v1/auth/login HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n";
    let refused = [
        "GET /health HTTP/9.9\r\n\r\n",
        "GET /health\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}",
        &garbage,
        two_lengths,
        spaced,
        bad_chunk,
    ];
    for request in refused {
        let mut wire = Wire::sent(&apex, request).await;
        wire.0.shutdown().await.ok();
        let answer = wire.until_closed(request).await;
        assert!(matches!(status(&answer), None | Some(400..=499)), "{request:?}: {answer}");
    }
    let pipelined =
        format!("GET /health HTTP/1.1\r\nhost: a\r\n\r\n{garbage}\r\n\r\nGET /health HTTP/1.1\r\nhost: a\r\n\r\n");
    let answers = Wire::sent(&apex, pipelined).await.until_closed("garbage behind a request").await;
    assert_eq!((answers.matches(" 200 OK").count(), answers.matches("HTTP/1.1 ").count()), (1, 2), "{answers}");
    assert!(apex.terminate().await.success());
}

#[tokio::test]
async fn old_versions_and_strange_methods_are_answered() {
    let mut apex = Apex::builder().start().await;
    for (request, expected) in [
        ("GET /health HTTP/1.0\r\n\r\n", 200),
        ("BREW /health HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", 405),
        ("TRACE / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", 405),
        ("OPTIONS * HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", 200),
        ("CONNECT evil.example:443 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", 404),
        ("GET http://evil.example/health HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", 200),
    ] {
        let answer = Wire::sent(&apex, request).await.until_closed(request).await;
        assert_eq!(status(&answer), Some(expected), "{request}: {answer}");
    }
    assert!(apex.terminate().await.success());
}

#[tokio::test]
async fn a_lead_is_answered_while_thousands_of_connections_are_open_and_idle() {
    let patient = Apex::builder().env("APEX_HEAD_SECONDS", "300").env("APEX_BODY_SECONDS", "300");
    let mut scene = Scene::open(patient).await;
    let count = IDLE.min(open_files().saturating_sub(OTHER_FILES));
    let mut idle = Vec::with_capacity(count);
    while idle.len() < count {
        let opening = (idle.len()..count).take(AT_ONCE).map(|nth| {
            let said = ["", "GET /health HTTP/1.1\r\nx-half: ", HALF_A_FORM][nth % 3];
            Wire::sent(&scene.apex, said)
        });
        idle.extend(join_all(opening).await);
    }
    a_lead_is_answered(&scene, "lead-1").await;
    let (status, _) = scene.client.get(&Client::v1("/users/me")).await;
    assert!(status.is_success(), "{status}");
    assert!(!idle.iter().any(Wire::is_closed), "all of them were open");
    println!("{count} idle connections");
    drop(idle);
    scene.wait_ledger("the end of the call", Ledger::is_quiet).await;
    assert!(scene.apex.is_running());
    scene.finish().await;
}

/// How many files a process may have open.
fn open_files() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap_or_default();
    line.split_whitespace().next().and_then(|soft| soft.parse().ok()).unwrap_or(1_024)
}
