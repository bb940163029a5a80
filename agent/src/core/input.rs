//! What the agent machine is told, and what it asks for.

use std::collections::BTreeMap;
use std::path::PathBuf;

use libactor::Pid;
use libactor::detect::Leader;
use protocol::messages::{AgentCall, AgentEvent, ExecutorCall, ExecutorCallKind, ExecutorEvent};
use protocol::wire::v1::ContainerInfo;
use protocol::{Carried, ContainerId, ExecutorId, ExecutorInfo, FrameworkId, Reason, Resources};

use super::checkpoint::Batch;

/// Facts and requests.
#[derive(Clone, Debug)]
pub enum Input {
    /// The first of all, once: [`Output::Recover`] follows.
    Begin,
    /// The leading master is known, has changed, or is unknown. Another epoch is another lead, also of the same actor.
    MasterDetected {
        /// Its actor, and the epoch it leads in.
        master: Option<Leader>,
    },
    /// The master speaks.
    Master {
        /// Its actor.
        from: Pid,
        /// What it says.
        event: AgentEvent,
    },
    /// An executor calls.
    Executor {
        /// Its actor.
        from: Pid,
        /// What it asks.
        call: ExecutorCall,
    },
    /// An executor calls over HTTP, and waits for one [`Output::Answer`].
    ///
    /// Whoever reaches the agent's port and knows the two ids can call. A proof that it is the executor belongs here: a
    /// token of the run, made by the machine at the launch, given to the executor in its environment
    /// (`MESOS_EXECUTOR_AUTHENTICATION_TOKEN`), and compared before anything else is looked up.
    Call {
        /// To answer with.
        ask: Ask,
        /// Whose executor it says it is.
        framework_id: FrameworkId,
        /// Which.
        executor_id: ExecutorId,
        /// The [stream](Pid::stream) that would carry its events, if it subscribes.
        stream: Option<Pid>,
        /// What it asks. Its newest run is meant: calls over HTTP name none.
        call: ExecutorCallKind,
    },
    /// A linked actor, its process or its host is gone; or a stream has ended, by whichever side.
    Exited {
        /// Which.
        pid: Pid,
    },
    /// The launch that [`Output::Launch`] asked for has come to something.
    Launched {
        /// Which.
        container_id: ContainerId,
        /// The executor's process id, or why there is none.
        result: Result<u32, String>,
    },
    /// An executor's process has ended and nothing of its tree is left. Comes once for every successful launch.
    ContainerExited {
        /// Which.
        container_id: ContainerId,
        /// How.
        end: ContainerEnd,
    },
    /// What [`Output::Checkpoint`] asked for is durable, with all before it.
    Checkpointed {
        /// As in [`Batch::number`].
        number: u64,
    },
    /// What [`Output::Recover`] asked for has come to an end: of every container it named, what was found.
    Recovered {
        /// Which is what.
        containers: BTreeMap<ContainerId, Found>,
    },
    /// What the machine offers has changed while it runs: a device has fallen ill, or is well again.
    Resources {
        /// All that it offers from now on.
        total: Resources,
    },
    /// The operator asks the agent to leave: kill all, unregister, end.
    Leave,
    /// Somebody waits to see the machine, and nothing else happens that would show it. Changes nothing.
    Look,
}

