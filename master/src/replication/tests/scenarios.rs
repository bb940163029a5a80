//! What was thought of, or found.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use libactor::sim::Seen;

use super::disk::Speed;
use super::group::Group;
use super::host::{Word, config};
use crate::registry::MemberId;
use crate::replication::{Body, Disposition, MembersRequest, ReplicaAnswer, ReplicaConfig};

const PACE: Duration = Duration::from_millis(400);

#[test]
fn one_master_leads_at_once() {
    let mut group = Group::new(1, 1, 0, PACE);
    group.world.run_for(Duration::from_millis(50));
    assert_eq!(group.leader(), Some(1), "without waiting for an election");
    group.assert_settled(&[1]);
    assert!(!group.ledger.borrow().acknowledged.is_empty());
    group.crash(1);
    group.restart(1);
    group.world.run_for(Duration::from_millis(50));
    assert_eq!(group.leader(), Some(1));
}

#[test]
fn three_masters_agree() {
    let mut group = Group::new(1, 3, 0, PACE);
    group.await_leader(&[]);
    group.assert_settled(&[1, 2, 3]);
    assert!(group.ledger.borrow().acknowledged.len() > 20);
}

#[test]
fn a_majority_that_loses_its_unsynced_tail_loses_nothing_acknowledged() {
    for seed in 0..4 {
        let mut group = Group::new(seed, 5, 0, Duration::from_millis(120));
        for disk in group.disks.borrow_mut().values_mut() {
            let most = Duration::from_millis(300);
            disk.speed = Speed { least: most / 2, most, stalls: 0, stall: most };
        }
        for _ in 0..4 {
            let leader = group.await_leader(&[]);
            group.run(3);
            let unsynced = group.disks.borrow().values().filter(|disk| disk.unsynced() > 0).count();
            assert!(unsynced >= 3, "seed {seed}: {unsynced} disks have a tail to lose");
            let followers: Vec<u64> = (1..=5).filter(|id| *id != leader).collect();
            let victims = if seed % 2 == 0 { vec![leader, followers[0], followers[1]] } else { followers };
            victims.iter().for_each(|id| group.crash(*id));
            group.run(1);
            victims.iter().for_each(|id| group.restart(*id));
            group.run(15);
        }
        group.assert_settled(&[1, 2, 3, 4, 5]);
        assert!(group.ledger.borrow().acknowledged.len() > 50, "seed {seed}");
    }
}

#[test]
fn a_leader_that_is_cut_off_acknowledges_nothing_more() {
    for seed in 0..4 {
        let mut group = Group::new(seed, 5, 0, Duration::from_millis(100));
        let old = group.await_leader(&[]);
        group.run(3);
        let others: Vec<u64> = (1..=5).filter(|id| *id != old).collect();
        let (with, without) = others.split_at(1);
        let minority = [old, with[0]];
        group.part(&minority, without);
        let before = group.ledger.borrow().acknowledged.len();
        // Longer than an election: it has lost its majority and knows it. What it proposed in between nobody is told of:
        // the ledger takes no word from a lead that is over.
        group.run(6);
        assert_ne!(group.host(old).map(|host| &host.standing), Some(&Disposition::Leading), "seed {seed}");
        let new = group.await_leader(&minority);
        assert!(without.contains(&new));
        group.run(10);
        assert!(group.ledger.borrow().acknowledged.len() > before, "seed {seed}: the majority goes on");
        group.heal(&minority, without);
        group.run(10);
        group.assert_settled(&[1, 2, 3, 4, 5]);
    }
}

