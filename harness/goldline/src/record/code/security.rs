//! The security fuses of the chip.

super::codes! {
    /// A security fuse is not burnt that the profile demands.
    SecurityNotBurnt = "security.not_burnt" {
        action: "burn what is missing with the commands that goldline secure prints for this unit, then test it again",
        causes: [
            "the unit skipped the station that burns its fuses",
            "burning was interrupted: the supply went, or a command failed and nobody saw it",
            "the profile demands more than the product's production document",
        ],
        operator: "set the unit aside for the station that secures units; do not pack it",
        engineer: "goldline secure PROFILE --device PORT prints what is missing, in a safe order; compare [security] with the product's document",
    }
    /// A security fuse is burnt that the profile demands unburnt.
    SecurityBurnt = "security.burnt" {
        action: "a burnt fuse stays burnt: this unit cannot become what the profile demands; scrap it, or test it with the profile that it was made for",
        causes: [
            "it was secured for another product, or as another variant of this one",
            "a firmware that ran before burnt fuses at its first start: flash encryption and secure boot do",
            "a command of espefuse was typed for another fuse or block",
        ],
        operator: "set the unit aside as scrap or rework; another test changes nothing",
        engineer: "read all fuses with espefuse summary; find which firmware or tool burnt the one in the message before it burns the next unit's",
    }
    /// The fuses are as demanded, and it was not seen that the unit works so.
    SecurityNotProven = "security.not_proven" {
        action: "test the unit again: its fuses changed while it was tested, so nobody saw it join as it is now",
        causes: [
            "the firmware burnt fuses at its first start, as ESP-IDF's bootloader does when it switches on secure boot or flash encryption",
            "the device does not let anyone ask for the fuses",
        ],
        operator: "test the unit again with goldline check; call if it happens twice",
        engineer: "compare the fuses before and after the boot in the evidence; burn before the test what the firmware burns by itself, or test twice",
    }
    /// The unit's loader is in Secure Download Mode, and tells nobody which unit it is.
    SecurityLocked = "security.locked" {
        action: "a locked unit is proven by what it does: goldline check PROFILE --locked MAC --device PORT, with the MAC address from its label or record",
        causes: [
            "the unit was secured before, as it should be at the end of the line",
            "it was sent back from the field or from another line",
        ],
        operator: "it is no new unit: look for its record by its label, and set it aside for whoever checks locked units",
        engineer: "ENABLE_SECURITY_DOWNLOAD is burnt: the ROM refuses to read registers and flash and to run the flasher stub. What can be proven then is told in the page on security",
    }
}
