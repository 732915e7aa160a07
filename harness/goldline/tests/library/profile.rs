//! Profiles as people write them: what is accepted, what is refused, and where the refusal points.

use std::{fs, path::Path};

use goldline::profile::{
    AppSource, BootloaderSource, CatalogError, LineColumn, Profile, ProfileError, find, list,
};
use rstest::rstest;

const ESPVAULT: &str = include_str!("../../../../fixtures/profiles/espvault.toml");
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/profiles");

/// The shipped profile with one passage replaced.
fn edited(old: &str, new: &str) -> String {
    assert!(ESPVAULT.contains(old), "the profile has no \"{old}\" to replace");
    ESPVAULT.replacen(old, new, 1)
}

fn refusal(text: &str) -> ProfileError {
    Profile::parse("espvault.toml", text, None).expect_err("the profile is refused")
}

/// Replaces a passage by one with a `¦` where the first problem must point, which itself is not in
/// the file, and looks for that problem.
fn assert_refused_at_mark(old: &str, new: &str, message: &str) {
    let marked = edited(old, new);
    let mark = marked.find('¦').expect("the edit holds a mark");
    let error = refusal(&marked.replace('¦', ""));
    let first = &error.problems()[0];
    assert_eq!(error.line_column(first), LineColumn::of(&marked, mark), "{error}");
    assert!(first.problem.to_string().contains(message), "{error}");
    let place = error.line_column(first);
    assert!(error.to_string().starts_with(&format!("espvault.toml:{place}: ")), "{error}");
}

#[test]
fn the_shipped_profile_parses() {
    let profile = Profile::parse("espvault.toml", ESPVAULT, None).expect("a valid profile");
    assert_eq!(profile.name, "espvault");
    assert_eq!(profile.flash.size(), 4 << 20);
    assert_eq!(profile.images.bootloader, BootloaderSource::EspIdf);
    assert_eq!(profile.images.app, AppSource::Model { name: "espvault".to_owned() });
    let names: Vec<_> = profile.values.iter().map(|value| value.name.as_str()).collect();
    assert_eq!(names[..3], ["number", "device_id", "wifi_ssid"], "in the file's order");
    let keys: Vec<_> = profile.nvs.entries.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!(keys[..3], ["wifi_ssid", "wifi_password", "device_id"], "in the image's order");
    let device_id = &profile.values[1];
    assert_eq!(device_id.sample.as_deref(), Some("VAULT-00001"), "a template's sample is rendered");
    assert_eq!((device_id.min_bytes, device_id.max_bytes), (11, 16));
}

#[rstest]
#[case::no_toml("schema = 1", "schema = ¦= 1", "")]
#[case::unknown_key("title = ", "¦titel = ", "unknown key `titel`")]
#[case::unknown_section("[deadlines]", "[¦deadline]", "unknown key `deadline`")]
#[case::missing_key("title = \"EspVault Universal Node\"\n", "", "missing key `title`")]
#[case::wrong_type("size = 0x180000", "size = ¦\"1MB\"", "expected u32")]
#[case::negative("offset = 0xf000", "offset = ¦-1", "-1")]
#[case::schema("schema = 1", "schema = ¦2", "schema 2")]
#[case::name("name = \"espvault\"", "name = ¦\"Esp Vault\"", "\"Esp Vault\"")]
#[case::method("method = \"factory_image\"", "method = ¦\"factory\"", "unknown method \"factory\"")]
#[case::chip("model = \"esp32\"", "model = ¦\"esp33\"", "unknown chip \"esp33\"")]
#[case::unknown_check("id = \"mqtt_connect\"", "id = ¦\"mqtt\"", "unknown check")]
fn faults_of_form(#[case] old: &str, #[case] new: &str, #[case] message: &str) {
    if new.is_empty() {
        // A missing key belongs to the whole table, which starts with the file.
        let error = refusal(&edited(old, new));
        assert_eq!(error.line_column(&error.problems()[0]).column, 1);
        assert!(error.to_string().contains(message), "{error}");
    } else {
        assert_refused_at_mark(old, new, message);
    }
}

