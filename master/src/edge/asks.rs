//! Questions that are put to a machine beside its actor, and that it answers by number.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use libactor::http::{HttpResponse, StatusCode};
use libactor::{Feeder, Gauge};
use tokio::sync::oneshot;

use crate::core::{Answer, Ask, Input, Refusal};

/// Questions that may be open at a time; further ones are refused with 503. Ours: as many as there may be connections.
const MAX_OPEN: usize = 16_384;

/// Why a question has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unanswered {
    /// The actor has ended.
    #[error("The master is ending")]
    Ending,
    /// Too many are open.
    #[error("The master has too many open calls; try again later")]
    TooMany,
    /// The mailbox is full.
    #[error("The master has too many messages waiting; try again later")]
    Full,
}

/// The questions to a machine that takes `I` and answers with `A`: by default the master's.
#[derive(Debug)]
pub(crate) struct Asks<I = Input, A = Answer> {
    feeder: Arc<Feeder<I>>,
    open: Mutex<Open<A>>,
    /// How many are open.
    gauge: Gauge,
}

#[derive(Debug)]
struct Open<A> {
    next: u64,
    /// The actor has ended.
    closed: bool,
    waiting: BTreeMap<u64, oneshot::Sender<A>>,
}

impl<A> Default for Open<A> {
    fn default() -> Self {
        Self { next: 0, closed: false, waiting: BTreeMap::new() }
    }
}

impl<I: Send + 'static, A> Asks<I, A> {
    /// None yet; `gauge` shows how many.
    pub(crate) fn new(feeder: Arc<Feeder<I>>, gauge: Gauge) -> Self {
        Self { feeder, open: Mutex::default(), gauge }
    }

    /// The actor has ended: nobody gets an answer any more.
    pub(crate) fn close(&self) {
        let mut open = self.lock();
        open.closed = true;
        open.waiting.clear();
        self.gauge.set(0.0);
    }

    /// Puts a question, which is made of its number, and waits for the answer.
    ///
    /// # Errors
    /// The actor has no room for it, or is ending.
    pub(crate) async fn put(&self, question: impl FnOnce(u64) -> I) -> Result<A, Unanswered> {
        let (sender, receiver) = oneshot::channel();
        let number = {
            let mut open = self.lock();
            if open.closed {
                return Err(Unanswered::Ending);
            }
            if open.waiting.len() >= MAX_OPEN {
                return Err(Unanswered::TooMany);
            }
            let number = open.next;
            open.next += 1;
            open.waiting.insert(number, sender);
            self.gauge.set(open.waiting.len() as f64);
            number
        };
        // Whatever ends it, the client's going included.
        let _asked = Asked { asks: self, number };
        if self.feeder.try_feed(question(number)).is_err() {
            return Err(Unanswered::Full);
        }
        receiver.await.map_err(|_| Unanswered::Ending)
    }

    /// The machine's answer to the question of that number.
    pub(crate) fn give(&self, number: u64, answer: A) {
        if let Some(sender) = self.take(number) {
            // Who has gone does not want it any more.
            let _ = sender.send(answer);
        }
    }
}

impl<I, A> Asks<I, A> {
    fn take(&self, number: u64) -> Option<oneshot::Sender<A>> {
        let mut open = self.lock();
        let sender = open.waiting.remove(&number);
        self.gauge.set(open.waiting.len() as f64);
        sender
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Open<A>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asks {
    /// Puts a question; what comes back is refused as unavailable where the master has no room for it, or is ending.
    pub(crate) async fn ask(&self, question: impl FnOnce(Ask) -> Input) -> Answer {
        let answer = self.put(|number| question(Ask(number))).await;
        answer.unwrap_or_else(|why| Answer::Refused(Refusal::Unavailable, why.to_string()))
    }

    /// The machine's answer.
    pub(crate) fn answer(&self, ask: Ask, answer: Answer) {
        self.give(ask.0, answer);
    }
}

/// A question as long as somebody waits for its answer.
struct Asked<'a, I, A> {
    asks: &'a Asks<I, A>,
    number: u64,
}

impl<I, A> Drop for Asked<'_, I, A> {
    fn drop(&mut self) {
        self.asks.take(self.number);
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
        let asks: Asks = Asks::new(Arc::default(), gauge);
        let (sender, _receiver) = oneshot::channel();
        asks.lock().waiting.insert(7, sender);
        drop(Asked { asks: &asks, number: 7 });
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
