//! What the session is told, and what it asks for.

use std::time::Duration;

use bytes::Bytes;
use libactor::Pid;
use protocol::messages::{ExecutorCall, ExecutorEvent};
use protocol::{AgentId, AgentInfo, ExecutorInfo, FrameworkInfo, KillPolicy, TaskId, TaskInfo, TaskStatus};

use crate::Status;

/// Facts and requests.
#[derive(Clone, Debug)]
pub enum Input {
    /// The driver was started.
    Start,
    /// The agent speaks.
    Agent {
        /// Its actor.
        from: Pid,
        /// What it says.
        event: ExecutorEvent,
    },
    /// A linked actor, its process or its host is gone.
    Exited {
        /// Which.
        pid: Pid,
    },
    /// The executor calls.
    Call(DriverCall),
    /// What [`Output::Send`] asked for could not be queued and is gone.
    NotSent,
    /// The callback of [`Output::Callback`] has returned.
    CallbackReturned,
    /// The callback has panicked: the executor must not be called again.
    CallbackPanicked {
        /// What it said.
        message: String,
    },
    /// The executor has made more calls than may wait; some are gone.
    CallsOverflowed,
}

/// What an executor asks of its driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DriverCall {
    /// Reports a task's state. `uuid`, `source`, `timestamp` and `executor_id` are filled in by the session.
    Update(TaskStatus),
    /// Sends bytes to the scheduler.
    Message(Bytes),
    /// Ends, once all updates are acknowledged or a short wait is over.
    Stop,
    /// Ends at once.
    Abort,
    /// Shuts down as if the agent had asked for it: the process was told to end.
    ShutDown,
}

/// Imperatives.
#[derive(Clone, Debug)]
pub enum Output {
    /// Report [`Input::Exited`] once when this actor is gone.
    Link {
        /// Which.
        pid: Pid,
    },
    /// Report nothing more of this actor.
    Unlink {
        /// Which.
        pid: Pid,
    },
    /// Tell the agent; report [`Input::NotSent`] if that can't even be queued.
    Send {
        /// Its actor.
        to: Pid,
        /// What.
        call: ExecutorCall,
    },
    /// Call the executor and report [`Input::CallbackReturned`]. There is never more than one at a time.
    Callback(Callback),
    /// If the process is still there after this long, kill all that it has started and end it.
    Watchdog {
        /// From now.
        after: Duration,
    },
    /// The driver has ended: nothing follows.
    Terminate {
        /// How.
        status: Status,
        /// Why, where it was not asked for.
        error: Option<String>,
    },
}

/// One call of a method of the `Executor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Callback {
    /// Subscribed for the first time.
    Registered {
        /// As its framework asked for it.
        executor: ExecutorInfo,
        /// Whose.
        framework: FrameworkInfo,
        /// Where.
        agent_id: AgentId,
        /// Where.
        agent: AgentInfo,
    },
    /// Subscribed again: the agent was away.
    Reregistered {
        /// Where.
        agent_id: AgentId,
        /// Where.
        agent: AgentInfo,
    },
    /// The agent is gone and may come back.
    Disconnected,
    /// Run a task.
    Launch(TaskInfo),
    /// Kill a task.
    Kill {
        /// Which.
        task_id: TaskId,
        /// In place of the task's own.
        kill_policy: Option<KillPolicy>,
    },
    /// Bytes from the scheduler.
    Message(Bytes),
    /// Kill all tasks and report them; the driver ends when it returns.
    Shutdown,
    /// The session is over.
    Error(String),
}
