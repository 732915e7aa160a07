//! Linux's own TCP/IP stack as the unit's, in a network namespace behind a TAP: the gateway is not tried
//! against its own kind alone. Needs to be root, and leaves nothing behind.

use std::{
    fs,
    io::IoSliceMut,
    mem::MaybeUninit,
    net::{Ipv4Addr, SocketAddrV4},
    os::{fd::OwnedFd, unix::net::UnixListener},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::atomic::{AtomicU32, Ordering},
};

use goldline::testbed::{
    broker::BrokerConfig,
    network::{Network, NetworkEvent},
    wire::link::FrameLink,
};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use tempfile::TempDir;

use super::{
    super::bench::{PASSWORD, USERNAME, account, authority, broker_config, host, start},
    GATEWAY, NAME, PORT, Shared, Side, echo,
};

const OWN: Ipv4Addr = Ipv4Addr::new(10, 77, 200, 2);

/// A network namespace with one TAP, whose other end is the bench's; gone when dropped.
struct Namespace {
    name: String,
    folder: TempDir,
}

/// Whether namespaces and a TAP can be made here. Skips the test by name where not, but not in CI.
fn is_possible() -> bool {
    let missing = if !rustix::process::geteuid().is_root() {
        "this user must not make network namespaces"
    } else if !Path::new("/dev/net/tun").exists() {
        "no TAP can be made: there is no /dev/net/tun"
    } else if Command::new("ip").arg("-V").output().is_err() {
        "ip is not installed"
    } else {
        return true;
    };
    assert!(std::env::var_os("CI").is_none(), "{missing}, and CI must be able to");
    eprintln!("skipped: {missing}");
    false
}

fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().expect("it starts")
}