/// Imperatives.
#[derive(Clone, Debug)]
pub enum Output {
    /// Tell the master.
    ToMaster {
        /// Its actor.
        to: Pid,
        /// What.
        call: AgentCall,
    },
    /// Tell an executor.
    ToExecutor {
        /// Its actor.
        to: Pid,
        /// What.
        event: ExecutorEvent,
    },
    /// Answer an [`Input::Call`]: once each, before anything else that follows from it.
    Answer {
        /// Which.
        ask: Ask,
        /// `Ok`: taken; a subscription's stream may begin.
        answer: Result<(), (Refusal, String)>,
    },
    /// Report [`Input::Exited`] once when this actor is gone.
    Link {
        /// Which.
        pid: Pid,
    },
    /// Report nothing more of this actor. A [stream](Pid::stream) is over: it is closed once what was told to it is
    /// written.
    Unlink {
        /// Which.
        pid: Pid,
    },
    /// Make a sandbox and start an executor in it.
    Launch(Box<ContainerSpec>),
    /// Kill a container's whole tree now; [`Input::ContainerExited`] follows.
    Destroy {
        /// Which.
        container_id: ContainerId,
    },
    /// A run that is over is not shown any more: its sandbox needs not be found any more. What [`Output::Launch`] made
    /// can be found from there to here.
    Forget {
        /// Whose.
        framework_id: FrameworkId,
        /// Whose run.
        executor_id: ExecutorId,
        /// Which.
        container_id: ContainerId,
        /// As in [`ContainerSpec::sandbox`].
        sandbox: PathBuf,
        /// Whether no other run of the executor is known: it has no latest one any more.
        last: bool,
    },
    /// Make these changes durable; [`Input::Checkpointed`] follows, in the order of the numbers.
    Checkpoint(Batch),
    /// Find the containers of an earlier life of this agent again, and end those that are not named;
    /// [`Input::Recovered`] follows. Asked once, before anything else of containers.
    Recover {
        /// Those that are known.
        containers: Vec<ContainerId>,
        /// Whether the machine was started anew since: none of them can live.
        rebooted: bool,
    },
    /// What a container may use has changed, since tasks have come to its executor or left it.
    Update {
        /// Which.
        container_id: ContainerId,
        /// What its executor and all its tasks may use.
        resources: Resources,
    },
    /// The agent ends.
    Terminate {
        /// Why, for the log and for people.
        message: String,
        /// Whether the process should say that it failed.
        failed: bool,
    },
}

/// All that is needed to start an executor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerSpec {
    /// Which run.
    pub container_id: ContainerId,
    /// Whose.
    pub framework_id: FrameworkId,
    /// What to start: a custom executor's command. For a command task the command executor is started instead.
    pub executor: ExecutorInfo,
    /// Whether it is the command executor.
    pub command_executor: bool,
    /// The sandbox, relative to the agent's work directory:
    /// `slaves/<agent>/frameworks/<framework>/executors/<executor>/runs/<container>`.
    pub sandbox: PathBuf,
    /// The user to run as; absent: the agent's.
    pub user: Option<String>,
    /// `MESOS_*` and what the executor's command adds, in order; later ones win.
    pub environment: Vec<(String, String)>,
    /// What the executor and its first tasks may use.
    pub resources: Resources,
    /// What the framework asks of the container: that of the command task, or of the custom executor. Volumes, limits of
    /// processes, capabilities and namespaces are read there.
    pub container: Option<Carried<ContainerInfo>>,
}

/// How a container has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerEnd {
    /// Exit status of its first process, or 128 + signal; absent: nobody knows, for the agent was away.
    pub status: Option<i32>,
    /// What else the containerizer has to say of it, for people.
    pub message: Option<String>,
    /// The limit that it broke, for which it was ended.
    pub limitation: Option<Limitation>,
}

impl ContainerEnd {
    /// It ended by itself, or as it was asked to.
    pub fn with_status(status: i32) -> Self {
        Self { status: Some(status), ..Self::default() }
    }
}

/// A limit that a container broke. Source: Mesos `ContainerLimitation`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limitation {
    /// One of `REASON_CONTAINER_LIMITATION...`.
    pub reason: Reason,
    /// What the limit is, and what was used, for people.
    pub message: String,
    /// What it is about: the resources that were exceeded.
    pub resources: Resources,
}

/// What has become of a container while the agent was away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It runs: the process id of its first process. Its end will be reported as that of any other.
    Running(u32),
    /// Nothing of it is left.
    Ended(ContainerEnd),
}

/// Which question an answer is for: chosen by the edge, unique among those that are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ask(pub u64);

/// The kinds of refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The question is wrong.
    Invalid,
    /// Not from this asker, or not now.
    Forbidden,
    /// The agent can't do it now.
    Unavailable,
}
