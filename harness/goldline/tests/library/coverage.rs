//! Every byte of the flash of every shipped product has an expectation, and what does not meet it fails.
//!
//! Flashes are made here, from what each part of them means, and damaged byte by byte.

use std::{io, sync::Arc};

use goldline::{
    check::{
        Difference, Evidence, Observations, OtaObservation, SpanDigest, UnitLog, UpdateObservation,
        judge,
    },
    device::{ChipFacts, ConsoleLine},
    identity::Mac,
    image::FlashImages,
    plan::{
        Bindings, BoundPlan, Content, Coverage, Expects, Given, Identity, Moment, NvsState, Plan,
        Scope, Sources, Span, Text,
    },
    profile::{Profile, find, learnt_samples, list},
    record::{CheckRecord, Outcome},
    secret::Secret,
};
use goldline_nvs::{Document, Value, Version, edit::Editor, generate};
use md5::{Digest, Md5};
use rstest::rstest;

const MAC: Mac = Mac([0x24, 0x0A, 0xC4, 0, 1, 0x10]);
const SECTOR: usize = 0x1000;

/// Neither a whole number of sectors nor of blocks.
const APP: usize = 5 * SECTOR + 100;
const UPDATE: usize = 7 * SECTOR + 300;

struct Nothing;

impl Sources for Nothing {
    fn lease(&mut self, value: &str) -> io::Result<u32> {
        panic!("a number was leased for {value}")
    }

    fn fill_random(&mut self, _buffer: &mut [u8]) -> io::Result<()> {
        panic!("a secret was made")
    }
}

fn images(profile: &Profile) -> FlashImages {
    let updates = if profile.ota.is_some() { vec![vec![5; UPDATE]] } else { Vec::new() };
    FlashImages {
        bootloader: vec![1; 0x1234],
        partition_table: vec![2; 0xC00],
        app: vec![3; APP],
        factory_app: None,
        others: Vec::new(),
        updates,
    }
}

fn bound(profile: &Arc<Profile>, scope: Scope) -> BoundPlan {
    let mut bindings =
        Bindings::resolve(profile, &Given::default(), Identity::Declared, &mut Nothing)
            .expect("samples");
    bindings.bind_mac(MAC).expect("not bound yet");
    for (name, sample, secret) in learnt_samples() {
        if bindings.get(name).is_none() {
            let text =
                if secret { Text::secret(Secret::new(sample)) } else { Text::public(sample) };
            bindings.bind(name, text).expect("not bound yet");
        }
    }
    let plan = Plan::new(Arc::clone(profile), scope);
    BoundPlan::bind(plan, bindings, &images(profile)).expect("it fits")
}

/// A unit's flash at a moment, and what is planned for it.
struct Flash {
    plan: BoundPlan,
    moment: Moment,
    coverage: Coverage,
    bytes: Vec<u8>,
    log: Vec<&'static str>,
    /// Of the same unit before the boot, where this is after it.
    before: Option<Evidence>,
    /// Whether an update came to its end, where one was tried.
    updated: Option<bool>,
    /// As it was made, with its digests: only what was damaged since is digested anew.
    sound: Option<(Vec<u8>, Evidence)>,
}

impl Flash {
    /// A sound one.
    fn sound(profile: &str, scope: Scope, moment: Moment) -> Self {
        let profile = Arc::new(find(profile, None).expect("a shipped profile"));
        let plan = bound(&profile, scope);
        let coverage = plan.plan().coverage(moment);
        let mut bytes = vec![0xFF; profile.flash.size() as usize];
        for image in plan.images().iter().filter(|image| image.region.content != Content::Nvs) {
            let at = image.region.offset as usize;
            bytes[at..at + image.bytes.len()].copy_from_slice(&image.bytes);
        }
        // Where a firmware writes the unit's values, there are none before it ran.
        let writes_later = moment == Moment::BeforeBoot
            && scope == Scope::Run
            && !profile.method.flashes_nvs()
            && profile.factory.is_none();
        let nvs = plan.images().iter().find(|image| image.region.content == Content::Nvs);
        if let Some(nvs) = nvs.filter(|_| !writes_later) {
            let at = nvs.region.offset as usize;
            bytes[at..at + nvs.bytes.len()].copy_from_slice(&nvs.bytes);
        }
        let before = (moment == Moment::AfterBoot)
            .then(|| Self::sound(&profile.name, scope, Moment::BeforeBoot).evidence());
        let log = Vec::new();
        let mut flash =
            Self { plan, moment, coverage, bytes, log, before, updated: None, sound: None };
        flash.sound = Some((flash.bytes.clone(), flash.evidence()));
        flash
    }

