//! The QC list as pure functions: what was seen, and what must be said of it.
//!
//! Each case starts from the observations of a good unit and spoils one thing.

use std::{io, net::Ipv4Addr, sync::Arc};

use goldline::{
    check::{
        AlertObservation, Answered, BrokerObservation, CaObservation, DialogueObservation,
        Evidence, ExchangeObservation, JoinObservation, Lost, NestDoubt, Observations, Observer,
        OtaObservation, ProbeReport, Refusal, Remaining, ServiceObservation, SpanDigest, Stop,
        TrustObservation, UnitLog, UpdateObservation, Witness, judge,
    },
    device::{ChipFacts, ConsoleLine},
    identity::Mac,
    image::FlashImages,
    plan::{
        Bindings, BoundPlan, Content, Expects, Given, Identity, Moment, Plan, Scope, Sources, Span,
        on_network,
    },
    profile::{CheckId, Chip, Profile, find},
    record::{CheckRecord, Code, Diagnosis, Limits, Measurement, Outcome, Verdict},
    testbed::network::NetworkKind,
};
use md5::{Digest, Md5};
use rstest::rstest;

/// The samples of a declared identity leave nothing to be made.
struct NoSources;

impl Sources for NoSources {
    fn lease(&mut self, _value: &str) -> io::Result<u32> {
        Err(io::Error::other("a declared identity leases nothing"))
    }

    fn fill_random(&mut self, _buffer: &mut [u8]) -> io::Result<()> {
        Err(io::Error::other("a declared identity needs no secret"))
    }
}

pub struct Case {
    profile: Arc<Profile>,
    plan: BoundPlan,
    pub seen: Observations,
}

impl Case {
    /// A good unit.
    pub fn good() -> Self {
        Self::told(None)
    }

    /// A good unit that shows its broker a certificate.
    fn certified() -> Self {
        let mut profile = find("espvault", None).expect("a shipped profile");
        profile.mqtt.as_mut().expect("it has a broker").client_certificate = true;
        Self::of(profile, None)
    }

    /// A good unit that was told its broker in this spelling.
    fn told(broker: Option<&str>) -> Self {
        Self::of(find("espvault", None).expect("a shipped profile"), broker)
    }

    pub fn of(profile: Profile, broker: Option<&str>) -> Self {
        let profile = Arc::new(profile);
        let plan = Plan::new(Arc::clone(&profile), Scope::Run);
        let mut given = Given::default();
        if let Some(broker) = broker {
            let set = format!("mqtt_broker={broker}");
            given.parse_set(&profile, &set).expect("a value of the profile");
        }
        let bindings = Bindings::resolve(&profile, &given, Identity::Declared, &mut NoSources)
            .expect("the samples are complete");
        let images = FlashImages {
            bootloader: vec![1; 100],
            partition_table: vec![2; 100],
            app: vec![3; 100],
            factory_app: None,
            others: Vec::new(),
            updates: Vec::new(),
        };
        let plan = BoundPlan::bind(plan, bindings, &images).expect("the samples fit");
        let seen = good_observations(&plan);
        Self { profile, plan, seen }
    }

    pub fn judge(&self) -> (Verdict, Option<Code>, Vec<CheckRecord>) {
        let judgement = judge(&self.profile, Scope::Run, Some(&self.plan), &self.seen);
        let verdict = judgement.verdict.expect("a run has a verdict");
        (verdict, judgement.diagnosis.map(|diagnosis| diagnosis.code), judgement.checks)
    }

    pub fn limit(&mut self, id: CheckId, name: &str, limits: Limits) {
        let mut profile = (*self.profile).clone();
        let spec = profile.checks.iter_mut().find(|spec| spec.id == id).expect("its check");
        spec.limits.insert(name.to_owned(), limits);
        self.profile = Arc::new(profile);
    }

    pub fn expect(&self, verdict: Verdict, code: Code) {
        let (found, why, checks) = self.judge();
        assert_eq!((found, why), (verdict, Some(code)), "{checks:#?}");
    }

    fn nvs(&mut self) -> &mut Vec<u8> {
        &mut self.seen.before_boot.as_mut().expect("evidence").nvs
    }

    pub fn join(&mut self) -> &mut JoinObservation {
        self.seen.join.as_mut().expect("a wait for the network")
    }

    pub fn edit_log(&mut self, edit: impl FnOnce(&mut Vec<ConsoleLine>)) {
        let mut lines = self.seen.console.lines().to_vec();
        edit(&mut lines);
        self.seen.console = UnitLog::of(lines);
    }

    pub fn says_too(&mut self, lines: &[&str]) {
        self.edit_log(|log| log.extend(lines.iter().map(|text| line(text))));
    }

