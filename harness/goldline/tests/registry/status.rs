//! What the registry says became of a unit: it failed, passed after all, or was scrapped.

use goldline::registry::{Device, Registered, Status, UnitName};
use rstest::rstest;
use serde_json::Value;
use sqlx::Row;
use time::Duration as Span;

use super::{
    cluster::PrivateCluster,
    devices::{NOON, PSK, device, patience, row},
    program::{Station, ended},
    runs::{RUN, station},
};

/// Verdict and code of a command on the one simulated unit, whose flash outlives the command.
fn verdict(station: &Station, url: &str, command: &str, fault: Option<&str>) -> (String, Value) {
    let fault = fault.map(|fault| ["--fault", fault]);
    let device = ["--device", "simulator:?flash-file=unit.flash"];
    let words: Vec<&str> =
        RUN.iter().copied().chain(device).chain(fault.into_iter().flatten()).collect();
    let mut command = station.goldline(command, &words);
    let (_, said) = ended(command.env("REGISTRY_URL", url).output().expect("it starts"));
    let record: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}"));
    let verdict = record["verdict"].as_str().unwrap_or("none").to_owned();
    (verdict, record["diagnosis"]["code"].clone())
}

/// Status, secret and network of every row, and whether it is later than another time.
async fn rows(cluster: &PrivateCluster) -> Vec<(String, String, String)> {
    let rows = sqlx::query("SELECT status, psk_secret, wifi_ssid FROM devices ORDER BY id")
        .fetch_all(&mut cluster.client().await)
        .await
        .expect("readable");
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}