    fn span(&self, name: &str) -> Span {
        let mut spans = self.coverage.spans().iter();
        spans.find(|span| span.name == name).expect("the profile has it").clone()
    }

    fn put(mut self, at: usize, bytes: &[u8]) -> Self {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    fn put_into(self, name: &str, bytes: &[u8]) -> Self {
        let at = self.span(name).offset as usize;
        self.put(at, bytes)
    }

    fn part(&self, span: &Span) -> &[u8] {
        part(&self.bytes, span)
    }

    /// What a unit with this flash says of it.
    fn evidence(&self) -> Evidence {
        let read = |span: &Span| (span.name.clone(), self.part(span).to_vec());
        let own = self.coverage.spans().iter().find(|span| span.expects == Expects::OwnNvs);
        Evidence {
            digests: self.coverage.digested().iter().map(|span| self.digest(span)).collect(),
            nvs: self.part(own.expect("there is one")).to_vec(),
            nvs_rewritten: None,
            partitions: self.coverage.read().map(read).collect(),
        }
    }

    fn digest(&self, span: &Span) -> SpanDigest {
        let found = self.part(span);
        if let Some((sound, evidence)) = &self.sound
            && part(sound, span) == found
        {
            let known = evidence.digests.iter().find(|digest| digest.offset == span.offset);
            return known.expect("it was digested").clone();
        }
        let contents = self.plan.contents(span.expects);
        let expected = contents.first().expect("the bench knows it").bytes(span.size);
        let mut sectors = expected.chunks(SECTOR).zip(found.chunks(SECTOR)).enumerate();
        let differs = sectors.find(|(_, (expected, found))| expected != found);
        let differs = differs.map(|(index, (expected, found))| {
            let at = expected.iter().zip(found).position(|(expected, found)| expected != found);
            index * SECTOR + at.expect("they differ")
        });
        SpanDigest {
            offset: span.offset,
            size: span.size,
            md5: Md5::digest(found).into(),
            differs: differs
                .map(|at| Difference { offset: span.offset + at as u32, count: 1 })
                .into_iter()
                .collect(),
            rewritten: None,
        }
    }

    /// The two checks that judge a flash; where it was read after a boot, it was sound before.
    fn judged(&self) -> Vec<CheckRecord> {
        let profile = self.plan.profile();
        let scope = self.plan.plan().scope;
        let evidence = self.evidence();
        let (before, after) = match &self.before {
            None => (evidence, None),
            Some(before) => (before.clone(), Some(evidence)),
        };
        let line = |text: &&str| ConsoleLine { at_ms: 0, text: (*text).to_owned() };
        let seen = Observations {
            chip: Some(ChipFacts {
                chip: profile.chip,
                revision: None,
                mac: MAC,
                flash_size: profile.flash.size(),
            }),
            before_boot: Some(before),
            after_boot: after,
            ota: self.updated.map(|reported| OtaObservation {
                updates: vec![UpdateObservation { reported, ..UpdateObservation::default() }],
            }),
            console: UnitLog::of(self.log.iter().map(line).collect()),
            ..Observations::default()
        };
        let judgement = judge(profile, scope, Some(&self.plan), &seen);
        let of_flash = ["flash_integrity", "nvs_readback"];
        judgement.checks.into_iter().filter(|check| of_flash.contains(&check.id.as_str())).collect()
    }

    /// The code that it fails with and the message; none when it passes.
    fn fault(&self) -> Option<(&'static str, String)> {
        let checks = self.judged();
        assert_eq!(checks.len(), 2, "the profile asks for both");
        // Nothing is measured in a partition that its own firmware is yet to write.
        let blank = self.before.is_none() && self.plan.plan().nvs_before_boot() == NvsState::Blank;
        let unmeasured = |check: &CheckRecord| {
            blank && check.id == "nvs_readback" && check.outcome == Outcome::NotRun
        };
        let failed = checks
            .into_iter()
            .find(|check| check.outcome != Outcome::Pass && !unmeasured(check))?;
        let why = failed.diagnosis.expect("a FAIL has a reason");
        Some((why.code.as_str(), why.message))
    }

    #[track_caller]
    fn passes(&self) {
        assert_eq!(self.fault(), None, "{} {:?}", self.plan.profile().name, self.moment);
    }

    #[track_caller]
    fn fails(&self, code: &str, place: &str) {
        let (found, message) = self.fault().unwrap_or_else(|| panic!("PASS, expected {code}"));
        assert_eq!(found, code, "{message}");
        assert!(message.contains(place), "{message} does not name {place}");
    }
}

fn part<'a>(flash: &'a [u8], span: &Span) -> &'a [u8] {
    &flash[span.offset as usize..(span.offset + span.size) as usize]
}

