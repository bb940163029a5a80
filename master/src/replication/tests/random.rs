//! Several hundred seeds: everything goes wrong, then nothing does.

use std::time::Duration;

use libactor::sim::{BEGINNING, Hostile, Ingredients, Plan};
use libactor::{Random, Time};

use super::disk::Speed;
use super::group::{Group, machine};
use super::host::{address, pid};
use crate::registry::MemberId;
use crate::replication::MembersRequest;

const SEEDS: u64 = 80;
const TROUBLE: Duration = Duration::from_secs(100);
const NEWCOMERS: u64 = 2;

/// One seed; its trace.
fn run(seed: u64) -> u64 {
    let mut random = Random::new(seed);
    let founders = if random.chance(600) { 3 } else { 5 };
    let everybody = founders + NEWCOMERS;
    let mut group = Group::new(seed, founders, NEWCOMERS, Duration::from_millis(2000));
    if random.chance(300) {
        for disk in group.disks.borrow_mut().values_mut() {
            let slow = Duration::from_millis(200);
            disk.speed = Speed { least: slow / 20, most: slow, stalls: 20, stall: Duration::from_secs(8) };
        }
    }
    let hostile = if random.chance(400) {
        Hostile { drop_thousandths: 20, duplicate_thousandths: 10, reorder_thousandths: 10 }
    } else {
        Hostile::default()
    };
    let ingredients = Ingredients {
        processes: (1..=everybody).map(|id| pid(id).address()).collect(),
        machines: (1..=everybody).map(machine).collect(),
        every: Duration::from_secs(3),
        longest: Duration::from_secs(20),
        weights: [4, 3, 4, 3, 1],
        hostile,
    };
    group.world.schedule(Plan::generate(seed, BEGINNING + Duration::from_secs(8), TROUBLE, &ingredients));
    let asks = asks(&mut random, everybody);
    let operator = group.ask_at(&asks);
    group.world.run_for(TROUBLE + Duration::from_secs(40));
    group.settle();
    assert!(group.answers(&operator).len() > 3, "operators are answered");
    group.world.trace().hash()
}

fn asks(random: &mut Random, everybody: u64) -> Vec<(Time, u64, MembersRequest)> {
    let mut at = BEGINNING;
    let mut asks = Vec::new();
    while at < BEGINNING + TROUBLE {
        at = at + Duration::from_millis(random.below(3000));
        let member = |random: &mut Random| 1 + random.below(everybody);
        let (whom, id, other) = (member(random), member(random), member(random));
        let request = match random.below(10) {
            0 => MembersRequest::Status,
            1..4 => MembersRequest::Registry,
            4 => MembersRequest::Transfer { to: random.chance(500).then_some(MemberId(id)) },
            5 | 6 => MembersRequest::Add { id: MemberId(id), address: address(id) },
            7 => MembersRequest::Remove { id: MemberId(id) },
            _ if other == id => MembersRequest::Status,
            _ => MembersRequest::Replace { old: MemberId(id), new: MemberId(other), address: address(other) },
        };
        asks.push((at, whom, request));
    }
    asks
}

fn seeds() -> std::ops::Range<u64> {
    match std::env::var("MESETA_SIM_SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => seed..seed + 1,
        None => {
            let many = std::env::var("MESETA_SIM_SEEDS").ok().and_then(|many| many.parse().ok());
            0..many.unwrap_or(SEEDS)
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_whatever_happens() {
    let failed: Vec<(u64, String)> = seeds()
        .filter_map(|seed| {
            let result = std::panic::catch_unwind(|| run(seed));
            let error = result.err()?;
            let text = error.downcast_ref::<String>().cloned();
            Some((
                seed,
                text.or_else(|| error.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                    .unwrap_or_default(),
            ))
        })
        .collect();
    assert!(
        failed.is_empty(),
        "MESETA_SIM_SEED={} cargo test -p master --lib replication::tests::random -- --nocapture replays the first of {}: \
         {failed:#?}",
        failed[0].0,
        failed.len()
    );
}

#[test]
fn a_run_is_repeated_by_its_seed() {
    assert_eq!(run(7), run(7));
}
