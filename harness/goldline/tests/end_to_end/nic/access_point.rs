//! The access point behind an interface as a witness: hostapd at its control socket.
//!
//! A machine without a radio has a real hostapd too, for 802.1X on a cable, with a real wpa_supplicant at its other end.
//! What that one cannot be made to say, a script says in its words.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{ChildStdout, Command},
};

use rstest::rstest;
use serde_json::{Value, json};

use super::{
    DEAF, MAC, NIC, OTHER, REAL, STUCK, code_of,
    line::{Beside, Line, can_be_had, until},
    product, redirect,
};
use crate::end_to_end::program::{Ended, Station, check, measured, with_waits};

const PLAYED: &str = include_str!("hostapd.py");
const JOINING: &str = include_str!("joining.py");
/// Debian keeps both there.
const HOSTAPD: &str = "/usr/sbin/hostapd";
const SUPPLICANT: &str = "/usr/sbin/wpa_supplicant";
const PASSPHRASE: &str = "MarkerOfASecret";
const REFUSED: &str = "24:0a:c4:00:02:18";

/// A station whose file names the hostapd at a socket.
struct Asked {
    station: Station,
    socket: PathBuf,
}

/// The script.
struct Played {
    process: String,
    said: BufReader<ChildStdout>,
}

impl Played {
    /// Waits until a bench listens to it.
    fn wait_for_bench(&mut self) {
        let mut said = String::new();
        self.said.read_line(&mut said).expect("it says something");
        assert_eq!(said.trim_end(), "attached");
    }

    fn end(self) {
        let mut kill = Command::new("kill");
        assert!(kill.arg(self.process).status().expect("it starts").success());
    }
}

impl Asked {
    fn new() -> Self {
        Self::of(Station::new(), "")
    }

    fn of(station: Station, more: &str) -> Self {
        let socket = station.path("nic0");
        let asked = Self { station, socket };
        asked.write(more);
        asked
    }

    fn write(&self, more: &str) {
        let socket = self.socket.display();
        let text = format!("[network]\nuse = \"{NIC}\"\nhostapd = \"{socket}\"\n{more}");
        self.station.write("asked.toml", text);
    }

    /// Starts the script.
    fn play(&self, line: &mut Line, what: Value) -> Played {
        let mut told = what;
        told["path"] = json!(self.socket);
        let mut script = Command::new("python3");
        script.args(["-c", PLAYED, &told.to_string()]);
        let (process, said) = line.begin(&script);
        Played { process, said }
    }

    fn command(&self, devices: &[&str]) -> Command {
        let words = ["run", "espvault", "--json", "--station", "asked.toml"];
        let mut command = self.station.unit_command(words);
        command.args(["--set", "wifi_ssid=Line"]);
        command.args(devices.iter().flat_map(|device| ["--device", device]));
        command
    }

    fn run(&self, line: &Line, devices: &[&str]) -> Ended {
        line.run(&self.command(devices))
    }
}

fn evidence(record: &Value) -> String {
    check(record, "wifi_join")["evidence"].to_string()
}

#[test]
fn a_unit_that_it_admits_has_a_proven_radio_and_a_signal() {
    if !can_be_had() {
        return;
    }
    let (mut line, asked) = (Line::new(), Asked::new());
    asked.write("[require]\nradio = true\n");
    // One sample far off, of nine.
    let signals = [-61, -60, -62, -90, -61, -60, -62, -61, -63];
    asked.play(&mut line, json!({ "admits": [MAC], "signals": signals }));
    let device = line.unit(&asked.station, "esp32", MAC, None);
    let ended = asked.run(&line, &[&device]);
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (0, &"PASS".into()), "{record:#}");
    assert_eq!(record["network"], json!({ "name": "nic", "radio": "proven" }));
    let measured = |name| measured(&record, "wifi_join", name);
    assert_eq!((measured("ap_rssi"), measured("ap_rssi_samples")), (-61, 9));
    assert_eq!(measured("ap_rssi_spread"), 30);
    assert!(measured("admitted_ms") <= measured("join_ms") + 5000);
    assert!(evidence(&record).contains("hostapd on nic0: the unit was admitted"), "{record:#}");
    assert!(evidence(&record).contains("on the wire: DHCP"), "{record:#}");
    assert!(!ended.said().contains("MarkerOfASecret"), "{}", ended.said());
}

