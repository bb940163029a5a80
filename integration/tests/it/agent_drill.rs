//! Agents and executors under a master that only drills them, with faults on and then off.

use std::time::Duration;

use agent::core::AgentConfig;
use integration::sim::agent::{AgentHost, AgentSetup, Terminated};
use integration::sim::drill::DrillMaster;
use integration::sim::executor::ExecutorHost;
use integration::sim::finder::Masters;
use libactor::Pid;
use libactor::sim::{Hostile, Ingredients, Network, Plan, World};
use protocol::{AgentInfo, TaskState};

const AGENTS: u8 = 2;

struct Drill {
    world: World<integration::sim::Message>,
    master: Pid,
    agents: Vec<Pid>,
    terminated: Terminated,
}

fn drill(seed: u64, hostile: Hostile, keep: usize) -> Drill {
    let mut world = World::new(seed, Network::default());
    world.keep_trace(keep);
    let master: Pid = "master@10.0.0.1:5050".parse().unwrap();
    let terminated = Terminated::default();
    let checkpoint = seed.is_multiple_of(2);
    let quiet_at = world.now() + Duration::from_secs(300);
    world.add(&master, Box::new(move |life| Box::new(DrillMaster::new(life, quiet_at, checkpoint))));
    let mut agents = Vec::new();
    for number in 1..=AGENTS {
        let pid: Pid = format!("slave(1)@10.0.1.{number}:5051").parse().unwrap();
        let info = AgentInfo {
            hostname: format!("agent{number}"),
            port: 5051,
            resources: "cpus:4;mem:4096".parse().unwrap(),
            attributes: Default::default(),
            id: None,
        };
        let setup = AgentSetup {
            config: AgentConfig::new(pid.clone(), info, "test"),
            masters: Masters::Always(master.clone()),
            launch_fails_thousandths: 30,
            slowest_launch: Duration::from_secs(3),
            terminated: terminated.clone(),
            disk: Default::default(),
            slowest_disk: Duration::from_millis(300),
        };
        world.add(&pid, Box::new(move |life| Box::new(AgentHost::new(setup.clone(), life))));
        agents.push(pid);
    }
    let ingredients = Ingredients {
        processes: agents.iter().map(Pid::address).collect(),
        machines: agents.iter().chain([&master]).map(|pid| pid.address().ip()).collect(),
        every: Duration::from_secs(20),
        longest: Duration::from_secs(60),
        weights: [2, 2, 3, 2, 0],
        hostile,
    };
    let plan =
        Plan::generate(seed, world.now() + Duration::from_secs(20), Duration::from_secs(300), &ingredients);
    world.schedule(plan);
    Drill { world, master, agents, terminated }
}

impl Drill {
    fn run(&mut self) {
        self.world.run_for(Duration::from_secs(900));
    }

    fn master(&self) -> &DrillMaster {
        self.world.host(&self.master).unwrap()
    }

    fn check_calm(&self, all_answered: bool) {
        assert!(self.terminated.borrow().is_empty(), "no agent has given up");
        assert_eq!(self.master().connected(), usize::from(AGENTS), "agents are registered");
        if all_answered {
            assert_eq!(self.master().open(), [], "every task has come to an end");
        }
        for pid in &self.agents {
            let host: &AgentHost = self.world.host(pid).expect("agents live");
            let left = host.machine().frameworks();
            assert!(left.is_empty(), "something is left on {pid}: {left:#?}");
            assert_eq!(host.machine().pending_updates(), 0);
        }
        let executors = self.world.living().filter(|pid| self.world.host::<ExecutorHost>(pid).is_some());
        assert_eq!(executors.count(), 0, "no process is left");
    }
}

fn run_seed(seed: u64, hostile: Hostile) -> (u64, [usize; 4]) {
    let mut drill = drill(seed, hostile, 0);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        drill.run();
        drill.check_calm(hostile == Hostile::default());
        let master = drill.master();
        let ended = [TaskState::Finished, TaskState::Failed, TaskState::Killed].map(|s| master.ended_as(s));
        (drill.world.trace().hash(), [master.launched(), ended[0], ended[1], ended[2]])
    }));
    result.unwrap_or_else(|_| {
        let mut again = self::drill(seed, hostile, 60);
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| again.run()));
        for line in again.world.trace().lines() {
            println!("{line}");
        }
        panic!("drill failed at seed {seed}, {hostile:?}");
    })
}

#[test]
fn agents_answer_for_every_task_and_leave_nothing_behind() {
    let mut sums = [0; 4];
    for seed in 0..40 {
        let (_, numbers) = run_seed(seed, Hostile::default());
        for (sum, number) in sums.iter_mut().zip(numbers) {
            *sum += number;
        }
    }
    println!("launched, finished, failed, killed: {sums:?}");
    assert!(sums.iter().all(|sum| *sum > 100), "the drill does something: {sums:?}");
}

#[test]
fn agents_survive_messages_that_are_lost_doubled_and_out_of_order() {
    let hostile = Hostile { drop_thousandths: 30, duplicate_thousandths: 30, reorder_thousandths: 30 };
    for seed in 0..40 {
        run_seed(seed, hostile);
    }
}

#[test]
fn a_drill_is_repeated_by_its_seed() {
    assert_eq!(run_seed(7, Hostile::default()), run_seed(7, Hostile::default()));
}
