//! Questions that HTTP requests put to the machine, and that it answers by number.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::limits::MAX_ASKS;
use super::view::Feeder;
use crate::core::{Ask, Input, Refusal};

/// What the machine says.
pub(crate) type Answer = Result<(), (Refusal, String)>;

/// The questions.
#[derive(Debug)]
pub(crate) struct Asks {
    feeder: Arc<Feeder>,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    /// The actor has ended.
    closed: bool,
    waiting: BTreeMap<Ask, oneshot::Sender<Answer>>,
}

/// Forgets a question when nobody waits for its answer any more.
struct OpenAsk<'a> {
    asks: &'a Asks,
    ask: Ask,
}

impl Drop for OpenAsk<'_> {
    fn drop(&mut self) {
        self.asks.lock().waiting.remove(&self.ask);
    }
}

impl Asks {
    /// None yet.
    pub(crate) fn new(feeder: Arc<Feeder>) -> Self {
        Self { feeder, open: Mutex::default() }
    }

    /// The actor has ended: nobody gets an answer any more.
    pub(crate) fn close(&self) {
        let mut open = self.lock();
        open.closed = true;
        open.waiting.clear();
    }

    /// Puts a question. Where the agent has no room for it, or is ending, it is refused as unavailable.
    pub(crate) async fn ask(&self, question: impl FnOnce(Ask) -> Input) -> Answer {
        let unable = |why: &str| Err((Refusal::Unavailable, why.to_owned()));
        let (sender, receiver) = oneshot::channel();
        let ask = {
            let mut open = self.lock();
            // What is fed from then on may find a mailbox that nobody reads any more.
            if open.closed {
                return unable("The agent is ending");
            }
            if !self.feeder.is_open() {
                return unable("The agent is starting");
            }
            if open.waiting.len() >= MAX_ASKS {
                return unable("The agent has too many open calls; try again later");
            }
            let ask = Ask(open.next);
            open.next += 1;
            open.waiting.insert(ask, sender);
            ask
        };
        // Who goes away meanwhile leaves no question behind.
        let _open = OpenAsk { asks: self, ask };
        // It waits for room: a client that sends more than the agent can take is held back.
        if self.feeder.feed(question(ask)).await.is_err() {
            return unable("The agent is ending");
        }
        receiver.await.unwrap_or_else(|_| unable("The agent is ending"))
    }

    /// The machine's answer.
    pub(crate) fn answer(&self, ask: Ask, answer: Answer) {
        if let Some(sender) = self.lock().waiting.remove(&ask) {
            // Who has gone does not want it any more.
            let _ = sender.send(answer);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn once_the_actor_has_ended_questions_are_refused() {
        let asks = Asks::new(Arc::default());
        let why = |answer: Answer| answer.expect_err("it is refused").1;
        assert_eq!(why(asks.ask(|_| Input::Look).await), "The agent is starting");
        asks.close();
        assert_eq!(why(asks.ask(|_| Input::Look).await), "The agent is ending");
        assert!(asks.lock().waiting.is_empty());
    }
}