/// Its passphrase may be another than the planned one, and whoever comes in have that: then every good unit shows a wrong
/// one.
#[test]
fn a_wrong_passphrase_is_nobodys_where_no_unit_had_the_right_one() {
    if !can_be_had() {
        return;
    }
    let (mut line, asked) = (Line::new(), Asked::new());
    asked.play(&mut line, json!({ "strangers": [OTHER], "refuses": [MAC] }));
    let (unit, _) = line.unit_out_of_reach(&asked.station, "esp32", MAC, None);
    let ended = asked.run(&line, &[&unit]);
    let record = ended.json();
    assert_eq!((ended.code(), code_of(&record)), (3, "testbed.access_point"), "{record:#}");
    let message = record["diagnosis"]["message"].to_string();
    assert!(message.contains("another passphrase than units are given"), "{message}");
    assert!(evidence(&record).contains("the unit's passphrase was refused"), "{record:#}");
}

#[rstest]
#[case::where_another_was(json!({ "strangers": [OTHER] }), "wifi.not_joined", "witness: hostapd on nic0 admitted the station 24:0a:c4:00:02:14")]
#[case::where_nobody_was(json!({}), "testbed.access_point", "hostapd on nic0 has not admitted the unit")]
fn one_that_it_never_admits_is_blamed(
    #[case] played: Value,
    #[case] code: &str,
    #[case] words: &str,
) {
    if !can_be_had() {
        return;
    }
    let (mut line, asked) = (Line::new(), Asked::new());
    asked.play(&mut line, played);
    let (unit, _) = line.unit_out_of_reach(&asked.station, "esp32", MAC, None);
    let quick = with_waits("espvault", |key, _| (key == "wifi_s").then_some(3));
    asked.station.write("espvault.toml", quick);
    let words_of = ["run", "espvault.toml", "--json", "--station", "asked.toml", "--device", &unit];
    let mut command = asked.station.unit_command(words_of);
    let record = line.run(command.args(["--set", "wifi_ssid=Line"])).json();
    assert_eq!(code_of(&record), code, "{record:#}");
    assert!(evidence(&record).contains("never admitted, and never refused"), "{record:#}");
    assert!(record.to_string().contains(words), "{record:#}");
}

/// hostapd serves wlan1, say, as a part of the bridge that the bench has.
#[test]
fn one_that_serves_a_part_of_a_bridge_is_asked_by_the_name_of_its_socket() {
    if !can_be_had() {
        return;
    }
    let (mut line, asked) = (Line::new(), Asked::new());
    line.ip("link add whole0 type bridge");
    line.ip("link set nic0 master whole0");
    line.ip("link set whole0 up");
    asked.play(&mut line, json!({ "admits": [MAC] }));
    let device = line.unit(&asked.station, "esp32", MAC, None);
    let mut command = asked.command(&[&device]);
    let record = line.run(command.args(["--network", "nic:whole0"])).json();
    assert_eq!(record["verdict"], "PASS", "{record:#}");
    assert_eq!(record["network"]["radio"], "proven", "{record:#}");
}

/// hostapd has no word of one that it knew already, and answers all the same.
#[test]
fn one_that_is_admitted_without_a_word_is_asked_for() {
    if !can_be_had() {
        return;
    }
    let (mut line, asked) = (Line::new(), Asked::new());
    asked.play(&mut line, json!({ "silently": [MAC] }));
    let device = line.unit(&asked.station, "esp32", MAC, None);
    let record = asked.run(&line, &[&device]).json();
    assert_eq!(record["network"]["radio"], "proven", "{record:#}");
    assert!(evidence(&record).contains("hostapd on nic0: the unit is admitted"), "{record:#}");
}

