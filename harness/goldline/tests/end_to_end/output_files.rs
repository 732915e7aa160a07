//! Files that a user names for output: what is there and is no regular file stays what it is, what
//! somebody had in a file stays unless `--force` says otherwise, and a refusal comes before anything is
//! touched.

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    os::unix::{
        fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink},
        net::UnixListener,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use goldline_nvs::{
    Document, Value, Version,
    crypt::{self, Keys},
    generate,
};
use rstest::rstest;
use rustix::{
    fs::{CWD, Dev, FileType, Mode, makedev, mknodat},
    process::geteuid,
};

use super::program::{Ended, Station};

const SOMEBODYS: &[u8] = b"somebody's";

/// The folder that the outputs lie in.
const DESK: &str = "desk";

/// One output of one command.
struct Output {
    /// `{desk}` stands for the folder, `{file}` for the file in it.
    arguments: &'static str,
    /// Its name in the folder.
    file: &'static str,
    /// Whether the command has `--force`.
    forcible: bool,
}

const fn forcible(arguments: &'static str, file: &'static str) -> Output {
    Output { arguments, file, forcible: true }
}

const fn unforcible(arguments: &'static str, file: &'static str) -> Output {
    Output { arguments, file, forcible: false }
}

const OUTPUTS: [Output; 25] = [
    forcible("run --json --save-credentials {file}", "saved.json"),
    forcible("provision espvault --save-credentials {file}", "saved.json"),
    forcible("check --json --save-credentials {file}", "saved.json"),
    forcible("reprovision zeroconf --only wifi --save-credentials {file}", "saved.json"),
    forcible("factory-reset safesignal --save-credentials {file}", "saved.json"),
    forcible("run --json --out {desk}", "record.json"),
    forcible("provision --out {desk}", "console.log"),
    forcible("run --json --junit {file}", "units.xml"),
    forcible("check --junit {file}", "units.xml"),
    forcible("run --device simulator: --device simulator: --out {desk}", "02"),
    forcible("golden make espvault --out {desk}", "nvs.bin"),
    forcible("records export --format csv --out {file}", "runs.csv"),
    forcible("testbed issue --server localhost --out {desk}", "ca.pem"),
    forcible("testbed issue --server localhost --out {desk}", "certificate.pem"),
    forcible("testbed issue --client bench --out {desk}", "key.pem"),
    unforcible("run --json --device simulator:?flash-file={file}", "unit.flash"),
    unforcible("simulator serve --flash-file {file} --firmware espvault", "unit.flash"),
    unforcible("simulator serve --flash-file unit.flash --pty {file}", "port"),
    forcible("nvs generate unit.csv {file} 0x3000", "made.bin"),
    forcible("nvs edit unit.bin --compact --output {file}", "edited.bin"),
    forcible("nvs encrypt unit.bin {file} --keys keys.bin", "encrypted.bin"),
    forcible("nvs decrypt secret.bin {file} --keys keys.bin", "decrypted.bin"),
    forcible("nvs repair damaged.bin {file}", "repaired.bin"),
    forcible("nvs salvage damaged.bin {file}", "salvaged.bin"),
    unforcible("nvs keygen {file}", "new-keys.bin"),
];

impl Output {
    fn command(&self, station: &Station, file: &Path, force: bool) -> Command {
        let mut command = station.command();
        command.env("GOLDLINE_STATE", station.state());
        let (desk, file) = (station.path(DESK), file.to_str().expect("UTF-8"));
        for argument in self.arguments.split(' ') {
            let argument = argument.replace("{desk}", desk.to_str().expect("UTF-8"));
            command.arg(argument.replace("{file}", file));
        }
        if force {
            command.arg("--force");
        }
        command
    }

    /// Whether the user names the file itself, and not the folder that it lies in.
    fn names_the_file(&self) -> bool {
        self.arguments.contains("{file}")
    }
}

