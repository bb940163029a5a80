//! `meseta master`.
//!
//! | part | what it is |
//! |---|---|
//! | [`flags`] | the table of its flags |
//! | [`settings`] | what they say of the master machine and of its replica |
//! | [`member`] | which master it is, and with whom it begins |
//! | [`begin`] | opens what it keeps, or begins it |
//! | [`compare`] | its flags beside what its cluster says |
//! | [`advice`] | flags that have another meaning than in Mesos, or none |

mod advice;
pub mod begin;
mod compare;
mod flags;
pub mod member;
mod settings;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use libactor::{Node, Pid};
use master::group::{self, Ended, GroupHandle, MasterStart, Start};
use master::replication::{self, Disposition, MembersRequest, Recovered, ReplicaConfig};
use tokio::time::timeout;

use self::begin::Begun;
use self::flags::FLAGS;
use self::member::{Begin, Plan, listed};
use super::{Command, Failure, daemon};
use crate::flags::{Arguments, Flags, Surroundings};
use crate::memory::let_go_of_the_start;
use crate::runtime;
use crate::work_dir::WorkDir;

/// The command.
pub const COMMAND: Command = Command {
    name: "master",
    synopsis: "--work_dir=DIR [--id=N --peers=1=HOST:PORT,2=HOST:PORT,3=HOST:PORT] [flags]",
    summary: "run a master",
    flags: FLAGS,
    hidden: false,
    run: run_master,
};

/// How long a master that ends waits until another one leads.
const HAND_OVER: Duration = Duration::from_secs(2);

fn run_master(words: &[String]) -> Result<ExitCode, Failure> {
    runtime::block_on(async {
        // First of all: one that is asked to end while it only begins ends as any other.
        let signals = runtime::EndSignals::listen()?;
        run(words, signals).await
    })
}

async fn run(words: &[String], mut signals: runtime::EndSignals) -> Result<ExitCode, Failure> {
    let surroundings = Surroundings::of_process(&["/etc/mesos-master"]);
    let flags = Flags::load("master", FLAGS, Arguments::None, words, &surroundings)?;
    let mut listen = daemon::listen(&flags)?;
    let plan = Plan::of(&flags, listen.advertise_port.unwrap_or(listen.port))?;
    advice::refuse(&flags, &plan)?;
    let tick = settings::tick(&flags)?;
    let master = daemon::master(&flags, "master", settings::settings(&flags)?);
    let work_dir = WorkDir::claim(Path::new(flags.needed("work_dir")?), "master")?;
    let level = daemon::log(&flags, "master", None)?;
    runtime::open_many_files();
    plan.advertise(&mut listen).await?;
    let node = listen.bind(master::NAME).await?;
    daemon::adjust_log_over_http(&node, level);
    let own = node.address().to_string();
    let begun = begin::open(&flags, &plan, work_dir.path(), &own)?;
    daemon::log_flags(&flags);
    tokio::task::spawn_local(let_go_of_the_start(node.clock().clone()));
    advice::warn(&flags, &plan, begun.first);
    log_start(&plan, &begun, &node.pid(master::NAME));
    let Recovered { identity, snapshot, .. } = &begun.recovered;
    let known = snapshot.state.masters.get(&identity.id).map(|member| &member.address);
    compare::refuse_twin(&node, identity.id, known).await?;
    let replica = ReplicaConfig {
        hostname: daemon::hostname(&flags),
        tick,
        ..ReplicaConfig::new(node.pid(replication::NAME), node.pid(master::NAME))
    };
    let Begun { recovered, storage, events, .. } = begun;
    let (seed, log_is_a_file) = (daemon::seed()?, flags.text("log_dir").is_some());
    let handle = group::start(&node, Start { replica, recovered, storage, events, master, seed })?;
    let ended = tokio::select! {
        biased;
        ended = handle.ended() => ended,
        message = compare::when_led(&node, &handle, &flags, &plan) => {
            tracing::error!("{message}");
            Ended { message, failed: true }
        }
        signal = signals.next() => {
            tracing::info!(signal, "ending");
            hand_over(&handle).await;
            Ended { message: String::new(), failed: false }
        }
    };
    node.shutdown().await;
    match ended.failed {
        // The log has it; where that is a file it is said here too.
        true if log_is_a_file => Err(ended.message.into()),
        true => Ok(ExitCode::FAILURE),
        false => Ok(ExitCode::SUCCESS),
    }
}

/// A master that leads and is told to end lets another one lead, if there is one: nobody has to miss it first.
async fn hand_over(handle: &GroupHandle) {
    if *handle.standing().borrow() == Disposition::Leading {
        // What comes of it changes nothing here.
        let _ = timeout(HAND_OVER, handle.ask(MembersRequest::Transfer { to: None })).await;
    }
}

/// Starts a master on a node, alone, that forgets everything at its end.
///
/// # Errors
/// The system has no randomness to give, or the node has a master already.
pub fn start_alone(node: &Node, master: MasterStart) -> Result<GroupHandle, Failure> {
    let plan = Plan { id: None, begin: Begin::Alone };
    let Begun { recovered, storage, events, .. } = begin::in_memory(&plan, &node.address().to_string())?;
    let replica = ReplicaConfig::new(node.pid(replication::NAME), node.pid(master::NAME));
    let start = Start { replica, recovered, storage, events, master, seed: daemon::seed()? };
    Ok(group::start(node, start)?)
}

/// Says who this master is and with whom.
fn log_start(plan: &Plan, begun: &Begun, pid: &Pid) {
    let Recovered { identity, snapshot, .. } = &begun.recovered;
    let cluster = identity.cluster.map_or("none yet".to_owned(), |cluster| cluster.to_string());
    tracing::info!(id = %identity.id, %cluster, registry = begun.place, "listening on {pid}");
    if begun.first && !snapshot.state.masters.is_empty() {
        let members = snapshot.state.masters.iter().map(|(id, member)| (id, &member.address));
        tracing::info!(members = listed(members), "a new cluster begins");
    }
    if let Begin::Newcomer(masters) = &plan.begin
        && snapshot.state.masters.is_empty()
    {
        tracing::info!(
            "waiting to be taken in: 'meseta masters --master={} add {}={}'",
            masters.join(","),
            identity.id,
            pid.address()
        );
    }
}
