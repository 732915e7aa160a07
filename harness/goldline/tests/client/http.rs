//! One HTTP call, and how it fails.

use std::{net::Ipv4Addr, time::Duration};

use goldline::{
    client::http::{HttpClient, HttpError, LARGEST_BODY, Request, Route, call_over},
    clock::Deadline,
    secret::Secret,
    tls::Distrust,
};
use tokio::net::{TcpListener, TcpStream};

use super::server::{A_YEAR, Server, answer, authority, patience};

fn get(url: &str) -> Request {
    Request::get(url.parse().expect("a URL"))
}

fn pinned(server: &Server, roots: Option<&str>) -> HttpClient {
    HttpClient::new(Route::Pinned(server.address), roots).expect("the roots are PEM")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_name_reaches_the_bench_and_stays_the_host() {
    let server = Server::http(|_| answer(200, "hello")).await;
    let request = get("http://ca.example.test:8080/health?deep=1");
    let response = pinned(&server, None).call(&request, patience()).await.expect("an answer");
    assert_eq!((response.status, response.body.expose()), (200, &b"hello"[..]));
    let received = &server.received()[0];
    assert!(received.head.starts_with("GET /health?deep=1 HTTP/1.1\r\n"), "{}", received.head);
    assert_eq!(received.header("host"), Some("ca.example.test:8080"));
}

#[tokio::test(flavor = "multi_thread")]
async fn https_is_spoken_with_a_trusted_server_of_that_name_only() {
    let authority = authority();
    let names = ["ca.example.test".to_owned()];
    let certificate = authority.issue_server(&names, A_YEAR).expect("a certificate");
    let server = Server::https(&certificate, |_| answer(200, "hello")).await;
    let trusting = pinned(&server, Some(authority.root_pem()));

    let response = trusting.call(&get("https://ca.example.test/"), patience()).await;
    assert_eq!(response.expect("an answer").status, 200);
    let other_name = trusting.call(&get("https://other.example.test/"), patience()).await;
    assert!(
        matches!(
            &other_name,
            Err(HttpError::NotTrusted { reason, .. }) if matches!(**reason, Distrust::OtherName { .. })
        ),
        "{other_name:?}"
    );
    let foreign = super::server::authority();
    for roots in [None, Some(foreign.root_pem())] {
        let distrusting = pinned(&server, roots);
        let refused = distrusting.call(&get("https://ca.example.test/"), patience()).await;
        assert!(matches!(refused, Err(HttpError::NotTrusted { .. })), "{refused:?}");
    }
    assert_eq!(server.received().len(), 1, "nothing is sent to a server that is not trusted");
}

#[tokio::test(flavor = "multi_thread")]
async fn https_to_a_plain_server_is_told_from_http_to_a_tls_server() {
    // A server that waits for the end of a head would wait for ever; this one answers any bytes.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let blunt = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        let mut some = [0; 16];
        tokio::io::AsyncReadExt::read(&mut stream, &mut some).await.expect("a ClientHello");
        tokio::io::AsyncWriteExt::write_all(&mut stream, &answer(400, "what?"))
            .await
            .expect("sent");
        // Keeps the connection until the client has read.
        let _rest = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut Vec::new()).await;
    });
    let to_plain = HttpClient::new(Route::Pinned(address), None).expect("no roots");
    let error =
        to_plain.call(&get("https://ca.example.test/"), patience()).await.expect_err("no TLS");
    assert!(matches!(error, HttpError::NoTls { .. }), "{error:?}");
    blunt.await.expect("it ends");

    let authority = authority();
    let certificate = authority.issue_server(&["ca.example.test".to_owned()], A_YEAR);
    let tls = Server::https(&certificate.expect("a certificate"), |_| answer(200, "")).await;
    let error = pinned(&tls, None).call(&get("http://ca.example.test/"), patience()).await;
    assert!(matches!(error, Err(HttpError::WantsTls { .. })), "{error:?}");

    let nginx = Server::http(|_| {
        answer(400, "<center>The plain HTTP request was sent to HTTPS port</center>")
    })
    .await;
    let error = pinned(&nginx, None).call(&get("http://ca.example.test/"), patience()).await;
    assert!(matches!(error, Err(HttpError::WantsTls { .. })), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_up_during_the_handshake_speaks_no_tls() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move { listener.accept().await.map(drop) });
    let client = HttpClient::new(Route::Pinned(address), None).expect("no roots");
    let error = client.call(&get("https://ca.example.test/"), patience()).await;
    assert!(matches!(error, Err(HttpError::NoTls { .. })), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_where_nobody_listens_is_unreachable() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    drop(listener);
    let client = HttpClient::new(Route::Resolved, None).expect("no roots");
    let error = client.call(&get(&format!("http://{address}/")), patience()).await;
    assert!(matches!(error, Err(HttpError::Unreachable { .. })), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_meets_the_deadline() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let client = HttpClient::new(Route::Pinned(address), None).expect("no roots");
    for url in ["http://ca.example.test/", "https://ca.example.test/"] {
        let short = Deadline::after(Duration::from_millis(100));
        let error = client.call(&get(url), short).await;
        assert!(matches!(error, Err(HttpError::TimedOut { .. })), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_no_http_or_too_large_or_cut_off_is_told() {
    let garbage = Server::http(|_| b"\x00\x01SSH-2.0-dropbear\r\n\r\n".to_vec()).await;
    let error = pinned(&garbage, None).call(&get("http://ca.example.test/"), patience()).await;
    assert!(matches!(error, Err(HttpError::NotHttp { .. })), "{error:?}");

    let silent = Server::http(|_| Vec::new()).await;
    let error = pinned(&silent, None).call(&get("http://ca.example.test/"), patience()).await;
    assert!(matches!(error, Err(HttpError::Closed { .. })), "{error:?}");

    let cut =
        Server::http(|_| b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_vec()).await;
    let error = pinned(&cut, None).call(&get("http://ca.example.test/"), patience()).await;
    assert!(matches!(error, Err(HttpError::Closed { .. })), "{error:?}");

    let fits = Server::http(|_| answer(200, &"x".repeat(LARGEST_BODY))).await;
    let response = pinned(&fits, None).call(&get("http://ca.example.test/"), patience()).await;
    assert_eq!(response.expect("it fits").body.expose().len(), LARGEST_BODY);
    let large = Server::http(|_| answer(200, &"x".repeat(LARGEST_BODY + 1))).await;
    let error = pinned(&large, None).call(&get("http://ca.example.test/"), patience()).await;
    assert!(matches!(error, Err(HttpError::TooLarge { .. })), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_stands_already_is_used() {
    let server = Server::http(|_| answer(200, "hello")).await;
    let stream = TcpStream::connect(server.address).await.expect("it listens");
    let response = call_over(stream, &get("http://192.168.4.1/"), patience()).await;
    assert_eq!(response.expect("an answer").body.expose(), b"hello");
    assert_eq!(server.received()[0].header("host"), Some("192.168.4.1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_with_a_line_break_is_refused_and_nothing_shows_one() {
    let server = Server::http(|_| answer(200, "secret-answer")).await;
    let token = |text: &str| get("http://ca.example.test/").bearer(Secret::new(text));
    let client = pinned(&server, None);
    let error = client.call(&token("abc\r\nX-Admin: 1"), patience()).await;
    assert!(matches!(error, Err(HttpError::Token)), "{error:?}");
    let request = token("abc-token");
    let response = client.call(&request, patience()).await.expect("an answer");
    assert_eq!(server.received()[0].header("authorization"), Some("Bearer abc-token"));
    let shown = format!("{request:?} {response:?} {client:?}");
    assert!(!shown.contains("abc-token") && !shown.contains("secret-answer"), "{shown}");
}

#[test]
fn a_file_without_certificates_is_no_trust() {
    for roots in ["", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let refused = HttpClient::new(Route::Resolved, Some(roots));
        assert!(matches!(refused, Err(HttpError::Roots { .. })), "{roots:?}");
    }
}
