//! What hostapd says at its control socket, and what of it tells of a station.
//!
//! Its own words: `wpa_ctrl.h` names the events, `ctrl_iface.c` and `ctrl_iface_ap.c` the answers. Of an event only what
//! it is about is taken, so that nothing that a station shows (an identity, the name of a key) goes any further.

use super::{NoHostapd, Sight};
use crate::identity::Mac;

/// What hostapd says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Word {
    /// Of a station.
    Of(Mac, Sight),
    /// It serves nobody any more.
    Ends(&'static str),
    /// It serves again.
    Serves,
}

/// An access point of hostapd's, of which one process may have several.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Bss {
    /// Its interface.
    pub(super) interface: String,
    /// Its network's name, as hostapd writes it.
    pub(super) ssid: String,
}

/// What a station is to hostapd now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Standing {
    /// Whether it may send and receive.
    pub is_admitted: bool,
    /// For how long it may, in whole seconds.
    pub admitted_s: Option<u64>,
    /// The signal of its last frame, in dBm; drivers without a radio tell none.
    pub signal_dbm: Option<i8>,
}

/// Reads an event; none where it tells nothing that matters here.
pub(super) fn event(said: &str) -> Option<Word> {
    // The level comes first, such as <3>.
    let said =
        said.strip_prefix('<').and_then(|rest| rest.split_once('>')).map(|(_, text)| text)?;
    let mut words = said.split_ascii_whitespace();
    let name = words.next()?;
    let sight = match name {
        "AP-STA-CONNECTED" => Sight::Admitted,
        "AP-STA-DISCONNECTED" => Sight::Left,
        "AP-STA-POSSIBLE-PSK-MISMATCH" => Sight::WrongPassphrase,
        "CTRL-EVENT-EAP-FAILURE" | "CTRL-EVENT-EAP-FAILURE2" => Sight::WrongCredentials,
        "AP-DISABLED" | "INTERFACE-DISABLED" => return Some(Word::Ends("its interface is down")),
        "CTRL-EVENT-TERMINATING" => return Some(Word::Ends("it ended")),
        "AP-ENABLED" | "INTERFACE-ENABLED" => return Some(Word::Serves),
        _ => return None,
    };
    Some(Word::Of(words.next()?.parse().ok()?, sight))
}

/// Whether that is an event, and no answer.
pub(super) fn is_event(said: &str) -> bool {
    said.starts_with('<')
}

