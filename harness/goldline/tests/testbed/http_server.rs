//! The HTTP server under the services: what it serves, what it refuses, and what ends.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use goldline::{
    client::http::{HttpClient, HttpError, Request, Route},
    testbed::{
        authority::{Authority, Issued},
        http_server::{Answer, Call, Gate, Handler, HttpServer, Limits},
    },
};
use hyper::{StatusCode, body::Bytes};
use rstest::rstest;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
    time::timeout,
};

use super::{
    bench::{A_YEAR, PATIENCE, authority, patience},
    web::{call, plain, secure},
};

const NAME: &str = "service.example.test";
/// So short that a test can wait for it.
const SOON: Duration = Duration::from_millis(200);

fn certificate(authority: &Authority) -> Issued {
    authority.issue_server(&[NAME.to_owned()], A_YEAR).expect("a certificate")
}

/// Gives back the body that it is sent.
fn echo() -> Handler {
    Arc::new(|call: &Call| Answer::content(StatusCode::OK, "text/plain", call.body.clone()))
}

async fn secure_echo(authority: &Authority) -> HttpServer {
    let server =
        HttpServer::secure(&certificate(authority), Limits::default(), Gate::for_anyone(), echo())
            .await;
    server.expect("a port")
}

async fn echoed(server: &HttpServer, authority: &Authority, text: &str) -> String {
    let stream = secure(server.address(), authority.root_pem(), NAME).await.expect("TLS works");
    let answer = call(stream, "POST /", &[], text).await;
    assert_eq!(answer.status, 200, "{}", answer.head);
    String::from_utf8(answer.body).expect("text")
}

/// Sends these bytes and reads until the server ends the connection.
async fn said(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = plain(address).await;
    stream.write_all(bytes).await.expect("it is taken");
    let mut answer = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("it ends");
    read.expect("it ends cleanly");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn large_answers_and_bodies_pass_whole() {
    let authority = authority();
    let image: Bytes = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>().into();
    let given = image.clone();
    let handler: Handler = Arc::new(move |call: &Call| {
        assert_eq!(call.body.len(), 60_000, "the largest that fits is no exception");
        Answer::content(StatusCode::OK, "application/octet-stream", given.clone())
    });
    let server = HttpServer::secure(
        &certificate(&authority),
        Limits::default(),
        Gate::for_anyone(),
        handler,
    )
    .await;
    let address = server.as_ref().expect("a port").address();
    let stream = secure(address, authority.root_pem(), NAME).await.expect("TLS works");
    let answer = call(stream, "POST /", &[], &"x".repeat(60_000)).await;
    assert!(answer.body == image, "bytes differ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_serves_one_request_after_the_other_and_tells_its_peer() {
    let peers = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&peers);
    let handler: Handler = Arc::new(move |call: &Call| {
        noted.lock().unwrap_or_else(PoisonError::into_inner).push(call.who.peer);
        Answer::content(StatusCode::OK, "text/plain", Bytes::from(call.path().to_owned()))
    });
    let server =
        HttpServer::plain(Limits::default(), Gate::for_anyone(), handler).await.expect("a port");
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 77, 0, 9], 0).into()).expect("an address");
    let mut stream = socket.connect(server.address()).await.expect("it listens");
    let own = stream.local_addr().expect("it is connected");
    for path in ["/first", "/second?query"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("it is taken");
        let mut answer = Vec::new();
        let expected = path.split('?').next().expect("a path");
        while !answer.ends_with(expected.as_bytes()) {
            let read = timeout(PATIENCE, stream.read_buf(&mut answer)).await.expect("an answer");
            assert_ne!(read.expect("the connection lasts"), 0);
        }
    }
    assert_eq!(*peers.lock().expect("no panic"), [own, own]);
}

#[rstest]
#[case::plain_http("http", |error: &HttpError| matches!(error, HttpError::WantsTls { .. }))]
#[case::https_under_another_name(
    "https",
    |error: &HttpError| matches!(error, HttpError::NotTrusted { .. })
)]
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_call_is_told_what_is_wrong_and_harms_nobody(
    #[case] scheme: &str,
    #[case] expected: fn(&HttpError) -> bool,
) {
    let authority = authority();
    let server = secure_echo(&authority).await;
    let route = Route::Pinned(server.address());
    let client = HttpClient::new(route, Some(authority.root_pem())).expect("a root");
    let url = format!("{scheme}://other.example.test/").parse().expect("a URL");
    let error = client.call(&Request::get(url), patience()).await.expect_err("it fails");
    assert!(expected(&error), "{error:?}");
    assert_eq!(echoed(&server, &authority, "still here").await, "still here");
}

