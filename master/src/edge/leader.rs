//! Who leads, as far as HTTP needs to know: what is for the leader alone is sent on to it.

use std::sync::atomic::{AtomicBool, Ordering};

use libactor::http::{HttpRequest, HttpResponse, StatusCode};
use tokio::sync::watch;

/// Who leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Leader {
    /// This master, reached at `host:port`.
    Here(String),
    /// Another one, reached at `host:port`.
    Elsewhere(String),
    /// Nobody that is known.
    Nobody,
}

/// What one actor `master` does with requests for the leader: a standby sends them on, a leading one answers them until it
/// leads no more.
#[derive(Debug)]
pub(crate) struct Gate {
    known: watch::Receiver<Leader>,
    /// Whether requests for the leader are answered here.
    open: AtomicBool,
}

impl Gate {
    /// Of an actor that leads, or not; `known` is who leads as far as this master knows.
    pub(crate) fn new(known: watch::Receiver<Leader>, open: bool) -> Self {
        Self { known, open: AtomicBool::new(open) }
    }

    /// The actor leads no more.
    pub(crate) fn close(&self) {
        self.open.store(false, Ordering::Release);
    }

    /// Where a request for the leader alone is sent to; `None` where it is to be answered here.
    pub(crate) fn redirect(&self, request: &HttpRequest) -> Option<HttpResponse> {
        if self.open.load(Ordering::Acquire) {
            return None;
        }
        Some(match &*self.known.borrow() {
            // It is elected, and begins.
            Leader::Here(_) => {
                HttpResponse::text(StatusCode::SERVICE_UNAVAILABLE, "Master has not finished recovery")
            }
            Leader::Elsewhere(address) => moved(address, &request.target),
            Leader::Nobody => nobody(),
        })
    }

    /// `/redirect`: where the leader is.
    pub(crate) fn respond(&self) -> HttpResponse {
        match &*self.known.borrow() {
            Leader::Here(address) | Leader::Elsewhere(address) => moved(address, ""),
            Leader::Nobody => nobody(),
        }
    }
}

/// Leads to the same path of another master.
pub(crate) fn moved(address: &str, target: &str) -> HttpResponse {
    let mut response = HttpResponse::empty(StatusCode::TEMPORARY_REDIRECT);
    // What can't be a header's value is no address that anybody could use.
    if let Ok(location) = format!("//{address}{target}").parse() {
        response.headers.insert("location", location);
    }
    response
}

/// Nobody leads that is known.
pub(crate) fn nobody() -> HttpResponse {
    HttpResponse::text(StatusCode::SERVICE_UNAVAILABLE, "No leader elected")
}
