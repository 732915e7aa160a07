//! DNS of a unit's network: a question and its answer, from bytes to bytes.

use std::net::{IpAddr, Ipv4Addr};

use hickory_proto::{
    op::{Message, MessageType, OpCode, Query, ResponseCode},
    rr::{DNSClass, RData, Record, RecordType, rdata::A},
};

use super::network::{Network, Segment};

/// A unit may keep an answer for so long; the names of a run do not move within it.
const TTL_S: u32 = 60;

/// What a unit asks.
struct Question {
    message: Message,
    query: Query,
    /// The name, without the dot behind it.
    name: String,
    /// Whether it asks for an IPv4 address.
    for_address: bool,
}

/// What is known of a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Known {
    Address(Ipv4Addr),
    /// The name exists, and has nothing of what was asked for.
    ExistsOnly,
    /// The name does not exist.
    Nothing,
}

/// What the network of a run answers a station that asks; none for what is no question.
pub(super) fn answer_of(segment: &Segment, from: Ipv4Addr, payload: &[u8]) -> Option<Vec<u8>> {
    let question = read(payload)?;
    let known = match question.for_address || !segment.knows(&question.name) {
        true => match segment.resolve(from, &question.name) {
            Some(IpAddr::V4(address)) => Known::Address(address),
            Some(IpAddr::V6(_)) => Known::ExistsOnly,
            None => Known::Nothing,
        },
        false => Known::ExistsOnly,
    };
    answer(question, known)
}

/// Reads a question; none if it is no question with one name.
fn read(payload: &[u8]) -> Option<Question> {
    let message = Message::from_vec(payload).ok()?;
    let metadata = &message.metadata;
    if metadata.message_type != MessageType::Query || metadata.op_code != OpCode::Query {
        return None;
    }
    let [query] = &message.queries[..] else { return None };
    let query = query.clone();
    let name = query.name().to_ascii();
    let name = name.strip_suffix('.').unwrap_or(&name).to_owned();
    let for_address = query.query_class() == DNSClass::IN
        && matches!(query.query_type(), RecordType::A | RecordType::ANY);
    Some(Question { message, query, name, for_address })
}

/// The answer to it.
fn answer(question: Question, known: Known) -> Option<Vec<u8>> {
    let asked = &question.message.metadata;
    let mut answer = Message::response(asked.id, OpCode::Query);
    answer.metadata.recursion_desired = asked.recursion_desired;
    answer.metadata.recursion_available = true;
    answer.metadata.authoritative = true;
    if let Known::Address(address) = known {
        let data = RData::A(A(address));
        answer.add_answer(Record::from_rdata(question.query.name().clone(), TTL_S, data));
    }
    if known == Known::Nothing {
        answer.metadata.response_code = ResponseCode::NXDomain;
    }
    answer.add_query(question.query);
    answer.to_vec().ok()
}
