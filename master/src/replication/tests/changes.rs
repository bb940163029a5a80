//! Changes of members.

use std::time::Duration;

use libactor::sim::Fault;

use super::disk::Speed;
use super::group::{Group, blank, machine};
use super::host::{address, config, pid};
use crate::registry::MemberId;
use crate::replication::{EntryKind, MembersRequest, Recovered, ReplicaAnswer, ReplicaConfig};

const PACE: Duration = Duration::from_millis(200);

fn add(id: u64) -> MembersRequest {
    MembersRequest::Add { id: MemberId(id), address: address(id) }
}

fn remove(id: u64) -> MembersRequest {
    MembersRequest::Remove { id: MemberId(id) }
}

fn replace(old: u64, new: u64) -> MembersRequest {
    MembersRequest::Replace { old: MemberId(old), new: MemberId(new), address: address(new) }
}

/// Asks whoever leads, again and again, as the tool does.
fn insist(group: &mut Group, request: &MembersRequest) {
    for _ in 0..40 {
        let leader = group.await_leader(&[]);
        let operator = group.ask(leader, request.clone());
        for _ in 0..100 {
            if let Some(answer) = group.answers(&operator).first() {
                match answer {
                    ReplicaAnswer::Done => return,
                    ReplicaAnswer::NotLeading { .. } => break,
                    ReplicaAnswer::Refused(why) if why.contains("another change") => break,
                    ReplicaAnswer::Refused(why) if why.contains("answer") => break,
                    other => panic!("{other:?}"),
                }
            }
            group.world.run_for(Duration::from_millis(100));
        }
        group.run(1);
    }
    panic!("{request:?} is never done");
}

fn run_until(group: &mut Group, done: impl Fn(&Group) -> bool) {
    for _ in 0..60_000 {
        if done(group) {
            return;
        }
        group.world.run_for(Duration::from_millis(1));
    }
    panic!("it does not come to that within a minute");
}

fn assert_refused(answer: &ReplicaAnswer, part: &str) {
    let ReplicaAnswer::Refused(why) = answer else { panic!("{answer:?}") };
    assert!(why.contains(part), "{why:?} says {part:?}");
}

#[test]
fn a_cluster_grows_from_one_master_and_shrinks_back() {
    let mut group = Group::new(1, 1, 2, PACE);
    group.await_leader(&[]);
    for id in [2, 3] {
        let answer = group.answer(1, add(id));
        assert!(matches!(answer, ReplicaAnswer::Done), "{answer:?}");
        let again = group.answer(1, add(id));
        assert!(matches!(again, ReplicaAnswer::Done), "what is so already is done: {again:?}");
    }
    group.assert_settled(&[1, 2, 3]);
    insist(&mut group, &remove(3));
    insist(&mut group, &remove(1));
    group.assert_settled(&[2]);
    assert_refused(&group.answer(2, remove(2)), "the last one that votes");
    let ended = group.ledger.borrow().ended.clone();
    for id in [1, 3] {
        assert!(!ended[&MemberId(id)].1, "a master that was removed ends well: {ended:?}");
    }
}

#[test]
fn a_leader_that_is_removed_hands_over_first() {
    for seed in 0..5 {
        let mut group = Group::new(seed, 3, 0, PACE);
        let old = group.await_leader(&[]);
        group.run(5);
        let ReplicaAnswer::NotLeading { leader: Some(next) } = group.answer(old, remove(old)) else {
            panic!("the operator is sent to the new leader")
        };
        let new = group.await_leader(&[old]);
        assert_eq!(next, pid(new), "seed {seed}");
        insist(&mut group, &remove(old));
        group.run(5);
        assert_eq!(group.leader(), Some(new), "seed {seed}: nobody was disturbed");
        let rest: Vec<u64> = (1..=3).filter(|id| *id != old).collect();
        group.assert_settled(&rest);
        let (message, failed) = group.ledger.borrow().ended[&MemberId(old)].clone();
        assert!(!failed && message.contains("was removed"), "{message}");
    }
}

#[test]
fn the_lead_is_handed_over_when_asked_for() {
    let mut group = Group::new(4, 5, 0, PACE);
    let mut leader = group.await_leader(&[]);
    for to in [Some(1 + leader % 5), None, None] {
        let request = MembersRequest::Transfer { to: to.map(MemberId) };
        let before = group.world.now();
        let answer = group.answer(leader, request);
        assert!(matches!(answer, ReplicaAnswer::Done), "{answer:?}");
        let took = group.world.now().since(before);
        assert!(took < Duration::from_secs(2), "{took:?}: without waiting for an election");
        let next = group.await_leader(&[leader]);
        assert!(to.is_none_or(|to| to == next));
        leader = next;
    }
    let answer = group.answer(leader, MembersRequest::Transfer { to: Some(MemberId(leader)) });
    assert!(matches!(answer, ReplicaAnswer::Done), "{answer:?}");
    let follower = 1 + leader % 5;
    let answer = group.answer(follower, MembersRequest::Transfer { to: None });
    assert!(
        matches!(&answer, ReplicaAnswer::NotLeading { leader: Some(at) } if *at == pid(leader)),
        "{answer:?}"
    );
    group.crash(follower);
    group.run(8);
    let answer = group.answer(leader, MembersRequest::Transfer { to: Some(MemberId(follower)) });
    assert_refused(&answer, "does not answer");
}

