//! A unit's web portal, fetched and filled over a connection that stands.

use std::net::SocketAddrV4;

use goldline::{
    client::{
        http::HttpError,
        portal::{Portal, PortalError},
    },
    clock::Deadline,
    record::Code,
    secret::Secret,
};
use tokio::net::{TcpListener, TcpStream};

use super::server::{Server, answer, patience};

const PAGE: &str = "<form action='/save' method='POST'><input name='ssid'><input name='password'>\
                    <input type='submit'></form>";

fn portal() -> Portal {
    Portal::at(SocketAddrV4::new([192, 168, 4, 1].into(), 80))
}

async fn stream(server: &Server) -> TcpStream {
    TcpStream::connect(server.address).await.expect("it listens")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_form_is_fetched_and_its_fields_are_compared() {
    let server = Server::http(|_| answer(200, PAGE)).await;
    let form = portal().fetch_page(stream(&server).await, patience()).await.expect("a page");
    let form = portal().form_in(&form).expect("a form");
    assert_eq!(form.path, "/save");
    form.require(["ssid", "password"]).expect("they are the same");
    let error = form.require(["ssid", "password", "mqtt_host"]).expect_err("one lacks");
    assert!(error.to_string().contains("mqtt_host"), "{error}");
    assert_eq!(error.code(), Code::PortalRefused);
    assert_eq!(server.received()[0].header("host"), Some("192.168.4.1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_character_of_a_value_arrives_exactly() {
    let server = Server::http(|_| answer(200, "Saved")).await;
    let fields = [
        ("ssid", Secret::new("Größe & Söhne=1+1")),
        ("password", Secret::new("100% \"sure\" 'n' a,b;c\t\\/?#~ 密碼")),
        ("mqtt_pass", Secret::new("U63bHcS0PqqODUufIdccmRWT2WDP66Wx+/=")),
        ("empty", Secret::new("")),
    ];
    portal().save(stream(&server).await, "/save", &fields, patience()).await.expect("saved");
    let request = &server.received()[0];
    assert!(request.head.starts_with("POST /save HTTP/1.1\r\n"), "{}", request.head);
    assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert!(
        request.body.starts_with("ssid=Gr%C3%B6%C3%9Fe+%26+S%C3%B6hne%3D1%2B1&password=100%25+")
    );
    let arrived: Vec<(String, String)> =
        form_urlencoded::parse(request.body.as_bytes()).into_owned().collect();
    let sent = fields.map(|(name, value)| (name.to_owned(), value.expose().to_owned()));
    assert_eq!(arrived, sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_save_that_is_not_answered_with_200_failed_and_shows_no_secret() {
    for status in [201, 302, 400, 404, 500] {
        let server = Server::http(move |request| {
            answer(status, &format!("\nbad values: {}\nmore", request.body))
        })
        .await;
        let fields = [("password", Secret::new("pass&word+1"))];
        let saved = portal().save(stream(&server).await, "/save", &fields, patience()).await;
        let error = saved.expect_err("not saved");
        assert!(
            matches!(&error, PortalError::Status { status: found, sentence, .. }
            if *found == status && sentence == "bad values: password=[secret]"),
            "{error}"
        );
        assert_eq!(error.code(), Code::PortalRefused);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_that_hangs_up_or_says_nothing_is_unreachable() {
    let closing = Server::http(|_| Vec::new()).await;
    let fields = [("ssid", Secret::new("net"))];
    let error = portal().save(stream(&closing).await, "/save", &fields, patience()).await;
    let error = error.expect_err("it hung up");
    assert!(matches!(error, PortalError::Http(HttpError::Closed { .. })), "{error}");
    assert_eq!(error.code(), Code::PortalUnreachable);

    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let stream = TcpStream::connect(silent.local_addr().expect("it is bound")).await;
    let short = Deadline::after(std::time::Duration::from_millis(100));
    let error = portal().save(stream.expect("it listens"), "/save", &fields, short).await;
    assert!(matches!(error, Err(PortalError::Http(HttpError::TimedOut { .. }))), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_without_a_usable_form_is_told() {
    for (status, page) in [(200, "<p>hello"), (200, "<form action=/save></form>"), (404, PAGE)] {
        let server = Server::http(move |_| answer(status, page)).await;
        let page = portal().fetch_page(stream(&server).await, patience()).await;
        let error = page.and_then(|page| portal().form_in(&page)).expect_err("no form");
        assert_eq!(error.code(), Code::PortalRefused, "{error}");
    }
}
