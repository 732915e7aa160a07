//! Whoever presses a unit's buttons: asked with the name of its place, and seen by all who follow the run.

use std::sync::Arc;

use super::{Event, Events, Run};
use crate::device::{AskHand, HandRequest};

/// A request of a run.
struct Request {
    place: String,
    events: Events,
    /// Somebody at a terminal; nobody where it is told to all alike.
    asked: Option<Box<dyn HandRequest>>,
}

impl Request {
    fn tell(&self, words: &str) -> String {
        let request = format!("{}: {words}", self.place);
        if self.asked.is_none() {
            tracing::warn!("{request}");
        }
        self.events.send(Event::HandNeeded { request: request.clone() });
        request
    }
}

impl HandRequest for Request {
    fn say(&mut self, words: &str) {
        let request = self.tell(words);
        if let Some(asked) = &mut self.asked {
            asked.say(&request);
        }
    }

    fn is_said_to_be_done(&mut self) -> bool {
        self.asked.as_mut().is_some_and(|asked| asked.is_said_to_be_done())
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.events.send(Event::HandDone);
    }
}

impl Run {
    /// Who presses the buttons of this run's unit.
    pub(super) fn hand(&self) -> AskHand {
        let (place, events, hand) =
            (self.device_url.clone(), self.events.clone(), self.hand.clone());
        Arc::new(move |words, given_up| {
            let asked = match &hand {
                Some(hand) => Some(hand(&format!("{place}: {words}"), given_up)?),
                None => None,
            };
            let request = Request { place: place.clone(), events: events.clone(), asked };
            request.tell(words);
            Some(Box::new(request))
        })
    }
}
