//! A real mosquitto with TLS, a password file and, if asked, client certificates, in a folder of its own.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use goldline::process::ChildGuard;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

/// The bench's own account at the broker.
pub const BENCH: (&str, &str) = ("bench", "bench password");

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running broker; ends when dropped.
pub struct Mosquitto {
    folder: TempDir,
    port: u16,
    broker: Option<ChildGuard>,
    log: Receiver<String>,
}

/// Whether mosquitto is there. A missing one skips the test by name, but not in CI.
pub fn is_there() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.push("/usr/sbin".into());
    let there = |program: &&str| folders.iter().any(|folder| folder.join(program).is_file());
    let missing = ["mosquitto", "mosquitto_passwd"].into_iter().find(|program| !there(program));
    if let Some(missing) = missing {
        assert!(std::env::var_os("CI").is_none(), "{missing} is missing, and CI must have it");
        eprintln!("skipped: {missing} is not installed");
    }
    missing.is_none()
}

/// What the broker is like.
#[derive(Default)]
pub struct Wanted<'a> {
    /// The names in its certificate, beside 127.0.0.1.
    pub names: &'a [&'a str],
    /// User names and passwords, beside the bench's own.
    pub accounts: &'a [(&'a str, &'a str)],
    /// PEM of the CAs of client certificates, which are then asked for.
    pub client_ca: Option<&'a str>,
    /// Files of the certificates that it shows, and of their key, instead of its own.
    pub shows: Option<(&'a Path, &'a Path)>,
    /// Lines of its access control list; without, everyone may do everything.
    pub rights: Option<&'a str>,
}

impl Mosquitto {
    pub fn start(wanted: &Wanted<'_>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        write_certificates(path, wanted.names);
        if let Some((chain, key)) = wanted.shows {
            fs::copy(chain, path.join("chain.pem")).expect("a file");
            fs::copy(key, path.join("key.pem")).expect("a file");
        }
        write_accounts(path, wanted.accounts);
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = free.local_addr().expect("it is bound").port();
        drop(free);
        let clients = match wanted.client_ca {
            None => "",
            Some(pem) => {
                fs::write(path.join("clients.pem"), pem).expect("a file");
                "cafile clients.pem\nrequire_certificate true\n"
            }
        };
        let rights = wanted.rights.map_or("", |rights| {
            fs::write(path.join("rights"), rights).expect("a file");
            "acl_file rights\n"
        });
        let user = Command::new("id").arg("-un").output().expect("id runs").stdout;
        let configuration = format!(
            "listener {port} 127.0.0.1\ncertfile chain.pem\nkeyfile key.pem\npassword_file accounts\n\
             {clients}{rights}allow_anonymous false\nlog_dest stderr\nlog_type all\nuser {}",
            String::from_utf8_lossy(&user)
        );
        fs::write(path.join("mosquitto.conf"), configuration).expect("a file");
        let (log, broker) = run(path);
        Self { folder, port, broker: Some(broker), log }
    }

    /// Waits until its log has a line with that text.
    pub fn await_log(&self, text: &str) {
        let says = |line: String| line.contains(text);
        while !says(self.log.recv_timeout(PATIENCE).expect("mosquitto says it in time")) {}
    }

    /// Nobody listens at its address any more.
    pub fn stop(&mut self) {
        self.broker = None;
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its address by a name of this machine.
    pub fn url_by_name(&self) -> String {
        format!("mqtts://localhost:{}", self.port)
    }

    pub fn url(&self) -> String {
        format!("mqtts://127.0.0.1:{}", self.port)
    }

    /// PEM of the CA that issued its certificate.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }
}

/// Starts it, and waits until it runs; its log goes on.
fn run(folder: &Path) -> (Receiver<String>, ChildGuard) {
    let mut command = program("mosquitto");
    command.args(["-c", "mosquitto.conf"]).current_dir(folder);
    let mut broker = ChildGuard::spawn(command.stderr(Stdio::piped())).expect("mosquitto starts");
    let log = broker.child().stderr.take().expect("stderr is a pipe");
    let mut lines = BufReader::new(log).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.ends_with("running")), "mosquitto ended instead of running");
    let (tell, told) = channel();
    // It goes on logging, and must not meet a closed pipe.
    std::thread::spawn(move || lines.for_each(|line| drop(tell.send(line))));
    (told, broker)
}

/// Debian keeps servers where not everyone looks for them.
fn program(name: &str) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(name);
    command.env("PATH", format!("{path}:/usr/sbin"));
    command
}

/// `ca.pem`, and of it `chain.pem` and `key.pem` for those names and 127.0.0.1.
pub fn write_certificates(folder: &Path, names: &[&str]) {
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(DnType::CommonName, "Production CA");
    let ca_key = KeyPair::generate().expect("a key");
    let ca_certificate = ca.self_signed(&ca_key).expect("a CA");
    let issuer = Issuer::new(ca, ca_key);
    let names: Vec<String> =
        names.iter().copied().chain(["127.0.0.1"]).map(str::to_owned).collect();
    let key = KeyPair::generate().expect("a key");
    let server = CertificateParams::new(names).expect("names");
    let server = server.signed_by(&key, &issuer).expect("a certificate");
    fs::write(folder.join("ca.pem"), ca_certificate.pem()).expect("a file");
    fs::write(folder.join("chain.pem"), server.pem()).expect("a file");
    fs::write(folder.join("key.pem"), key.serialize_pem()).expect("a file");
}

/// Hashed in place, so that no password stands in a program's arguments.
fn write_accounts(folder: &Path, accounts: &[(&str, &str)]) {
    let lines = accounts.iter().chain([&BENCH]).map(|(user, word)| format!("{user}:{word}\n"));
    fs::write(folder.join("accounts"), lines.collect::<String>()).expect("a file");
    let hashed = program("mosquitto_passwd").args(["-U", "accounts"]).current_dir(folder).status();
    assert!(hashed.expect("mosquitto_passwd runs").success());
}
