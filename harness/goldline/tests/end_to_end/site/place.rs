//! A site without a network of its own: an address of the loopback that no other test has, where the bench is, and a
//! DNS server there. All units come from the one address of this machine, as behind a NAT.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::{IpAddr, TcpListener},
    path::PathBuf,
    process::{Command, Stdio},
};

use goldline::process::ChildGuard;

use crate::end_to_end::{elsewhere::free_address, program::Station};

/// Where the broker is at the site, by the plan of most profiles.
pub const BROKER_PORT: u16 = 8883;

/// Whether a DNS server is there. A missing one skips the test by name, but not in CI.
pub fn has_names() -> bool {
    let folders = ["/usr/sbin", "/usr/bin", "/usr/local/sbin"].map(PathBuf::from);
    let there = folders.iter().any(|folder| folder.join("dnsmasq").is_file());
    if !there {
        assert!(std::env::var_os("CI").is_none(), "dnsmasq is missing, and CI must have it");
        println!("skipped: dnsmasq is not installed");
    }
    there
}

/// A DNS server that knows one name (`/NAME/ADDRESS`) and asks nobody, in the namespace that `within` enters.
pub fn dns_server(
    at: &str,
    port: u16,
    leads: &str,
    within: impl FnOnce(&Command) -> Command,
) -> ChildGuard {
    let user = Command::new("id").arg("-un").output().expect("id runs").stdout;
    let user = String::from_utf8(user).expect("text");
    let mut server = Command::new("dnsmasq");
    server.args(["--keep-in-foreground", "--conf-file=/dev/null", "--pid-file="]);
    server.args(["--log-facility=-", "--no-resolv", "--no-hosts", "--bind-interfaces"]);
    server.arg(format!("--user={}", user.trim())).arg(format!("--address={leads}"));
    server.arg(format!("--port={port}")).arg(format!("--listen-address={at}"));
    let mut server = within(&server);
    let mut server = ChildGuard::spawn(server.stderr(Stdio::piped())).expect("it starts");
    let said = server.child().stderr.take().expect("stderr is a pipe");
    let mut lines = BufReader::new(said).lines();
    let started = lines.any(|line| line.is_ok_and(|line| line.contains("started, version")));
    assert!(started, "dnsmasq did not start");
    // What it says later must find somebody who reads.
    std::thread::spawn(move || lines.for_each(drop));
    server
}

/// The site, and the units that were switched on there.
pub struct Site {
    pub address: IpAddr,
    names: Option<(u16, ChildGuard)>,
    units: Vec<ChildGuard>,
}

impl Site {
    /// Where every host is known by its address.
    pub fn without_names() -> Self {
        let free = free_address();
        let (address, _) = free.trim_start_matches("wire:").rsplit_once(':').expect("a port");
        let address = address.parse().expect("an address");
        Self { address, names: None, units: Vec::new() }
    }

    /// Where that name leads to the bench, and no other name anywhere.
    pub fn with_name(name: &str) -> Self {
        Self::with_names(&[name])
    }

    /// Where these names lead to the bench, and no other name anywhere.
    pub fn with_names(names: &[&str]) -> Self {
        let site = Self::without_names();
        let free = TcpListener::bind((site.address, 0)).and_then(|free| free.local_addr());
        let port = free.expect("a port").port();
        let leads = format!("/{}/{}", names.join("/"), site.address);
        let at = site.address.to_string();
        let server = dns_server(&at, port, &leads, |command| {
            let mut plain = Command::new(command.get_program());
            plain.args(command.get_args());
            plain
        });
        Self { names: Some((port, server)), ..site }
    }

    /// A station file whose bench is here under these names.
    pub fn station_file_with(&self, station: &Station, advertise: &[&str]) -> String {
        let text = format!(
            "[network]\nuse = \"site\"\nlisten = \"{}\"\nadvertise = {advertise:?}\n",
            self.address
        );
        let path = station.write("station.toml", text);
        path.to_str().expect("UTF-8").to_owned()
    }

    /// A station file whose bench is here under that name.
    pub fn station_file(&self, station: &Station, advertise: &str) -> String {
        let text = format!(
            "[network]\nuse = \"site\"\nlisten = \"{}\"\nadvertise = \"{advertise}\"\n",
            self.address
        );
        let path = station.write("station.toml", text);
        path.to_str().expect("UTF-8").to_owned()
    }

    /// A unit that is switched on here: where its serial port is.
    pub fn unit(&mut self, station: &Station, chip: &str, more: &[&str]) -> String {
        let network = match &self.names {
            Some((port, _)) => format!("host:{}:{port}", self.address),
            None => "host".to_owned(),
        };
        let mut unit = station.command();
        unit.args(["simulator", "serve", "--chip", chip, "--rfc2217", "127.0.0.1:0"]);
        unit.args(["--network", &network]).args(more);
        let mut unit = ChildGuard::spawn(unit.stdout(Stdio::piped())).expect("the unit starts");
        let output = unit.child().stdout.take().expect("stdout is a pipe");
        let mut url = String::new();
        BufReader::new(output).read_line(&mut url).expect("it says its port");
        self.units.push(unit);
        format!("{}?simulated=true", url.trim_end())
    }

    /// Where the bench's broker is, as its units are given it.
    pub fn broker(&self) -> String {
        format!("mqtts://{}:{BROKER_PORT}", self.address)
    }

    /// The bench's own CA, for whoever is to trust it.
    pub fn ca(station: &Station) -> PathBuf {
        let root = station.state().join("ca/root.pem");
        assert!(fs::exists(&root).expect("it can be looked for"), "no bench was here");
        root
    }
}
