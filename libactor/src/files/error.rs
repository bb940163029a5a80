//! Why a file is not served.

use nix::errno::Errno;

use crate::http::{HttpResponse, StatusCode};

/// Why a file is not served. The texts are those of Mesos where it has one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilesError {
    /// Nothing is attached there, or nothing is there.
    #[error("There is no such file.")]
    NotFound,
    /// It leads out of what is attached, may not be opened, or is neither a file nor a directory.
    #[error("{0}")]
    Refused(String),
    /// The request makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// Too much is going on.
    #[error("{0}")]
    Busy(String),
    /// The file system failed.
    #[error("{0}")]
    Failed(String),
}

impl FilesError {
    /// The status that HTTP has for it.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Refused(_) => StatusCode::FORBIDDEN,
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The answer to a request, of the files' own paths and of the operator calls alike: what is not found has no body.
    pub fn response(&self) -> HttpResponse {
        let text = match self {
            Self::NotFound => String::new(),
            other => format!("{other}\n"),
        };
        HttpResponse::text(self.status(), text)
    }

    /// The path leads out of what is attached.
    pub(super) fn outside(path: &str) -> Self {
        Self::Refused(format!("'{path}' is inaccessible."))
    }

    /// What the system says of a path.
    pub(super) fn system(path: &str, error: Errno) -> Self {
        match error {
            Errno::ENOENT | Errno::ENOTDIR => Self::NotFound,
            Errno::EXDEV | Errno::ELOOP => Self::outside(path),
            Errno::EACCES | Errno::EPERM => Self::Refused(failed_to_open(path, error)),
            Errno::ENAMETOOLONG => Self::Invalid(failed_to_open(path, error)),
            _ => Self::Failed(failed_to_open(path, error)),
        }
    }
}

fn failed_to_open(path: &str, error: Errno) -> String {
    format!("Failed to open file at '{path}': {}.", error.desc())
}

/// Why a path could not be attached.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The real path leads nowhere.
    #[error("Failed to get realpath of '{path}': {error}")]
    NoSuchPath {
        /// The real path, as it was given.
        path: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// The virtual path can't be asked for.
    #[error("'{0}' can't be attached to: a virtual path has a name, no '..', and at most 4096 bytes")]
    BadPath(String),
    /// [`ATTACHMENTS`](super::limits::ATTACHMENTS) are attached.
    #[error("'{0}' can't be attached to: {limit} paths are attached already, detach some", limit = super::limits::ATTACHMENTS)]
    Full(String),
}
