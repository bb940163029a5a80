//! Schedulers under a master that only drills them, with faults on and then off.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use integration::sim::Message;
use integration::sim::agent::Terminated;
use integration::sim::drill::SchedulerDrill;
use integration::sim::finder::Masters;
use integration::sim::framework::{FrameworkHost, FrameworkSetup, Memory, Season};
use libactor::Pid;
use libactor::sim::{Fault, Ingredients, Network, Plan, World};
use protocol::FrameworkInfo;

const FRAMEWORKS: u8 = 2;

struct Drill {
    world: World<Message>,
    master: Pid,
    frameworks: Vec<(Pid, Rc<RefCell<Memory>>)>,
    terminated: Terminated,
    season: Rc<Cell<Season>>,
}

fn drill(seed: u64, keep: usize) -> Drill {
    let mut world = World::new(seed, Network::default());
    world.keep_trace(keep);
    let start = world.now();
    let master: Pid = "master@10.0.0.1:5050".parse().unwrap();
    world.add(&master, Box::new(move |life| Box::new(SchedulerDrill::new(life))));
    let (terminated, season) = (Terminated::default(), Rc::<Cell<Season>>::default());
    let mut frameworks = Vec::new();
    for number in 1..=FRAMEWORKS {
        let pid: Pid = format!("scheduler@10.0.2.{number}:6000").parse().unwrap();
        let memory = Rc::new(RefCell::new(Memory::default()));
        let setup = FrameworkSetup {
            info: FrameworkInfo::new(format!("f{number}")),
            masters: Masters::Always(master.clone()),
            http: false,
            implicit_acknowledgements: seed.is_multiple_of(2),
            season: season.clone(),
            terminated: terminated.clone(),
            memory: memory.clone(),
            heeds: Default::default(),
        };
        world.add(&pid, Box::new(move |life| Box::new(FrameworkHost::new(setup.clone(), life))));
        frameworks.push((pid, memory));
    }
    let ingredients = Ingredients {
        processes: frameworks.iter().map(|(pid, _)| pid.address()).collect(),
        machines: frameworks
            .iter()
            .map(|(pid, _)| pid)
            .chain([&master])
            .map(|pid| pid.address().ip())
            .collect(),
        every: Duration::from_secs(20),
        longest: Duration::from_secs(60),
        weights: [2, 2, 3, 2, 0],
        hostile: Default::default(),
    };
    world.schedule(Plan::generate(
        seed,
        start + Duration::from_secs(20),
        Duration::from_secs(300),
        &ingredients,
    ));
    Drill { world, master, frameworks, terminated, season }
}

impl Drill {
    fn run(&mut self) {
        for second in 0..700 {
            match second {
                300 => self.season.set(Season::Quiet),
                400 => self.season.set(Season::End),
                _ => {}
            }
            self.world.run_for(Duration::from_secs(1));
            for process in std::mem::take(&mut *self.terminated.borrow_mut()) {
                self.world.inflict(Fault::Restart { process });
            }
        }
    }

    fn check_calm(&self) {
        let master: &SchedulerDrill = self.world.host(&self.master).unwrap();
        assert!(master.hungry().is_empty(), "{:?} have suppressed offers", master.hungry());
        for (pid, memory) in &self.frameworks {
            let host: &FrameworkHost = self.world.host(pid).expect("frameworks live");
            assert!(host.session().master().is_some(), "{pid} is subscribed");
            let memory = memory.borrow();
            let id = memory.id.as_ref().expect("a subscribed framework has an id");
            assert_eq!(master.unacknowledged(id), 0, "every update is acknowledged");
            for (task_id, known) in &memory.tasks {
                if *id == known.framework_id {
                    let truth = master.state(task_id);
                    let agrees = truth.map_or(known.state.is_terminal(), |state| state == known.state);
                    assert!(agrees, "{task_id} is {truth:?} and is thought to be {}", known.state);
                    assert!(known.state.is_terminal(), "{task_id} is {}", known.state);
                }
            }
        }
    }
}

#[test]
fn schedulers_know_the_end_of_every_task() {
    let mut launched = 0;
    for seed in 0..40 {
        let mut drill = drill(seed, 0);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            drill.run();
            drill.check_calm();
        }));
        if result.is_err() {
            let mut again = self::drill(seed, 60);
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| again.run()));
            again.world.trace().lines().for_each(|line| println!("{line}"));
            panic!("scheduler drill failed at seed {seed}");
        }
        launched += drill.world.host::<SchedulerDrill>(&drill.master).unwrap().launched();
    }
    println!("launched {launched}");
    assert!(launched > 1000, "the drill does something: {launched}");
}
