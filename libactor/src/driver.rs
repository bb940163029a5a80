//! What stands between the handles of a driver, which may be used on any thread, and its session, a machine under a
//! [shell](crate::shell) on one: schedulers and executors have such drivers.

use std::any::Any;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};

/// The state that handles see, and the way of their calls to the session. `I` is what the session is told, `S` how a driver
/// stands.
#[derive(Debug)]
pub struct Shared<I, S> {
    calls: mpsc::Sender<I>,
    overflowed: AtomicBool,
    /// How a driver stands that was not started; and one that runs. All else is final.
    begins: (S, S),
    state: Mutex<State<S>>,
    changed: Condvar,
    ended: watch::Sender<bool>,
}

#[derive(Debug)]
struct State<S> {
    status: S,
    error: Option<String>,
    ended: bool,
    /// The thread that runs callbacks: it can't wait for the end.
    callbacks: Option<ThreadId>,
}

impl<I, S: Copy + PartialEq> Shared<I, S> {
    /// Of a driver that is to be started; calls go to `calls`. How it stands then, and while it runs: any other `S` is final.
    pub fn new(calls: mpsc::Sender<I>, not_started: S, running: S) -> Self {
        let state = State { status: not_started, error: None, ended: false, callbacks: None };
        Self {
            calls,
            overflowed: AtomicBool::new(false),
            begins: (not_started, running),
            state: Mutex::new(state),
            changed: Condvar::new(),
            ended: watch::Sender::new(false),
        }
    }

    /// A panic elsewhere does not make the state wrong: each change of it is one assignment.
    fn state(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the driver stands.
    pub fn status(&self) -> S {
        self.state().status
    }

    /// Why it ended, where it was not asked to.
    pub fn error(&self) -> Option<String> {
        self.state().error.clone()
    }

    /// Moves to running, once; says whether this was the call that did it.
    pub fn start(&self) -> bool {
        let mut state = self.state();
        let first = state.status == self.begins.0;
        if first {
            state.status = self.begins.1;
        }
        first
    }

    /// Takes a call if the driver runs; never waits.
    pub fn call(&self, call: impl Into<I>) -> S {
        let status = self.status();
        if status == self.begins.1 {
            self.try_send(call.into());
        }
        status
    }

    /// Takes a call that ends the driver. The status is `then` from now on.
    pub fn finish(&self, call: impl Into<I>, then: S) -> S {
        let status = self.call(call);
        if status != self.begins.1 {
            return status;
        }
        self.settle(then);
        then
    }

    /// Sets a final status, unless there is one.
    pub fn settle(&self, status: S) {
        let mut state = self.state();
        if state.status == self.begins.0 || state.status == self.begins.1 {
            state.status = status;
        }
    }

    /// A callback has returned. On the thread of callbacks; waits for room.
    pub fn returned(&self, input: I) {
        // The session is over if there is nobody to take it.
        let _ = self.calls.blocking_send(input);
    }

    /// As [`Shared::returned`], from the thread of the session, where waiting would be for ever.
    pub fn returned_here(&self, input: I) {
        self.try_send(input);
    }

    fn try_send(&self, input: I) {
        if matches!(self.calls.try_send(input), Err(TrySendError::Full(_))) {
            self.overflowed.store(true, Ordering::Release);
        }
    }

    /// Whether calls were lost; asks once.
    pub fn take_overflow(&self) -> bool {
        self.overflowed.swap(false, Ordering::AcqRel)
    }

    /// Which thread runs callbacks.
    pub fn calls_back_on(&self, thread: ThreadId) {
        self.state().callbacks = Some(thread);
    }

    /// The session is over and its messages have left.
    pub fn end(&self, status: S, error: Option<String>) {
        self.settle(status);
        let mut state = self.state();
        state.error = state.error.take().or(error);
        state.ended = true;
        drop(state);
        self.changed.notify_all();
        self.ended.send_replace(true);
    }

    /// Blocks until [`Shared::end`]; at once if nothing was started, or on the thread of callbacks.
    pub fn join(&self) -> S {
        let mut state = self.state();
        if state.callbacks == Some(std::thread::current().id()) {
            return state.status;
        }
        while state.status != self.begins.0 && !state.ended {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.status
    }

    /// As [`Shared::join`], without blocking the thread.
    ///
    /// # Cancel safety
    /// Dropping it changes nothing.
    pub async fn ended(&self) -> S {
        let mut ended = self.ended.subscribe();
        // The sender lives as long as `self`.
        let _ = ended.wait_for(|ended| *ended).await;
        self.status()
    }
}

/// What a panic has said.
pub fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Status {
        Not,
        Runs,
        Stopped,
        Aborted,
    }

    fn shared(room: usize) -> (Shared<u8, Status>, mpsc::Receiver<u8>) {
        let (sender, calls) = mpsc::channel(room);
        (Shared::new(sender, Status::Not, Status::Runs), calls)
    }

    #[test]
    fn calls_count_while_the_driver_runs_and_the_first_end_stays() {
        let (shared, mut calls) = shared(9);
        assert_eq!((shared.call(1), shared.join()), (Status::Not, Status::Not), "nobody is waited for");
        assert!(shared.start() && !shared.start());
        assert_eq!((shared.call(2), shared.finish(3, Status::Stopped)), (Status::Runs, Status::Stopped));
        assert_eq!((shared.call(4), shared.finish(5, Status::Aborted)), (Status::Stopped, Status::Stopped));
        shared.end(Status::Aborted, Some("why".into()));
        assert_eq!((shared.join(), shared.error().as_deref()), (Status::Stopped, Some("why")));
        assert!(!shared.take_overflow() && !shared.start());
        drop(shared);
        assert_eq!(std::iter::from_fn(|| calls.blocking_recv()).collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn what_is_lost_for_want_of_room_is_said_once() {
        let (shared, calls) = shared(1);
        shared.start();
        shared.returned_here(1);
        assert!(!shared.take_overflow());
        shared.call(2);
        assert!(shared.take_overflow() && !shared.take_overflow());
        // A session that is over misses nothing.
        drop(calls);
        shared.call(3);
        assert!(!shared.take_overflow());
    }

    #[test]
    fn callbacks_do_not_wait_for_themselves() {
        let (shared, _calls) = shared(1);
        let shared = Arc::new(shared);
        shared.start();
        let here = shared.clone();
        let called_back = std::thread::spawn(move || {
            here.calls_back_on(std::thread::current().id());
            here.join()
        });
        assert_eq!(called_back.join().unwrap(), Status::Runs);
        let waits = shared.clone();
        let waiting = std::thread::spawn(move || waits.join());
        shared.end(Status::Aborted, None);
        assert_eq!(waiting.join().unwrap(), Status::Aborted);
    }
}
