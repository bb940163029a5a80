//! A small group whose leader moves, freezes and is cut off, and some who watch it.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use super::*;
use crate::sim::{Context, Fault, Host, Ingredients, Network, Plan, World};

/// How often a node looks who leads.
const LOOK: Duration = Duration::from_millis(50);

#[derive(Clone, Debug)]
enum Message {
    Watch,
    Leads(Leads),
}

/// Who leads in truth, and which epoch that is.
type Truth = Rc<RefCell<(u64, Option<u8>)>>;

/// A node of the group. It learns who leads by looking at the truth, as long as it runs.
struct Member {
    announcer: Announcer,
    truth: Truth,
    looks: Time,
}

fn leads((epoch, leader): (u64, Option<u8>)) -> Leads {
    let members = (1..=3).map(|number| format!("10.0.0.{number}:5050")).collect();
    Leads { epoch, leader: leader.map(|number| pid(&format!("m{number}"))), members }
}

impl Member {
    fn feed(&mut self, now: Time, input: Announce, cx: &mut Context<Message>) {
        let mut out = Vec::new();
        self.announcer.handle(now, input, &mut out);
        for output in out {
            match output {
                Announced::Tell { to, leads } => cx.send(&to, Message::Leads(leads)),
                Announced::Link { pid } => cx.link(&pid),
            }
        }
    }
}

impl Host for Member {
    type Message = Message;

    fn start(&mut self, now: Time, _me: &Pid, _cx: &mut Context<Message>) {
        self.looks = now + LOOK;
    }

    fn message(&mut self, now: Time, from: Pid, message: Message, cx: &mut Context<Message>) {
        assert!(matches!(message, Message::Watch));
        self.feed(now, Announce::Watch { from }, cx);
    }

    fn exited(&mut self, now: Time, pid: Pid, cx: &mut Context<Message>) {
        self.feed(now, Announce::Exited { pid }, cx);
    }

    fn deadline(&self) -> Option<Time> {
        Some(self.looks)
    }

    fn tick(&mut self, now: Time, cx: &mut Context<Message>) {
        self.looks = now + LOOK;
        let truth = *self.truth.borrow();
        self.feed(now, Announce::Leads(leads(truth)), cx);
    }
}

/// Who watches, and all that it has detected.
struct Watcher {
    detector: Detector,
    seen: Vec<(Time, Option<Leader>)>,
}

impl Watcher {
    fn carry_out(&mut self, now: Time, out: Vec<Output>, cx: &mut Context<Message>) {
        self.detector.check();
        for output in out {
            match output {
                Output::Watch { to } => cx.send(&to, Message::Watch),
                Output::Link { pid } => cx.link(&pid),
                Output::Unlink { pid } => cx.unlink(&pid),
                Output::Resolve { .. } => panic!("IP addresses are not looked up"),
                Output::Detected(leader) => self.seen.push((now, leader)),
            }
        }
    }
}

impl Host for Watcher {
    type Message = Message;

    fn start(&mut self, _now: Time, _me: &Pid, _cx: &mut Context<Message>) {}

    fn message(&mut self, now: Time, from: Pid, message: Message, cx: &mut Context<Message>) {
        let Message::Leads(leads) = message else { panic!("nobody watches a watcher") };
        let mut out = Vec::new();
        self.detector.handle(now, Input::Leads { from, leads }, &mut out);
        self.carry_out(now, out, cx);
    }

    fn exited(&mut self, now: Time, pid: Pid, cx: &mut Context<Message>) {
        let mut out = Vec::new();
        self.detector.handle(now, Input::Exited { pid }, &mut out);
        self.carry_out(now, out, cx);
    }

    fn deadline(&self) -> Option<Time> {
        self.detector.deadline()
    }

    fn tick(&mut self, now: Time, cx: &mut Context<Message>) {
        let mut out = Vec::new();
        self.detector.tick(now, &mut out);
        self.carry_out(now, out, cx);
    }
}

struct Group {
    world: World<Message>,
    truth: Truth,
    watchers: Vec<Pid>,
}