fn names() -> Vec<String> {
    list(None).expect("the shipped profiles").into_iter().map(|listed| listed.name).collect()
}

/// Before and after a boot, and as a later command finds a unit that may have run.
const VIEWS: [(Scope, Moment); 3] = [
    (Scope::Run, Moment::BeforeBoot),
    (Scope::Run, Moment::AfterBoot),
    (Scope::Check, Moment::BeforeBoot),
];

#[test]
fn a_sound_flash_of_every_product_passes_and_all_of_it_is_covered() {
    for name in names() {
        for (scope, moment) in VIEWS {
            let flash = Flash::sound(&name, scope, moment);
            flash.passes();
            let checks = flash.judged();
            let covered: Vec<_> = checks[0]
                .measurements
                .iter()
                .filter(|measured| measured.name.starts_with("bytes_covered_"))
                .map(|measured| measured.value.as_u64())
                .collect();
            let all = Some(u64::from(flash.plan.profile().flash.size()));
            assert!(
                !covered.is_empty() && covered.iter().all(|bytes| *bytes == all),
                "{checks:#?}"
            );
        }
    }
}

/// What one byte that is written at a place of a span must lead to, by what the span is for.
fn expected(expects: Expects, at: usize) -> Option<&'static str> {
    let planned =
        |length: usize| if at < length { "flash.region_differs" } else { "flash.not_erased" };
    match expects {
        Expects::Planned(Content::Bootloader) => Some(planned(0x1234)),
        Expects::Planned(Content::PartitionTable) => Some(planned(0xC00)),
        Expects::Planned(Content::App) | Expects::UpdatedApp => Some(planned(APP)),
        Expects::Planned(_) => Some(planned(SECTOR)),
        Expects::Erased | Expects::UpdateSlot => Some("flash.not_erased"),
        // A record whose checksum is wrong is none; behind it, and in its label, nothing may be.
        Expects::OtaData => match at % SECTOR {
            0..4 | 24..32 => None,
            _ => Some("flash.not_erased"),
        },
        Expects::Firmwares => None,
        // Judged by what it means, in tests of its own.
        Expects::OwnNvs | Expects::FirmwaresNvs => None,
    }
}

#[test]
fn one_written_byte_fails_wherever_a_firmware_may_not_write() {
    let (mut failed, mut passed) = (0, 0);
    for name in names() {
        for (scope, moment) in VIEWS {
            let mut flash = Flash::sound(&name, scope, moment);
            for span in flash.coverage.spans().to_vec() {
                if matches!(span.expects, Expects::OwnNvs | Expects::FirmwaresNvs) {
                    continue;
                }
                let size = span.size as usize;
                for at in [0, size / 2 + 5, size - 1] {
                    let place = span.offset as usize + at;
                    let byte = std::mem::replace(&mut flash.bytes[place], 0x5A);
                    match expected(span.expects, at) {
                        Some(code) => {
                            failed += 1;
                            flash.fails(code, &span.name);
                        }
                        None => {
                            passed += 1;
                            flash.passes();
                        }
                    }
                    flash.bytes[place] = byte;
                }
            }
        }
    }
    assert!(failed > 400 && passed > 50, "{failed} {passed}");
}

