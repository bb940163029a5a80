//! Sums over all agents and frameworks, kept by what comes and goes: a gauge never costs a pass over them.

use protocol::Resources;
use protocol::resources::Value;

use crate::edge::snapshot::{AgentView, FrameworkView};

/// The names that are summed.
pub(crate) const AMOUNTS: [&str; 4] = ["cpus", "mem", "disk", "gpus"];

/// Thousandths of each of [`AMOUNTS`], of what can't be taken back and of what can.
type Amounts = [[u64; AMOUNTS.len()]; 2];

/// The sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Agents whose resources may be offered.
    pub(crate) active_agents: usize,
    /// Agents whose link holds.
    pub(crate) connected_agents: usize,
    /// What active agents have.
    pub(crate) total: Amounts,
    /// What of it is used.
    pub(crate) used: Amounts,
    /// What of it is offered.
    pub(crate) offered: Amounts,
    /// Frameworks whose scheduler is there.
    pub(crate) connected_frameworks: usize,
    /// Tasks on agents that do not answer.
    pub(crate) unreachable_tasks: usize,
}

impl Totals {
    /// An agent looked like this, and looks like that now; nothing where it was, or is, not there.
    pub(super) fn agent(&mut self, before: Option<&AgentView>, now: Option<&AgentView>) {
        for (agent, change) in [(before, Change::Less), (now, Change::More)] {
            let Some(agent) = agent else { continue };
            change.count(&mut self.connected_agents, usize::from(agent.connected));
            if agent.active {
                change.count(&mut self.active_agents, 1);
                change.amounts(&mut self.total, &agent.info.resources);
                change.amounts(&mut self.used, &agent.used);
                change.amounts(&mut self.offered, &agent.offered);
            }
        }
    }

    /// The same of a framework.
    pub(super) fn framework(&mut self, before: Option<&FrameworkView>, now: Option<&FrameworkView>) {
        for (framework, change) in [(before, Change::Less), (now, Change::More)] {
            let Some(framework) = framework else { continue };
            change.count(&mut self.connected_frameworks, usize::from(framework.connected()));
            change.count(&mut self.unreachable_tasks, framework.unreachable_tasks.len());
        }
    }
}

/// What comes, or goes.
#[derive(Clone, Copy)]
enum Change {
    More,
    Less,
}

impl Change {
    fn count(self, sum: &mut usize, many: usize) {
        match self {
            Self::More => *sum += many,
            Self::Less => *sum = sum.saturating_sub(many),
        }
    }

    fn amounts(self, sums: &mut Amounts, resources: &Resources) {
        for resource in resources {
            let Value::Scalar(amount) = &resource.value else { continue };
            let Some(index) = AMOUNTS.iter().position(|name| **name == *resource.name) else { continue };
            let sum = &mut sums[usize::from(resource.revocable)][index];
            *sum = match self {
                Self::More => sum.saturating_add(amount.millis()),
                Self::Less => sum.saturating_sub(amount.millis()),
            };
        }
    }
}
