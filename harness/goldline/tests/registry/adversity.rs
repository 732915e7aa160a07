//! A database that is slow, killed, full or of another schema: no row is lost, none is there twice, and the
//! user is told what to do.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    os::unix::fs::chown,
    path::PathBuf,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::Duration,
};

use goldline::{
    clock::Deadline,
    identity::Mac,
    registry::{Device, RegistryUrl},
    secret::Secret,
    station,
    store::{Enrolled, OutboxKey},
};
use rstest::rstest;
use sqlx::{AssertSqlSafe, Connection, Row};
use time::Duration as Span;
use uuid::Uuid;

use super::{
    cluster::PrivateCluster,
    devices::{NOON, PSK, UNIT, device, row},
    program::Station,
};

/// Too short for a database that is held up, and long enough for one that is not.
fn impatience() -> Deadline {
    Deadline::after(Duration::from_secs(3))
}

/// Where the conversation about a row is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Cut {
    /// The row never reaches the server.
    Before,
    /// The row is written, and the answer never comes.
    After,
}

/// Between the station and its database: it holds up what follows on the statement that writes a row.
fn held_up(server: u16, cut: Cut) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("it is bound").port();
    thread::spawn(move || {
        let (mut client, _) = listener.accept().expect("the station connects");
        let mut database = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).expect("it runs");
        let silent = Arc::new(AtomicBool::new(false));
        let (mut answers, mut back) =
            (database.try_clone().expect("a stream"), client.try_clone().expect("a stream"));
        let muted = Arc::clone(&silent);
        thread::spawn(move || {
            while let Some(answer) = chunk(&mut answers) {
                if !muted.load(Ordering::SeqCst) && back.write_all(&answer).is_err() {
                    break;
                }
            }
        });
        let mut prepared = false;
        // The statement is made ready first, and carried out by the message after that.
        while let Some(said) = chunk(&mut client) {
            if prepared {
                silent.store(true, Ordering::SeqCst);
            }
            if (!prepared || cut == Cut::After) && database.write_all(&said).is_err() {
                break;
            }
            prepared |= said.windows(19).any(|part| part == b"INSERT INTO devices");
        }
        let _gone = database.shutdown(Shutdown::Write);
    });
    port
}

fn chunk(from: &mut TcpStream) -> Option<Vec<u8>> {
    let mut buffer = vec![0; 65536];
    let length = from.read(&mut buffer).ok().filter(|length| *length > 0)?;
    buffer.truncate(length);
    Some(buffer)
}

/// UUID and secret of every row.
async fn rows(cluster: &PrivateCluster) -> Vec<(String, String)> {
    let rows = sqlx::query("SELECT global_uuid, psk_secret FROM devices ORDER BY id")
        .fetch_all(&mut cluster.client().await)
        .await
        .expect("readable");
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

async fn waiting(station: &Station) -> usize {
    station.outbox().await.pending(None).await.expect("readable").len()
}

#[rstest]
#[case::before_the_row(Cut::Before, 0)]
#[case::after_the_row(Cut::After, 1)]
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_too_slow_with_its_answer_has_the_row_once(
    #[case] cut: Cut,
    #[case] there_already: usize,
) {
    let Some(cluster) = PrivateCluster::start_new() else { return };
    cluster.registry().await.close().await;
    let station = Station::new();
    let outbox = station.outbox().await;
    let url = cluster.url_by(held_up(cluster.port(), cut));
    let enrolled = outbox.enrol(Some(&url), "zeroconf", &row(device()), NOON, impatience()).await;
    let Enrolled::Queued { reason } = enrolled.expect("noted") else { panic!("no answer came") };
    assert!(reason.contains("no answer within 3.0 s"), "{reason}");
    assert!(reason.contains("until goldline registry deliver reaches it"), "{reason}");
    assert_eq!((rows(&cluster).await.len(), waiting(&station).await), (there_already, 1));

    let delivery = station::deliver(&outbox, &cluster.url(), true).await.expect("delivered");
    assert_eq!((delivery.done.delivered, delivery.rows[0].row), (1, 1));
    assert_eq!(rows(&cluster).await, [(UNIT.to_string(), PSK.to_owned())]);
    assert_eq!(waiting(&station).await, 0);
}

/// What was given up may still be carried out, as soon as the lock is free: not over what is newer.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_someone_holds_locked_has_the_newest_row_in_the_end() {
    let Some(cluster) = PrivateCluster::start_new() else { return };
    cluster.registry().await.close().await;
    let station = Station::new();
    let outbox = station.outbox().await;
    let mut holder = cluster.client().await;
    let mut lock = holder.begin().await.expect("begun");
    sqlx::raw_sql("LOCK TABLE devices IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *lock)
        .await
        .expect("locked");
    let stale = Device { psk: Secret::new("stale"), ..device() };
    let newer = Device { provisioned_at: NOON + Span::MINUTE, ..device() };
    for device in [stale, newer] {
        let url = cluster.url();
        let enrolled = outbox.enrol(Some(&url), "zeroconf", &row(device), NOON, impatience()).await;
        assert!(matches!(enrolled, Ok(Enrolled::Queued { .. })), "{enrolled:?}");
    }
    assert_eq!(waiting(&station).await, 1);
    lock.rollback().await.expect("free");
    let delivery = station::deliver(&outbox, &cluster.url(), false).await.expect("delivered");
    assert_eq!(delivery.done.delivered, 1);
    assert_eq!(rows(&cluster).await, [(UNIT.to_string(), PSK.to_owned())]);
}

/// Units of one lot.
fn unit(number: u8) -> Device {
    let mac = Mac([0xA4, 0xCF, 0x12, 0, 1, number]);
    Device { uuid: Uuid::from_u128(u128::from(number)), mac, ..device() }
}

/// Passes everything on, and tells when the station has said so many things.
fn counting(server: u16, after: usize, told: Sender<()>) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("it is bound").port();
    thread::spawn(move || {
        let (mut client, _) = listener.accept().expect("the station connects");
        let mut database = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).expect("it runs");
        let (mut answers, mut back) =
            (database.try_clone().expect("a stream"), client.try_clone().expect("a stream"));
        thread::spawn(move || {
            while let Some(answer) = chunk(&mut answers) {
                if back.write_all(&answer).is_err() {
                    break;
                }
            }
            let _gone = back.shutdown(Shutdown::Both);
        });
        let mut said = 0;
        while let Some(message) = chunk(&mut client) {
            said += 1;
            if database.write_all(&message).is_err() {
                break;
            }
            if said == after {
                // Whoever listens may be gone, when all was said before.
                let _heard = told.send(());
            }
        }
        let _gone = database.shutdown(Shutdown::Both);
    });
    port
}

