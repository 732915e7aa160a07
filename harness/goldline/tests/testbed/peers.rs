//! The broker as other people's programs find it: openssl's client and mosquitto's.

use std::process::{Command, Stdio};

use crate::bench::{PASSWORD, USERNAME, authority, patience, start_broker};

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

#[tokio::test(flavor = "multi_thread")]
async fn mosquittos_clients_publish_and_subscribe() {
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
        command.args(["-V", "mqttv311", "-q", "1", "-t", "news"]).arg("--cafile").arg(&root);
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
