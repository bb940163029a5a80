//! One question to a master over HTTP: a connection of its own, closed with the answer.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::task::spawn_blocking;
use ureq::http::header;
use ureq::{Body, Error, Timeout};

/// A master whose host does not take a connection within this is away.
const CONNECT: Duration = Duration::from_secs(2);
/// The largest answer that is read: a page of many thousand agents is far below it.
const MAX_ANSWER: u64 = 1 << 30;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// A page.
    Get(&'static str),
    /// A call of the operator API, as JSON.
    Call(String),
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Where else to ask, `host:port`.
    pub elsewhere: Option<String>,
    /// The body.
    pub body: String,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Silence {
    /// There is nobody, or nobody any more.
    #[error("{0}")]
    Nobody(String),
    /// It has the question and says nothing.
    #[error("no answer within {} s", .0.as_secs_f64())]
    Late(Duration),
    /// What speaks there is not a master.
    #[error("it does not speak HTTP: is that a master?")]
    Garbled,
}

/// Asks the master at `host:port`, and waits for its answer for so long.
///
/// # Errors
/// See [`Silence`]: what was asked may have been done.
///
/// # Cancel safety
/// Dropping it leaves a thread that waits for the answer, or for the end of the limit.
pub async fn ask(address: &str, question: &Question, limit: Duration) -> Result<Reply, Silence> {
    let (address, question) = (address.to_owned(), question.clone());
    let asked = spawn_blocking(move || exchange(&address, &question, limit)).await;
    asked.map_err(|error| Silence::Nobody(error.to_string()))?.map_err(|error| silence(error, limit))
}

/// Redirections are the caller's, who remembers where they lead; masters are not asked through a proxy.
fn exchange(address: &str, question: &Question, limit: Duration) -> Result<Reply, Error> {
    let connect = Some(CONNECT.min(limit));
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .user_agent(concat!("meseta/", env!("CARGO_PKG_VERSION")))
        .accept("application/json")
        .timeout_resolve(connect)
        .timeout_connect(connect)
        .timeout_global(Some(limit));
    let agent = ureq::Agent::new_with_config(config.build());
    let close = (header::CONNECTION, "close");
    let response = match question {
        Question::Get(path) => agent.get(format!("http://{address}{path}")).header(close.0, close.1).call(),
        Question::Call(body) => agent
            .post(format!("http://{address}/api/v1"))
            .header(close.0, close.1)
            .content_type("application/json")
            .send(body),
    };
    read(response?, MAX_ANSWER)
}

fn read(mut response: ureq::http::Response<Body>, most: u64) -> Result<Reply, Error> {
    let elsewhere = response.headers().get(header::LOCATION);
    let elsewhere = elsewhere.and_then(|location| host_of(location.to_str().ok()?));
    let body = response.body_mut().with_config().limit(most).read_to_string()?;
    Ok(Reply { status: response.status().as_u16(), elsewhere, body })
}

fn silence(error: Error, limit: Duration) -> Silence {
    match error {
        Error::Timeout(Timeout::Resolve | Timeout::Connect) => Silence::Late(CONNECT.min(limit)),
        Error::Timeout(_) => Silence::Late(limit),
        Error::Protocol(_) | Error::LargeResponseHeader(..) => Silence::Garbled,
        // Not text, or cut short.
        Error::Io(error) if matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof) => {
            Silence::Garbled
        }
        Error::Io(error) => Silence::Nobody(error.to_string()),
        Error::HostNotFound => Silence::Nobody("there is no host of that name".to_owned()),
        other => Silence::Nobody(other.to_string()),
    }
}

/// `//host:port/path`, with or without a scheme.
fn host_of(location: &str) -> Option<String> {
    let rest = location.split_once("//")?.1;
    let host = rest.split(['/', '?']).next()?;
    (!host.is_empty()).then(|| host.to_owned())
}

#[cfg(test)]
mod tests;