    fn broker(&mut self) -> &mut BrokerObservation {
        self.seen.broker.as_mut().expect("a wait for the broker")
    }

    /// The unit never joined, and says this.
    pub fn not_joined(&mut self, reason: Option<u16>, witness: Option<Witness>) {
        self.seen.join = Some(JoinObservation { refused: reason, witness, ..Default::default() });
        self.seen.broker = None;
        self.seen.after_boot = None;
        self.seen.console = unit_log(&["I (311) main_task: Calling app_main()"]);
    }

    /// The broker never accepted the unit.
    fn not_connected(&mut self, refusal: Option<Refusal>, witness: Option<Witness>) {
        let reached = refusal.is_some();
        self.seen.broker =
            Some(BrokerObservation { reached, refusal, witness, ..Default::default() });
        self.seen.after_boot = None;
    }
}

fn good_observations(plan: &BoundPlan) -> Observations {
    Observations {
        chip: Some(ChipFacts {
            chip: Chip::Esp32,
            revision: Some((3, 0)),
            mac: Mac([0x24, 0x0A, 0xC4, 0, 1, 0x10]),
            flash_size: 4 << 20,
        }),
        before_boot: Some(good_evidence(plan, Moment::BeforeBoot)),
        after_boot: Some(good_evidence(plan, Moment::AfterBoot)),
        booted: true,
        console: unit_log(&[
            "rst:0x1 (POWERON_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)",
            "I (311) main_task: Calling app_main()",
            "I (768) wifi:security: WPA2-PSK, phy: bgn, rssi: -45",
            "I (1388) esp_netif_handlers: sta ip: 127.77.0.2, mask: 255.255.0.0, gw: 127.77.0.1",
        ]),
        join: Some(JoinObservation {
            address: Some(Ipv4Addr::new(127, 77, 0, 2)),
            joined_after_ms: Some(400),
            address_shown: true,
            ..Default::default()
        }),
        broker: Some(BrokerObservation {
            reached: true,
            tls_version: Some("TLSv1.3".to_owned()),
            server_name: Some("prod.broker.com".to_owned()),
            client_id: Some("VAULT-00001".to_owned()),
            username: Some("device_vault_00001".to_owned()),
            accepted: true,
            connected_after_ms: Some(120),
            subscriptions: vec!["vault/command".to_owned()],
            round_trip_ms: Some(3),
            ..Default::default()
        }),
        ..Observations::default()
    }
}

/// As a flash shows itself that holds what is planned, and is erased for the rest.
fn good_evidence(plan: &BoundPlan, moment: Moment) -> Evidence {
    let coverage = plan.plan().coverage(moment);
    let digest = |span: &Span| {
        let md5 = match span.expects {
            Expects::Planned(content) => {
                let image = plan.images().iter().find(|image| image.region.content == content);
                let mut bytes = image.expect("it is planned").bytes.clone();
                bytes.resize(span.size as usize, 0xFF);
                Md5::digest(&bytes)
            }
            _ => Md5::digest(vec![0xFF; span.size as usize]),
        };
        SpanDigest {
            offset: span.offset,
            size: span.size,
            md5: md5.into(),
            differs: Vec::new(),
            rewritten: None,
        }
    };
    let erased = |span: &Span| (span.name.clone(), vec![0xFF; span.size as usize]);
    Evidence {
        nvs_rewritten: None,
        digests: coverage.digested().iter().map(digest).collect(),
        nvs: nvs_image(plan),
        partitions: coverage.read().map(erased).collect(),
    }
}

fn nvs_image(plan: &BoundPlan) -> Vec<u8> {
    let image = plan.images().iter().find(|image| image.region.content == Content::Nvs);
    image.expect("the plan writes NVS").bytes.clone()
}

fn unit_log(lines: &[&str]) -> UnitLog {
    UnitLog::of(lines.iter().map(|text| line(text)).collect())
}

fn line(text: &str) -> ConsoleLine {
    ConsoleLine { at_ms: 0, text: text.to_owned() }
}

fn witness(sound: bool) -> Option<Witness> {
    let outcome = if sound { Ok("did the same".to_owned()) } else { Err("no".to_owned()) };
    Some(Witness::of_probe(ProbeReport { tried: "do the same".to_owned(), outcome }))
}

#[test]
fn a_good_unit_passes_with_every_measurement_set() {
    let (verdict, why, checks) = Case::good().judge();
    assert_eq!((verdict, why), (Verdict::Pass, None), "{checks:#?}");
    assert_eq!(checks.len(), 5);
    for check in &checks {
        assert_eq!(check.outcome, Outcome::Pass);
        assert!(check.measurements.iter().all(|measurement| !measurement.value.is_null()));
    }
}

