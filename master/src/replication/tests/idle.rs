//! Changes of members while nobody asks the masters for anything else.

use std::time::Duration;

use super::group::{Group, blank};
use super::host::address;
use crate::registry::MemberId;
use crate::replication::{MasterRole, MembersRequest, ReplicaAnswer};

/// Nothing is proposed.
const NEVER: Duration = Duration::ZERO;

/// Who votes, as a master knows.
fn voters(group: &Group, id: u64) -> Vec<u64> {
    let masters = group.replica(id).status().masters;
    masters.iter().filter(|master| master.role != MasterRole::Learner).map(|master| master.id.0).collect()
}

#[test]
fn a_newcomer_that_took_a_snapshot_is_taken_in_though_nothing_follows_it() {
    for seed in 0..4 {
        let mut group = Group::new(seed, 3, 1, NEVER);
        let leader = group.await_leader(&[]);
        group.run(5);
        let add = MembersRequest::Add { id: MemberId(4), address: address(4) };
        let answer = group.answer(leader, add);
        assert!(matches!(answer, ReplicaAnswer::Done), "seed {seed}: {answer:?}");
        group.run(1);
        (1..=4).for_each(|id| assert_eq!(voters(&group, id), [1, 2, 3, 4], "seed {seed}"));
    }
}

#[test]
fn a_newcomer_that_does_not_come_can_be_let_go_at_once() {
    let mut group = Group::new(1, 3, 0, NEVER);
    let leader = group.await_leader(&[]);
    group.run(5);
    let add = MembersRequest::Add { id: MemberId(9), address: address(9) };
    let adds = group.ask(leader, add);
    group.run(10);
    assert!(group.answers(&adds).is_empty(), "it is waited for");
    let other = group.answer(leader, MembersRequest::Remove { id: MemberId(1 + leader % 3) });
    assert!(matches!(&other, ReplicaAnswer::Refused(why) if why.contains("under way")), "{other:?}");
    let learner = group.replica(leader).status().masters.pop().expect("there are members");
    assert_eq!((learner.id, learner.role), (MemberId(9), MasterRole::Learner));
    let removed = group.answer(leader, MembersRequest::Remove { id: MemberId(9) });
    assert!(matches!(removed, ReplicaAnswer::Done), "{removed:?}");
    let answer = group.await_answer(&adds, 1);
    assert!(matches!(&answer, ReplicaAnswer::Refused(why) if why.contains("removed")), "{answer:?}");
    group.run(1);
    (1..=3).for_each(|id| assert_eq!(group.replica(id).status().masters.len(), 3));
}

#[test]
fn a_new_disk_that_reads_of_the_removal_of_the_old_one_stays() {
    for seed in 0..4 {
        let mut group = Group::new(seed, 3, 0, NEVER);
        let leader = group.await_leader(&[]);
        group.run(5);
        let lost = 1 + leader % 3;
        group.crash(lost);
        group.wipe(lost, blank(lost, 2));
        // Until it counts as one that does not answer.
        group.run(6);
        let (id, address) = (MemberId(lost), address(lost));
        let replaces = group.ask(leader, MembersRequest::Replace { old: id, new: id, address });
        group.run(2);
        group.restart(lost);
        let answer = group.await_answer(&replaces, 60);
        assert!(matches!(answer, ReplicaAnswer::Done), "seed {seed}: {answer:?}");
        group.run(1);
        (1..=3).for_each(|id| assert_eq!(voters(&group, id), [1, 2, 3], "seed {seed}"));
    }
}
