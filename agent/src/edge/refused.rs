//! Answers that refuse.

use std::fmt::Display;

use libactor::files::FilesError;
use libactor::http::{HttpResponse, StatusCode};
use protocol::wire::negotiate;

/// An answer that refuses a request. In a box: what is not refused should not pay for it.
#[derive(Debug)]
pub(crate) struct Refused(Box<HttpResponse>);

impl Refused {
    /// A status with a sentence.
    pub(crate) fn new(status: StatusCode, why: impl Into<String>) -> Self {
        Self(Box::new(HttpResponse::text(status, why)))
    }

    /// 400.
    pub(crate) fn bad(why: impl Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, why.to_string())
    }

    /// 501 for a call of the type `UNKNOWN`, in Mesos's words.
    pub(crate) fn unknown() -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, "501 Not Implemented.")
    }

    /// 503.
    pub(crate) fn unable() -> Self {
        let why = "The agent can't tell now: too many ask, or it is ending\n";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, why)
    }
}

impl From<negotiate::Refusal> for Refused {
    fn from(refusal: negotiate::Refusal) -> Self {
        let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
        let response = HttpResponse::text(status, refusal.text);
        Self(Box::new(match refusal.allow {
            Some(allow) => response.with_header("allow", allow),
            None => response,
        }))
    }
}

impl From<FilesError> for Refused {
    fn from(error: FilesError) -> Self {
        Self(Box::new(error.response()))
    }
}

impl From<Refused> for HttpResponse {
    fn from(refused: Refused) -> Self {
        *refused.0
    }
}