#[rstest]
#[case::flash_size("flash_size = \"4MB\"", "flash_size = ¦\"5MB\"", "\"5MB\" is not a flash size")]
#[case::data_alignment("offset = 0xf000", "offset = ¦0xf800", "not a multiple of 0x1000")]
#[case::app_alignment("offset = 0x1a0000", "offset = ¦0x1a1000", "not a multiple of 0x10000")]
#[case::over_table("offset = 0x9000", "offset = ¦0x8000", "in front of 0x9000")]
#[case::over_bootloader("offset = 0x9000", "offset = ¦0x1000", "in front of 0x9000")]
#[case::end_outside("size = 0xd0000", "size = ¦0xf0000", "behind the end of the flash")]
#[case::start_outside("offset = 0x320000", "offset = ¦0x400000", "behind the end of the flash")]
#[case::wraps("offset = 0x320000", "offset = ¦0xfffff000", "behind the end of the flash")]
#[case::overlap("offset = 0x16000", "offset = ¦0x15000", "overlaps \"factory\"")]
#[case::size_zero("size = 0xd0000", "size = ¦0", "not a multiple of 0x1000 above zero")]
#[case::size_uneven("size = 0xd0000", "size = ¦0xd0001", "not a multiple of 0x1000 above zero")]
#[case::small_nvs(
    "offset = 0x10000\nsize = 0x6000",
    "offset = 0x10000\nsize = ¦0x2000",
    "expected 0x3000 or more"
)]
#[case::ota_data(
    "offset = 0x16000\nsize = 0x2000",
    "offset = 0x16000\nsize = ¦0x1000",
    "expected 0x2000"
)]
#[case::encrypted_nvs(
    "offset = 0x10000\nsize = 0x6000",
    "offset = 0x10000\nsize = 0x6000\nencrypted = ¦true",
    "ESP_ERR_NVS_WRONG_ENCRYPTION (0x1119)"
)]
#[case::long_name("name = \"storage\"", "name = ¦\"storage_of_things\"", "17 characters")]
#[case::name_twice("name = \"storage\"", "name = ¦\"ota_1\"", "a second partition")]
#[case::kind("type = \"app\"", "type = ¦\"application\"", "expected app or data")]
#[case::subtype("subtype = \"spiffs\"", "subtype = ¦\"spifs\"", "unknown subtype \"spifs\"")]
#[case::ota_slot("subtype = \"ota_1\"", "subtype = ¦\"ota_16\"", "unknown subtype \"ota_16\"")]
#[case::no_app(
    "app_partition = \"ota_0\"",
    "app_partition = ¦\"ota_2\"",
    "has no partition \"ota_2\""
)]
#[case::data_as_app("app_partition = \"ota_0\"", "app_partition = ¦\"storage\"", "expected an app")]
#[case::no_nvs(
    "partition = \"factory\"",
    "partition = ¦\"factori\"",
    "has no partition \"factori\""
)]
#[case::app_as_nvs("partition = \"factory\"", "partition = ¦\"ota_0\"", "is app/ota_0")]
#[case::phy_as_nvs("partition = \"factory\"", "partition = ¦\"phy_init\"", "is data/phy")]
#[case::two_apps("app = { model", "app = ¦{ file = \"a.elf\", model", "both or neither")]
#[case::no_folder("bootloader = \"esp-idf\"", "bootloader = ¦\"boot.bin\"", "no folder")]
fn faults_of_the_flash(#[case] old: &str, #[case] new: &str, #[case] message: &str) {
    assert_refused_at_mark(old, new, message);
}

