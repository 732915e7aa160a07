//! The table: made where there is none, and never altered.

use goldline::registry::{Registry, RegistryError};
use rstest::rstest;
use sqlx::{AssertSqlSafe, Row};

use super::{cluster::PrivateCluster, devices::patience};

/// As document 001 prints it: too narrow for a PSK of 64 digits.
const OLD: &str = "CREATE TABLE devices (id SERIAL PRIMARY KEY, global_uuid VARCHAR(36) UNIQUE NOT NULL, \
    mac_address VARCHAR(17) NOT NULL, psk_secret VARCHAR(32) NOT NULL, ca_service_url VARCHAR(255), \
    wifi_ssid VARCHAR(32), provisioned_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, \
    firmware_version VARCHAR(20), hardware_revision VARCHAR(10), location VARCHAR(100), \
    status VARCHAR(20) DEFAULT 'provisioned')";

#[tokio::test(flavor = "multi_thread")]
async fn several_stations_make_the_table_once() {
    let Some(cluster) = PrivateCluster::start_new() else { return };
    let stations: Vec<_> = (0..4)
        .map(|_| {
            let url = cluster.url();
            tokio::spawn(async move {
                let mut registry = Registry::connect(&url, patience()).await?;
                registry.ensure_schema(patience()).await
            })
        })
        .collect();
    for station in stations {
        station.await.expect("no panic").expect("the table fits");
    }
    let indexes = sqlx::query("SELECT count(*) FROM pg_indexes WHERE tablename = 'devices'")
        .fetch_one(&mut cluster.client().await)
        .await
        .expect("readable");
    // The primary key's, that of UNIQUE, and the document's three.
    assert_eq!(indexes.get::<i64, _>(0), 5);
}

#[rstest]
#[case::narrow_psk(
    "SELECT 1",
    "psk_secret takes 32 characters, up to 64 are needed; run ALTER TABLE devices ALTER COLUMN psk_secret TYPE VARCHAR(64);"
)]
#[case::no_location(
    "ALTER TABLE devices DROP COLUMN location, ALTER COLUMN psk_secret TYPE TEXT",
    "it has no column location; run ALTER TABLE devices ADD COLUMN location VARCHAR(100);"
)]
#[case::not_unique(
    "ALTER TABLE devices DROP CONSTRAINT devices_global_uuid_key, ALTER COLUMN psk_secret TYPE TEXT",
    "run ALTER TABLE devices ADD UNIQUE (global_uuid);"
)]
#[case::no_text(
    "ALTER TABLE devices ALTER COLUMN psk_secret TYPE bytea USING psk_secret::bytea",
    "psk_secret is bytea, expected text; run ALTER TABLE devices ALTER COLUMN psk_secret TYPE VARCHAR(64) USING psk_secret::text;"
)]
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_does_not_fit_is_named_with_its_cure_and_left_alone(
    #[case] change: &str,
    #[case] expected: &str,
) {
    let Some(cluster) = PrivateCluster::start_new() else { return };
    let mut client = cluster.client().await;
    sqlx::raw_sql(OLD).execute(&mut client).await.expect("made");
    sqlx::raw_sql(AssertSqlSafe(change)).execute(&mut client).await.expect("changed");
    let mut registry = Registry::connect(&cluster.url(), patience()).await.expect("connected");
    for _ in 0..2 {
        let error = registry.ensure_schema(patience()).await.expect_err("it does not fit");
        assert!(matches!(error, RegistryError::Schema { .. }), "{error:?}");
        assert!(error.may_pass_later(), "the row passes once the table is mended");
        assert!(error.to_string().contains(expected), "{error}");
    }
    // The cure cures.
    let message = registry.ensure_schema(patience()).await.expect_err("still").to_string();
    let start = message.find("ALTER TABLE").expect("a statement");
    let end = message[start..].find(';').expect("its end") + start;
    let cure = message[start..end].to_owned();
    sqlx::raw_sql(AssertSqlSafe(cure)).execute(&mut client).await.expect("the statement runs");
    registry.ensure_schema(patience()).await.expect("the table fits");
}
