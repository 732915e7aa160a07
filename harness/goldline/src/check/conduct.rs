//! What a unit does at its broker beyond the plan: it must hear and be nobody more than planned.
//!
//! Its own acts need no witness. Topics and kept messages beyond the plan are named and judged by nobody:
//! the plan names what must be said, not all that may be.

use super::{BrokerObservation, Conduct, Finding};
use crate::{
    plan::{BoundBroker, BoundPlan},
    record::Code,
};

pub(super) fn judge(
    plan: &BoundPlan,
    planned: &BoundBroker,
    broker: &BrokerObservation,
    finding: &mut Finding,
) {
    let Some(conduct) = &broker.conduct else { return };
    for filter in beyond(&conduct.asked, [&planned.subscriptions, &planned.allowed_subscriptions]) {
        finding.fail(
            Code::MqttSubscriptionUnexpected,
            format!("the unit also asked for {filter}, which the plan does not name"),
        );
    }
    let own = (planned.client_id.clone(), planned.username.clone());
    for (client_id, username) in conduct.names.iter().filter(|name| **name != own) {
        finding.fail(
            Code::MqttIdentityDiffers,
            format!("the unit also connected as {client_id} with the user name {username}"),
        );
    }
    say(plan, conduct, finding);
}

fn say(plan: &BoundPlan, conduct: &Conduct, finding: &mut Finding) {
    let known = [&published_topics(plan)];
    for topic in beyond(&conduct.published, known) {
        finding.evidence.push(format!("it published on {topic}, which the plan does not name"));
    }
    for topic in &conduct.retained {
        finding.evidence.push(format!("it left a retained message on {topic}"));
    }
    if conduct.taken_over > 0 {
        let times = conduct.taken_over;
        finding.evidence.push(format!(
            "{times} of its connections were ended by another of its own under the same client id"
        ));
    }
    if conduct.dropped > 0 {
        let dropped = conduct.dropped;
        finding.evidence.push(format!("{dropped} of its messages and filters were not kept"));
    }
}

fn beyond<'a, const N: usize>(
    found: &'a [String],
    known: [&'a Vec<String>; N],
) -> impl Iterator<Item = &'a String> {
    found.iter().filter(move |found| !known.iter().any(|known| known.contains(found)))
}

/// What the plan expects to hear of the unit.
fn published_topics(plan: &BoundPlan) -> Vec<String> {
    let profile = plan.profile();
    let answers = profile.command().map(|command| &command.reply_topic);
    let alerts = profile.alert.as_ref().map(|alert| &alert.topic);
    let reports = profile.ota.as_ref().map(|ota| &ota.report_topic);
    let topics = [answers, alerts, reports].into_iter().flatten();
    topics.filter_map(|topic| Some(plan.render(topic).ok()?.expose().to_owned())).collect()
}
