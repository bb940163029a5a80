//! Who leads, as far as HTTP needs to know: what is for the leader alone is sent on to it.

use libactor::http::{HttpResponse, StatusCode};

/// Who leads. Today it is always this master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Leader {
    /// This master, reached at `host:port`.
    Here(String),
    /// Another one, reached at `host:port`.
    #[cfg_attr(not(test), expect(dead_code, reason = "there are no elections yet"))]
    Elsewhere(String),
    /// Nobody that is known.
    #[cfg_attr(not(test), expect(dead_code, reason = "there are no elections yet"))]
    Nobody,
}

impl Leader {
    /// Where a request for the leader alone is sent to; `None` where it is to be answered here.
    pub(crate) fn redirect(&self, path: &str) -> Option<HttpResponse> {
        match self {
            Self::Here(_) => None,
            Self::Elsewhere(address) => Some(moved(address, path)),
            Self::Nobody => Some(nobody()),
        }
    }

    /// `/redirect`: where the leader is.
    pub(crate) fn respond(&self) -> HttpResponse {
        match self {
            Self::Here(address) | Self::Elsewhere(address) => moved(address, ""),
            Self::Nobody => nobody(),
        }
    }
}

/// Leads to the same path of another master.
pub(crate) fn moved(address: &str, path: &str) -> HttpResponse {
    let mut response = HttpResponse::empty(StatusCode::TEMPORARY_REDIRECT);
    // What can't be a header's value is no address that anybody could use.
    if let Ok(location) = format!("//{address}{path}").parse() {
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
    use super::*;

    fn location(response: &HttpResponse) -> Option<&str> {
        response.headers.get("location").map(|value| value.to_str().unwrap())
    }

    #[test]
    fn what_is_for_the_leader_is_sent_on() {
        let here = Leader::Here("10.0.0.1:5050".to_owned());
        assert!(here.redirect("/api/v1/scheduler").is_none());
        assert_eq!(location(&here.respond()), Some("//10.0.0.1:5050"));
        let elsewhere = Leader::Elsewhere("10.0.0.2:5050".to_owned()).redirect("/api/v1/scheduler").unwrap();
        assert_eq!(elsewhere.status, StatusCode::TEMPORARY_REDIRECT);
        assert_eq!(location(&elsewhere), Some("//10.0.0.2:5050/api/v1/scheduler"));
        let nobody = Leader::Nobody.redirect("/api/v1/scheduler").unwrap();
        assert_eq!(nobody.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(Leader::Nobody.respond().status, StatusCode::SERVICE_UNAVAILABLE);
    }
}
