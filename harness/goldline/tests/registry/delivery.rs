//! `goldline registry`: what waits, and how it arrives once and shows no secret.

use std::{
    io::Read,
    net::{Ipv4Addr, TcpListener},
};

use goldline::registry::RegistryUrl;
use goldline::secret::Secret;
use rstest::rstest;
use sqlx::Row;

use super::{
    cluster::PrivateCluster,
    devices::{PSK, UNIT},
    program::{Station, ended},
};

async fn registered(cluster: &PrivateCluster) -> Vec<(String, String)> {
    let rows = sqlx::query("SELECT global_uuid, psk_secret FROM devices")
        .fetch_all(&mut cluster.client().await)
        .await
        .expect("readable");
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_waits_while_the_database_is_down_and_arrives_once() {
    let Some(mut cluster) = PrivateCluster::create() else { return };
    let station = Station::new();
    station.queue(&cluster.url()).await;

    let (code, said) = station.deliver(&cluster.url_text());
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("0 delivered, 0 refused, 1 waiting"), "{said}");
    assert!(said.contains("Connection refused"), "{said}");
    let (code, waiting) = ended(station.registry(&["pending"]).output().expect("it starts"));
    assert_eq!(code, 0, "{waiting}");
    assert!(waiting.contains(&UNIT.to_string()), "{waiting}");
    station.assert_hides(&[PSK, cluster.password()]);
    for shown in [said, waiting] {
        assert!(!shown.contains(PSK) && !shown.contains(cluster.password()), "{shown}");
    }

    cluster.start();
    let (code, said) = station.deliver(&cluster.url_text());
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("1 delivered, 0 refused, 0 waiting"), "{said}");
    let (code, said) = station.deliver(&cluster.url_text());
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("0 delivered"), "{said}");
    assert_eq!(registered(&cluster).await, [(UNIT.to_string(), PSK.to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_deliveries_at_once_leave_one_row() {
    let Some(cluster) = PrivateCluster::start_new() else { return };
    let station = Station::new();
    station.queue(&cluster.url()).await;
    let words = ["deliver", "--registry", "$REGISTRY_URL"];
    let start = || {
        let mut command = station.registry(&words);
        command.env("REGISTRY_URL", cluster.url_text()).spawn().expect("it starts")
    };
    let (one, two) = (start(), start());
    for child in [one, two] {
        let (code, said) = ended(child.wait_with_output().expect("it ends"));
        assert_eq!(code, 0, "{said}");
    }
    assert_eq!(registered(&cluster).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_is_killed_loses_nothing() {
    let Some(cluster) = PrivateCluster::start_new() else { return };
    let station = Station::new();
    station.queue(&cluster.url()).await;
    // It says nothing, so that the delivery is under way when it is killed.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = silent.local_addr().expect("bound").port();
    let words = ["deliver", "--all", "--registry", "$REGISTRY_URL"];
    let mut delivery = station
        .registry(&words)
        .env("REGISTRY_URL", format!("postgres://line-7:x@127.0.0.1:{port}/postgres"))
        .spawn()
        .expect("it starts");
    let (mut client, _) = silent.accept().expect("the delivery connects");
    client.read_exact(&mut [0; 8]).expect("it asks for TLS");
    delivery.kill().expect("it runs");
    delivery.wait().expect("it is gone");

    let pending = station.outbox().await.pending(None).await.expect("readable");
    assert_eq!(pending.len(), 1, "{pending:?}");
    let (code, said) = station.deliver(&cluster.url_text());
    assert_eq!(code, 0, "{said}");
    assert_eq!(registered(&cluster).await, [(UNIT.to_string(), PSK.to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_for_another_database_goes_only_where_it_is_sent() {
    let Some(cluster) = PrivateCluster::start_new() else { return };
    let station = Station::new();
    let gone = Secret::new("postgres://old.example.test/fleet");
    station.queue(&RegistryUrl::parse(&gone).expect("an address")).await;
    let (code, said) = station.deliver(&cluster.url_text());
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("1 wait for another registry"), "{said}");
    let file = station.write("url", &cluster.url_text());
    let file = format!("@{}", file.display());
    let words = ["deliver", "--json", "--all", "--registry", &file];
    let (code, said) = ended(station.registry(&words).output().expect("it starts"));
    assert_eq!(code, 0, "{said}");
    let answer: serde_json::Value = serde_json::from_str(&said).expect("one document");
    assert_eq!((&answer["delivered"], &answer["for_others"]), (&1.into(), &0.into()));
    assert_eq!(registered(&cluster).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_station_file_names_the_registry() {
    let Some(cluster) = PrivateCluster::start_new() else { return };
    let station = Station::new();
    station.queue(&cluster.url()).await;
    station.write("jig.toml", "[services.registry]\nurl = { env = \"FLEET\" }\n");
    let words = ["deliver", "--station", "jig.toml"];
    let mut command = station.registry(&words);
    let (code, said) = ended(command.env("FLEET", cluster.url_text()).output().expect("it starts"));
    assert_eq!(code, 0, "{said}");
    assert_eq!(registered(&cluster).await.len(), 1);
}

#[rstest]
#[case::in_arguments(&["--registry", "postgres://u:hunter2@db.example.test/fleet"], "never goes through arguments")]
#[case::no_variable(&["--registry", "$NOT_SET"], "no variable NOT_SET")]
#[case::no_address(&["--registry", "$BAD"], "does not start with postgres://")]
#[case::none(&[], "no registry is named")]
fn a_registry_that_is_badly_named_is_a_usage_error(#[case] words: &[&str], #[case] reason: &str) {
    let station = Station::new();
    let words = [&["deliver"], words].concat();
    let mut command = station.registry(&words);
    let (code, said) =
        ended(command.env("BAD", "mysql://u:hunter2@h/d").output().expect("it starts"));
    assert_eq!(code, 2, "{said}");
    assert!(said.contains(reason), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}
