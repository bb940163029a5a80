//! What the mirror shows is what the machine holds, whatever happened.

use std::fmt::Write;

use libactor::{Machine, Random};
use protocol::messages::{AgentCall, Call};
use protocol::{Capability, Filters, FrameworkInfo, TaskState};

use super::*;
use crate::core::{Ask, Input, OperatorRequest};
use crate::edge::testing::World;
use crate::registry::Drain;

/// All of a snapshot as text. The role of a task that has ended is only known to who has seen it before.
fn seen(snapshot: &Snapshot) -> String {
    let mut text = String::new();
    let framework = |text: &mut String, view: &FrameworkView| {
        let FrameworkView { tasks, unreachable_tasks, completed_tasks, offers, executors, .. } = view;
        let unreachable_tasks: Vec<_> = unreachable_tasks.iter().collect();
        let ended: Vec<_> = completed_tasks.iter().map(|(id, view)| (id, &view.task)).collect();
        let ids = (&view.id, &view.info, &view.pid, view.recovered);
        let times = (view.registered_at, view.reregistered_at, view.unregistered_at);
        write!(text, "{ids:?} {times:?}").unwrap();
        writeln!(text, "\n  tasks {:?}", tasks.iter().collect::<Vec<_>>()).unwrap();
        writeln!(text, "  unreachable {unreachable_tasks:?}\n  completed {ended:?}").unwrap();
        writeln!(text, "  offers {:?}", offers.iter().collect::<Vec<_>>()).unwrap();
        writeln!(text, "  executors {:?}", executors.iter().collect::<Vec<_>>()).unwrap();
    };
    snapshot.frameworks.values().for_each(|view| framework(&mut text, view));
    text.push_str("completed\n");
    snapshot.completed_frameworks.iter().for_each(|view| framework(&mut text, view));
    snapshot.agents.values().for_each(|agent| writeln!(text, "{agent:?}").unwrap());
    let rest =
        (&snapshot.recovered_agents, snapshot.unreachable_agents, &snapshot.weights, &snapshot.maintenance);
    writeln!(text, "{rest:?}").unwrap();
    text
}

fn check(world: &mut World) {
    world.master.check();
    let fresh = Mirror::new(&world.master, world.now);
    let expected = seen(&fresh.snapshot);
    let shown = seen(&world.mirror.snapshot(&world.master, world.now));
    for (shown, expected) in shown.lines().zip(expected.lines()) {
        assert_eq!(shown, expected);
    }
    assert_eq!(shown, expected);
    let totals = *world.mirror.totals(&world.master);
    assert_eq!(totals, fresh.totals);
    let gauges: BTreeMap<_, _> = world.master.gauges().into_iter().collect();
    assert_eq!(gauges["slaves_active"], totals.active_agents as u64);
    assert_eq!(gauges["slaves_connected"], totals.connected_agents as u64);
    assert_eq!(gauges["frameworks_connected"], totals.connected_frameworks as u64);
    assert_eq!(gauges["tasks_unreachable"], totals.unreachable_tasks as u64);
    for (index, name) in totals::AMOUNTS.into_iter().enumerate() {
        let (total, used) = world.master.amounts(name);
        assert_eq!((total.millis(), used.millis()), (totals.total[0][index], totals.used[0][index]));
    }
}

fn step(world: &mut World, random: &mut Random) {
    let agent = random.below(world.agents.len() as u64) as usize;
    let framework = random.below(world.frameworks.len() as u64) as usize;
    match random.below(25) {
        0..=5 => {
            let executor = random.chance(300).then_some("e1");
            world.launch(framework, "cpus:0.5;mem:32", executor);
        }
        6..=10 => {
            let states = [TaskState::Running, TaskState::Finished, TaskState::Failed, TaskState::Starting];
            let state = states[random.below(4) as usize];
            world.update(agent, random.below(4) as usize, state);
        }
        11..=14 => world.acknowledge(framework),
        15 => {
            let offers = std::mem::take(&mut world.frameworks[framework].offers);
            let offer_ids = offers.into_iter().map(|offer| offer.id).collect();
            world.calls(framework, Call::Decline { offer_ids, filters: Filters::default() });
        }
        16 => world.reregister(agent, random.chance(500)),
        17 => {
            let pid = world.agents[agent].pid.clone();
            world.input(Input::Exited { pid });
        }
        18 if random.chance(200) => world.calls(framework, Call::Teardown),
        18 => world.resubscribe(framework),
        19 if random.chance(300) => {
            let pid = world.frameworks[framework].pid.clone();
            world.input(Input::Exited { pid });
        }
        19 => world.calls(framework, Call::Suppress { roles: Default::default() }),
        20 if world.frameworks.len() < 12 => world.add_framework(described(random)),
        20 if random.chance(100) => {
            let pid = world.agents[agent].pid.clone();
            world.agent_says(pid, AgentCall::Unregister);
        }
        21 if random.chance(60) => {
            let request = OperatorRequest::MarkAgentGone { agent_id: world.agent_id(agent) };
            world.input(Input::Operator { ask: Ask(1), request });
            world.add_agent("cpus:4;mem:1024");
        }
        21 => {
            let weights = BTreeMap::from([(Role::from("a"), 1 + random.below(3000))]);
            let request = OperatorRequest::UpdateWeights { weights };
            world.input(Input::Operator { ask: Ask(2), request });
        }
        22 if random.chance(300) => {
            let agent_id = world.agent_id(agent);
            let drain = Drain { max_grace_period: None, mark_gone: random.chance(100), drained: false };
            let request = match random.below(3) {
                0 => OperatorRequest::DeactivateAgent { agent_id },
                1 => OperatorRequest::DrainAgent { agent_id, drain },
                _ => OperatorRequest::ReactivateAgent { agent_id },
            };
            world.input(Input::Operator { ask: Ask(3), request });
        }
        22 if random.chance(100) => {
            world.fail_over(random.next_u64());
            for framework in 0..world.frameworks.len() {
                world.resubscribe(framework);
            }
        }
        22 | 23 => world.pass(1),
        _ => world.pass(random.below(2000)),
    }
}

