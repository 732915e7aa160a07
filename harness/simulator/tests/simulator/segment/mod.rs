//! A network segment of others: the kernel's own stack in a namespace, dnsmasq for addresses and names, and
//! servers in Python; each unit hangs on it as a TAP device.
//!
//! Needs root and /dev/net/tun.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const BRIDGE: &str = include_str!("bridge.py");
const SERVERS: &str = include_str!("servers.py");
const DEADLINE: Duration = Duration::from_secs(20);
static COUNT: AtomicU32 = AtomicU32::new(0);

/// Whether the caller can have a segment. Says so by name where not, which is a failure in CI.
pub fn can_be_made() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    let missing = [
        (!is_root, "not root"),
        (!Path::new("/dev/net/tun").exists(), "no /dev/net/tun"),
        (!Path::new("/usr/sbin/dnsmasq").exists(), "dnsmasq is not installed"),
        (!Path::new("/usr/sbin/mosquitto").exists(), "mosquitto is not installed"),
    ];
    let Some((_, reason)) = missing.into_iter().find(|(is_missing, _)| *is_missing) else {
        return true;
    };
    let is_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!is_ci, "{reason}: CI runs as root with the packages of ci/install");
    println!("skipped: {reason}");
    false
}

/// A namespace with a switch, 10.77.0.1 on it.
pub struct Segment {
    name: String,
    folder: TempDir,
    children: Vec<Child>,
    plugs: u32,
}

impl Segment {
    /// With servers, but nobody who gives addresses.
    pub fn new() -> Self {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("gl{}x{count}", std::process::id());
        run("ip", &["netns", "add", &name]);
        let folder = tempfile::tempdir().unwrap();
        let mut segment = Self { name, folder, children: Vec::new(), plugs: 0 };
        segment.within(&["ip", "link", "set", "lo", "up"]);
        segment.within(&["ip", "link", "add", "br0", "type", "bridge"]);
        segment.within(&["ip", "addr", "add", "10.77.0.1/24", "dev", "br0"]);
        segment.within(&["ip", "link", "set", "br0", "up"]);
        segment.serve();
        segment
    }

    /// With dnsmasq too.
    pub fn with_dhcp() -> Self {
        let mut segment = Self::new();
        segment.start_dhcp();
        segment
    }

    /// Names: what stands in `broker.example.test` is 10.77.0.1, and `example.test` has no other.
    pub fn start_dhcp(&mut self) {
        let log = format!("--log-facility={}", self.log_path().display());
        let leases = format!("--dhcp-leasefile={}", self.folder.path().join("leases").display());
        let arguments = [
            "/usr/sbin/dnsmasq",
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--user=root",
            "--pid-file=",
            "--interface=br0",
            "--bind-interfaces",
            "--no-resolv",
            "--no-hosts",
            "--no-ping",
            "--dhcp-authoritative",
            "--dhcp-range=10.77.0.10,10.77.0.99,255.255.255.0,2m",
            "--host-record=broker.example.test,10.77.0.1",
            "--local=/example.test/",
            "--log-dhcp",
            &log,
            &leases,
        ];
        let child = self.command(&arguments).stdin(Stdio::null()).spawn().unwrap();
        self.children.push(child);
        self.wait_for_log("started, version");
    }

    /// A socket of the switch, for one unit.
    pub fn plug(&mut self) -> Plug {
        self.plugs += 1;
        let tap = format!("{}p{}", self.name.trim_start_matches("gl"), self.plugs);
        let mut child = Command::new("python3")
            .args(["-c", BRIDGE, &tap])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let port: u16 = line(&mut said).parse().unwrap();
        run("ip", &["link", "set", &tap, "netns", &self.name]);
        self.within(&["ip", "link", "set", &tap, "master", "br0", "up"]);
        Plug { child, said, address: SocketAddr::from(([127, 0, 0, 1], port)) }
    }

    /// Waits for a word of dnsmasq's.
    pub fn wait_for_log(&self, words: &str) -> String {
        wait_for(&self.log_path(), words)
    }

    /// A broker of others behind TLS on port 8883, and where it logs.
    pub fn start_mosquitto(&mut self, certificate: &str, key: &str) -> std::path::PathBuf {
        let path = |name| self.folder.path().join(name);
        let (log, configuration) = (path("mosquitto.log"), path("mosquitto.conf"));
        fs::write(path("leaf.pem"), certificate).unwrap();
        fs::write(path("leaf.key"), key).unwrap();
        let text = format!(
            "user root\nallow_anonymous true\nlistener 8883 10.77.0.1\ncertfile {}\nkeyfile {}\nlog_dest file {}\n",
            path("leaf.pem").display(),
            path("leaf.key").display(),
            log.display(),
        );
        fs::write(&configuration, text).unwrap();
        let arguments = ["/usr/sbin/mosquitto", "-c", configuration.to_str().unwrap()];
        let child = self.command(&arguments).stdin(Stdio::null()).spawn().unwrap();
        self.children.push(child);
        wait_for(&log, "running");
        log
    }

    /// Connections that the kernel holds in a state, as `ss` lists them.
    pub fn connections(&self, state: &str) -> String {
        let output = self.command(&["ss", "-Htn", "state", state]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    fn serve(&mut self) {
        let mut child =
            self.command(&["python3", "-c", SERVERS]).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        self.children.push(child);
        assert_eq!(line(&mut said), "ready");
    }

    fn log_path(&self) -> std::path::PathBuf {
        self.folder.path().join("dnsmasq.log")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).args(arguments);
        command
    }

    fn within(&self, arguments: &[&str]) {
        let status = self.command(arguments).status().unwrap();
        assert!(status.success(), "{arguments:?}: {status}");
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        for child in &mut self.children {
            end(child);
        }
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

/// Where one unit connects.
pub struct Plug {
    child: Child,
    said: BufReader<ChildStdout>,
    pub address: SocketAddr,
}

impl Plug {
    pub fn cut(&mut self) {
        self.order("cut");
    }

    pub fn restore(&mut self) {
        self.order("restore");
    }

    fn order(&mut self, order: &str) {
        let orders = self.child.stdin.as_mut().unwrap();
        writeln!(orders, "{order}").unwrap();
        assert_eq!(line(&mut self.said), order);
    }
}

impl Drop for Plug {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Waits for words in a log.
pub fn wait_for(log: &Path, words: &str) -> String {
    let started = Instant::now();
    loop {
        let text = fs::read_to_string(log).unwrap_or_default();
        if text.contains(words) {
            return text;
        }
        assert!(started.elapsed() < DEADLINE, "{words:?} did not appear in:\n{text}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn line(said: &mut impl BufRead) -> String {
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    line.trim().to_owned()
}

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status().unwrap();
    assert!(status.success(), "{program} {arguments:?}: {status}");
}
