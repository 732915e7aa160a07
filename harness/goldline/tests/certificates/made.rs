//! Certificates made by openssl, good and bad, and what a unit must think of each.
//!
//! What is expected was written from mbedTLS's own rules, not from what any of the programs here answered.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// The name that units ask for, unless a row says otherwise.
pub const HOST: &str = "broker.example.test";

/// What a client thinks of a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opinion {
    Trusted,
    Expired,
    NotYetValid,
    OtherName,
    Untrusted,
    OtherPurpose,
    Weak,
    Unreadable,
}

/// One server: the files that it shows, the files that are trusted, the name that is asked for.
pub struct Row {
    pub name: &'static str,
    pub shown: &'static [&'static str],
    pub trusted: &'static [&'static str],
    pub host: &'static str,
    pub expected: Opinion,
}

const fn row(
    name: &'static str,
    shown: &'static [&'static str],
    trusted: &'static [&'static str],
    host: &'static str,
    expected: Opinion,
) -> Row {
    Row { name, shown, trusted, host, expected }
}

/// Every case.
pub const ROWS: [Row; 38] = {
    use Opinion::{
        Expired, NotYetValid, OtherName, OtherPurpose, Trusted, Unreadable, Untrusted, Weak,
    };
    [
        row("good", &["good"], &["ca"], HOST, Trusted),
        row("in another case", &["good"], &["ca"], "BROKER.Example.TEST", Trusted),
        row("another name", &["good"], &["ca"], "other.example.test", OtherName),
        row("the name with its dot", &["good"], &["ca"], "broker.example.test.", OtherName),
        row("wildcard", &["wildcard"], &["ca"], HOST, Trusted),
        row("wildcard, two labels", &["wildcard"], &["ca"], "a.broker.example.test", OtherName),
        row("wildcard, its domain", &["wildcard"], &["ca"], "example.test", OtherName),
        row("common name only", &["common"], &["ca"], HOST, Trusted),
        row("common name beside another", &["beside"], &["ca"], HOST, OtherName),
        row("version 1", &["v1"], &["ca"], HOST, Trusted),
        row("version 1, another name", &["v1"], &["ca"], "other.example.test", OtherName),
        row("an address", &["good"], &["ca"], "127.0.0.1", Trusted),
        row("another address", &["good"], &["ca"], "127.0.0.2", OtherName),
        row("an address as common name", &["address"], &["ca"], "127.0.0.1", Trusted),
        row("expired", &["expired"], &["ca"], HOST, Expired),
        row("not yet valid", &["future"], &["ca"], HOST, NotYetValid),
        row("expired CA", &["by-old-ca"], &["old-ca"], HOST, Expired),
        row("CA that is not yet valid", &["by-future-ca"], &["future-ca"], HOST, NotYetValid),
        row("renewed CA beside the old one", &["good"], &["past-ca", "ca"], HOST, Trusted),
        row("another CA", &["good"], &["other-ca"], HOST, Untrusted),
        row("another CA of that name", &["good"], &["impostor-ca"], HOST, Untrusted),
        row("version 1 CA", &["by-v1-ca"], &["v1-ca"], HOST, Trusted),
        row("signed itself, CA:TRUE", &["self"], &["self"], HOST, Trusted),
        row("signed itself, CN only", &["self-common"], &["self-common"], HOST, Trusted),
        row("signed itself, version 1", &["self-v1"], &["self-v1"], HOST, Trusted),
        row("signed itself, expired", &["self-expired"], &["self-expired"], HOST, Expired),
        row("signed itself, not known", &["self"], &["ca"], HOST, Untrusted),
        row("signed itself, another name", &["self"], &["self"], "a.example.test", OtherName),
        row("a leaf that is trusted alone", &["good"], &["good"], HOST, Untrusted),
        row("by an intermediate", &["by-between", "between"], &["ca"], HOST, Trusted),
        row("by one that is not sent", &["by-between"], &["ca"], HOST, Untrusted),
        row("by one that is trusted", &["by-between"], &["between"], HOST, Trusted),
        row("by one that is no CA", &["by-leaf", "good"], &["ca"], HOST, Untrusted),
        row("too far from its CA", &["by-far", "far"], &["short-ca"], HOST, Untrusted),
        row("for clients", &["client"], &["ca"], HOST, OtherPurpose),
        row("by a short key", &["by-short-key"], &["short-key-ca"], HOST, Weak),
        row("signed with SHA-1", &["sha1"], &["ca"], HOST, Weak),
        row("unknown critical extension", &["critical"], &["ca"], HOST, Unreadable),
    ]
};

