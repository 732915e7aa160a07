//! The unit refuses a broker that shows a certificate of a CA which it does not know.

use super::{Finding, Observations};
use crate::{
    plan::BoundPlan,
    record::{Code, Measurement},
};

pub(super) fn judge(plan: &BoundPlan, seen: &Observations) -> Finding {
    let Some(trust) = &seen.trust else { return Finding::not_run() };
    let mut finding = Finding::ran();
    let endpoint = plan.broker_name();
    if trust.accepted {
        finding.fail(
            Code::TrustsAnyone,
            format!("the unit accepted a certificate for {endpoint} from a CA that nobody knows"),
        );
    } else if trust.nameless {
        finding.error(
            Code::TestbedNetwork,
            format!(
                "somebody who came for {endpoint} refused a certificate of a CA that nobody knows, and the unit's log says nothing of a failed handshake: on a site's network nobody could tell whose refusal that was"
            ),
        );
    } else if !trust.tried {
        finding.fail_with_witness(
            Code::TrustNotTried,
            Code::TestbedBroker,
            format!(
                "the unit did not try to connect to {endpoint} again in {} ms after it lost its broker",
                trust.waited_ms
            ),
            trust.witness.as_ref(),
        );
    } else if !trust.returned {
        finding.fail_with_witness(
            Code::TrustNotTried,
            Code::TestbedBroker,
            "the unit refused the wrong broker, and did not come back to the right one".to_owned(),
            trust.witness.as_ref(),
        );
    }
    let refused = trust.refused_with.as_deref().filter(|_| !trust.accepted);
    finding.measure(Code::TrustsAnyone, [Measurement::fact("refused_with", refused)]);
    finding
}