/// A mark `¦` stands where the problem must point.
#[rstest]
#[case::no_reason("{ mutant = \"nvs.a\", because = ¦\" \" }", "why \"nvs.a\" may pass")]
#[case::everything("{ mutant = ¦\"*\", because = \"so\" }", "\"*\" names no mutant")]
#[case::a_star_within("{ mutant = ¦\"nvs.*.type\", because = \"so\" }", "names no mutant")]
#[case::twice(
    "{ mutant = \"nvs.a\", because = \"so\" }, { mutant = ¦\"nvs.a\", because = \"so\" }",
    "\"nvs.a\" is accepted twice"
)]
#[case::no_key("{ mutant = \"nvs.a\", ¦why = \"so\" }", "unknown key `why`")]
fn faults_of_what_is_accepted(#[case] accept: &str, #[case] message: &str) {
    assert_refused_at_mark(accepted_line(), &format!("accept = [{accept}]"), message);
}

/// Of the shipped profile, which accepts one.
fn accepted_line() -> &'static str {
    ESPVAULT.lines().find(|line| line.starts_with("accept = ")).expect("it accepts one")
}

#[test]
fn accepted_mutants_are_read_with_their_reasons() {
    let accept = "accept = [{ mutant = \"nvs.*\", because = \"so\" }]";
    let text = ESPVAULT.replace(accepted_line(), accept);
    let profile = Profile::parse("espvault.toml", &text, None).expect("a valid profile");
    let accepted: Vec<_> =
        profile.accepted.iter().map(|it| (it.mutant.as_str(), it.because.as_str())).collect();
    assert_eq!(accepted, [("nvs.*", "so")]);
}

#[rstest]
#[case::reserved_name("[values.number]", "[values.¦nonce]", "\"nonce\" is taken")]
#[case::source("source = \"lease\"", "source = ¦\"leased\"", "unknown source \"leased\"")]
#[case::two_sources(
    "[values.device_id]",
    "[values.¦device_id]\nsource = \"site\"",
    "none or several"
)]
#[case::bytes_of_site("max_bytes = 32", "bytes = ¦32", "has no meaning")]
#[case::weak_random("bytes = 24", "bytes = ¦8", "16 to 64")]
#[case::random_too_long("bytes = 24", "bytes = 24\nmax_bytes = ¦40", "generated text")]
#[case::no_bytes(
    "source = \"random\"\nsecret = true\nsample = \"DeviceSecretKey\"\nbytes = 24",
    "source = ¦\"random\"",
    "16 to 64"
)]
#[case::secret_id(
    "secret = true\nsample = \"Secure",
    "secret = true\nid = ¦true\nsample = \"Secure",
    "public id"
)]
#[case::empty_range("min_bytes = 8", "min_bytes = 65", "which no text has")]
#[case::sample_too_long(
    "sample = \"ProductionWiFi\"\nmax_bytes = 32",
    "sample = ¦\"ProductionWiFi-and-eighteen-more\"\nmax_bytes = 31",
    "is 32 bytes long: expected 1 to 31"
)]
#[case::sample_too_short(
    "sample = \"SecurePassword123\"",
    "sample = ¦\"Secure\"",
    "expected 8 to 64"
)]
#[case::sample_number("sample = \"1\"", "sample = ¦\"01\"", "not a number")]
#[case::sample_newline("sample = \"ProductionWiFi\"", "sample = ¦\"a\\nb\"", "a line feed")]
#[case::sample_nul("sample = \"ProductionWiFi\"", "sample = ¦\"a\\u0000b\"", "a NUL")]
#[case::unknown_symbol(
    "\"VAULT-{number:05}\"",
    "¦\"VAULT-{numbre:05}\"",
    "unknown value \"numbre\""
)]
#[case::no_symbol("\"VAULT-{number:05}\"", "¦\"VAULT-{number:5}\"", "is not a symbol")]
#[case::later_value("\"VAULT-{number:05}\"", "¦\"VAULT-{wifi_ssid}\"", "later in the file")]
#[case::itself("\"VAULT-{number:05}\"", "¦\"VAULT-{device_id}\"", "later in the file")]
#[case::nonce_in_value("\"VAULT-{number:05}\"", "¦\"VAULT-{nonce}\"", "unknown value \"nonce\"")]
fn faults_of_the_values(#[case] old: &str, #[case] new: &str, #[case] message: &str) {
    if new.contains('¦') {
        assert_refused_at_mark(old, new, message);
    } else {
        // Two statements are at odds; the one that is judged last is shown.
        let error = refusal(&edited(old, new));
        assert!(error.to_string().contains(message), "{error}");
    }
}