/// A cable, or another access point on the same switch: nothing of its radio was seen, or not since it started.
#[rstest]
#[case::never(json!({}))]
#[case::not_since_its_start(json!({ "stale": [MAC] }))]
fn one_that_came_another_way_does_not_pass(#[case] played: Value) {
    if !can_be_had() {
        return;
    }
    let (mut line, asked) = (Line::new(), Asked::new());
    asked.play(&mut line, played);
    let device = line.unit(&asked.station, "esp32", MAC, None);
    let ended = asked.run(&line, &[&device]);
    let record = ended.json();
    assert_eq!((ended.code(), code_of(&record)), (3, "testbed.access_point"), "{record:#}");
    assert_eq!(record["network"]["radio"], "not_proven");
    assert!(evidence(&record).contains("it came another way"), "{record:#}");
}

#[test]
fn one_that_is_admitted_and_makes_nothing_of_it_is_blamed() {
    if !can_be_had() {
        return;
    }
    let (mut line, asked) = (Line::new(), Asked::new());
    asked.play(&mut line, json!({ "admits": [MAC] }));
    let device = line.unit(&asked.station, "esp32", MAC, Some("radio.no_ip"));
    let ended = asked.run(&line, &[&device]);
    let record = ended.json();
    assert_eq!((ended.code(), code_of(&record)), (1, "wifi.not_joined"), "{record:#}");
    let words = "witness: hostapd on nic0 admitted the unit itself";
    assert!(evidence(&record).contains(words), "{record:#}");
}

/// Whether it hangs or is gone, and whether the unit had come by then or not.
#[rstest]
#[case::gone(DEAF, true)]
#[case::silent(DEAF, false)]
#[case::gone_under_a_unit_that_joined(STUCK, true)]
#[case::silent_under_a_unit_that_joined(STUCK, false)]
fn one_that_is_lost_in_a_run_is_no_units_fault(#[case] fault: &str, #[case] is_gone: bool) {
    if !can_be_had() {
        return;
    }
    let (mut line, asked) = (Line::new(), Asked::new());
    let silence = asked.station.path("silence");
    let mut played = asked.play(&mut line, json!({ "admits": [MAC, OTHER], "silence": silence }));
    let device = line.unit(&asked.station, "esp32", MAC, Some(fault));
    let given = (fault == STUCK).then(|| line.watch_for_lease_of(MAC));
    let running = Beside::start(line.within(&asked.command(&[&device])));
    played.wait_for_bench();
    given.into_iter().for_each(|wait_for_lease| wait_for_lease());
    match is_gone {
        true => played.end(),
        false => fs::write(&silence, "").expect("a file"),
    }
    let (code, record) = running.end();
    assert_eq!((code, &record["verdict"]), (3, &"ERROR".into()), "{record:#}");
    assert!(code_of(&record).starts_with("testbed."), "{record:#}");
    let message = record["diagnosis"]["message"].to_string();
    assert!(message.contains("hostapd at"), "{message}");
}

/// Before any unit is touched.
#[rstest]
#[case::nobody(None, "nobody is there", "start hostapd with ctrl_interface=")]
#[case::another_network(Some(json!({ "ssid": "Other" })), "serves the network Other, and units are to join Line", "give hostapd that name")]
#[case::not_yet(Some(json!({ "state": "COUNTRY_UPDATE" })), "its state is COUNTRY_UPDATE, expected ENABLED", "rfkill list")]
#[case::hangs(Some(json!({ "silence": "/" })), "did not answer within 3 s", "look at hostapd's own log")]
fn one_that_is_no_witness_is_refused(
    #[case] played: Option<Value>,
    #[case] why: &str,
    #[case] action: &str,
) {
    if !can_be_had() {
        return;
    }
    let (mut line, asked) = (Line::new(), Asked::new());
    if let Some(played) = played {
        asked.play(&mut line, played);
    }
    let ended = asked.run(&line, &["rfc2217://127.0.0.1:1?simulated=true"]);
    assert_eq!(ended.code(), 2, "{ended:?}");
    let said = ended.said();
    assert!(said.contains(why) && said.contains(action), "{said}");
}

