//! The maker's CA key on a PKCS#11 token: SoftHSM, and the tools of others that look after it.
//!
//! The key is made on the token, which does not give it out; the certificate that it belongs to is of the maker's root.

use std::{fs, path::Path, process::Command};

use goldline::{
    clock::Clock,
    testbed::authority::{Authority, AuthorityPem},
};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SubjectPublicKeyInfo,
};
use rstest::rstest;

use super::{
    foreign_servers::is_there,
    program::{Ended, Station, check},
    redirects::{product, redirect, run_command},
};

const PIN: &str = "MarkerOfAPin74";
const MODULES: [&str; 3] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
];

/// A token of this test's own.
struct Token {
    station: Station,
    maker: AuthorityPem,
    module: &'static str,
}

impl Token {
    /// `None` where there is no SoftHSM, which was said.
    fn new() -> Option<Self> {
        if !is_there("softhsm2-util") || !is_there("pkcs11-tool") {
            return None;
        }
        let module = MODULES.into_iter().find(|module| Path::new(module).exists());
        let (station, maker) = product();
        fs::create_dir(station.path("tokens")).expect("a folder");
        let tokens = station.path("tokens").display().to_string();
        let settings = format!("directories.tokendir = {tokens}\nobjectstore.backend = file\n");
        station.write("softhsm.conf", settings);
        station.write("pin", PIN);
        let token = Self { station, maker, module: module.expect("SoftHSM has its module") };
        token.make("Maker");
        Some(token)
    }

    fn make(&self, label: &str) {
        let words =
            ["--init-token", "--free", "--label", label, "--so-pin", "12345678", "--pin", PIN];
        self.tool("softhsm2-util", &words);
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("SOFTHSM2_CONF", self.station.path("softhsm.conf"));
        command.current_dir(self.station.path(""));
        command
    }

    fn tool(&self, program: &str, words: &[&str]) -> String {
        let ended = Ended::of(self.command(program).args(words));
        assert_eq!(ended.code(), 0, "{ended:?}");
        ended.stdout
    }

    fn pkcs11_tool(&self, words: &[&str]) -> String {
        let session = ["--module", self.module, "--login", "--pin", PIN, "--token-label", "Maker"];
        self.tool("pkcs11-tool", &[&session, words].concat())
    }

    /// Makes a key there, and a CA of the maker's for it in `NAME.pem`.
    fn generate(&self, kind: &str, name: &str) {
        self.pkcs11_tool(&["--keypairgen", "--key-type", kind, "--label", name, "--id", "4d01"]);
        let file = format!("{name}.spki");
        let words = ["--read-object", "--type", "pubkey", "--label", name, "--output-file", &file];
        self.pkcs11_tool(&words);
        let spki = fs::read(self.station.path(&file)).expect("its public key");
        let public = SubjectPublicKeyInfo::from_der(&spki).expect("a public key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, "The maker's issuing CA on a token");
        let root_key = KeyPair::from_pem(self.maker.root_key.expose()).expect("the root's key");
        let root = Issuer::from_ca_cert_pem(&self.maker.root_certificate, root_key);
        let issued = params.signed_by(&public, &root.expect("the root")).expect("a certificate");
        self.station.write(&format!("{name}.pem"), issued.pem());
    }

    fn uri(&self, path: &str) -> String {
        format!("pkcs11:{path}?module-path={}", self.module)
    }

    /// A station file that names the CA of that certificate, whose key is there.
    fn name(&self, certificate: &str, uri: &str) {
        let lines = format!(
            "ca = \"{certificate}\"\nkey = \"{uri}\"\npin = {{ file = \"pin\" }}\naccept_redirect = \"x\""
        );
        redirect(&self.station, &lines);
    }

    fn run(&self) -> Ended {
        let (_unit, mut command) = run_command(&self.station, &["--station", "jig.toml"]);
        command.env("SOFTHSM2_CONF", self.station.path("softhsm.conf"));
        let ended = Ended::of(&mut command);
        assert!(!ended.stdout.contains(PIN) && !ended.stderr.contains(PIN), "{ended:?}");
        ended
    }

    fn refuses(&self, words: &str) -> Ended {
        let ended = self.run();
        assert_eq!(ended.code(), 2, "{ended:?}");
        assert!(ended.said().contains(words), "{}", ended.said());
        ended
    }
}

#[rstest]
#[case::p256("EC:prime256v1")]
#[case::rsa("rsa:2048")]
fn a_key_that_was_made_on_a_token_certifies_the_bench_and_never_leaves(#[case] kind: &str) {
    let Some(token) = Token::new() else { return };
    token.generate(kind, "issuing");
    let listed = token.pkcs11_tool(&["--list-objects", "--type", "privkey"]);
    assert!(listed.contains("never extractable"), "{listed}");
    token.name("issuing.pem", &token.uri("token=Maker;object=issuing;type=private"));
    let ended = token.run();
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (0, &"PASS".into()), "{record:#}");
    assert_eq!(check(&record, "mqtt_connect")["outcome"], "pass");
    for file in token.station.files(&token.station.state()) {
        let kept = fs::read(file).expect("a file of the state");
        assert!(!kept.windows(PIN.len()).any(|window| window == PIN.as_bytes()), "kept");
    }
}

