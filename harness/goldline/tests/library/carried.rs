//! Certificates in applications: each form is found where it was put, and nothing is made of what is damaged.
//!
//! The certificates are made here; bundles are written here after the description of ESP-IDF's, not by what
//! reads them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use goldline::image::{Carried, Form, carried};
use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use sha2::{Digest, Sha256};
use x509_parser::parse_x509_certificate;

const INTO_ROM: u32 = 0x3C00_0020;

fn params(name: &str, ca: bool) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_after = rcgen::date_time_ymd(2040, 2, 3);
    if ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    params
}

fn ca(name: &str) -> Certificate {
    let key = KeyPair::generate().expect("a key");
    params(name, true).self_signed(&key).expect("a certificate")
}

/// A unit's own.
fn leaf() -> Certificate {
    let (ca_key, key) = (KeyPair::generate().expect("a key"), KeyPair::generate().expect("a key"));
    let issuer = Issuer::new(params("Some CA", true), ca_key);
    params("unit-1", false).signed_by(&key, &issuer).expect("a certificate")
}

/// An ESP image with these segments, the first one seen at [`INTO_ROM`].
fn image(segments: &[&[u8]]) -> Vec<u8> {
    let count = u8::try_from(segments.len()).expect("few");
    let mut image = vec![0xE9, count, 2, 0x20, 0, 0, 0, 0];
    image.resize(24, 0);
    let mut sum = 0xEF;
    for (number, segment) in (0..).zip(segments) {
        image.extend((INTO_ROM + number * 0x0100_0000).to_le_bytes());
        image.extend(u32::try_from(segment.len()).expect("short").to_le_bytes());
        image.extend(*segment);
        sum = segment.iter().fold(sum, |sum, byte| sum ^ byte);
    }
    image.resize(image.len() | 15, 0);
    image.push(sum);
    image
}

/// Name and key of a certificate, as DER.
fn name_and_key(certificate: &Certificate) -> (Vec<u8>, Vec<u8>) {
    let (_, read) = parse_x509_certificate(certificate.der()).expect("a certificate");
    (read.subject().as_raw().to_vec(), read.public_key().raw.to_vec())
}

/// ESP-IDF's bundle as its first releases write it: a count, then lengths, name and key of each; the high byte
/// comes first.
fn counted(certificates: &[&Certificate]) -> Vec<u8> {
    let mut bundle = u16::try_from(certificates.len()).expect("few").to_be_bytes().to_vec();
    for (name, key) in certificates.iter().map(|certificate| name_and_key(certificate)) {
        for part in [&name, &key] {
            bundle.extend(u16::try_from(part.len()).expect("short").to_be_bytes());
        }
        bundle.extend([name, key].concat());
    }
    bundle
}

/// As later releases write it: the offset of each entry, then the entries; the low byte comes first.
fn listed(certificates: &[&Certificate]) -> Vec<u8> {
    let (mut offsets, mut entries) = (Vec::new(), Vec::new());
    for (name, key) in certificates.iter().map(|certificate| name_and_key(certificate)) {
        let offset = u32::try_from(4 * certificates.len() + entries.len()).expect("short");
        offsets.extend(offset.to_le_bytes());
        for part in [&name, &key] {
            entries.extend(u16::try_from(part.len()).expect("short").to_le_bytes());
        }
        entries.extend([name, key].concat());
    }
    [offsets, entries].concat()
}

fn subjects(found: &[Carried]) -> Vec<&str> {
    found.iter().map(|carried| carried.issuer.subject()).collect()
}

#[test]
fn text_and_der_are_found_where_they_are() {
    let (one, other) = (ca("One Root"), ca("Other Root"));
    let pem = one.pem();
    let rom = [b"\0I am text \0".as_slice(), pem.as_bytes(), b"\0"].concat();
    let embedded = [b"0\x82\x01\x00000\x82".as_slice(), other.der(), b"\0\0"].concat();
    let file = image(&[&rom, &embedded]);
    let found = carried(&file);
    assert_eq!(subjects(&found), ["\"One Root\"", "\"Other Root\""]);
    let [text, der] = &found[..] else { panic!("{found:?}") };
    assert_eq!((text.form, der.form), (Form::Pem, Form::Der));
    assert!(file[text.offset..].starts_with(b"-----BEGIN CERTIFICATE-----"));
    assert!(file[der.offset..].starts_with(other.der()));
    assert_eq!(text.address, Some(INTO_ROM + 12));
    assert_eq!(der.address, Some(INTO_ROM + 0x0100_0000 + 8));
    let digest: String =
        Sha256::digest(name_and_key(&one).1).iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(text.issuer.key_digest(), digest);
    let end = text.issuer.not_after().expect("a certificate ends");
    assert_eq!(end.date().to_string(), "2040-02-03");
    assert!(found.iter().all(|carried| carried.issuer.is_anchor()));
}

