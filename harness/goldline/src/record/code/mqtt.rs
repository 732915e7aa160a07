//! How a unit gets to its broker and what it does there.

super::codes! {
    /// The broker refused the unit's user name or password, and accepted the planned ones from the bench.
    MqttBadCredentials = "mqtt.bad_credentials" {
        action: "compare the MQTT keys in the profile with what the firmware reads",
        causes: [
            "the firmware reads other keys than the profile writes, or has credentials of its own",
            "it cuts the password, or adds a line's end to it",
            "it makes its user name or password itself, of another id or another salt",
        ],
        operator: "provision the unit once more; if it is refused again, set it aside and call",
        engineer: "compare user name and the password's length in the firmware with the plan (goldline run --dry-run); a derived password depends on the id's capitals",
    }
    /// The unit holds an MQTT password of a salt that is not valid any more.
    MqttSaltRetired = "mqtt.salt_retired" {
        action: "provision the unit again; while units of the old salt are good, name it under [previous] in the station file",
        causes: [
            "the salt was changed since the unit was provisioned, and the old one is retired",
            "the station has another salt than the server: a wrong variable, file or command",
        ],
        operator: "provision the unit again; if all units fail like this, call: the station's salt is wrong",
        engineer: "compare where the station file takes the salt from with the server's; docs/station.md says how salts are changed",
    }
    /// The unit refused the broker's certificate, and the bench trusted it with the planned CA.
    MqttServerUntrusted = "mqtt.server_untrusted" {
        action: "check which CA certificate the firmware carries",
        causes: [
            "the firmware carries another CA, or an old one",
            "the unit's clock is not set, and the certificate is not valid yet for it",
            "the firmware compares another name than the one in the certificate",
            "the CA in NVS is cut, or lacks the zero at its end that mbedTLS wants for PEM",
        ],
        operator: "test the unit again; if it refuses again, set it aside and call, for it is the firmware's",
        engineer: "read mbedTLS's line in the evidence: \"verification info\" says whether it was issuer, name or time",
    }
    /// The unit did not connect to the broker in time, and the bench did.
    MqttNotConnected = "mqtt.not_connected" {
        action: "read the serial log in the evidence; check the broker address that the firmware reads",
        causes: [
            "the firmware goes to another name or port, or does not resolve the name",
            "it speaks plain MQTT, or MQTT over WebSocket, to a port with TLS",
            "it has too little memory for the TLS handshake (MBEDTLS_ERR_SSL_ALLOC_FAILED, -0x7F00)",
            "it waits for something else first: the time, its configuration, a sensor",
        ],
        operator: "test the unit again; set it aside if it does not connect again",
        engineer: "read how far it came: never reached, TLS, or closed by the broker; print the free heap before the handshake",
    }
    /// The unit connected with another client id, user name, TLS version or certificate than planned.
    MqttIdentityDiffers = "mqtt.identity_differs" {
        action: "compare the client id and user name in the profile with what the firmware builds",
        causes: [
            "the firmware builds its client id of another id, or writes it otherwise",
            "a client id or user name is compiled in, the same for all units",
            "it connects to another name or address than the planned one",
            "its certificate is another unit's, or it shows none",
        ],
        operator: "provision the unit once more; if it differs again, set it aside and call",
        engineer: "compare found and planned in the message; a unit with another's id would put that one out in the field",
    }
    /// The unit lacks a subscription that the profile names.
    MqttSubscriptionMissing = "mqtt.subscription_missing" {
        action: "compare the topics in the profile with what the firmware subscribes to",
        causes: [
            "the firmware makes its topics of another id, or in other letters",
            "it subscribes only after something else that did not come",
            "it does not subscribe again after a lost connection",
        ],
        operator: "test the unit again; if a subscription is missing again, set it aside and call",
        engineer: "compare the message's topics with subscriptions in [mqtt] of the profile; wait for SUBACK in the firmware",
    }
    /// The unit subscribes to more than the profile names or allows.
    MqttSubscriptionUnexpected = "mqtt.subscription_unexpected" {
        action: "find out why the firmware listens there: whoever may publish on that topic reaches the unit; allow it in [mqtt] allowed_subscriptions if it is right",
        causes: [
            "a wildcard (# or +) from a time of debugging",
            "a topic of an earlier version that nobody took out",
            "a library of the firmware subscribes to topics of its own",
        ],
        operator: "set the unit aside and call: every unit with this firmware does the same",
        engineer: "search the firmware for the topic that the message names; if it is right, name it in allowed_subscriptions",
    }
    /// A command got no answer, or a wrong one.
    MqttCommandUnanswered = "mqtt.command_unanswered" {
        action: "read the serial log in the evidence; check the command's topic, form and reply in the profile",
        causes: [
            "the firmware expects the command in another form, or on another topic",
            "it answers on another topic, or without what the profile looks for",
            "it heard the command and failed at it",
            "it is connected and never subscribed",
        ],
        operator: "test the unit again; if it does not answer again, set it aside and call",
        engineer: "send the command by hand and listen to all of the unit's topics; look in console.log for an error of its parser",
    }
    /// A measured value of the MQTT connection lies outside its limits.
    MqttOutOfLimits = "mqtt.out_of_limits" {
        action: "read the serial log in the evidence for what took so long",
        causes: [
            "the first attempt failed, and the firmware waited before the next",
            "a weak radio link, where packets are sent again and again",
            "a slow TLS handshake: a long RSA chain, a low CPU clock",
            "the bench's machine is too busy",
        ],
        operator: "test the unit again; call if several units in a row are too slow",
        engineer: "compare connect_ms and round_trip_ms over the lot with rssi; look for reconnects in console.log",
    }
    /// The unit trusts a broker that it must not trust.
    TrustsAnyone = "mqtt.trusts_anyone" {
        action: "the firmware must verify the broker's certificate against its own CA: correct it, everyone can listen",
        causes: [
            "verification is switched off: setInsecure() in Arduino, MBEDTLS_SSL_VERIFY_NONE",
            "no CA is given to the client, and it then takes any certificate",
            "it gives up on TLS errors and connects without",
        ],
        operator: "set the unit aside and call: every unit with this firmware does the same",
        engineer: "give the client its CA (setCACert, broker.verification.certificate) and let it refuse everything else",
    }
    /// The unit did not come back after it refused the wrong broker, or never tried it.
    TrustNotTried = "mqtt.trust_not_tried" {
        action: "read the serial log: the unit must connect again after it lost its broker",
        causes: [
            "the firmware does not connect again when it loses its broker",
            "it waits longer between two attempts than the profile allows",
            "it gives up for good after a certificate that it refused",
        ],
        operator: "test the unit again; if it does not come back again, set it aside and call",
        engineer: "measure the pauses between the firmware's attempts in console.log, and compare them with the profile's deadlines",
    }
}
