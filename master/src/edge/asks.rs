//! Questions that HTTP requests put to the machine, and that it answers by number.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use libactor::Gauge;
use libactor::http::{HttpResponse, StatusCode};
use tokio::sync::oneshot;

use super::view::Feeder;
use crate::core::{Answer, Ask, Input, Refusal};

/// Questions that may be open at a time; further ones are refused with 503. Ours: as many as there may be connections.
const MAX_OPEN: usize = 16_384;

/// The questions.
#[derive(Debug)]
pub(crate) struct Asks {
    feeder: Arc<Feeder>,
    open: Mutex<Open>,
    /// How many are open.
    gauge: Gauge,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    /// The actor has ended.
    closed: bool,
    waiting: BTreeMap<Ask, oneshot::Sender<Answer>>,
}

impl Asks {
    /// None yet; `gauge` shows how many.
    pub(crate) fn new(feeder: Arc<Feeder>, gauge: Gauge) -> Self {
        Self { feeder, open: Mutex::default(), gauge }
    }

    /// The actor has ended: nobody gets an answer any more.
    pub(crate) fn close(&self) {
        let mut open = self.lock();
        open.closed = true;
        open.waiting.clear();
        self.gauge.set(0.0);
    }

    /// Puts a question; what comes back is refused as unavailable where the master has no room for it, or is ending.
    pub(crate) async fn ask(&self, question: impl FnOnce(Ask) -> Input) -> Answer {
        let unable = |why: &str| Answer::Refused(Refusal::Unavailable, why.to_owned());
        let (sender, receiver) = oneshot::channel();
        let ask = {
            let mut open = self.lock();
            if open.closed {
                return unable("The master is ending");
            }
            if open.waiting.len() >= MAX_OPEN {
                return unable("The master has too many open calls; try again later");
            }
            let ask = Ask(open.next);
            open.next += 1;
            open.waiting.insert(ask, sender);
            self.gauge.set(open.waiting.len() as f64);
            ask
        };
        // Whatever ends it, the client's going included.
        let _asked = Asked { asks: self, ask };
        if self.feeder.try_feed(question(ask)).is_err() {
            return unable("The master has too many messages waiting; try again later");
        }
        receiver.await.unwrap_or_else(|_| unable("The master is ending"))
    }

    /// The machine's answer.
    pub(crate) fn answer(&self, ask: Ask, answer: Answer) {
        if let Some(sender) = self.take(ask) {
            // Who has gone does not want it any more.
            let _ = sender.send(answer);
        }
    }

    fn take(&self, ask: Ask) -> Option<oneshot::Sender<Answer>> {
        let mut open = self.lock();
        let sender = open.waiting.remove(&ask);
        self.gauge.set(open.waiting.len() as f64);
        sender
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question as long as somebody waits for its answer.
struct Asked<'a> {
    asks: &'a Asks,
    ask: Ask,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.asks.take(self.ask);
    }
}

/// An answer over HTTP.
pub(crate) fn respond(answer: Answer) -> HttpResponse {
    match answer {
        Answer::Accepted => HttpResponse::empty(StatusCode::ACCEPTED),
        Answer::Done => HttpResponse::empty(StatusCode::OK),
        Answer::Refused(refusal, reason) => HttpResponse::text(status_of(refusal), reason),
    }
}

fn status_of(refusal: Refusal) -> StatusCode {
    match refusal {
        Refusal::Invalid => StatusCode::BAD_REQUEST,
        Refusal::Forbidden => StatusCode::FORBIDDEN,
        Refusal::Unknown => StatusCode::NOT_FOUND,
        Refusal::Conflict => StatusCode::CONFLICT,
        Refusal::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    #[test]
    fn who_goes_away_leaves_no_question_behind() {
        let gauge = libactor::Metrics::default().gauge("open");
        let asks = Asks::new(Arc::default(), gauge);
        let (sender, _receiver) = oneshot::channel();
        asks.lock().waiting.insert(Ask(7), sender);
        drop(Asked { asks: &asks, ask: Ask(7) });
        assert!(asks.lock().waiting.is_empty());
        // There is no machine to put it to.
        let mut ask = pin!(asks.ask(|ask| Input::Operator {
            ask,
            request: crate::core::OperatorRequest::Teardown { framework_id: "f".into() }
        }));
        assert!(ask.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
        assert!(asks.lock().waiting.is_empty());
    }
}