#[test]
fn a_file_of_another_kind_is_searched_as_a_whole() {
    let one = ca("One Root");
    let file = [vec![0xFF; 0x1234], one.pem().into_bytes(), vec![0xFF; 77]].concat();
    let found = carried(&file);
    assert_eq!(subjects(&found), ["\"One Root\""]);
    assert_eq!((found[0].offset, found[0].address), (0x1234, None));
}

#[test]
fn a_text_may_be_escaped_as_sources_escape_it() {
    let one = ca("One Root");
    let lines = one.pem().replace("\r\n", "\n");
    for breaks in ["\\n", "\\r\\n", "\r\n", "\\n\"\n  \"", "\n"] {
        let text = format!("{{\"ca\":\"{}\"}}", lines.trim_end().replace('\n', breaks));
        assert_eq!(subjects(&carried(text.as_bytes())), ["\"One Root\""], "{breaks:?}");
    }
}

#[test]
fn bundles_of_both_kinds_are_read_entry_by_entry() {
    let certificates = [ca("A Root"), ca("B Root"), ca("C Root")];
    let all: Vec<&Certificate> = certificates.iter().collect();
    for (bundle, before) in [(counted(&all), 2), (listed(&all), 12)] {
        let rom = [b"\xFF0\x82text".as_slice(), &bundle, b"\0\0after"].concat();
        let file = image(&[&rom]);
        let found = carried(&file);
        assert_eq!(subjects(&found), ["\"A Root\"", "\"B Root\"", "\"C Root\""]);
        assert!(found.iter().all(|entry| entry.form == Form::Bundle && entry.issuer.is_anchor()));
        assert_eq!(found[0].address, Some(INTO_ROM + 7 + before));
        assert_eq!(found[0].issuer.not_after(), None, "an entry is a name and a key");
        for (entry, certificate) in found.iter().zip(&certificates) {
            assert!(entry.issuer.may_vouch_for(&certificate.pem()));
        }
        assert!(!found[0].issuer.may_vouch_for(&certificates[1].pem()));
        assert_eq!(carried(&rom[7..7 + bundle.len()]).len(), 3, "nothing around it is needed");
        assert_eq!(carried(&rom[7..7 + bundle.len() - 1]), [], "the last entry is cut off");
    }
}

#[test]
fn what_is_cut_short_damaged_or_split_is_no_certificate() {
    let one = ca("One Root");
    let (pem, der) = (one.pem(), one.der().to_vec());
    let mut damaged = der.clone();
    damaged[5] = 0xFF;
    for bytes in [
        pem.as_bytes()[..pem.len() - 40].to_vec(),
        pem.replacen('M', "", 1).into_bytes(),
        der[..der.len() - 1].to_vec(),
        damaged,
        STANDARD.encode(&der).into_bytes(),
    ] {
        assert_eq!(carried(&bytes), [], "{}", String::from_utf8_lossy(&bytes));
    }
    // No program reads from one segment into the next, whose header lies between.
    for bytes in [pem.as_bytes(), &der] {
        let (first, second) = bytes.split_at(bytes.len() / 2);
        assert_eq!(carried(&image(&[first, second])), []);
        assert_eq!(carried(&image(&[&[first, second].concat()])).len(), 1);
    }
}

#[test]
fn a_units_own_certificate_is_no_anchor() {
    let found = carried(leaf().pem().as_bytes());
    assert_eq!(subjects(&found), ["\"unit-1\""]);
    assert!(!found[0].issuer.is_anchor());
}

/// Whoever trusts the root, or the intermediate, can trust what comes of the intermediate.
#[test]
fn an_issuer_vouches_for_what_it_signed_and_for_nothing_else() {
    let (root_key, key) =
        (KeyPair::generate().expect("a key"), KeyPair::generate().expect("a key"));
    let root = params("Root", true).self_signed(&root_key).expect("a certificate");
    let issuer = Issuer::new(params("Root", true), root_key);
    let between = params("Between", true).signed_by(&key, &issuer).expect("a certificate");
    // The same name, and another key.
    let namesake = ca("Root");
    let one = |certificate: &Certificate| carried(certificate.der()).swap_remove(0).issuer;
    assert!(one(&root).may_vouch_for(&between.pem()));
    assert!(one(&between).may_vouch_for(&between.pem()));
    assert!(one(&between).may_vouch_for(&root.pem()));
    assert!(!one(&namesake).may_vouch_for(&between.pem()));
    assert!(!one(&namesake).may_vouch_for(&root.pem()));
    assert!(!one(&ca("Other")).may_vouch_for(&[root.pem(), between.pem()].concat()));
}