#[test]
fn nothing_seen_is_no_pass() {
    let mut case = Case::good();
    case.seen = Observations::default();
    let (verdict, _, checks) = case.judge();
    assert_eq!(verdict, Verdict::Error);
    assert!(checks.iter().all(|check| check.outcome == Outcome::NotRun));
}

#[test]
fn a_check_that_did_not_run_leaves_no_pass() {
    let mut case = Case::good();
    case.seen.broker = None;
    assert_eq!(case.judge().0, Verdict::Error);
}

#[test]
fn a_wrong_chip_fails_although_nothing_was_written() {
    let mut case = Case::good();
    let chip = case.seen.chip.take().map(|chip| ChipFacts { chip: Chip::Esp32C3, ..chip });
    case.seen = Observations { chip, ..Observations::default() };
    case.expect(Verdict::Fail, Code::ChipMismatch);
}

#[test]
fn a_region_that_changed_while_the_firmware_ran_fails() {
    let mut case = Case::good();
    case.seen.after_boot.as_mut().expect("evidence").digests[2].md5[0] ^= 1;
    case.expect(Verdict::Fail, Code::RegionDiffers);
}

#[test]
fn a_region_that_was_not_digested_fails() {
    let mut case = Case::good();
    case.seen.before_boot.as_mut().expect("evidence").digests.pop();
    case.expect(Verdict::Fail, Code::RegionDiffers);
}

#[test]
fn a_flipped_bit_in_nvs_is_damage() {
    let mut case = Case::good();
    case.nvs()[64 + 2 * 32] ^= 1;
    case.expect(Verdict::Fail, Code::NvsDamaged);
}

#[test]
fn a_byte_behind_the_last_entry_is_found_although_every_key_reads_well() {
    let mut case = Case::good();
    let last = case.nvs().len() - 1;
    case.nvs()[last] = 0xFE;
    let (verdict, ..) = case.judge();
    assert_eq!(verdict, Verdict::Fail);
}

#[test]
fn a_key_of_nobodys_fails_after_the_boot() {
    let mut case = Case::good();
    let mut document = case.plan.document().expect("bound").clone();
    document.insert("stranger", "key", goldline_nvs::Value::U8(1)).expect("it fits");
    let image = goldline_nvs::generate(&document, 0x6000, goldline_nvs::Version::V2);
    case.seen.after_boot.as_mut().expect("evidence").nvs = image.expect("it fits");
    case.expect(Verdict::Fail, Code::NvsUnexpected);
}

#[test]
fn a_foreign_namespace_that_the_profile_names_may_appear() {
    let mut case = Case::good();
    let mut document = case.plan.document().expect("bound").clone();
    document.insert("phy", "cal_version", goldline_nvs::Value::U32(1)).expect("it fits");
    let image = goldline_nvs::generate(&document, 0x6000, goldline_nvs::Version::V2);
    case.seen.after_boot.as_mut().expect("evidence").nvs = image.expect("it fits");
    assert_eq!(case.judge().0, Verdict::Pass);
}

#[test]
fn a_plan_other_than_the_golden_is_no_fault_of_the_unit_and_names_the_key() {
    let mut case = Case::good();
    let mut document = goldline_nvs::Document::new();
    document.insert("vault", "wifi_ssid", goldline_nvs::Value::str("Other")).expect("it fits");
    let golden = goldline_nvs::generate(&document, 0x6000, goldline_nvs::Version::V2);
    let mut plan = case.plan.plan().clone();
    plan.golden = Some(golden.expect("it fits").into());
    let images = FlashImages {
        bootloader: vec![1; 100],
        partition_table: vec![2; 100],
        app: vec![3; 100],
        factory_app: None,
        others: Vec::new(),
        updates: Vec::new(),
    };
    case.plan = BoundPlan::bind(plan, case.plan.bindings().clone(), &images).expect("it fits");
    case.expect(Verdict::Error, Code::NvsGoldenDiffers);
    let message = case.judge().2[1].diagnosis.clone().expect("a diagnosis").message;
    assert!(message.contains("vault/device_id is new"), "{message}");
    assert!(!message.contains("ProductionWiFi"), "{message}");
}

#[rstest]
#[case::no_network(Some(201), Code::WifiNotFound)]
#[case::handshake(Some(15), Code::WifiWrongPassword)]
#[case::auth_expire(Some(2), Code::WifiWrongPassword)]
#[case::auth_fail(Some(202), Code::WifiWrongPassword)]
#[case::other(Some(205), Code::WifiNotJoined)]
#[case::never_tried(None, Code::WifiNotJoined)]
fn a_unit_that_does_not_join_fails_only_with_a_witness(
    #[case] reason: Option<u16>,
    #[case] code: Code,
) {
    let mut case = Case::good();
    case.not_joined(reason, witness(true));
    case.expect(Verdict::Fail, code);
    case.not_joined(reason, witness(false));
    case.expect(Verdict::Error, Code::TestbedAccessPoint);
    case.not_joined(reason, None);
    case.expect(Verdict::Error, Code::TestbedAccessPoint);
}

