//! What a unit keeps in NVS, and what must not be left there.

super::codes! {
    /// The NVS partition is structurally damaged.
    NvsDamaged = "nvs.damaged" {
        action: "provision the unit once more; if the same page is damaged again, the flash chip is bad",
        causes: [
            "bits of the flash do not hold: the CRC of a page or of an entry is wrong",
            "the unit lost its power while the firmware wrote to NVS",
            "something that is not NVS wrote into the partition",
        ],
        operator: "provision the unit once more; set it aside if it is damaged again",
        engineer: "read the partition out: goldline nvs check IMAGE names each damaged page and entry; the same place twice is the flash chip",
    }
    /// The NVS partition is encrypted, and not with this unit's key.
    NvsOfAnotherUnit = "nvs.of_another_unit" {
        action: "find out whose key is in the eFuses: one cannot be changed, so give the run the key that was burnt",
        causes: [
            "the partition is a copy of another unit's: a dump of it, or a module with its flash that was moved",
            "another key was burnt into the eFuses than the run was given for this unit",
            "two rows of the list of units, or of the list of keys, were exchanged",
        ],
        operator: "set the unit aside and call: it holds what another unit's key encrypted",
        engineer: "try the keys of the other units: goldline nvs show IMAGE --hmac-key FILE opens with one of them only",
    }
    /// A key that the plan wrote is not there.
    NvsKeyMissing = "nvs.key_missing" {
        action: "provision the unit once more; if the key is missing again, the firmware removes it or the flash chip is bad",
        causes: [
            "the firmware erases the key or its whole namespace when it starts",
            "an update, or a reset of the configuration, took it along",
            "the firmware took the value over its console or portal, and did not store it",
            "bits of the flash do not hold, and a device skips the damaged entry",
        ],
        operator: "provision the unit once more; set it aside if the key is missing again",
        engineer: "see whether it is missing before the first boot (flash) or after it (firmware); look for nvs_erase_key, nvs_flash_erase and a missing nvs_commit",
    }
    /// A key holds another value or type than planned.
    NvsValueDiffers = "nvs.value_differs" {
        action: "provision the unit once more; if it differs again, look which firmware writes this key",
        causes: [
            "the firmware writes the key itself: a default, or what a server told it",
            "it stores the value under another type: u8 for u16, a blob for a string",
            "its console or portal cut or changed what it was told",
            "the unit was given other values elsewhere since",
        ],
        operator: "provision the unit once more; set it aside if it differs again",
        engineer: "look which code writes the key that the message names, and with which type; goldline nvs diff compares two images key by key",
    }
    /// A key or namespace is there that neither the plan nor the profile's list of foreign namespaces names.
    NvsUnexpected = "nvs.unexpected_entry" {
        action: "find out who wrote it: an earlier life of this unit, or firmware; name it in the profile if it is right",
        causes: [
            "the firmware keeps state of its own that the profile does not name",
            "a framework does: the WiFi driver (nvs.net80211), the radio's calibration (phy)",
            "an earlier life of the unit, which nothing erased",
        ],
        operator: "provision the unit again, which erases what is not planned; set it aside and call if it comes back",
        engineer: "look who writes the namespace; what is right is named in foreign_namespaces of the profile",
    }
    /// Credentials of another network lie in the unit's NVS.
    NvsForeignCredentials = "nvs.foreign_credentials" {
        action: "the unit was in another network before: provision it again, which erases what is not planned",
        causes: [
            "the unit was in another network before: a laboratory, another line, a customer",
            "the WiFi driver kept its copy (nvs.net80211) when the firmware's own keys were replaced",
            "the firmware has a network of its developers compiled in",
        ],
        operator: "provision the unit again; set it aside and call if it comes back",
        engineer: "if they come back, search the firmware for an SSID of its own; WIFI_STORAGE_RAM keeps the driver from storing any",
    }
    /// NVS holds a secret that no device reads any more, in an erased entry or behind a value.
    NvsLeftoverSecret = "nvs.leftover_secret" {
        action: "provision the unit again, which erases what is not planned; if it comes back, the firmware writes its secrets anew",
        causes: [
            "the firmware wrote a secret twice: NVS marks the earlier entry as erased, and its bytes stay",
            "a value was given anew in the unit, without a fresh partition",
            "data of an earlier life of the unit",
        ],
        operator: "provision the unit again; set it aside and call if it comes back",
        engineer: "goldline nvs leftovers IMAGE shows what is left and where; let the firmware write a secret only when it differs",
    }
    /// What is planned for the unit differs from the committed golden.
    NvsGoldenDiffers = "nvs.golden_differs" {
        action: "review the difference; when it is meant, take it over with goldline golden accept",
        causes: [
            "entries, samples or the partition's size were changed in the profile, and the golden is older",
            "the generator lays the image out otherwise than it did",
        ],
        operator: "call: the product's description has changed, and nothing is wrong with the unit",
        engineer: "goldline golden review shows it entry by entry; say in the commit why it changed",
    }
    /// A credential is still in the flash after a factory reset.
    FactoryResetLeftover = "factory_reset.leftover" {
        action: "the firmware must erase the sectors and not only the entries: correct it before a unit is passed on",
        causes: [
            "the firmware erases key by key: NVS marks the entries, and their bytes stay",
            "it erases its own namespace, and the WiFi driver keeps a copy in nvs.net80211",
            "credentials lie in another partition too: a file system, a second NVS",
        ],
        operator: "do not pass the unit on; set it aside",
        engineer: "let the reset erase the whole partition (nvs_flash_erase, nvs_flash_erase_partition) and call esp_wifi_restore; goldline nvs leftovers IMAGE shows what is left",
    }
}
