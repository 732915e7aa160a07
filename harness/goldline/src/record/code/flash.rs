//! The chip, and what lies in its flash outside of NVS.

super::codes! {
    /// The chip or its flash size is not the profile's.
    ChipMismatch = "chip.mismatch" {
        action: "check that the right product lies in the nest and that the profile is its own",
        causes: [
            "another product, or another variant of it, lies in the nest",
            "the profile is another board's: an ESP32's for an ESP32-S3, 4 MB of flash for 16 MB",
            "a module with another flash was placed on the board",
            "the flash does not identify itself, for want of supply or of a solder joint, and its size was read wrongly",
        ],
        operator: "compare the board's label with the order; put in the right unit, or set this one aside",
        engineer: "compare chip and flash size in the evidence with [chip] in the profile, and with the bill of materials of the lot",
    }
    /// The chip has no MAC address of its own.
    ChipMacInvalid = "chip.mac_invalid" {
        action: "the chip's eFuses are blank or damaged: scrap or rework the unit",
        causes: [
            "the eFuse block of the MAC address is blank: an engineering sample, or a chip of doubtful origin",
            "eFuses were burnt wrongly by an earlier tool",
        ],
        operator: "set the unit aside as scrap or rework; another test changes nothing",
        engineer: "read the eFuses and the CRC of the MAC block (BLK0 on the ESP32, BLK1 on most later chips), and ask the supplier about the lot",
    }
    /// A flash region reads back other than what was written.
    RegionDiffers = "flash.region_differs" {
        action: "flash the unit once more; if the same region differs again, the flash chip is bad: scrap or rework the unit",
        causes: [
            "bits of the flash do not hold: a weak or stuck sector",
            "the flash's supply or a solder joint let a write fail without a word",
            "the firmware, or an update, wrote into a region that the profile holds for unchanging",
            "something else wrote to the unit during the run",
        ],
        operator: "test the unit again; set it aside if the same region differs again",
        engineer: "compare the first byte that differs in two runs: the same byte is the flash chip, another one its supply; where it differs only after the firmware ran, look which code writes there",
    }
    /// Something lies where the flash must be erased.
    NotErased = "flash.not_erased" {
        action: "an earlier firmware or another unit's data is left there: provision the unit again, which erases what is not planned; if it is not erased then, the flash chip is bad",
        causes: [
            "data of an earlier firmware, or of another unit whose flash was copied",
            "the firmware writes outside of its partitions",
            "an update was begun and left half of its image in the other slot",
            "an erase that did not hold",
        ],
        operator: "provision the unit again; set it aside if it is not erased then",
        engineer: "find whose partition the byte in the message lies in, and which firmware or tool writes there; name a region of the firmware's own in the profile",
    }
    /// Nothing was ever flashed.
    FlashBlank = "flash.blank" {
        action: "this unit is blank: provision it with goldline provision or goldline run",
        causes: [
            "the unit skipped the station that provisions",
            "a rework or a tool erased it afterwards",
            "the flash does not keep what is written",
        ],
        operator: "provision the unit, then check it",
        engineer: "when a unit that was provisioned is blank again, look at the flash chip, and at what the rework does",
    }
    /// The boot loader starts another application than the planned one.
    WrongSlot = "flash.wrong_slot" {
        action: "provision the unit again; if the other slot is chosen again, look which firmware or tool writes the OTA data",
        causes: [
            "OTA data of an earlier update names the other slot",
            "the planned image was refused, and the boot loader fell back to the other slot",
            "the firmware, or a tool of the line, chooses the slot itself",
        ],
        operator: "provision the unit again; set it aside if it starts the other slot again",
        engineer: "read the boot log's \"Loaded app from partition at offset\" and the sequence numbers in otadata; look for calls of esp_ota_set_boot_partition",
    }
    /// The unit refused or failed a flash write or erase.
    WriteFailed = "flash.write_failed" {
        action: "flash the unit once more; if it fails again, check the flash chip and its supply",
        causes: [
            "the flash's supply sags while it erases or writes: a weak regulator, a long cable",
            "the flash chip or one of its solder joints is bad",
            "the flash is write-protected by its status register or its WP pin",
            "the flash has the wrong voltage: VDD_SDIO (GPIO12 on the ESP32) is strapped for 1.8 V",
        ],
        operator: "re-seat the unit and test it again; set it aside if it fails again",
        engineer: "measure the flash's supply during an erase; read its status register and the strapping of VDD_SDIO",
    }
    /// The partition table in the unit is not the planned one, or a region would land in a partition of another type.
    PartitionMismatch = "flash.partition_mismatch" {
        action: "compare the profile's partitions with the table that the firmware was built with",
        causes: [
            "the firmware was built with another partitions.csv than the profile has",
            "an NVS image is planned for the place of another partition: 0x10000 is the app in ESP-IDF's standard table",
            "an image has outgrown its partition",
        ],
        operator: "set the unit aside and call: the product's description does not fit its firmware",
        engineer: "compare partitions.csv with [[partition]]. This version refuses such a profile before it begins (exit code 2), and says flash.region_differs of a table that reads back otherwise",
    }
}
