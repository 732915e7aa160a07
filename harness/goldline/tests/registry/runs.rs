//! Whole runs of a product with a registry: the database may be there, slow, down, or gone in between; the
//! unit's verdict does not depend on it, and its row arrives once.

use std::{
    fs,
    io::Read,
    net::{Ipv4Addr, TcpListener},
    path::Path,
};

use serde_json::Value;
use sqlx::{AssertSqlSafe, Row};

use super::{
    cluster::PrivateCluster,
    program::{Station, ended},
};

pub const RUN: &[&str] = &["zeroconf.toml", "--json", "--registry", "$REGISTRY_URL"];

/// A station with the shipped profile, which waits less for a database that does not answer.
pub fn station() -> Station {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/profiles/zeroconf.toml");
    let profile = fs::read_to_string(path).expect("it ships");
    let station = Station::new();
    station.write("zeroconf.toml", &profile.replace("service_s = 20", "service_s = 5"));
    station
}

/// What a run comes to, and what it says of the registry; it passes in any case.
fn run(station: &Station, url: &str) -> Value {
    let mut command = station.goldline("run", RUN);
    let (code, said) = ended(command.env("REGISTRY_URL", url).output().expect("it starts"));
    assert_eq!(code, 0, "{said}");
    let record: Value = serde_json::from_str(&said).expect("one document");
    assert_eq!(record["verdict"], "PASS", "{record:#}");
    let checks = record["checks"].as_array().expect("checks");
    let found = checks.iter().find(|check| check["id"] == "registry_record");
    found.expect("the profile asks for it").clone()
}

/// Number, UUID and network of every row.
async fn rows(cluster: &PrivateCluster) -> Vec<(i32, String, String)> {
    let rows = sqlx::query("SELECT id, global_uuid, wifi_ssid FROM devices ORDER BY id")
        .fetch_all(&mut cluster.client().await)
        .await
        .expect("readable");
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_has_one_row_however_often_it_is_provisioned() {
    let Some(cluster) = PrivateCluster::start_new() else { return };
    let station = station();
    for _ in 0..2 {
        let recorded = run(&station, &cluster.url_text());
        assert_eq!(recorded["outcome"], "pass");
        assert!(recorded["evidence"].to_string().contains("recorded as row 1"), "{recorded:#}");
        let measured = recorded["measurements"].as_array().expect("measurements");
        let row = measured.iter().find(|one| one["name"] == "row").expect("the registry's own id");
        assert_eq!(row["value"], "1", "{recorded:#}");
    }
    let rows = rows(&cluster).await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    let (code, waiting) = ended(station.registry(&["pending"]).output().expect("it starts"));
    assert!(code == 0 && !waiting.contains(&rows[0].1), "{waiting}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_while_the_database_is_down_and_its_row_comes_later() {
    let Some(mut cluster) = PrivateCluster::create() else { return };
    let station = station();
    let queued = run(&station, &cluster.url_text());
    assert_eq!(queued["outcome"], "pass", "{queued:#}");
    let evidence = queued["evidence"].to_string();
    assert!(evidence.contains("durably queued"), "{evidence}");
    assert!(evidence.contains("Connection refused"), "{evidence}");
    assert!(!evidence.contains(cluster.password()), "{evidence}");

    cluster.start();
    for delivered in ["1 delivered", "0 delivered"] {
        let (code, said) = station.deliver(&cluster.url_text());
        assert_eq!(code, 0, "{said}");
        assert!(said.contains(delivered), "{said}");
    }
    assert_eq!(rows(&cluster).await.len(), 1);
    cluster.stop();
    run(&station, &cluster.url_text());
    cluster.start();
    let (code, said) = station.deliver(&cluster.url_text());
    assert!(code == 0 && said.contains("1 delivered"), "{said}");
    assert_eq!(rows(&cluster).await.len(), 1, "the unit's own row was updated");
}

#[test]
fn a_database_that_never_answers_does_not_hold_a_run_up() {
    let station = station();
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = silent.local_addr().expect("bound").port();
    let queued = run(&station, &format!("postgres://line-7:hunter2@127.0.0.1:{port}/fleet"));
    let evidence = queued["evidence"].to_string();
    assert!(evidence.contains("durably queued") && !evidence.contains("hunter2"), "{evidence}");
}

/// The row is on the disk before the database hears of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_while_it_registers_leaves_its_row() {
    let Some(cluster) = PrivateCluster::start_new() else { return };
    let station = station();
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = silent.local_addr().expect("bound").port();
    let mut command = station.goldline("run", RUN);
    command.env("REGISTRY_URL", format!("postgres://line-7:x@127.0.0.1:{port}/postgres"));
    let mut run = command.spawn().expect("it starts");
    let (mut client, _) = silent.accept().expect("the run connects");
    client.read_exact(&mut [0; 8]).expect("it asks for TLS");
    run.kill().expect("it runs");
    run.wait().expect("it is gone");

    let words = ["deliver", "--all", "--registry", "$REGISTRY_URL"];
    for delivered in ["1 delivered", "0 delivered"] {
        let mut command = station.registry(&words);
        let output = command.env("REGISTRY_URL", cluster.url_text()).output().expect("it starts");
        let (code, said) = ended(output);
        assert!(code == 0 && said.contains(delivered), "{said}");
    }
    assert_eq!(rows(&cluster).await.len(), 1);
}

/// It said nothing, and ended with 0.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_the_registry_does_not_take_is_no_good_provisioning() {
    let Some(cluster) = PrivateCluster::start_new() else { return };
    cluster.registry().await.close().await;
    let narrow = "ALTER TABLE devices ADD CONSTRAINT office CHECK (wifi_ssid = 'Office')";
    let mut client = cluster.client().await;
    sqlx::raw_sql(AssertSqlSafe(narrow)).execute(&mut client).await.expect("narrowed");
    let station = station();
    let mut command = station.goldline("provision", RUN);
    command.env("REGISTRY_URL", cluster.url_text());
    let (code, said) = ended(command.output().expect("it starts"));
    let record: Value = serde_json::from_str(&said).expect("one document");
    assert_eq!(code, 3, "{record:#}");
    assert_eq!(record["diagnosis"]["code"], "registry.rejected", "{record:#}");
}
