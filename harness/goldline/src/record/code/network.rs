//! How a unit gets into the network, by radio or by cable.

super::codes! {
    /// The unit reports a wrong WiFi password, and the bench joined with the planned one.
    WifiWrongPassword = "wifi.wrong_password" {
        action: "compare the WiFi password key and its length with what the firmware reads",
        causes: [
            "the firmware reads another key than the profile writes, or has a password of its own",
            "it cuts the password: a buffer of 64 bytes holds 63 and the end",
            "it offers another security than the access point takes (WPA3, PMF)",
            "the signal is so weak that the handshake times out, which looks the same (reasons 15 and 204)",
        ],
        operator: "re-seat the unit, close the nest, and test again; set it aside if it is refused again",
        engineer: "compare key, length and capitals with what the firmware hands to esp_wifi_set_config; reason 2, 15, 202 and 204 in the log",
    }
    /// The unit finds no access point, and the bench found it.
    WifiNotFound = "wifi.access_point_not_found" {
        action: "check the unit's antenna and its solder joints, then the SSID key that the firmware reads",
        causes: [
            "the antenna is not connected, or a part of its matching is missing",
            "the firmware looks for another SSID: capitals and spaces count",
            "the firmware's country setting leaves out the access point's channel (12 and 13)",
            "the network is on 5 GHz, which the ESP32 does not receive",
        ],
        operator: "check the antenna's plug, re-seat the unit and test again; set it aside if it finds nothing again",
        engineer: "let the firmware scan and print what it sees: nothing at all is the antenna, all but one is SSID, channel or country",
    }
    /// The unit did not join in time, and the bench did.
    WifiNotJoined = "wifi.not_joined" {
        action: "read the serial log in the evidence; check that the firmware reads the keys that the profile writes",
        causes: [
            "the firmware does not read the keys that the profile writes, and never tries",
            "it joins and gets no address: DHCP is off, or a fixed address is compiled in",
            "the link breaks off: a weak signal, or a supply that dips when the radio transmits",
            "it starts too late, or waits for something else first",
        ],
        operator: "re-seat the unit, close the nest, and test again; set it aside if it does not join again",
        engineer: "read in console.log how far it came: never tried, refused with a reason, joined without an address; compare with wifi_s in the profile",
    }
    /// The unit joined, but a measured value of the link lies outside its limits.
    WifiOutOfLimits = "wifi.out_of_limits" {
        action: "check the antenna, its connector and the shielding of the nest",
        causes: [
            "the antenna is not plugged in, damaged, or covered by the nest",
            "the nest or its distance to the access point has changed since the limits were set",
            "a part of the antenna's matching is missing or wrong",
            "the firmware scans every channel first, so that joining takes long",
        ],
        operator: "check the antenna's plug, close the nest, and test again; call if several units in a row are too weak",
        engineer: "compare rssi and join_ms over the lot (goldline records export): one unit is its antenna, all units are the nest or the limit",
    }
    /// The unit got no address on a network without a radio, and the bench got one.
    NetworkNotJoined = "network.not_joined" {
        action: "read the serial log in the evidence; check that the firmware starts its network interface and asks for an address",
        causes: [
            "the firmware does not start its interface, or was built for WiFi alone",
            "it does not ask for an address, or has a fixed one",
            "the Ethernet PHY does not run: its reset, its clock, or its address on the bus",
        ],
        operator: "check the network cable and re-seat the unit, then test again; set it aside if it gets no address again",
        engineer: "read in console.log whether the link came up; a link without an address is DHCP, no link is the PHY",
    }
    /// The unit got an address, but a measured value lies outside its limits.
    NetworkOutOfLimits = "network.out_of_limits" {
        action: "read the serial log in the evidence for what took so long",
        causes: [
            "the firmware starts its interface late, or waits for something else first",
            "the link is negotiated more than once: cable or PHY",
            "the firmware uses another address than the network gave it",
        ],
        operator: "check the network cable and test the unit again; set it aside if it is out of its limits again",
        engineer: "compare the times in console.log with join_ms, over several units of the lot",
    }
}
