//! The sample repositories: each is taken as it stands, its build folder made of a firmware model's images, and the
//! commands run that its README and its workflow name.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use rstest::rstest;

use super::{
    junit,
    program::{Ended, Station},
};

/// The steps of a workflow that are commands, a line each.
const STEPS: &str = "\
import sys, yaml
workflow = yaml.safe_load(open(sys.argv[1]))
# YAML reads the key `on` as a truth value.
assert workflow['name'] and (True in workflow or 'on' in workflow), workflow
for job in workflow['jobs'].values():
    assert job['runs-on'] and job['steps'], job
    for step in job['steps']:
        assert ('run' in step) != ('uses' in step), step
        print(step.get('run', ''))
";

const BOOTLOADER: usize = 0x1000;
const APP: usize = 0x2_0000;

/// A repository as a user has it: the sample, and what its build would leave.
struct Repository {
    station: Station,
    folder: PathBuf,
}

impl Repository {
    fn of(sample: &str) -> Self {
        let station = Station::new();
        let folder = station.path(sample);
        copy_folder(&samples().join(sample), &folder);
        let ended = station.unit(["run", "--json", "--device", "simulator:?flash-file=unit.flash"]);
        let record = ended.json();
        let flash = fs::read(station.path("unit.flash")).expect("the unit's flash");
        let profile = fs::read_to_string(folder.join("goldline.toml")).expect("a profile");
        let profile: toml::Table = profile.parse().expect("TOML");
        let images = &profile["images"];
        let files = [
            ("app", APP, images["app"].get("file")),
            ("bootloader", BOOTLOADER, images.get("bootloader")),
        ];
        for (name, offset, file) in files {
            let file = file.and_then(|file| file.as_str()).expect("a path");
            if file == "esp-idf" {
                continue;
            }
            let made = record["images"].as_array().expect("images").iter();
            let made = made.clone().find(|image| image["name"] == name).expect("it was flashed");
            let bytes = usize::try_from(made["bytes"].as_u64().expect("a length")).expect("small");
            let path = folder.join(file);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, &flash[offset..offset + bytes]).expect("written");
        }
        Self { station, folder }
    }

    /// Runs a line as a shell of a CI would, with the simulated unit in the place of an emulator.
    fn shell(&self, line: &str) -> Ended {
        let program = Path::new(env!("CARGO_BIN_EXE_goldline"));
        let path = env::var("PATH").unwrap_or_default();
        let mut shell = Command::new("sh");
        Ended::of(
            self.within(&mut shell)
                .args(["-c", line])
                .env("PATH", format!("{}:{path}", program.parent().expect("a folder").display())),
        )
    }

    fn within<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .current_dir(&self.folder)
            .env("HOME", self.station.path("home"))
            .env("GOLDLINE_STATE", self.station.state())
            .env("GOLDLINE_DEVICE", "simulator:")
    }

    fn commands_of_readme(&self) -> Vec<String> {
        let readme = fs::read_to_string(self.folder.join("README.md")).expect("a README");
        goldlines(readme.split("```").skip(1).step_by(2).flat_map(str::lines))
    }

    /// `None` where no Python reads YAML.
    fn commands_of_workflow(&self) -> Option<Vec<String>> {
        let python = python()?;
        let file = self.folder.join(".github/workflows/unit.yml");
        let said = Ended::of(Command::new(python).args(["-c", STEPS]).arg(file));
        assert_eq!(said.code(), 0, "{said:?}");
        Some(goldlines(said.stdout.lines()))
    }
}

fn goldlines<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    lines.filter(|line| line.starts_with("goldline ")).map(str::to_owned).collect()
}

fn samples() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../samples"))
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder of the repository") {
        let entry = entry.expect("an entry");
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        match entry.file_name().to_str() {
            Some("target") => {}
            _ if from.is_dir() => copy_folder(&from, &to),
            _ => drop(fs::copy(&from, &to).expect("copied")),
        }
    }
}