fn described(random: &mut Random) -> FrameworkInfo {
    let mut info = FrameworkInfo::new("f");
    if random.chance(500) {
        info.roles = ["a", "b/c"].map(Role::from).into();
        info.capabilities.insert(Capability::MultiRole);
    }
    if random.chance(500) {
        info.capabilities.insert(Capability::PartitionAware);
        info.checkpoint = true;
        info.failover_timeout = std::time::Duration::from_secs(1000);
    }
    info
}

/// Whether there was anything to follow.
fn notes(snapshot: &Snapshot) -> [bool; 6] {
    let any = |has: fn(&FrameworkView) -> bool| snapshot.frameworks.values().any(|view| has(view));
    [
        any(|view| !view.tasks.is_empty()),
        any(|view| !view.unreachable_tasks.is_empty()),
        any(|view| !view.completed_tasks.is_empty()),
        any(|view| !view.executors.is_empty()),
        any(|view| !view.offers.is_empty()),
        !snapshot.completed_frameworks.is_empty(),
    ]
}

#[test]
fn it_follows_the_machine() {
    let mut happened = [0; 6];
    for seed in 0..30 {
        let mut random = Random::new(seed);
        let mut world = World::new(seed);
        for _ in 0..3 {
            world.add_agent("cpus:4;mem:1024;cpus(a):1;ports:[1-9]");
            world.add_framework(described(&mut random));
        }
        let mut old = Vec::new();
        for number in 0..300 {
            step(&mut world, &mut random);
            if random.chance(300) {
                check(&mut world);
            }
            if number % 100 == 50 {
                let snapshot = world.mirror.snapshot(&world.master, world.now);
                for (count, noted) in happened.iter_mut().zip(notes(&snapshot)) {
                    *count += usize::from(noted);
                }
                old.push((seen(&snapshot), snapshot));
            }
            world.mirror.keep_up(&world.master);
        }
        check(&mut world);
        for (then, snapshot) in old {
            assert_eq!(seen(&snapshot), then, "what was taken stays as it was");
        }
    }
    assert!(happened.iter().all(|count| *count >= 5), "{happened:?}");
}

#[test]
fn loads_are_what_agents_hold() {
    for seed in 0..10 {
        let mut random = Random::new(seed);
        let mut world = World::new(seed);
        for _ in 0..3 {
            world.add_agent("cpus:4;mem:1024;ports:[1-9]");
            world.add_framework(described(&mut random));
        }
        for _ in 0..200 {
            step(&mut world, &mut random);
            let snapshot = world.mirror.snapshot(&world.master, world.now);
            for agent in snapshot.agents.values() {
                let load = snapshot.load(&agent.id);
                let sum = |parts: &BTreeMap<Role, protocol::Resources>| parts.values().sum();
                assert_eq!(
                    (sum(&load.used), sum(&load.offered)),
                    (agent.used.clone(), agent.offered.clone())
                );
                let asked = crate::edge::load::Load::of(&world.master, &world.master.agents()[&agent.id]);
                assert_eq!((&asked.used, &asked.offered), (&load.used, &load.offered));
            }
        }
    }
}

/// The tables of a large cluster, all tasks of which are the same one.
fn large(agents: usize, tasks: usize) -> Mirror {
    let mut world = World::new(1);
    world.add_agent("cpus:64;mem:65536");
    world.add_framework(FrameworkInfo::new("f"));
    world.pass(1);
    world.launch(0, "cpus:0.1;mem:1", None);
    let Snapshot { agents: some, frameworks, .. } = world.mirror.snapshot(&world.master, world.now);
    let agent = some.values().next().expect("one").clone();
    let framework = frameworks.values().next().expect("one").clone();
    let task = framework.tasks.values().next().expect("one").clone();
    for number in 0..agents {
        world.mirror.snapshot.agents.insert(AgentId::from(format!("A{number}")), agent.clone());
    }
    let framework = world.mirror.snapshot.frameworks.get_mut(&framework.id).expect("one");
    let view = Arc::make_mut(framework);
    for number in 0..tasks {
        view.tasks.insert(TaskId::from(format!("T{number}")), task.clone());
    }
    world.mirror
}

#[test]
fn a_snapshot_of_a_large_cluster_costs_less_than_a_millisecond() {
    let mut mirror = large(50_000, 250_000);
    let world = World::new(1);
    let clock = libactor::Clock::real();
    let mut fastest = std::time::Duration::MAX;
    for number in 0..20 {
        let before = clock.now();
        let snapshot = mirror.snapshot(&world.master, world.now);
        // What the master changes while somebody reads is copied, and only that.
        let id = mirror.snapshot.frameworks.iter().next().expect("one").0.clone();
        let view = Arc::make_mut(mirror.snapshot.frameworks.get_mut(&id).expect("one"));
        view.tasks.remove(&TaskId::from(format!("T{}", number * 1000)));
        mirror.snapshot.agents.remove(&AgentId::from(format!("A{}", number * 1000)));
        fastest = fastest.min(clock.now().since(before));
        assert_eq!(snapshot.agents.len(), 50_001 - number);
    }
    // A loaded machine may stop any of them, but not all.
    assert!(fastest < std::time::Duration::from_millis(1), "{fastest:?}");
}
