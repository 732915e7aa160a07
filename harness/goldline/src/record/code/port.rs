//! The way to the unit: its port, and the loader behind it.

super::codes! {
    /// Nothing answers on the port.
    PortNoAnswer = "port.no_answer" {
        action: "check cable and power, hold BOOT while resetting the unit, or name another port with --device",
        causes: [
            "the unit has no power, or does not lie on the nest's contacts",
            "it is another unit's port, or that of another USB bridge",
            "the reset does not reach the unit: the board has no circuit for DTR and RTS, or EN or GPIO0 (GPIO9 on C2, C3, C6 and H2) is not connected",
            "a charge-only USB cable, or TX and RX that are swapped",
            "the chip's download mode is switched off by an eFuse",
        ],
        operator: "re-seat the unit, check its cable and its power light, then test again; if the next unit is silent too, call",
        engineer: "look for the ROM's \"waiting for download\" on the unit's TX after a reset; a jig without modem lines needs ?reset=command:PROGRAM or ?reset=none",
    }
    /// The port went away during the run.
    PortVanished = "port.vanished" {
        action: "check the cable and the nest's contacts, then test the unit again",
        causes: [
            "the USB plug or a contact of the nest moved",
            "the unit's supply broke down, and its USB bridge with it: a short circuit, or too weak a port",
            "the chip's own USB (S2, S3, C3, C6, H2) leaves the bus when the firmware restarts or uses its pins",
            "a USB hub or its driver reset itself",
        ],
        operator: "re-seat unit and cable, then test again; set the unit aside if it happens twice",
        engineer: "read the kernel's messages of that moment (dmesg): a disconnect is cable, hub or supply; measure the current while the radio starts",
    }
    /// The ports of several units went away at once.
    PortsVanished = "port.several_vanished" {
        action: "look at what the ports have in common, a hub, its cable or its supply, or the server that offers them; then test the units again",
        causes: [
            "a USB hub lost its supply, reset itself, or was unplugged",
            "the units together draw more than the hub gives when their radios start",
            "the machine that offers the ports on the network, or the way to it, is gone",
        ],
        operator: "do not set the units aside: check the hub's plug and supply, then test them again; call if it happens twice",
        engineer: "read the kernel's messages of that moment (dmesg): the hub's own disconnect stands before those of its ports; measure the hub's supply under load",
    }
    /// A unit in a nest is silent, or its supply breaks down: the unit's fault or the nest's.
    NestUnsure = "nest.contact_or_supply" {
        action: "re-seat the unit and switch it off and on, then test it again; test another unit in the same nest: when that passes and this one fails again, this one is bad",
        causes: [
            "a contact of the nest is dirty, bent or does not reach the unit",
            "the nest's supply is too weak for the radio's first burst, or its cable too long",
            "the unit draws too much: a short circuit or a part that is turned round",
            "the unit's own regulator or its capacitor is bad",
        ],
        operator: "re-seat the unit and test again; then test another unit here, and this one in another nest",
        engineer: "measure the supply at the unit while its radio starts; clean and measure the contacts; count how often this nest says so",
    }
    /// No unit lies in the nest, or its lid is open.
    NestEmpty = "nest.empty" {
        action: "lay a unit into the nest and close its lid, then begin again",
        causes: [
            "nobody has laid a unit in, or the lid is not closed",
            "the switch of the lid is dirty or out of its place",
        ],
        operator: "lay the unit in, close the lid, and begin again",
        engineer: "run the program of `present` in the station file by hand: 0 is there, 1 is not",
    }
    /// A program that switches the nest failed: its supply, its lid or its lamp.
    NestFailed = "nest.failed" {
        action: "run the program in the message by hand, mend the jig, then test the unit again",
        causes: [
            "the relay or its controller is unplugged, or another program holds it",
            "the program is not where the station file says, or may not be executed",
            "it takes longer than within_s",
            "what the nest shares with others was not to be had in time",
        ],
        operator: "call: the unit is not at fault; do not reach into the nest before its supply is known to be off",
        engineer: "run the program with the same arguments as this user; its last line on standard error stands in the message",
    }
    /// The port cannot be used: it is not there, not allowed, held by someone else, or cannot do what is asked.
    PortUnusable = "port.unusable" {
        action: "see in the message what is wrong with the port, or name another one with --device",
        causes: [
            "another program has the port open: a serial monitor, another goldline, a modem manager",
            "there is no port of that name: the unit is not plugged in, or another one came first and took the number",
            "this user may not open it: it is not in the port's group (dialout)",
            "it has no modem lines, or not the baud rate that was asked for",
        ],
        operator: "unplug the unit and plug it in again, close other programs on this station, then test again; call if it stays",
        engineer: "name the port by ls /dev/serial/by-id, which does not change; see who holds it with fuser -v PORT; name a reset that needs no modem lines",
    }
    /// An answer of the loader did not come in time, as often as it was asked for.
    PortTimeout = "port.timeout" {
        action: "look at the load of this machine and of what lies between it and the unit, check cable and contacts, lower the baud rate with ?baud=115200, then test the unit again",
        causes: [
            "this machine, a USB hub or a serial server on the network is too busy",
            "bytes are lost on the way: a long cable, a loose contact, too high a baud rate",
            "the unit reset itself in the middle: its supply dips while it erases",
            "the flash takes far longer than it should to erase",
        ],
        operator: "test the unit again; re-seat it if it happens twice, and call if it happens to the next unit too",
        engineer: "compare with ?baud=115200 and with another hub; look at the attempts of the stages in the record, and at the supply while the flash is erased",
    }
    /// Another unit answers on the port than at the beginning of the run.
    PortOtherUnit = "port.other_unit" {
        action: "leave the unit in its nest until the run ends, check that no two units share the port, then test both again",
        causes: [
            "the unit was taken out and the next one put in before the verdict",
            "two units hang on one line: contacts of two nests touch",
            "the port's name went to another unit when USB was plugged anew",
        ],
        operator: "put the units apart and test both again, each until its verdict",
        engineer: "give each nest a port that does not change, and see that the nest cannot be opened during a run",
    }
    /// Bytes on the line arrive damaged.
    PortGarbled = "port.garbled" {
        action: "check cable and ground, lower the baud rate with ?baud=115200, and reset the unit into its download mode once more",
        causes: [
            "the baud rate is too high for the cable or the level shifter",
            "unit and jig have no common ground, or a contact is loose",
            "a second program reads from the same port and takes some of the bytes",
            "the unit's supply or crystal is off, and its baud rate with it",
        ],
        operator: "re-seat the unit and test again; call if the next unit does the same",
        engineer: "look at the edges on TX with an oscilloscope at the rate that fails; compare with 115200 baud and a short cable",
    }
    /// The emulator that runs the unit does not start, or broke off.
    EmulatorFailed = "emulator.failed" {
        action: "see in the message what the emulator said, and whether it runs by hand",
        causes: [
            "its version does not know an argument, or not this machine",
            "the flash file is in use, has another size, or its disk is full",
            "the emulator itself crashed: a part of the chip that it does not emulate",
            "the machine is out of memory or of processes",
        ],
        operator: "call whoever looks after this station: no unit is at fault",
        engineer: "run the program with --version, and -M help (QEMU) or --help (esp-emu); try another version of it, named with ?binary=PATH, GOLDLINE_QEMU or GOLDLINE_ESP_EMU",
    }
    /// The service that simulates the unit does not let the bench in.
    EmulatorRefused = "emulator.refused" {
        action: "see in the message what the service said; look at the account that the token is of",
        causes: [
            "the token is wrong, was revoked, or is another service's",
            "the simulation time of the account's plan is used up",
            "the plan of the account does not include what was asked for",
        ],
        operator: "call whoever looks after this station: no unit is at fault",
        engineer: "look at the account of the token on the pages of the service; make a new token and put it into WOKWI_CLI_TOKEN of the station or the CI",
    }
}