/// A station with an empty desk, and what the commands read beside it.
fn station() -> Station {
    let station = Station::new();
    fs::create_dir(station.path(DESK)).expect("a folder");
    station.write(
        "unit.csv",
        "key,type,encoding,value\nns,namespace,,\nwifi_pw,data,string,Tulip-77\n",
    );
    let mut document = Document::new();
    document.insert("ns", "wifi_pw", Value::str("Tulip-77")).expect("a value");
    let image = generate(&document, 0x3000, Version::V2).expect("it fits");
    let keys = Keys::new([7; 64]);
    station.write("secret.bin", crypt::encrypt(&image, &keys));
    station.write("keys.bin", keys.to_partition());
    let mut damaged = image.clone();
    damaged[4] ^= 1;
    station.write("damaged.bin", damaged);
    station.write("unit.bin", image);
    station
}

/// What stands in a file's place, and how it is made.
type Thing = (&'static str, fn(&Path));

/// Something at a place that is not for a file.
fn obstacles() -> Vec<Thing> {
    vec![
        ("folder", |path| fs::create_dir(path).expect("a folder")),
        ("named pipe", |path| node(path, FileType::Fifo, 0)),
        ("socket", |path| drop(UnixListener::bind(path).expect("a socket"))),
        ("link to a folder", |path| {
            fs::create_dir(path.with_extension("target")).expect("a folder");
            symlink(path.with_extension("target"), path).expect("a link");
        }),
        ("link that leads nowhere", |path| {
            symlink(path.with_extension("missing"), path).expect("a link");
        }),
    ]
}

/// What is for a file, and taken.
fn earlier() -> Vec<Thing> {
    vec![
        ("file", |path| fs::write(path, SOMEBODYS).expect("written")),
        ("link to a file", |path| {
            fs::write(path.with_extension("target"), SOMEBODYS).expect("written");
            symlink(path.with_extension("target"), path).expect("a link");
        }),
    ]
}

/// Devices of our own, with the numbers of `null` and `zero`; nothing of the machine's is touched.
fn devices() -> Vec<Thing> {
    vec![
        ("null", |path| node(path, FileType::CharacterDevice, makedev(1, 3))),
        ("zero", |path| node(path, FileType::CharacterDevice, makedev(1, 5))),
        ("link to zero", |path| {
            node(&path.with_extension("target"), FileType::CharacterDevice, makedev(1, 5));
            symlink(path.with_extension("target"), path).expect("a link");
        }),
    ]
}

fn node(path: &Path, kind: FileType, numbers: Dev) {
    let mode = Mode::from_raw_mode(0o644);
    mknodat(CWD, path, kind, mode, numbers).expect("a node of our own");
}

/// Everything below a folder: kind and permission bits, device numbers, which node it is, content.
fn snapshot(folder: &Path) -> BTreeMap<PathBuf, (u32, u64, u64, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the test") {
            let path = entry.expect("an entry").path();
            let node = fs::symlink_metadata(&path).expect("it is there");
            let content = match () {
                () if node.is_file() => fs::read(&path).expect("readable"),
                () if node.is_symlink() => {
                    fs::read_link(&path).expect("a link").into_os_string().into_encoded_bytes()
                }
                () => Vec::new(),
            };
            if node.is_dir() {
                folders.push(path.clone());
            }
            found.insert(path, (node.mode(), node.rdev(), node.ino(), content));
        }
    }
    found
}

/// Runs a command that should end without a word on standard output; one that serves would never end.
fn ended(mut command: Command) -> Ended {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let printed = child.stdout.as_mut().expect("a pipe").read(&mut [0]).expect("readable");
    if printed > 0 {
        child.kill().expect("it can be ended");
    }
    Ended::from(child.wait_with_output().expect("it ends"))
}

/// Asserts that the command is refused and that nothing of the station changes, not even its state.
fn assert_refused(station: &Station, output: &Output, file: &Path, force: bool, what: &str) {
    let before = snapshot(&station.path(""));
    let ended = ended(output.command(station, file, force));
    let what = format!("{what} for {} (force: {force})", output.arguments);
    assert_eq!(ended.status.code(), Some(2), "{what}: {ended:?}");
    assert_eq!(ended.stdout, "", "{what}");
    let name = file.file_name().expect("a name").to_str().expect("UTF-8");
    assert!(ended.said().contains(name), "{what}: no {name} in {}", ended.said());
    let advice = ["name ", "choose ", "make it"];
    assert!(advice.iter().any(|way| ended.said().contains(way)), "{what}: {}", ended.said());
    assert_eq!(snapshot(&station.path("")), before, "{what}: {}", ended.said());
}