#[rstest]
#[case::long_key("key = \"wifi_ssid\"", "key = ¦\"wifi_network_ssid\"", "17 characters long")]
#[case::key_not_ascii("key = \"wifi_ssid\"", "key = ¦\"wifi_ßid\"", "not printable ASCII")]
#[case::empty_key("key = \"wifi_ssid\"", "key = ¦\"\"", "0 characters long")]
#[case::key_twice(
    "key = \"wifi_password\"",
    "key = ¦\"wifi_ssid\"",
    "stands twice in namespace \"vault\""
)]
#[case::namespace(
    "namespace = \"vault\"",
    "namespace = ¦\"deviceprovisioning\"",
    "18 characters long"
)]
#[case::foreign("\"nvs.net80211\"", "¦\"nvs.net80211.of.esp\"", "19 characters long")]
#[case::encoding("encoding = \"string\"", "encoding = ¦\"str\"", "unknown encoding \"str\"")]
#[case::out_of_range(
    "encoding = \"string\", value = \"{wifi_ssid}\"",
    "encoding = \"u8\", value = ¦\"256\"",
    "expected 0 to 255"
)]
#[case::sample_no_number(
    "encoding = \"string\", value = \"{wifi_ssid}\"",
    "encoding = \"i8\", value = ¦\"{wifi_ssid}\"",
    "expected -128 to 127"
)]
#[case::odd_hexadecimal(
    "encoding = \"string\", value = \"{wifi_ssid}\"",
    "encoding = \"hex2bin\", value = ¦\"abc\"",
    "even number of digits"
)]
#[case::unknown_symbol(
    "value = \"{wifi_ssid}\"",
    "value = ¦\"{wifi_sid}\"",
    "unknown value \"wifi_sid\""
)]
#[case::ssid_limit(
    "max_bytes = 32\n\n[values.wifi_password]",
    "max_bytes = 33\n\n[values.wifi_password]",
    "WiFi allows 1 to 32"
)]
#[case::ssid_unlimited("max_bytes = 32\n", "", "can be 3967 bytes long")]
#[case::ssid_literal(
    "ssid = \"{wifi_ssid}\"\n",
    "ssid = ¦\"a network name of thirty-three byt\"\n",
    "WiFi allows"
)]
#[case::passphrase_short("min_bytes = 8", "min_bytes = 7", "WPA2 allows 8 to 63")]
#[case::passphrase_long("max_bytes = 64", "max_bytes = 65", "WPA2 allows 8 to 63")]
#[case::no_scheme(
    "endpoint = \"{mqtt_broker}\"",
    "endpoint = ¦\"broker.example.test:8883\"",
    "no scheme"
)]
#[case::plain_mqtt(
    "endpoint = \"{mqtt_broker}\"",
    "endpoint = ¦\"mqtt://broker.example.test:1883\"",
    "\"mqtt\" is not a scheme"
)]
#[case::secret_endpoint(
    "endpoint = \"{mqtt_broker}\"",
    "endpoint = ¦\"mqtts://{mqtt_password}:8883\"",
    "holds a secret"
)]
#[case::no_host("endpoint = \"{mqtt_broker}\"", "endpoint = ¦\"mqtts://:8883\"", "names no host")]
#[case::no_port(
    "endpoint = \"{mqtt_broker}\"",
    "endpoint = ¦\"mqtts://broker.example.test\"",
    "names no port"
)]
#[case::policy("policy = \"redirected\"", "policy = ¦\"redirect\"", "unknown policy \"redirect\"")]
#[case::wildcard("{ topic = \"vault/command\"", "{ topic = ¦\"vault/#\"", "one exact topic")]
#[case::stale_answer("reply_contains = [\"{nonce}\", ", "reply_contains = ¦[", "{nonce}")]
#[case::stale_command("\"id\":\"{nonce}\"", "\"id\":\"1\"", "payload lacks {nonce}")]
#[case::no_deadline("boot_s = 10", "boot_s = ¦0", "1 to 600")]
#[case::check_twice("id = \"mqtt_connect\"", "id = ¦\"wifi_join\"", "stands twice")]
#[case::measurement(
    "join_ms = { upper",
    "¦joined_ms = { upper",
    "unknown measurement \"joined_ms\""
)]
#[case::limits("lower = -75, upper = -10", "lower = -10, upper = -75", "let nothing pass")]
#[case::no_limit("{ lower = -75, upper = -10 }", "{}", "bind nothing")]
#[case::limit_nan("{ lower = -75, upper = -10 }", "{ lower = nan }", "bind nothing")]
fn faults_of_content(#[case] old: &str, #[case] new: &str, #[case] message: &str) {
    if new.contains('¦') {
        assert_refused_at_mark(old, new, message);
    } else {
        // The cause and the place that it breaks stand apart: the error points at the latter.
        let error = refusal(&edited(old, new));
        let found = error.problems().iter().find(|each| each.problem.to_string().contains(message));
        let place = error.line_column(found.unwrap_or_else(|| panic!("{error}")));
        assert!(place.line > 1 && place.column > 1, "{error}");
    }
}

