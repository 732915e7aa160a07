//! The config server as a provisioner and a unit call it.

use std::{
    io::Write,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

use goldline::{
    clock::Clock,
    secret::Secret,
    testbed::{
        authority::Authority,
        config_server::{ConfigCall, ConfigServer, ConfigServerConfig, Credentials},
        fault::TestbedFault,
    },
};
use rstest::rstest;
use serde_json::{Value, json};
use time::macros::datetime;
use tokio::net::TcpStream;

use super::{
    bench::{A_YEAR, authority},
    peers::has_peer,
    web::{Answer, call, plain, secure},
};

const NAME: &str = "config.example.test";
const TOKEN: &str = "admin-token-of-the-test";
const ID: &str = "A1B2C3D4E5F6";
const PASSWORD: &str = "password-of-A1B2C3D4E5F6";

/// A server, and for whom it created users.
struct Bench {
    server: ConfigServer,
    created: Arc<Mutex<Vec<String>>>,
    authority: Authority,
}

impl Bench {
    async fn start(faults: &[TestbedFault]) -> Self {
        let authority = authority();
        let created = Arc::new(Mutex::new(Vec::new()));
        let certificate = authority.issue_server(&[NAME.to_owned()], A_YEAR);
        let certificate = certificate.expect("a certificate");
        let config = ConfigServerConfig {
            token: Secret::new(TOKEN),
            path: "/A1B2C3D4E5F6".to_owned(),
            credentials: Arc::new(|id| Credentials {
                username: format!("user-{id}"),
                password: Secret::new(format!("password-of-{id}")),
            }),
            create_user: {
                let created = Arc::clone(&created);
                Arc::new(move |id| created.lock().expect("no panic").push(id.to_owned()))
            },
            provisioned_host: "broker.example.test".to_owned(),
            configured_host: "other-broker.example.test".to_owned(),
        };
        let clock = Clock::fixed(datetime!(2026-11-26 07:08:09 UTC));
        let server = ConfigServer::start(&certificate, config, faults, clock).await;
        let server = server.expect("it starts");
        Self { server, created, authority }
    }

    /// With a good token.
    async fn provision(&self, id: &str) -> Answer {
        self.provision_with(id, &format!("Bearer {TOKEN}")).await
    }

    async fn provision_with(&self, id: &str, authorization: &str) -> Answer {
        let header = format!("Authorization: {authorization}");
        let line = format!("POST /provision/{id}");
        call(plain(self.server.address()).await, &line, &[&header], "").await
    }

    async fn fetch(&self, id: &str) -> Answer {
        call(plain(self.server.address()).await, &format!("GET /{id}"), &[], "").await
    }

    fn created(&self) -> Vec<String> {
        self.created.lock().expect("no panic").clone()
    }

    fn calls(&self) -> Vec<ConfigCall> {
        self.server.calls().into_iter().map(|stamped| stamped.event.what).collect()
    }
}

fn credentials() -> Value {
    json!({
        "device_id": ID,
        "mqtt_user": format!("user-{ID}"),
        "mqtt_password": PASSWORD,
        "mqtt_host": "broker.example.test",
        "mqtt_port": 8883,
        "provision_date": "2026-11-26 07:08:09",
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admins_token_gets_the_credentials_of_a_device() {
    let bench = Bench::start(&[]).await;
    let answer = bench.provision(ID).await;
    assert_eq!((answer.status, answer.json()), (200, credentials()), "{}", answer.head);
    assert!(answer.head.to_lowercase().contains("content-type: application/json"));
    assert_eq!(bench.calls(), [ConfigCall::Provisioned { device_id: ID.to_owned() }]);
    assert_eq!(bench.created(), [""; 0], "credentials alone create no user");
}

#[rstest]
#[case::none("X-Token: admin-token-of-the-test", 401)]
#[case::basic("Authorization: Basic admin-token-of-the-test", 401)]
#[case::bare("Authorization: admin-token-of-the-test", 401)]
#[case::empty("Authorization: Bearer ", 401)]
#[case::wrong("Authorization: Bearer other", 403)]
#[case::longer("Authorization: Bearer admin-token-of-the-test2", 403)]
#[case::another_case("Authorization: Bearer Admin-Token-Of-The-Test", 403)]
#[case::scheme_in_lower_case("Authorization: bearer admin-token-of-the-test", 200)]
#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_token_nothing_is_given(#[case] header: &str, #[case] status: u16) {
    let bench = Bench::start(&[]).await;
    let line = format!("POST /provision/{ID}");
    let answer = call(plain(bench.server.address()).await, &line, &[header], "").await;
    assert_eq!(answer.status, status, "{}", answer.head);
    if status != 200 {
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(!body.contains(PASSWORD) && !body.contains(TOKEN), "{body}");
        assert_eq!(bench.calls(), [ConfigCall::Refused { status }]);
    }
}

#[rstest]
#[case::lower_case("a1b2c3d4e5f6")]
#[case::short("A1B2C3D4E5F")]
#[case::long("A1B2C3D4E5F60")]
#[case::no_digit("A1B2C3D4E5FG")]
#[case::colons("A1:B2:C3:D4:E5:F6")]
#[case::escaped("A1B2C3D4E5%46")]
#[case::nothing("")]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_device_id_gets_neither_credentials_nor_configuration(#[case] id: &str) {
    let bench = Bench::start(&[]).await;
    assert_eq!(bench.provision(id).await.status, 400);
    assert_eq!(bench.fetch(id).await.status, 404);
    assert_eq!(bench.created(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_id_is_only_told_to_who_has_the_token() {
    let bench = Bench::start(&[]).await;
    assert_eq!(bench.provision_with("no-id", "Bearer other").await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_fetch_creates_the_user_and_no_other_does() {
    let bench = Bench::start(&[]).await;
    let expected = json!({
        "company": "Example",
        "development": "production",
        "mqtt_host": "other-broker.example.test",
    });
    for _ in 0..3 {
        let answer = bench.fetch(ID).await;
        assert_eq!((answer.status, answer.json()), (200, expected.clone()));
    }
    assert_eq!(bench.created(), [ID]);
    bench.fetch("000000000001").await;
    assert_eq!(bench.created(), [ID, "000000000001"]);
    let fetched = |id: &str| ConfigCall::Fetched { device_id: id.to_owned() };
    assert_eq!(bench.calls(), [fetched(ID), fetched(ID), fetched(ID), fetched("000000000001")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn units_that_fetch_at_the_same_time_are_created_once_each() {
    let bench = Arc::new(Bench::start(&[]).await);
    let mut fetches = tokio::task::JoinSet::new();
    for number in 0..40 {
        let bench = Arc::clone(&bench);
        fetches.spawn(async move { bench.fetch(&format!("{:012X}", number % 4)).await.status });
    }
    assert!(fetches.join_all().await.iter().all(|status| *status == 200));
    let mut created = bench.created();
    created.sort();
    assert_eq!(created, ["000000000000", "000000000001", "000000000002", "000000000003"]);
}

#[rstest]
#[case::other_method("GET", "/provision/A1B2C3D4E5F6")]
#[case::other_path("POST", "/provision")]
#[case::deeper("POST", "/provision/A1B2C3D4E5F6/x")]
#[case::post_of_a_configuration("POST", "/A1B2C3D4E5F6")]
#[tokio::test(flavor = "multi_thread")]
async fn another_call_does_not_exist(#[case] method: &str, #[case] path: &str) {
    let bench = Bench::start(&[]).await;
    let header = format!("Authorization: Bearer {TOKEN}");
    let line = format!("{method} {path}");
    let answer = call(plain(bench.server.address()).await, &line, &[&header], "").await;
    assert_eq!(answer.status, 404);
    assert_eq!(bench.created(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn https_shows_the_benchs_certificate_and_gives_the_same() {
    let bench = Bench::start(&[]).await;
    let (address, root) = (bench.server.secure_address(), bench.authority.root_pem());
    let header = format!("Authorization: Bearer {TOKEN}");
    let line = format!("POST /provision/{ID}");
    let stream = secure(address, root, NAME).await.expect("it is trusted");
    let answer = call(stream, &line, &[&header], "").await;
    assert_eq!((answer.status, answer.json()), (200, credentials()));
    secure(address, authority().root_pem(), NAME).await.expect_err("another root");
    secure(address, root, "other.example.test").await.expect_err("another name");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_down_refuses_connections_on_both_ports() {
    let bench = Bench::start(&[TestbedFault::ConfigDown]).await;
    for address in [bench.server.address(), bench.server.secure_address()] {
        let error = TcpStream::connect(address).await.expect_err("nobody listens");
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    }
}

#[rstest]
#[case::http_500(TestbedFault::ConfigHttp500, 500, "internal server error")]
#[case::malformed(TestbedFault::ConfigMalformed, 200, "<html>")]
#[tokio::test(flavor = "multi_thread")]
async fn a_broken_server_gives_nothing_to_anyone(
    #[case] fault: TestbedFault,
    #[case] status: u16,
    #[case] says: &str,
) {
    let bench = Bench::start(&[fault]).await;
    for answer in [bench.provision(ID).await, bench.fetch(ID).await] {
        assert_eq!(answer.status, status);
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(body.contains(says) && !body.contains(PASSWORD), "{body}");
    }
    assert_eq!(bench.created(), [""; 0]);
    assert!(
        bench.calls().iter().all(|call| matches!(call, ConfigCall::Refused { .. })),
        "{:?}",
        bench.calls()
    );
    assert_eq!(bench.provision_with(ID, "Bearer other").await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_can_hand_out_another_password() {
    let bench = Bench::start(&[TestbedFault::ConfigWrongPassword]).await;
    let mut answer = bench.provision(ID).await.json();
    assert_ne!(answer["mqtt_password"], PASSWORD);
    answer["mqtt_password"] = json!(PASSWORD);
    assert_eq!(answer, credentials());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_can_answer_for_another_device() {
    let bench = Bench::start(&[TestbedFault::ConfigOtherDevice]).await;
    let mut answer = bench.provision(ID).await.json();
    assert_eq!(answer["device_id"], "000000000000");
    answer["device_id"] = json!(ID);
    assert_eq!(answer, credentials());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_can_forget_to_create_the_user() {
    let bench = Bench::start(&[TestbedFault::ConfigNoUser]).await;
    assert_eq!(bench.fetch(ID).await.status, 200);
    assert_eq!(bench.created(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_token_nor_password_is_shown() {
    let bench = Bench::start(&[]).await;
    bench.provision(ID).await;
    bench.fetch(ID).await;
    let made = Credentials { username: "unit".to_owned(), password: Secret::new(PASSWORD) };
    let shown = format!("{:?} {:?} {made:?}", bench.server, bench.calls());
    assert!(!shown.contains(TOKEN) && !shown.contains(PASSWORD), "{shown}");
}

/// The document's own client. Its headers come through standard input, where nobody else reads them.
#[tokio::test(flavor = "multi_thread")]
async fn curl_gets_the_credentials_of_a_unit() {
    if !has_peer("curl") {
        return;
    }
    let bench = Bench::start(&[]).await;
    let url = format!("http://{}/provision/{ID}", bench.server.address());
    let curl = |header: String| {
        let url = url.clone();
        tokio::task::spawn_blocking(move || {
            let mut curl = Command::new("curl")
                .args([
                    "--silent",
                    "--noproxy",
                    "*",
                    "-X",
                    "POST",
                    "-H",
                    "@-",
                    "-w",
                    " %{http_code}",
                ])
                .arg(url)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("curl starts");
            let mut input = curl.stdin.take().expect("a pipe");
            input.write_all(header.as_bytes()).expect("curl reads");
            drop(input);
            String::from_utf8(curl.wait_with_output().expect("curl ends").stdout).expect("text")
        })
    };
    let said = curl(format!("Authorization: Bearer {TOKEN}\n")).await.expect("it ends");
    let (body, status) = said.rsplit_once(' ').expect("a status");
    assert_eq!(status, "200", "{said}");
    let body: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!((&body["device_id"], &body["mqtt_password"]), (&ID.into(), &PASSWORD.into()));
    let refused = curl("Authorization: Bearer another\n".to_owned()).await.expect("it ends");
    assert!(refused.ends_with(" 403") && !refused.contains(PASSWORD), "{refused}");
}
