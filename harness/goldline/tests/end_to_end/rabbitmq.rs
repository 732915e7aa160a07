//! A real RabbitMQ with its MQTT plugin, in a folder of its own: the broker that a product's document names.
//!
//! An Erlang node has a name in the whole machine's port mapper, so each has a mapper of its own on loopback.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use goldline::process::ChildGuard;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    external_broker::account,
    mosquitto::{BENCH, write_certificates},
    program::{Ended, Station, check},
};

/// Where Debian keeps it: what is on `PATH` there starts it as another user.
const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// How many times it is started with other ports.
const PORTS: usize = 5;

/// What a node says when one of its ports is another program's: its own, its listener's, its mapper's.
const PORT_IS_TAKEN: [&str; 3] = ["dist_port_already_used", "eaddrinuse", "epmd_error"];

/// A running broker, and its port mapper; both end when dropped.
struct RabbitMq {
    folder: TempDir,
    port: u16,
    node: Option<ChildGuard>,
    _mapper: ChildGuard,
}

/// Whether RabbitMQ is there. A missing one skips the test by name, but not in CI.
fn is_there() -> bool {
    let there = Path::new(SERVER).is_file();
    if !there {
        assert!(std::env::var_os("CI").is_none(), "RabbitMQ is missing, and CI must have it");
        eprintln!("skipped: RabbitMQ is not installed");
    }
    there
}

impl RabbitMq {
    /// With a certificate for that name, the bench's account and another one.
    fn start(name: &str, account: (&str, &str)) -> Self {
        // A node takes no port of the system's choice, and another program may take a free one before it does.
        for _ in 0..PORTS {
            match Self::try_start(name, account) {
                Ok(running) => return running,
                Err(log) if PORT_IS_TAKEN.iter().any(|words| log.contains(words)) => {}
                Err(log) => panic!("RabbitMQ ended instead of running:\n{log}"),
            }
        }
        panic!("RabbitMQ did not start {PORTS} times, for a port");
    }

    /// # Errors
    /// With what the node said before it ended.
    fn try_start(name: &str, account: (&str, &str)) -> Result<Self, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        write_certificates(path, &[name]);
        let [port, of_node, of_mapper] = free_ports();
        let user = |(name, password): (&str, &str)| json!({ "name": name, "password": password, "tags": "" });
        let rights = |(name, _): (&str, &str)| json!({ "user": name, "vhost": "/", "configure": ".*", "write": ".*", "read": ".*" });
        let definitions = json!({
            "vhosts": [{ "name": "/" }],
            "users": [user(BENCH), user(account)],
            "permissions": [rights(BENCH), rights(account)],
        });
        fs::write(path.join("definitions.json"), definitions.to_string()).expect("a file");
        fs::write(path.join("enabled_plugins"), "[rabbitmq_mqtt].\n").expect("a file");
        let at = |file: &str| path.join(file).display().to_string();
        let settings = format!(
            "listeners.tcp = none\nmqtt.listeners.tcp = none\nmqtt.listeners.ssl.1 = 127.0.0.1:{port}\n\
             mqtt.allow_anonymous = false\nssl_options.certfile = {}\nssl_options.keyfile = {}\n\
             ssl_options.verify = verify_none\nload_definitions = {}\nlog.console = true\nlog.file = false\n",
            at("chain.pem"),
            at("key.pem"),
            at("definitions.json")
        );
        fs::write(path.join("rabbitmq.conf"), settings).expect("a file");
        let mut mapper = Command::new("epmd");
        mapper.args(["-address", "127.0.0.1", "-port", &of_mapper.to_string()]);
        let mapper = ChildGuard::spawn(mapper.stderr(Stdio::null())).expect("epmd starts");
        let node = run(path, of_node, of_mapper)?;
        Ok(Self { folder, port, node: Some(node), _mapper: mapper })
    }

    fn stop(&mut self) {
        self.node = None;
    }

    fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A run of a unit at this broker.
    fn run(&self, station: &Station, profile: &str, more: &[&str]) -> Ended {
        let login = station.write("bench.login", format!("{}:{}\n", BENCH.0, BENCH.1));
        let url = format!("mqtts://127.0.0.1:{}", self.port);
        let mut command = station.unit_command(["run", profile, "--json", "--broker", &url]);
        command.arg("--broker-login").arg(format!("@{}", login.display()));
        Ended::of(command.arg("--broker-trust").arg(self.ca()).args(more))
    }
}

