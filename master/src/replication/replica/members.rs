//! Changes of members: one at a time, in steps. The operator is answered when the last one is applied.

use std::collections::VecDeque;

use raft::ProgressState;
use raft::eraftpb::{ConfChangeSingle, ConfChangeType, ConfChangeV2};

use super::Replica;
use crate::registry::{MemberId, Operation, codec};
use crate::replication::input::{Ask, Disposition, MembersRequest, Output, ReplicaAnswer};
use crate::replication::limits::{
    CATCH_UP_ELECTIONS, CATCH_UP_ENTRIES, CHANGE_ELECTIONS, TRANSFER_ELECTIONS,
};

/// A change that is under way.
#[derive(Debug)]
pub(super) struct Change {
    ask: Ask,
    request: MembersRequest,
    steps: VecDeque<Step>,
    /// When the first of them began.
    since: u64,
    /// Where its entry is, once it is proposed.
    index: Option<u64>,
}

#[derive(Debug)]
enum Step {
    /// An entry in the log.
    Propose { changes: Vec<(ConfChangeType, MemberId)>, operations: Vec<Operation> },
    /// A learner comes near the end of the log.
    CatchUp { id: MemberId },
    /// Another one leads. Then all is done, or the operator goes on there.
    HandOver { to: MemberId, done: bool },
}

impl Change {
    /// Who waits for a master that does not come can let it go again.
    fn is_ended_by(&self, request: &MembersRequest) -> bool {
        match (self.steps.front(), request) {
            (Some(Step::CatchUp { id }), MembersRequest::Remove { id: removed }) => id == removed,
            _ => false,
        }
    }

    pub(super) fn in_words(&self) -> String {
        let what = match &self.request {
            MembersRequest::Add { id, address } => format!("adding master {id} at {address}"),
            MembersRequest::Remove { id } => format!("removing master {id}"),
            MembersRequest::Replace { old, new, address } => {
                format!("replacing master {old} by master {new} at {address}")
            }
            _ => "handing over the lead".to_owned(),
        };
        match self.steps.front() {
            Some(Step::CatchUp { id }) => format!("{what}: master {id} catches up"),
            Some(Step::HandOver { to, .. }) => format!("{what}: master {to} is to lead"),
            _ => what,
        }
    }
}

impl Replica {
    pub(super) fn on_change(&mut self, ask: Ask, request: MembersRequest, out: &mut Vec<Output>) {
        let answer = |answer| Output::Answer { ask, answer };
        if self.lead.as_ref().is_none_or(|lead| !lead.announced) {
            out.push(answer(ReplicaAnswer::NotLeading { leader: self.leading_replica() }));
            return;
        }
        if let Some(change) = self.change.take_if(|change| change.is_ended_by(&request)) {
            let why = "it is removed before it has caught up".to_owned();
            out.push(Output::Answer { ask: change.ask, answer: ReplicaAnswer::Refused(why) });
        }
        if let Some(change) = &self.change {
            let why = format!("another change is under way ({}): wait for its end", change.in_words());
            out.push(answer(ReplicaAnswer::Refused(why)));
            return;
        }
        match self.plan(&request) {
            Err(why) => out.push(answer(ReplicaAnswer::Refused(why))),
            Ok(steps) if steps.is_empty() => out.push(answer(ReplicaAnswer::Done)),
            Ok(steps) => {
                self.change = Some(Change { ask, request, steps, since: self.ticks, index: None });
                self.drive_change(out);
            }
        }
    }

    fn leading_replica(&self) -> Option<libactor::Pid> {
        self.peers.get(&MemberId(self.node.raft.leader_id)).and_then(|peer| peer.pid.clone())
    }

