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

#[cfg(test)]
mod tests {
    use libactor::http::{HeaderMap, HttpBody, Method};

    use super::*;

    fn asked(target: &str) -> HttpRequest {
        HttpRequest {
            method: Method::POST,
            target: target.to_owned(),
            actor: "master".to_owned(),
            path: String::new(),
            rest: String::new(),
            query: Default::default(),
            headers: HeaderMap::new(),
            body: Default::default(),
            peer: "127.0.0.1:1".parse().unwrap(),
        }
    }

    fn said(response: HttpResponse) -> (u16, String) {
        let location = response.headers.get("location").map(|value| value.to_str().unwrap().to_owned());
        let text = match response.body {
            HttpBody::Full(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
            _ => String::new(),
        };
        (response.status.as_u16(), location.unwrap_or(text))
    }

    #[test]
    fn what_is_for_the_leader_is_sent_on() {
        let target = "/master/state?limit=1&note=a%20b";
        let request = asked(target);
        let (own, other) = ("10.0.0.1:5050".to_owned(), "10.0.0.2:5050".to_owned());
        let (tell, known) = watch::channel(Leader::Nobody);
        let standby = Gate::new(known.clone(), false);
        let nobody = (503, "No leader elected".to_owned());
        assert_eq!(said(standby.redirect(&request).unwrap()), nobody);
        assert_eq!(said(standby.respond()), nobody);
        tell.send_replace(Leader::Elsewhere(other.clone()));
        assert_eq!(said(standby.redirect(&request).unwrap()), (307, format!("//{other}{target}")));
        assert_eq!(said(standby.respond()), (307, format!("//{other}")));
        // Elected, and not at work yet.
        tell.send_replace(Leader::Here(own.clone()));
        let begins = (503, "Master has not finished recovery".to_owned());
        assert_eq!(said(standby.redirect(&request).unwrap()), begins);
        assert_eq!(said(standby.respond()), (307, format!("//{own}")));
        let leading = Gate::new(known, true);
        assert!(leading.redirect(&request).is_none());
        assert_eq!(said(leading.respond()), (307, format!("//{own}")));
        leading.close();
        assert_eq!(said(leading.redirect(&request).unwrap()), begins);
        // What can't be a header's value leads nowhere, and breaks nothing.
        tell.send_replace(Leader::Elsewhere("a\nb".to_owned()));
        assert_eq!(said(standby.redirect(&request).unwrap()), (307, String::new()));
    }
}