fn done(program: &str, arguments: &[&str]) {
    let output = run(program, arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
}

impl Namespace {
    /// Its TAP is up, has an address of its own, and leads to the bench.
    fn on(side: &Side) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("goldline-{}-{number}", std::process::id());
        done("ip", &["netns", "add", &name]);
        let space = Self { name, folder: tempfile::tempdir().expect("a folder") };
        fs::create_dir_all(space.settings()).expect("a folder");
        fs::write(space.settings().join("resolv.conf"), format!("nameserver {GATEWAY}\n"))
            .expect("a file");
        side.wire.attach(FrameLink::tap(space.tap()).expect("a TAP"));
        for words in [
            "link set lo up",
            "link set unit0 up",
            &format!("address add {OWN}/16 dev unit0"),
            &format!("route add default via {GATEWAY}"),
        ] {
            let words: Vec<&str> = words.split(' ').collect();
            done("ip", &[&["-n", &space.name][..], &words].concat());
        }
        space
    }

    fn settings(&self) -> PathBuf {
        Path::new("/etc/netns").join(&self.name)
    }

    fn tap(&self) -> OwnedFd {
        let path = self.folder.path().join("tap");
        let listener = UnixListener::bind(&path).expect("a socket");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/testbed/wire/tap.py");
        let path = path.display().to_string();
        let mut maker = Command::new("ip")
            .args(["netns", "exec", &self.name, "python3", script, "unit0", &path])
            .spawn()
            .expect("it starts");
        let (stream, _) = listener.accept().expect("it calls");
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut handed = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        recvmsg(&stream, &mut [IoSliceMut::new(&mut byte)], &mut handed, RecvFlags::CMSG_CLOEXEC)
            .expect("a message");
        let device = handed.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        });
        drop(stream);
        assert!(maker.wait().expect("it ends").success());
        device.expect("a descriptor")
    }

    fn exec(&self, program: &str, arguments: &[&str]) -> Output {
        run("ip", &[&["netns", "exec", &self.name, program][..], arguments].concat())
    }

    /// Runs a script of Python's, whose assertions are the test's.
    fn python(&self, script: &str) -> String {
        let output = self.exec("python3", &["-c", script]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        String::from_utf8(output.stdout).expect("text")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        run("ip", &["netns", "del", &self.name]);
        let _none = fs::remove_dir_all(self.settings());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stack_of_linux_is_served() {
    if !is_possible() {
        return;
    }
    let side = Shared::default().side();
    let to = side.serve(echo);
    let space = Namespace::on(&side);
    let script = format!(
        r"
import os, socket, threading, time
to = (socket.gethostbyname('{NAME}'), {PORT})
assert to[0] == '{}', to
try:
    socket.gethostbyname('elsewhere.example.test')
    raise SystemExit('it exists')
except socket.gaierror as error:
    assert error.errno == socket.EAI_NONAME, error
try:
    socket.create_connection((to[0], 1))
    raise SystemExit('something listens there')
except ConnectionRefusedError:
    pass
def exchange(data):
    with socket.create_connection(to) as unit:
        def send():
            unit.sendall(data)
            unit.shutdown(socket.SHUT_WR)
        sender = threading.Thread(target=send)
        sender.start()
        heard = bytearray()
        while piece := unit.recv(65536):
            heard += piece
        sender.join()
        assert heard == data, len(heard)
began = time.monotonic()
exchange(os.urandom(1 << 20))
print(f'1 MB there and back: {{time.monotonic() - began:.3f}} s')
began = time.monotonic()
for number in range(500):
    exchange(b'%d' % number)
print(f'500 connections in turn: {{time.monotonic() - began:.2f}} s')
units = [socket.create_connection(to) for _ in range(200)]
for unit in units:
    unit.sendall(b'together')
for unit in units:
    assert unit.recv(8, socket.MSG_WAITALL) == b'together'
    unit.close()
",
        to.ip()
    );
    eprint!("{}", space.python(&script));
    let refused = SocketAddrV4::new(*to.ip(), 1).into();
    let refused = NetworkEvent::Connection { from: OWN, to: refused, connected: false };
    assert!(side.events().contains(&refused));
}

/// The unit's own clients, with the bench's CA, at services that ask whose a connection is.
#[tokio::test(flavor = "multi_thread")]
async fn real_clients_reach_a_real_broker_and_are_known_as_the_runs_unit() {
    if !is_possible() {
        return;
    }
    for (program, option) in [("curl", "--version"), ("mosquitto_pub", "--help")] {
        if Command::new(program).arg(option).output().is_err() {
            assert!(std::env::var_os("CI").is_none(), "{program} is missing, and CI must have it");
            eprintln!("skipped: {program} is not installed");
            return;
        }
    }
    let side = Shared::default().side();
    let authority = authority();
    let config = BrokerConfig {
        callers: side.callers.clone(),
        accounts: vec![],
        runs_only: true,
        ..broker_config(&authority)
    };
    let broker = start(config).await;
    let lent = broker.lend(side.run, vec![account()], None).expect("it is lent");
    side.segment.redirect(&host(NAME), PORT, lent.address()).expect("there is room");
    let space = Namespace::on(&side);
    let ca = space.folder.path().join("ca.pem");
    fs::write(&ca, authority.root_pem()).expect("a file");
    let (ca, port) = (ca.display().to_string(), PORT.to_string());
    let publish = |name: &str| {
        let output = space.exec(
            "mosquitto_pub",
            &[
                "-h", name, "-p", &port, "--cafile", &ca, "-u", USERNAME, "-P", PASSWORD, "-i",
                "unit-1", "-t", "hello", "-m", "world", "-q", "1",
            ],
        );
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(publish(NAME), (true, String::new()));
    let connections = lent.unit_connections();
    let [connection] = &connections[..] else { panic!("{connections:#?}") };
    assert!(connection.is_accepted() && connection.caller.is_unit(), "{connection:#?}");
    assert_eq!(connection.published.len(), 1, "{connection:#?}");

    // The broker's port speaks TLS to whoever comes: what curl verifies is its name and its CA.
    let url = format!("https://{NAME}:{PORT}/");
    let trusted = space.exec("curl", &["--silent", "--cacert", &ca, "--max-time", "3", &url]);
    let strange = space.exec("curl", &["--silent", "--max-time", "3", &url]);
    assert_ne!(trusted.status.code(), Some(60), "the certificate is the bench's");
    assert_eq!(strange.status.code(), Some(60), "and no other CA vouches for it");
}
