//! A shop floor of two machines in network namespaces: one has the bench and the site's DNS server, units are on the
//! other, each with the kernel's own TCP/IP stack. Needs root, and leaves nothing behind.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use goldline::process::ChildGuard;

use super::place::dns_server;
use crate::end_to_end::{nic::line::within, program::Station};

/// Where the bench is, and the DNS server.
pub const BENCH: &str = "10.91.0.1";
pub const UNITS: &str = "10.91.0.2";
const DNS: u16 = 53;

/// Whether there can be namespaces. Skips the test by name where not, but not in CI.
pub fn can_be_had() -> bool {
    let missing = if !rustix::process::geteuid().is_root() {
        "this user must not make network namespaces"
    } else if Command::new("ip").arg("-V").output().is_err() {
        "ip is not installed"
    } else {
        return true;
    };
    assert!(std::env::var_os("CI").is_none(), "{missing}, and CI must be able to");
    println!("skipped: {missing}");
    false
}

pub struct Floor {
    bench: String,
    units: String,
    running: Vec<ChildGuard>,
}

impl Floor {
    /// Where that name leads to the bench.
    pub fn with_name(name: &str) -> Self {
        let mut floor =
            Self { bench: fresh_name("b"), units: fresh_name("u"), running: Vec::new() };
        ip(&format!("netns add {}", floor.bench));
        ip(&format!("netns add {}", floor.units));
        ip(&format!(
            "-n {} link add eth0 type veth peer name eth0 netns {}",
            floor.bench, floor.units
        ));
        for (namespace, address) in [(&floor.bench, BENCH), (&floor.units, UNITS)] {
            ip(&format!("-n {namespace} link set lo up"));
            ip(&format!("-n {namespace} address add {address}/24 dev eth0"));
            ip(&format!("-n {namespace} link set eth0 up"));
        }
        let server = dns_server(BENCH, DNS, &format!("/{name}/{BENCH}"), |command| {
            within(&floor.bench, command)
        });
        floor.running.push(server);
        floor
    }

    /// A unit that is switched on there: where its serial port is.
    pub fn unit(&mut self, station: &Station, chip: &str) -> String {
        let mut unit = station.command();
        unit.args(["simulator", "serve", "--chip", chip, "--rfc2217", &format!("{UNITS}:0")]);
        unit.args(["--network", &format!("host:{BENCH}")]);
        let mut unit = within(&self.units, &unit);
        let mut unit = ChildGuard::spawn(unit.stdout(Stdio::piped())).expect("the unit starts");
        let output = unit.child().stdout.take().expect("stdout is a pipe");
        let mut url = String::new();
        BufReader::new(output).read_line(&mut url).expect("it says its port");
        self.running.push(unit);
        format!("{}?simulated=true", url.trim_end())
    }

    /// A command on the bench's machine.
    pub fn at_bench(&self, command: &Command) -> Command {
        within(&self.bench, command)
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        self.running.clear();
        for namespace in [&self.bench, &self.units] {
            // What is left of one would only be in the way of a reader.
            let _gone = Command::new("ip").args(["netns", "del", namespace]).output();
        }
    }
}

fn fresh_name(kind: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("gls{kind}{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn ip(words: &str) {
    let output = Command::new("ip").args(words.split(' ')).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {words}: {said}");
}