/// How a certificate is made: its name, its subject, who signs it, from year to year, its extensions.
struct Recipe(&'static str, &'static str, &'static str, [u16; 2], &'static str);

const NOW: [u16; 2] = [2024, 2090];
const PAST: [u16; 2] = [2020, 2021];
const FUTURE: [u16; 2] = [2080, 2090];
const CA: &str = "basicConstraints=critical,CA:TRUE";
const SAN: &str = "subjectAltName=DNS:broker.example.test,DNS:localhost,IP:127.0.0.1";
const SELF: &str = "basicConstraints=critical,CA:TRUE\nsubjectAltName=DNS:broker.example.test,DNS:localhost,IP:127.0.0.1";
const CN: &str = "/CN=broker.example.test";

const RECIPES: [Recipe; 32] = [
    Recipe("ca", "/CN=Line CA", "ca", NOW, CA),
    Recipe("other-ca", "/CN=Other CA", "other-ca", NOW, CA),
    Recipe("impostor-ca", "/CN=Line CA", "impostor-ca", NOW, CA),
    Recipe("old-ca", "/CN=Old CA", "old-ca", PAST, CA),
    Recipe("future-ca", "/CN=Future CA", "future-ca", FUTURE, CA),
    Recipe("short-ca", "/CN=Short CA", "short-ca", NOW, "basicConstraints=CA:TRUE,pathlen:0"),
    Recipe("short-key-ca", "/CN=Weak CA", "short-key-ca", NOW, CA),
    Recipe("v1-ca", "/CN=Ancient CA", "v1-ca", NOW, ""),
    Recipe("between", "/CN=Between", "ca", NOW, CA),
    Recipe("far", "/CN=Far", "short-ca", NOW, CA),
    Recipe("good", CN, "ca", NOW, SAN),
    Recipe("wildcard", CN, "ca", NOW, "subjectAltName=DNS:*.example.test,DNS:localhost"),
    Recipe(
        "common",
        "/CN=broker.example.test/CN=localhost",
        "ca",
        NOW,
        "basicConstraints=CA:FALSE",
    ),
    Recipe("address", "/CN=127.0.0.1", "ca", NOW, "basicConstraints=CA:FALSE"),
    Recipe("beside", CN, "ca", NOW, "subjectAltName=DNS:beside.example.test,DNS:localhost"),
    Recipe("v1", "/CN=broker.example.test/CN=localhost", "ca", NOW, ""),
    Recipe("expired", CN, "ca", PAST, SAN),
    Recipe("future", CN, "ca", FUTURE, SAN),
    Recipe("by-old-ca", CN, "old-ca", NOW, SAN),
    Recipe("by-future-ca", CN, "future-ca", NOW, SAN),
    Recipe("by-short-key", CN, "short-key-ca", NOW, SAN),
    Recipe("by-v1-ca", CN, "v1-ca", NOW, SAN),
    Recipe("by-between", CN, "between", NOW, SAN),
    Recipe("by-leaf", CN, "good", NOW, SAN),
    Recipe("by-far", CN, "far", NOW, SAN),
    Recipe("self", CN, "self", NOW, SELF),
    Recipe("self-common", "/CN=broker.example.test/CN=localhost", "self-common", NOW, CA),
    Recipe("self-v1", "/CN=broker.example.test/CN=localhost", "self-v1", NOW, ""),
    Recipe("self-expired", CN, "self-expired", PAST, SELF),
    Recipe(
        "client",
        CN,
        "ca",
        NOW,
        "extendedKeyUsage=clientAuth\nsubjectAltName=DNS:broker.example.test",
    ),
    Recipe("sha1", CN, "ca", NOW, SAN),
    Recipe(
        "critical",
        CN,
        "ca",
        NOW,
        "1.2.3.4=critical,ASN1:UTF8String:x\nsubjectAltName=DNS:broker.example.test",
    ),
];

const CONFIGURATION: &str = "[ca]\ndefault_ca=d\n[d]\ndatabase=index\nserial=serial\nnew_certs_dir=.\n\
    policy=p\nunique_subject=no\nrand_serial=yes\n[p]\ncommonName=supplied\n";

/// Certificates and their keys, in a folder that goes with it.
pub struct Made(TempDir);

