//! Certificates and keys in NVS that are forged: sound in themselves, and not what the unit needs.
//!
//! Signed by the bench's own intermediate, which the unit's broker trusts, but where another CA is what is wrong.

use std::sync::Arc;

use goldline_nvs::{DeviceView, Value};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair,
};
use time::{Duration, OffsetDateTime};
use x509_parser::{parse_x509_certificate, pem::parse_x509_pem};

use super::change::{Change, Forger};
use crate::{
    clock::Clock,
    prove::mutant::{Kind, Mutant},
    testbed::authority::Authority,
};

const DAY: Duration = Duration::DAY;
/// A name that no unit has.
const STRANGER: &str = "another-unit.example.test";

/// What an entry holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Holds {
    /// Whom the unit trusts.
    Trust,
    /// Who it is.
    Certificate,
    /// How it proves that.
    Key,
}

/// How a value is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    Pem,
    Der,
}

/// What is wrong with a certificate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wrong {
    Expired,
    NotYetValid,
    OtherChain,
    OtherName,
}

/// What can be wrong with an entry that holds a certificate or a key; nothing with any other.
pub(super) fn of_entry(
    good: &Value,
    authority: &Arc<Authority>,
) -> Vec<(&'static str, &'static str, Change)> {
    let Some((holds, form)) = held(good) else { return Vec::new() };
    let forged = |forge: Forger| Change::Forged(forge);
    match holds {
        Holds::Trust => {
            let forge = move |_: &DeviceView, _: &Value| {
                let stranger = Authority::create(Clock::system()).ok()?;
                written(stranger.root_pem(), form)
            };
            vec![("stranger", "has the certificate of a stranger's CA", forged(Arc::new(forge)))]
        }
        Holds::Key => {
            let forge = move |_: &DeviceView, _: &Value| {
                written(&KeyPair::generate().ok()?.serialize_pem(), form)
            };
            vec![("foreign", "has a key that belongs to no certificate", forged(Arc::new(forge)))]
        }
        Holds::Certificate => [
            ("expired", "has a certificate that expired", Wrong::Expired),
            ("not_yet_valid", "has a certificate that is not valid yet", Wrong::NotYetValid),
            ("other_chain", "has a certificate of another CA", Wrong::OtherChain),
            ("other_name", "has a certificate of another name", Wrong::OtherName),
        ]
        .into_iter()
        .map(|(name, what, wrong)| {
            let authority = Arc::clone(authority);
            let forge = move |view: &DeviceView, good: &Value| {
                written(&forge(view, good, wrong, &authority)?, form)
            };
            (name, what, forged(Arc::new(forge)))
        })
        .collect(),
    }
}

/// Counts it as what it is.
pub(super) fn mutant(of: Mutant, good: &Value) -> Mutant {
    let id = of.id.split_once('.').map_or("", |(_, rest)| rest);
    let (means, remedy) = match held(good) {
        Some((Holds::Trust, _)) => (
            "the unit trusts a stranger's servers, and not its own",
            "nvs_readback, or mqtt_connect",
        ),
        _ => (
            "the unit is refused by its own service",
            "nvs_readback, or mqtt_connect with client_certificate",
        ),
    };
    Mutant {
        kind: Kind::Certificate,
        id: format!("{}.{id}", Kind::Certificate),
        means: means.to_owned(),
        remedy: remedy.to_owned(),
        ..of
    }
}

/// What a broker or a unit says of a wrong one.
pub(super) fn symptoms(good: &Value) -> &'static [&'static str] {
    match held(good) {
        Some((Holds::Trust, _)) => &["mqtt.server_untrusted"],
        Some(_) => &["the broker refused the client", "the client certificate or its key"],
        None => &[],
    }
}