/// The leader is lost, or parted from some, at every moment of a replacement: it is either begun anew or gone on with.
#[test]
fn a_joint_change_survives_the_loss_of_its_leader_at_any_moment() {
    for moment in 0..24_u64 {
        let mut group = Group::new(moment, 3, 1, PACE);
        let leader = group.await_leader(&[]);
        group.run(2);
        let old = 1 + leader % 3;
        group.ask(leader, replace(old, 4));
        group.world.run_for(Duration::from_millis(12 * moment));
        match moment % 3 {
            0 => {
                group.crash(leader);
                group.run(10);
                group.restart(leader);
            }
            1 => {
                // The old majority on one side, the new one torn.
                group.part(&[leader, 4], &[old, 1 + old % 3]);
                group.run(15);
                group.heal(&[leader, 4], &[old, 1 + old % 3]);
            }
            _ => {
                group.part(&[leader], &[1, 2, 3, 4]);
                group.run(15);
                group.heal(&[leader], &[1, 2, 3, 4]);
            }
        }
        group.run(5);
        insist(&mut group, &replace(old, 4));
        let mut rest: Vec<u64> = (1..=4).filter(|id| *id != old).collect();
        rest.sort_unstable();
        group.assert_settled(&rest);
    }
}

#[test]
fn a_lost_disk_is_replaced_under_the_same_number() {
    let mut group = Group::new(2, 3, 0, PACE);
    let leader = group.await_leader(&[]);
    group.run(5);
    let lost = 1 + leader % 3;
    group.crash(lost);
    group.wipe(lost, blank(lost, 2));
    let operator = group.ask(leader, replace(lost, lost));
    group.run(5);
    group.restart(lost);
    let answer = group.await_answer(&operator, 60);
    assert!(matches!(answer, ReplicaAnswer::Done), "{answer:?}");
    group.assert_settled(&[1, 2, 3]);
}

#[test]
fn what_can_not_be_is_refused_with_the_reason() {
    let mut group = Group::new(3, 3, 1, Duration::ZERO);
    let leader = group.await_leader(&[]);
    group.run(3);
    let (a, b) = (1 + leader % 3, 1 + (1 + leader) % 3);
    let at = |id: u64, address: &str| MembersRequest::Add { id: MemberId(id), address: address.to_owned() };
    let table = [
        (remove(9), "there is no master 9; there are 1, 2, 3"),
        (replace(9, 4), "there is no master 9"),
        (MembersRequest::Transfer { to: Some(MemberId(9)) }, "there is no master 9"),
        (at(a, "10.0.0.9:5050"), "is in use"),
        (at(0, "10.0.0.9:5050"), "0 is not the number of a master"),
        (at(4, "10.0.0.9"), "expected host:port"),
        (at(4, ":5050"), "expected host:port"),
        (at(4, &address(a)), "is at 10.0.0"),
        (replace(a, b), "votes already"),
    ];
    for (request, part) in table {
        assert_refused(&group.answer(leader, request), part);
    }
    // One is dead: without the other one nobody could agree.
    group.crash(a);
    group.run(8);
    assert_refused(&group.answer(leader, remove(b)), "no majority would be left");
    insist(&mut group, &remove(a));
    assert_refused(&group.answer(leader, add(a)), "was used before");
    // One that never starts: it learns on, the operator is told, and nothing else changes meanwhile.
    let waiting = group.ask(leader, at(7, "10.0.0.7:5050"));
    group.run(3);
    assert_refused(&group.answer(leader, add(4)), "another change is under way (adding master 7");
    let status = group.replica(leader).status();
    assert!(status.change.is_some_and(|change| change.contains("master 7 catches up")));
    assert_refused(&group.await_answer(&waiting, 4000), "has not caught up");
    insist(&mut group, &remove(7));
    insist(&mut group, &add(4));
    let mut rest = vec![leader, b, 4];
    rest.sort_unstable();
    group.assert_settled(&rest);
}

/// One master that knew it alone has let the other one go: with its disk's unsynced tail it forgot that, and waited for good for
/// the vote of one that was gone.
#[test]
fn the_last_master_does_not_forget_that_it_is_the_last() {
    for seed in 0..8 {
        let mut group = Group::new(seed, 2, 0, Duration::ZERO);
        let leader = group.await_leader(&[]);
        let other = 3 - leader;
        group.run(5);
        if let Some(disk) = group.disks.borrow_mut().get_mut(&MemberId(leader)) {
            let most = Duration::from_millis(300);
            disk.speed = Speed { least: most, most, stalls: 0, stall: most };
        }
        group.ask(leader, remove(other));
        run_until(&mut group, |group| group.host(other).is_none());
        group.crash(leader);
        group.restart(leader);
        group.assert_settled(&[leader]);
    }
}

