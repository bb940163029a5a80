//! A toy: talkers that number what they say, and remember what they hear.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use super::*;
use crate::{Pid, Time};

#[derive(Default)]
struct Talker {
    /// Whom to tell a number every second.
    to: Option<Pid>,
    links: Vec<Pid>,
    next: Time,
    said: u64,
    heard: BTreeMap<Pid, Vec<u64>>,
    exited: Vec<(Time, Pid)>,
    children: Vec<(Pid, i32)>,
    /// Spawns a host at the start, which ends by itself or is killed.
    spawns: bool,
}

/// 0 asks the hearer to stop, 1 to kill its child, 2 to begin anew.
const STOP: u64 = 0;
const KILL: u64 = 1;
const ANEW: u64 = 2;

impl Host for Talker {
    type Message = u64;

    fn start(&mut self, now: Time, _me: &Pid, cx: &mut Context<u64>) {
        self.next = now;
        for pid in &self.links {
            cx.link(pid);
            cx.link(pid);
        }
        if self.spawns {
            let child = cx.spawn("child", Box::new(Talker::default()));
            cx.link(&child);
            self.links.push(child);
        }
    }

    fn message(&mut self, _now: Time, from: Pid, message: u64, cx: &mut Context<u64>) {
        match message {
            STOP => cx.stop(),
            KILL => cx.kill(&self.links[0].clone()),
            ANEW => cx.restart(Box::new(Talker { links: self.links.clone(), ..Talker::default() })),
            number => self.heard.entry(from).or_default().push(number),
        }
    }

    fn exited(&mut self, now: Time, pid: Pid, cx: &mut Context<u64>) {
        self.exited.push((now, pid));
        cx.note("heard of an exit");
    }

    fn deadline(&self) -> Option<Time> {
        self.to.as_ref().map(|_| self.next)
    }

    fn tick(&mut self, now: Time, cx: &mut Context<u64>) {
        let Some(to) = &self.to else { return };
        cx.send(to, 100 + self.said);
        self.said += 1;
        self.next = now + Duration::from_secs(1);
    }

    fn child_ended(&mut self, _now: Time, pid: Pid, status: i32, _cx: &mut Context<u64>) {
        self.children.push((pid, status));
    }

    fn check(&self) {
        for numbers in self.heard.values() {
            assert!(numbers.len() < 100_000);
        }
    }
}

fn pid(text: &str) -> Pid {
    text.parse().unwrap()
}

