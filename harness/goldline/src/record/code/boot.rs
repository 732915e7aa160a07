//! How a unit starts, and what its serial log tells.

super::codes! {
    /// The unit resets again and again.
    BootLoop = "boot.loop" {
        action: "read the reset reason and backtrace in the evidence; check the app image and the supply voltage",
        causes: [
            "the app panics when it starts: a bug, or a board that it was not built for (PSRAM, pins, flash mode)",
            "the supply dips when the radio starts: brown-out",
            "a watchdog ends a task that blocks, for instance on a sensor that does not answer",
            "the flash is encrypted with another key, or secure boot refuses the image",
        ],
        operator: "re-seat the unit and check the nest's supply, then test again; set it aside if it loops again",
        engineer: "decode the backtrace with the app's ELF; the reset reason tells a panic (SW_CPU_RESET) from a watchdog (TG0WDT, RTCWDT) and a brown-out",
    }
    /// The unit reset by itself while it was tested, and then went on.
    BootUnexpectedReset = "boot.unexpected_reset" {
        action: "read the reset reason and backtrace in the evidence; if the firmware means to restart, allow it with a limit on unexpected_resets",
        causes: [
            "a panic that comes only now and then: a race, memory that runs out, a stack overflow",
            "a short dip of the supply when the radio transmits",
            "the firmware restarts on purpose, to take a new configuration or after a lost connection",
        ],
        operator: "test the unit again; set it aside if it resets again",
        engineer: "decode the backtrace with the app's ELF; measure the supply with a trigger below 3.0 V",
    }
    /// The unit prints a secret in its serial log.
    SecretInLog = "secret.in_log" {
        action: "remove the line from the firmware: everyone with a cable reads it",
        causes: [
            "a line for debugging prints a credential",
            "the firmware was built with a verbose log level",
            "its console echoes what is typed, or repeats it in the answer",
        ],
        operator: "set the unit aside and call: every unit with this firmware does the same",
        engineer: "search the firmware for the line that the evidence quotes with the secret's name, and print its length instead",
    }
    /// The unit started, and the firmware never said so in time.
    BootSilent = "boot.silent" {
        action: "check the console's baud rate in the profile, the strapping pins, and that the app image is the right one",
        causes: [
            "the app logs at another rate, on another UART, or on USB",
            "the unit stays in its download mode: GPIO0 (GPIO9 on C2, C3, C6 and H2) is held low",
            "the reset does not reach the unit, and it never started anew",
            "the app hangs before its first line, or starts more slowly than boot_s allows",
        ],
        operator: "re-seat the unit and test it again; set it aside if it stays silent",
        engineer: "listen by hand at 115200 baud, and at 74880 on a board with a crystal of 26 MHz; compare CONFIG_ESP_CONSOLE of the build with the profile, and the strapping pins with the jig",
    }
    /// The boot loader refused an image.
    BootImageRefused = "boot.image_refused" {
        action: "check the app image and the partition table of the profile, then flash the unit once more",
        causes: [
            "the image is for another chip, or for a newer revision of it",
            "the partition table names no app where the image lies",
            "the image in the flash is damaged: its checksum or hash is wrong",
            "flash encryption or secure boot is switched on, and the image is plain or unsigned",
            "the flash mode or frequency in the image does not suit the flash chip",
        ],
        operator: "test the unit again; set it aside if it is refused again",
        engineer: "read the boot loader's line in the message; compare it with the image's chip, its smallest revision, and the eFuses of the unit",
    }
    /// The firmware says that it cannot read its provisioning.
    FirmwareConfiguration = "firmware.configuration" {
        action: "compare namespace, key and type in the profile with what the firmware reads",
        causes: [
            "the firmware reads another namespace or key than the profile writes",
            "it reads another type: a string for a blob, u8 for u16",
            "it reads another partition, or one with another label",
            "its buffer is too small for the value (ESP_ERR_NVS_INVALID_LENGTH)",
            "its console or portal took the values and did not store them",
        ],
        operator: "provision the unit once more; if it says the same, set it aside and call, for every unit will say it",
        engineer: "compare the name in the quoted line, letter by letter, with [nvs] in the profile; ESP_ERR_NVS_NOT_FOUND is a name, ESP_ERR_NVS_TYPE_MISMATCH a type",
    }
}