/// Who vouches for a radio is this nest's last unit, and nobody elsewhere in the room; what the nest's way loses is added.
#[test]
fn a_nest_vouches_for_its_own_way_and_its_loss_is_added() {
    if !can_be_had() {
        return;
    }
    let (mut line, (station, _)) = (Line::new(), product());
    redirect(&station, "");
    let asked = Asked::of(station, "");
    let told = json!({ "admits": [OTHER], "refuses": [REFUSED], "signals": [-61] });
    asked.play(&mut line, told);
    let (refused, _) = line.unit_out_of_reach(&asked.station, "esp32", REFUSED, None);
    let deaf = line.unit(&asked.station, "esp32", MAC, Some(DEAF));
    let sound = line.unit(&asked.station, "esp32", OTHER, None);
    let run_in_nest = |device: &str, more: &str| {
        let port = device.trim_end_matches("?simulated=true");
        asked.write(&format!(
            "[redirect]\ntrusts = \"root.pem\"\nca = \"ca.pem\"\nkey = {{ file = \"ca.key\" }}\naccept_redirect = \"closed\"\n\
             [require]\ncalibration = true\n\
             [[nest]]\nname = \"1\"\ndevice = \"{port}\"\nwitness = [\"/bin/true\"]\n{more}"
        ));
        let words = ["run", "espvault.toml", "--json", "--station", "asked.toml"];
        let mut command = asked.station.unit_command(words);
        command.args(["--device", "nest:1"]).args(REAL.map(|value| ["--set", value]).concat());
        line.run(&command)
    };
    let calibrated = "path_loss_db = 12.5\ncalibrated = 2026-01-01\ncalibration_days = 3650\n";
    let record = run_in_nest(&deaf, calibrated).json();
    assert_eq!(code_of(&record), "testbed.access_point", "{record:#}");
    let message = record["diagnosis"]["message"].to_string();
    assert!(message.contains("no other unit passed in the nest 1"), "{message}");
    let record = run_in_nest(&sound, calibrated).json();
    assert_eq!(record["verdict"], "PASS", "{record:#}");
    let signal = &check(&record, "wifi_join")["measurements"];
    let signal = signal.as_array().expect("some").iter().find(|one| one["name"] == "ap_rssi");
    assert_eq!(signal.expect("it is measured")["value"], -48.5, "{record:#}");
    let loss = "the path loss of the nest 1, 12.5 dB (calibrated on 2026-01-01 for 3650 days)";
    assert!(evidence(&record).contains(loss), "{record:#}");
    let record = run_in_nest(&deaf, calibrated).json();
    assert_eq!(code_of(&record), "wifi.access_point_not_found", "{record:#}");
    let words = "witness: the nest 1 passed another unit";
    assert!(evidence(&record).contains(words), "{record:#}");
    let record = run_in_nest(&refused, calibrated).json();
    assert_eq!(code_of(&record), "testbed.access_point", "the last one did not pass: {record:#}");
    assert_eq!(run_in_nest(&sound, calibrated).code(), 0);
    let record = run_in_nest(&refused, calibrated).json();
    assert_eq!(code_of(&record), "wifi.wrong_password", "{record:#}");
    assert!(evidence(&record).contains(words), "{record:#}");
    let over = "path_loss_db = 12.5\ncalibrated = 2020-01-01\n";
    for (more, why) in [("", "the station file names none"), (over, "for 365 days, which are over")]
    {
        let ended = run_in_nest(&sound, more);
        assert_eq!(ended.code(), 2, "{ended:?}");
        assert!(ended.said().contains(why), "{}", ended.said());
    }
}

/// A program of which nobody hears more than that it starts.
fn silent(words: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("echo starts; exec {words} >/dev/null 2>&1")]);
    command
}

/// A real hostapd on the bench's own interface, and a real wpa_supplicant with the unit's address behind the switch.
struct Wired {
    asked: Asked,
    line: Line,
    supplicant: String,
}

