//! What is the bench's fault: nothing is said of the unit.

super::codes! {
    /// The CA of the bench is at fault.
    TestbedCa = "testbed.ca" {
        action: "check that the CA runs and what certificate it shows, then test the unit again",
        causes: [
            "the CA does not run, or fails at each request",
            "it takes too long to answer",
            "it issues certificates that fit nobody's request",
        ],
        operator: "call: the unit is not at fault; test it again when the CA is sound",
        engineer: "read what the bench tried and what it was told in the message; goldline ca test URL repeats it",
    }
    /// The configuration server of the bench is at fault.
    TestbedConfigServer = "testbed.config_server" {
        action: "check that the config server runs, then test the unit again",
        causes: [
            "the server does not run, or fails at each request",
            "it answers with something that is no configuration, or with another device's",
        ],
        operator: "call: the unit is not at fault; test it again when the server is sound",
        engineer: "read what the bench was answered in the message, and the server's own log",
    }
    /// The update server of the bench is at fault.
    TestbedUpdateServer = "testbed.update_server" {
        action: "check that the update server runs and gives the image as it is, then test the unit again",
        causes: [
            "the server does not run",
            "it gives another image, or a damaged one",
        ],
        operator: "call: the unit is not at fault; test it again when the server is sound",
        engineer: "download the image from the bench, and compare its digest with the one in the profile's folder",
    }
    /// The time server of the bench is at fault.
    TestbedTime = "testbed.time_server" {
        action: "check that the time server answers, then test the unit again",
        causes: [
            "the server hears questions and answers none",
            "its clock is wrong, or not synchronised itself",
        ],
        operator: "call: the unit is not at fault; test it again when the server is sound",
        engineer: "ask it with an NTP client from the bench, and compare its time with another clock",
    }
    /// The access point of the bench is at fault: the bench cannot join with the planned credentials either.
    TestbedAccessPoint = "testbed.access_point" {
        action: "check the access point's SSID, password and power, then test the unit again",
        causes: [
            "the access point is off, or has another SSID",
            "its password is not the planned one: it was changed on one side",
            "it gives no address: its DHCP is off or has none left",
            "hostapd, which is asked what it sees, is gone, hangs or serves nobody",
            "hostapd refuses or never admits the unit, and no unit before it in this nest tells whether it would admit a good one",
        ],
        operator: "check that the access point is on, then test the unit again; lay in a unit that is known to be good; call if the bench cannot join",
        engineer: "compare SSID and password of the access point with the plan's; the message says how far the bench itself came",
    }
    /// The network of the bench is at fault: the bench gets no address on it either.
    TestbedNetwork = "testbed.network" {
        action: "check the bench's network and its DHCP, then test the unit again",
        causes: [
            "the network's DHCP does not answer, or has no address left",
            "the cable or the switch of the bench is out",
            "the access point behind the bench's interface is off, or has another name or password than the units are given",
            "the site's network does not lead units to the bench: its access point, its DNS, or a firewall",
        ],
        operator: "check the bench's network cable and access point, then test the unit again; lay in a unit that is known to be good; call if it stays",
        engineer: "ask for an address on that network from another machine: while one is served there, a unit that does not come is to blame",
    }
    /// The broker of the bench is at fault: the bench cannot connect with the planned credentials either.
    TestbedBroker = "testbed.broker" {
        action: "check that the broker runs and which certificate it shows, then test the unit again",
        causes: [
            "the broker does not run, or does not listen at that port (8883)",
            "it shows a certificate of another CA or for another name, or one that has expired",
            "it has no account, or other rights, for this unit",
            "a firewall lies between bench and broker",
        ],
        operator: "call: the unit is not at fault; test it again when the broker is sound",
        engineer: "the message says how far the bench came with the unit's own credentials: connection, TLS, login or message",
    }
    /// Another client uses the unit's id at a broker that is already there.
    TestbedIdentityInUse = "testbed.identity_in_use" {
        action: "find the other client: a unit that was cloned, or a program under this unit's name; end it or give one of them an id of its own, then test the unit again",
        causes: [
            "a unit whose flash was copied from this one, or this one from it, is switched on",
            "a program for testing is connected under the unit's name",
            "two products make the same client id",
        ],
        operator: "switch off other units nearby and test again; call if it stays",
        engineer: "ask the broker from which address the id connects",
    }
    /// A service of the testbed could not be started.
    TestbedNotStarted = "testbed.not_started" {
        action: "do what the message says for the service that it names, then test again",
        causes: [
            "another program, or another goldline, listens at that address",
            "a broker that is already there does not run, or does not let the bench in",
            "a certificate that the service needs cannot be read, or is not valid now",
        ],
        operator: "call: the unit was not touched",
        engineer: "the message names the service and the system's reason; ss -ltnp shows who listens",
    }
}
