//! The life of offers under random calls: the invariants of the machine hold after every input, and what schedulers see
//! of offers makes sense.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::script::Script;

/// One random step; numbers choose among what there is.
#[derive(Clone, Debug)]
enum Step {
    Accept { which: usize, more: usize, tasks: Vec<(u8, u8)>, executor: bool },
    Decline { which: usize, refuse: u8 },
    Stale { which: usize },
    Revive(u8),
    Suppress(u8),
    Resubscribe(u8),
    SchedulerExits(u8),
    Update { which: usize, state: usize },
    Acknowledge { which: usize },
    Kill { which: usize },
    AgentExits(u8),
    Reregister(u8),
    Register(u8),
    Unregister(u8),
    Wait(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let which = any::<usize>;
    let few = || 0_u8..3;
    let step = prop_oneof![
        6 => (which(), which(), prop::collection::vec((1_u8..30, 1_u8..60), 0..4), any::<bool>())
            .prop_map(|(which, more, tasks, executor)| Step::Accept { which, more, tasks, executor }),
        3 => (which(), 0_u8..9).prop_map(|(which, refuse)| Step::Decline { which, refuse }),
        1 => which().prop_map(|which| Step::Stale { which }),
        1 => few().prop_map(Step::Revive),
        1 => few().prop_map(Step::Suppress),
        1 => few().prop_map(Step::Resubscribe),
        1 => few().prop_map(Step::SchedulerExits),
        5 => (which(), 0_usize..5).prop_map(|(which, state)| Step::Update { which, state }),
        3 => which().prop_map(|which| Step::Acknowledge { which }),
        1 => which().prop_map(|which| Step::Kill { which }),
        1 => few().prop_map(Step::AgentExits),
        2 => few().prop_map(Step::Reregister),
        1 => few().prop_map(Step::Register),
        1 => few().prop_map(Step::Unregister),
        4 => (0_u8..20).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..60)
}

/// What the schedulers have seen.
#[derive(Default)]
struct Seen {
    /// Offers that were made and neither answered nor rescinded, and to which scheduler.
    open: BTreeMap<String, String>,
    /// All that ever were.
    ever: BTreeSet<String>,
    tasks: usize,
    updates: u8,
}

struct Play {
    script: Script,
    seen: Seen,
}

const TOTAL: &str = "cpus:4;mem:256;ports:[1-20]";

impl Play {
    fn new() -> Self {
        let mut play = Self { script: Script::new(), seen: Seen::default() };
        play.feed("s0 subscribe partition_aware checkpoint failover=20s");
        play.feed("s1 subscribe failover=20s roles=r");
        play.feed("s2 subscribe failover=20s roles=r,q multi_role");
        for agent in 0..3 {
            play.feed(&format!("a{agent} register h{agent} {TOTAL}"));
        }
        play
    }

    fn feed(&mut self, line: &str) -> Vec<String> {
        let lines = self.script.feed(line).expect("a line that is understood");
        for line in &lines {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                [to, "<-", "offer", id, ..] => {
                    assert!(self.seen.ever.insert((*id).to_owned()), "the offer {id} is made once");
                    self.seen.open.insert((*id).to_owned(), (*to).to_owned());
                }
                [to, "<-", "rescind", id] => {
                    let was = self.seen.open.remove(*id);
                    assert_eq!(was.as_deref(), Some(*to), "the offer {id} was open when it was rescinded");
                }
                _ => {}
            }
        }
        // What a disconnected or failed-over scheduler had is void without a word.
        let known = self.script.master.offers();
        self.seen.open.retain(|id, _| known.keys().any(|offer| offer.as_str().ends_with(&format!("-{id}"))));
        assert_eq!(self.seen.open.len(), known.len(), "every offer is known to its scheduler");
        lines
    }

    fn framework_of(scheduler: &str) -> String {
        format!("000{}", &scheduler[1..])
    }

    fn open(&self, which: usize) -> Option<(String, String)> {
        let all: Vec<_> = self.seen.open.iter().collect();
        let (id, to) = all.get(which % all.len().max(1))?;
        Some(((*id).clone(), (*to).clone()))
    }