    /// The steps of a change; none: it is as it should be already. What an earlier leader began is gone on with.
    fn plan(&self, request: &MembersRequest) -> Result<VecDeque<Step>, String> {
        let me = self.identity.id;
        match request {
            MembersRequest::Add { id, address } => match self.state.masters.get(id) {
                Some(member) if member.address == *address => Ok(self.join(*id, address)),
                _ => {
                    self.refuse_number(*id)?;
                    self.refuse_address(*id, address)?;
                    Ok(self.join(*id, address))
                }
            },
            MembersRequest::Remove { id } => {
                self.refuse_unknown(*id)?;
                self.refuse_minority(*id, None)?;
                if *id == me {
                    return self.hand_over(None, false);
                }
                Ok(VecDeque::from([leave(*id)]))
            }
            MembersRequest::Replace { old, new, address } if old == new => {
                if self.state.former_masters.contains_key(old) && !self.state.masters.contains_key(old) {
                    self.refuse_address(*new, address)?;
                    return Ok(self.join(*new, address));
                }
                self.refuse_unknown(*old)?;
                let there = self.state.masters.get(old).is_some_and(|member| member.address == *address);
                if there && self.members.learners.contains(&old.0) {
                    // It has come back already: to let it go once more would take its new disk for an old one.
                    return Ok(self.join(*new, address));
                }
                let lost = self.peers.get(old).is_none_or(|peer| peer.lost);
                if there && *old != me && self.answers(*old) && !lost {
                    return Err(format!(
                        "master {old} answers, with the work directory that the cluster knows: nothing is to be replaced. \
                         If it gets another one, stop it first"
                    ));
                }
                self.refuse_address(*new, address)?;
                self.refuse_minority(*old, None)?;
                if *old == me {
                    return self.hand_over(None, false);
                }
                let mut steps = VecDeque::from([leave(*old)]);
                steps.extend(come(*new, address));
                Ok(steps)
            }
            MembersRequest::Replace { old, new, address } => self.plan_replacing(*old, *new, address),
            MembersRequest::Transfer { to } => {
                if let Some(id) = to {
                    self.refuse_unknown(*id)?;
                }
                if *to == Some(me) { Ok(VecDeque::new()) } else { self.hand_over(*to, true) }
            }
            MembersRequest::Status | MembersRequest::Registry => Ok(VecDeque::new()),
        }
    }

    fn plan_replacing(&self, old: MemberId, new: MemberId, address: &str) -> Result<VecDeque<Step>, String> {
        let begun = self.state.masters.get(&new).is_some_and(|member| member.address == address);
        if begun && self.votes(new) && self.state.former_masters.contains_key(&old) {
            return Ok(VecDeque::new());
        }
        self.refuse_unknown(old)?;
        if !begun {
            self.refuse_number(new)?;
            self.refuse_address(new, address)?;
        } else if self.votes(new) {
            return Err(format!("master {new} votes already: remove master {old} instead"));
        }
        // Who comes will answer: it has caught up before.
        let others: Vec<_> =
            self.members.voters.iter().map(|id| MemberId(*id)).filter(|id| *id != old).collect();
        let answering = others.iter().filter(|id| self.answers(**id)).count() + 1;
        if answering * 2 <= others.len() + 1 {
            self.refuse_minority(old, Some(new))?;
        }
        if old == self.identity.id {
            return self.hand_over(None, false);
        }
        let mut steps: VecDeque<Step> =
            if begun { VecDeque::new() } else { VecDeque::from([learn(new, address)]) };
        steps.push_back(Step::CatchUp { id: new });
        let changes = vec![(ConfChangeType::AddNode, new), (ConfChangeType::RemoveNode, old)];
        // The old one goes from the registry when the joint change is over: until then its vote counts.
        steps.push_back(Step::Propose { changes, operations: Vec::new() });
        Ok(steps)
    }

    /// What is left to do until a master votes.
    fn join(&self, id: MemberId, address: &str) -> VecDeque<Step> {
        let mut steps = VecDeque::from(come(id, address));
        if self.votes(id) {
            steps.clear();
        } else if self.members.learners.contains(&id.0) {
            steps.pop_front();
        }
        steps
    }

    /// Another one is to lead: this one if it is given, else the one that is furthest.
    fn hand_over(&self, to: Option<MemberId>, done: bool) -> Result<VecDeque<Step>, String> {
        let progress = |id: &MemberId| self.node.raft.prs().get(id.0).map_or(0, |progress| progress.matched);
        let others = self.members.voters.iter().map(|id| MemberId(*id)).filter(|id| *id != self.identity.id);
        let able = others.filter(|id| self.answers(*id) && to.is_none_or(|to| to == *id));
        let best = able.max_by_key(|id| (progress(id), std::cmp::Reverse(*id)));
        match (best, to) {
            (Some(to), _) => Ok(VecDeque::from([Step::HandOver { to, done }])),
            (None, Some(to)) if !self.votes(to) => Err(format!("master {to} does not vote: it can't lead")),
            (None, Some(to)) => Err(format!("master {to} does not answer: it can't lead")),
            (None, None) => Err("no other master that votes answers: nobody else can lead".to_owned()),
        }
    }

