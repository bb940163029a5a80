//! The executor's handle to its agent.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use protocol::TaskStatus;
use tokio::sync::mpsc;

use crate::core::{DriverCall, Input, SessionConfig};
use crate::environment::EnvironmentError;
use crate::host;
use crate::limits::MAX_CALLS;
use crate::shared::{Shared, shared};
use crate::{Executor, Status};

/// The executor's handle to its agent; clones are the same driver.
///
/// Methods never block (but for [`join`](Self::join) and [`run`](Self::run)) and may be called from callbacks and from any
/// thread. They return the driver's status; a driver that does not run does nothing. More than [`MAX_CALLS`] calls that the session has
/// not taken yet end the driver with an error.
#[derive(Clone)]
pub struct ExecutorDriver {
    shared: Arc<Shared>,
    pending: Arc<Mutex<Option<Pending>>>,
}

/// What waits for the start.
struct Pending {
    executor: Box<dyn Executor>,
    config: SessionConfig,
    calls: mpsc::Receiver<Input>,
    /// Whether the process is the executor's alone and may be killed.
    own_process: bool,
}

impl ExecutorDriver {
    /// A driver for this process, which an agent has started: all it needs is in the environment.
    ///
    /// # Errors
    /// Says which variable of the environment is missing or can't be read.
    pub fn new(executor: impl Executor) -> Result<Self, EnvironmentError> {
        let config = SessionConfig::from_environment(host::seed())?;
        Ok(Self::waiting(Box::new(executor), config, true))
    }

    /// A driver for a session described by hand, in a process that has other work too: where a driver of
    /// [`new`](Self::new) kills its process because a shutdown takes too long, this one only ends.
    pub fn with_config(executor: impl Executor, config: SessionConfig) -> Self {
        Self::waiting(Box::new(executor), config, false)
    }

    fn waiting(executor: Box<dyn Executor>, config: SessionConfig, own_process: bool) -> Self {
        let (driver, calls) = Self::unattended();
        *driver.pending.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Pending { executor, config, calls, own_process });
        driver
    }

    /// A driver without a thread of its own, and its calls.
    pub(crate) fn unattended() -> (Self, mpsc::Receiver<Input>) {
        let (sender, calls) = mpsc::channel(MAX_CALLS);
        let driver = Self { shared: Arc::new(shared(sender)), pending: Arc::new(Mutex::new(None)) };
        (driver, calls)
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn callback_returned(&self) {
        self.shared.returned_here(Input::CallbackReturned);
    }

    /// Subscribes at the agent, on a thread of its own.
    pub fn start(&self) -> Status {
        let pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Pending { executor, config, calls, own_process }) = pending
            && self.shared.start()
        {
            let driver = self.clone();
            let spawned = std::thread::Builder::new()
                .name("executor-driver".into())
                .spawn(move || host::own_thread(driver, executor, config, calls, own_process));
            if let Err(error) = spawned {
                self.shared.end(Status::Aborted, Some(format!("no thread for the driver: {error}")));
            }
        }
        self.shared.status()
    }

    /// Ends the session once the agent has acknowledged all updates, or after a short wait.
    pub fn stop(&self) -> Status {
        self.shared.finish(DriverCall::Stop, Status::Stopped)
    }

    /// Ends the session at once.
    pub fn abort(&self) -> Status {
        self.shared.finish(DriverCall::Abort, Status::Aborted)
    }

    /// Shuts down as if the agent had asked for it.
    pub(crate) fn shut_down(&self) {
        self.shared.call(DriverCall::ShutDown);
    }

    /// Blocks until the driver has ended. Called from a callback it returns at once: the callback itself is waited for.
    pub fn join(&self) -> Status {
        self.shared.join()
    }

    /// Waits for the end without blocking the thread.
    ///
    /// # Cancel safety
    /// Dropping it changes nothing.
    pub async fn ended(&self) -> Status {
        self.shared.ended().await
    }

    /// Starts and joins.
    pub fn run(&self) -> Status {
        self.start();
        self.join()
    }

    /// The status now.
    pub fn status(&self) -> Status {
        self.shared.status()
    }

    /// Why the driver ended, where it was not asked to.
    pub fn error(&self) -> Option<String> {
        self.shared.error()
    }

    /// Reports a task's state. The session fills in uuid, source, executor and (if absent) timestamp, keeps the update until the
    /// agent holds it, and sends it again when the agent was away.
    pub fn send_status_update(&self, status: TaskStatus) -> Status {
        self.shared.call(DriverCall::Update(status))
    }

    /// Sends bytes to the scheduler; at most once.
    pub fn send_framework_message(&self, data: impl Into<Bytes>) -> Status {
        self.shared.call(DriverCall::Message(data.into()))
    }
}

impl std::fmt::Debug for ExecutorDriver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExecutorDriver").field("status", &self.status()).finish()
    }
}