impl Wired {
    /// None where one of the two is not installed.
    fn new() -> Option<Self> {
        for program in [HOSTAPD, SUPPLICANT] {
            if !fs::exists(program).is_ok_and(|there| there) {
                assert!(std::env::var_os("CI").is_none(), "CI has the packages of ci/install");
                println!("skipped: {program} is not installed");
                return None;
            }
        }
        let (mut line, asked) = (Line::new(), Asked::new());
        // Frames of 802.1X go no further than one bridge, unless it is told; and the two that have one address must not
        // be mistaken for each other.
        line.ip("link set br0 type bridge group_fwd_mask 8");
        let machine = line.machine();
        machine.be(MAC);
        line.learns_nothing_from("port1");
        let folder = asked.station.path("");
        let folder = folder.display();
        let users = asked.station.write("users", format!("\"unit\" MD5 \"{PASSPHRASE}\"\n"));
        let configuration = format!(
            "interface=nic0\ndriver=wired\nctrl_interface={folder}\nssid=Line\nieee8021x=1\neap_server=1\neap_user_file={}\nuse_pae_group_addr=1\n",
            users.display()
        );
        let configuration = asked.station.write("hostapd.conf", configuration);
        line.start(&silent(&format!("{HOSTAPD} {}", configuration.display())));
        until("hostapd is there", || asked.socket.exists());
        let supplicant = machine.name().to_owned();
        line.keep(machine);
        Some(Self { asked, line, supplicant })
    }

    /// Has the unit's radio join with a passphrase: when it first asks for an address, or from now on and again whenever
    /// it was refused.
    fn joins_with(&mut self, passphrase: &str, when: When) {
        let configuration = format!(
            "ap_scan=0\nnetwork={{\nkey_mgmt=IEEE8021X\neap=MD5\nidentity=\"unit\"\npassword=\"{passphrase}\"\neapol_flags=0\n}}\n"
        );
        let file = self.asked.station.write("supplicant.conf", configuration);
        let control = self.asked.station.path("");
        let mut joining = Command::new("python3");
        joining.args(["-c", JOINING, &format!("{when:?}"), MAC, &self.supplicant]);
        joining.arg(file).arg(control);
        assert_eq!(self.line.start(&joining), "looking");
    }
}

#[derive(Debug)]
enum When {
    AtStart,
    AgainAndAgain,
}

#[test]
fn a_unit_that_a_real_hostapd_admits_has_a_proven_radio() {
    if !can_be_had() {
        return;
    }
    let Some(mut wired) = Wired::new() else { return };
    let device = wired.line.unit(&wired.asked.station, "esp32", MAC, None);
    wired.joins_with(PASSPHRASE, When::AtStart);
    let ended = wired.asked.run(&wired.line, &[&device]);
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (0, &"PASS".into()), "{record:#}");
    assert_eq!(record["network"]["radio"], "proven");
    assert!(evidence(&record).contains("hostapd on nic0: the unit was admitted"), "{record:#}");
    let names = check(&record, "wifi_join")["measurements"].to_string();
    assert!(!names.contains("ap_rssi"), "it has no radio to hear with: {names}");
    assert!(!ended.said().contains(PASSPHRASE), "{}", ended.said());
}

#[test]
fn what_a_real_hostapd_refuses_is_told() {
    if !can_be_had() {
        return;
    }
    let Some(mut wired) = Wired::new() else { return };
    let (device, _) = wired.line.unit_out_of_reach(&wired.asked.station, "esp32", MAC, None);
    wired.joins_with("another-passphrase", When::AgainAndAgain);
    let ended = wired.asked.run(&wired.line, &[&device]);
    let record = ended.json();
    assert_eq!((ended.code(), code_of(&record)), (3, "testbed.access_point"), "{record:#}");
    let evidence = evidence(&record);
    assert!(evidence.contains("what the unit shows by 802.1X was refused"), "{evidence}");
}

/// It speaks the same protocol, and serves nobody.
#[test]
fn a_real_supplicant_is_no_access_point() {
    if !can_be_had() {
        return;
    }
    let Some(wired) = Wired::new() else { return };
    let control = wired.asked.station.path("supplicant");
    let text = format!("ctrl_interface={}\nap_scan=0\n", control.display());
    let file = wired.asked.station.write("other.conf", text);
    let mut line = wired.line;
    line.ip("link add other0 type veth peer name other1");
    line.ip("link set other0 up");
    line.start(&silent(&format!("{SUPPLICANT} -D wired -i other0 -c {}", file.display())));
    let socket = control.join("other0");
    until("it is there", || socket.exists());
    let asked = Asked { socket, ..wired.asked };
    asked.write("");
    let ended = asked.run(&line, &["rfc2217://127.0.0.1:1?simulated=true"]);
    assert_eq!(ended.code(), 2, "{ended:?}");
    assert!(ended.said().contains("who answers there is no hostapd"), "{}", ended.said());
}