#[test]
fn a_missing_flash_check_points_at_the_list() {
    let text = edited("[[check]]\nid = \"nvs_readback\"\n", "");
    let error = refusal(&text);
    let list = text.find("[[check]]").expect("the list of checks");
    assert_eq!(error.line_column(&error.problems()[0]), LineColumn::of(&text, list), "{error}");
    assert!(error.to_string().contains("\"nvs_readback\" is missing"), "{error}");
}

#[test]
fn an_ssid_limit_points_at_the_network() {
    let text = edited("max_bytes = 32\n", "max_bytes = 33\n");
    let error = refusal(&text);
    let place = error.line_column(&error.problems()[0]);
    let expected = text.find("\"{wifi_ssid}\"\npassword").expect("the section wifi");
    assert_eq!(place, LineColumn::of(&text, expected));
    assert!(error.problems()[0].problem.help().is_some_and(|help| help.contains("max_bytes = 32")));
}

#[test]
fn everything_wrong_is_said_at_once_and_in_order() {
    let text = edited("model = \"esp32\"", "model = \"esp33\"")
        .replace("policy = \"redirected\"", "policy = \"redirect\"")
        .replace("boot_s = 10", "boot_s = 0");
    let error = refusal(&text);
    let lines: Vec<_> =
        error.problems().iter().map(|located| error.line_column(located).line).collect();
    assert_eq!(lines.len(), 3, "{error}");
    assert!(lines.is_sorted());
    let help: Vec<_> = error.problems().iter().filter_map(|each| each.problem.help()).collect();
    assert_eq!(help, ["did you mean \"esp32\"?", "did you mean \"redirected\"?"]);
}

#[test]
fn a_slip_in_a_key_is_recognised() {
    let error = refusal(&edited("namespace = \"vault\"", "name_space = \"vault\""));
    let help = error.problems()[0].problem.help();
    assert_eq!(help.as_deref(), Some("did you mean `namespace`?"), "{error}");
}

#[test]
fn no_refusal_shows_a_secret_sample() {
    let entry = "encoding = \"string\", value = \"{wifi_password}\"";
    for encoding in ["u8", "hex2bin"] {
        let text = edited(entry, &entry.replace("string", encoding));
        let error = refusal(&text).to_string();
        assert!(!error.contains("SecurePassword123"), "{error}");
    }
    let profile = find("espvault", None).expect("a shipped profile");
    assert!(!format!("{profile:?}").contains("SecurePassword123"));
    assert!(!format!("{profile:?}").contains("DeviceSecretKey"));
}

