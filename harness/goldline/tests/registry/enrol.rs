//! A run's own way into the register: on the disk first, then sent once.

use std::{net::Ipv4Addr, time::Duration};

use goldline::{clock::Deadline, registry::RegistryUrl, secret::Secret, store::Enrolled};
use sqlx::{AssertSqlSafe, Row};
use time::Duration as Span;
use tokio::net::TcpListener;

use super::{
    cluster::PrivateCluster,
    devices::{NOON, PSK, device, patience, row},
    program::Station,
};
use goldline::registry::Device;

async fn enrol(station: &Station, url: Option<&RegistryUrl>, device: Device) -> Enrolled {
    let outbox = station.outbox().await;
    outbox.enrol(url, "zeroconf", &row(device), NOON, patience()).await.expect("noted")
}

async fn waiting(station: &Station) -> usize {
    station.outbox().await.pending(None).await.expect("readable").len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_is_recorded_and_nothing_waits() {
    let Some(cluster) = PrivateCluster::start_new() else { return };
    let station = Station::new();
    let url = cluster.url();
    assert_eq!(enrol(&station, Some(&url), device()).await, Enrolled::Recorded { id: 1 });
    assert_eq!(enrol(&station, Some(&url), device()).await, Enrolled::Recorded { id: 1 });
    assert_eq!(waiting(&station).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_is_provisioned_anew_while_the_database_is_down_is_sent_once_and_newest() {
    let Some(mut cluster) = PrivateCluster::create() else { return };
    let station = Station::new();
    let url = cluster.url();
    let stale = Device { psk: Secret::new("stale"), ..device() };
    let newer = Device { provisioned_at: NOON + Span::MINUTE, ..device() };
    for device in [stale, newer] {
        let enrolled = enrol(&station, Some(&url), device).await;
        assert!(matches!(enrolled, Enrolled::Queued { .. }), "{enrolled:?}");
    }
    assert_eq!(waiting(&station).await, 1);
    cluster.start();
    let (code, said) = station.deliver(&cluster.url_text());
    assert_eq!(code, 0, "{said}");
    let rows = sqlx::query("SELECT psk_secret FROM devices")
        .fetch_all(&mut cluster.client().await)
        .await
        .expect("readable");
    let psks: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(psks, [PSK]);
}

#[tokio::test]
async fn a_silent_database_delays_a_run_no_longer_than_its_deadline() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let port = silent.local_addr().expect("bound").port();
    let text = format!("postgres://line-7:hunter2@127.0.0.1:{port}/fleet");
    let url = RegistryUrl::parse(&Secret::new(text)).expect("an address");
    let station = Station::new();
    let deadline = Deadline::after(Duration::from_millis(200));
    let outbox = station.outbox().await;
    let enrolled = outbox.enrol(Some(&url), "zeroconf", &row(device()), NOON, deadline).await;
    let Enrolled::Queued { reason } = enrolled.expect("noted") else { panic!("it is silent") };
    assert!(reason.contains("no answer within 0.2 s"), "{reason}");
    let pending = outbox.pending(None).await.expect("readable");
    assert_eq!((pending.len(), pending[0].attempts), (1, 1));
    station.assert_hides(&[PSK, "hunter2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_refused_is_told_and_not_lost() {
    let Some(cluster) = PrivateCluster::start_new() else { return };
    cluster.registry().await.close().await;
    let narrow = "ALTER TABLE devices ADD CONSTRAINT office CHECK (wifi_ssid = 'Office')";
    let mut client = cluster.client().await;
    sqlx::raw_sql(AssertSqlSafe(narrow)).execute(&mut client).await.expect("narrowed");
    let station = Station::new();
    let enrolled = enrol(&station, Some(&cluster.url()), device()).await;
    let Enrolled::Rejected { reason } = enrolled else { panic!("{enrolled:?}") };
    assert!(reason.contains("office"), "{reason}");
    assert_eq!(waiting(&station).await, 1);
    sqlx::raw_sql("ALTER TABLE devices DROP CONSTRAINT office")
        .execute(&mut client)
        .await
        .expect("");
    let (code, said) = station.deliver(&cluster.url_text());
    assert_eq!(code, 0, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_station_without_a_registry_queues_for_the_first_that_comes() {
    let Some(cluster) = PrivateCluster::start_new() else { return };
    let station = Station::new();
    let enrolled = enrol(&station, None, device()).await;
    assert!(matches!(enrolled, Enrolled::Queued { .. }), "{enrolled:?}");
    let (code, said) = station.deliver(&cluster.url_text());
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("1 delivered"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_has_a_newer_row_of_the_unit_is_told() {
    let Some(cluster) = PrivateCluster::start_new() else { return };
    let url = cluster.url();
    let station = Station::new();
    let late = Device { provisioned_at: NOON + Span::DAY, ..device() };
    enrol(&station, Some(&url), late).await;
    let enrolled = enrol(&station, Some(&url), device()).await;
    let Enrolled::Rejected { reason } = enrolled else { panic!("{enrolled:?}") };
    assert!(reason.contains("compare the stations' clocks"), "{reason}");
}