/// The server and all of its processes are killed at moments that fall before, between and within the rows.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_killed_in_the_midst_of_a_delivery_has_each_row_once() {
    const UNITS: u8 = 12;
    let Some(mut cluster) = PrivateCluster::start_new() else { return };
    cluster.registry().await.close().await;
    let (mut expected, mut interrupted) = (BTreeSet::new(), 0);
    for (round, after) in (0..).zip([1, 3, 6, 7, 9, 12, 15, 20]) {
        let station = Station::new();
        let outbox = station.outbox().await;
        for number in 0..UNITS {
            let device = unit(round * UNITS + number);
            let key = OutboxKey {
                registry: None,
                profile: "zeroconf".to_owned(),
                unit: device.uuid.to_string(),
                status: None,
            };
            expected.insert(device.uuid.to_string());
            outbox.enqueue(&key, &row(device).to_text(), NOON).await.expect("queued");
        }
        let (tell, told): (_, Receiver<()>) = channel();
        let url = cluster.url_by(counting(cluster.port(), after, tell));
        let killed = async {
            let heard = tokio::task::spawn_blocking(move || told.recv()).await.expect("no panic");
            heard.expect("it says that much");
            cluster.kill();
        };
        let (delivery, ()) = tokio::join!(station::deliver(&outbox, &url, true), killed);
        let delivery = delivery.expect("the queue is sound");
        interrupted += usize::from(delivery.done.waiting > 0);
        for row in &delivery.pending {
            let why = row.last_error.as_deref().unwrap_or("not tried");
            let told = why.contains("rows wait until goldline registry deliver reaches it");
            assert!(told || why == "not tried", "{why}");
        }
        cluster.start();
        let url: RegistryUrl = cluster.url();
        let rest = station::deliver(&outbox, &url, true).await.expect("the queue is sound");
        let counted = delivery.done.delivered + rest.done.delivered;
        assert_eq!((counted, rest.pending.len()), (u32::from(UNITS), 0), "after {after}");
    }
    assert!(interrupted >= 4, "only {interrupted} deliveries were cut short");
    let there: Vec<String> = rows(&cluster).await.into_iter().map(|(uuid, _)| uuid).collect();
    assert_eq!(there.len(), expected.len(), "none twice");
    assert_eq!(there.into_iter().collect::<BTreeSet<_>>(), expected, "none lost");
}