/// Starts the node, and waits until it has its users.
///
/// # Errors
/// With what the node said before it ended.
fn run(folder: &Path, of_node: u16, of_mapper: u16) -> Result<ChildGuard, String> {
    let at = |name: &str| folder.join(name);
    let mut command = Command::new(SERVER);
    command
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", at("home"))
        .env("ERL_EPMD_ADDRESS", "127.0.0.1")
        .env("ERL_EPMD_PORT", of_mapper.to_string())
        .env("RABBITMQ_NODENAME", "goldline@localhost")
        .env("RABBITMQ_DIST_PORT", of_node.to_string())
        .env("RABBITMQ_MNESIA_BASE", at("mnesia"))
        .env("RABBITMQ_LOG_BASE", at("log"))
        .env("RABBITMQ_LOGS", "-")
        .env("RABBITMQ_PID_FILE", at("pid"))
        .env("RABBITMQ_CONFIG_FILE", at("rabbitmq.conf"))
        .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", at("enabled_plugins"))
        .env(
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
            "-kernel inet_dist_use_interface {127,0,0,1} -start_epmd false",
        )
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    fs::create_dir(at("home")).expect("a folder");
    // Shell and Erlang end together.
    let mut node = ChildGuard::spawn_group(&mut command).expect("RabbitMQ starts");
    let log = node.child().stdout.take().expect("stdout is a pipe");
    let mut lines = BufReader::new(log).lines().map_while(Result::ok);
    let mut said = Vec::new();
    for line in lines.by_ref() {
        let ready = line.contains("Server startup complete");
        said.push(line);
        if ready {
            // It goes on logging, and must not meet a closed pipe.
            std::thread::spawn(move || lines.for_each(drop));
            return Ok(node);
        }
    }
    Err(said.join("\n"))
}

/// Ports that nobody listens on.
fn free_ports() -> [u16; 3] {
    let listen = |_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let free = [0, 1, 2].map(listen);
    free.map(|free| free.local_addr().expect("it is bound").port())
}

fn diagnosis(record: &Value, member: &str) -> String {
    record["diagnosis"][member].as_str().expect("a text").to_owned()
}

#[test]
fn a_unit_passes_at_a_real_rabbitmq_and_a_bad_one_fails() {
    if !is_there() {
        return;
    }
    let station = Station::new();
    let (user, password) =
        account(&station, "ble-gateway", "issued.mqtt_user", "issued.mqtt_password");
    let broker = RabbitMq::start("mqtt-remote.example.test", (&user, &password));
    let ended = broker.run(&station, "ble-gateway", &[]);
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (0, &"PASS".into()), "{record:#}");
    let evidence = check(&record, "mqtt_connect")["evidence"].to_string();
    assert!(evidence.contains("it answered what was sent there"), "{evidence}");
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert!(!said.contains(&password) && !said.contains(BENCH.1));

    let ended = broker.run(&station, "ble-gateway", &["--fault", "firmware.mqtt_password"]);
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (1, &"FAIL".into()), "{record:#}");
    assert!(diagnosis(&record, "code").starts_with("mqtt."), "{record:#}");
    let evidence = check(&record, "mqtt_connect")["evidence"].to_string();
    assert!(evidence.contains("witness: the bench connected to"), "{evidence}");
}

/// Neither is the unit's fault: an account that differs at the broker, and a broker that is down.
#[test]
fn a_rabbitmq_that_does_not_let_the_unit_in_or_is_down_is_the_benchs_fault() {
    if !is_there() {
        return;
    }
    let station = Station::new();
    let (user, _) = account(&station, "ble-gateway", "issued.mqtt_user", "issued.mqtt_password");
    let mut broker = RabbitMq::start("mqtt-remote.example.test", (&user, "another password"));
    let ended = broker.run(&station, "ble-gateway", &[]);
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (3, &"ERROR".into()), "{record:#}");
    assert_eq!(diagnosis(&record, "code"), "testbed.broker", "{record:#}");

    broker.stop();
    let ended = broker.run(&station, "ble-gateway", &[]);
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (3, &"ERROR".into()), "{record:#}");
    assert!(diagnosis(&record, "message").contains("is not reachable: "), "{record:#}");
    assert!(diagnosis(&record, "action").contains("check that the broker runs"), "{record:#}");
    let mut stages = record["stages"].as_array().expect("stages").iter();
    assert!(stages.all(|stage| stage["name"] != "erase"), "{record:#}");
}
