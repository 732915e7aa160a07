//! The records of ESP-IDF's WiFi driver, namespace `nvs.net80211`.
//!
//! | key | bytes | layout |
//! | --- | --- | --- |
//! | `sta.ssid`, `ap.ssid` | 36 | length (u32), SSID in 32 bytes |
//! | `sta.pswd`, `ap.passwd` | 65 | passphrase, NUL-padded |
//! | `sta.pmk`, `ap.pmk` | 32 | pairwise master key |
//! | `sta.apinfo` | 5 × 140 | networks: length (u32), SSID (32), passphrase (65), the rest with a flag and the PMK |
//! | `ap.pmk_info` | 132, 154 | length (u32), SSID (32), passphrase (64), PMK (32) |
//! | `sta.bssid`, `sta.mac`, `ap.mac` | 6 | address |
//!
//! Images of Espressif's generator hold SSIDs and passphrases as strings or blobs without a length
//! as well. A passphrase may have all of its 64 bytes.

use super::{Content, Field, is_void};

/// The driver's namespace.
pub(crate) const NAMESPACE: &str = "nvs.net80211";
/// Longest SSID.
pub(crate) const SSID_BYTES: usize = 32;
const NETWORK_BYTES: usize = 140;
const LENGTH_BYTES: usize = 4;
const PASSPHRASE_BYTES: usize = 65;
const PMK_BYTES: usize = 32;
const ACCESS_POINT_PASSPHRASE_BYTES: usize = 64;
const ACCESS_POINT_BYTES: [usize; 2] = [132, 154];

/// The fields of a key that is a string or a blob.
pub(super) fn fields(key: &str, bytes: &[u8]) -> Vec<Field> {
    match key {
        "sta.ssid" | "ap.ssid" => vec![field("ssid", ssid(bytes))],
        "sta.pswd" | "ap.passwd" => vec![field("password", secret(bytes))],
        "sta.pmk" | "ap.pmk" => vec![field("PMK", master_key(bytes))],
        "sta.apinfo" => networks(bytes),
        "ap.pmk_info" => access_point(bytes),
        // Half a key pair of opportunistic encryption; the identifier that chooses a password.
        "sta.owe_data" => vec![field("OWE data", secret(bytes))],
        "sta.sae_h2e_id" => vec![field("SAE password identifier", secret(bytes))],
        "sta.bssid" | "sta.mac" | "ap.mac" => vec![field("address", address(bytes))],
        // Order in which the kept networks are tried; country and its channels.
        "sta.apsw" if bytes.len() == 2 => {
            vec![field("order", Content::Harmless { bytes: bytes.len() })]
        }
        "country" if bytes.len() <= 12 => {
            vec![field("country", Content::Harmless { bytes: bytes.len() })]
        }
        // A key of another version of the driver: whatever it is, it is the driver's.
        _ => vec![field("of unknown meaning", secret(bytes))],
    }
}

/// Up to five networks. Of another length they are of a layout that is not known: nothing is shown.
fn networks(bytes: &[u8]) -> Vec<Field> {
    if !bytes.len().is_multiple_of(NETWORK_BYTES) {
        return vec![field("networks", secret(bytes))];
    }
    let mut fields = Vec::new();
    let mut unused = 0;
    for (number, network) in (1..).zip(bytes.chunks(NETWORK_BYTES)) {
        if is_void(network) {
            unused += 1;
            continue;
        }
        let (name, rest) = split(network, LENGTH_BYTES + SSID_BYTES);
        // Where in the rest the PMK lies depends on the driver's version: none of it is shown.
        let (passphrase, pmk) = split(rest, PASSPHRASE_BYTES);
        let of_network = |what: &str, content| field(&format!("network {number} {what}"), content);
        fields.push(of_network("ssid", ssid(name)));
        fields.push(of_network("password", secret(passphrase)));
        fields.push(of_network("PMK", master_key(pmk)));
    }
    if fields.is_empty() {
        fields.push(field("networks", Content::Nothing));
    } else if unused > 0 {
        fields.push(field("unused", Content::Text(unused.to_string().into_bytes())));
    }
    fields
}

fn access_point(bytes: &[u8]) -> Vec<Field> {
    if is_void(bytes) || !ACCESS_POINT_BYTES.contains(&bytes.len()) {
        return vec![field("access point", secret(bytes))];
    }
    let (name, rest) = split(bytes, LENGTH_BYTES + SSID_BYTES);
    let (passphrase, rest) = split(rest, ACCESS_POINT_PASSPHRASE_BYTES);
    let (pmk, _rest) = split(rest, PMK_BYTES);
    vec![
        field("ssid", ssid(name)),
        field("password", secret(passphrase)),
        field("PMK", master_key(pmk)),
    ]
}

/// With the driver's length before it, or as a generator writes it.
fn ssid(bytes: &[u8]) -> Content {
    if is_void(bytes) {
        return Content::Nothing;
    }
    match with_length(bytes) {
        Some(name) => Content::Text(name.to_vec()),
        // What is no SSID may be anything that was moved here by damage or by another layout.
        None if bytes.len() > SSID_BYTES => secret(bytes),
        None => Content::Text(until_padding(bytes).to_vec()),
    }
}