async fn only_row(cluster: &PrivateCluster) -> (String, String, String) {
    let rows = rows(cluster).await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows[0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_fails_is_failed_in_the_registry_until_it_passes() {
    let Some(cluster) = PrivateCluster::start_new() else { return };
    let (station, url) = (station(), cluster.url_text());
    let failed = verdict(&station, &url, "run", Some("firmware.ca_call_missing"));
    assert_eq!(failed, ("FAIL".to_owned(), "ca.not_registered".into()));
    let (status, psk, _) = only_row(&cluster).await;
    assert_eq!((status.as_str(), psk.len()), ("failed", 32), "with the secret that the unit has");

    assert_eq!(verdict(&station, &url, "run", None).0, "PASS");
    let (status, psk, ssid) = only_row(&cluster).await;
    assert_eq!(status, "provisioned");

    // A later check has no news of the unit's values, only of how it is.
    sqlx::raw_sql("UPDATE devices SET wifi_ssid = 'moved'")
        .execute(&mut cluster.client().await)
        .await
        .expect("another station gave it another network");
    assert_ne!(ssid, "moved");
    assert_eq!(verdict(&station, &url, "check", Some("firmware.ca_call_missing")).0, "FAIL");
    assert_eq!(only_row(&cluster).await, ("failed".to_owned(), psk, "moved".to_owned()));
    let (_, waiting) = ended(station.registry(&["pending"]).output().expect("it starts"));
    assert_eq!(waiting, "nothing waits\n");
}

/// The bench's fault says nothing of the unit.
#[rstest]
#[case::error("broker.down", "ERROR")]
#[case::error_before_anything_was_written("ap.absent", "ERROR")]
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_says_nothing_of_the_unit_leaves_its_status(
    #[case] fault: &str,
    #[case] expected: &str,
) {
    let Some(cluster) = PrivateCluster::start_new() else { return };
    let (station, url) = (station(), cluster.url_text());
    assert_eq!(verdict(&station, &url, "run", None).0, "PASS");
    assert_eq!(verdict(&station, &url, "run", Some(fault)).0, expected);
    assert_eq!(only_row(&cluster).await.0, "provisioned");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_waits_while_the_database_is_down_and_its_row_number_is_told_when_it_arrives() {
    let Some(mut cluster) = PrivateCluster::create() else { return };
    let (station, url) = (station(), cluster.url_text());
    assert_eq!(verdict(&station, &url, "run", None).0, "PASS");
    assert_eq!(verdict(&station, &url, "check", Some("firmware.ca_call_missing")).0, "FAIL");
    // The whole row is not lost to the status that came after it.
    let (_, waiting) = ended(station.registry(&["pending", "--json"]).output().expect("starts"));
    let waiting: Value = serde_json::from_str(&waiting).expect("one document");
    let statuses: Vec<_> =
        waiting.as_array().expect("rows").iter().map(|row| &row["status"]).collect();
    assert_eq!(statuses, [&Value::Null, &"failed".into()], "{waiting:#}");

    cluster.start();
    let words = ["deliver", "--json", "--registry", "$REGISTRY_URL"];
    let mut command = station.registry(&words);
    let (code, said) = ended(command.env("REGISTRY_URL", &url).output().expect("it starts"));
    assert_eq!(code, 0, "{said}");
    let answer: Value = serde_json::from_str(&said).expect("one document");
    let told = answer["rows"].as_array().expect("rows");
    assert!(told.iter().all(|row| row["row"] == 1 && row["fate"] == "written"), "{answer:#}");
    assert_eq!((told.len(), &answer["delivered"]), (2, &2.into()));
    let (status, psk, _) = only_row(&cluster).await;
    assert_eq!((status.as_str(), psk.len()), ("failed", 32));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrapped_unit_stays_scrapped_and_is_no_good_unit_any_more() {
    let Some(mut cluster) = PrivateCluster::start_new() else { return };
    let (station, url) = (station(), cluster.url_text());
    assert_eq!(verdict(&station, &url, "run", None).0, "PASS");
    let before = only_row(&cluster).await;
    let uuid: String = sqlx::query("SELECT global_uuid FROM devices")
        .fetch_one(&mut cluster.client().await)
        .await
        .expect("readable")
        .get(0);

    cluster.stop();
    let scrap = |words: &[&str]| {
        let words = [&["scrap"], words].concat();
        ended(station.registry(&words).env("REGISTRY_URL", &url).output().expect("it starts"))
    };
    let (code, said) = scrap(&[&uuid, "--registry", "$REGISTRY_URL"]);
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("1 waiting"), "{said}");
    cluster.start();
    let (code, said) = station.deliver(&url);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains(&format!("- {uuid} scrapped: row 1")), "{said}");
    let (status, psk, ssid) = only_row(&cluster).await;
    assert_eq!((status.as_str(), (psk, ssid)), ("scrapped", (before.1.clone(), before.2)));

    // Run again it is refused, and neither that nor a failure changes its row.
    let again = verdict(&station, &url, "run", None);
    assert_eq!(again, ("ERROR".to_owned(), "registry.rejected".into()));
    assert_eq!(verdict(&station, &url, "check", Some("firmware.ca_call_missing")).0, "FAIL");
    let (code, said) = station.deliver(&url);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("row 1, which stays scrapped"), "{said}");
    let (status, psk, _) = only_row(&cluster).await;
    assert_eq!((status.as_str(), psk), ("scrapped", before.1));
}

#[rstest]
#[case::mac("a4:cf:12:34:56:78")]
#[case::mac_in_another_form("A4CF12345678")]
#[case::uuid("110e3dc9-fa05-568f-a05a-98d00891029d")]
#[tokio::test(flavor = "multi_thread")]
async fn a_unit_is_scrapped_by_what_its_row_knows_it_by(#[case] name: &str) {
    let Some(cluster) = PrivateCluster::start_new() else { return };
    let station = Station::new();
    // Its row may still be on the way; it goes first.
    station.queue(&cluster.url()).await;
    let words = ["scrap", name, "--registry", "$REGISTRY_URL"];
    let mut command = station.registry(&words);
    let output = command.env("REGISTRY_URL", cluster.url_text()).output().expect("it starts");
    let (code, said) = ended(output);
    assert_eq!(code, 0, "{said}");
    assert_eq!(only_row(&cluster).await, ("scrapped".into(), PSK.into(), "Factory".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_nobody_knows_is_not_scrapped_in_silence() {
    let Some(cluster) = PrivateCluster::start_new() else { return };
    cluster.registry().await.close().await;
    let station = Station::new();
    let scrap = |name: &str| {
        let words = ["scrap", name, "--registry", "$REGISTRY_URL"];
        let mut command = station.registry(&words);
        ended(command.env("REGISTRY_URL", cluster.url_text()).output().expect("it starts"))
    };
    let (code, said) = scrap("VAULT-00001");
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("this station has no record of it"), "{said}");
    let (code, said) = scrap("a4:cf:12:34:56:78");
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("1 refused") && said.contains("its row must come first"), "{said}");
}

/// Two stations' words arrive in any order, and the end is the same.
#[rstest]
#[case::in_order([0, 1, 2], Status::Failed)]
#[case::failure_first([1, 0, 2], Status::Failed)]
#[case::backwards([2, 1, 0], Status::Failed)]
#[case::twice([1, 1, 0], Status::Failed)]
#[case::passed_again([1, 3, 0], Status::Provisioned)]
#[case::passed_again_late([3, 1, 0], Status::Provisioned)]
#[tokio::test(flavor = "multi_thread")]
async fn an_older_word_never_overrides_a_newer_status(
    #[case] order: [usize; 3],
    #[case] expected: Status,
) {
    let Some(cluster) = PrivateCluster::start_new() else { return };
    let mut registry = cluster.registry().await;
    let at = |hours, status, status_only| {
        let provisioned_at = NOON + Span::hours(hours);
        row(Device { provisioned_at, status, status_only, ..device() })
    };
    let words = [
        at(0, Status::Provisioned, false),
        at(2, Status::Failed, true),
        at(1, Status::Provisioned, false),
        at(3, Status::Provisioned, false),
    ];
    for index in order {
        registry.upsert(&words[index], patience()).await.expect("understood");
    }
    assert_eq!(only_row(&cluster).await.0, expected.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_place_of_a_scrapped_unit_is_free_for_the_module_that_replaces_it_alone() {
    let Some(cluster) = PrivateCluster::start_new() else { return };
    let mut registry = cluster.registry().await;
    let first = registry.upsert(&row(device()), patience()).await.expect("written");
    let scrapped = registry.scrap(&UnitName::Mac(device().mac), patience()).await;
    assert_eq!(scrapped.expect("scrapped"), [first.id()]);
    let later = Device { provisioned_at: NOON + Span::DAY, ..device() };
    let kept = registry.upsert(&row(later.clone()), patience()).await.expect("understood");
    assert_eq!(kept, Registered::Scrapped { id: first.id() });
    let mac = "a4:cf:12:00:00:99".parse().expect("a MAC");
    let module = row(Device { mac, ..later }).replacing(Some(device().mac));
    assert_eq!(registry.upsert(&module, patience()).await.expect("written"), first);
    assert_eq!(only_row(&cluster).await.0, "provisioned");
}

/// It was counted as delivered, and forgotten.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_whose_uuid_is_another_units_waits_on() {
    let Some(cluster) = PrivateCluster::start_new() else { return };
    let mac = "a4:cf:12:00:00:99".parse().expect("a MAC");
    let holder = row(Device { mac, ..device() });
    cluster.registry().await.upsert(&holder, patience()).await.expect("written");
    let station = Station::new();
    station.queue(&cluster.url()).await;
    for _ in 0..2 {
        let (code, said) = station.deliver(&cluster.url_text());
        assert_eq!(code, 3, "{said}");
        assert!(said.contains("0 delivered, 1 refused"), "{said}");
        assert!(said.contains("is of the unit a4:cf:12:00:00:99"), "{said}");
    }
}