/// A generator of its own, so that the same bytes are damaged in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

#[test]
fn random_damage_is_found_by_the_map_of_what_is_covered() {
    let full = std::env::var("GOLDLINE_TIER").is_ok_and(|tier| tier == "full");
    let damages = if full { 80 } else { 4 };
    let (mut dice, mut found) = (Dice(12), 0);
    for name in names() {
        for (scope, moment) in VIEWS {
            let mut flash = Flash::sound(&name, scope, moment);
            for _ in 0..damages {
                let place = dice.below(flash.bytes.len());
                let owner = flash.coverage.spans().iter().rfind(|s| s.offset as usize <= place);
                let owner = owner.expect("every byte has one").clone();
                if matches!(owner.expects, Expects::OwnNvs | Expects::FirmwaresNvs) {
                    continue;
                }
                let was = flash.bytes[place];
                flash.bytes[place] = !was;
                match expected(owner.expects, place - owner.offset as usize) {
                    Some(code) => flash.fails(code, &owner.name),
                    None => flash.passes(),
                }
                flash.bytes[place] = was;
                found += 1;
            }
        }
    }
    assert!(found > 90, "{found}");
}

fn checked(profile: &str) -> Flash {
    Flash::sound(profile, Scope::Check, Moment::BeforeBoot)
}

/// An NVS partition of another unit.
fn others_nvs(size: usize) -> Vec<u8> {
    let mut document = Document::new();
    document.insert("vault", "wifi_ssid", Value::str("Elsewhere")).expect("it fits");
    document.insert("vault", "wifi_password", Value::str("of another unit")).expect("it fits");
    generate(&document, size, Version::V2).expect("it fits")
}

#[rstest]
#[case::nvs("nvs", "nvs.unexpected_entry")]
#[case::other_slot("ota_1", "flash.not_erased")]
fn what_another_unit_left_is_found(#[case] partition: &str, #[case] code: &str) {
    checked("espvault").put_into(partition, &others_nvs(0x6000)).fails(code, partition);
}

#[test]
fn what_frameworks_keep_may_be_there() {
    let mut document = Document::new();
    for (namespace, key) in [
        ("phy", "cal_version"),
        ("nvs.net80211", "opmode"),
        ("dhcp_state", "WIFI_STA_DEF"),
        ("misc", "log"),
    ] {
        document.insert(namespace, key, Value::U32(7)).expect("it fits");
    }
    let left = generate(&document, 0x6000, Version::V2).expect("it fits");
    checked("espvault").put_into("nvs", &left).passes();
    document.insert("strange", "key", Value::U32(7)).expect("it fits");
    let left = generate(&document, 0x6000, Version::V2).expect("it fits");
    checked("espvault").put_into("nvs", &left).fails("nvs.unexpected_entry", "strange/key");
}

/// A record as ESP-IDF writes it: number, label, state, checksum of the number.
/// The bench resets a unit whose time is over in the midst of its update: what lies in the slot was said to
/// be the cause. The check of the update says that it did not come.
#[rstest]
#[case::cut_short(Some(false), false)]
#[case::done(Some(true), true)]
#[case::none(None, true)]
fn half_an_update_is_no_cause_of_its_own(#[case] updated: Option<bool>, #[case] fails: bool) {
    let mut flash = Flash::sound("ble-gateway", Scope::Run, Moment::AfterBoot);
    flash.updated = updated;
    let mut half = flash.put_into("app1", &[5; UPDATE / 2]);
    match fails {
        true => half.fails("flash.not_erased", "app1"),
        false => half.passes(),
    }
    // No firmware writes there, whatever becomes of an update.
    let bootloader = half.span("bootloader").offset as usize;
    half = half.put(bootloader, &[0]);
    half.updated = Some(false);
    half.fails("flash.region_differs", "bootloader");
}

fn ota_record(sequence: u32, state: u32, sound: bool) -> Vec<u8> {
    let mut crc = crc32fast::Hasher::new_with_initial(u32::MAX);
    crc.update(&sequence.to_le_bytes());
    let checksum = crc.finalize() ^ u32::from(!sound);
    let mut record = sequence.to_le_bytes().to_vec();
    record.extend([0xFF; 20]);
    record.extend(state.to_le_bytes());
    record.extend(checksum.to_le_bytes());
    record
}