    /// Goes on as far as possible.
    fn drive_change(&mut self, out: &mut Vec<Output>) {
        let Some(change) = &mut self.change else { return };
        let Some(step) = change.steps.front() else {
            let ask = change.ask;
            self.change = None;
            out.push(Output::Answer { ask, answer: ReplicaAnswer::Done });
            return;
        };
        match step {
            Step::Propose { changes, operations } => {
                // Raft makes nothing of a change that comes while another one is not applied.
                if change.index.is_some() || self.node.raft.has_pending_conf() || self.lead.is_none() {
                    return;
                }
                let single = |(kind, id): &(ConfChangeType, MemberId)| ConfChangeSingle {
                    change_type: *kind,
                    node_id: id.0,
                    ..Default::default()
                };
                let changes: Vec<_> = changes.iter().map(single).collect();
                let change_v2 = ConfChangeV2 { changes: changes.into(), ..Default::default() };
                let context =
                    if operations.is_empty() { Vec::new() } else { codec::encode_operations(operations) };
                if self.node.propose_conf_change(context, change_v2).is_ok() {
                    change.index = Some(self.node.raft.raft_log.last_index());
                }
            }
            Step::CatchUp { id } => {
                let last = self.node.raft.raft_log.last_index();
                let progress = self.node.raft.prs().get(id.0);
                let near = progress.is_some_and(|progress| {
                    // While nothing is proposed raft goes on probing one that has all.
                    progress.state != ProgressState::Snapshot
                        && progress.matched > 0
                        && progress.matched + CATCH_UP_ENTRIES >= last
                });
                let id = *id;
                if near && self.answers(id) {
                    self.next_step(out);
                }
            }
            Step::HandOver { to, .. } => {
                let to = to.0;
                if self.is_raft_leader() && self.node.raft.lead_transferee.is_none() {
                    self.node.transfer_leader(to);
                    self.after_step(out);
                }
            }
        }
    }

    fn next_step(&mut self, out: &mut Vec<Output>) {
        if let Some(change) = &mut self.change {
            change.steps.pop_front();
            change.since = self.ticks;
            change.index = None;
            self.drive_change(out);
        }
    }

    /// A change of members is applied here, not necessarily one of this lead.
    pub(super) fn change_is_applied(&mut self, index: u64, out: &mut Vec<Output>) {
        let proposed = self.change.as_ref().and_then(|change| change.index);
        // A joint change ends with a second entry.
        if proposed.is_some_and(|proposed| proposed <= index) && self.members.voters_outgoing.is_empty() {
            self.next_step(out);
        }
    }

    pub(super) fn change_is_deposed(&mut self, out: &mut Vec<Output>) {
        let Some(change) = &self.change else { return };
        if !matches!(change.steps.front(), Some(Step::HandOver { .. })) || self.ended {
            let ask = change.ask;
            self.change = None;
            out.push(Output::Answer { ask, answer: ReplicaAnswer::NotLeading { leader: None } });
        }
    }

    pub(super) fn change_tick(&mut self, out: &mut Vec<Output>) {
        if self.lead.is_some()
            && !self.members.voters_outgoing.is_empty()
            && !self.node.raft.has_pending_conf()
        {
            // Raft leaves a joint change by itself, but for a leader that came in between.
            if let Err(error) = self.node.propose_conf_change(Vec::new(), ConfChangeV2::default()) {
                tracing::debug!("the joint change goes on: {error}");
            }
        }
        self.drive_change(out);
        let Some(change) = &self.change else { return };
        let (ask, since) = (change.ask, change.since);
        let answer = match change.steps.front() {
            Some(Step::HandOver { done, .. }) if !self.is_raft_leader() => {
                match (&self.disposition, done) {
                    (Disposition::Following { .. }, true) => ReplicaAnswer::Done,
                    (Disposition::Following { .. }, false) => {
                        ReplicaAnswer::NotLeading { leader: self.leading_replica() }
                    }
                    _ if self.passed(since, TRANSFER_ELECTIONS * 4) => ReplicaAnswer::NotLeading { leader: None },
                    _ => return,
                }
            }
            Some(Step::HandOver { to, .. }) if self.passed(since, TRANSFER_ELECTIONS) => {
                self.node.raft.abort_leader_transfer();
                ReplicaAnswer::Refused(format!("master {to} has not taken over in time: this one goes on leading"))
            }
            Some(Step::CatchUp { id }) if self.passed(since, CATCH_UP_ELECTIONS) => ReplicaAnswer::Refused(format!(
                "master {id} has not caught up: it learns on, and does not vote. Start it and ask again, or remove it"
            )),
            Some(Step::Propose { .. }) if self.passed(since, CHANGE_ELECTIONS) => ReplicaAnswer::Refused(
                "the masters have not agreed in time. It may still take place: look at the masters before you ask again"
                    .to_owned(),
            ),
            _ => return,
        };
        self.change = None;
        out.push(Output::Answer { ask, answer });
    }
}

fn learn(id: MemberId, address: &str) -> Step {
    let operations = vec![Operation::AddMaster { id, address: address.to_owned() }];
    Step::Propose { changes: vec![(ConfChangeType::AddLearnerNode, id)], operations }
}

fn come(id: MemberId, address: &str) -> [Step; 3] {
    let promote = Step::Propose { changes: vec![(ConfChangeType::AddNode, id)], operations: Vec::new() };
    [learn(id, address), Step::CatchUp { id }, promote]
}

fn leave(id: MemberId) -> Step {
    let operations = vec![Operation::RemoveMaster { id }];
    Step::Propose { changes: vec![(ConfChangeType::RemoveNode, id)], operations }
}
