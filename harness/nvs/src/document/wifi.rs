//! Keys that the reference generator adds beside WiFi credentials.
//!
//! ESP-IDF's WiFi driver expects them in its namespace; the generator has them
//! built in, undocumented.

use sha1_smol::Sha1;

use crate::value::Value;

/// The namespace of ESP-IDF's WiFi driver.
pub(super) const NAMESPACE: &str = "nvs.net80211";

const PMK_BYTES: usize = 32;
const PBKDF2_ROUNDS: usize = 4096;

/// Whether the reference generator adds keys for this one.
pub(super) fn is_trigger(key: &str) -> bool {
    matches!(key, "sta.ssid" | "sta.pswd" | "ap.ssid" | "ap.passwd" | "ap.authmode")
}

/// Whether the reference generator adds this key by itself.
pub(super) fn is_added(key: &str) -> bool {
    matches!(key, "sta.apinfo" | "sta.pmk" | "sta.apsw" | "ap.pmk_info")
}

/// What has been seen of the credentials so far.
#[derive(Debug, Default)]
pub(super) struct Injections {
    station_done: bool,
    ssid: Option<String>,
    passphrase: Option<String>,
    has_authmode: bool,
}

/// Items to write before and after the row that causes them.
#[derive(Debug, Default)]
pub(super) struct Extras {
    pub before: Option<(&'static str, Value)>,
    pub after: Vec<(&'static str, Value)>,
}

impl Injections {
    /// What the row with this key and value text adds.
    pub fn on_row(&mut self, key: &str, text: &str) -> Extras {
        match key {
            "sta.ssid" | "sta.pswd" => return self.station(),
            "ap.ssid" => self.ssid = Some(text.to_owned()),
            "ap.passwd" => self.passphrase = Some(text.to_owned()),
            // Open access points ("0") have no key to derive.
            "ap.authmode" if text != "0" => self.has_authmode = !text.is_empty(),
            "ap.authmode" => {}
            _ => return Extras::default(),
        }
        self.access_point()
    }

    fn station(&mut self) -> Extras {
        if std::mem::replace(&mut self.station_done, true) {
            return Extras::default();
        }
        Extras {
            before: None,
            after: vec![
                ("sta.apinfo", Value::Blob(vec![0xFF; 140])),
                ("sta.pmk", Value::Blob(vec![0; PMK_BYTES])),
                ("sta.apsw", Value::Blob(vec![0; 2])),
            ],
        }
    }

    fn access_point(&self) -> Extras {
        let (Some(ssid), Some(passphrase)) = (&self.ssid, &self.passphrase) else {
            return Extras::default();
        };
        if ssid.is_empty() || passphrase.is_empty() || !self.has_authmode {
            return Extras::default();
        }
        let mut info = vec![0; 100];
        info.extend_from_slice(&pmk(passphrase.as_bytes(), ssid.as_bytes()));
        Extras { before: Some(("ap.pmk_info", Value::Blob(info))), after: Vec::new() }
    }
}

/// WPA's pairwise master key: PBKDF2 of HMAC-SHA-1 over the SSID.
fn pmk(passphrase: &[u8], ssid: &[u8]) -> [u8; PMK_BYTES] {
    let mut key = [0; PMK_BYTES];
    let mac = HmacSha1::new(passphrase);
    for (number, block) in (1u32..).zip(key.chunks_mut(20)) {
        let mut round = mac.digest(&[ssid, &number.to_be_bytes()]);
        let mut sum = round;
        for _ in 1..PBKDF2_ROUNDS {
            round = mac.digest(&[&round]);
            sum.iter_mut().zip(round).for_each(|(sum, byte)| *sum ^= byte);
        }
        block.copy_from_slice(&sum[..block.len()]);
    }
    key
}

/// HMAC with both halves of the key hashed once.
struct HmacSha1 {
    inner: Sha1,
    outer: Sha1,
}

impl HmacSha1 {
    fn new(key: &[u8]) -> Self {
        let mut block = [0u8; 64];
        if key.len() > block.len() {
            block[..20].copy_from_slice(&Sha1::from(key).digest().bytes());
        } else {
            block[..key.len()].copy_from_slice(key);
        }
        Self {
            inner: Sha1::from(block.map(|byte| byte ^ 0x36)),
            outer: Sha1::from(block.map(|byte| byte ^ 0x5C)),
        }
    }

    fn digest(&self, parts: &[&[u8]]) -> [u8; 20] {
        let mut inner = self.inner.clone();
        parts.iter().for_each(|part| inner.update(part));
        let mut outer = self.outer.clone();
        outer.update(&inner.digest().bytes());
        outer.digest().bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_master_key_is_that_of_ieee_802_11() {
        // Test vector of IEEE 802.11-2016, J.4.2.
        let key = pmk(b"password", b"IEEE");
        assert_eq!(
            crate::text::hex(&key),
            "f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e"
        );
    }

    #[test]
    fn station_keys_are_added_once() {
        let mut injections = Injections::default();
        assert_eq!(injections.on_row("sta.ssid", "net").after.len(), 3);
        assert!(injections.on_row("sta.pswd", "x").after.is_empty());
    }

    #[test]
    fn an_open_access_point_has_no_master_key() {
        let mut injections = Injections::default();
        injections.on_row("ap.ssid", "net");
        injections.on_row("ap.passwd", "secret123");
        assert!(injections.on_row("ap.authmode", "0").before.is_none());
        assert!(injections.on_row("ap.authmode", "3").before.is_some());
    }
}
