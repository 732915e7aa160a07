//! A PostgreSQL of a test's own: in a temporary folder, on a port that the system gave, with a password
//! that nobody knows, gone when dropped.
//!
//! It needs the server's programs only, wherever Debian or `PATH` has them. `initdb` refuses root, so
//! that a test of root's runs them as another user.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, TcpListener},
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use goldline::{
    registry::{Registry, RegistryUrl},
    secret::Secret,
};
use rustix::process::{Pid, Signal, getuid, kill_process};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

use super::devices::patience;

const USER: &str = "line-7";
/// How often it is tried, when someone takes the free port before the server does.
const PORTS: usize = 5;

/// A cluster that was made, and runs or not.
pub struct PrivateCluster {
    programs: PathBuf,
    folder: TempDir,
    owner: Option<(u32, u32)>,
    password: String,
    port: u16,
    server: Option<Child>,
}

impl PrivateCluster {
    /// Makes a cluster that does not run yet. `None`, with a word on why, where there is no PostgreSQL;
    /// in a CI that is a failure.
    pub fn create() -> Option<Self> {
        let Some(programs) = programs() else {
            assert!(std::env::var_os("CI").is_none(), "PostgreSQL is missing, and CI must have it");
            eprintln!("skipped: PostgreSQL's server is not installed");
            return None;
        };
        let owner = getuid().is_root().then(unprivileged_user);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let password = format!("pw-{}", uuid::Uuid::new_v4().simple());
        let cluster = Self { programs, folder, owner, password, port: free_port(), server: None };
        cluster.initialise();
        Some(cluster)
    }

    /// Makes a cluster and starts it.
    pub fn start_new() -> Option<Self> {
        let mut cluster = Self::create()?;
        cluster.start();
        Some(cluster)
    }

    fn initialise(&self) {
        let word = self.folder.path().join("password");
        fs::write(&word, &self.password).expect("a file");
        for path in [self.folder.path(), &word] {
            if let Some((user, group)) = self.owner {
                chown(path, Some(user), Some(group)).expect("root may give files away");
            }
        }
        let done = self
            .program("initdb")
            .args(["--no-sync", "--encoding=UTF8", "--locale=C", "--auth=scram-sha-256"])
            .args(["--username", USER, "--pwfile"])
            .arg(&word)
            .arg("--pgdata")
            .arg(self.data())
            .output()
            .expect("initdb starts");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    /// Starts the server and waits until it says that it takes connections.
    pub fn start(&mut self) {
        for _ in 0..PORTS {
            match self.try_start() {
                Ok(server) => {
                    self.server = Some(server);
                    return;
                }
                Err(log) if log.contains("Address already in use") => self.port = free_port(),
                // What was killed a moment ago is not gone yet.
                Err(log) if log.contains("pre-existing shared memory block") => {}
                Err(log) => panic!("PostgreSQL ended instead of running:\n{log}"),
            }
        }
        panic!("PostgreSQL did not start {PORTS} times, for a port or an earlier server");
    }

    fn try_start(&self) -> Result<Child, String> {
        let mut server = self
            .program("postgres")
            .arg("-D")
            .arg(self.data())
            .arg("-k")
            .arg(self.folder.path())
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string()])
            // A test's data need not outlive a loss of power.
            .args(["-F", "-c", "log_destination=stderr", "-c", "logging_collector=off"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("postgres starts");
        let log = server.stderr.take().expect("stderr is a pipe");
        let mut lines = BufReader::new(log).lines().map_while(Result::ok);
        let mut said = String::new();
        for line in lines.by_ref() {
            said += &line;
            said.push('\n');
            if line.contains("ready to accept connections") {
                // It goes on logging, and must not meet a closed pipe.
                std::thread::spawn(move || lines.for_each(drop));
                return Ok(server);
            }
        }
        server.wait().expect("it ended");
        Err(said)
    }

    /// Stops the server; its data and its port stay.
    pub fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            // The fast shutdown: clients are sent away.
            kill_process(Pid::from_child(&server), Signal::INT).expect("the server runs");
            server.wait().expect("the server ends");
        }
    }

    /// Ends the server and all of its children at once, in the midst of whatever they do.
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            let pid = Pid::from_child(&server);
            let children = children_of(pid);
            kill_process(pid, Signal::KILL).expect("the server runs");
            server.wait().expect("the server ends");
            for child in children {
                // It may have seen that its parent is gone.
                let _gone = kill_process(child, Signal::KILL);
            }
        }
    }

    /// The folder that its owner may use, and who that is where it is another user.
    pub fn place(&self) -> (&Path, Option<(u32, u32)>) {
        (self.folder.path(), self.owner)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of its database by another port of this machine.
    pub fn url_by(&self, port: u16) -> RegistryUrl {
        let own = format!(":{}/", self.port);
        let text = self.url_text().replace(&own, &format!(":{port}/"));
        RegistryUrl::parse(&Secret::new(text)).expect("an address")
    }

    /// A program of the cluster's owner, in the cluster's folder.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.current_dir(self.folder.path()).env_clear().env("LC_ALL", "C");
        command.env("PATH", "/usr/bin:/bin");
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        command
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn password(&self) -> &str {
        &self.password
    }

    /// The URL of its database, password included.
    pub fn url_text(&self) -> String {
        format!("postgres://{USER}:{}@127.0.0.1:{}/postgres", self.password, self.port)
    }

    pub fn url(&self) -> RegistryUrl {
        RegistryUrl::parse(&Secret::new(self.url_text())).expect("an address")
    }

    /// A registry on it, with its table.
    pub async fn registry(&self) -> Registry {
        let mut registry = Registry::connect(&self.url(), patience()).await.expect("connected");
        registry.ensure_schema(patience()).await.expect("the table fits");
        registry
    }

    /// A connection beside the registry's, to look and to prepare.
    pub async fn client(&self) -> PgConnection {
        PgConnection::connect(&self.url_text()).await.expect("connected")
    }
}

impl Drop for PrivateCluster {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The folder of PostgreSQL's programs: the newest of Debian's, else one on `PATH`.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let mut folders: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| Some((version(&entry.path())?, entry.path().join("bin"))))
        .collect();
    folders.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let newest_first = folders.into_iter().rev().map(|(_, folder)| folder);
    newest_first
        .chain(std::env::split_paths(&path))
        .find(|folder| ["initdb", "postgres"].iter().all(|name| folder.join(name).is_file()))
}

/// User and group of the server's own account, or of nobody.
fn unprivileged_user() -> (u32, u32) {
    let accounts = fs::read_to_string("/etc/passwd").expect("a system has accounts");
    let ids = |name: &str| {
        let account = accounts.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = account.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    ids("postgres").or_else(|| ids("nobody")).expect("a user that is not root")
}

/// Each of the server's processes leads a group of its own.
fn children_of(parent: Pid) -> Vec<Pid> {
    let parent = format!("PPid:\t{}", parent.as_raw_nonzero());
    let is_child = |status: &Path| {
        fs::read_to_string(status).is_ok_and(|text| text.lines().any(|line| line == parent))
    };
    let processes = fs::read_dir("/proc").expect("Linux has it").flatten();
    let children = processes.filter(|entry| is_child(&entry.path().join("status")));
    children.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)).collect()
}

fn free_port() -> u16 {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    free.local_addr().expect("it is bound").port()
}
