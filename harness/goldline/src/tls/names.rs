//! For which hosts a certificate stands, as mbedTLS compares names.
//!
//! The alternative names if there are any, else the common ones; a `*` is one whole left-most label. Case does
//! not count, and a dot at the end does. IP addresses among the alternative names count since Mbed TLS 3.5, so
//! with ESP-IDF 5.2 and newer; before, only the text of a name was compared.

use std::net::IpAddr;

use rustls::pki_types::ServerName;
use x509_parser::{certificate::X509Certificate, extensions::GeneralName};

use super::certificate::shown;

/// Shown of the names that a certificate carries.
const MOST_NAMES: usize = 5;

/// Whether the certificate stands for the host.
pub(super) fn stands_for(certificate: &X509Certificate<'_>, host: &ServerName<'_>) -> bool {
    let written = host.to_str();
    match certificate.subject_alternative_name() {
        Ok(Some(names)) => names.value.general_names.iter().any(|name| match name {
            GeneralName::DNSName(name) => matches(name.as_bytes(), written.as_bytes()),
            GeneralName::IPAddress(octets) => is_address(octets, host),
            _ => false,
        }),
        Ok(None) => certificate
            .subject()
            .iter_common_name()
            .any(|name| matches(name.attr_value().data, written.as_bytes())),
        Err(_) => false,
    }
}

fn is_address(octets: &[u8], host: &ServerName<'_>) -> bool {
    let ServerName::IpAddress(address) = host else { return false };
    match IpAddr::from(*address) {
        IpAddr::V4(address) => octets == address.octets(),
        IpAddr::V6(address) => octets == address.octets(),
    }
}

fn matches(name: &[u8], host: &[u8]) -> bool {
    if name.eq_ignore_ascii_case(host) {
        return true;
    }
    let Some(domain) = name.strip_prefix(b"*").filter(|rest| rest.len() > 1 && rest[0] == b'.')
    else {
        return false;
    };
    let label = host.iter().position(|byte| *byte == b'.').filter(|length| *length > 0);
    label.is_some_and(|length| host[length..].eq_ignore_ascii_case(domain))
}

/// What the certificate stands for, as the middle of a sentence.
pub(super) fn found(certificate: &X509Certificate<'_>) -> String {
    let names: Vec<String> = match certificate.subject_alternative_name() {
        Ok(Some(names)) => names.value.general_names.iter().filter_map(alternative).collect(),
        _ => {
            let common = certificate.subject().iter_common_name();
            common.map(|name| shown(&String::from_utf8_lossy(name.attr_value().data))).collect()
        }
    };
    match names.len() {
        0 => "no host".to_owned(),
        count if count > MOST_NAMES => {
            format!("{} and {} more", names[..MOST_NAMES].join(", "), count - MOST_NAMES)
        }
        _ => names.join(", "),
    }
}

fn alternative(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(shown(name)),
        GeneralName::IPAddress(octets) => {
            let v4 = <[u8; 4]>::try_from(*octets).map(IpAddr::from);
            let address = v4.or_else(|_| <[u8; 16]>::try_from(*octets).map(IpAddr::from));
            address.ok().map(|address| shown(&address.to_string()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_is_one_whole_label_at_the_left() {
        for (name, host, good) in [
            ("broker.example.test", "BROKER.example.TEST", true),
            ("broker.example.test", "broker.example.test.", false),
            ("*.example.test", "broker.example.test", true),
            ("*.EXAMPLE.test", "broker.example.test", true),
            ("*.example.test", "a.broker.example.test", false),
            ("*.example.test", "example.test", false),
            ("*.example.test", ".example.test", false),
            ("b*.example.test", "broker.example.test", false),
            ("broker.*.test", "broker.example.test", false),
            ("*.", "broker.", false),
            ("*", "broker", false),
            ("", "", true),
        ] {
            assert_eq!(matches(name.as_bytes(), host.as_bytes()), good, "{name} for {host}");
        }
    }
}