impl Made {
    /// These and their issuers. `None`, said by name, where openssl is not there; a CI must have it.
    pub fn by_openssl(wanted: &[&str]) -> Option<Self> {
        if Command::new("openssl").arg("version").stdout(Stdio::null()).status().is_err() {
            assert!(std::env::var_os("CI").is_none(), "openssl is missing, and CI must have it");
            eprintln!("skipped: openssl is not installed");
            return None;
        }
        let made = Self(tempfile::tempdir().expect("a folder"));
        made.write("ca.conf", CONFIGURATION);
        made.write("index", "");
        wanted.iter().for_each(|name| made.make(name));
        Some(made)
    }

    /// All that the table names.
    pub fn for_all_rows() -> Option<Self> {
        let names = ROWS.iter().flat_map(|row| row.shown.iter().chain(row.trusted));
        Self::by_openssl(&names.copied().collect::<Vec<_>>())
    }

    pub fn folder(&self) -> &Path {
        self.0.path()
    }

    pub fn pem(&self, name: &str) -> PathBuf {
        self.folder().join(format!("{name}.pem"))
    }

    pub fn key(&self, name: &str) -> PathBuf {
        self.folder().join(format!("{name}.key"))
    }

    /// The texts of several, one after the other.
    pub fn texts(&self, names: &[&str]) -> String {
        let text = |name: &&str| fs::read_to_string(self.pem(name)).expect("it was made");
        names.iter().map(text).collect()
    }

    fn make(&self, name: &str) {
        if self.pem(name).exists() {
            return;
        }
        if name == "past-ca" {
            // The CA before it was renewed: the same name and key.
            self.make("ca");
            return self.sign(name, "ca", "ca", PAST, CA, "sha256");
        }
        let recipe = RECIPES.iter().find(|recipe| recipe.0 == name).expect("there is a recipe");
        let Recipe(_, subject, issuer, years, extensions) = recipe;
        if *issuer != name {
            self.make(issuer);
        }
        let (key, request) = (format!("{name}.key"), format!("{name}.csr"));
        match name {
            "short-key-ca" => self.openssl(&["genrsa", "-out", &key, "1024"]),
            // Units have RSA before them more often than not.
            "ca" | "good" => self.openssl(&["genrsa", "-out", &key, "2048"]),
            _ => self.openssl(&[
                "genpkey",
                "-algorithm",
                "EC",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-out",
                &key,
            ]),
        };
        self.openssl(&["req", "-new", "-key", &key, "-subj", subject, "-out", &request]);
        let digest = if name == "sha1" { "sha1" } else { "sha256" };
        self.sign(name, name, issuer, *years, extensions, digest);
        if extensions.is_empty() {
            let said = self.openssl(&["x509", "-noout", "-text", "-in", &format!("{name}.pem")]);
            assert!(said.contains("Version: 1 "), "{name} is to be of version 1: {said}");
        }
    }

    fn sign(
        &self,
        name: &str,
        request: &str,
        issuer: &str,
        [from, until]: [u16; 2],
        extensions: &str,
        digest: &str,
    ) {
        let (start, end) = (format!("{from}0101000000Z"), format!("{until}0101000000Z"));
        let (pem, request) = (format!("{name}.pem"), format!("{request}.csr"));
        let (issuer_pem, issuer_key) = (format!("{issuer}.pem"), format!("{issuer}.key"));
        let mut arguments = vec!["ca", "-config", "ca.conf", "-batch", "-notext", "-md", digest];
        arguments.extend(["-startdate", &start, "-enddate", &end, "-in", &request, "-out", &pem]);
        arguments.extend(["-keyfile", &issuer_key, "-preserveDN"]);
        match request.strip_suffix(".csr") == Some(issuer) {
            true => arguments.push("-selfsign"),
            false => arguments.extend(["-cert", &issuer_pem]),
        }
        if !extensions.is_empty() {
            self.write("extensions", extensions);
            arguments.extend(["-extfile", "extensions"]);
        }
        self.openssl(&arguments);
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder().join(name), text).expect("a file");
    }

    fn openssl(&self, arguments: &[&str]) -> String {
        let ended = Command::new("openssl").args(arguments).current_dir(self.folder()).output();
        let ended = ended.expect("openssl runs");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "openssl {arguments:?}: {said}");
        String::from_utf8_lossy(&ended.stdout).into_owned()
    }
}