/// A small file system for a table; gone when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where this user must not mount.
    fn of(cluster: &PrivateCluster) -> Option<Self> {
        let (folder, owner) = cluster.place();
        let disk = Self(folder.join("small"));
        fs::create_dir(&disk.0).expect("a folder");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=256k,mode=0700", "tmpfs"]).arg(&disk.0);
        let mounted = mount.stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !mounted.is_ok_and(|status| status.success()) {
            println!("skipped: this user must not mount");
            return None;
        }
        if let Some((user, group)) = owner {
            chown(&disk.0, Some(user), Some(group)).expect("root may give files away");
        }
        Some(disk)
    }

    fn filler(&self) -> PathBuf {
        self.0.join("somebody-elses-file")
    }

    fn fill(&self) {
        let mut file = File::create(self.filler()).expect("a file");
        while file.write_all(&[0; 4096]).is_ok() {}
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the server may still have the table open.
        let _gone = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_whose_disk_is_full_takes_the_row_once_there_is_room() {
    let Some(cluster) = PrivateCluster::start_new() else { return };
    cluster.registry().await.close().await;
    let Some(disk) = SmallDisk::of(&cluster) else { return };
    let moved = format!(
        "CREATE TABLESPACE small LOCATION '{}'; ALTER TABLE devices SET TABLESPACE small",
        disk.0.display()
    );
    for statement in moved.split("; ") {
        let mut client = cluster.client().await;
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut client).await.expect("moved");
    }
    disk.fill();
    let station = Station::new();
    station.queue(&cluster.url()).await;
    let (code, said) = station.deliver(&cluster.url_text());
    assert_eq!(code, 3, "{said}");
    // PostgreSQL's word for it, with its code.
    assert!(said.contains("No space left on device (53100)"), "{said}");
    assert!(said.contains("1 waiting") && said.contains("rows wait until"), "{said}");
    assert!(!said.contains(PSK) && rows(&cluster).await.is_empty(), "{said}");

    fs::remove_file(disk.filler()).expect("it was filled");
    let (code, said) = station.deliver(&cluster.url_text());
    assert!(code == 0 && said.contains("1 delivered"), "{said}");
    assert_eq!(rows(&cluster).await, [(UNIT.to_string(), PSK.to_owned())]);
}

/// Each is told with what mends it, and mended so; the row was never lost.
#[rstest]
#[case::no_such_schema(
    "ALTER ROLE \"line-7\" SET search_path = fleet",
    "no schema has been selected to create in (3F000)",
    "CREATE SCHEMA fleet"
)]
#[case::another_schemas_table(
    "CREATE SCHEMA fleet; CREATE TABLE fleet.devices (global_uuid TEXT UNIQUE); ALTER ROLE \"line-7\" SET search_path = fleet, public",
    "it has no column mac_address; run ALTER TABLE devices ADD COLUMN",
    "ALTER ROLE \"line-7\" RESET search_path"
)]
#[case::no_column(
    "ALTER TABLE devices DROP COLUMN status",
    "it has no column status; run ALTER TABLE devices ADD COLUMN status VARCHAR(20);",
    "ALTER TABLE devices ADD COLUMN status VARCHAR(20)"
)]
#[case::a_narrow_column(
    "ALTER TABLE devices ALTER COLUMN status TYPE VARCHAR(4)",
    "status takes 4 characters, up to 20 are needed",
    "ALTER TABLE devices ALTER COLUMN status TYPE VARCHAR(20)"
)]
#[case::a_column_of_another_type(
    "ALTER TABLE devices ALTER COLUMN provisioned_at DROP DEFAULT, ALTER COLUMN provisioned_at TYPE BIGINT USING 0",
    "provisioned_at",
    "ALTER TABLE devices ALTER COLUMN provisioned_at TYPE TIMESTAMP USING NULL"
)]
#[case::an_id_that_is_no_number(
    "ALTER TABLE devices ALTER COLUMN id DROP DEFAULT, ALTER COLUMN id TYPE UUID USING gen_random_uuid(), ALTER COLUMN id SET DEFAULT gen_random_uuid()",
    "uuid to bigint",
    "ALTER TABLE devices DROP COLUMN id; ALTER TABLE devices ADD COLUMN id SERIAL PRIMARY KEY"
)]
#[case::a_column_of_others_that_must_be_filled(
    "ALTER TABLE devices ADD COLUMN owner TEXT NOT NULL",
    "the column owner does not take its value",
    "ALTER TABLE devices ALTER COLUMN owner SET DEFAULT ''"
)]
#[case::no_right_to_write(
    "ALTER ROLE \"line-7\" SET default_transaction_read_only = on",
    "read-only transaction (25006)",
    "ALTER ROLE \"line-7\" SET default_transaction_read_only = off"
)]
#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_another_schema_keeps_no_row_and_loses_none(
    #[case] change: &str,
    #[case] told: &str,
    #[case] cure: &str,
) {
    let Some(cluster) = PrivateCluster::start_new() else { return };
    cluster.registry().await.close().await;
    let mut client = cluster.client().await;
    sqlx::raw_sql(AssertSqlSafe(change)).execute(&mut client).await.expect("changed");
    let station = Station::new();
    station.queue(&cluster.url()).await;
    for _ in 0..2 {
        let (code, said) = station.deliver(&cluster.url_text());
        assert_eq!(code, 3, "{said}");
        assert!(said.contains("0 delivered"), "{said}");
        assert!(said.contains(told), "{said}");
        assert!(!said.contains(PSK), "{said}");
    }
    sqlx::raw_sql(AssertSqlSafe(cure)).execute(&mut client).await.expect("mended");
    for delivered in ["1 delivered", "0 delivered"] {
        let (code, said) = station.deliver(&cluster.url_text());
        assert!(code == 0 && said.contains(delivered), "{said}");
    }
    assert_eq!(rows(&cluster).await, [(UNIT.to_string(), PSK.to_owned())]);
}