fn assert_each_refused(obstacles: Vec<Thing>, force: bool) {
    for output in OUTPUTS.iter().filter(|output| !force || output.forcible) {
        for (what, make) in &obstacles {
            // A folder is what is asked for there.
            if output.file == "02" && what.ends_with("folder") {
                continue;
            }
            let station = station();
            let file = station.path(DESK).join(output.file);
            make(&file);
            assert_refused(&station, output, &file, force, what);
        }
    }
}

#[rstest]
fn what_is_no_regular_file_stays_what_it_is(#[values(false, true)] force: bool) {
    assert_each_refused(obstacles(), force);
}

#[test]
fn an_earlier_file_stays_when_nobody_asked() {
    assert_each_refused(earlier(), false);
}

/// As root a test of ours once made files of `/dev/zero` and `/dev/null`.
#[rstest]
fn a_device_stays_a_device_also_for_root(#[values(false, true)] force: bool) {
    if !geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "only root makes devices, and CI must be it");
        eprintln!("skipped: only root makes devices");
        return;
    }
    let station = station();
    let made = station.path(DESK).join("zero");
    node(&made, FileType::CharacterDevice, makedev(1, 5));
    let found = fs::symlink_metadata(&made).expect("it is there");
    assert!(found.file_type().is_char_device() && found.rdev() == makedev(1, 5), "{found:?}");
    assert_each_refused(devices(), force);
}

#[test]
fn a_folder_that_is_missing_is_not_made_for_a_file() {
    for output in OUTPUTS.iter().filter(|output| output.names_the_file()) {
        let station = station();
        let file = station.path(DESK).join("missing").join(output.file);
        assert_refused(&station, output, &file, false, "missing folder");
    }
}

/// Root writes everywhere.
#[test]
fn a_folder_that_takes_no_files_is_known_before_anything_is_touched() {
    if geteuid().is_root() {
        eprintln!("skipped: root writes into every folder");
        return;
    }
    for output in &OUTPUTS {
        let station = station();
        let desk = station.path(DESK);
        fs::set_permissions(&desk, fs::Permissions::from_mode(0o500)).expect("chmod");
        let ended = ended(output.command(&station, &desk.join(output.file), false));
        assert_eq!(ended.status.code(), Some(2), "{}: {ended:?}", output.arguments);
        assert!(!station.state().exists(), "{}", output.arguments);
    }
}

#[rstest]
#[case::report(&["run", "--json", "--out"])]
#[case::issued(&["testbed", "issue", "--client", "bench", "--out"])]
fn what_is_no_folder_does_not_become_one(#[case] command: &[&str]) {
    let makes = [obstacles(), earlier()].concat();
    for (what, make) in makes.into_iter().filter(|(what, _)| !what.ends_with("folder")) {
        let station = station();
        let folder = station.path(DESK).join("folder");
        make(&folder);
        let before = snapshot(&station.path(""));
        let mut asked = station.command();
        asked.args(command).arg(&folder).arg("--force").env("GOLDLINE_STATE", station.state());
        let ended = ended(asked);
        assert_eq!((ended.code(), ended.stdout.as_str()), (2, ""), "{what}: {ended:?}");
        assert!(ended.said().contains("a folder is expected"), "{what}: {}", ended.said());
        assert_eq!(snapshot(&station.path("")), before, "{what}");
    }
}