#[rstest]
#[case::untrusted(Some(Refusal::ServerUntrusted("UnknownCA".to_owned())), Code::MqttServerUntrusted)]
#[case::handshake(Some(Refusal::Handshake("closed".to_owned())), Code::MqttNotConnected)]
#[case::credentials(Some(Refusal::BadCredentials), Code::MqttBadCredentials)]
#[case::not_authorized(Some(Refusal::NotAuthorized("id".to_owned())), Code::MqttIdentityDiffers)]
#[case::protocol(Some(Refusal::Protocol("garbage".to_owned())), Code::MqttNotConnected)]
#[case::never_reached(None, Code::MqttNotConnected)]
fn a_unit_that_does_not_connect_fails_only_with_a_witness(
    #[case] refusal: Option<Refusal>,
    #[case] code: Code,
) {
    let mut case = Case::good();
    case.not_connected(refusal.clone(), witness(true));
    case.expect(Verdict::Fail, code);
    case.not_connected(refusal.clone(), witness(false));
    case.expect(Verdict::Error, Code::TestbedBroker);
    case.not_connected(refusal, None);
    case.expect(Verdict::Error, Code::TestbedBroker);
}

/// A certificate that the witness takes now is out of its time for a unit with another clock.
#[rstest]
#[case::log(
    "UnknownCA",
    "I (9) esp-tls-mbedtls: verification info:   ! The certificate validity starts in the future",
    true
)]
#[case::alert("CertificateExpired", "I (9) mqtt: no details", true)]
#[case::trust(
    "UnknownCA",
    "I (9) esp-tls-mbedtls: verification info:   ! The certificate is not correctly signed by the trusted CA",
    false
)]
fn a_unit_with_another_time_is_told_from_one_with_another_ca(
    #[case] alert: &str,
    #[case] line: &str,
    #[case] clock: bool,
) {
    let mut case = Case::good();
    case.not_connected(Some(Refusal::ServerUntrusted(alert.to_owned())), witness(true));
    case.says_too(&[line]);
    case.expect(Verdict::Fail, Code::MqttServerUntrusted);
    let (_, _, checks) = case.judge();
    let told = checks.iter().find_map(|check| check.diagnosis.clone()).expect("a diagnosis");
    assert_eq!(told.message.contains("clock is not set"), clock, "{}", told.message);
    assert_eq!(told.action.contains("SNTP"), clock, "{}", told.action);
    case.not_connected(Some(Refusal::ServerUntrusted(alert.to_owned())), witness(false));
    case.expect(Verdict::Error, Code::TestbedBroker);
}

/// A firmware that says only that it stops said enough, unless it tried the network all the same.
#[test]
fn a_firmware_that_stops_is_not_said_to_lack_a_network() {
    let stopped = |reason: Option<u16>| {
        let mut case = Case::good();
        case.not_joined(reason, witness(true));
        case.seen.console = unit_log(&["cpu_start: x", "[APP] Device not provisioned!"]);
        case
    };
    stopped(None).expect(Verdict::Fail, Code::FirmwareConfiguration);
    stopped(Some(201)).expect(Verdict::Fail, Code::WifiNotFound);
}

/// What nobody prints is missed only where a limit asks for it.
#[test]
fn a_signal_that_nobody_limits_may_be_left_out() {
    let mut case = Case::good();
    case.edit_log(|lines| lines.retain(|line| !line.text.contains("rssi")));
    case.expect(Verdict::Fail, Code::WifiOutOfLimits);
    let mut profile = Profile::clone(&case.profile);
    for check in &mut profile.checks {
        check.limits.remove("rssi");
    }
    case.profile = Arc::new(profile);
    assert_eq!(case.judge().0, Verdict::Pass);
}

#[rstest]
#[case::panic(&["Guru Meditation Error: Core  0 panic'ed", "rst:0xc (SW_CPU_RESET),boot:0x13"])]
#[case::brownout(&["Brownout detector was triggered", "rst:0xf (BROWNOUT_RST),boot:0x13"])]
fn a_unit_that_resets_once_and_then_works_fails(#[case] lines: &[&str]) {
    let mut case = Case::good();
    case.says_too(lines);
    case.expect(Verdict::Fail, Code::BootUnexpectedReset);
}

