//! The same over TLS, as the real service has it and nothing else.

use std::{net::Ipv4Addr, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};
use tokio_rustls::TlsAcceptor;

use super::{
    wokwi::{Site, WITHOUT, why},
    wokwi_stand_in::{Service, TOKEN},
};
use crate::end_to_end::program::Ended;

/// What decrypts for a service.
struct Front {
    url: String,
    /// PEM of the CA that its certificate is of.
    ca: String,
    /// Ends with it.
    _runtime: Runtime,
}

impl Front {
    fn of(service: &Service) -> Self {
        let mut of_ca = CertificateParams::default();
        of_ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(of_ca, KeyPair::generate().expect("a key"));
        let ca = ca.expect("a CA");
        let key = KeyPair::generate().expect("a key");
        let names = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        let certificate = names.signed_by(&key, &ca).expect("a certificate");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has them")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("they belong together");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let behind = service.url.strip_prefix("ws://").expect("its scheme");
        let behind = behind.split('/').next().expect("its address").to_owned();
        let runtime = Runtime::new().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
        let listener = listener.expect("a port");
        let port = listener.local_addr().expect("its address").port();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, behind) = (acceptor.clone(), behind.clone());
                tokio::spawn(async move {
                    // A client that distrusts hangs up here.
                    let Ok(mut client) = acceptor.accept(stream).await else { return };
                    let mut service = TcpStream::connect(behind).await.expect("it listens");
                    let _ended = copy_bidirectional(&mut client, &mut service).await;
                });
            }
        });
        Self { url: format!("wss://localhost:{port}/api/ws/beta"), ca: ca.pem(), _runtime: runtime }
    }
}

fn run(site: &Site, front: &Front, ca: &str) -> Ended {
    let ca = site.station.write("ca.pem", ca);
    let words = ["run", "button.toml", "--json", "--device", "wokwi:", "--without", WITHOUT];
    let mut command = site.station.unit_command(words);
    command.env("WOKWI_CLI_SERVER", &front.url).env("WOKWI_CLI_TOKEN", TOKEN);
    Ended::of(command.env("SSL_CERT_FILE", ca).env_remove("SSL_CERT_DIR"))
}

#[test]
fn a_unit_passes_over_tls() {
    let (site, service) = (Site::new(), Service::start());
    let front = Front::of(&service);
    let record = run(&site, &front, &front.ca).json();
    assert_eq!(why(&record), ("PASS", "none"), "{record:#}");
}

#[test]
fn a_service_that_is_not_trusted_gets_no_token_and_is_an_error() {
    let (site, service) = (Site::new(), Service::start());
    let (front, other) = (Front::of(&service), Front::of(&service));
    let record = run(&site, &front, &other.ca).json();
    assert_eq!(why(&record), ("ERROR", "emulator.failed"), "{record:#}");
    let message = record["diagnosis"]["message"].as_str().expect("a text");
    assert!(message.contains("is not trusted"), "{message}");
    assert!(record["diagnosis"]["action"].to_string().contains("SSL_CERT_FILE"), "{record:#}");
}