/// Python of the environment that reads YAML.
fn python() -> Option<PathBuf> {
    let repository = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let venv = env::var_os("GOLDLINE_VENV").map_or(repository.join(".venv"), PathBuf::from);
    let python = venv.join("bin/python");
    let said = Command::new(&python).args(["-c", "import yaml"]).output();
    if said.is_ok_and(|said| said.status.success()) {
        return Some(python);
    }
    assert!(env::var_os("CI").is_none(), "Python's yaml is missing, and CI must have it");
    eprintln!("skipped: no yaml for Python at {}", venv.display());
    None
}

#[rstest]
fn the_commands_of_a_samples_readme_do_what_they_say(
    #[values("esp-idf", "platformio-arduino", "rust")] sample: &str,
) {
    let repository = Repository::of(sample);
    let commands = repository.commands_of_readme();
    assert!(commands.iter().any(|line| line.starts_with("goldline run ")), "{commands:?}");
    for line in commands {
        let ended = repository.shell(&line);
        assert_eq!(ended.code(), 0, "{line}: {ended:?}");
    }
}

#[rstest]
fn a_samples_workflow_passes_with_a_good_unit_and_reports_it(
    #[values("esp-idf", "platformio-arduino", "rust")] sample: &str,
) {
    let repository = Repository::of(sample);
    let Some(commands) = repository.commands_of_workflow() else { return };
    assert!(commands.contains(&"goldline golden review goldline.toml".to_owned()), "{commands:?}");
    for line in &commands {
        let ended = repository.shell(line);
        assert_eq!(ended.code(), 0, "{line}: {ended:?}");
    }
    let report = repository.folder.join("units.xml");
    if commands.iter().any(|line| line.contains("--junit units.xml")) {
        let Some(suites) = junit::suites(&report) else { return };
        assert!(suites[0]["cases"].as_array().is_some_and(|cases| cases.len() > 3), "{suites:#}");
    }
}

/// A change that nobody reviewed, and a bad unit, are told apart.
#[rstest]
fn a_samples_commands_find_a_drift_and_a_bad_unit(
    #[values("esp-idf", "platformio-arduino", "rust")] sample: &str,
) {
    let repository = Repository::of(sample);
    let bad = "goldline run goldline.toml --network cable --fault flash.nvs_bit";
    assert_eq!(repository.shell(bad).code(), 1);
    let file = repository.folder.join("goldline.toml");
    let profile = fs::read_to_string(&file).expect("a profile");
    fs::write(&file, profile.replace("ProductionWiFi", "OtherWiFi")).expect("written");
    assert_eq!(repository.shell("goldline golden review goldline.toml").code(), 1);
    assert_eq!(repository.shell("goldline run goldline.toml --network cable").code(), 2);
}

#[test]
fn the_rust_samples_own_test_runs_a_unit() {
    if env::var_os("GOLDLINE_TIER").is_none_or(|tier| tier != "full") {
        println!("skipped: the Rust sample is built in the full tier only");
        return;
    }
    let repository = Repository::of("rust");
    // It names the crate beside it, which other repositories name by its own.
    let manifest = repository.folder.join("Cargo.toml");
    let text = fs::read_to_string(&manifest).expect("a manifest");
    let crate_ = samples().join("../harness/record").canonicalize().expect("the crate");
    let text = text.replace("../../harness/record", crate_.to_str().expect("UTF-8"));
    fs::write(&manifest, text).expect("written");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let home = env::var_os("HOME").unwrap_or_default();
    let mut test = Command::new(cargo);
    let test = repository.within(&mut test).args(["test", "--offline", "--package", "vault-unit"]);
    test.env("GOLDLINE_PROGRAM", env!("CARGO_BIN_EXE_goldline")).env("HOME", home);
    let ended = Ended::of(test);
    if ended.stderr.contains("no matching package") || ended.stderr.contains("offline mode") {
        println!("skipped: the Rust sample's dependencies are not in cargo's cache");
        return;
    }
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert!(ended.stdout.contains("2 passed"), "{ended:?}");
}