/// Reads the answer to `STATUS`: the access point of that interface.
pub(super) fn status(answer: &str, interface: &str) -> Result<Bss, NoHostapd> {
    let field = |name: &str| {
        let mut fields = answer.lines().filter_map(|line| line.split_once('='));
        fields.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let Some(state) = field("state") else {
        return Err(NoHostapd::Stranger);
    };
    if state != "ENABLED" {
        return Err(NoHostapd::NotEnabled { state: state.to_owned() });
    }
    let mut found = Vec::new();
    for (number, served) in
        (0..).map_while(|number| Some((number, field(&format!("bss[{number}]"))?)))
    {
        if served == interface {
            let ssid = field(&format!("ssid[{number}]")).unwrap_or_default().to_owned();
            return Ok(Bss { interface: served.to_owned(), ssid });
        }
        found.push(served.to_owned());
    }
    Err(NoHostapd::OtherInterface { found, interface: interface.to_owned() })
}

/// Reads the answer to `STA` with a station's address: none where hostapd does not know it.
pub(super) fn standing(answer: &str) -> Option<Standing> {
    let mut lines = answer.lines();
    // First it repeats the address.
    lines.next()?.parse::<Mac>().ok()?;
    let mut standing = Standing::default();
    for (key, value) in lines.filter_map(|line| line.split_once('=')) {
        match key {
            "flags" => standing.is_admitted = value.contains("[AUTHORIZED]"),
            "connected_time" => standing.admitted_s = value.parse().ok(),
            // What was never heard is 0, which no station comes in with.
            "signal" => standing.signal_dbm = value.parse().ok().filter(|dbm| *dbm != 0),
            _ => {}
        }
    }
    Some(standing)
}

/// A network's name as hostapd writes it: what is no printable character of ASCII as an escape.
pub(super) fn shown_ssid(ssid: &str) -> String {
    let mut shown = String::new();
    for byte in ssid.bytes() {
        match byte {
            b'"' => shown.push_str("\\\""),
            b'\\' => shown.push_str("\\\\"),
            0x1B => shown.push_str("\\e"),
            b'\n' => shown.push_str("\\n"),
            b'\r' => shown.push_str("\\r"),
            b'\t' => shown.push_str("\\t"),
            0x20..=0x7E => shown.push(char::from(byte)),
            _ => shown.push_str(&format!("\\x{byte:02x}")),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const UNIT: Mac = Mac([0x24, 0x0A, 0xC4, 0x00, 0x01, 0x10]);

    #[rstest]
    #[case::connected("<3>AP-STA-CONNECTED 24:0a:c4:00:01:10", Word::Of(UNIT, Sight::Admitted))]
    #[case::with_its_key(
        "<3>AP-STA-CONNECTED 24:0a:c4:00:01:10 keyid=line-7",
        Word::Of(UNIT, Sight::Admitted)
    )]
    #[case::left("<3>AP-STA-DISCONNECTED 24:0a:c4:00:01:10", Word::Of(UNIT, Sight::Left))]
    #[case::mismatch(
        "<3>AP-STA-POSSIBLE-PSK-MISMATCH 24:0a:c4:00:01:10",
        Word::Of(UNIT, Sight::WrongPassphrase)
    )]
    #[case::eap(
        "<3>CTRL-EVENT-EAP-FAILURE 24:0a:c4:00:01:10",
        Word::Of(UNIT, Sight::WrongCredentials)
    )]
    #[case::disabled("<3>AP-DISABLED ", Word::Ends("its interface is down"))]
    #[case::ends("<3>CTRL-EVENT-TERMINATING ", Word::Ends("it ended"))]
    #[case::enabled("<3>AP-ENABLED ", Word::Serves)]
    fn an_event_tells_of_a_station_or_of_hostapd(#[case] said: &str, #[case] word: Word) {
        assert_eq!(event(said), Some(word));
    }

    #[rstest]
    #[case("PONG")]
    #[case("<3>CTRL-EVENT-EAP-STARTED 24:0a:c4:00:01:10")]
    #[case("<3>AP-STA-CONNECTED")]
    #[case("<3>AP-STA-CONNECTED nobody")]
    #[case("AP-STA-CONNECTED 24:0a:c4:00:01:10")]
    #[case("<3>")]
    #[case("")]
    fn other_words_tell_nothing(#[case] said: &str) {
        assert_eq!(event(said), None);
    }

    /// As hostapd 2.10 of Debian answers, in part.
    const STATUS: &str = "state=ENABLED\nphy=phy0\nfreq=2437\nchannel=6\nbss[0]=wlan1\nbssid[0]=02:00:00:00:00:01\nssid[0]=Line\nnum_sta[0]=1\nbss[1]=wlan1_1\nbssid[1]=02:00:00:00:00:02\nssid[1]=Other\n";

    #[test]
    fn the_access_point_of_an_interface_is_found_among_several() {
        assert_eq!(status(STATUS, "wlan1").expect("it is there").ssid, "Line");
        assert_eq!(status(STATUS, "wlan1_1").expect("it is there").ssid, "Other");
        let Err(NoHostapd::OtherInterface { found, .. }) = status(STATUS, "wlan2") else {
            panic!("it serves no such interface");
        };
        assert_eq!(found, ["wlan1", "wlan1_1"]);
    }

    #[test]
    fn who_does_not_serve_says_so() {
        let scanning = STATUS.replace("ENABLED", "COUNTRY_UPDATE");
        assert!(
            matches!(status(&scanning, "wlan1"), Err(NoHostapd::NotEnabled { state }) if state == "COUNTRY_UPDATE")
        );
        // wpa_supplicant answers PING as well.
        let supplicant = "wpa_state=DISCONNECTED\naddress=02:00:00:00:00:01\n";
        assert!(matches!(status(supplicant, "wlan1"), Err(NoHostapd::Stranger)));
    }

    #[test]
    fn a_station_is_admitted_where_it_is_authorized() {
        let answer = |flags: &str, more: &str| {
            standing(&format!("24:0a:c4:00:01:10\nflags={flags}\naid=1\n{more}"))
        };
        let found = answer(
            "[AUTH][ASSOC][AUTHORIZED][WMM]",
            "rx_packets=9\nsignal=-58\nconnected_time=7\n",
        );
        let expected = Standing { is_admitted: true, admitted_s: Some(7), signal_dbm: Some(-58) };
        assert_eq!(found, Some(expected));
        let found = answer("[AUTH][ASSOC]", "signal=0\n");
        assert_eq!(found, Some(Standing::default()));
        assert_eq!(answer("[AUTHORIZED]", "").expect("it is known").signal_dbm, None);
        assert_eq!(standing("FAIL\n"), None);
        assert_eq!(standing(""), None);
    }

    #[rstest]
    #[case("Line", "Line")]
    #[case("Caf\u{e9} \"7\" \\ \t", "Caf\\xc3\\xa9 \\\"7\\\" \\\\ \\t")]
    fn a_networks_name_is_written_as_hostapd_does(#[case] ssid: &str, #[case] shown: &str) {
        assert_eq!(shown_ssid(ssid), shown);
    }
}
