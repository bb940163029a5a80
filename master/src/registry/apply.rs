//! What operations do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::{AgentInfo, UnixTime};

use super::member::Member;
use super::{Admitted, MemberId, Operation, State, Subscribed, Unreachable, Wish};
use crate::core::limits::{MAX_GONE_AGENTS, MAX_REMOVED_FRAMEWORKS, MAX_UNREACHABLE_AGENTS};

impl State {
    /// The registry that the first masters of a cluster begin with.
    pub fn of_founders(masters: &BTreeMap<MemberId, String>) -> Self {
        let member = |address: &String| Member { address: address.clone(), disk: None, version: 0 };
        Self {
            masters: masters.iter().map(|(id, address)| (*id, member(address))).collect(),
            ..Self::default()
        }
    }

    /// Carries an operation out. What makes no sense (removing an unknown agent) changes nothing.
    pub fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::AdmitAgent { agent }
            | Operation::UpdateAgent { agent }
            | Operation::MarkAgentReachable { agent } => self.admit(agent),
            Operation::MarkAgentUnreachable { agent_id, since } => {
                if let Some(admitted) = self.admitted.remove(agent_id) {
                    let unreachable = Unreachable { since: *since, wish: admitted.wish };
                    self.unreachable.insert(agent_id.clone(), unreachable);
                    forget_oldest(&mut self.unreachable, MAX_UNREACHABLE_AGENTS, |agent| agent.since);
                }
            }
            Operation::RemoveAgent { agent_id } => {
                self.admitted.remove(agent_id);
                self.unreachable.remove(agent_id);
            }
            Operation::MarkAgentGone { agent_id, since } => {
                self.admitted.remove(agent_id);
                self.unreachable.remove(agent_id);
                self.gone.insert(agent_id.clone(), *since);
                forget_oldest(&mut self.gone, MAX_GONE_AGENTS, |since| *since);
            }
            Operation::DeactivateAgent { agent_id } => self.wish(agent_id, |wish| wish.deactivated = true),
            Operation::ReactivateAgent { agent_id } => self.wish(agent_id, |wish| *wish = Wish::default()),
            Operation::DrainAgent { agent_id, drain } => self.wish(agent_id, |wish| {
                *wish = Wish { deactivated: true, drain: Some(drain.clone()) };
            }),
            Operation::MarkAgentDrained { agent_id } => self.wish(agent_id, |wish| {
                if let Some(drain) = &mut wish.drain {
                    drain.drained = true;
                }
            }),
            Operation::Prune { unreachable, gone } => {
                for id in unreachable {
                    self.unreachable.remove(id);
                }
                for id in gone {
                    self.gone.remove(id);
                }
            }
            Operation::SubscribeFramework { framework, at } => {
                let Some(id) = &framework.id else { return };
                let since = self.frameworks.get(id).map_or(*at, |known| known.since);
                let subscribed = Subscribed { info: framework.clone(), since, disconnected: None };
                self.frameworks.insert(id.clone(), subscribed);
            }
            Operation::DisconnectFramework { framework_id, since } => {
                if let Some(framework) = self.frameworks.get_mut(framework_id) {
                    framework.disconnected.get_or_insert(*since);
                }
            }
            Operation::RemoveFramework { framework_id, at } => {
                self.frameworks.remove(framework_id);
                self.removed_frameworks.insert(framework_id.clone(), *at);
                forget_oldest(&mut self.removed_frameworks, MAX_REMOVED_FRAMEWORKS, |at| *at);
            }
            Operation::UpdateWeights { weights } => {
                self.weights.extend(weights.iter().map(|(role, weight)| (role.clone(), *weight)));
            }
            Operation::UpdateQuotas { .. }
            | Operation::UpdateSchedule { .. }
            | Operation::StartMaintenance { .. }
            | Operation::StopMaintenance { .. } => self.plan(operation),
            Operation::Found { .. }
            | Operation::Lead { .. }
            | Operation::AddMaster { .. }
            | Operation::RemoveMaster { .. }
            | Operation::ReplaceMaster { .. }
            | Operation::IdentifyMaster { .. } => self.apply_to_masters(operation),
        }
    }

    fn admit(&mut self, agent: &Arc<AgentInfo>) {
        let Some(id) = &agent.id else { return };
        let back = self.unreachable.remove(id).map(|unreachable| unreachable.wish);
        let wish = back.or_else(|| self.admitted.get(id).map(|known| known.wish.clone())).unwrap_or_default();
        self.admitted.insert(id.clone(), Admitted { info: agent.clone(), wish });
    }

    fn wish(&mut self, agent_id: &protocol::AgentId, change: impl FnOnce(&mut Wish)) {
        let admitted = self.admitted.get_mut(agent_id).map(|agent| &mut agent.wish);
        let wish = admitted.or_else(|| self.unreachable.get_mut(agent_id).map(|agent| &mut agent.wish));
        if let Some(wish) = wish {
            change(wish);
        }
    }

    /// Quotas and maintenance.
    fn plan(&mut self, operation: &Operation) {
        match operation {
            Operation::UpdateQuotas { quotas } => {
                for (role, quota) in quotas {
                    if *quota == super::Quota::default() {
                        self.quotas.remove(role);
                    } else {
                        self.quotas.insert(role.clone(), quota.clone());
                    }
                }
            }
            Operation::UpdateSchedule { windows } => self.maintenance = windows.clone(),
            Operation::StartMaintenance { machines } => {
                let down: BTreeSet<_> = self.machines_down.iter().collect();
                let new: Vec<_> =
                    machines.iter().filter(|machine| !down.contains(machine)).cloned().collect();
                self.machines_down.extend(new);
            }
            Operation::StopMaintenance { machines } => {
                let machines: BTreeSet<_> = machines.iter().collect();
                self.machines_down.retain(|machine| !machines.contains(machine));
                for window in &mut self.maintenance {
                    window.machines.retain(|machine| !machines.contains(machine));
                }
                self.maintenance.retain(|window| !window.machines.is_empty());
            }
            _ => {}
        }
    }

    fn apply_to_masters(&mut self, operation: &Operation) {
        let member = |address: &str| Member { address: address.to_owned(), disk: None, version: 0 };
        match operation {
            Operation::Found { cluster } => {
                self.cluster.get_or_insert(*cluster);
            }
            Operation::Lead { leader } => self.leader = Some(leader.clone()),
            Operation::AddMaster { id, address } => {
                self.masters.entry(*id).or_insert_with(|| member(address));
            }
            Operation::RemoveMaster { id } => self.let_go(*id),
            Operation::ReplaceMaster { old, new, address } => {
                self.let_go(*old);
                self.masters.insert(*new, member(address));
            }
            Operation::IdentifyMaster { id, disk, version } => {
                if let Some(known) = self.masters.get_mut(id) {
                    known.disk.get_or_insert(*disk);
                    known.version = *version;
                }
            }
            _ => {}
        }
    }

    fn let_go(&mut self, id: MemberId) {
        if let Some(member) = self.masters.remove(&id) {
            self.former_masters.insert(id, member.disk);
        }
    }
}

fn forget_oldest<K: Ord + Clone, V>(all: &mut BTreeMap<K, V>, most: usize, since: impl Fn(&V) -> UnixTime) {
    if all.len() > most {
        let oldest = all.iter().min_by(|(a, x), (b, y)| (since(x), a).cmp(&(since(y), b)));
        if let Some(key) = oldest.map(|(key, _)| key.clone()) {
            all.remove(&key);
        }
    }
}
