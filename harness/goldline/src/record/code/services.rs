//! The other services of a product: configuration, time, registry, alerts, updates.

super::codes! {
    /// What a test of the product's own measured is out of its limits.
    MeasuredOutOfLimits = "measured.out_of_limits" {
        action: "compare the value with a good unit's in the same nest; rework what the test is about, or correct the limit in the profile",
        causes: [
            "the part that is measured is missing, placed the wrong way round, or of another type",
            "the unit does not do at that moment what the test expects of it",
            "the contact or the sensor of the nest is dirty, or out of its place",
            "the limit was set from too few units",
        ],
        operator: "re-seat the unit and test it again; set it aside if it is out of limits again",
        engineer: "run the test's program by hand with the question from the documentation; measure a golden unit in the same nest, and compare nests",
    }
    /// A program that measures, or its instrument, failed: nothing is said of the unit.
    InstrumentFailed = "instrument.failed" {
        action: "run the test's program by hand, mend the instrument or the program, then test the unit again",
        causes: [
            "the instrument is switched off, unplugged, or held by another program",
            "the program ended with an error, or took longer than within_s",
            "its answer is no JSON, or lacks a value that the profile asks for",
            "the instrument's own witness does not vouch for it",
        ],
        operator: "call: the unit is not at fault; test it again when the instrument is sound",
        engineer: "pipe a question into the program as the documentation shows it; its last line on standard error stands in the message",
    }
    /// The provisioning or configuration server cannot be reached.
    ConfigUnreachable = "config.unreachable" {
        action: "verify that the config server is running, and its address and network",
        causes: [
            "the server does not run",
            "its address or port is wrong",
            "a firewall or the network lies between station and server",
            "its HTTPS certificate is not trusted here",
        ],
        operator: "call: the unit is not at fault; test it again when the server answers",
        engineer: "call the address in the message with curl from the station",
    }
    /// The provisioning server refused the call.
    ConfigRefused = "config.refused" {
        action: "check the admin token and the server's own log",
        causes: [
            "the admin token is wrong, expired, or of another server",
            "the server does not know the device id, or its path",
            "the server failed: its database or its broker is away",
        ],
        operator: "call: the unit is not at fault",
        engineer: "401 and 403 are the token, 404 the path or the id, 5xx the server: read its log at that moment",
    }
    /// The provisioning server's answer cannot be used.
    ConfigMalformed = "config.malformed" {
        action: "check that the address is the config server's, and read its own log",
        causes: [
            "another service answers at that address: a proxy, a login page",
            "the server makes its passwords with another salt or scheme than the profile",
            "it answers for another device, or leaves fields out",
        ],
        operator: "call: the unit is not at fault",
        engineer: "compare the server's answer with what the profile expects; a password that differs is the salt, or the spelling of the id",
    }
    /// The unit did not fetch its configuration, and the server is sound.
    ConfigNotFetched = "config.not_fetched" {
        action: "read the serial log; compare the config server's address in the profile with what the firmware calls",
        causes: [
            "the firmware calls another address, or adds another id to it",
            "it waits for the time first, or stops after an error",
            "it does not trust the server's certificate",
        ],
        operator: "test the unit again; set it aside if it fetches nothing again",
        engineer: "compare the URL in console.log with config_server in the profile; read the firmware's HTTP error",
    }
    /// The unit did not ask for the time, and the time server is sound.
    TimeNotSynchronized = "time.not_synchronized" {
        action: "read the serial log; compare the time server in the profile with what the firmware asks",
        causes: [
            "the firmware asks another server: pool.ntp.org is the default of many",
            "it does not start SNTP, or only after something else",
            "it does not resolve the server's name",
        ],
        operator: "test the unit again; set it aside if it does not ask again",
        engineer: "look for the SNTP server in the firmware's configuration, and compare it with [time] in the profile",
    }
    /// The registry does not take the unit's row.
    RegistryRejected = "registry.rejected" {
        action: "correct the value or the registry's column that the message names",
        causes: [
            "a column is too short for its value: VARCHAR(32) for a key of 64 digits",
            "a value breaks a rule of the table: not unique, or missing",
            "the row belongs to another unit already",
            "the unit is scrapped",
            "this user may not write into the table",
        ],
        operator: "set the unit aside and call: it is good as far as it was tested, and is not registered",
        engineer: "compare the column in the message with the table; goldline registry pending shows what waits",
    }
    /// The installer's alert did not arrive, or without the unit's place.
    AlertMissing = "alert.missing" {
        action: "compare the alert's topic and fields in the profile with what the firmware sends",
        causes: [
            "the firmware sends on another topic, or in another form",
            "tenant, building or room in the unit are not the planned ones",
            "the unit was not connected when it was to send",
        ],
        operator: "test the unit again; set it aside if no alert arrives again",
        engineer: "compare what the message lacks with [alert] in the profile, and console.log at that moment",
    }
    /// The operator did not see the alert.
    AlertNotConfirmed = "alert.not_confirmed" {
        action: "look at the dashboard again; check that it shows this tenant and building",
        causes: [
            "the dashboard shows another tenant or building, or was not loaded anew",
            "what lies between broker and dashboard does not run",
            "the wrong key was pressed",
        ],
        operator: "load the dashboard anew and test the unit again; call if the alert is not there",
        engineer: "the alert did arrive at the broker: follow it from there to the dashboard",
    }
    /// An update did not arrive, did not run, or was reported wrongly.
    OtaFailed = "ota.failed" {
        action: "read the serial log in the evidence; compare the notice's form with what the firmware reads",
        causes: [
            "the firmware does not understand the notice: its topic, form or URL",
            "it does not trust the update server's certificate",
            "the image does not fit its slot, or is refused by its own check",
            "it runs the new image, and reports it in another way than the profile expects",
        ],
        operator: "provision the unit again and test it; set it aside if its update fails again",
        engineer: "the message says how far it came: never downloaded, downloaded, or reported; read console.log from there",
    }
    /// The unit took an image that it must refuse.
    OtaAcceptedBadImage = "ota.accepted_bad_image" {
        action: "do not ship the unit: whoever reaches its update topic can put another firmware into it",
        causes: [
            "the firmware does not verify a signature, or was built without the public key",
            "it compares neither the chip nor the secure version of the image with its own",
            "it writes the image, chooses its slot and leaves the check to the bootloader",
            "the profile says refuses for what this product never refuses",
        ],
        operator: "set the unit aside and call: its firmware takes what it must refuse",
        engineer: "the message says which image; CONFIG_SECURE_SIGNED_ON_UPDATE, CONFIG_BOOTLOADER_APP_ANTI_ROLLBACK and the return value of esp_ota_end decide",
    }
    /// A bad update was not rolled back.
    OtaNotRolledBack = "ota.not_rolled_back" {
        action: "switch the boot loader's rollback on, and let the firmware confirm an update only when it works",
        causes: [
            "the boot loader was built without CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE",
            "the firmware confirms every image as soon as it starts",
            "it went back, and did not report it",
        ],
        operator: "set the unit aside and call: every unit with this firmware does the same",
        engineer: "call esp_ota_mark_app_valid_cancel_rollback only after the broker was reached; look at the state in otadata",
    }
}
