//! TLS before an HTTP service: what is no TLS, what never ends, and what is large.

use std::net::Ipv4Addr;

use goldline::{
    client::http::{HttpClient, HttpError, Request, Route},
    testbed::{
        authority::{Authority, Issued},
        tls_front::TlsFront,
    },
};
use rstest::rstest;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::timeout,
};

use crate::{
    bench::{A_YEAR, PATIENCE, authority, patience},
    web::{call, plain, secure},
};

const NAME: &str = "service.example.test";

fn certificate(authority: &Authority) -> Issued {
    authority.issue_server(&[NAME.to_owned()], A_YEAR).expect("a certificate")
}

/// Gives back what it is sent, and ends when the client does.
async fn echo(authority: &Authority) -> TlsFront {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let inner = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let _ended = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    TlsFront::start(&certificate(authority), inner).await.expect("a port")
}

/// Sends the text and gives what came back before the end.
async fn echoed(front: &TlsFront, authority: &Authority, text: &[u8]) -> Vec<u8> {
    let stream = secure(front.address(), authority.root_pem(), NAME).await.expect("TLS works");
    let (mut read, mut write) = tokio::io::split(stream);
    let sending = async {
        write.write_all(text).await.expect("it is taken");
        write.shutdown().await.expect("it ends");
    };
    let mut back = Vec::new();
    let receiving = async { read.read_to_end(&mut back).await.expect("it ends cleanly") };
    timeout(PATIENCE, async { tokio::join!(sending, receiving) }).await.expect("it ends");
    back
}

#[tokio::test(flavor = "multi_thread")]
async fn every_byte_passes_both_ways_and_the_end_is_told() {
    let authority = authority();
    let front = echo(&authority).await;
    let large: Vec<u8> = (0..3_000_000_u32).flat_map(|number| number.to_le_bytes()).collect();
    assert!(echoed(&front, &authority, &large).await == large, "bytes differ");
    assert_eq!(echoed(&front, &authority, b"").await, b"");
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
    let front = echo(&authority).await;
    let route = Route::Pinned(front.address());
    let client = HttpClient::new(route, Some(authority.root_pem())).expect("a root");
    let url = format!("{scheme}://other.example.test/").parse().expect("a URL");
    let error = client.call(&Request::get(url), patience()).await.expect_err("it fails");
    assert!(expected(&error), "{error:?}");
    assert_eq!(echoed(&front, &authority, b"still here").await, b"still here");
}

#[tokio::test(flavor = "multi_thread")]
async fn handshakes_that_never_end_block_nobody() {
    let authority = authority();
    let front = echo(&authority).await;
    let mut stalled = Vec::new();
    for number in 0..50 {
        let mut stream = plain(front.address()).await;
        if number % 2 == 0 {
            // The head of a ClientHello whose rest never comes.
            stream.write_all(&[0x16, 3, 1, 2, 0, 1]).await.expect("it is taken");
        }
        stalled.push(stream);
    }
    assert_eq!(echoed(&front, &authority, b"through").await, b"through");
    for stream in &stalled {
        let waiting = stream.try_read(&mut [0]).expect_err("it is neither answered nor put out");
        assert_eq!(waiting.kind(), std::io::ErrorKind::WouldBlock);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_behind_it_that_is_away_is_an_end_and_not_a_hang() {
    let authority = authority();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let inner = listener.local_addr().expect("it is bound");
    drop(listener);
    let front = TlsFront::start(&certificate(&authority), inner).await.expect("a port");
    let mut stream = secure(front.address(), authority.root_pem(), NAME).await.expect("TLS works");
    let read = timeout(PATIENCE, stream.read(&mut [0])).await.expect("it ends");
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_front_that_is_dropped_takes_no_more_connections() {
    let authority = authority();
    let front = echo(&authority).await;
    let address = front.address();
    let mut open = secure(address, authority.root_pem(), NAME).await.expect("TLS works");
    drop(front);
    let read = timeout(PATIENCE, open.read(&mut [0])).await.expect("open connections end too");
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    let refusal = tokio::net::TcpStream::connect(address).await.expect_err("nobody listens");
    assert_eq!(refusal.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_breaks_off_ends_its_own_connection_only() {
    let authority = authority();
    let front = echo(&authority).await;
    let mut other = secure(front.address(), authority.root_pem(), NAME).await.expect("TLS works");
    drop(secure(front.address(), authority.root_pem(), NAME).await.expect("TLS works"));
    drop(plain(front.address()).await);
    other.write_all(b"x").await.expect("it is taken");
    let mut read = [0];
    let back = timeout(PATIENCE, other.read_exact(&mut read)).await.expect("it comes back");
    back.expect("the connection lasts");
    assert_eq!(read, *b"x");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_another_certificate_is_refused_at_the_start() {
    let authority = authority();
    let mut mixed = certificate(&authority);
    mixed.key = certificate(&authority).key;
    let error = TlsFront::start(&mixed, (Ipv4Addr::LOCALHOST, 9).into()).await;
    let error = error.expect_err("they do not belong together").to_string();
    assert!(error.contains("certificate") && !error.contains("PRIVATE"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http_service_behind_it_is_reached_by_a_client_that_closes() {
    let authority = authority();
    let server = wiremock::MockServer::start().await;
    let answer = wiremock::ResponseTemplate::new(200).set_body_string("hello");
    let any = wiremock::Mock::given(wiremock::matchers::any()).respond_with(answer);
    any.mount(&server).await;
    let front = TlsFront::start(&certificate(&authority), *server.address()).await.expect("a port");
    let stream = secure(front.address(), authority.root_pem(), NAME).await.expect("TLS works");
    let answer = call(stream, "GET /", &[], "").await;
    assert_eq!((answer.status, &answer.body[..]), (200, &b"hello"[..]), "{}", answer.head);
}