#[test]
fn an_nvs_error_in_the_log_names_the_key() {
    let mut case = Case::good();
    case.not_joined(None, witness(true));
    case.seen.console = unit_log(&[
        "cpu_start: x",
        "E (4) vault: Failed to load wifi_ssid from NVS: ESP_ERR_NVS_NOT_FOUND",
    ]);
    case.expect(Verdict::Fail, Code::FirmwareConfiguration);
}

#[rstest]
#[case::weak_signal(|case: &mut Case| case.edit_log(|lines| lines[2].text = "rssi: -80".to_owned()), Code::WifiOutOfLimits)]
#[case::no_signal_in_the_log(|case: &mut Case| case.edit_log(|lines| { lines.remove(2); }), Code::WifiOutOfLimits)]
#[case::slow_join(|case: &mut Case| case.join().joined_after_ms = Some(15_001), Code::WifiOutOfLimits)]
#[case::other_address(|case: &mut Case| case.join().address = Some(Ipv4Addr::new(127, 77, 0, 9)), Code::WifiOutOfLimits)]
#[case::client_id(|case: &mut Case| case.broker().client_id = Some("VAULT-00002".to_owned()), Code::MqttIdentityDiffers)]
#[case::username(|case: &mut Case| case.broker().username = None, Code::MqttIdentityDiffers)]
#[case::server_name(|case: &mut Case| case.broker().server_name = None, Code::MqttIdentityDiffers)]
#[case::old_tls(|case: &mut Case| case.broker().tls_version = Some("TLSv1.1".to_owned()), Code::MqttIdentityDiffers)]
#[case::subscription(|case: &mut Case| { case.broker().subscriptions.clear(); case.broker().witness = witness(true); }, Code::MqttSubscriptionMissing)]
#[case::slow_answer(|case: &mut Case| case.broker().round_trip_ms = Some(5_001), Code::MqttOutOfLimits)]
fn one_wrong_value_fails_by_its_own_name(#[case] spoil: fn(&mut Case), #[case] code: Code) {
    let mut case = Case::good();
    spoil(&mut case);
    case.expect(Verdict::Fail, code);
}

/// What the unit was told, what its hello named, where its network saw it go, and whether that is right.
#[rstest]
#[case("prod.broker.com", Some("prod.broker.com"), "192.0.2.1:8883", true)]
#[case("Prod.Broker.COM", Some("prod.broker.com"), "192.0.2.1:8883", true)]
#[case("prod.broker.com.", Some("prod.broker.com"), "192.0.2.1:8883", true)]
#[case("prod.broker.com", Some("PROD.broker.com."), "192.0.2.1:8883", true)]
#[case("prod.broker.com", None, "192.0.2.1:8883", false)]
#[case("prod.broker.com", Some("broker.com"), "192.0.2.1:8883", false)]
#[case("prod.broker.com", Some("prod.broker.com.evil"), "192.0.2.1:8883", false)]
#[case("prod.broker.com", Some("192.0.2.1"), "192.0.2.1:8883", false)]
#[case("10.0.0.5", None, "10.0.0.5:8883", true)]
#[case("10.0.0.5", Some("10.0.0.5"), "10.0.0.5:8883", true)]
#[case("10.0.0.5", Some("prod.broker.com"), "10.0.0.5:8883", false)]
#[case("10.0.0.5", Some("10.0.0.50"), "10.0.0.5:8883", false)]
#[case("10.0.0.5", None, "10.0.0.6:8883", false)]
#[case("10.0.0.5", None, "10.0.0.5:1883", false)]
#[case("[fd00::1]", None, "[fd00::1]:8883", true)]
#[case("[FD00:0::1]", Some("fd00::1"), "[fd00::1]:8883", true)]
#[case("[fd00::1]", None, "[fd00::2]:8883", false)]
#[case("[::ffff:10.0.0.5]", None, "10.0.0.5:8883", true)]
fn where_a_unit_goes_is_compared_as_hosts_are(
    #[case] told: &str,
    #[case] named: Option<&str>,
    #[case] went_to: &str,
    #[case] right: bool,
    #[values(Observer::Broker, Observer::Client)] observer: Observer,
) {
    let mut case = Case::told(Some(&format!("mqtts://{told}:8883")));
    let broker = case.broker();
    broker.observer = observer;
    broker.server_name = named.map(str::to_owned);
    // The time server is one of the others that a unit goes to.
    let to = |text: &str| text.parse().expect("an address");
    broker.connected_to = vec![to("192.0.2.9:443"), to(went_to)];
    match right {
        true => assert_eq!(case.judge().0, Verdict::Pass, "{:#?}", case.judge().2),
        false => case.expect(Verdict::Fail, Code::MqttIdentityDiffers),
    }
}