const UNDEFINED: u32 = u32::MAX;
const VALID: u32 = 2;
const ABORTED: u32 = 4;

#[rstest]
#[case::first(ota_record(1, VALID, true), None)]
#[case::without_a_state(ota_record(1, UNDEFINED, true), None)]
#[case::a_turn_later(ota_record(3, VALID, true), None)]
#[case::other(ota_record(2, VALID, true), Some("flash.wrong_slot"))]
#[case::other_without_a_state(ota_record(2, UNDEFINED, true), Some("flash.wrong_slot"))]
#[case::other_that_is_no_record(ota_record(2, VALID, false), None)]
#[case::other_that_was_given_up(ota_record(2, ABORTED, true), None)]
#[case::text(b"a password that does not belong here".to_vec(), Some("flash.not_erased"))]
fn the_slot_that_is_to_start_is_the_planned_one(
    #[case] record: Vec<u8>,
    #[case] code: Option<&str>,
    #[values(0, SECTOR)] sector: usize,
) {
    let flash = checked("espvault");
    let at = flash.span("otadata").offset as usize + sector;
    let flash = flash.put(at, &record);
    match code {
        Some(code) => flash.fails(code, "otadata"),
        None => flash.passes(),
    }
}

#[rstest]
#[case::planned(&["I (90) boot: Loaded app from partition at offset 0x20000"], None)]
#[case::other(&["I (90) boot: Loaded app from partition at offset 0x1a0000"], Some("ota_1"))]
#[case::both(&[
    "I (90) boot: Loaded app from partition at offset 0x1a0000",
    "I (90) boot: Loaded app from partition at offset 0x20000",
], Some("ota_1"))]
#[case::nowhere(&["I (90) boot: Loaded app from partition at offset 0x3f0000"], Some("0x3f0000"))]
#[case::not_said(&["I (312) main_task: Calling app_main()"], None)]
fn the_slot_that_started_is_the_planned_one(
    #[case] log: &[&'static str],
    #[case] other: Option<&str>,
) {
    let flash = Flash { log: log.to_vec(), ..checked("espvault") };
    match other {
        Some(other) => flash.fails("flash.wrong_slot", other),
        None => flash.passes(),
    }
}

#[test]
fn an_update_may_lie_in_the_other_slot_and_stand_out_behind_the_application() {
    let update = [5; UPDATE];
    let updated = || checked("ble-gateway").put_into("app1", &update);
    updated().passes();
    let app = updated().span("app0").offset as usize;
    // The application was written over a longer update, sector by sector.
    let rest = APP.next_multiple_of(SECTOR);
    updated().put(app + rest, &update[rest..]).passes();
    updated().put(app + rest, &[6; 16]).fails("flash.not_erased", "app0");
    updated().put_into("app1", &[6]).fails("flash.not_erased", "app1");
    let other = updated().put(app, &update);
    other.fails("flash.region_differs", "app0");
}

#[test]
fn a_unit_on_which_nothing_was_flashed_is_blank() {
    let mut flash = checked("espvault");
    flash.bytes.fill(0xFF);
    flash.fails("flash.blank", "blank");
    // Something was flashed: the boot loader is missing.
    let table = flash.span("partition_table");
    let sound = checked("espvault");
    flash
        .put(table.offset as usize, sound.part(&table))
        .fails("flash.region_differs", "bootloader");
}

/// What was not looked at proves nothing.
#[test]
fn a_span_without_evidence_fails() {
    let flash = checked("espvault");
    let profile = flash.plan.profile();
    let chip = ChipFacts { chip: profile.chip, revision: None, mac: MAC, flash_size: 4 << 20 };
    let all = flash.evidence();
    let mut lacking = Vec::new();
    for index in 0..all.digests.len() {
        let mut evidence = all.clone();
        evidence.digests.remove(index);
        lacking.push(evidence);
    }
    for name in all.partitions.keys() {
        let mut evidence = all.clone();
        evidence.partitions.remove(name);
        lacking.push(evidence);
    }
    assert!(lacking.len() > 6);
    for evidence in lacking {
        let seen = Observations {
            chip: Some(chip.clone()),
            before_boot: Some(evidence),
            ..Observations::default()
        };
        let judgement = judge(profile, Scope::Check, Some(&flash.plan), &seen);
        let check = &judgement.checks[0];
        let message = check.diagnosis.as_ref().map(|why| why.message.as_str()).unwrap_or_default();
        assert!(message.contains("bytes_covered_before_boot"), "{check:#?}");
    }
}