/// What an operator asks once more, since the answer was lost, takes no place from a master that has it already.
#[test]
fn a_disk_that_was_replaced_is_not_replaced_once_more() {
    let mut group = Group::new(3, 3, 0, PACE);
    let leader = group.await_leader(&[]);
    group.run(5);
    let lost = 1 + leader % 3;
    group.crash(lost);
    group.wipe(lost, blank(lost, 2));
    group.run(1);
    // It learns, and the leader that has let it do so is gone.
    let operator = group.ask(leader, replace(lost, lost));
    let learns = |group: &Group| {
        let masters = &group.replica(leader).state().masters;
        masters.get(&MemberId(lost)).is_some_and(|member| member.disk.is_none())
    };
    run_until(&mut group, learns);
    group.crash(leader);
    group.restart(leader);
    group.restart(lost);
    group.run(10);
    assert!(group.answers(&operator).is_empty());
    insist(&mut group, &replace(lost, lost));
    group.assert_settled(&[1, 2, 3]);
    let known = group.replica(leader).state().masters[&MemberId(lost)].disk;
    let leader = group.await_leader(&[]);
    if leader != lost {
        assert_refused(&group.answer(leader, replace(lost, lost)), "nothing is to be replaced");
    }
    group.assert_settled(&[1, 2, 3]);
    assert_eq!(group.replica(leader).state().masters[&MemberId(lost)].disk, known);
}

/// The log tells a master with a new disk that one with its number was let go: that was the one before it.
#[test]
fn a_master_does_not_end_because_another_one_had_its_number() {
    let patient = |id| ReplicaConfig { snapshot_entries: 10_000, ..config(id) };
    let mut group = Group::with(4, 3, 0, PACE, patient);
    let leader = group.await_leader(&[]);
    group.run(5);
    let lost = 1 + leader % 3;
    let third = 6 - leader - lost;
    group.crash(lost);
    group.run(1);
    let operator = group.ask(leader, replace(lost, lost));
    group.run(10);
    assert!(group.answers(&operator).is_empty(), "nobody has come");
    // The new one begins with a snapshot of before.
    let mut before = group.disks.borrow()[&MemberId(third)].recovered();
    let removed =
        before.entries.iter().position(|entry| entry.kind != EntryKind::Normal).expect("it was let go");
    before.entries.truncate(removed);
    before.hard_state.commit = before.snapshot.position.index;
    group.wipe(lost, Recovered { identity: blank(lost, 2).identity, ..before });
    group.restart(lost);
    assert!(matches!(group.await_answer(&operator, 60), ReplicaAnswer::Done));
    group.assert_settled(&[1, 2, 3]);
}

/// A master that was away knows its leader by the disk that this one has lost since: it listened to it no more.
#[test]
fn a_leader_with_a_new_disk_is_followed_by_one_that_was_away() {
    let mut group = Group::new(5, 5, 0, PACE);
    let leader = group.await_leader(&[]);
    group.run(5);
    let [lost, away, ..] = [1, 2, 3, 4].map(|place| 1 + (leader - 1 + place) % 5);
    group.crash(away);
    group.crash(lost);
    group.wipe(lost, blank(lost, 2));
    group.run(2);
    let operator = group.ask(leader, replace(lost, lost));
    group.run(5);
    group.restart(lost);
    assert!(matches!(group.await_answer(&operator, 60), ReplicaAnswer::Done));
    insist(&mut group, &MembersRequest::Transfer { to: Some(MemberId(lost)) });
    group.restart(away);
    group.run(10);
    assert_eq!(group.leader(), Some(lost));
    group.assert_settled(&[1, 2, 3, 4, 5]);
}

/// The next leader was the one that its predecessor had begun to remove: it ended when that was committed, and the other one
/// waited for its vote.
#[test]
fn a_leader_that_inherits_its_own_removal_stays_until_it_is_known() {
    let mut inherited = 0;
    for seed in 0..12 {
        let mut group = Group::new(seed, 2, 0, Duration::ZERO);
        let old = group.await_leader(&[]);
        let next = 3 - old;
        group.run(5);
        // The word gets there, and the answer does not come back.
        group.world.inflict(Fault::Block { from: machine(next), to: machine(old) });
        let before = group.replica(next).status().log.1;
        group.ask(old, remove(next));
        run_until(&mut group, |group| group.replica(next).status().log.1 > before);
        group.world.run_for(Duration::from_millis(100));
        group.crash(old);
        group.world.inflict(Fault::Unblock { from: machine(next), to: machine(old) });
        group.restart(old);
        let mut led = false;
        for _ in 0..3000 {
            group.world.run_for(Duration::from_millis(2));
            led |= group.host(next).is_some_and(|host| host.replica.status().leader == Some(MemberId(next)));
        }
        inherited += u32::from(led);
        group.run(20);
        group.assert_settled(&[old]);
        assert!(group.host(next).is_none(), "seed {seed}: it has ended");
        let (message, failed) = group.ledger.borrow().ended[&MemberId(next)].clone();
        assert!(!failed && message.contains("was removed"), "{message}");
    }
    assert!(inherited > 2, "{inherited} of them were led by the one that was removed");
}
