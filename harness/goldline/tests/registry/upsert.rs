//! One row for one unit, whatever comes twice, late or at once.

use std::{net::Ipv4Addr, time::Duration};

use goldline::{
    clock::Deadline,
    registry::{Device, Registered, Registry, RegistryError, RegistryUrl, Status},
    secret::Secret,
};
use rstest::rstest;
use sqlx::{AssertSqlSafe, Row};
use time::Duration as Span;
use tokio::{io::AsyncReadExt, net::TcpListener};

use super::{
    cluster::PrivateCluster,
    devices::{NOON, PSK, device, patience, row},
};

/// Every column but the number, as text.
async fn stored(cluster: &PrivateCluster) -> Vec<Vec<Option<String>>> {
    let rows = sqlx::query(
        "SELECT ARRAY[global_uuid, mac_address, psk_secret, ca_service_url, wifi_ssid, \
         firmware_version, hardware_revision, location, status, provisioned_at::text] \
         FROM devices ORDER BY id",
    )
    .fetch_all(&mut cluster.client().await)
    .await
    .expect("readable");
    rows.iter().map(|row| row.get(0)).collect()
}

fn some(texts: [&str; 10]) -> Vec<Option<String>> {
    texts.iter().map(|text| (!text.is_empty()).then(|| (*text).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_is_provisioned_anew_keeps_its_row_and_nothing_stale_in_it() {
    let Some(cluster) = PrivateCluster::start_new() else { return };
    let mut registry = cluster.registry().await;
    let first = registry.upsert(&row(device()), patience()).await.expect("written");
    let expected = [
        "110e3dc9-fa05-568f-a05a-98d00891029d",
        "a4:cf:12:34:56:78",
        PSK,
        "https://ca.example.test:8443",
        "Factory",
        "1.4.2",
        "C",
        "",
        "provisioned",
        "2026-11-26 12:00:00",
    ];
    assert_eq!(stored(&cluster).await, [some(expected)]);

    sqlx::raw_sql("UPDATE devices SET location = 'hall 2'")
        .execute(&mut cluster.client().await)
        .await
        .expect("someone noted where it is");
    let new_psk = "0123456789abcdef0123456789abcdef";
    let anew = Device {
        psk: Secret::new(new_psk),
        ca_service_url: Some("https://ca2.example.test".to_owned()),
        wifi_ssid: Some("Café 'n' \"co\"".to_owned()),
        firmware_version: None,
        hardware_revision: None,
        status: Status::Failed,
        provisioned_at: NOON + Span::hours(1),
        ..device()
    };
    let second = registry.upsert(&row(anew), patience()).await.expect("written");
    assert!(matches!(first, Registered::Written { .. }), "{first:?}");
    assert_eq!(second, first, "the row keeps its number");
    let expected = [
        "110e3dc9-fa05-568f-a05a-98d00891029d",
        "a4:cf:12:34:56:78",
        new_psk,
        "https://ca2.example.test",
        "Café 'n' \"co\"",
        "",
        "C",
        "hall 2",
        "failed",
        "2026-11-26 13:00:00",
    ];
    assert_eq!(stored(&cluster).await, [some(expected)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_row_that_comes_late_does_not_overwrite() {
    let Some(cluster) = PrivateCluster::start_new() else { return };
    let mut registry = cluster.registry().await;
    let newer = registry.upsert(&row(device()), patience()).await.expect("written");
    let older =
        Device { psk: Secret::new("stale"), provisioned_at: NOON - Span::SECOND, ..device() };
    let kept = registry.upsert(&row(older), patience()).await.expect("understood");
    assert_eq!(kept, Registered::NewerKept { id: newer.id(), provisioned_at: NOON });
    assert_eq!(stored(&cluster).await[0][2].as_deref(), Some(PSK));
    let again = registry.upsert(&row(device()), patience()).await.expect("written");
    assert_eq!(again, newer, "the same row may come twice");
}

/// Two units with one UUID: the second took the first one's row.
#[tokio::test(flavor = "multi_thread")]
async fn the_row_of_another_unit_is_kept_unless_that_unit_is_replaced() {
    let Some(cluster) = PrivateCluster::start_new() else { return };
    let mut registry = cluster.registry().await;
    let first = registry.upsert(&row(device()), patience()).await.expect("written");
    let mac = "a4:cf:12:00:00:99".parse().expect("a MAC");
    let other = Device { mac, provisioned_at: NOON + Span::HOUR, ..device() };
    let kept = registry.upsert(&row(other.clone()), patience()).await.expect("understood");
    let holder = "a4:cf:12:34:56:78".to_owned();
    assert_eq!(kept, Registered::HeldByOther { id: first.id(), mac: holder });
    assert_eq!(stored(&cluster).await[0][1].as_deref(), Some("a4:cf:12:34:56:78"));

    let replacing = row(other).replacing(Some(device().mac));
    let written = registry.upsert(&replacing, patience()).await.expect("written");
    assert_eq!(written, first, "the row keeps its number");
    assert_eq!(stored(&cluster).await[0][1].as_deref(), Some("a4:cf:12:00:00:99"));
    // What other programs write in another form is the same MAC.
    sqlx::raw_sql("UPDATE devices SET mac_address = 'A4-CF-12-00-00-99'")
        .execute(&mut cluster.client().await)
        .await
        .expect("it is written");
    let same = Device { mac, provisioned_at: NOON + Span::DAY, ..device() };
    let again = registry.upsert(&row(same), patience()).await.expect("written");
    assert_eq!(again, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn stations_that_register_one_unit_at_once_leave_one_row_with_the_newest() {
    let Some(cluster) = PrivateCluster::start_new() else { return };
    cluster.registry().await.close().await;
    let stations: Vec<_> = (0..8)
        .map(|station| {
            let url = cluster.url();
            tokio::spawn(async move {
                let mut registry = Registry::connect(&url, patience()).await.expect("connected");
                let provisioned_at = NOON + Span::seconds(station);
                let wifi_ssid = Some(format!("station {station}"));
                let mine = Device { provisioned_at, wifi_ssid, ..device() };
                registry.upsert(&row(mine), patience()).await.expect("understood").id()
            })
        })
        .collect();
    let mut ids = Vec::new();
    for station in stations {
        ids.push(station.await.expect("no panic"));
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
    let rows = stored(&cluster).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0][4].as_deref(), Some("station 7"));
}

#[rstest]
#[case::narrowed_meanwhile(
    "ALTER TABLE devices ALTER COLUMN wifi_ssid TYPE VARCHAR(3)",
    "wifi_ssid has 7 characters, it takes 3"
)]
#[case::narrow_psk(
    "ALTER TABLE devices ALTER COLUMN psk_secret TYPE VARCHAR(32)",
    "psk_secret has 64 characters, it takes 32"
)]
#[case::a_check(
    "ALTER TABLE devices ADD CONSTRAINT short_psk CHECK (length(psk_secret) < 40)",
    "it breaks the constraint short_psk"
)]
#[case::a_trigger_that_talks(
    "CREATE FUNCTION talk() RETURNS trigger LANGUAGE plpgsql AS \
     $$BEGIN RAISE EXCEPTION 'no %', NEW.psk_secret; END$$; \
     CREATE TRIGGER talk BEFORE INSERT ON devices FOR EACH ROW EXECUTE FUNCTION talk()",
    "the server's log says why"
)]
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_refused_names_the_reason_and_no_secret(
    #[case] change: &str,
    #[case] expected: &str,
) {
    let Some(cluster) = PrivateCluster::start_new() else { return };
    let mut registry = cluster.registry().await;
    let mut client = cluster.client().await;
    sqlx::raw_sql(AssertSqlSafe(change)).execute(&mut client).await.expect("changed");
    let error = registry.upsert(&row(device()), patience()).await.expect_err("refused");
    assert!(matches!(error, RegistryError::Rejected { .. }), "{error:?}");
    assert!(!error.may_pass_later());
    assert!(error.to_string().contains(expected), "{error}");
    let shown = format!("{error} {error:?} {registry:?}");
    assert!(!shown.contains(PSK) && !shown.contains(cluster.password()), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_vanished_may_come_back() {
    let Some(cluster) = PrivateCluster::start_new() else { return };
    let mut registry = cluster.registry().await;
    let mut client = cluster.client().await;
    sqlx::raw_sql("DROP TABLE devices").execute(&mut client).await.expect("dropped");
    let error = registry.upsert(&row(device()), patience()).await.expect_err("no table");
    assert!(matches!(error, RegistryError::Schema { .. }), "{error:?}");
    assert!(error.may_pass_later());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_unavailable_and_shows_neither() {
    let Some(cluster) = PrivateCluster::start_new() else { return };
    let text = cluster.url_text().replace(cluster.password(), "wrong-hunter2");
    let url = RegistryUrl::parse(&Secret::new(text)).expect("an address");
    let error = Registry::connect(&url, patience()).await.expect_err("refused");
    assert!(matches!(error, RegistryError::Unavailable { .. }), "{error:?}");
    assert!(error.to_string().contains("password authentication failed"), "{error}");
    let shown = format!("{error} {error:?} {url:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[tokio::test]
async fn a_database_that_is_down_is_unavailable_at_once() {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let port = free.local_addr().expect("bound").port();
    drop(free);
    let text = format!("postgres://line-7:hunter2@127.0.0.1:{port}/fleet");
    let url = RegistryUrl::parse(&Secret::new(text)).expect("an address");
    let error = Registry::connect(&url, patience()).await.expect_err("nobody is there");
    assert!(matches!(error, RegistryError::Unavailable { .. }), "{error:?}");
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn a_database_that_is_silent_is_given_up_when_its_time_is_over() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let port = silent.local_addr().expect("bound").port();
    let text = format!("postgres://line-7:hunter2@127.0.0.1:{port}/fleet");
    let url = RegistryUrl::parse(&Secret::new(text)).expect("an address");
    let allowed = Duration::from_millis(200);
    let connecting = tokio::spawn(async move {
        let started = tokio::time::Instant::now();
        let connected = Registry::connect(&url, Deadline::after(allowed)).await;
        (connected, started.elapsed())
    });
    let (mut client, _) = silent.accept().await.expect("a client");
    let mut greeting = [0; 8];
    client.read_exact(&mut greeting).await.expect("it asks for TLS first");
    let (connected, took) = connecting.await.expect("no panic");
    let error = connected.expect_err("nobody answers");
    assert!(error.to_string().contains("no answer within 0.2 s"), "{error}");
    assert!(took >= allowed, "{took:?}");
    drop(client);
}
