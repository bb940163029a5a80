//! Who is not wanted, and what can't be true.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use libactor::{Machine, Random, Time};
use protocol::Uuid;

use super::group::{Group, disk_id};
use super::host::{Word, address, config, pid};
use crate::registry::{ClusterId, MemberId};
use crate::replication::message::RaftMessage;
use crate::replication::{
    Body, Disposition, Entry, EntryKind, HardState, Input, MembersRequest, Membership, Output, Parcel,
    Recovered, Replica, ReplicaAnswer, SnapshotPosition,
};

const PACE: Duration = Duration::from_millis(200);

fn founders(id: u64, disk: u64, many: u64) -> Recovered {
    let masters: BTreeMap<_, _> = (1..=many).map(|id| (MemberId(id), address(id))).collect();
    Recovered::founders(MemberId(id), disk_id(id, disk), &masters)
}

#[test]
fn a_wiped_disk_with_the_same_number_is_not_wanted() {
    for seed in 0..3 {
        let mut group = Group::new(seed, 3, 0, PACE);
        let leader = group.await_leader(&[]);
        group.run(5);
        let wiped = 1 + leader % 3;
        group.crash(wiped);
        group.wipe(wiped, founders(wiped, 2, 3));
        group.restart(wiped);
        group.run(30);
        let (message, failed) = group.ledger.borrow().ended[&MemberId(wiped)].clone();
        assert!(failed && message.contains("`meseta masters --master=HOST:PORT replace "), "{message}");
        assert_eq!(group.leader(), Some(leader), "the others go on");
    }
}

#[test]
fn a_second_master_with_a_number_that_is_in_use_ends() {
    let mut group = Group::new(1, 3, 0, PACE);
    let leader = group.await_leader(&[]);
    group.run(5);
    // At another address, with the same list of masters.
    group.insert_at(pid(9), 3, founders(3, 2, 3), config(3));
    group.run(30);
    let (message, failed) = group.ledger.borrow().ended[&MemberId(3)].clone();
    assert!(failed && message.contains("do not want"), "{message}");
    assert_eq!(group.leader(), Some(leader));
    assert!(group.host(3).is_some(), "the one that was there first is still");
}

#[test]
fn a_master_that_was_removed_while_it_was_away_ends() {
    let mut group = Group::new(1, 3, 0, PACE);
    let leader = group.await_leader(&[]);
    group.run(5);
    let away = 1 + leader % 3;
    group.crash(away);
    group.run(3);
    let answer = group.answer(leader, MembersRequest::Remove { id: MemberId(away) });
    assert!(matches!(answer, ReplicaAnswer::Done), "{answer:?}");
    group.restart(away);
    group.run(40);
    let (message, _) = group.ledger.borrow().ended[&MemberId(away)].clone();
    assert!(message.contains("was removed"), "{message}");
    assert_eq!(group.leader(), Some(leader));
}

#[test]
fn a_master_of_another_cluster_is_not_taken_in() {
    let mut group = Group::new(1, 3, 0, PACE);
    let leader = group.await_leader(&[]);
    let other = ClusterId(Uuid::from_random(7));
    group.insert_at(pid(4), 4, Recovered::newcomer(MemberId(4), disk_id(4, 1), Some(other)), config(4));
    let request = MembersRequest::Add { id: MemberId(4), address: address(4) };
    let operator = group.ask(leader, request);
    group.run(60);
    assert!(group.answers(&operator).is_empty(), "it never catches up");
    assert_eq!(group.leader(), Some(leader));
    assert_eq!(group.replica(4).applied(), 0);
    assert_eq!(group.replica(4).identity().cluster, Some(other));
}

#[test]
fn a_disk_that_lost_what_it_had_acknowledged_is_found_out() {
    let mut group = Group::new(1, 3, 0, PACE);
    let leader = group.await_leader(&[]);
    group.run(5);
    let liar = 1 + leader % 3;
    let early = group.disks.borrow()[&MemberId(liar)].recovered();
    group.run(10);
    group.crash(liar);
    group.wipe(liar, early);
    group.restart(liar);
    group.run(40);
    let (message, failed) = group.ledger.borrow().ended[&MemberId(liar)].clone();
    assert!(failed && message.contains("repair --from-peer"), "{message}");
    assert_eq!(group.leader(), Some(leader));
}

/// Of one replica, without a world.
fn alone(recovered: Recovered) -> (Replica, Time) {
    let now = Time::from_nanos(1_000_000_000);
    (Replica::new(config(recovered.identity.id.0), recovered, 1, now), now)
}

#[test]
fn a_log_that_can_not_be_ends_the_master_before_it_speaks() {
    let entry = |index, data: &'static [u8]| Entry {
        kind: EntryKind::Normal,
        term: 1,
        index,
        data: Bytes::from_static(data),
        context: Bytes::new(),
    };
    let committed = |commit| HardState { term: 1, vote: 0, commit };
    let table = [
        (vec![entry(2, b""), entry(4, b"")], committed(1), "has no entry 3"),
        (vec![entry(2, b"")], committed(5), "ends at 2, though 5 was committed"),
        (vec![entry(2, b"\xff\xff\xff")], committed(2), "can't go on at entry 2"),
    ];
    for (entries, hard_state, part) in table {
        let (mut replica, now) = alone(Recovered { entries, hard_state, ..founders(1, 1, 3) });
        let mut out = Vec::new();
        replica.tick(now, &mut out);
        let end = out.iter().find_map(|output| match output {
            Output::End { message, failed: true } => Some(message),
            _ => None,
        });
        assert!(end.is_some_and(|message| message.contains(part)), "{part}: {out:?}");
        assert!(replica.ended() && replica.deadline().is_none());
    }
}