    /// Task, framework, agent by their short names, and the agent's address.
    fn task(&self, which: usize) -> Option<(String, String, String, String)> {
        let short = |text: &str| text.rsplit('-').next().unwrap_or_default().to_owned();
        let frameworks = self.script.master.frameworks().values();
        let tasks: Vec<_> = frameworks.flat_map(|framework| framework.tasks.values()).collect();
        let task = &tasks.get(which % tasks.len().max(1))?.task;
        let pid = &self.script.master.agents()[&task.agent_id].pid;
        let names = (short(task.task_id.as_str()), short(task.framework_id.as_str()));
        Some((names.0, names.1, short(task.agent_id.as_str()), pid.name().to_owned()))
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Accept { which, more, tasks, executor } => self.accept(which, more, &tasks, executor),
            Step::Decline { which, refuse } => {
                if let Some((id, to)) = self.open(which) {
                    let framework = Self::framework_of(&to);
                    self.feed(&format!("{to} {framework} decline {id} refuse={refuse}s"));
                    assert!(!self.seen.open.contains_key(&id), "a declined offer is no more");
                }
            }
            Step::Stale { which } => {
                let stale: Vec<_> =
                    self.seen.ever.iter().filter(|id| !self.seen.open.contains_key(*id)).cloned().collect();
                if let Some(id) = stale.get(which % stale.len().max(1)) {
                    let lines = self.feed(&format!("s0 0000 accept {id} stale@S0{{cpus:0.1}}"));
                    assert!(
                        !lines.iter().any(|line| line.contains("<- run")),
                        "an offer is used once: {lines:?}"
                    );
                }
            }
            Step::Revive(who) => drop(self.feed(&format!("s{who} 000{who} revive"))),
            Step::Suppress(who) => drop(self.feed(&format!("s{who} 000{who} suppress"))),
            Step::Resubscribe(who) => {
                let rest =
                    ["partition_aware checkpoint", "roles=r", "roles=r,q multi_role"][usize::from(who)];
                self.feed(&format!("s{who} subscribe id=000{who} failover=20s {rest}"));
            }
            Step::SchedulerExits(who) => drop(self.feed(&format!("exit s{who}"))),
            Step::Update { which, state } => self.update(which, state),
            Step::Acknowledge { which } => {
                if let Some((task, framework, agent, _)) = self.task(which) {
                    let uuid = self.seen.updates;
                    let scheduler = format!("s{}", &framework[3..]);
                    self.feed(&format!("{scheduler} {framework} ack {agent} {task} u{uuid}"));
                }
            }
            Step::Kill { which } => {
                if let Some((task, framework, ..)) = self.task(which) {
                    self.feed(&format!("s{} {framework} kill {task}", &framework[3..]));
                }
            }
            Step::AgentExits(who) => drop(self.feed(&format!("exit a{who}"))),
            Step::Reregister(who) => self.reregister(who),
            Step::Register(who) => drop(self.feed(&format!("a{who} register h{who} {TOTAL}"))),
            Step::Unregister(who) => drop(self.feed(&format!("a{who} unregister"))),
            Step::Wait(seconds) => drop(self.feed(&format!("+{seconds}s"))),
        }
    }

    fn accept(&mut self, which: usize, more: usize, tasks: &[(u8, u8)], executor: bool) {
        let Some((id, to)) = self.open(which) else { return };
        let framework = Self::framework_of(&to);
        let mut ids = id.clone();
        if let Some((other, owner)) = self.open(more)
            && owner == to
            && other != id
            && more.is_multiple_of(3)
        {
            ids = format!("{id},{other}");
        }
        let agent =
            self.script.master.offers().iter().find(|(offer, _)| offer.as_str().ends_with(&format!("-{id}")));
        let agent = agent.map(|(_, offer)| offer.agent_id.to_string()).expect("an open offer");
        let mut line = format!("{to} {framework} accept {ids} refuse=1s");
        for (cpus, mem) in tasks {
            self.seen.tasks += 1;
            let number = self.seen.tasks;
            let port = number % 20 + 1;
            line += &format!(" t{number}@={agent}{{cpus:0.{cpus};mem:{mem};ports:[{port}-{port}]}}");
            if executor {
                line += "+e1{cpus:0.2;mem:8}";
            }
        }
        self.feed(&line);
        assert!(!self.seen.open.contains_key(&id), "an accepted offer is no more");
    }

    fn update(&mut self, which: usize, state: usize) {
        let Some((task, framework, _, agent)) = self.task(which) else { return };
        let state = ["STARTING", "RUNNING", "FINISHED", "FAILED", "KILLED"][state];
        self.seen.updates = self.seen.updates.wrapping_add(1);
        let uuid = self.seen.updates;
        self.feed(&format!("{agent} update {framework} {task} {state} u{uuid}"));
    }

    /// The agent comes back with every second of its tasks.
    fn reregister(&mut self, who: u8) {
        let name = format!("a{who}");
        let agents = self.script.master.agents();
        let Some(agent) = agents.values().find(|agent| agent.pid.name() == name) else { return };
        let mut line = format!("{name} reregister ={} h{who} {TOTAL}", agent.id);
        for (number, (owner, task_id)) in agent.tasks.iter().enumerate() {
            let task = &self.script.master.frameworks()[owner].tasks[task_id].task;
            if number % 2 == 0 {
                let state = task.state.name().trim_start_matches("TASK_").to_owned();
                line += &format!(" task=={owner}/{task_id}:{state}{{{}}}", task.resources);
            }
        }
        for (owner, executor) in agent.executors.keys() {
            line += &format!(" executor=={owner}/{executor}{{cpus:0.2;mem:8}}");
        }
        self.feed(&line);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn offers_live_and_die_in_order(steps in steps()) {
        let mut play = Play::new();
        for step in steps {
            play.step(step);
        }
    }
}
