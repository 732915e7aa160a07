//! Why a server's certificate is not trusted.

/// A server's certificate is not trusted. The message goes on where a sentence said whose it is; certificates
/// are called by their common name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum Distrust {
    #[error("it cannot be read: {reason}")]
    Unreadable { reason: String },
    #[error("{subject} expired at {until}, and now it is {now}")]
    Expired { subject: String, until: String, now: String },
    #[error("{subject} is valid from {from}, and now it is {now}")]
    NotYetValid { subject: String, from: String, now: String },
    #[error("it names {found}, and was asked for as \"{host}\"")]
    OtherName { found: String, host: String },
    #[error("{subject} was issued by {issuer}, which is not trusted")]
    UnknownIssuer { subject: String, issuer: String },
    #[error("{subject} signed itself, and is not trusted")]
    SelfSigned { subject: String },
    #[error("{subject} was not signed by the {issuer} that is known")]
    BadSignature { subject: String, issuer: String },
    #[error("{subject} is signed with {algorithm}: expected RSA or ECDSA with SHA-256 or better")]
    WeakSignature { subject: String, algorithm: String },
    #[error("the signature of {issuer} on {subject} is of a kind that the bench cannot verify")]
    Unverifiable { subject: String, issuer: String },
    #[error("the key of {subject} is {found}: expected RSA of 2048 bits or more, P-256 or P-384")]
    WeakKey { subject: String, found: String },
    #[error("{subject} is not for a server: its {extension} lacks {lacks}")]
    OtherPurpose { subject: String, extension: &'static str, lacks: &'static str },
    #[error("more than 8 certificates stand between it and what is trusted")]
    TooLong,
}

impl Distrust {
    /// What to do about it.
    pub fn action(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => {
                "look at what the server shows: openssl s_client -connect HOST:PORT -showcerts"
            }
            Self::Expired { .. } => {
                "renew that certificate on the server, or correct this machine's clock"
            }
            Self::NotYetValid { .. } => "correct this machine's clock, or wait until it is valid",
            Self::OtherName { .. } => {
                "correct the address, or let the server have a certificate for that name"
            }
            Self::UnknownIssuer { .. } | Self::BadSignature { .. } => {
                "trust the CA that issued it, and let the server send the certificates between"
            }
            Self::SelfSigned { .. } => "trust that certificate itself, or let a CA issue one",
            Self::WeakSignature { .. } | Self::WeakKey { .. } => {
                "units refuse it too: let the server have a stronger one"
            }
            Self::Unverifiable { .. } => {
                "let the server have one that is signed with P-256, P-384 or RSA"
            }
            Self::OtherPurpose { .. } => {
                "let the server have one for servers: digitalSignature, serverAuth"
            }
            Self::TooLong => "let the server have a certificate closer to its CA",
        }
    }
}
