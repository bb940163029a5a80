//! Finds the masters, and among them the one that leads; asks it for a change, and waits for its end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use libactor::{Clock, Pid, Time};
use master::group::MembersAnswer;
use master::registry::MemberId;
use master::replication::{MasterRole, MasterStatus, MembersRequest, Status};
use tokio::task::JoinSet;

use super::super::Failure;
use super::line::{Lines, Silence, replica_at};
use super::table::Heard;
use super::words::describe;

/// A master that is well answers a question of what it knows at once; one that is not is not waited for longer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two looks at how a change goes, and before a master is asked again while none leads.
const PAUSE: Duration = Duration::from_millis(500);
/// After so many looks in a row that the leader leaves without an answer, another one is looked for.
const MOST_MISSED: u32 = 3;

/// The masters, as far as they are known.
#[derive(Debug)]
pub struct Masters {
    lines: Lines,
    clock: Clock,
    /// As given, and then as members were told of.
    addresses: Vec<String>,
}

/// How long to stay with a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Until it is under way: the leader goes on by itself.
    Begun,
    /// Until it is over.
    Done,
}

/// How one attempt at a change ended.
enum Attempt {
    Done,
    /// This one leads, or might know who does.
    Ask(Pid),
    /// Nobody leads, as far as is known; or who was asked is away.
    Again,
}

impl Masters {
    /// Those at these addresses, `host:port`, and whom they tell of.
    pub fn new(addresses: Vec<String>) -> Self {
        Self { lines: Lines::default(), clock: Clock::real(), addresses }
    }

    /// Lets go of them.
    pub async fn close(&self) {
        self.lines.close().await;
    }

    /// Asks all masters for what they know.
    ///
    /// # Errors
    /// None answers.
    pub async fn look(&mut self) -> Result<Heard, Failure> {
        let mut heard = Heard::default();
        let mut asked = BTreeSet::new();
        let mut silent: BTreeMap<String, Silence> = BTreeMap::new();
        loop {
            let new: Vec<String> = self.addresses.iter().filter(|a| !asked.contains(*a)).cloned().collect();
            if new.is_empty() {
                break;
            }
            asked.extend(new.iter().cloned());
            for (address, answer) in self.ask_all(new).await {
                match answer {
                    Ok(status) => {
                        let members = status.masters.iter().map(|member| member.address.clone());
                        let unknown = members.filter(|member| !self.addresses.contains(member));
                        self.addresses.extend(unknown.collect::<BTreeSet<_>>());
                        heard.0.insert(status.id, status);
                    }
                    Err(silence) => {
                        silent.insert(address, silence);
                    }
                }
            }
        }
        if !heard.0.is_empty() {
            return Ok(heard);
        }
        let each: Vec<_> = silent.iter().map(|(address, why)| format!("{address}: {why}")).collect();
        Err(format!("no master answers ({}); start it, or name another with --master", each.join("; "))
            .into())
    }

    async fn ask_all(&self, addresses: Vec<String>) -> Vec<(String, Result<Status, Silence>)> {
        let mut all = JoinSet::new();
        for address in addresses {
            let lines = self.lines.clone();
            all.spawn_local(async move {
                let answer = match replica_at(&address).await {
                    Ok(pid) => status_of(&lines, &pid).await,
                    Err(silence) => Err(silence),
                };
                (address, answer)
            });
        }
        all.join_all().await
    }

    /// Asks the leader for a change and waits for its end; `note` is told how it goes.
    ///
    /// # Errors
    /// It is refused, no master answers, or it takes longer than `limit`.
    pub async fn change(
        &mut self,
        change: &MembersRequest,
        limit: Duration,
        until: Until,
        note: fn(&str),
    ) -> Result<(), Failure> {
        let end = self.clock.now() + limit;
        let mut progress = Progress { note, said: String::new(), until };
        // Whether somebody may have begun with it and was lost before it said how it ended.
        let mut begun = false;
        let mut ask = None;
        let mut first = None;
        loop {
            let heard = self.look().await?;
            let Some(next) = (if begun { what_is_left(&heard, change, first) } else { Some(change.clone()) })
            else {
                return Ok(());
            };
            first = first.or(heard.leader().map(|leader| leader.id));
            let leader = heard.leader().and_then(|leader| address_of(leader, leader.id));
            let to = match (ask.take(), leader) {
                (Some(pid), _) => Some(pid),
                (None, Some(address)) => replica_at(&address).await.ok(),
                (None, None) => None,
            };
            let attempt = match to {
                Some(to) => self.attempt(&to, &next, end, begun, &mut progress).await?,
                None => {
                    progress.say(heard.leaderless().unwrap_or_default());
                    Attempt::Again
                }
            };
            match attempt {
                Attempt::Done => return Ok(()),
                Attempt::Ask(pid) => ask = Some(pid),
                Attempt::Again => {
                    begun = true;
                    self.clock.sleep_until(self.clock.now() + PAUSE).await;
                }
            }
            if self.clock.now() >= end {
                return Err(late(change));
            }
        }
    }