/// The broker's certificate is the bench's affair; without a limit, one that ends soon is only named.
#[test]
fn the_days_of_the_brokers_certificate_are_measured_and_blame_no_unit() {
    let with = |days: i64, lower: Option<f64>| {
        let mut case = Case::good();
        let subject = "\"Line CA\"".to_owned();
        case.broker().broker_certificate = Some(Remaining { days, subject });
        if let Some(lower) = lower {
            let limits = Limits { lower: Some(lower), upper: None };
            case.limit(CheckId::MqttConnect, "broker_certificate_days", limits);
        }
        let (verdict, why, checks) = case.judge();
        let check = checks.into_iter().find(|check| check.id == "mqtt_connect").expect("it ran");
        (verdict, why, check)
    };
    let says = |check: &CheckRecord| check.evidence.iter().any(|line| line.contains("Line CA"));
    let measured = |check: &CheckRecord| {
        let days = |measurement: &&Measurement| measurement.name == "broker_certificate_days";
        check.measurements.iter().find(days).map(|measurement| measurement.value.clone())
    };
    for (days, named) in [(31, false), (30, true), (-3, true)] {
        let (verdict, _, check) = with(days, None);
        assert_eq!((verdict, says(&check)), (Verdict::Pass, named), "{days}: {check:#?}");
        assert_eq!(measured(&check), Some(days.into()));
    }
    assert_eq!(with(90, Some(90.0)).0, Verdict::Pass);
    let (verdict, why, _) = with(89, Some(90.0));
    assert_eq!((verdict, why), (Verdict::Error, Some(Code::TestbedBroker)));
}

/// The unit's own certificate is the unit's affair.
#[test]
fn the_days_of_the_units_certificate_are_held_against_the_unit() {
    let with = |days: Option<i64>| {
        let mut case = Case::certified();
        case.broker().client_certificate = Some("a certificate of the bench's CA".to_owned());
        case.broker().client_certificate_days = days;
        let limits = Limits { lower: Some(30.0), upper: None };
        case.limit(CheckId::MqttConnect, "client_certificate_days", limits);
        let (verdict, why, _) = case.judge();
        (verdict, why)
    };
    let short = (Verdict::Fail, Some(Code::MqttOutOfLimits));
    assert_eq!(with(Some(30)), (Verdict::Pass, None));
    assert_eq!(with(Some(29)), short);
    assert_eq!(with(Some(-1)), short);
    let unseen = (Verdict::Error, Some(Code::TestbedBroker));
    assert_eq!(with(None), unseen, "a broker of others tells nobody what the unit showed");
}

#[test]
fn a_command_without_an_answer_fails_only_with_a_witness() {
    let mut case = Case::good();
    case.broker().round_trip_ms = None;
    case.expect(Verdict::Error, Code::TestbedBroker);
    case.broker().witness = witness(false);
    case.expect(Verdict::Error, Code::TestbedBroker);
    case.broker().witness = witness(true);
    case.expect(Verdict::Fail, Code::MqttCommandUnanswered);
}

#[test]
fn a_fault_of_the_unit_outranks_one_of_the_testbed() {
    let mut case = Case::good();
    case.not_connected(Some(Refusal::BadCredentials), witness(false));
    case.edit_log(|lines| lines[2].text = "rssi: -80".to_owned());
    case.expect(Verdict::Fail, Code::WifiOutOfLimits);
}

#[test]
fn a_stop_of_the_stations_is_an_error_and_an_abort_says_so() {
    let mut case = Case::good();
    case.seen.after_boot = None;
    case.seen.broker = None;
    case.seen.stopped = Some(Stop {
        stage: "mqtt_connect",
        blame: Outcome::Error,
        diagnosis: Diagnosis::new(Code::PortVanished, "the port went away"),
    });
    case.expect(Verdict::Error, Code::PortVanished);
    case.seen.stopped = None;
    case.seen.aborted = true;
    case.expect(Verdict::Aborted, Code::Aborted);
}

/// Without a radio the same is asked of the address alone.
#[rstest]
#[case::sound(true, Verdict::Fail, Code::NetworkNotJoined)]
#[case::not_sound(false, Verdict::Error, Code::TestbedNetwork)]
fn on_a_cable_a_unit_without_an_address_fails_only_with_a_witness(
    #[case] sound: bool,
    #[case] verdict: Verdict,
    #[case] code: Code,
) {
    let on_cable = || {
        let mut case = Case::good();
        let profile = Profile::clone(&case.profile);
        let cable = NetworkKind::Cable;
        let profile = on_network(profile, Scope::Run, cable, cable.proves());
        case.profile = Arc::new(profile.expect("network_join stands in"));
        case
    };
    let (verdict_of_good, _, checks) = on_cable().judge();
    assert_eq!(verdict_of_good, Verdict::Pass, "{checks:#?}");
    let join = checks.iter().find(|check| check.id == "network_join").expect("its check");
    let measured: Vec<&str> = join.measurements.iter().map(|found| found.name.as_str()).collect();
    assert_eq!(measured, ["ip_address", "join_ms", "unexpected_resets"], "no signal is claimed");

    let mut never = on_cable();
    never.not_joined(None, witness(sound));
    never.expect(verdict, code);
    let mut unused = on_cable();
    unused.edit_log(|lines| lines.retain(|line| !line.text.contains("sta ip")));
    unused.join().address_shown = false;
    unused.join().witness = witness(sound);
    (unused.seen.broker, unused.seen.after_boot) = (None, None);
    unused.expect(verdict, code);
}

