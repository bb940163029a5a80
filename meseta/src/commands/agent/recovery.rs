//! What an agent keeps for its next run, and what it takes up of the one before.

use std::path::{Path, PathBuf};

use agent::checkpoint::{self, Disk, Keeping};
use agent::core::checkpoint::{Key, Record};
use agent::core::{AgentConfig, ReconfigurationPolicy, Recover};
use agent::shell::AgentHandle;
use libactor::Node;

use super::super::{Failure, look};
use crate::flags::Flags;
use crate::runtime::{Listen, ListenError};

/// Where the machine says which of its starts this is. Source: Linux.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Opens what the agent with this work directory keeps.
pub(super) fn open(flags: &Flags, work_dir: &Path) -> Result<Keeping, Failure> {
    let strict = flags.switch("strict");
    // Who asks for what can be read expects damage.
    let look = |directory: &Path| look::at("agent", directory, !strict);
    Ok(Disk::open_looked_at(&checkpoint::directory(work_dir), strict, &look)?)
}

/// Opens the agent's socket. Where any port will do, it is the one that executors of an earlier run know, if that is free.
pub(super) async fn bind(listen: Listen, actor: &str, keeping: &Keeping) -> Result<Node, ListenError> {
    let former = keeping.records.0.get(&Key::Agent).and_then(|record| match record {
        Record::Agent(agent) => Some(agent.info.port),
        _ => None,
    });
    if let (0, Some(port)) = (listen.port, former) {
        match (Listen { port, ..listen.clone() }).bind(actor).await {
            Ok(node) => return Ok(node),
            Err(error) => {
                tracing::warn!(%error, "executors of the run before know another port than that of this one");
            }
        }
    }
    listen.bind(actor).await
}

/// What the flags say of recovery.
pub(super) fn settings(flags: &Flags, config: &mut AgentConfig) {
    let take = |name, into: &mut std::time::Duration| *into = flags.duration(name).unwrap_or(*into);
    take("recovery_timeout", &mut config.recovery_timeout);
    take("executor_reregistration_timeout", &mut config.executor_reregistration_timeout);
    config.recover = match flags.text("recover") {
        Some("cleanup") => Recover::Cleanup,
        _ => Recover::Reconnect,
    };
    config.reconfiguration_policy = match flags.text("reconfiguration_policy") {
        Some("equal") => ReconfigurationPolicy::Equal,
        Some("additive") => ReconfigurationPolicy::Additive,
        _ => ReconfigurationPolicy::Compatible,
    };
    config.boot_id = boot_id();
}

/// Empty: it is not known, and the machine counts as not started anew.
fn boot_id() -> String {
    let path = boot_id_file();
    match std::fs::read_to_string(&path) {
        Ok(text) => text.trim().to_owned(),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "a new start of this machine can't be told");
            String::new()
        }
    }
}

/// Tests start the machine anew by `MESETA_BOOT_ID_FILE`, which only debug builds read.
fn boot_id_file() -> PathBuf {
    let other = if cfg!(debug_assertions) { std::env::var_os("MESETA_BOOT_ID_FILE") } else { None };
    other.map_or_else(|| BOOT_ID.into(), PathBuf::from)
}

/// Says in the log what goes on when this process has ended.
pub(super) async fn take_leave(handle: &AgentHandle, signal: i32) {
    let Some(snapshot) = handle.snapshot().await else { return };
    let counts = |checkpoint: bool| {
        let frameworks =
            snapshot.frameworks.values().filter(|framework| framework.info.checkpoint == checkpoint);
        frameworks.map(|framework| framework.executors.len()).sum::<usize>()
    };
    let (staying, ending) = (counts(true), counts(false));
    tracing::info!(
        signal,
        "ending; {staying} executors go on without the agent{}. To take them over, start the agent again with the same \
         --work_dir within {:?}; to end them, start it with --recover=cleanup, or end agents by SIGUSR1 in place of SIGTERM",
        match ending {
            0 => String::new(),
            ending => format!(", {ending} whose frameworks do not checkpoint end with it"),
        },
        snapshot.config.recovery_timeout,
    );
}