#[test]
fn a_frozen_leader_wakes_up_as_a_follower() {
    for seed in 0..4 {
        let mut group = Group::new(seed, 3, 0, Duration::from_millis(100));
        let old = group.await_leader(&[]);
        group.run(2);
        group.pause(old);
        let before = group.world.now();
        let new = group.await_leader(&[old]);
        let took = group.world.now().since(before);
        assert!(
            took < Duration::from_secs(12),
            "seed {seed}: {took:?}, that is 4 election timeouts and more"
        );
        group.run(5);
        // It still thinks that it leads; a question that waits for it is not answered with an old registry.
        let operator = group.ask(old, MembersRequest::Registry);
        group.resume(old);
        let answer = group.await_answer(&operator, 60);
        assert!(matches!(answer, ReplicaAnswer::Registry(_)), "{answer:?}");
        assert_eq!(group.leader(), Some(new));
        group.assert_settled(&[1, 2, 3]);
    }
}

#[test]
fn a_follower_far_behind_pulls_a_snapshot_while_newer_ones_are_taken() {
    // With the second a newer one is due every quarter of a second: those that pull are waited for, though not forever.
    for (seed, entries, most) in [(1, 60, 1), (2, 5, 9), (3, 5, 9)] {
        let eager = move |id| ReplicaConfig { snapshot_entries: entries, kept_entries: 2, ..config(id) };
        let mut group = Group::with(seed, 3, 0, Duration::from_millis(100), eager);
        let leader = group.await_leader(&[]);
        let behind = 1 + leader % 3;
        group.crash(behind);
        group.run(60);
        let (pieces, indexes) = (Rc::new(Cell::new(0)), Rc::new(Cell::new((0, 0))));
        let (count, seen) = (pieces.clone(), indexes.clone());
        group.world.observe(Box::new(move |_, what| {
            if let Seen::Delivered { message: Word::Parcel(parcel), .. } = what
                && let Body::Piece { index, .. } = parcel.body
            {
                count.set(count.get() + 1);
                let (last, different) = seen.get();
                seen.set((index, different + u32::from(index != last)));
            }
        }));
        let first = group.disks.borrow()[&MemberId(leader)].recovered().snapshot.position.index;
        group.restart(behind);
        group.run(20);
        let last = group.disks.borrow()[&MemberId(leader)].recovered().snapshot.position.index;
        assert!(last > first, "newer ones were taken");
        assert!(pieces.get() > 20, "{} pieces", pieces.get());
        assert!(
            indexes.get().1 <= most,
            "seed {seed}: {} snapshots were begun to be pulled",
            indexes.get().1
        );
        group.assert_settled(&[1, 2, 3]);
    }
}

#[test]
fn the_log_is_forgotten_behind_a_snapshot() {
    let mut group = Group::new(3, 3, 0, Duration::from_millis(100));
    group.await_leader(&[]);
    group.run(100);
    for id in 1..=3 {
        let status = group.replica(id).status();
        assert!(status.snapshot.0 > 300, "{status:?}");
        assert!(status.log.1 - status.log.0 < 60 + 20 + 20, "{status:?}");
        let recovered = group.disks.borrow()[&MemberId(id)].recovered();
        assert!(recovered.entries.len() < 100, "{} entries on the disk", recovered.entries.len());
    }
}

#[test]
fn reads_have_all_that_was_acknowledged_wherever_they_are_asked() {
    let mut group = Group::new(5, 3, 0, Duration::from_millis(50));
    // Before anybody leads: it is asked again until somebody does.
    let early = group.ask(2, MembersRequest::Registry);
    let leader = group.await_leader(&[]);
    assert!(matches!(group.await_answer(&early, 30), ReplicaAnswer::Registry(_)));
    for round in 0..20 {
        group.world.run_for(Duration::from_millis(137));
        // The ledger compares the answer with what was acknowledged when it was asked.
        let answer = group.answer(1 + round % 3, MembersRequest::Registry);
        assert!(matches!(answer, ReplicaAnswer::Registry(_)), "{answer:?}");
    }
    let cut = 1 + leader % 3;
    let others: Vec<u64> = (1..=3).filter(|id| *id != cut).collect();
    group.part(&[cut], &others);
    let answer = group.answer(cut, MembersRequest::Registry);
    assert!(
        matches!(&answer, ReplicaAnswer::Refused(why) if why.contains("no leader has answered")),
        "{answer:?}"
    );
}