/// A contact that is open is silent as well as a unit; what lies in the flash is the unit's all the same.
#[rstest]
#[case::known(Ok("the nest 3 passed another unit"), Verdict::Fail, None)]
#[case::unknown(Err("no other unit passed"), Verdict::Error, Some(Code::NestUnsure))]
fn a_silent_unit_is_blamed_where_its_nest_is_known_to_be_good(
    #[case] known: Result<&str, &str>,
    #[case] verdict: Verdict,
    #[case] code: Option<Code>,
) {
    let silent = || {
        let mut case = Case::good();
        case.not_joined(None, witness(true));
        case.edit_log(Vec::clear);
        let known = known.map(str::to_owned).map_err(str::to_owned);
        case.seen.nest = Some(NestDoubt { lost: Lost::Words, known });
        case
    };
    let (found, why, checks) = silent().judge();
    assert_eq!(found, verdict, "{checks:#?}");
    assert_eq!(code.unwrap_or(Code::BootSilent), why.expect("a reason"), "{checks:#?}");
    let mut damaged = silent();
    damaged.nvs()[40] ^= 1;
    let (found, why, checks) = damaged.judge();
    assert_eq!((found, why), (Verdict::Fail, Some(Code::NvsDamaged)), "{checks:#?}");
}

/// With `radio.no_ip` the broker was waited for, and failed too, 51 s after the reset.
#[rstest]
#[case::sound(true, Verdict::Fail, Code::WifiNotJoined)]
#[case::not_sound(false, Verdict::Error, Code::TestbedAccessPoint)]
fn an_association_without_an_address_is_no_fault_of_the_broker(
    #[case] sound: bool,
    #[case] verdict: Verdict,
    #[case] code: Code,
) {
    let mut case = Case::good();
    case.edit_log(|lines| lines.retain(|line| !line.text.contains("sta ip")));
    case.join().address_shown = false;
    case.join().witness = witness(sound);
    (case.seen.broker, case.seen.after_boot) = (None, None);
    case.expect(verdict, code);
    let (_, _, checks) = case.judge();
    let broker = checks.iter().find(|check| check.id == "mqtt_connect").expect("its check");
    assert_eq!(broker.outcome, Outcome::NotRun);
}

#[test]
fn a_unit_that_uses_its_address_need_not_print_it() {
    let mut case = Case::good();
    case.edit_log(|lines| lines.retain(|line| !line.text.contains("sta ip")));
    let (verdict, _, checks) = case.judge();
    assert_eq!(verdict, Verdict::Pass, "{checks:#?}");
}

#[test]
fn a_secret_in_the_log_is_replaced_by_its_name() {
    let case = Case::good();
    let (text, leaked) = case.plan.bindings().redact("wifi password is SecurePassword123!");
    assert_eq!(text, "wifi password is ‹wifi_password›!");
    assert_eq!(leaked, ["wifi_password"]);
    let (text, leaked) = case.plan.bindings().redact("I am VAULT-00001");
    assert_eq!((text.as_str(), leaked.len()), ("I am VAULT-00001", 0));
}

#[test]
fn a_secret_that_begins_with_another_one_leaves_no_tail() {
    let case = Case::good();
    let profile = &case.profile;
    let folder = tempfile::tempdir().expect("a folder");
    let mut given = Given::default();
    for (name, value) in
        [("mqtt_password", "hunter2hunter2"), ("wifi_password", "hunter2hunter2-more")]
    {
        let file = folder.path().join(name);
        std::fs::write(&file, value).expect("written");
        given.parse_set(profile, &format!("{name}=@{}", file.display())).expect("a value");
    }
    let bindings = Bindings::resolve(profile, &given, Identity::Declared, &mut NoSources);
    let (text, leaked) = bindings.expect("they fit").redact("psk=hunter2hunter2-more");
    assert_eq!(text, "psk=‹wifi_password›");
    assert_eq!(leaked, ["wifi_password", "mqtt_password"]);
}