/// A process that stood still, or whose clock jumped, has not waited.
#[test]
fn however_late_a_tick_is_it_is_one() {
    let (mut replica, mut now) = alone(founders(1, 1, 3));
    let mut out = Vec::new();
    for _ in 0..9 {
        now = now + Duration::from_secs(3600);
        replica.tick(now, &mut out);
    }
    assert!(
        !out.iter().any(|output| matches!(output, Output::Persist(_))),
        "no election within ten ticks: {out:?}"
    );
}

/// Whatever a member says, true or not: no panic, no growth. Its numbers are near those that matter.
#[test]
fn no_message_stops_a_replica() {
    let mut random = Random::new(11);
    for round in 0..60_u64 {
        let (mut replica, mut now) = alone(founders(1, 1, 1 + round % 3 * 2));
        let mut ended = 0;
        for step in 0..400_u64 {
            now = now + Duration::from_millis(random.below(400));
            let mut out = Vec::new();
            let messages =
                (0..1 + random.below(3)).map(|_| odd_message(&mut random, replica.term())).collect();
            let body = match random.below(12) {
                0 => Body::Piece {
                    index: random.below(9),
                    offset: 0,
                    total: random.below(9),
                    bytes: Bytes::from_static(b"xyz"),
                },
                1 => Body::Pull { index: random.below(9), offset: random.below(9) },
                _ => Body::Raft(messages),
            };
            let from = 2 + random.below(2);
            let parcel = Parcel {
                cluster: None,
                from: MemberId(from),
                disk: disk_id(from, 1),
                to: MemberId(1),
                version: 1,
                body,
            };
            replica.handle(now, Input::Peer { from: pid(from), parcel }, &mut out);
            replica.tick(now, &mut out);
            replica.check();
            for output in &out {
                if let Output::Persist(persist) = output {
                    replica.handle(now, Input::Persisted { number: persist.number }, &mut Vec::new());
                }
            }
            if replica.ended() {
                ended = step;
                break;
            }
        }
        assert!(ended == 0 || ended > 3, "most of it is survived");
    }
}

fn odd_message(random: &mut Random, term: u64) -> RaftMessage {
    let near = |random: &mut Random, n: u64| match random.below(20) {
        0 => u64::MAX,
        1 => 0,
        _ => n.saturating_add(random.below(4)).saturating_sub(random.below(3)),
    };
    let from = if random.chance(950) { 2 + random.below(2) } else { random.below(9) };
    let (term, index) = (near(random, term), random.below(8));
    let entries = (1..=random.below(4))
        .map(|offset| Entry {
            kind: [EntryKind::Normal, EntryKind::ChangeV2, EntryKind::Change]
                [random.below(8).saturating_sub(5) as usize],
            term: near(random, term),
            index: if random.chance(900) { index + offset } else { random.below(9) },
            data: Bytes::new(),
            context: Bytes::new(),
        })
        .collect();
    let members = Membership {
        voters: (1..=random.below(4)).collect(),
        learners: (3..3 + random.below(2)).collect(),
        voters_outgoing: (1..1 + random.below(3)).collect(),
        learners_next: Vec::new(),
        auto_leave: random.chance(300),
    };
    RaftMessage {
        kind: random.below(20) as i32,
        to: 1,
        from,
        term,
        log_term: near(random, 1),
        index,
        entries,
        commit: near(random, 2),
        commit_term: near(random, 1),
        snapshot: random.chance(800).then(|| SnapshotPosition {
            index: near(random, 3),
            term: near(random, 1),
            members,
        }),
        request_snapshot: random.below(3),
        reject: random.chance(300),
        reject_hint: near(random, 2),
        context: if random.chance(500) { Bytes::new() } else { Bytes::from_static(b"CampaignTransfer") },
        priority: 0,
    }
}

/// Watchers hear who leads, at once and at each change.
#[test]
fn who_watches_is_told_who_leads() {
    let mut group = Group::new(2, 3, 0, PACE);
    let watcher = group.watch(&[1, 2, 3]);
    let leader = group.await_leader(&[]);
    group.run(2);
    let heard = group.heard(&watcher);
    assert_eq!(heard.len(), 3, "from all: {heard:?}");
    let first = heard[&pid(1)].clone();
    assert!(heard.values().all(|leads| *leads == first), "the same: {heard:?}");
    assert_eq!(first.leader, Some(config(leader).master));
    assert_eq!(first.members, [address(1), address(2), address(3)]);
    group.pause(leader);
    let next = group.await_leader(&[leader]);
    group.run(2);
    let heard = group.heard(&watcher);
    let told = &heard[&pid(next)];
    assert!(told.epoch > first.epoch && told.leader == Some(config(next).master), "{told:?}");
    assert_eq!(group.host(next).map(|host| &host.standing), Some(&Disposition::Leading));
    assert!(matches!(Word::Watch, Word::Watch));
}
