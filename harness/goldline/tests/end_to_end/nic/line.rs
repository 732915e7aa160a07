//! A line in a network namespace: a switch, the bench's interface on it, units of other processes, and a plain Linux
//! machine beside them with the kernel's own stack. Needs root, and leaves nothing behind.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{ChildStdout, Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use goldline::process::ChildGuard;
use serde_json::Value;

use super::super::program::{Ended, Station};

/// Frames between a TAP and a unit's wire.
const PLUG: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../simulator/tests/simulator/segment/bridge.py");
/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whether there can be a line here. Skips the test by name where not, but not in CI.
pub fn can_be_had() -> bool {
    let needed = |path: &str| !Path::new(path).exists();
    let missing = if !rustix::process::geteuid().is_root() {
        "this user must not make network namespaces"
    } else if needed("/dev/net/tun") {
        "no TAP can be made: there is no /dev/net/tun"
    } else if Command::new("ip").arg("-V").output().is_err() {
        "ip is not installed"
    } else if Command::new("busybox").arg("true").output().is_err() {
        "busybox is not installed"
    } else if Command::new("mosquitto_sub").arg("--help").output().is_err() {
        "mosquitto_sub is not installed"
    } else {
        return true;
    };
    assert!(std::env::var_os("CI").is_none(), "{missing}, and CI must be able to");
    println!("skipped: {missing}");
    false
}

pub struct Line {
    name: String,
    running: Vec<ChildGuard>,
    machines: Vec<Machine>,
}

/// The plain machine, in a namespace of its own.
pub struct Machine {
    name: String,
    folder: tempfile::TempDir,
}

impl Line {
    /// With a switch, and the bench's interface `nic0` on it.
    pub fn new() -> Self {
        let line = Self { name: fresh_name("l"), running: Vec::new(), machines: Vec::new() };
        done("ip", &["netns", "add", &line.name]);
        line.ip("link set lo up");
        line.ip("link add br0 type bridge");
        line.ip("link set br0 up");
        line.ip("link add nic0 type veth peer name port0");
        line.ip("link set port0 master br0 up");
        line.ip("link set nic0 up");
        line
    }

    /// A unit of another process on the switch: where its serial port is.
    pub fn unit(
        &mut self,
        station: &Station,
        chip: &str,
        mac: &str,
        fault: Option<&str>,
    ) -> String {
        let (device, tap) = self.unit_out_of_reach(station, chip, mac, fault);
        self.ip(&format!("link set {tap} master br0"));
        device
    }

    /// A unit that sends and is heard by nobody, as one whose radio is refused: where its serial port is, and its end of
    /// the cable that is not plugged in.
    pub fn unit_out_of_reach(
        &mut self,
        station: &Station,
        chip: &str,
        mac: &str,
        fault: Option<&str>,
    ) -> (String, String) {
        let tap = format!("tap{}", self.running.len());
        let mut plug = Command::new("python3");
        plug.args(["-c", &fs::read_to_string(PLUG).expect("it is there"), &tap]);
        let port = self.start(&plug);
        self.ip(&format!("link set {tap} up"));
        let mut unit = station.command();
        unit.args(["simulator", "serve", "--mac", mac, "--chip"]).args(chip.split(' '));
        unit.args(["--rfc2217", "127.0.0.1:0", "--network", &format!("wire:127.0.0.1:{port}")]);
        if let Some(fault) = fault {
            unit.args(["--fault", fault, "--seed", "1"]);
        }
        (format!("{}?simulated=true", self.start(&unit)), tap)
    }

    /// A machine with an address and a resolver by DHCP, from busybox.
    pub fn machine(&self) -> Machine {
        let machine = Machine::new();
        fs::create_dir_all(machine.settings()).expect("a folder");
        fs::write(machine.settings().join("resolv.conf"), "").expect("a file");
        self.ip(&format!("link add port1 type veth peer name eth0 netns {}", machine.name));
        self.ip("link set port1 master br0 up");
        for words in ["link set lo up", "link set eth0 up"] {
            machine.ip(words);
        }
        machine
    }

    /// Has a machine last as long as the line.
    pub fn keep(&mut self, machine: Machine) {
        self.machines.push(machine);
    }

    /// The switch sends nothing to a port because of what came from there.
    pub fn learns_nothing_from(&self, port: &str) {
        done("bridge", &["-n", &self.name, "link", "set", "dev", port, "learning", "off"]);
    }

    /// Does something to an interface.
    pub fn ip(&self, words: &str) {
        done("ip", &[&["-n", &self.name][..], &words.split(' ').collect::<Vec<_>>()].concat());
    }

    /// The hardware address of an interface.
    pub fn mac_of(&self, interface: &str) -> String {
        let path = format!("/sys/class/net/{interface}/address");
        let mut command = Command::new("cat");
        let output = self.within(command.arg(path)).output().expect("it starts");
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    }

    /// A command, in the line's namespace.
    pub fn within(&self, command: &Command) -> Command {
        within(&self.name, command)
    }

    /// Runs the program here to its end.
    pub fn run(&self, command: &Command) -> Ended {
        Ended::of(&mut self.within(command))
    }

    /// Waits until a bench has the interface.
    pub fn wait_for_bench(&self) {
        let mut look = Command::new("cat");
        look.arg("/proc/net/unix");
        let has_it = || {
            let output = self.within(&look).output().expect("it starts");
            String::from_utf8_lossy(&output.stdout).contains("@goldline-nic-nic0")
        };
        until("a bench has the interface", has_it);
    }