fn ip(pid: &Pid) -> IpAddr {
    pid.address().ip()
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl Group {
    /// Three nodes, the first of which leads, and three who watch; each knows another part of the group.
    fn new(seed: u64) -> Self {
        let mut world = World::new(seed, Network::default());
        let truth: Truth = Rc::new(RefCell::new((1, Some(1))));
        for number in 1..=3 {
            let truth = truth.clone();
            world.add(
                &pid(&format!("n{number}")),
                Box::new(move |life| {
                    let announcer = Announcer::new(leads((0, None)));
                    Box::new(Member { announcer, truth: truth.clone(), looks: life.began })
                }),
            );
        }
        let mut watchers = Vec::new();
        for (number, nodes) in ["1,2,3", "3", "2,1"].into_iter().enumerate() {
            let me: Pid = format!("watcher@10.0.1.{}:1", number + 1).parse().unwrap();
            let make = move |life: crate::sim::Life| {
                let nodes = Address::list(&list(nodes).join(",")).unwrap();
                let detector = Detector::new("masters", nodes, life.seed, life.began);
                Box::new(Watcher { detector, seen: Vec::new() }) as Box<dyn Host<Message = Message>>
            };
            world.add(&me, Box::new(make));
            watchers.push(me);
        }
        Self { world, truth, watchers }
    }

    fn elect(&self, leader: u8) {
        let epoch = self.truth.borrow().0 + 1;
        *self.truth.borrow_mut() = (epoch, Some(leader));
    }

    fn seen(&self, watcher: usize) -> &[(Time, Option<Leader>)] {
        &self.world.host::<Watcher>(&self.watchers[watcher]).unwrap().seen
    }

    /// Who is detected now, by each.
    fn detected(&self) -> Vec<Option<String>> {
        let last = |watcher| self.seen(watcher).last().and_then(|(_, leader)| leader.clone());
        let say = |Leader { pid, epoch }| format!("{} in {epoch}", short(&pid));
        (0..self.watchers.len()).map(|watcher| last(watcher).map(say)).collect()
    }

    fn all_detect(&self, expected: &str) {
        assert_eq!(self.detected(), vec![Some(expected.to_owned()); 3]);
    }

    fn block(&mut self, from: &Pid, to: &Pid) {
        self.world.inflict(Fault::Block { from: ip(from), to: ip(to) });
    }
}

#[test]
fn a_leader_that_freezes_is_left_at_once_and_not_believed_when_it_wakes_up() {
    for seed in 0..10 {
        let mut group = Group::new(seed);
        group.world.run_for(secs(2));
        group.all_detect("m1 in 1");
        group.world.inflict(Fault::Pause { process: pid("n1").address() });
        group.world.run_for(secs(1));
        group.all_detect("m1 in 1");
        group.elect(2);
        group.world.run_for(LOOK + Duration::from_millis(301));
        group.all_detect("m2 in 2");
        let before: Vec<usize> = (0..3).map(|watcher| group.seen(watcher).len()).collect();
        group.world.inflict(Fault::Resume { process: pid("n1").address() });
        group.world.run_for(secs(60));
        let after: Vec<usize> = (0..3).map(|watcher| group.seen(watcher).len()).collect();
        assert_eq!(before, after, "seed {seed}: nothing else was detected");
    }
}

#[test]
fn a_leader_is_found_again_within_two_seconds_of_its_return() {
    for seed in 0..10 {
        let mut group = Group::new(seed);
        group.world.run_for(secs(2));
        let all: Vec<_> = (1..=3).map(|number| pid(&format!("n{number}")).address()).collect();
        all.iter().for_each(|process| group.world.inflict(Fault::Crash { process: *process }));
        group.world.run_for(secs(600));
        assert_eq!(group.detected(), [None, None, None]);
        all.iter().for_each(|process| group.world.inflict(Fault::Restart { process: *process }));
        // The group counts anew: nobody is left who knows of the older epoch.
        *group.truth.borrow_mut() = (1, Some(3));
        group.world.run_for(secs(2));
        group.all_detect("m3 in 1");
    }
}

#[test]
fn who_is_not_heard_any_more_is_no_leader_for_those_who_do_not_hear_it() {
    for seed in 0..10 {
        let mut group = Group::new(seed);
        group.world.run_for(secs(2));
        // Nothing gets from the leader to the first watcher; all else goes on.
        let (leader, deaf) = (pid("n1"), group.watchers[0].clone());
        group.block(&leader, &deaf);
        group.world.run_for(secs(40));
        let leading = Some("m1 in 1".to_owned());
        assert_eq!(group.detected(), [None, leading.clone(), leading]);
        group.elect(2);
        group.world.run_for(secs(1));
        group.all_detect("m2 in 2");
        group.elect(1);
        group.world.run_for(secs(10));
        assert_eq!(group.detected()[0], None);
        group.world.inflict(Fault::Unblock { from: ip(&leader), to: ip(&deaf) });
        group.world.run_for(secs(15));
        group.all_detect("m1 in 3");
    }
}

#[test]
fn whatever_happens_all_detect_the_leader_when_it_is_over() {
    for seed in 0..15 {
        let mut group = Group::new(seed);
        let mut random = Random::new(!seed);
        let members: Vec<Pid> = (1..=3).map(|number| pid(&format!("n{number}"))).collect();
        let all = || members.iter().chain(&group.watchers);
        let ingredients = Ingredients {
            processes: all().map(Pid::address).collect(),
            machines: all().map(ip).collect(),
            every: secs(4),
            longest: secs(40),
            weights: [2, 2, 2, 2, 1],
            hostile: Default::default(),
        };
        let start = group.world.now();
        group.world.schedule(Plan::generate(seed, start, secs(100), &ingredients));
        while group.world.now() < start + secs(100) {
            group.world.run_for(Duration::from_millis(random.below(10_000)));
            group.elect(random.below(3) as u8 + 1);
        }
        // Half-open connections are noticed by silence.
        group.world.run_for(secs(30));
        let (epoch, leader) = *group.truth.borrow();
        group.all_detect(&format!("m{} in {epoch}", leader.unwrap()));
        // Without faults a change is detected at once, by all, and once.
        let before: Vec<usize> = (0..3).map(|watcher| group.seen(watcher).len()).collect();
        group.elect(2);
        group.world.run_for(secs(1));
        group.all_detect(&format!("m2 in {}", epoch + 1));
        let after: Vec<usize> = (0..3).map(|watcher| group.seen(watcher).len()).collect();
        assert!(before.iter().zip(&after).all(|(before, after)| before + 1 == *after), "seed {seed}");
    }
}
