//! The web page that an unconfigured unit serves in its own network, filled as a browser would.
//!
//! Every call gets a connection that the caller opened within that network. A form that was not saved
//! is a failure, whatever the page says. Must not know how the network was joined.

mod form;

use std::net::SocketAddrV4;

use tokio::io::{AsyncRead, AsyncWrite};

pub use form::{Field, Form};

use super::{
    Blame,
    http::{HttpError, HttpUrl, Request, call_over},
    sentence::first_line,
};
use crate::{clock::Deadline, record::Code, secret::Secret};

/// The unit's page did not take the values.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum PortalError {
    /// The call brought no answer.
    #[error("the unit's portal is unreachable: {0}")]
    Http(#[from] HttpError),
    /// A status other than 200.
    #[error("the unit's portal answered {path} with status {status}: \"{sentence}\"; expected 200")]
    Status { path: String, status: u16, sentence: String },
    /// A page without a form.
    #[error("the unit's page holds no form: expected one that is sent with POST")]
    NoForm,
    /// A form that is sent another way, or to someone else.
    #[error("the unit's form goes to \"{action}\" with {method}: expected POST to the unit itself")]
    Target { action: String, method: String },
    /// The form has other fields than the profile.
    #[error(
        "the unit's form has other fields than the profile: missing in the form: {}; unknown to the profile: {}",
        listed(.missing), listed(.unknown)
    )]
    Fields { missing: Vec<String>, unknown: Vec<String> },
}

impl PortalError {
    /// The diagnosis that it becomes.
    pub fn code(&self) -> Code {
        match self {
            Self::Http(_) => Code::PortalUnreachable,
            Self::Status { .. } | Self::NoForm | Self::Target { .. } | Self::Fields { .. } => {
                Code::PortalRefused
            }
        }
    }

    /// Whose fault it is: the unit serves the page, on a connection that stands already.
    pub fn blame(&self) -> Blame {
        Blame::Unit
    }
}

/// A unit's page.
#[derive(Clone, Debug)]
pub struct Portal {
    url: HttpUrl,
}

impl Portal {
    /// The page at this address within the unit's network.
    pub fn at(address: SocketAddrV4) -> Self {
        let text = match address.port() {
            80 => format!("http://{}/", address.ip()),
            port => format!("http://{}:{port}/", address.ip()),
        };
        Self { url: text.parse().expect("an address and a port make a URL") }
    }

    /// Fetches the page.
    ///
    /// # Errors
    /// [`PortalError`]; any status but 200 is one.
    pub async fn fetch_page(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        deadline: Deadline,
    ) -> Result<String, PortalError> {
        let response = call_over(stream, &Request::get(self.url.clone()), deadline).await?;
        let page = response.body.expose_text();
        if response.status != 200 {
            return Err(self.status("/", response.status, &page, &[]));
        }
        Ok(page.to_string())
    }

    /// The form in the unit's page.
    ///
    /// # Errors
    /// [`PortalError`]; a form that is not sent to the unit with POST is one.
    pub fn form_in(&self, page: &str) -> Result<Form, PortalError> {
        Form::find(page, self.url.host())
    }

    /// Sends the values, in their order, to a path.
    ///
    /// # Errors
    /// [`PortalError`]; any status but 200 is one.
    pub async fn save(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        path: &str,
        fields: &[(&str, Secret)],
        deadline: Deadline,
    ) -> Result<(), PortalError> {
        let url = self.url.with_path(path.to_owned());
        let request = Request::post(url).body("application/x-www-form-urlencoded", encoded(fields));
        let response = call_over(stream, &request, deadline).await?;
        if response.status == 200 {
            return Ok(());
        }
        let secrets: Vec<&Secret> = fields.iter().map(|(_, value)| value).collect();
        Err(self.status(path, response.status, &response.body.expose_text(), &secrets))
    }

    fn status(&self, path: &str, status: u16, body: &str, secrets: &[&Secret]) -> PortalError {
        let sentence = first_line(body, secrets);
        PortalError::Status { path: path.to_owned(), status, sentence }
    }
}

fn encoded(fields: &[(&str, Secret)]) -> Secret {
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (name, value) in fields {
        form.append_pair(name, value.expose());
    }
    Secret::new(form.finish())
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