    /// Looks for the bench's last word to a station that asks for an address; what is returned waits for it.
    pub fn watch_for_lease_of(&mut self, mac: &str) -> impl FnOnce() + use<> {
        let script = format!(
            "import socket\n\
             s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))\n\
             s.bind(('nic0', 0))\n\
             print('looking', flush=True)\n\
             while True:\n    \
                 f = s.recv(2000)\n    \
                 if f[:6] == bytes.fromhex('{}') and f[34:36] == b'\\0\\x43' and b'\\x35\\x01\\x05' in f: break\n\
             print('given', flush=True)\n",
            mac.replace(':', "")
        );
        let mut command = Command::new("python3");
        command.args(["-c", &script]);
        let (said, mut more) = self.begin(&command);
        assert_eq!(said, "looking");
        move || {
            let mut given = String::new();
            more.read_line(&mut given).expect("it says something");
            assert_eq!(given.trim_end(), "given");
        }
    }

    /// Starts something that lasts as long as the line; its first line of text.
    pub fn start(&mut self, command: &Command) -> String {
        self.begin(command).0
    }

    /// As [`Self::start`], with what it says later.
    pub fn begin(&mut self, command: &Command) -> (String, BufReader<ChildStdout>) {
        let mut command = self.within(command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = ChildGuard::spawn(&mut command).expect("it starts");
        let output = child.child().stdout.take().expect("stdout is a pipe");
        let mut said = String::new();
        let mut output = BufReader::new(output);
        output.read_line(&mut said).expect("it says something");
        assert!(!said.is_empty(), "{command:?} said nothing");
        self.running.push(child);
        (said.trim_end().to_owned(), output)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.running.clear();
        let _gone = Command::new("ip").args(["netns", "del", &self.name]).output();
    }
}

impl Machine {
    /// On nothing yet.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let machine = Self { name: fresh_name("m"), folder };
        done("ip", &["netns", "add", &machine.name]);
        machine
    }

    /// Does something to an interface.
    pub fn ip(&self, words: &str) {
        done("ip", &[&["-n", &self.name][..], &words.split(' ').collect::<Vec<_>>()].concat());
    }

    /// Of its namespace.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Asks for an address, once: what was given.
    pub fn get_address(&self) -> String {
        let script = self.folder.path().join("bound");
        let text = "#!/bin/sh\n\
             [ \"$1\" = bound ] || exit 0\n\
             ip address add $ip/$mask dev $interface\n\
             ip route add default via $router\n\
             echo nameserver $dns > /etc/resolv.conf\n\
             echo $ip $lease > $FOUND\n";
        fs::write(&script, text).expect("a file");
        done("chmod", &["+x", &script.display().to_string()]);
        let found = self.folder.path().join("found");
        let mut client = Command::new("busybox");
        client.args(["udhcpc", "-f", "-q", "-n", "-t", "20", "-T", "1", "-i", "eth0", "-s"]);
        client.arg(&script).env("FOUND", &found);
        let output = within(&self.name, &client).output().expect("it starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fs::read_to_string(found).expect("an address").trim().to_owned()
    }

    /// Takes another hardware address.
    pub fn be(&self, mac: &str) {
        done("ip", &["-n", &self.name, "link", "set", "eth0", "address", mac]);
    }

    /// Runs a program here to its end.
    pub fn exec(&self, program: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(program);
        command.args(arguments);
        within(&self.name, &command).output().expect("it starts")
    }

    /// Says something to an address of the bench's network again and again, for as long as what comes back lives. Knows
    /// the bench's hardware address from before: a unit's start may be over sooner than it could be asked for.
    pub fn keep_talking_to(&self, address: &str) -> ChildGuard {
        for words in [
            "address add 10.77.9.9/16 broadcast + dev eth0",
            "neighbour add 10.77.0.1 lladdr 02:47:4c:00:00:01 dev eth0",
        ] {
            done("ip", &[&["-n", &self.name][..], &words.split(' ').collect::<Vec<_>>()].concat());
        }
        let script = format!(
            "import socket, time\n\
             s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
             s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)\n\
             while True: s.sendto(b'hello', ('{address}', 9)); time.sleep(0.01)"
        );
        let mut talk = Command::new("python3");
        let mut talk = within(&self.name, talk.args(["-c", &script]));
        ChildGuard::spawn(&mut talk).expect("it starts")
    }

    /// Waits until a name is known here.
    pub fn wait_for_name(&self, name: &str) {
        let is_known = || self.exec("getent", &["ahostsv4", name]).status.success();
        until(name, is_known);
    }

    fn settings(&self) -> PathBuf {
        Path::new("/etc/netns").join(&self.name)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _gone = Command::new("ip").args(["netns", "del", &self.name]).output();
        let _none = fs::remove_dir_all(self.settings());
    }
}

/// Runs a program beside something else, to its end.
pub struct Beside {
    child: ChildGuard,
    said: std::thread::JoinHandle<String>,
}

impl Beside {
    pub fn start(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = ChildGuard::spawn(&mut command).expect("it starts");
        let mut output = child.child().stdout.take().expect("stdout is a pipe");
        let said = std::thread::spawn(move || {
            let mut said = String::new();
            output.read_to_string(&mut said).expect("text");
            said
        });
        Self { child, said }
    }

    /// Its end: its code, and the record that it wrote.
    pub fn end(mut self) -> (i32, Value) {
        let said = self.said.join().expect("it is read");
        let status = self.child.child().wait().expect("it ends");
        let record = serde_json::from_str(&said);
        (status.code().unwrap_or(-1), record.unwrap_or_else(|error| panic!("{error} in {said}")))
    }
}

/// A command, in a network namespace.
pub fn within(namespace: &str, command: &Command) -> Command {
    let mut inside = Command::new("ip");
    inside.args(["netns", "exec", namespace]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => inside.env(name, value),
            None => inside.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        inside.current_dir(folder);
    }
    inside.stdin(Stdio::null());
    inside
}

pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn fresh_name(kind: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("gl{kind}{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn done(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
}