fn ip(pid: &Pid) -> IpAddr {
    pid.address().ip()
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

struct Pair {
    world: World<u64>,
    a: Pid,
    b: Pid,
}

/// `a` tells `b` a number every second; both are linked to one another.
fn pair(seed: u64, network: Network) -> Pair {
    let (a, b) = (pid("a@10.0.0.1:1"), pid("b@10.0.0.2:1"));
    let mut world = World::new(seed, network);
    world.keep_trace(10);
    let (to, me) = (b.clone(), a.clone());
    world.add(
        &a,
        Box::new(move |_| {
            Box::new(Talker { to: Some(to.clone()), links: vec![to.clone()], ..Talker::default() })
        }),
    );
    world.add(&b, Box::new(move |_| Box::new(Talker { links: vec![me.clone()], ..Talker::default() })));
    Pair { world, a, b }
}

impl Pair {
    fn a(&self) -> &Talker {
        self.world.host(&self.a).unwrap()
    }

    fn b(&self) -> &Talker {
        self.world.host(&self.b).unwrap()
    }

    fn heard(&self) -> &[u64] {
        self.b().heard.get(&self.a).map_or(&[], Vec::as_slice)
    }

    fn part(&mut self) {
        let (a, b) = (ip(&self.a), ip(&self.b));
        self.world.inflict(Fault::Block { from: a, to: b });
        self.world.inflict(Fault::Block { from: b, to: a });
    }
}

fn rising(numbers: &[u64]) -> bool {
    numbers.windows(2).all(|pair| pair[0] < pair[1])
}

#[test]
fn order_is_kept_and_nothing_is_lost_while_a_connection_lives() {
    for seed in 0..20 {
        let mut pair = pair(seed, Network::default());
        pair.world.run_for(secs(3600));
        let heard = pair.heard();
        assert!(heard.len() >= 3600 && heard.iter().copied().eq(100..100 + heard.len() as u64));
        assert!(pair.a().exited.is_empty() && pair.b().exited.is_empty());
    }
}

#[test]
fn a_short_partition_only_delays() {
    let mut pair = pair(1, Network::default());
    pair.world.run_for(secs(10));
    pair.part();
    pair.world.run_for(secs(10));
    assert!(pair.heard().len() <= 11);
    pair.world.inflict(Fault::Calm);
    pair.world.run_for(secs(30));
    let heard = pair.heard();
    assert!(heard.len() >= 50 && heard.iter().copied().eq(100..100 + heard.len() as u64));
    assert!(pair.a().exited.is_empty());
}

#[test]
fn a_partition_longer_than_the_silence_ends_both_links_once() {
    for seed in 0..20 {
        let mut pair = pair(seed, Network::default());
        pair.world.run_for(secs(10));
        let parted = pair.world.now();
        pair.part();
        pair.world.run_for(secs(100));
        for (host, peer) in [(pair.a(), &pair.b), (pair.b(), &pair.a)] {
            let [(at, gone)] = host.exited.as_slice() else { panic!("one exit: {:?}", host.exited) };
            assert_eq!(gone, peer);
            assert!(at.since(parted) >= secs(15) && at.since(parted) <= secs(20), "{:?}", at.since(parted));
        }
        pair.world.inflict(Fault::Calm);
        pair.world.run_for(secs(100));
        assert_eq!(
            (pair.a().exited.len(), pair.b().exited.len()),
            (1, 1),
            "links are not renewed by themselves"
        );
        assert!(rising(pair.heard()) && pair.heard().last() > Some(&290));
    }
}

#[test]
fn a_partition_one_way_ends_both_links() {
    let mut pair = pair(3, Network::default());
    pair.world.run_for(secs(10));
    let (from, to) = (ip(&pair.a), ip(&pair.b));
    pair.world.inflict(Fault::Block { from, to });
    pair.world.run_for(secs(40));
    assert_eq!((pair.a().exited.len(), pair.b().exited.len()), (1, 1));
    pair.world.inflict(Fault::Unblock { from, to });
    pair.world.run_for(secs(40));
    assert!(rising(pair.heard()) && pair.heard().last() > Some(&170));
}

#[test]
fn a_crash_ends_links_at_once_and_loses_a_tail_at_most() {
    for seed in 0..50 {
        let mut pair = pair(seed, Network::default());
        pair.world.run_for(secs(10));
        pair.world.inflict(Fault::Crash { process: pair.a.address() });
        pair.world.run_for(secs(2));
        assert_eq!(pair.b().exited.len(), 1);
        let heard = pair.heard().to_vec();
        assert!(rising(&heard) && heard.len() >= 9);
        pair.world.inflict(Fault::Restart { process: pair.a.address() });
        pair.world.run_for(secs(10));
        assert_eq!(pair.b().exited.len(), 1);
        assert_eq!(pair.heard()[heard.len()], 100, "a new life begins anew");
        assert!(pair.a().exited.is_empty(), "it has linked anew");
    }
}

#[test]
fn a_link_to_nobody_ends_soon() {
    let mut world = World::new(1, Network::default());
    let (a, b) = (pid("a@10.0.0.1:1"), pid("b@10.0.0.2:1"));
    let targets = vec![b.clone(), pid("other@10.0.0.2:1"), pid("x@10.0.0.3:1"), pid("y@10.0.0.1:1")];
    world.add(&b, Box::new(|_| Box::new(Talker::default())));
    world.add(&a, Box::new(move |_| Box::new(Talker { links: targets.clone(), ..Talker::default() })));
    world.run_for(secs(1));
    let mut gone: Vec<String> =
        world.host::<Talker>(&a).unwrap().exited.iter().map(|(_, pid)| pid.to_string()).collect();
    gone.sort();
    assert_eq!(gone, ["other@10.0.0.2:1", "x@10.0.0.3:1", "y@10.0.0.1:1"]);
}

#[test]
fn a_machine_without_power_is_silent_and_comes_back_anew() {
    for back in [5, 60] {
        let mut pair = pair(7, Network::default());
        pair.world.run_for(secs(10));
        let machine = ip(&pair.b);
        pair.world.inflict(Fault::PowerOff { machine });
        assert!(pair.world.host::<Talker>(&pair.b).is_none());
        pair.world.run_for(secs(back));
        assert_eq!(pair.a().exited.len(), usize::from(back > 20));
        pair.world.inflict(Fault::PowerOn { machine });
        pair.world.run_for(secs(60));
        assert_eq!(pair.a().exited.len(), 1);
        assert!(rising(pair.heard()) && !pair.heard().is_empty());
    }
}

#[test]
fn a_paused_process_takes_nothing_and_then_all() {
    let mut pair = pair(9, Network::default());
    pair.world.run_for(secs(10));
    let process = pair.b.address();
    pair.world.inflict(Fault::Pause { process });
    pair.world.run_for(secs(10));
    assert!(pair.heard().len() <= 11);
    pair.world.inflict(Fault::Resume { process });
    pair.world.run_for(secs(1));
    assert!(pair.heard().len() >= 20);
    assert!(pair.a().exited.is_empty());
    pair.world.inflict(Fault::Pause { process: pair.a.address() });
    pair.world.run_for(secs(30));
    assert_eq!(pair.b().exited.len(), 1, "a long pause is silence");
    assert!(pair.a().said <= 22, "a paused process does not tick");
    pair.world.inflict(Fault::Calm);
    pair.world.run_for(secs(10));
    assert_eq!(pair.a().exited.len(), 1);
    assert!(rising(pair.heard()));
}

#[test]
fn a_child_that_is_killed_is_reaped_and_its_link_ends() {
    let mut world = World::new(1, Network::default());
    let (parent, other) = (pid("parent@10.0.0.1:1"), pid("other@10.0.0.2:1"));
    world.add(&parent, Box::new(|_| Box::new(Talker { spawns: true, ..Talker::default() })));
    world.run_for(secs(1));
    let child = world.host::<Talker>(&parent).unwrap().links[0].clone();
    assert!(world.host::<Talker>(&child).is_some());
    world.add(&other, {
        let parent = parent.clone();
        Box::new(move |_| Box::new(Speaker { to: parent.clone(), says: KILL }))
    });
    world.run_for(secs(1));
    let host: &Talker = world.host(&parent).unwrap();
    assert_eq!(host.children, [(child.clone(), 137)]);
    assert_eq!(host.exited.len(), 1);
    assert!(world.host::<Talker>(&child).is_none());
}

#[test]
fn an_actor_that_stops_ends_its_links_and_its_process_lives_on() {
    let mut world = World::new(1, Network::default());
    let (a, b, c) = (pid("a@10.0.0.1:1"), pid("b@10.0.0.2:1"), pid("c@10.0.0.2:1"));
    world.add(&b, Box::new(|_| Box::new(Talker::default())));
    world.add(&c, Box::new(|_| Box::new(Talker::default())));
    let targets = vec![b.clone(), c.clone()];
    world.add(&a, Box::new(move |_| Box::new(Talker { links: targets.clone(), ..Talker::default() })));
    world.run_for(secs(1));
    let to = b.clone();
    world.add(&pid("s@10.0.0.3:1"), Box::new(move |_| Box::new(Speaker { to: to.clone(), says: STOP })));
    world.run_for(secs(1));
    let exited = &world.host::<Talker>(&a).unwrap().exited;
    assert_eq!(exited.iter().map(|(_, pid)| pid.clone()).collect::<Vec<_>>(), [b]);
    assert!(world.host::<Talker>(&c).is_some());
}

#[test]
fn an_actor_that_begins_anew_ends_its_links_and_is_there() {
    for seed in 0..20 {
        let mut pair = pair(seed, Network::default());
        pair.world.run_for(secs(10));
        let to = pair.b.clone();
        let says =
            move |_| -> Box<dyn Host<Message = u64>> { Box::new(Speaker { to: to.clone(), says: ANEW }) };
        pair.world.add(&pid("s@10.0.0.3:1"), Box::new(says));
        pair.world.run_for(secs(10));
        assert_eq!(pair.a().exited.len(), 1, "it was watched");
        let heard = pair.heard();
        assert!((110..=111).contains(&heard[0]) && rising(heard), "another life has heard {heard:?}");
        assert!(pair.b().exited.is_empty());
        pair.world.inflict(Fault::Crash { process: pair.a.address() });
        pair.world.run_for(secs(10));
        assert_eq!(pair.b().exited.len(), 1, "the new life has linked anew");
    }
}

#[test]
fn the_only_actor_of_a_process_can_begin_anew() {
    let mut world = World::new(1, Network::default());
    let b = pid("b@10.0.0.2:1");
    world.add(&b, Box::new(|_| Box::new(Talker::default())));
    let to = b.clone();
    world.add(&pid("s@10.0.0.3:1"), Box::new(move |_| Box::new(Speaker { to: to.clone(), says: ANEW })));
    world.run_for(secs(1));
    assert!(world.host::<Talker>(&b).is_some_and(|host| host.heard.is_empty()));
}

#[test]
fn machines_go_by_their_own_clocks_from_the_next_life_on() {
    const HOUR: i64 = 3_600_000_000_000;
    let mut pair = pair(1, Network::default());
    pair.world.run_for(secs(10));
    let a = pair.a.clone();
    for (ahead, began) in [(HOUR, secs(3610)), (-HOUR, secs(0))] {
        pair.world.set_clock(ip(&a), ahead);
        let before = pair.heard().len();
        pair.world.run_for(secs(100));
        assert_eq!(pair.heard().len(), before + 100, "a life keeps its clock");
        pair.world.inflict(Fault::Crash { process: a.address() });
        pair.world.inflict(Fault::Restart { process: a.address() });
        pair.world.run_for(secs(100));
        let heard = pair.heard();
        let ticks = heard.iter().rev().take_while(|number| **number != 100).count();
        assert!((98..=100).contains(&ticks), "a second is a second by any clock: {ticks}");
        let next = pair.a().next;
        assert!(next >= BEGINNING + began || ahead < 0 && next < BEGINNING, "{next:?}");
    }
}

/// Says one thing at the start.
struct Speaker {
    to: Pid,
    says: u64,
}

impl Host for Speaker {
    type Message = u64;
    fn start(&mut self, _now: Time, _me: &Pid, cx: &mut Context<u64>) {
        cx.send(&self.to, self.says);
    }
    fn message(&mut self, _now: Time, _from: Pid, _message: u64, _cx: &mut Context<u64>) {}
    fn exited(&mut self, _now: Time, _pid: Pid, _cx: &mut Context<u64>) {}
    fn deadline(&self) -> Option<Time> {
        None
    }
    fn tick(&mut self, _now: Time, _cx: &mut Context<u64>) {}
}

#[test]
fn a_hostile_network_drops_doubles_and_reorders() {
    let hostile = Hostile { drop_thousandths: 50, duplicate_thousandths: 50, reorder_thousandths: 50 };
    let mut network = Network { hostile, ..Network::default() };
    network.delay = Delay::even(Duration::from_millis(1), secs(3));
    let mut pair = pair(11, network);
    pair.world.run_for(secs(3600));
    let heard = pair.heard();
    let distinct: std::collections::BTreeSet<u64> = heard.iter().copied().collect();
    assert!(distinct.len() < heard.len(), "doubled");
    assert!(distinct.len() < 3500, "lost");
    assert!(heard.windows(2).any(|pair| pair[0] > pair[1]), "out of order");
}

fn stormy(seed: u64) -> (u64, u64) {
    let mut pair = pair(seed, Network::default());
    let ingredients = Ingredients {
        processes: vec![pair.a.address(), pair.b.address()],
        machines: vec![ip(&pair.a), ip(&pair.b)],
        every: secs(20),
        longest: secs(60),
        weights: [3, 3, 2, 2, 1],
        hostile: Hostile::default(),
    };
    let plan = Plan::generate(seed, pair.world.now() + secs(5), secs(1800), &ingredients);
    assert!(plan.faults.len() > 50);
    let calm_at = plan.calm_at().unwrap();
    let seen = Rc::new(RefCell::new(0));
    let count = seen.clone();
    pair.world.observe(Box::new(move |_, seen| {
        if matches!(seen, Seen::Delivered { .. }) {
            *count.borrow_mut() += 1;
        }
    }));
    pair.world.schedule(plan);
    pair.world.run_until(calm_at + secs(60));
    let before = pair.heard().len();
    pair.world.run_for(secs(60));
    assert_eq!(pair.heard().len(), before + 60, "after the calm all is well");
    assert!(*seen.borrow() > 100);
    let lives = pair.heard().windows(2).filter(|pair| pair[0] > pair[1]).count();
    assert!(lives < 100, "order breaks only where a life does");
    (pair.world.trace().hash(), pair.world.trace().events())
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_one_another() {
    let runs: Vec<_> = (0..20).map(stormy).collect();
    assert_eq!(runs, (0..20).map(stormy).collect::<Vec<_>>());
    let distinct: std::collections::BTreeSet<_> = runs.iter().collect();
    assert_eq!(distinct.len(), runs.len());
}

#[test]
fn the_trace_keeps_its_last_lines() {
    let mut pair = pair(1, Network::default());
    pair.world.run_for(secs(60));
    let lines: Vec<&str> = pair.world.trace().lines().collect();
    assert_eq!(lines.len(), 10);
    assert!(lines.last().unwrap().contains("a@10.0.0.1:1"), "{lines:?}");
    assert!(pair.world.trace().events() > 100);
}
