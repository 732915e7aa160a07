//! Certificates of the bench's own CA, for a service of one's own on the bench.

use std::path::{Path, PathBuf};

use time::Duration;

use super::state_directory::open_state;
use crate::{
    clock::Clock,
    output_file::{Existing, OutputError, OutputFile, OutputFolder, Readers},
    store::StoreError,
    testbed::authority::{Authority, AuthorityError, Issued},
};

/// As long as the certificates of the bench's own services.
const VALIDITY: Duration = Duration::days(90);

/// Whom a certificate is issued to.
#[derive(Clone, Debug)]
pub enum Subject {
    /// A server, by its names and IP addresses.
    Server(Vec<String>),
    /// A client of this name.
    Client(String),
}

/// What is to be issued, and where it is put.
#[derive(Clone, Debug)]
pub struct IssueRequest {
    /// Whom it is issued to.
    pub subject: Subject,
    /// Folder for `ca.pem`, `certificate.pem` and `key.pem`.
    pub out: PathBuf,
    /// What becomes of files that are there.
    pub existing: Existing,
    /// The state directory, unless it is the usual one.
    pub state: Option<PathBuf>,
}

/// No certificate was issued, or it was not written.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum IssueError {
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Authority(#[from] AuthorityError),
}

/// Issues a certificate with a key of its own and writes both; returns how long it is valid.
///
/// # Errors
/// [`IssueError`]; the files are looked at before the state directory is made.
pub fn issue_certificate(request: &IssueRequest, clock: &Clock) -> Result<Duration, IssueError> {
    let files = IssuedFiles::at(&request.out, request.existing)?;
    let authority = open_state(request.state.as_deref())?.authority(clock)?;
    let issued = match &request.subject {
        Subject::Client(name) => authority.issue_device(name, VALIDITY),
        Subject::Server(names) => authority.issue_server(names, VALIDITY),
    };
    files.write(&authority, &issued?)?;
    Ok(VALIDITY)
}

/// The places of the three files. A service may use an earlier one: it stays unless replacing is asked for.
struct IssuedFiles {
    folder: OutputFolder,
    ca: OutputFile,
    certificate: OutputFile,
    key: OutputFile,
}

impl IssuedFiles {
    fn at(folder: &Path, existing: Existing) -> Result<Self, OutputError> {
        let folder = OutputFolder::at(folder)?;
        let file = |name, readers| folder.file(name, existing, readers);
        Ok(Self {
            ca: file("ca.pem", Readers::AsBefore)?,
            certificate: file("certificate.pem", Readers::AsBefore)?,
            key: file("key.pem", Readers::Owner)?,
            folder,
        })
    }

    fn write(&self, authority: &Authority, issued: &Issued) -> Result<(), OutputError> {
        self.folder.make(Readers::Owner)?;
        // A unit shows its own certificate and not its issuer's, so its peer must know both.
        let ca = [authority.root_pem(), authority.intermediate_pem()].concat();
        OutputFile::write_all([
            (&self.ca, ca.as_bytes()),
            (&self.certificate, issued.signed.chain.as_bytes()),
            (&self.key, issued.key.expose().as_bytes()),
        ])
    }
}
