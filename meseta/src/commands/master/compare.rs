//! Compares what a master was started with to what its cluster says, once somebody leads: the cluster's word counts.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use libactor::Node;
use master::group::{GroupHandle, MembersAnswer};
use master::registry::MemberId;
use master::replication::{Disposition, MembersRequest, ReplicaAnswer, Status};

use tokio::time::timeout;

use super::super::Failure;
use super::super::masters::line::{Lines, replica_at};
use super::advice;
use super::member::{Begin, Plan, listed};
use crate::flags::Flags;

/// How long a master that might be the same one has to answer.
const TWIN_ANSWERS: Duration = Duration::from_secs(2);
/// A change of leaders takes less than this: only what lasts longer is worth a warning.
const WITHOUT_LEADER: Duration = Duration::from_secs(2);

/// Says who leads, at each change, and at the first what differs. Ends only if this master is in the wrong cluster: why, for its
/// operator.
pub async fn when_led(node: &Node, handle: &GroupHandle, flags: &Flags, plan: &Plan) -> String {
    let mut standing = handle.standing();
    let mut said = Disposition::Leaderless;
    let mut compared = false;
    loop {
        let now = standing.borrow_and_update().clone();
        let wait = if now == Disposition::Leaderless { WITHOUT_LEADER } else { Duration::ZERO };
        if let Ok(changed) = timeout(wait, standing.changed()).await {
            match changed {
                Ok(()) => continue,
                // The master has ended, which is told elsewhere.
                Err(_) => return std::future::pending().await,
            }
        }
        match &now {
            _ if now == said && compared => {}
            Disposition::Leading => tracing::info!("this master leads"),
            Disposition::Following { leader } => tracing::info!("{leader} leads"),
            Disposition::Leaderless => tracing::warn!("no master leads, as far as this one knows"),
        }
        if now != Disposition::Leaderless && !compared {
            compared = true;
            if let Err(foreign) = compare(node, handle, flags, plan).await {
                return foreign;
            }
        }
        said = now;
        if standing.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

async fn compare(node: &Node, handle: &GroupHandle, flags: &Flags, plan: &Plan) -> Result<(), String> {
    let ReplicaAnswer::Status(status) = handle.ask(MembersRequest::Status).await else { return Ok(()) };
    foreign(plan, &status)?;
    let members = status.masters.iter().map(|member| (&member.id, &member.address));
    let cluster = status.cluster.map(|cluster| cluster.to_string());
    tracing::info!(cluster, members = listed(members), "in touch with the cluster");
    let own = status.masters.iter().find(|member| member.id == status.id);
    let resolved = match own {
        Some(member) => replica_at(&member.address).await.ok().map(|pid| pid.address()),
        None => None,
    };
    for difference in differences(flags, plan, &status, node.address(), resolved) {
        tracing::warn!("{difference}");
    }
    Ok(())
}

/// A list of masters none of which, but this one, is in the cluster that the work directory belongs to: the directory is another
/// cluster's.
///
/// # Errors
/// It is.
fn foreign(plan: &Plan, status: &Status) -> Result<(), String> {
    let Begin::Founder(peers) = &plan.begin else { return Ok(()) };
    let mut others = peers.iter().filter(|(id, _)| **id != status.id).peekable();
    let known = |address: &String| status.masters.iter().any(|member| member.address == *address);
    if others.peek().is_none() || others.any(|(_, address)| known(address)) {
        return Ok(());
    }
    let members = status.masters.iter().map(|member| (&member.id, &member.address));
    Err(format!(
        "the work directory belongs to the cluster {}, whose masters are {}: none of the others that --peers names is among them. \
         Give the --work_dir of this master in the cluster of --peers, or leave --peers out",
        status.cluster.map_or_else(String::new, |cluster| cluster.to_string()),
        listed(members)
    ))
}

/// Whether another process is this master already, where the others look for it: two that vote as one could elect two leaders.
///
/// # Errors
/// It is.
pub async fn refuse_twin(node: &Node, id: MemberId, address: Option<&String>) -> Result<(), Failure> {
    let Some(address) = address else { return Ok(()) };
    let Ok(there) = replica_at(address).await else { return Ok(()) };
    if there.address() == node.address() {
        return Ok(());
    }
    let lines = Lines::default();
    let answer = lines.ask(&there, MembersRequest::Status, TWIN_ANSWERS).await;
    lines.close().await;
    match answer {
        Ok(MembersAnswer::Status(status)) if status.id == id => {
            let own = node.address();
            Err(format!(
                "master {id} runs already, at {address}, and this one is at {own}: each master needs its own --id and its \
                 own work directory, which is no copy of another's"
            )
            .into())
        }
        _ => Ok(()),
    }
}

/// What is to be said to the operator. `own` is where this master is reached, `resolved` the address that the cluster has for it,
/// looked up.
pub fn differences(
    flags: &Flags,
    plan: &Plan,
    status: &Status,
    own: SocketAddr,
    resolved: Option<SocketAddr>,
) -> Vec<String> {
    let members: BTreeMap<MemberId, String> =
        status.masters.iter().map(|member| (member.id, member.address.clone())).collect();
    let mut said = Vec::new();
    if let Begin::Founder(peers) = &plan.begin
        && *peers != members
    {
        said.push(format!(
            "the flag '--peers={}' is not heeded: the masters of this cluster are {}, which 'meseta masters add' and \
             'meseta masters remove' change",
            listed(peers),
            listed(&members)
        ));
    }
    said.extend(advice::quorum(flags, members.len()));
    if !matches!(plan.begin, Begin::Founder(_)) {
        said.extend(advice::even(members.len()));
    }
    let id = status.id;
    if let Some(address) = members.get(&id)
        && resolved != Some(own)
    {
        said.push(format!(
            "this master is reached at {own}, and the others look for it at {address}: start it with --ip and --port (or \
             --advertise_ip and --advertise_port) that lead there, or 'meseta masters replace {id} {id}={own}' once its \
             work directory is new"
        ));
    }
    said
}

#[cfg(test)]
mod tests {
    use master::replication::{MasterRole, MasterStatus};

    use super::super::FLAGS;
    use super::*;
    use crate::flags::{Arguments, Surroundings};

    fn started(words: &[&str], members: &[&str]) -> (Flags, Plan, Status) {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        let flags = Flags::load("master", FLAGS, Arguments::None, &words, &Surroundings::default()).unwrap();
        let plan = Plan::of(&flags, 5050).unwrap();
        let member = |(at, address): (usize, &&str)| MasterStatus {
            id: MemberId(at as u64 + 1),
            address: (*address).to_owned(),
            role: MasterRole::Follower,
            matched: None,
            active: None,
        };
        let status = Status {
            cluster: None,
            id: MemberId(1),
            term: 1,
            leader: None,
            commit: 1,
            applied: 1,
            log: (1, 1),
            snapshot: (0, 0),
            masters: members.iter().enumerate().map(member).collect(),
            change: None,
        };
        (flags, plan, status)
    }

    fn said(words: &[&str], members: &[&str], resolved: &str) -> Vec<String> {
        let (flags, plan, status) = started(words, members);
        differences(&flags, &plan, &status, "10.0.0.1:5050".parse().unwrap(), resolved.parse().ok())
    }

    #[test]
    fn a_work_directory_of_another_cluster_is_found_out() {
        let foreign = |peers: &str, members: &[&str]| {
            let (_, plan, status) = started(&["--id=1", peers], members);
            foreign(&plan, &status)
        };
        let alone = foreign("--peers=1=a:5050,2=b:5050,3=c:5050", &["a:5050"]).unwrap_err();
        assert!(
            alone.contains("whose masters are 1=a:5050: none of the others that --peers names"),
            "{alone}"
        );
        assert!(foreign("--peers=1=a:5050,2=b:5050,3=c:5050", &["x:5050", "y:5050"]).is_err());
        assert_eq!(foreign("--peers=1=a:5050,2=b:5050,3=c:5050", &["a:5050", "c:5050", "d:5050"]), Ok(()));
        assert_eq!(foreign("--peers=1=a:5050", &["a:5050", "b:5050"]), Ok(()));
    }

    #[test]
    fn what_agrees_is_not_mentioned_and_what_does_not_is_told_once_each() {
        let (three, two) = (["a:5050", "b:5050", "c:5050"], ["a:5050", "b:5050"]);
        let peers = "--peers=3=c:5050,1=a:5050,2=b:5050";
        let own = "10.0.0.1:5050";
        assert_eq!(said(&["--id=1", peers], &three, own), [""; 0]);
        assert_eq!(said(&[], &three[..1], own), [""; 0]);
        for (words, members, resolved, expected) in [
            (
                &["--id=1", peers][..],
                &two[..],
                own,
                "the masters of this cluster are 1=a:5050,2=b:5050, which",
            ),
            (
                &["--quorum=2"],
                &three,
                own,
                "'--quorum=2' is not needed: a majority of the 3 members, which is 2",
            ),
            (
                &["--quorum=3"],
                &three,
                own,
                "'--quorum=3' is not heeded: a majority of the 3 members, which is 2",
            ),
            (&[], &two, own, "2 masters survive the loss of 0"),
            (&[], &three, "10.0.0.9:5050", "reached at 10.0.0.1:5050, and the others look for it at a:5050"),
            (&[], &three, "", "reached at 10.0.0.1:5050, and the others look for it at a:5050"),
        ] {
            let said = said(words, members, resolved);
            assert_eq!(said.len(), 1, "{words:?}: {said:?}");
            assert!(said[0].contains(expected), "{words:?}: {said:?}");
        }
    }
}
