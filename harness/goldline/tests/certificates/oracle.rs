//! The same table before other people's judges: Mbed TLS itself in a real handshake, and `openssl verify` where it
//! means the same.

use std::{
    path::PathBuf,
    process::{Command, Output},
};

use super::made::{Made, Opinion, ROWS, Row};

/// A handshake in memory for each row of its input; says which were taken.
const JUDGE: &str = r#"
import json, pathlib, sys
from mbedtls import pk, tls, x509

# More than a handshake has.
STEPS = 60
folder, rows = pathlib.Path(sys.argv[1]), json.loads(sys.argv[2])

def certificate(name):
    return x509.CRT.from_PEM((folder / f"{name}.pem").read_text())

def key(name):
    text = (folder / f"{name}.key").read_text()
    kind = pk.RSA if name in ("ca", "good") else pk.ECC
    return kind.from_PEM(text)

def is_over(side):
    return side._handshake_state == tls.HandshakeStep.HANDSHAKE_OVER

def pass_on(one, other):
    try:
        if not is_over(one):
            one.do_handshake()
    except (tls.WantReadError, tls.WantWriteError):
        pass
    said = one.peek_outgoing(1 << 16)
    if said:
        other.receive_from_network(said)
        one.consume_outgoing(len(said))

def is_taken(shown, trusted, host):
    store = tls.TrustStore()
    for name in trusted:
        store.add(certificate(name))
    chain = ([certificate(name) for name in shown], key(shown[0]))
    server = tls.TLSConfiguration(certificate_chain=chain, validate_certificates=False)
    client = tls.TLSConfiguration(trust_store=store, validate_certificates=True)
    server = tls.ServerContext(server).wrap_buffers()
    client = tls.ClientContext(client).wrap_buffers(host)
    for _ in range(STEPS):
        pass_on(client, server)
        pass_on(server, client)
    return is_over(client)

for name, shown, trusted, host in rows:
    try:
        said = "taken" if is_taken(shown, trusted, host) else "unfinished"
    except Exception as error:
        said = f"refused {type(error).__name__} {error}"
    print(f"{name}\t{said}")
"#;

/// Python with Mbed TLS.
fn python() -> Option<PathBuf> {
    let repository = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let venv = std::env::var_os("GOLDLINE_VENV").map_or(repository.join(".venv"), PathBuf::from);
    let python = venv.join("bin/python");
    let there = Command::new(&python).args(["-c", "import mbedtls"]).output();
    if there.is_ok_and(|said| said.status.success()) {
        return Some(python);
    }
    assert!(std::env::var_os("CI").is_none(), "python-mbedtls is missing, and CI must have it");
    eprintln!("skipped: no python-mbedtls at {}", venv.display());
    None
}

/// The wheel brings Mbed TLS 2.28, which compares an address with names only.
const NEWER_THAN_THE_WHEEL: [&str; 1] = ["an address"];

#[test]
fn mbedtls_trusts_what_the_table_says() {
    let (Some(python), Some(made)) = (python(), Made::for_all_rows()) else { return };
    let rows: Vec<_> =
        ROWS.iter().map(|row| (row.name, row.shown, row.trusted, row.host)).collect();
    let rows = serde_json::to_string(&rows).expect("texts become JSON");
    let output = Command::new(python).args(["-c", JUDGE]).arg(made.folder()).arg(rows).output();
    let Output { stdout, stderr, .. } = output.expect("Python runs");
    let (said, complaints) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert_eq!(said.lines().count(), ROWS.len(), "{said}{complaints}");
    let mut wrong = Vec::new();
    for (row, line) in ROWS.iter().zip(said.lines()) {
        let expected =
            row.expected == Opinion::Trusted && !NEWER_THAN_THE_WHEEL.contains(&row.name);
        let fits = match expected {
            true => line.ends_with("\ttaken"),
            false => line.contains("\trefused"),
        };
        if !fits {
            wrong.push(format!("{:?} expected: {line}", row.expected));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Where openssl means something else: it goes on to a root that signed itself, and an address must stand
/// among the alternative names (RFC 2818).
const OPENSSL_MEANS_OTHERWISE: [&str; 2] = ["by one that is trusted", "an address as common name"];

#[test]
fn openssl_verifies_what_the_table_says() {
    let Some(made) = Made::for_all_rows() else { return };
    let mut wrong = Vec::new();
    for row in &ROWS {
        let ended = openssl_verify(&made, row);
        let agrees = ended.status.success() == (row.expected == Opinion::Trusted);
        if agrees == OPENSSL_MEANS_OTHERWISE.contains(&row.name) {
            let said = String::from_utf8_lossy(&ended.stderr).into_owned();
            wrong.push(format!("{}: {:?} expected: {said}", row.name, row.expected));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn openssl_verify(made: &Made, row: &Row) -> Output {
    let file = |name: &str, names: &[&str]| {
        let path = made.folder().join(name);
        std::fs::write(&path, made.texts(names)).expect("a file");
        path
    };
    let by = if row.host.parse::<std::net::IpAddr>().is_ok() { "ip" } else { "hostname" };
    let mut command = Command::new("openssl");
    // The level from which RSA must have 2048 bits, and SHA-1 is not taken.
    command.args(["verify", "-purpose", "sslserver", "-auth_level", "2"]);
    command.args([&format!("-verify_{by}"), row.host]);
    command.arg("-CAfile").arg(file("trusted.list", row.trusted));
    if let between @ [_, ..] = &row.shown[1..] {
        command.arg("-untrusted").arg(file("between.list", between));
    }
    command.arg(made.pem(row.shown[0])).output().expect("openssl runs")
}