#[test]
fn images_lie_in_the_folder_of_the_profile() {
    let text = edited("{ model = \"espvault\" }", "{ file = \"build/app.elf\" }");
    let profile = Profile::parse("own.toml", &text, Some(Path::new("product"))).expect("valid");
    assert_eq!(profile.images.app, AppSource::File("product/build/app.elf".into()));
}

#[test]
fn a_range_is_held_by_the_partition_that_it_does_not_leave() {
    let flash = find("espvault", None).expect("a shipped profile").flash;
    let name = |range| flash.partition_holding(range).map(|partition| partition.name.as_str());
    assert_eq!(name(0x10000..0x16000), Some("factory"));
    assert_eq!(name(0x15000..0x16000), Some("factory"));
    assert_eq!(name(0x10000..0x16001), None, "over the end");
    assert_eq!(name(0x18000..0x19000), None, "between partitions");
    assert_eq!(name(0x8000..0x9000), None, "the table");
    assert_eq!(name(0x10000..0x10000), None, "nothing");
}

#[test]
fn every_profile_of_the_repository_is_built_in_and_valid() {
    let built_in = list(None).expect("no folder to read");
    let folder = list(Some(Path::new(FOLDER))).expect("the fixtures");
    let names = |list: &[goldline::profile::Listed]| -> Vec<String> {
        list.iter().map(|listed| listed.name.clone()).collect()
    };
    assert_eq!(names(&built_in), names(&folder));
    for listed in built_in.iter().chain(&folder) {
        assert!(listed.load().is_ok(), "{listed:?}");
    }
}

#[test]
fn a_profile_is_found_by_name_in_a_folder_or_by_path() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = edited("name = \"espvault\"", "name = \"mine\"");
    let path = folder.path().join("mine.toml");
    fs::write(&path, text).expect("written");
    fs::write(folder.path().join("other.toml"), ESPVAULT).expect("written");
    fs::write(folder.path().join("notes.txt"), "no profile").expect("written");

    assert_eq!(find("mine", Some(folder.path())).expect("by name").name, "mine");
    assert_eq!(find(path.to_str().expect("UTF-8"), None).expect("by path").name, "mine");
    assert_eq!(list(Some(folder.path())).expect("a list").len(), 15, "both and the built-in ones");
    let renamed = find("other", Some(folder.path()));
    assert!(matches!(renamed, Err(CatalogError::NameDiffers { .. })), "{renamed:?}");
}

#[test]
fn an_unknown_name_says_which_exist_and_the_nearest() {
    let error = find("espvalt", None).expect_err("unknown").to_string();
    assert_eq!(
        error,
        "unknown profile \"espvalt\": there are ble-gateway, ble-gateway-factory, ble-gateway-portal, espvault, espvault-certificates, espvault-encrypted, espvault-hmac, safesignal, safesignal-certificates, zeroconf, zeroconf-ca, zeroconf-ca-console, zeroconf-portal; did you mean \"espvault\"?"
    );
    let error = find("missing/profile.toml", None).expect_err("unreadable").to_string();
    assert!(error.starts_with("cannot read missing/profile.toml: "), "{error}");
}

/// A generator of the xorshift family: the same mutations in every run.
struct Mutations(u64);

impl Mutations {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).expect("below a usize")
    }

    fn mutate(&mut self, text: &str) -> String {
        let mut characters: Vec<char> = text.chars().collect();
        for _ in 0..=self.below(4) {
            let at = self.below(characters.len());
            let length = self.below(40).min(characters.len() - at);
            match self.below(4) {
                0 => drop(characters.drain(at..at + length)),
                1 => characters[at] = ['{', '}', '"', '=', '[', '-', '9', 'ß', '\0'][self.below(9)],
                2 => {
                    let copy = characters[at..at + length].to_vec();
                    let to = self.below(characters.len());
                    characters.splice(to..to, copy);
                }
                _ => characters.insert(at, ['0', '\n', '.', '{', '\'', '\u{202e}'][self.below(6)]),
            }
        }
        characters.into_iter().collect()
    }
}

