//! Other people's programs against ours: openssl's client, mosquitto's clients, and mosquitto itself.

use std::{
    io::{BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use goldline::{
    bench::probe::{
        BenchStation, BrokerProbe, PlannedNetwork, ProbeError, Session, connect_to_broker,
    },
    clock::Clock,
    process::ChildGuard,
    secret::Secret,
    testbed::{access_point::AccessPoint, authority::Authority, network::Network},
};

use rstest::rstest;

use super::{
    access_point::{PASSPHRASE, SSID, network},
    bench::{A_YEAR, PASSWORD, USERNAME, authority, patience, start_broker},
};

/// Whether the program is there. A missing one skips the test by name, but not in CI.
pub fn has_peer(program: &str) -> bool {
    let found = std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    });
    if !found {
        assert!(std::env::var_os("CI").is_none(), "{program} is missing, and CI must have it");
        eprintln!("skipped: {program} is not installed");
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn openssls_client_sees_the_chain_and_the_name() {
    if !has_peer("openssl") {
        return;
    }
    let authority = authority();
    let broker = start_broker(&authority).await;
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("root.pem");
    std::fs::write(&root, authority.root_pem()).expect("a file");
    let address = broker.address().to_string();
    let output = tokio::task::spawn_blocking(move || {
        Command::new("openssl")
            .args(["s_client", "-connect", &address, "-servername", "broker.example.test"])
            .args(["-verify_hostname", "broker.example.test", "-verify_return_error"])
            .arg("-CAfile")
            .arg(root)
            .stdin(Stdio::null())
            .output()
            .expect("openssl runs")
    })
    .await
    .expect("openssl ends");
    let text = String::from_utf8_lossy(&output.stdout);
    for expected in ["Verify return code: 0 (ok)", "Verified peername: broker.example.test"] {
        assert!(text.contains(expected), "{expected} is missing in\n{text}");
    }
    assert!(text.matches("-----BEGIN CERTIFICATE-----").count() >= 1, "{text}");
    assert!(text.contains("Goldline Bench Intermediate"), "{text}");
    let name = broker.connections()[0].tls.clone().and_then(|tls| tls.server_name);
    assert_eq!(name.as_deref(), Some("broker.example.test"));
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn mosquittos_clients_publish_and_subscribe(#[values("0", "1", "2")] qos: &str) {
    if !has_peer("mosquitto_sub") || !has_peer("mosquitto_pub") {
        return;
    }
    let authority = authority();
    let broker = start_broker(&authority).await;
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("root.pem");
    std::fs::write(&root, authority.root_pem()).expect("a file");
    let port = broker.address().port().to_string();
    let mosquitto = |program: &str| {
        let mut command = Command::new(program);
        command.args(["-h", "localhost", "-p", &port, "-u", USERNAME, "-P", PASSWORD]);
        command.args(["-V", "mqttv311", "-q", qos, "-t", "news"]).arg("--cafile").arg(&root);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };

    let mut subscriber = mosquitto("mosquitto_sub");
    let subscriber = subscriber.args(["-C", "1", "-W", "30"]).spawn().expect("mosquitto_sub runs");
    broker
        .wait_for(patience(), |connection| (!connection.subscriptions.is_empty()).then_some(()))
        .await
        .expect("mosquitto_sub subscribes");
    let mut publisher = mosquitto("mosquitto_pub");
    let published = publisher.args(["-m", "hello"]).spawn().expect("mosquitto_pub runs");
    let outputs = tokio::task::spawn_blocking(move || {
        (published.wait_with_output(), subscriber.wait_with_output())
    });
    let (published, received) = outputs.await.expect("both end");
    let published = published.expect("mosquitto_pub ends");
    assert!(published.status.success(), "{published:?}");
    assert_eq!(received.expect("mosquitto_sub ends").stdout, b"hello\n");
}

/// A real mosquitto with TLS and one account, on a port that was free a moment ago.
fn mosquitto(authority: &Authority, host: &str, folder: &Path) -> (ChildGuard, SocketAddr) {
    let server = authority.issue_server(&[host.to_owned()], A_YEAR).expect("a certificate");
    std::fs::write(folder.join("chain.pem"), &server.signed.chain).expect("a file");
    std::fs::write(folder.join("key.pem"), server.key.expose()).expect("a file");
    let made = Command::new("mosquitto_passwd")
        .args(["-b", "-c", "accounts", USERNAME, PASSWORD])
        .current_dir(folder)
        .status();
    assert!(made.expect("mosquitto_passwd runs").success());
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = free.local_addr().expect("it is bound");
    drop(free);
    let user = Command::new("id").arg("-un").output().expect("id runs").stdout;
    let configuration = format!(
        "listener {} 127.0.0.1\ncertfile chain.pem\nkeyfile key.pem\npassword_file accounts\n\
         allow_anonymous false\nlog_dest stderr\nuser {}",
        address.port(),
        String::from_utf8_lossy(&user)
    );
    std::fs::write(folder.join("mosquitto.conf"), configuration).expect("a file");

    let mut command = Command::new("mosquitto");
    command.args(["-c", "mosquitto.conf"]).current_dir(folder).stderr(Stdio::piped());
    let mut broker = ChildGuard::spawn(&mut command).expect("mosquitto starts");
    let log = broker.child().stderr.take().expect("stderr is a pipe");
    let mut lines = BufReader::new(log).lines().map(|line| line.expect("text"));
    assert!(lines.any(|line| line.ends_with("running")), "mosquitto ended instead of running");
    // It goes on logging, and must not meet a closed pipe.
    std::thread::spawn(move || lines.for_each(drop));
    (broker, address)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_tells_a_real_mosquitto_from_one_it_cannot_use() {
    if !["mosquitto", "mosquitto_passwd"].into_iter().all(has_peer) {
        return;
    }
    let (host, authority) = ("broker.example.test", authority());
    let folder = tempfile::tempdir().expect("a folder");
    let (_broker, address) = mosquitto(&authority, host, folder.path());
    let access_point = AccessPoint::start(network(), &[], Clock::system());
    access_point.redirect(&super::bench::host(host), 8883, address).expect("there is room");
    let station = BenchStation::near(Arc::new(access_point));

    let passphrase = Secret::new(PASSPHRASE);
    let network = PlannedNetwork { ssid: SSID, passphrase: &passphrase };
    let (right, wrong) = (Secret::new(PASSWORD), Secret::new("wrong"));
    let probe = BrokerProbe {
        host,
        port: 8883,
        ca_pem: authority.root_pem(),
        credentials: Some((USERNAME, &right)),
        client_id: "goldline-witness",
        session: Session::Clean,
        client_certificate: None,
        subscriptions: &[],
    };
    connect_to_broker(&station, network, &probe, patience()).await.expect("mosquitto is sound");

    let refused = BrokerProbe { credentials: Some((USERNAME, &wrong)), ..probe.clone() };
    let refusal = connect_to_broker(&station, network, &refused, patience()).await;
    assert!(
        matches!(refusal, Err(ProbeError::BadCredentials | ProbeError::NotAuthorized)),
        "{refusal:?}"
    );
    let foreign = super::bench::authority();
    let distrusting = BrokerProbe { ca_pem: foreign.root_pem(), ..probe };
    let refusal = connect_to_broker(&station, network, &distrusting, patience()).await;
    assert!(matches!(refusal, Err(ProbeError::ServerUntrusted(_))), "{refusal:?}");
}