/// One that a file held before, by another tool's import, found by its id and the token's serial number.
#[test]
fn a_key_that_was_imported_is_found_by_its_id() {
    let Some(token) = Token::new() else { return };
    let words =
        ["--import", "ca.key", "--token", "Maker", "--label", "old", "--id", "02FF", "--pin", PIN];
    token.tool("softhsm2-util", &words);
    let slots = token.tool("pkcs11-tool", &["--module", token.module, "--list-token-slots"]);
    let serial = slots.lines().find_map(|line| line.trim().strip_prefix("serial num"));
    let serial = serial.and_then(|line| line.split(':').nth(1)).expect("its serial number").trim();
    token.name("ca.pem", &token.uri(&format!("serial={serial};id=%02%ff")));
    let ended = token.run();
    assert_eq!(ended.code(), 0, "{ended:?}");
}

/// A wrong PIN is given once: the next command does not count it down any further.
#[test]
fn a_wrong_pin_is_never_given_again() {
    let Some(token) = Token::new() else { return };
    token.generate("EC:prime256v1", "issuing");
    token.name("issuing.pem", &token.uri("token=Maker;object=issuing"));
    token.station.write("pin", "MarkerOfAnother");
    let said = token.refuses("the token Maker takes no such PIN").said();
    assert!(!said.contains("MarkerOfAnother"), "{said}");
    for _ in 0..4 {
        token.refuses("was given a wrong PIN before, and a few lock it: nothing was tried");
    }
    token.station.write("pin", PIN);
    token.refuses("nothing was tried");
    // By hand, which takes the mistake back.
    token.pkcs11_tool(&["--list-objects"]);
    let ended = token.run();
    assert_eq!(ended.code(), 0, "{ended:?}");
}

/// What is not there, or does not fit, is named before any unit is touched.
#[rstest]
#[case::no_module(
    "issuing.pem",
    "pkcs11:token=Maker;object=issuing?module-path=/nowhere/libsofthsm2.so",
    "the PKCS#11 module /nowhere/libsofthsm2.so cannot be loaded"
)]
#[case::no_token(
    "issuing.pem",
    "token=Another;object=issuing",
    "no token is there that is token=Another: there are token=Maker"
)]
#[case::no_key(
    "issuing.pem",
    "token=Maker;object=isuing",
    "has no private key object=isuing of ECDSA, as the certificate's is: it has object=issuing"
)]
#[case::a_key_of_another_kind(
    "rsa.pem",
    "token=Maker;object=issuing",
    "has no private key object=issuing of RSA"
)]
#[case::of_another_certificate(
    "ca.pem",
    "token=Maker;object=issuing",
    "is not that of the certificate"
)]
#[case::no_ca("broker.pem", "token=Maker;object=issuing", "is not that of the certificate")]
#[case::a_pin_in_the_uri(
    "issuing.pem",
    "pkcs11:token=Maker;object=issuing?module-path=/m&pin-value=MarkerOfAPin74",
    "it holds a PIN (`pin-value`)"
)]
#[case::no_uri("issuing.pem", "pkcs11:object=issuing?module-path=/m", "it names no token")]
fn what_of_a_token_does_not_fit_is_said(
    #[case] certificate: &str,
    #[case] uri: &str,
    #[case] words: &str,
) {
    let Some(token) = Token::new() else { return };
    token.generate("EC:prime256v1", "issuing");
    if certificate == "rsa.pem" {
        token.generate("rsa:2048", "rsa");
    }
    let uri = if uri.starts_with("pkcs11:") { uri.to_owned() } else { token.uri(uri) };
    token.name(certificate, &uri);
    token.refuses(words);
}

/// A station file without what belongs to it, or with what does not.
#[rstest]
#[case::no_pin("ca = \"ca.pem\"\nkey = \"{uri}\"", "missing key `pin`")]
#[case::in_the_clear(
    "ca = \"ca.pem\"\nkey = \"{uri}\"\npin = \"MarkerOfAPin74\"",
    "never stands in the station file"
)]
#[case::a_passphrase(
    "ca = \"ca.pem\"\nkey = \"{uri}\"\npassphrase = { file = \"pin\" }",
    "`passphrase` without"
)]
#[case::of_a_server(
    "certificate = \"broker.pem\"\nkey = \"{uri}\"\npin = { file = \"pin\" }",
    "a server of the bench needs it itself"
)]
#[case::a_pin_of_a_file(
    "ca = \"ca.pem\"\nkey = { file = \"ca.key\" }\npin = { file = \"pin\" }",
    "`pin` without"
)]
fn what_a_station_file_says_of_a_token_is_whole(#[case] lines: &str, #[case] words: &str) {
    let (station, _) = product();
    let uri = "pkcs11:token=Maker;object=issuing?module-path=/m";
    redirect(&station, &format!("{}\naccept_redirect = \"x\"", lines.replace("{uri}", uri)));
    let (_unit, mut command) = run_command(&station, &["--station", "jig.toml"]);
    let ended = Ended::of(&mut command);
    assert_eq!(ended.code(), 2, "{ended:?}");
    assert!(ended.said().contains(words), "{}", ended.said());
    assert!(!ended.said().contains(PIN), "{}", ended.said());
}

/// Who is no CA at all signs nothing, wherever its key is.
#[test]
fn a_certificate_on_a_token_that_is_no_ca_s_is_refused() {
    let Some(token) = Token::new() else { return };
    let maker = Authority::load(token.maker.clone(), Clock::system()).expect("it is whole");
    let issued = maker.issue_server(&["a.example.test".to_owned()], time::Duration::days(9));
    let issued = issued.expect("a certificate");
    token.station.write("leaf.pem", &issued.signed.certificate);
    token.station.write("leaf.key", issued.key.expose());
    let words =
        ["--import", "leaf.key", "--token", "Maker", "--label", "leaf", "--id", "03", "--pin", PIN];
    token.tool("softhsm2-util", &words);
    token.name("leaf.pem", &token.uri("token=Maker;object=leaf"));
    token.refuses("would not be trusted by units");
}