fn held(value: &Value) -> Option<(Holds, Form)> {
    let of_der = |der: &[u8]| {
        let (_, certificate) = parse_x509_certificate(der).ok()?;
        Some(match certificate.is_ca() {
            true => Holds::Trust,
            false => Holds::Certificate,
        })
    };
    match value {
        Value::Str(text) if contains(text, b"PRIVATE KEY-----") => Some((Holds::Key, Form::Pem)),
        Value::Str(text) => {
            let (_, pem) = parse_x509_pem(text).ok()?;
            Some((of_der(&pem.contents)?, Form::Pem))
        }
        Value::Blob(der) => Some((of_der(der)?, Form::Der)),
        _ => None,
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// PEM as the entry has it.
fn written(pem: &str, form: Form) -> Option<Value> {
    Some(match form {
        Form::Pem => Value::str(pem),
        Form::Der => Value::Blob(parse_x509_pem(pem.as_bytes()).ok()?.1.contents),
    })
}

/// A certificate like the unit's own, with one thing wrong.
fn forge(view: &DeviceView, good: &Value, wrong: Wrong, authority: &Authority) -> Option<String> {
    let now = OffsetDateTime::now_utc();
    let name = match wrong {
        Wrong::OtherName => STRANGER.to_owned(),
        _ => common_name(good)?,
    };
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    (params.not_before, params.not_after) = match wrong {
        Wrong::Expired => (now - DAY * 30, now - DAY),
        Wrong::NotYetValid => (now + DAY, now + DAY * 30),
        Wrong::OtherChain | Wrong::OtherName => (now - DAY, now + DAY * 30),
    };
    let stranger;
    let signer = match wrong {
        Wrong::OtherChain => {
            stranger = Authority::create(Clock::system()).ok()?;
            &stranger
        }
        _ => authority,
    };
    let pem = signer.to_pem();
    let key = KeyPair::from_pem(pem.intermediate_key.expose()).ok()?;
    let issuer = Issuer::from_ca_cert_pem(&pem.intermediate_certificate, key).ok()?;
    let own = own_key(view).or_else(|| KeyPair::generate().ok())?;
    let certificate = params.signed_by(&own, &issuer).ok()?.pem();
    // As many certificates as it had: the chain goes with it.
    let chain = matches!(good, Value::Str(text) if text.windows(BEGIN.len()).filter(|it| *it == BEGIN).count() > 1);
    Some(match chain {
        true => format!("{certificate}{}", pem.intermediate_certificate),
        false => certificate,
    })
}

const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// The key that the unit has beside its certificate, if it is in NVS at all.
fn own_key(view: &DeviceView) -> Option<KeyPair> {
    let keys =
        view.entries().iter().filter(|entry| matches!(held(&entry.value), Some((Holds::Key, _))));
    keys.filter_map(|entry| KeyPair::from_pem(entry.value.as_str()?).ok()).next()
}

fn common_name(certificate: &Value) -> Option<String> {
    let der = match certificate {
        Value::Str(text) => parse_x509_pem(text).ok()?.1.contents,
        Value::Blob(der) => der.clone(),
        _ => return None,
    };
    let (_, certificate) = parse_x509_certificate(&der).ok()?;
    let name = certificate.subject().iter_common_name().next()?.as_str().ok()?;
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use goldline_nvs::{Document, Image, Version, generate};

    fn unit(authority: &Authority) -> Vec<u8> {
        let issued = authority.issue_device(
            "device-1",
            std::time::Duration::from_secs(3600).try_into().expect("short"),
        );
        let issued = issued.expect("a certificate");
        let mut document = Document::new();
        let mut insert = |key, text: &str| {
            document.insert("vault", key, Value::str(text)).expect("it is allowed");
        };
        insert("cert", &issued.signed.chain);
        insert("key", issued.key.expose());
        insert("ca", authority.root_pem());
        insert("name", "one");
        generate(&document, 0x6000, Version::V2).expect("it fits")
    }

    /// What a certificate says of itself: name, begin, end, issuer.
    fn read(value: &Value) -> (String, OffsetDateTime, OffsetDateTime, String) {
        let Value::Str(text) = value else { panic!("it is PEM") };
        let pem = parse_x509_pem(text).expect("it is PEM").1;
        let (_, certificate) = parse_x509_certificate(&pem.contents).expect("it is a certificate");
        let (from, to) = (certificate.validity().not_before, certificate.validity().not_after);
        let name = common_name(value).expect("it has one");
        (name, from.to_datetime(), to.to_datetime(), certificate.issuer().to_string())
    }

    #[test]
    fn each_forgery_is_wrong_in_one_thing() {
        let authority = Arc::new(Authority::create(Clock::system()).expect("a CA"));
        let plain = unit(&authority);
        let image = Image::decode(&plain).expect("whole pages");
        let view = image.device_view();
        let of = |key: &str| view.get("vault", key).expect("it is there").clone();
        let good = read(&of("cert"));
        let now = OffsetDateTime::now_utc();
        for (name, _, change) in of_entry(&of("cert"), &authority) {
            let Change::Forged(forge) = change else { panic!("{name} is forged") };
            let (subject, from, to, issuer) =
                read(&forge(&view, &of("cert")).expect("it can be made"));
            let wrong = [
                ("expired", to < now),
                ("not_yet_valid", from > now),
                ("other_chain", issuer != good.3),
                ("other_name", subject != good.0),
            ];
            let is: Vec<&str> = wrong.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect();
            assert_eq!(is, [name]);
        }
        assert_eq!(of_entry(&of("key"), &authority).len(), 1);
        assert_eq!(of_entry(&of("ca"), &authority)[0].0, "stranger");
        assert!(of_entry(&of("name"), &authority).is_empty());
    }
}