#[tokio::test(flavor = "multi_thread")]
async fn handshakes_that_never_end_block_nobody() {
    let authority = authority();
    let server = secure_echo(&authority).await;
    let mut stalled = Vec::new();
    for number in 0..50 {
        let mut stream = plain(server.address()).await;
        if number % 2 == 0 {
            // The head of a ClientHello whose rest never comes.
            stream.write_all(&[0x16, 3, 1, 2, 0, 1]).await.expect("it is taken");
        }
        stalled.push(stream);
    }
    assert_eq!(echoed(&server, &authority, "through").await, "through");
    for stream in &stalled {
        let waiting = stream.try_read(&mut [0]).expect_err("it is neither answered nor put out");
        assert_eq!(waiting.kind(), std::io::ErrorKind::WouldBlock);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_dropped_takes_no_more_connections() {
    let authority = authority();
    let server = secure_echo(&authority).await;
    let address = server.address();
    let mut open = secure(address, authority.root_pem(), NAME).await.expect("TLS works");
    drop(server);
    let read = timeout(PATIENCE, open.read(&mut [0])).await.expect("open connections end too");
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    let refusal = tokio::net::TcpStream::connect(address).await.expect_err("nobody listens");
    assert_eq!(refusal.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_another_certificate_is_refused_at_the_start() {
    let authority = authority();
    let mut mixed = certificate(&authority);
    mixed.key = certificate(&authority).key;
    let error = HttpServer::secure(&mixed, Limits::default(), Gate::for_anyone(), echo()).await;
    let error = error.expect_err("they do not belong together").to_string();
    assert!(
        error.contains("chain and key belong together") && !error.contains("PRIVATE"),
        "{error}"
    );
}

fn long_line() -> Vec<u8> {
    format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(60_000)).into_bytes()
}

fn long_header() -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", "a".repeat(60_000)).into_bytes()
}

fn many_headers() -> Vec<u8> {
    let headers: String = (0..500).map(|number| format!("X-{number}: x\r\n")).collect();
    format!("GET / HTTP/1.1\r\nHost: x\r\n{headers}\r\n").into_bytes()
}

fn post(header: &str, body: &str) -> Vec<u8> {
    format!("POST / HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n{body}").into_bytes()
}

fn chunks() -> Vec<u8> {
    let chunk = format!("4000\r\n{}\r\n", "x".repeat(0x4000));
    post("Transfer-Encoding: chunked", &chunk.repeat(20))
}

#[rstest]
#[case::a_long_line(long_line(), "4")]
#[case::a_long_header(long_header(), "431")]
#[case::many_headers(many_headers(), "431")]
#[case::four_gigabytes(post("Content-Length: 4294967296", "x"), "413")]
#[case::more_than_a_number(post("Content-Length: 99999999999999999999999", "x"), "4")]
#[case::two_lengths(post("Content-Length: 1\r\nContent-Length: 2", "x"), "400")]
#[case::endless_chunks(chunks(), "413")]
#[case::no_chunks(post("Transfer-Encoding: chunked", "zz\r\nzz\r\n"), "400")]
#[case::connect(b"CONNECT other.example.test:443 HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), "405")]
#[case::connect_alone(b"CONNECT other.example.test:443\r\n\r\n".to_vec(), "400")]
#[case::http_2(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), "505")]
#[case::tls(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), "400")]
#[case::nulls(vec![0; 30_000], "400")]
#[case::slow_head(b"GET / HTTP/1.1\r\nHo".to_vec(), "408")]
#[case::slow_body(post("Content-Length: 5", "x"), "408")]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_much_or_too_slow_is_refused_in_the_protocols_words(
    #[case] bytes: Vec<u8>,
    #[case] status: &str,
) {
    let limits = Limits { head: SOON, body: SOON, ..Limits::default() };
    let server = HttpServer::plain(limits, Gate::for_anyone(), echo()).await.expect("a port");
    let answer = said(server.address(), &bytes).await;
    assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    assert_eq!(
        said(server.address(), &post("Connection: close", "")).await[..15],
        *"HTTP/1.1 200 OK"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_is_put_out_without_a_word() {
    let limits = Limits { head: SOON, handshake: SOON, ..Limits::default() };
    let server = HttpServer::plain(limits, Gate::for_anyone(), echo()).await.expect("a port");
    assert_eq!(said(server.address(), b"").await, "");
    let certificate = certificate(&authority());
    let server =
        HttpServer::secure(&certificate, limits, Gate::for_anyone(), echo()).await.expect("a port");
    assert_eq!(said(server.address(), b"").await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_no_byte_of_a_large_answer_is_put_out() {
    let limits = Limits { stall: SOON, ..Limits::default() };
    // No socket's buffer is as large.
    let image = Bytes::from(vec![7; 64 << 20]);
    let handler: Handler = Arc::new(move |_: &Call| {
        Answer::content(StatusCode::OK, "application/octet-stream", image.clone())
    });
    let server = HttpServer::plain(limits, Gate::for_anyone(), handler).await.expect("a port");
    let mut stream = plain(server.address()).await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("it is taken");
    // Writing on shows the end, where reading would take what was sent.
    let ended = async {
        while stream.write_all(b"x").await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, ended).await.expect("the server gives up");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_too_many_displaces_who_waited_longest() {
    let limits = Limits { connections: 4, ..Limits::default() };
    let server = HttpServer::plain(limits, Gate::for_anyone(), echo()).await.expect("a port");
    let mut idle = Vec::new();
    for _ in 0..8 {
        idle.push(plain(server.address()).await);
    }
    assert_eq!(
        call(plain(server.address()).await, "POST /", &[], "through").await.body,
        b"through"
    );
    let mut first = idle.remove(0);
    let read = timeout(PATIENCE, first.read(&mut [0])).await.expect("it is put out");
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
}