/// One that the driver kept: length, name, passphrase, and the rest of its record.
fn network(name: &str, passphrase: &str) -> Vec<u8> {
    let mut bytes = (name.len() as u32).to_le_bytes().to_vec();
    bytes.extend(name.bytes());
    bytes.resize(36, 0);
    bytes.extend(passphrase.bytes());
    bytes.resize(140, 0);
    bytes
}

/// The driver's partition, as it is after a unit was in these networks.
fn joined(networks: &[(&str, &str)]) -> Vec<u8> {
    let mut document = Document::new();
    let all: Vec<u8> = networks.iter().flat_map(|(name, key)| network(name, key)).collect();
    document.insert("nvs.net80211", "sta.apinfo", Value::Blob(all)).expect("it fits");
    generate(&document, 0x6000, Version::V2).expect("it fits")
}

const OTHER: (&str, &str) = ("Elsewhere", "another password");

#[test]
fn the_networks_that_the_driver_keeps_are_the_plans() {
    let flash = || checked("espvault");
    let wifi = flash().plan.wifi.expect("a network");
    let own = (wifi.ssid.as_str(), wifi.password.expose());
    flash().put_into("nvs", &joined(&[own])).passes();
    let code = "nvs.foreign_credentials";
    for networks in [vec![OTHER], vec![own, OTHER], vec![(own.0, OTHER.1)], vec![(OTHER.0, own.1)]]
    {
        flash().put_into("nvs", &joined(&networks)).fails(code, "nvs.net80211/sta.apinfo");
    }
}

#[test]
fn an_earlier_copy_of_a_network_is_the_drivers_own_and_one_of_another_is_not() {
    let flash = || checked("espvault");
    let wifi = flash().plan.wifi.expect("a network");
    let own = (wifi.ssid.as_str(), wifi.password.expose());
    let rejoined = |earlier: &[(&str, &str)]| {
        let mut editor = Editor::open(&joined(earlier)).expect("it is NVS");
        let now = network(own.0, own.1);
        editor.set("nvs.net80211", "sta.apinfo", &Value::Blob(now)).expect("it fits");
        editor.finish()
    };
    flash().put_into("nvs", &rejoined(&[own, own])).passes();
    let other = flash().put_into("nvs", &rejoined(&[OTHER]));
    other.fails("nvs.leftover_secret", "nvs.net80211/sta.apinfo");
}

/// The unit's own partition after a change that marks an entry erased, as NVS does.
fn edited(change: impl FnOnce(&mut Editor)) -> Flash {
    let flash = checked("espvault");
    let own = flash.span(&flash.plan.profile().nvs.partition);
    let mut editor = Editor::open(flash.part(&own)).expect("it is NVS");
    change(&mut editor);
    let bytes = editor.finish();
    flash.put(own.offset as usize, &bytes)
}

#[test]
fn no_secret_of_an_earlier_life_lies_in_an_erased_entry() {
    let planned = checked("espvault");
    let password = Value::str(planned.plan.wifi().expect("a network").password.expose());
    let rewritten = edited(|nvs| {
        nvs.set("vault", "wifi_password", &Value::str("of an earlier life")).expect("it fits");
        nvs.set("vault", "wifi_password", &password).expect("it fits");
    });
    rewritten.fails("nvs.leftover_secret", "vault/wifi_password");
    let removed = edited(|nvs| {
        nvs.set("vault", "psk_old", &Value::str("0123456789abcdef")).expect("it fits");
        nvs.remove("vault", "psk_old");
    });
    removed.fails("nvs.leftover_secret", "psk_old");
    let harmless = edited(|nvs| {
        nvs.set("phy", "cal_version", &Value::U32(1)).expect("it fits");
        nvs.set("phy", "cal_version", &Value::U32(2)).expect("it fits");
    });
    harmless.passes();
}
