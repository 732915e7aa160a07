//! The CA's answer as JSON; what it says is not believed here.

use serde::Deserialize;
use serde_json::error::Category;

use super::CaError;
use crate::{
    client::{http::Response, sentence::first_line},
    secret::Secret,
};

/// An answer of success.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) certificate: String,
    pub(super) ca_cert: String,
    pub(super) expiry: String,
}

#[derive(Deserialize)]
struct RawAnswer {
    success: Option<bool>,
    certificate: Option<String>,
    ca_cert: Option<String>,
    expiry: Option<String>,
    error: Option<String>,
    message: Option<String>,
}

/// Reads the answer; the unit's key is blacked out of the CA's sentences.
pub(super) fn parse(response: &Response, psk: &Secret) -> Result<Answer, CaError> {
    let parsed = serde_json::from_slice::<RawAnswer>(response.body.expose());
    if !response.is_success() {
        let said = parsed.ok().and_then(RawAnswer::sentence);
        let sentence = said.unwrap_or_else(|| response.body.expose_text().into_owned());
        let sentence = first_line(&sentence, &[psk]);
        return Err(CaError::Refused { status: response.status, sentence });
    }
    let answer = parsed.map_err(|error| malformed(&error))?;
    match answer.success {
        Some(true) => {}
        None => return Err(CaError::MissingField { field: "success" }),
        Some(false) => {
            let sentence = first_line(&answer.sentence().unwrap_or_default(), &[psk]);
            return Err(CaError::NotSuccessful { sentence });
        }
    }
    Ok(Answer {
        certificate: filled("certificate", answer.certificate)?,
        ca_cert: filled("ca_cert", answer.ca_cert)?,
        expiry: filled("expiry", answer.expiry)?,
    })
}

impl RawAnswer {
    fn sentence(self) -> Option<String> {
        self.error.or(self.message)
    }
}

/// The parser's own words quote the text, in which the key may stand.
fn malformed(error: &serde_json::Error) -> CaError {
    let what = match error.classify() {
        Category::Data => "has a value of another type",
        Category::Eof => "ends too early",
        Category::Syntax | Category::Io => "is no JSON",
    };
    CaError::Malformed { what, line: error.line(), column: error.column() }
}

fn filled(field: &'static str, value: Option<String>) -> Result<String, CaError> {
    value.filter(|text| !text.trim().is_empty()).ok_or(CaError::MissingField { field })
}
