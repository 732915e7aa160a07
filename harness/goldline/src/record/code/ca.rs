//! Registration with a certificate authority: by the bench before anything is written, or by the unit.

super::codes! {
    /// The unit did not call its CA, or with a wrong identity, and the CA is sound.
    CaNotRegistered = "ca.not_registered" {
        action: "compare the CA's address, UUID and key in the profile with what the firmware reads",
        causes: [
            "the firmware reads another address, UUID or key than the profile writes",
            "it makes its UUID itself, by another scheme or of another spelling of the MAC",
            "it waits for something else before it calls",
            "it does not trust the CA's HTTPS certificate",
        ],
        operator: "provision the unit once more; if it is not registered again, set it aside and call",
        engineer: "read the CA's refusal in the message, or the firmware's HTTP error in console.log; compare UUID and MAC digit by digit",
    }
    /// The CA cannot be reached.
    CaUnreachable = "ca.unreachable" {
        action: "CA server unreachable: run goldline ca test URL; check address, scheme, firewall and that the CA runs",
        causes: [
            "the CA does not run, or its machine is off",
            "host or port in the address are wrong",
            "https was asked of a server that speaks http, or the other way round",
            "a firewall or the network lies between station and CA",
            "the CA's HTTPS certificate is not trusted here",
        ],
        operator: "call: the unit is not at fault, and nothing was written to it; test it again when the CA answers",
        engineer: "run goldline ca test URL on the station: it says whether it was name, connection, TLS or HTTP",
    }
    /// The CA refused the registration.
    CaRefused = "ca.refused" {
        action: "read the CA's sentence; check the UUID and the key, and the CA's own log",
        causes: [
            "the UUID is registered already, with another key",
            "the CA does not know the product, or has blocked this unit",
            "UUID, key or MAC have a form that it does not take",
            "it wants a login that the station does not give",
        ],
        operator: "set the unit aside and call; the next unit may be tried",
        engineer: "find the request in the CA's log by the unit's UUID, and compare it with the sentence in the message",
    }
    /// The CA answered something that is no registration.
    CaMalformed = "ca.malformed" {
        action: "check that the address is the CA's, without a trailing slash, and read the CA's own log",
        causes: [
            "another service answers at that address: a proxy, a login page",
            "the address has a path or a slash too many",
            "the CA has another version, with other fields",
            "it failed in the middle of its answer",
        ],
        operator: "call: the unit is not at fault, and nothing was written to it",
        engineer: "send the same request with curl, and compare the answer with {success, certificate, ca_cert, expiry}",
    }
    /// The CA issued a certificate that does not fit the unit.
    CaCertificateWrong = "ca.certificate_wrong" {
        action: "nothing was written: compare the certificate's name, key and chain with the CA's own log",
        causes: [
            "the CA certified another key or another name than the request's: requests were mixed up",
            "intermediate certificates are missing in ca_cert",
            "it issues from another root than the station expects",
        ],
        operator: "set the unit aside and call; nothing was written to it",
        engineer: "look at the certificate with openssl x509 -text, and at the root that --ca-root names",
    }
    /// The certificate has expired, or will too soon.
    CaCertificateExpired = "ca.certificate_expired" {
        action: "nothing was written: check the CA's validity settings and the station's clock",
        causes: [
            "the clock of the station or of the CA is wrong",
            "the CA issues for a shorter time than the profile asks for",
            "the CA's own certificate expires, or has expired",
        ],
        operator: "check the station's date and time, and call; nothing was written to the unit",
        engineer: "compare both clocks, then the CA's validity with remaining_validity_days in the profile",
    }
    /// The CA's address is plain http, and the profile marks it as production.
    CaInsecure = "ca.insecure" {
        action: "give the CA's https address: the key would cross the network in the clear",
        causes: [
            "the address was copied from a test set-up",
            "the CA has no HTTPS yet",
        ],
        operator: "call: the station's address of the CA has to be another one; nothing was written to the unit",
        engineer: "put HTTPS before the CA, or mark the profile's CA as a test one where it is",
    }
}
