//! What the handles of a driver and its session share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};

use crate::Status;
use crate::core::{DriverCall, Input};

/// The state that handles see, and the way of their calls to the session.
pub(crate) struct Shared {
    calls: mpsc::Sender<Input>,
    overflowed: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
    ended: watch::Sender<bool>,
}

struct State {
    status: Status,
    error: Option<String>,
    ended: bool,
    /// The thread that runs callbacks: it can't wait for the end.
    callbacks: Option<ThreadId>,
}

impl Shared {
    pub(crate) fn new(calls: mpsc::Sender<Input>) -> Self {
        let state = State { status: Status::NotStarted, error: None, ended: false, callbacks: None };
        Self {
            calls,
            overflowed: AtomicBool::new(false),
            state: Mutex::new(state),
            changed: Condvar::new(),
            ended: watch::Sender::new(false),
        }
    }

    /// A panic elsewhere does not make the state wrong: each change of it is one assignment.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn status(&self) -> Status {
        self.state().status
    }

    pub(crate) fn error(&self) -> Option<String> {
        self.state().error.clone()
    }

    /// Moves to `Running`, once; says whether this was the call that did it.
    pub(crate) fn start(&self) -> bool {
        let mut state = self.state();
        let first = state.status == Status::NotStarted;
        if first {
            state.status = Status::Running;
        }
        first
    }

    /// Takes a call if the driver runs; never waits.
    pub(crate) fn call(&self, call: DriverCall) -> Status {
        let status = self.status();
        if status == Status::Running && self.calls.try_send(Input::Call(call)).is_err_and(is_full) {
            self.overflowed.store(true, Ordering::Release);
        }
        status
    }

    /// Takes a call that ends the driver. The status is `then` from now on.
    pub(crate) fn finish(&self, call: DriverCall, then: Status) -> Status {
        match self.call(call) {
            Status::Running => {
                self.settle(then);
                then
            }
            status => status,
        }
    }

    /// Sets a final status, unless there is one.
    pub(crate) fn settle(&self, status: Status) {
        let mut state = self.state();
        if matches!(state.status, Status::Running | Status::NotStarted) {
            state.status = status;
        }
    }

    /// A callback has returned. On the thread of callbacks; waits for room.
    pub(crate) fn returned(&self, input: Input) {
        // The session is over if there is nobody to take it.
        let _ = self.calls.blocking_send(input);
    }

    /// Whether calls were lost; asks once.
    pub(crate) fn take_overflow(&self) -> bool {
        self.overflowed.swap(false, Ordering::AcqRel)
    }

    pub(crate) fn calls_back_on(&self, thread: ThreadId) {
        self.state().callbacks = Some(thread);
    }

    /// The session is over and its messages have left.
    pub(crate) fn end(&self, status: Status, error: Option<String>) {
        self.settle(status);
        let mut state = self.state();
        state.error = state.error.take().or(error);
        state.ended = true;
        drop(state);
        self.changed.notify_all();
        self.ended.send_replace(true);
    }

    /// Blocks until [`Shared::end`]; at once if nothing was started, or on the thread of callbacks.
    pub(crate) fn join(&self) -> Status {
        let mut state = self.state();
        if state.callbacks == Some(std::thread::current().id()) {
            return state.status;
        }
        while state.status != Status::NotStarted && !state.ended {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.status
    }

    /// As [`Shared::join`], without blocking the thread.
    pub(crate) async fn ended(&self) -> Status {
        let mut ended = self.ended.subscribe();
        // The sender lives as long as `self`.
        let _ = ended.wait_for(|ended| *ended).await;
        self.status()
    }
}

fn is_full(error: TrySendError<Input>) -> bool {
    matches!(error, TrySendError::Full(_))
}
