//! A disk without room, or that takes no writes: no run begins, or what it came to is kept; what is said was on
//! the disk before.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use super::program::{Ended, Station};

const DEVICE: &str = "simulator:?flash-file=unit.flash";
const DEADLINE: Duration = Duration::from_secs(120);

/// A small file system of its own under a station's state directory; gone when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where this user must not mount.
    fn under(station: &Station) -> Option<Self> {
        let place = station.state();
        fs::create_dir(&place).expect("a folder");
        let disk = Self(place);
        let mounted = disk.mount(&["-t", "tmpfs", "-o", "size=24m,mode=0700", "tmpfs"]);
        if !mounted {
            println!("skipped: this user must not mount");
            return None;
        }
        Some(disk)
    }

    fn mount(&self, words: &[&str]) -> bool {
        let mut mount = Command::new("mount");
        mount.args(words).arg(&self.0).stdout(Stdio::null()).stderr(Stdio::null());
        mount.status().is_ok_and(|status| status.success())
    }

    fn filler(&self) -> PathBuf {
        self.0.join("somebody-elses-file")
    }

    /// Leaves no room at all.
    fn fill(&self) {
        let mut file = File::create(self.filler()).expect("a file");
        for size in [1 << 20, 1 << 12, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn free(&self) {
        fs::remove_file(self.filler()).expect("it was filled");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _gone = Command::new("umount").arg(&self.0).status();
    }
}

fn journal(state: &Path) -> String {
    fs::read_to_string(state.join("journal.jsonl")).unwrap_or_default()
}

fn on_unit(station: &Station, words: &[&str]) -> Ended {
    station.unit([words, &["--json", "--device", DEVICE]].concat())
}

fn next_number(station: &Station) -> serde_json::Value {
    station.unit(["ids", "list", "espvault", "--json"]).json()["series"][0]["next"].clone()
}

fn assert_of_the_station(ended: &Ended) {
    assert_eq!(ended.code(), 3, "{ended:?}");
    let said = ended.json();
    assert_eq!(said["error"]["code"], "station.state", "{said:#}");
    assert!(said["error"]["message"].as_str().is_some_and(|why| why.contains("state")), "{said:#}");
}

#[test]
fn a_run_that_could_not_be_kept_is_not_begun() {
    let station = Station::new();
    let Some(disk) = SmallDisk::under(&station) else { return };
    let order = ["run", "espvault", "--lot", "A"];
    assert_eq!(on_unit(&station, &order).code(), 0);
    let flash = fs::read(station.path("unit.flash")).expect("the flash");
    let before = journal(&station.state());

    disk.fill();
    assert_of_the_station(&on_unit(&station, &order));
    assert_of_the_station(&on_unit(&station, &["check", "espvault"]));
    disk.free();
    assert!(disk.mount(&["-o", "remount,ro"]), "it was mounted before");
    assert_of_the_station(&on_unit(&station, &order));
    assert_of_the_station(&station.unit(["records", "list", "--json"]));
    assert!(disk.mount(&["-o", "remount,rw"]), "it was mounted before");

    assert_eq!(fs::read(station.path("unit.flash")).expect("the flash"), flash);
    assert_eq!(journal(&station.state()), before, "nothing was begun");
    assert_eq!(next_number(&station), 2);
    assert_eq!(on_unit(&station, &["check", "espvault"]).code(), 0);
}

/// No PASS is said that nobody can look up, and the unit is not blamed for what was not kept.
#[test]
fn a_verdict_is_kept_or_not_said() {
    let station = Station::new();
    let Some(disk) = SmallDisk::under(&station) else { return };
    assert_eq!(on_unit(&station, &["run", "espvault"]).code(), 0);
    let boots = || journal(&station.state()).matches("\"stage\":\"boot\"").count();
    let before = boots();
    let mut child = station
        .unit_command(["run", "espvault", "--json", "--device", DEVICE])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let began = Instant::now();
    while boots() == before {
        let ended = child.try_wait().expect("it can be asked");
        assert!(ended.is_none() && began.elapsed() < DEADLINE, "it never booted: {ended:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
    disk.fill();
    let ended = Ended::from(child.wait_with_output().expect("it ends"));
    let record = ended.json();
    assert_eq!(ended.code(), 3, "{ended:?}");
    disk.free();
    // SQLite may have had room in its own files: then the verdict can be looked up.
    if record["verdict"] == "PASS" {
        let run = record["run_id"].as_str().expect("an id");
        assert_eq!(station.unit(["records", "show", "--json", run]).json(), record);
    } else {
        assert_eq!(record["diagnosis"]["code"], "station.state", "{record:#}");
        let message = record["diagnosis"]["message"].as_str().expect("a message");
        assert!(message.contains("came to PASS, which could not be kept"), "{message}");
    }

    let checked = on_unit(&station, &["check", "espvault"]);
    let code = checked.json()["diagnosis"]["code"].clone();
    assert_eq!((checked.code(), code), (3, "station.run_interrupted".into()), "{checked:?}");
    assert_eq!(on_unit(&station, &["run", "espvault"]).code(), 0);
    assert_eq!(on_unit(&station, &["check", "espvault"]).code(), 0);
}
