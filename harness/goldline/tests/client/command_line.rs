//! `goldline ca test` as an operator types it.

use std::{process::Command, sync::Arc};

use goldline::{clock::Clock, testbed::ca::CertificateAuthorityApi};
use serde_json::Value;

use super::{
    peers::output,
    server::{A_YEAR, Server, answer, authority},
};

async fn ca_test(arguments: &[&str]) -> (i32, String, String) {
    let mut goldline = Command::new(env!("CARGO_BIN_EXE_goldline"));
    goldline.args(["ca", "test"]).args(arguments);
    let said = output(goldline).await;
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (said.status.code().expect("an exit code"), text(said.stdout), text(said.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_that_runs_is_reachable() {
    let api = CertificateAuthorityApi::start(Arc::new(authority()), Clock::system()).await;
    let api = api.expect("it starts");
    let (code, said, _) = ca_test(&[&api.url()]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.starts_with("CA server reachable\n"), "{said}");

    let (code, said, _) = ca_test(&[&format!("{}/", api.url()), "--json"]).await;
    let result: Value = serde_json::from_str(&said).expect("one JSON document");
    assert_eq!((code, &result["reachable"], &result["tls"]), (0, &true.into(), &false.into()));
    assert!(result["notes"][0].as_str().is_some_and(|note| note.contains("slash")), "{result}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_that_does_not_run_ends_with_3_and_the_documents_words() {
    let api = CertificateAuthorityApi::start(Arc::new(authority()), Clock::system()).await;
    let url = api.expect("it starts").url();
    let (code, said, _) = ca_test(&[&url]).await;
    assert_eq!(code, 3, "{said}");
    assert!(said.starts_with("CA server unreachable: "), "{said}");
    assert!(said.contains("firewall"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_behind_https_needs_its_root() {
    let authority = authority();
    let certificate = authority.issue_server(&["localhost".to_owned()], A_YEAR);
    let server = Server::https(&certificate.expect("a certificate"), |_| {
        answer(400, r#"{"success":false}"#)
    })
    .await;
    let url = format!("https://localhost:{}", server.address.port());
    let root = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(root.path(), authority.root_pem()).expect("a file");
    let root = root.path().to_str().expect("a plain path");

    let (code, said, _) = ca_test(&[&url]).await;
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("--trust"), "{said}");
    let (code, said, _) = ca_test(&[&url, "--trust", root]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("https, certificate trusted"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_use_ends_with_2() {
    for arguments in [
        &["ca.example.test"][..],
        &["ftp://ca.example.test"],
        &["http://ca.example.test", "--trust", "/nowhere/root.pem"],
        &[],
    ] {
        let (code, said, problem) = ca_test(arguments).await;
        assert_eq!((code, said.as_str()), (2, ""), "{arguments:?}: {problem}");
        assert!(!problem.is_empty());
    }
}
