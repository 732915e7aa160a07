//! Who says that a service was sound when a unit failed at it.
//!
//! A witness is sound for one of three reasons, and there is no fourth way to make one: the bench repeated
//! the unit's own request to its end, another unit had success at the same service with the same kind
//! of credential a short while ago, or, where the bench itself cannot go the unit's way into its network,
//! another came that way. Must not know how a request is repeated, nor what was made wrong with
//! a service on purpose.

use std::time::Duration;

/// Whether a service was sound, told by someone other than the unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Witness {
    sound: bool,
    detail: String,
}

/// How the bench fared when it did what the unit should have done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProbeReport {
    /// What was tried, such as "join Lab with the planned password".
    pub tried: String,
    /// What was done in the end, such as "joined Lab with the planned password", or why it was not.
    pub outcome: Result<String, String>,
}

/// A service that units depend on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "each name is the service's own")]
pub enum Service {
    AccessPoint,
    Broker,
    Ca,
    ConfigServer,
    Portal,
    TimeServer,
    UpdateServer,
}

/// What a unit shows to be let in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Credential {
    /// Nothing.
    None,
    /// A passphrase that all units of a network share.
    Passphrase,
    /// User name and password.
    Password,
    /// User name, password and a certificate of its own.
    Certificate,
    /// A key that the unit and the service share.
    SharedKey,
}

/// A unit's success at a service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnitSuccess {
    /// Which unit, in a word for people: its MAC.
    pub unit: String,
    /// Where.
    pub service: Service,
    /// With what.
    pub credential: Credential,
    /// How long ago.
    pub ago: Duration,
}

impl Witness {
    /// The bench's own attempt, made after the unit's failure.
    pub fn of_probe(report: ProbeReport) -> Self {
        let ProbeReport { tried, outcome } = report;
        match outcome {
            Ok(done) => Self { sound: true, detail: format!("the bench {done} afterwards") },
            Err(reason) => {
                Self { sound: false, detail: format!("the bench cannot {tried} either: {reason}") }
            }
        }
    }

    /// Another unit's success; none when it says nothing of this service, of this kind of credential, or of
    /// the time in question.
    pub fn of_other_unit(
        success: &UnitSuccess,
        service: Service,
        credential: Credential,
        within: Duration,
    ) -> Option<Self> {
        let same = success.service == service && success.credential == credential;
        (same && success.ago <= within).then(|| Self {
            sound: true,
            detail: format!(
                "another unit, {}, had success there {} s before",
                success.unit,
                success.ago.as_secs()
            ),
        })
    }

    /// Who came the unit's way into its network; or that nobody is known to have, and what to do.
    pub fn of_medium(came: Result<String, String>) -> Self {
        let sound = came.is_ok();
        Self { sound, detail: came.unwrap_or_else(|nobody| nobody) }
    }

    /// Whether the service did what the unit says it does not.
    pub fn is_sound(&self) -> bool {
        self.sound
    }

    /// Who tried what, and what came of it.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn success() -> UnitSuccess {
        UnitSuccess {
            unit: "24:0A:C4:00:01:10".to_owned(),
            service: Service::Broker,
            credential: Credential::Password,
            ago: Duration::from_secs(20),
        }
    }

    #[test]
    fn another_units_success_counts_for_the_same_service_and_credential_for_a_while() {
        let of = |success: &UnitSuccess, service, credential, seconds| {
            Witness::of_other_unit(success, service, credential, Duration::from_secs(seconds))
        };
        let near = success();
        let witness = of(&near, Service::Broker, Credential::Password, 20).expect("it is the same");
        assert!(witness.is_sound());
        assert!(witness.detail().contains("24:0A:C4:00:01:10"), "{}", witness.detail());
        assert_eq!(of(&near, Service::Ca, Credential::Password, 20), None);
        assert_eq!(of(&near, Service::Broker, Credential::Certificate, 20), None);
        assert_eq!(of(&near, Service::Broker, Credential::Password, 19), None);
    }

    #[test]
    fn a_probe_that_did_not_come_to_its_end_is_no_sound_witness() {
        let report = |outcome| ProbeReport { tried: "join Lab".to_owned(), outcome };
        let sound = Witness::of_probe(report(Ok("joined Lab".to_owned())));
        assert!(sound.is_sound());
        assert_eq!(sound.detail(), "the bench joined Lab afterwards");
        let broken = Witness::of_probe(report(Err("it got no address".to_owned())));
        assert!(!broken.is_sound());
        assert_eq!(broken.detail(), "the bench cannot join Lab either: it got no address");
    }
}