    /// Asks one master, and looks at how it goes until it answers.
    async fn attempt(
        &self,
        to: &Pid,
        change: &MembersRequest,
        end: Time,
        begun: bool,
        progress: &mut Progress,
    ) -> Result<Attempt, Failure> {
        let left = end.since(self.clock.now());
        let asked = self.lines.ask(to, change.clone(), left);
        let mut asked = std::pin::pin!(asked);
        let mut missed = 0;
        loop {
            let look = async {
                self.clock.sleep_until(self.clock.now() + PAUSE).await;
                status_of(&self.lines, to).await
            };
            tokio::select! {
                biased;
                answer = &mut asked => return match answer {
                    Ok(MembersAnswer::Done) => Ok(Attempt::Done),
                    Ok(MembersAnswer::NotLeading { leader: Some(leader) }) if leader != *to => Ok(Attempt::Ask(leader)),
                    Ok(MembersAnswer::NotLeading { .. }) => Ok(Attempt::Again),
                    Ok(MembersAnswer::Refused(reason)) if !begun => Err(reason.into()),
                    Ok(MembersAnswer::Refused(reason)) => {
                        Err(format!("{reason} (it was asked more than once, for its first leader was lost)").into())
                    }
                    Ok(MembersAnswer::Status(_) | MembersAnswer::Registry(_)) => {
                        Err(format!("{to} answers something else than it was asked").into())
                    }
                    Err(Silence::Late(_)) => Err(late(change)),
                    Err(_) => {
                        progress.say("the leader is lost; looking for another one".to_owned());
                        Ok(Attempt::Again)
                    }
                },
                seen = look => match seen {
                    Ok(status) => {
                        missed = 0;
                        if progress.see(&status, change) {
                            return Ok(Attempt::Done);
                        }
                    }
                    Err(_) => {
                        missed += 1;
                        if missed >= MOST_MISSED {
                            progress.say("the leader does not answer; looking for another one".to_owned());
                            return Ok(Attempt::Again);
                        }
                    }
                },
            }
        }
    }
}

fn late(change: &MembersRequest) -> Failure {
    let what = describe(change);
    format!("it is not so yet that {what}: it may go on without us, 'meseta masters' shows how far it is")
        .into()
}

async fn status_of(lines: &Lines, pid: &Pid) -> Result<Status, Silence> {
    match lines.ask(pid, MembersRequest::Status, PATIENCE).await? {
        MembersAnswer::Status(status) => Ok(*status),
        _ => Err(Silence::Gone),
    }
}

fn address_of(status: &Status, id: MemberId) -> Option<String> {
    status.masters.iter().find(|member| member.id == id).map(|member| member.address.clone())
}

/// What is to be asked for when a leader was lost on the way: some of it may be done. `first` is the one that led when it was
/// asked for the first time.
fn what_is_left(heard: &Heard, change: &MembersRequest, first: Option<MemberId>) -> Option<MembersRequest> {
    let Some(leader) = heard.leader() else { return Some(change.clone()) };
    let member = |id: MemberId| leader.masters.iter().find(|member| member.id == id);
    let votes = |id: MemberId, address: &String| {
        member(id).is_some_and(|member| member.address == *address && member.role != MasterRole::Learner)
    };
    let done = match change {
        MembersRequest::Add { id, address } => votes(*id, address),
        MembersRequest::Remove { id } => member(*id).is_none(),
        MembersRequest::Replace { old, new, address } if old == new => {
            if member(*old).is_some_and(|member| member.role == MasterRole::Learner) {
                // Its old disk is let go already: the new one must not be.
                return Some(MembersRequest::Add { id: *new, address: address.clone() });
            }
            // The old one did not answer, else nobody would replace it by itself.
            votes(*new, address) && heard.0.contains_key(new)
        }
        MembersRequest::Replace { old, new, address } => votes(*new, address) && member(*old).is_none(),
        MembersRequest::Transfer { to: Some(to) } => leader.id == *to,
        MembersRequest::Transfer { to: None } => first.is_some_and(|first| first != leader.id),
        MembersRequest::Status | MembersRequest::Registry => true,
    };
    (!done).then(|| change.clone())
}

/// Says how a change goes, nothing twice in a row.
struct Progress {
    note: fn(&str),
    said: String,
    until: Until,
}

impl Progress {
    fn say(&mut self, text: String) {
        if text != self.said {
            (self.note)(&text);
            self.said = text;
        }
    }

    /// Says whether that is as far as was wanted.
    fn see(&mut self, status: &Status, change: &MembersRequest) -> bool {
        let Some(under_way) = &status.change else { return false };
        let new = match change {
            MembersRequest::Add { id, .. } | MembersRequest::Replace { new: id, .. } => Some(*id),
            _ => None,
        };
        let learner = status.masters.iter().find(|member| Some(member.id) == new);
        let learner = learner.filter(|member| member.role == MasterRole::Learner);
        if self.until == Until::Begun && learner.is_some() {
            return true;
        }
        self.say(match learner {
            Some(learner) if learner.active == Some(false) => format!(
                "{under_way}: it does not answer at {}; is it started, and is that its address?",
                learner.address
            ),
            Some(MasterStatus { matched: Some(matched), .. }) => {
                format!("{under_way}: it has {matched} of {}", status.commit)
            }
            _ => under_way.clone(),
        });
        false
    }
}

#[cfg(test)]
mod tests;
