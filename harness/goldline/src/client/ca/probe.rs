//! Whether a CA can be called, without registering anything.

use serde::Serialize;
use serde_json::Value;

use super::{Place, REGISTER, place};
use crate::{
    client::{
        http::{HttpClient, HttpError, Request, Response, Scheme},
        sentence::first_line,
    },
    clock::Deadline,
    secret::Secret,
    tls::Distrust,
};

/// What a test of a CA found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct CaTest {
    /// Where it was called.
    pub url: String,
    /// Whether units can be registered there, as far as can be seen.
    pub reachable: bool,
    /// Whether the way there is TLS.
    pub tls: bool,
    /// Status of `GET /health`; a CA need not have it.
    pub health: Option<u16>,
    /// Status of a registration that names nobody.
    pub register: Option<u16>,
    /// The result for people.
    pub sentence: String,
    /// What to do, when there is something.
    pub hint: Option<String>,
    /// What is odd and still good.
    pub notes: Vec<String>,
}

/// Calls a CA's health and its registration, the latter with a body that names nobody.
///
/// # Errors
/// [`HttpError::BadUrl`] only; whatever the CA does is in the result.
pub async fn test_ca(
    client: &HttpClient,
    url: &str,
    deadline: Deadline,
) -> Result<CaTest, HttpError> {
    let Place { base, notes } = place(url)?;
    let tls = base.scheme() == Scheme::Https;
    let mut test = CaTest {
        url: base.below("").to_string(),
        reachable: false,
        tls,
        health: None,
        register: None,
        sentence: String::new(),
        hint: None,
        notes,
    };
    let health = client.call(&Request::get(base.below("/health")), deadline).await;
    match health {
        Ok(answer) => test.health = Some(answer.status),
        Err(error) => return Ok(test.unreachable(&error)),
    }
    let body = Secret::new("{}");
    let request = Request::post(base.below(REGISTER)).body("application/json", body);
    match client.call(&request, deadline).await {
        Ok(answer) => Ok(test.judged(&answer)),
        Err(error) => Ok(test.unreachable(&error)),
    }
}

impl CaTest {
    fn unreachable(mut self, error: &HttpError) -> Self {
        self.sentence = format!("CA server unreachable: {error}");
        self.hint = Some(hint(error).to_owned());
        self
    }

    fn judged(mut self, answer: &Response) -> Self {
        self.register = Some(answer.status);
        match self.health {
            Some(200..300) => {}
            Some(status) => self.notes.push(format!("GET /health gives status {status}")),
            None => {}
        }
        let fault = match answer.status {
            200..300 if says_success(answer, false) => None,
            200..300 => Some((
                "it took a registration that names nobody".to_owned(),
                "check that the address is the CA's own and read the CA's log",
            )),
            404 | 405 => Some((
                format!("it has no registration: status {}", answer.status),
                "check the path of the CA's address: units register at /api/devices/register below it",
            )),
            400..500 => None,
            status => Some((
                format!("its registration gives status {status}: \"{}\"", said(answer)),
                "check the CA server's status and its log; a 3xx names another address",
            )),
        };
        match fault {
            None => {
                self.reachable = true;
                self.sentence = "CA server reachable".to_owned();
                if answer.status >= 400 && !says_success(answer, false) {
                    self.notes.push(format!(
                        "a registration that names nobody gives status {} without success: false",
                        answer.status
                    ));
                }
            }
            Some((fault, hint)) => {
                self.sentence = format!("CA server answers, but {fault}");
                self.hint = Some(hint.to_owned());
            }
        }
        self
    }
}

fn says_success(answer: &Response, expected: bool) -> bool {
    serde_json::from_slice::<Value>(answer.body.expose())
        .is_ok_and(|body| body["success"] == expected)
}

fn said(answer: &Response) -> String {
    first_line(&answer.body.expose_text(), &[])
}

/// In the words of the product's troubleshooting.
fn hint(error: &HttpError) -> &'static str {
    match error {
        HttpError::NoTls { .. } => "the server does not support https: use http, or another port",
        HttpError::WantsTls { .. } => "the server supports https only: use https",
        HttpError::Closed { .. } | HttpError::NotHttp { .. } | HttpError::TooLarge { .. } => {
            "verify the CA's address and port; if the port wants https, use https"
        }
        HttpError::NotTrusted { reason, .. } => match &**reason {
            Distrust::UnknownIssuer { .. } | Distrust::SelfSigned { .. } => {
                "give the root of the CA's server certificate with --trust"
            }
            other => other.action(),
        },
        HttpError::Roots { reason } => reason.action(),
        HttpError::TlsFailed { .. } => "check the TLS settings of the CA server",
        HttpError::BadUrl { .. } | HttpError::Token => "verify the CA's address",
        HttpError::Unreachable { .. } | HttpError::TimedOut { .. } => {
            "verify the CA's address, allow outbound http and https in the firewall, try from a different network, and check that the CA server runs"
        }
    }
}