#[rstest]
#[case::credentials("run --save-credentials {file}", "saved.json", 0o600)]
#[case::record("run --out {desk}", "record.json", 0o644)]
#[case::log("run --out {desk}", "console.log", 0o644)]
#[case::runs("records export --format csv --out {file}", "runs.csv", 0o644)]
#[case::certificate("testbed issue --client bench --out {desk}", "certificate.pem", 0o644)]
#[case::key("testbed issue --client bench --out {desk}", "key.pem", 0o600)]
#[case::image("nvs generate unit.csv {file} 0x3000", "made.bin", 0o600)]
#[case::ciphertext("nvs encrypt unit.bin {file} --keys keys.bin", "encrypted.bin", 0o644)]
#[case::plain_text("nvs decrypt secret.bin {file} --keys keys.bin", "decrypted.bin", 0o600)]
#[case::repaired("nvs repair damaged.bin {file}", "repaired.bin", 0o600)]
#[case::salvaged("nvs salvage damaged.bin {file}", "salvaged.bin", 0o600)]
fn an_earlier_file_is_replaced_by_force(
    #[case] arguments: &'static str,
    #[case] name: &'static str,
    #[case] mode: u32,
) {
    let station = station();
    let file = station.path(DESK).join(name);
    fs::write(&file, SOMEBODYS).expect("written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("chmod");
    let ended = Ended::of(&mut forcible(arguments, name).command(&station, &file, true));
    assert_eq!(ended.code(), 0, "{ended:?}");
    let found = fs::symlink_metadata(&file).expect("it is there");
    assert!(found.is_file());
    assert_eq!(found.mode() & 0o777, mode);
    assert_ne!(fs::read(&file).expect("readable"), SOMEBODYS);
    for entry in fs::read_dir(station.path(DESK)).expect("the folder") {
        let name = entry.expect("an entry").file_name();
        assert!(!name.to_string_lossy().starts_with('.'), "{name:?} was left");
    }
}

/// A second certificate in the folder of a first one would leave a key that fits neither.
#[test]
fn a_folder_that_has_one_of_the_files_gets_none_of_the_others() {
    let station = station();
    let key = station.path(DESK).join("key.pem");
    fs::write(&key, SOMEBODYS).expect("written");
    let issue = &OUTPUTS[11];
    assert_refused(&station, issue, &key, false, "an earlier key");
    assert_eq!(station.files(&station.path(DESK)), [key]);
}

#[test]
fn a_flash_file_of_a_new_unit_is_its_owners_alone() {
    let station = Station::new();
    let ended = station.unit(["provision", "--device", "simulator:?flash-file=unit.flash"]);
    assert_eq!(ended.code(), 0, "{ended:?}");
    let found = fs::metadata(station.path("unit.flash")).expect("it is there");
    assert_eq!((found.len(), found.mode() & 0o777), (4 << 20, 0o600));
}

#[rstest]
#[case::record(&["--out", "out", "--save-credentials", "out/record.json"])]
#[case::flash(&["--device", "simulator:?flash-file=one", "--save-credentials", "./one"])]
#[case::flashes(&["--device", "simulator:?flash-file=one", "--device", "simulator:?flash-file=./one"])]
fn one_place_is_not_for_two_files(#[case] arguments: &[&str]) {
    let station = Station::new();
    let ended = station.unit([&["run"], arguments].concat());
    assert_eq!((ended.code(), ended.stdout.as_str()), (2, ""), "{ended:?}");
    assert!(ended.said().contains("is named for two files"), "{}", ended.said());
    assert!(!station.path("out").exists() && !station.state().exists());
}

/// A dry run says what the run would say.
#[test]
fn a_dry_run_refuses_what_the_run_would() {
    let station = station();
    let file = station.path(DESK).join("record.json");
    fs::write(&file, SOMEBODYS).expect("written");
    let dry_run = forcible("run --dry-run --out {desk}", "record.json");
    assert_refused(&station, &dry_run, &file, false, "an earlier record");
}

/// The command, with a redirection of the shell's.
fn redirected(command: &Command, redirection: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("exec \"$0\" \"$@\" {redirection}"));
    shell.arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.current_dir(command.get_current_dir().expect("the station's folder"));
    shell
}

#[rstest]
#[case::pass(&["run"], 0)]
#[case::fail(&["run", "--fault", "firmware.wifi_password"], 1)]
#[case::usage(&["run", "espvalt"], 2)]
#[case::arguments(&["run", "--twice"], 2)]
#[case::error(&["run", "--fault", "wire.silent"], 3)]
fn the_exit_code_is_the_runs_whoever_listens(#[case] arguments: &[&str], #[case] code: i32) {
    for redirection in ["2>&-", ">&-", ">&- 2>&-"] {
        let station = Station::new();
        let ended = Ended::of(&mut redirected(&station.unit_command(arguments), redirection));
        assert_eq!(ended.code(), code, "{redirection}: {ended:?}");
    }
    // A pipe whose reader is gone is what panicked.
    let station = Station::new();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = station.unit_command(arguments);
    let ended = command.stderr(writer).stdout(Stdio::null()).status().expect("it starts");
    assert_eq!(ended.code(), Some(code), "a closed pipe as standard error");
}
