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

use libactor::{Node, Pid};
use master::group::{self, Ended, GroupHandle, MasterStart, Start};
use master::replication::{self, Recovered, ReplicaConfig};

use self::begin::Begun;
use self::flags::FLAGS;
use self::member::{Begin, Plan, listed};
use super::{Command, Failure, daemon};
use crate::flags::{Arguments, Flags, Surroundings};
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

fn run_master(words: &[String]) -> Result<ExitCode, Failure> {
    let surroundings = Surroundings::of_process(&["/etc/mesos-master"]);
    let flags = Flags::load("master", FLAGS, Arguments::None, words, &surroundings)?;
    let mut listen = daemon::listen(&flags)?;
    let plan = Plan::of(&flags, listen.advertise_port.unwrap_or(listen.port))?;
    advice::refuse(&flags, &plan)?;
    let tick = settings::tick(&flags)?;
    let master = daemon::master(&flags, "master", settings::settings(&flags)?);
    let work_dir = WorkDir::claim(Path::new(flags.needed("work_dir")?), "master")?;
    let level = daemon::log(&flags, "master", None)?;
    runtime::block_on(async {
        let mut signals = runtime::EndSignals::listen()?;
        plan.advertise(&mut listen).await?;
        let node = listen.bind(master::NAME).await?;
        daemon::adjust_log_over_http(&node, level);
        let own = node.address().to_string();
        let begun = begin::open(&flags, &plan, work_dir.path(), &own)?;
        daemon::log_flags(&flags);
        advice::warn(&flags, &plan, begun.first);
        log_start(&plan, &begun, &node.pid(master::NAME));
        let replica = ReplicaConfig {
            hostname: daemon::hostname(&flags),
            tick,
            ..ReplicaConfig::new(node.pid(replication::NAME), node.pid(master::NAME))
        };
        let Begun { recovered, storage, events, .. } = begun;
        let seed = daemon::seed()?;
        let handle = group::start(&node, Start { replica, recovered, storage, events, master, seed })?;
        let comparing =
            tokio::task::spawn_local(compare::when_led(node.clone(), handle.clone(), flags, plan));
        let ended = tokio::select! {
            biased;
            ended = handle.ended() => ended,
            signal = signals.next() => {
                tracing::info!(signal, "ending");
                Ended { message: String::new(), failed: false }
            }
        };
        comparing.abort();
        node.shutdown().await;
        match ended.failed {
            true => Err(ended.message.into()),
            false => Ok(ExitCode::SUCCESS),
        }
    })
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
    let members = snapshot.state.masters.iter().map(|(id, member)| (id, &member.address));
    tracing::info!(
        id = %identity.id,
        %cluster,
        members = listed(members),
        registry = begun.place,
        "listening on {pid}"
    );
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
