//! What a unit says of itself, and how it is told its values: console, portal, provisioning firmware.

super::codes! {
    /// The device id that the unit prints is not the one of its MAC.
    DeviceIdDiffers = "device_id.differs" {
        action: "compare how the firmware builds its id with the profile; check that the right unit lies in the nest",
        causes: [
            "the firmware drops the leading zero of each byte: %X in place of %02X",
            "it uses another of the chip's addresses: that of its access point or of Bluetooth",
            "capitals, colons or the order of the bytes differ",
            "units were exchanged between nests",
        ],
        operator: "check that the unit lies in its own nest, and test again; set it aside if the id differs again",
        engineer: "compare the printed id with the MAC digit by digit; esp_read_mac with ESP_MAC_WIFI_STA gives the base address",
    }
    /// The unit printed no device id in time.
    DeviceIdMissing = "device_id.missing" {
        action: "check the serial connection and its baud rate, that the unit boots, and wait for its full boot",
        causes: [
            "the console's rate is not the profile's (115200)",
            "the unit does not start, or more slowly than within_s allows",
            "the firmware prints its id in other words than the profile expects",
            "the nest's contact to the unit's TX is open",
        ],
        operator: "re-seat the unit, check that it has power, and test again; set it aside if it says nothing again",
        engineer: "read console.log: garbage is the baud rate, nothing is TX or the start, other words are the pattern in the profile",
    }
    /// A line of the console got no answer in time.
    ConsoleSilent = "console.no_answer" {
        action: "check the serial connection and that the firmware's console is switched on; type the line by hand",
        causes: [
            "the firmware was built without its console, or with the console on another UART",
            "the jig hears the unit and cannot be heard: the contact to the unit's RX is open",
            "the line came before the console was ready, and the profile knows no prompt to wait for",
            "the firmware expects another end of the line (CR, LF or both)",
        ],
        operator: "re-seat the unit and test again; set it aside if it does not answer again",
        engineer: "type the same line by hand in a serial monitor; measure the unit's RX while it is typed",
    }
    /// A line of the console got another answer than the expected one.
    ConsoleUnexpected = "console.unexpected_answer" {
        action: "compare the expected answer in the profile with what the firmware prints",
        causes: [
            "this version of the firmware words its answer otherwise",
            "the firmware does not know the command, and prints its help",
            "bytes are lost or doubled on the way",
        ],
        operator: "test the unit again; if it answers the same, set it aside and call",
        engineer: "compare the quoted answer with the expect of that line in the profile's [[console]] tables",
    }
    /// The unit refused a line of the console.
    ConsoleRefused = "console.refused" {
        action: "read the unit's answer; compare the value's length and form with what the firmware takes",
        causes: [
            "the value is longer than the firmware's buffer, or has a character that it does not take",
            "this version of the firmware names the command, or orders its values, otherwise",
            "the unit is provisioned already and takes no other values",
            "the firmware could not store the value: its NVS is full or cannot be written",
        ],
        operator: "test the unit again; if it refuses again, set it aside and call",
        engineer: "type the line by hand and vary one value at a time; compare with the limits in the firmware's source",
    }
    /// The unit printed more than the bench can keep, and what is missing may have been in it.
    ConsoleFull = "console.full" {
        action: "nothing is said of the unit: make its firmware print less, then test it again",
        causes: [
            "the firmware was built with a verbose log level",
            "it prints the same lines again and again, for instance an error that it does not wait after",
        ],
        operator: "test the unit again; call if it happens to the next unit too",
        engineer: "read in console.log what fills the buffer, and lower the log level of that part",
    }
    /// A value cannot be typed into the console.
    ConsoleNotSayable = "console.value_not_sayable" {
        action: "choose a value without spaces and quotes, or quoting in the profile if the firmware understands it",
        causes: [
            "the value holds a space, and the console takes a space for the end of a word",
            "it holds a quote or a backslash that the firmware's quoting cannot express",
        ],
        operator: "call: the value has to be another one; nothing is said of the unit",
        engineer: "see what the firmware's console does with quotes, and name its quoting in [console] of the profile",
    }
    /// The unit's console does not say that it is provisioned.
    ConsoleNotProvisioned = "console.not_provisioned" {
        action: "read the unit's answer to the status command; provision the unit once more",
        causes: [
            "the firmware took the values and did not store them",
            "the last command, which marks the unit as provisioned, did not take effect",
            "the unit lost its configuration when it restarted",
            "the firmware words its status otherwise than the profile expects",
        ],
        operator: "provision the unit once more; set it aside if it says the same",
        engineer: "compare the evidence's console lines with the profile's status dialogue; look at NVS after the restart",
    }
    /// The unit's web portal did not open.
    PortalUnreachable = "portal.unreachable" {
        action: "check that the unit has no configuration yet and opens its network; read its serial log",
        causes: [
            "the unit has a configuration already, and opens no portal",
            "its network has another name or password than the profile",
            "its web server does not start, for want of memory or after an error",
            "its radio does not transmit: antenna or supply",
        ],
        operator: "provision the unit again, which erases its configuration; set it aside if no portal opens",
        engineer: "read in console.log whether the portal was started and under which name; join its network by hand",
    }
    /// The unit's web portal did not take the values.
    PortalRefused = "portal.refused" {
        action: "read the unit's answer and its serial log; compare the form's fields in the profile with the page",
        causes: [
            "the form has other fields than the profile, or is sent to another path",
            "the firmware could not store the values: its NVS is full, write-protected or not opened",
            "a value is longer than the firmware takes",
        ],
        operator: "provision the unit once more; set it aside and call if its portal refuses again",
        engineer: "open the page by hand and compare its fields; look in console.log for an error of Preferences or NVS at that moment",
    }
    /// The provisioning firmware did not say that it is done.
    FactoryFirmwareSilent = "factory.no_answer" {
        action: "read the serial log; check the provisioning firmware's image and the constants in it",
        causes: [
            "the image is not the provisioning firmware, or was built without FACTORY_PROVISION",
            "the constants in it (device id, password) are not this unit's",
            "it stops before it has written NVS",
            "it says that it is done in other words than the profile expects",
        ],
        operator: "provision the unit once more; set it aside if it says nothing again",
        engineer: "compare the last line in the message with what the provisioning firmware prints when it is done",
    }
    /// Something is on that must be off once the unit is provisioned.
    InterfaceStillOn = "interface.still_on" {
        action: "do not ship the unit: whoever is near can give it other values",
        causes: [
            "the firmware starts its portal or its console's commands whether it has its values or not",
            "it closes them only after its next restart, or after some time",
            "it says that an interface is on: its status is of a build for development",
        ],
        operator: "set the unit aside and call: it can still be configured by anyone",
        engineer: "the message names the interface: look what stops it after the values were stored, and whether that is done at each start",
    }
}