#[test]
fn a_crash_fails_the_unit_even_where_the_bench_is_at_fault_too() {
    let mut case = Case::good();
    case.not_joined(Some(201), witness(false));
    case.says_too(&["Guru Meditation Error: Core  0 panic'ed"]);
    case.expect(Verdict::Fail, Code::BootUnexpectedReset);
}

#[test]
fn a_line_about_nvs_blames_no_unit_that_found_no_broker() {
    let mut case = Case::good();
    case.not_connected(None, witness(false));
    case.says_too(&["W (9) app: optional key: ESP_ERR_NVS_NOT_FOUND"]);
    case.expect(Verdict::Error, Code::TestbedBroker);
}

#[test]
fn a_blank_mac_address_fails() {
    let mut case = Case::good();
    let chip = case.seen.chip.take().map(|chip| ChipFacts { mac: Mac([0; 6]), ..chip });
    case.seen = Observations { chip, ..Observations::default() };
    case.expect(Verdict::Fail, Code::ChipMacInvalid);
}

/// What a check says of a unit of another product.
fn outcome(profile: &str, check: &str, seen: &Observations) -> Outcome {
    let profile = Arc::new(find(profile, None).expect("a shipped profile"));
    let (given, identity) = (Given::default(), Identity::Declared);
    let mut bindings =
        Bindings::resolve(&profile, &given, identity, &mut NoSources).expect("samples");
    let mac = Mac([0x24, 0x0A, 0xC4, 0, 1, 0x10]);
    bindings.bind_mac(mac).expect("not bound yet");
    let bytes = || vec![0; 16];
    let images = FlashImages {
        bootloader: bytes(),
        partition_table: bytes(),
        app: bytes(),
        factory_app: None,
        others: Vec::new(),
        updates: Vec::new(),
    };
    let plan = Plan::new(Arc::clone(&profile), Scope::Run);
    let plan = BoundPlan::bind(plan, bindings, &images).expect("it fits");
    let judgement = judge(&profile, Scope::Run, Some(&plan), seen);
    judgement.checks.iter().find(|found| found.id == check).expect("its check").outcome
}

/// Every check that depends on a service of the bench, after the unit failed there.
#[rstest]
#[case::time("ble-gateway", "time_sync", |seen: &mut Observations, witness| {
    seen.time = Some(ServiceObservation { witness, ..Default::default() });
})]
#[case::configuration("ble-gateway", "remote_config", |seen: &mut Observations, witness| {
    seen.configuration = Some(ServiceObservation { witness, ..Default::default() });
})]
#[case::ca("zeroconf", "ca_registration", |seen: &mut Observations, witness| {
    seen.ca = Some(CaObservation { caller: "the unit", witness, ..Default::default() });
})]
#[case::alert("safesignal", "test_alert", |seen: &mut Observations, witness| {
    seen.alert = Some(AlertObservation { witness, ..Default::default() });
})]
#[case::stranger_not_tried("ble-gateway", "server_trust", |seen: &mut Observations, witness| {
    seen.trust = Some(TrustObservation { witness, ..Default::default() });
})]
#[case::not_back_from_the_stranger("ble-gateway", "server_trust", |seen: &mut Observations, witness| {
    let refused_with = Some("UnknownCA".to_owned());
    seen.trust = Some(TrustObservation { tried: true, refused_with, witness, ..Default::default() });
})]
#[case::update("ble-gateway", "ota_update", |seen: &mut Observations, witness| {
    let update = UpdateObservation { witness, ..Default::default() };
    seen.ota = Some(OtaObservation { updates: vec![update] });
})]
#[case::status("safesignal", "console_status", |seen: &mut Observations, witness| {
    let depends_on = Some(Code::TestbedAccessPoint);
    let line = ExchangeObservation {
        measured: None,
        sent: "status".to_owned(),
        answer: Vec::new(),
        earlier: None,
        restarted: false,
        answered: Answered::Refused("ERROR".to_owned()),
        expected: Vec::new(),
        within_s: 5,
        complaint: String::new(),
        misses: None,
        took_ms: 1,
        depends_on,
        witness,
    };
    seen.dialogues = vec![DialogueObservation { name: "status".to_owned(), exchanges: vec![line] }];
})]
fn a_unit_that_fails_at_a_service_fails_only_with_a_witness(
    #[case] profile: &str,
    #[case] check: &str,
    #[case] spoil: fn(&mut Observations, Option<Witness>),
) {
    let with = |witness: Option<Witness>| {
        let mut seen = Observations::default();
        spoil(&mut seen, witness);
        outcome(profile, check, &seen)
    };
    assert_eq!(with(witness(true)), Outcome::Fail);
    assert_eq!(with(witness(false)), Outcome::Error);
    assert_eq!(with(None), Outcome::Error);
}