fn with_length(bytes: &[u8]) -> Option<&[u8]> {
    let (length, name) = bytes.split_first_chunk::<LENGTH_BYTES>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    // A record cut short still shows what there is of its name.
    let (name, padding) = name.split_at(length.min(name.len()));
    ((1..=SSID_BYTES).contains(&length) && is_void(padding)).then_some(name)
}

fn secret(bytes: &[u8]) -> Content {
    match is_void(bytes) {
        true => Content::Nothing,
        false => Content::Secret(until_padding(bytes).to_vec()),
    }
}

/// All bytes of it count: a key may end with a zero.
fn master_key(bytes: &[u8]) -> Content {
    match is_void(bytes) {
        true => Content::Nothing,
        false => Content::Secret(bytes.to_vec()),
    }
}

fn address(bytes: &[u8]) -> Content {
    match bytes.try_into() {
        Ok(_) if is_void(bytes) => Content::Nothing,
        Ok(mac) => Content::Mac(mac),
        Err(_) => secret(bytes),
    }
}

/// Up to the NUL or the erased bytes that fill the field.
fn until_padding(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| ![0, 0xFF].contains(byte));
    &bytes[..end.map_or(0, |last| last + 1)]
}

fn field(name: &str, content: Content) -> Field {
    Field { name: name.to_owned(), content }
}

/// At most `at` bytes and the rest.
fn split(bytes: &[u8], at: usize) -> (&[u8], &[u8]) {
    bytes.split_at(at.min(bytes.len()))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A network as the driver keeps it.
    pub(crate) fn network(name: &str, passphrase: &str, pmk: [u8; 32]) -> Vec<u8> {
        let mut bytes = (name.len() as u32).to_le_bytes().to_vec();
        bytes.extend(name.bytes());
        bytes.resize(LENGTH_BYTES + SSID_BYTES, 0);
        bytes.extend(passphrase.bytes());
        bytes.resize(LENGTH_BYTES + SSID_BYTES + PASSPHRASE_BYTES, 0);
        bytes.extend([0, 0, 1]);
        bytes.extend(pmk);
        bytes.extend([0; 4]);
        assert_eq!(bytes.len(), NETWORK_BYTES);
        bytes
    }

    fn shown(key: &str, bytes: &[u8]) -> String {
        let record = super::super::Record { fields: fields(key, bytes) };
        record.to_string()
    }

    #[test]
    fn networks_are_told_and_their_secrets_are_not() {
        let mut bytes = network("labnet-guest", "Tulip-Ladder-77", [0x6A; 32]);
        bytes.resize(700, 0);
        assert_eq!(
            shown("sta.apinfo", &bytes),
            "network 1 ssid \"labnet-guest\", network 1 password <secret>, network 1 PMK <secret>, \
             unused \"4\""
        );
        assert_eq!(shown("sta.apinfo", &[0xFF; 140]), "networks none");
        assert_eq!(shown("sta.apinfo", &[0; 700]), "networks none");
    }

    #[test]
    fn of_another_layout_nothing_is_shown() {
        let bytes = network("labnet-guest", "Tulip-Ladder-77", [0x6A; 32]);
        for length in 1..bytes.len() {
            assert_eq!(shown("sta.apinfo", &bytes[..length]), "networks <secret>", "{length}");
        }
        let moved = [&bytes[32..], &bytes[..32]].concat();
        assert!(!shown("sta.apinfo", &moved).contains("Tulip"));
        assert_eq!(shown("ap.pmk_info", &bytes), "access point <secret>");
    }

    #[test]
    fn an_access_point_of_each_layout_is_told() {
        let mut bytes = network("own", "Tulip-Ladder-77", [0; 32])[..36].to_vec();
        bytes.extend(b"Tulip-Ladder-77");
        bytes.resize(100, 0);
        bytes.extend([7; 32]);
        let expected = "ssid \"own\", password <secret>, PMK <secret>";
        assert_eq!(shown("ap.pmk_info", &bytes), expected);
        bytes.resize(154, 0xFF);
        assert_eq!(shown("ap.pmk_info", &bytes), expected);
        assert_eq!(shown("ap.pmk_info", &[0xFF; 154]), "access point none");
    }

    #[test]
    fn names_come_with_a_length_and_without() {
        assert_eq!(shown("sta.ssid", b"labnet"), "ssid \"labnet\"");
        let mut bytes = b"\x06\0\0\0labnet".to_vec();
        assert_eq!(shown("sta.ssid", &bytes), "ssid \"labnet\"");
        bytes.resize(36, 0);
        assert_eq!(shown("sta.ssid", &bytes), "ssid \"labnet\"");
        assert_eq!(shown("ap.ssid", &[0xFF; 36]), "ssid none");
        assert_eq!(shown("sta.pswd", &[0xFF; 65]), "password none");
    }
}
