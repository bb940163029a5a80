//! What runs beside a shell and needs its machine: the way to it, and looks at it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::oneshot;

use crate::ShellHandle;
use crate::sync::lock;

/// Feeds a machine from the time that its actor runs until it has ended. Made before the actor is, so that routes can hold
/// it.
pub struct Feeder<I>(Mutex<Option<ShellHandle<I>>>);

/// The mailbox is full, or there is no machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotFed;

impl<I: Send + 'static> Feeder<I> {
    /// The actor runs.
    pub fn open(&self, shell: ShellHandle<I>) {
        *lock(&self.0) = Some(shell);
    }

    /// The actor has ended.
    pub fn close(&self) {
        *lock(&self.0) = None;
    }

    /// Whether there is a machine.
    pub fn is_open(&self) -> bool {
        lock(&self.0).is_some()
    }

    /// Feeds an input now, or not at all.
    ///
    /// # Errors
    /// If the mailbox is full, or there is no machine.
    pub fn try_feed(&self, input: I) -> Result<(), NotFed> {
        self.shell()?.try_feed(input).map_err(|_| NotFed)
    }

    /// Feeds an input when there is room for it.
    ///
    /// # Errors
    /// If there is no machine.
    ///
    /// # Cancel safety
    /// Dropped before it ends, it has fed nothing.
    pub async fn feed(&self, input: I) -> Result<(), NotFed> {
        let shell = self.shell()?;
        shell.feed(input).await.map_err(|_| NotFed)
    }

    fn shell(&self) -> Result<ShellHandle<I>, NotFed> {
        lock(&self.0).clone().ok_or(NotFed)
    }
}

impl<I> Default for Feeder<I> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<I> fmt::Debug for Feeder<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Feeder").field(&*lock(&self.0)).finish()
    }
}

/// Shows a machine to HTTP handlers and blocking threads, which run beside its actor. A snapshot is taken only when somebody
/// waits for one, at the end of a turn, and is shared by all who wait: its clones are to be cheap.
pub struct View<I, S> {
    feeder: Arc<Feeder<I>>,
    look: fn() -> I,
    most: usize,
    waiting: Mutex<Waiting<S>>,
}

struct Waiting<S> {
    /// The actor has ended.
    closed: bool,
    senders: Vec<oneshot::Sender<S>>,
}

impl<I: Send + 'static, S: Clone> View<I, S> {
    /// Nobody waits yet. `look` makes an input that changes nothing, after which a turn ends; `most` may wait at a time,
    /// further ones are refused.
    pub fn new(feeder: Arc<Feeder<I>>, look: fn() -> I, most: usize) -> Self {
        let waiting = Mutex::new(Waiting { closed: false, senders: Vec::new() });
        Self { feeder, look, most, waiting }
    }

    /// The actor has ended: nobody gets a snapshot any more.
    pub fn close(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        waiting.senders.clear();
    }

    /// Whether there is a machine to look at.
    pub fn is_open(&self) -> bool {
        self.feeder.is_open()
    }

    /// The machine as it is now, or as it begins; `None` where it is ending, or too many ask.
    pub async fn ask(&self) -> Option<S> {
        let receiver = self.wait()?;
        // Before the actor runs there is nobody to wake: as it starts there is a look.
        if self.is_open() {
            self.feeder.feed((self.look)()).await.ok()?;
        }
        receiver.await.ok()
    }

    /// As [`View::ask`], for a thread that may block.
    pub fn ask_blocking(&self) -> Option<S> {
        let receiver = self.wait()?;
        // A full mailbox means that a turn is under way, at whose end there is a look.
        let _ = self.feeder.try_feed((self.look)());
        receiver.blocking_recv().ok()
    }

    /// Shows the machine to all who wait; for [`Edge::after`](crate::Edge::after).
    pub fn serve(&self, snapshot: impl FnOnce() -> S) {
        let senders = std::mem::take(&mut self.lock().senders);
        if senders.is_empty() {
            return;
        }
        let snapshot = snapshot();
        for one in senders {
            // Who has gone does not want it any more.
            let _ = one.send(snapshot.clone());
        }
    }

    fn wait(&self) -> Option<oneshot::Receiver<S>> {
        let (sender, receiver) = oneshot::channel();
        let mut waiting = self.lock();
        waiting.senders.retain(|one| !one.is_closed());
        if waiting.closed || waiting.senders.len() >= self.most {
            return None;
        }
        waiting.senders.push(sender);
        Some(receiver)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<S>> {
        lock(&self.waiting)
    }
}

impl<I, S> fmt::Debug for View<I, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("feeder", &self.feeder).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn once_the_actor_has_ended_nobody_waits() {
        let view: View<(), ()> = View::new(Arc::default(), || (), 64);
        let early = view.wait().expect("there is room");
        view.close();
        early.await.expect_err("nobody shows it the machine");
        assert!(view.wait().is_none());
    }

    #[tokio::test]
    async fn who_asks_before_the_actor_runs_sees_it_as_it_begins() {
        let view: View<(), u32> = View::new(Arc::default(), || (), 2);
        let (seen, ()) = tokio::join!(view.ask(), async { view.serve(|| 7) });
        assert_eq!(seen, Some(7));
    }

    #[test]
    fn those_who_wait_are_bounded() {
        let view: View<(), u32> = View::new(Arc::default(), || (), 2);
        let mut waiting: Vec<_> = (0..2).map(|_| view.wait().expect("there is room")).collect();
        assert!(view.wait().is_none());
        // Who has gone makes room.
        waiting.pop();
        let next = view.wait().expect("there is room again");
        view.serve(|| 7);
        assert_eq!((waiting.remove(0).blocking_recv(), next.blocking_recv()), (Ok(7), Ok(7)));
    }
}