#[test]
fn a_damaged_profile_never_panics_and_every_refusal_has_a_place() {
    let mut mutations = Mutations(0x9E37_79B9_7F4A_7C15);
    let mut refused = 0;
    for _ in 0..600 {
        let text = mutations.mutate(ESPVAULT);
        if let Err(error) = Profile::parse("damaged.toml", &text, None) {
            refused += 1;
            for located in error.problems() {
                assert!(text.get(located.span.clone()).is_some(), "{located:?} lies in the text");
                assert!(!located.problem.to_string().is_empty());
                let _help = located.problem.help();
            }
        }
    }
    assert!(refused > 300, "only {refused} of 600 were refused");
}

#[test]
fn explain_tells_a_newcomer_what_is_written_and_checked_and_no_secret() {
    let text = goldline::cli::profile::explain("espvault", None).expect("a shipped profile");
    for part in [
        "esp32 with 4 MB of flash",
        "0x001000  bootloader       ESP-IDF's own for esp32",
        "0x010000  factory          data/nvs, 24 KB: the unit's values, in namespace \"vault\"",
        "left to the firmware: nvs, phy_init, otadata, ota_1, storage",
        "device_id       string   {device_id}",
        "built as VAULT-{number:05}",
        "secret, 8 to 64 bytes; sample of 17 bytes",
        "network {wifi_ssid}, an address within 20 s",
        "rssi: -75 to -10",
        "join_ms: 15000 or less",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    assert!(!text.contains("SecurePassword123") && !text.contains("DeviceSecretKey"), "{text}");
}

#[test]
fn list_and_check_say_what_there_is_and_what_is_wrong() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("broken.toml");
    fs::write(&path, edited("boot_s = 10", "boot_s = 0")).expect("written");
    let listed = goldline::cli::profile::list(Some(folder.path())).expect("a list");
    let line = |name: &str| listed.lines().find(|line| line.starts_with(name)).expect("listed");
    assert!(line("broken ").contains("not valid"), "{listed}");
    assert_eq!(
        line("espvault "),
        "espvault              EspVault Universal Node on esp32 (built in)"
    );

    let path = path.to_str().expect("UTF-8");
    let error = goldline::cli::profile::check(path, None).expect_err("refused").to_string();
    let line = ESPVAULT.lines().position(|line| line.starts_with("boot_s")).expect("there") + 1;
    assert!(error.starts_with(&format!("{path}:{line}:10: the deadline 0 s")), "{error}");
    let good = goldline::cli::profile::check("espvault", None).expect("valid");
    assert_eq!(
        good,
        "espvault: valid: espvault on esp32, 7 partitions, 7 values, 6 NVS keys, 5 checks\n\n\
         Whether this build can trust the bench\n  \
         broker   mqtts://prod.broker.com:8883: yes: a firmware model is compiled with the bench's CA\n"
    );
}

/// What a line depends on must be known, and be there.
#[rstest]
#[case::unknown("zeroconf-ca", "needs = \"wifi\"", "needs = \"cloud\"", "unknown needs \"cloud\"")]
#[case::missing(
    "safesignal",
    "restarts = true",
    "restarts = true\nneeds = \"ca\"",
    "needs the section [ca]"
)]
fn faults_of_what_a_line_needs(
    #[case] profile: &str,
    #[case] old: &str,
    #[case] new: &str,
    #[case] message: &str,
) {
    let path = Path::new(FOLDER).join(format!("{profile}.toml"));
    let shipped = fs::read_to_string(path).expect("it ships");
    assert!(shipped.contains(old));
    let error = refusal(&shipped.replacen(old, new, 1));
    assert!(error.to_string().contains(message), "{error}");
}
