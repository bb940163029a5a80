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
    Report { which: usize, state: usize },
    Acknowledge { which: usize },
    Kill { which: usize },
    AgentExits(u8),
    Reregister(u8, u8),
    Resources(u8, u8),
    Register(u8),
    Unregister(u8),
    Group { which: usize, tasks: Vec<(u8, u8)> },
    Update { who: u8, roles: u8, suppressed: bool },
    Teardown(u8),
    Gone(u8),
    Weigh(u8, u16),
    Wish(u8, &'static str, &'static str),
    Maintain(&'static str),
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
        5 => (which(), 0_usize..5).prop_map(|(which, state)| Step::Report { which, state }),
        3 => which().prop_map(|which| Step::Acknowledge { which }),
        1 => which().prop_map(|which| Step::Kill { which }),
        1 => few().prop_map(Step::AgentExits),
        2 => (few(), 0_u8..6).prop_map(|(who, total)| Step::Reregister(who, total)),
        2 => (few(), 0_u8..6).prop_map(|(who, total)| Step::Resources(who, total)),
        1 => few().prop_map(Step::Register),
        1 => few().prop_map(Step::Unregister),
        2 => (which(), prop::collection::vec((1_u8..20, 1_u8..40), 1..3))
            .prop_map(|(which, tasks)| Step::Group { which, tasks }),
        1 => (few(), 0_u8..3, any::<bool>())
            .prop_map(|(who, roles, suppressed)| Step::Update { who, roles, suppressed }),
        1 => few().prop_map(Step::Teardown),
        1 => few().prop_map(Step::Gone),
        1 => (few(), 0_u16..5000).prop_map(|(role, weight)| Step::Weigh(role, weight)),
        1 => few().prop_map(|who| Step::Wish(who, "drain", "")),
        1 => few().prop_map(|who| Step::Wish(who, "drain", " gone")),
        1 => few().prop_map(|who| Step::Wish(who, "deactivate", "")),
        3 => few().prop_map(|who| Step::Wish(who, "reactivate", "")),
        1 => Just(Step::Maintain("schedule")),
        1 => Just(Step::Maintain("down")),
        1 => Just(Step::Maintain("up")),
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

/// Three schedulers: the last one is on HTTP, each of its subscriptions on a stream of its own. Their frameworks are
/// torn down now and then: the next subscription is a new one's.
struct Play {
    script: Script,
    seen: Seen,
    frameworks: [u16; 3],
    next_framework: u16,
    streams: usize,
}

const TOTAL: &str = "cpus:4;mem:256;disk:100;ports:[1-20]";
/// Most often as ever.
fn other_total(which: u8) -> &'static str {
    match which {
        0 => "cpus:1;mem:64;ports:[5-8]",
        1 => "cpus:6;mem:256;disk:200;ports:[1-30];gpus:1",
        2 => "cpus(r):2;cpus:2;mem:256;ports:[1-20]",
        _ => TOTAL,
    }
}

const HOW: [&str; 3] = ["partition_aware checkpoint", "roles=r", "roles=r,q multi_role partition_aware"];

impl Play {
    fn new() -> Self {
        let script = Script::new();
        let mut play =
            Self { script, seen: Seen::default(), frameworks: [0; 3], next_framework: 0, streams: 0 };
        (0..3).for_each(|who| play.subscribe(who, false));
        for agent in 0..3 {
            play.feed(&format!("a{agent} register h{agent} {TOTAL}"));
        }
        play
    }

    /// The name of a scheduler's actor, or of its newest stream.
    fn name(&self, who: u8) -> String {
        if who == 2 { format!("h2-{}", self.streams) } else { format!("s{who}") }
    }

    fn framework(&self, who: u8) -> String {
        format!("{:04}", self.frameworks[usize::from(who)])
    }

    fn subscribe(&mut self, who: u8, again: bool) {
        let id = if again {
            format!("id={}", self.framework(who))
        } else {
            self.frameworks[usize::from(who)] = self.next_framework;
            self.next_framework += 1;
            String::new()
        };
        self.streams += usize::from(who == 2);
        let name = self.name(who);
        self.feed(&format!("{name} subscribe {id} failover=20s {}", HOW[usize::from(who)]));
    }

    fn call(&mut self, who: u8, words: &str) -> Vec<String> {
        let over = if who == 2 { "call " } else { "" };
        let line = format!("{over}{} {} {words}", self.name(who), self.framework(who));
        self.feed(&line)
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

    /// An offer that is open, and whose.
    fn open(&self, which: usize) -> Option<(String, u8)> {
        let all: Vec<_> = self.seen.open.iter().collect();
        let (id, to) = all.get(which % all.len().max(1))?;
        Some(((*id).clone(), to.as_bytes()[1] - b'0'))
    }

    fn agent_of(&self, offer_id: &str) -> String {
        let short = format!("-{offer_id}");
        let mut offers = self.script.master.offers().iter();
        let offer = offers.find(|(id, _)| id.as_str().ends_with(&short)).expect("an open offer");
        offer.1.agent_id.to_string()
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
                if let Some((id, who)) = self.open(which) {
                    self.call(who, &format!("decline {id} refuse={refuse}s"));
                    assert!(!self.seen.open.contains_key(&id), "a declined offer is no more");
                }
            }
            Step::Stale { which } => {
                let stale: Vec<_> =
                    self.seen.ever.iter().filter(|id| !self.seen.open.contains_key(*id)).cloned().collect();
                if let Some(id) = stale.get(which % stale.len().max(1)) {
                    let lines = self.call(0, &format!("accept {id} stale@S0{{cpus:0.1}}"));
                    assert!(
                        !lines.iter().any(|line| line.contains("<- run")),
                        "an offer is used once: {lines:?}"
                    );
                }
            }
            Step::Revive(who) => drop(self.call(who, "revive")),
            Step::Suppress(who) => drop(self.call(who, "suppress")),
            Step::Resubscribe(who) => self.subscribe(who, true),
            Step::SchedulerExits(who) => drop(self.feed(&format!("exit {}", self.name(who)))),
            Step::Report { which, state } => self.report(which, state),
            Step::Acknowledge { which } => {
                if let Some((task, framework, agent, _)) = self.task(which) {
                    let uuid = self.seen.updates;
                    if let Some(who) = self.who(&framework) {
                        self.call(who, &format!("ack {agent} {task} u{uuid}"));
                    }
                }
            }
            Step::Kill { which } => {
                if let Some((task, framework, ..)) = self.task(which)
                    && let Some(who) = self.who(&framework)
                {
                    self.call(who, &format!("kill {task}"));
                }
            }
            Step::AgentExits(who) => drop(self.feed(&format!("exit a{who}"))),
            Step::Reregister(who, total) => self.reregister(who, total),
            Step::Resources(who, total) => {
                drop(self.feed(&format!("a{who} resources {}", other_total(total))))
            }
            Step::Register(who) => drop(self.feed(&format!("a{who} register h{who} {TOTAL}"))),
            Step::Unregister(who) => drop(self.feed(&format!("a{who} unregister"))),
            Step::Group { which, tasks } => self.group(which, &tasks),
            Step::Update { who, roles, suppressed } => {
                let roles = ["*", "q,r", "r"][usize::from(roles)];
                let suppressed = if suppressed { format!("suppressed={roles}") } else { String::new() };
                let checkpoint = if who == 0 { "checkpoint" } else { "" };
                let words = format!("update roles={roles} multi_role {suppressed} {checkpoint} failover=20s");
                self.call(who, &words);
            }
            Step::Teardown(who) => {
                let line = format!("operator teardown {}", self.framework(who));
                self.feed(&line);
                self.subscribe(who, false);
            }
            Step::Gone(who) => self.gone(who),
            Step::Weigh(role, weight) => {
                let role = ["*", "r", "z"][usize::from(role)];
                self.feed(&format!("operator weights {role}={weight}"));
            }
            Step::Wish(who, what, how) => self.wish(who, what, how),
            Step::Maintain(how) => drop(self.feed(&format!("operator {how} h1"))),
            Step::Wait(seconds) => drop(self.feed(&format!("+{seconds}s"))),
        }
    }

    /// An operator wants something of the agent with that number among those that there are, the unreachable ones last.
    fn wish(&mut self, which: u8, what: &str, how: &str) {
        let master = &self.script.master;
        let ids = master.agents().keys().chain(master.unreachable_agents().map(|(id, _)| id));
        let ids: Vec<_> = ids.cloned().collect();
        if let Some(id) = ids.get(usize::from(which)) {
            self.feed(&format!("operator {what} ={id}{how}"));
        }
        for who in 0..3 {
            let name = format!("a{who}");
            // One that is drained for good is followed by another.
            if !self.script.master.agents().values().any(|agent| agent.pid.name() == name) {
                self.feed(&format!("{name} register h{who} {TOTAL}"));
            }
        }
    }

    /// An operator gives an agent up, one that is registered before one that does not answer; another comes.
    fn gone(&mut self, who: u8) {
        let name = format!("a{who}");
        let mut agents = self.script.master.agents().values();
        let registered = agents.find(|agent| agent.pid.name() == name).map(|agent| agent.id.clone());
        let mut away = self.script.master.unreachable_agents().map(|(id, _)| id.clone());
        if let Some(id) = registered.or_else(|| away.next()) {
            drop(away);
            self.feed(&format!("operator gone ={id}"));
            self.feed(&format!("a{who} register h{who} {TOTAL}"));
        }
    }

    fn who(&self, framework: &str) -> Option<u8> {
        (0..3).find(|who| self.framework(*who) == framework)
    }

    fn accept(&mut self, which: usize, more: usize, tasks: &[(u8, u8)], executor: bool) {
        let Some((id, who)) = self.open(which) else { return };
        let mut ids = id.clone();
        if let Some((other, owner)) = self.open(more)
            && owner == who
            && other != id
            && more.is_multiple_of(3)
        {
            ids = format!("{id},{other}");
        }
        let agent = self.agent_of(&id);
        let mut words = format!("accept {ids} refuse=1s");
        for (cpus, mem) in tasks {
            self.seen.tasks += 1;
            let number = self.seen.tasks;
            let port = number % 20 + 1;
            words += &format!(" t{number}@={agent}{{cpus:0.{cpus};mem:{mem};ports:[{port}-{port}]}}");
            if executor {
                words += "+e1{cpus:0.2;mem:8}";
            }
        }
        self.call(who, &words);
        assert!(!self.seen.open.contains_key(&id), "an accepted offer is no more");
    }

    /// All tasks of a group are launched, or all are refused.
    fn group(&mut self, which: usize, tasks: &[(u8, u8)]) {
        let Some((id, who)) = self.open(which) else { return };
        let agent = self.agent_of(&id);
        let mut words = format!("accept {id} refuse=1s group+g1{{cpus:0.3;mem:32;disk:1}}");
        for (cpus, mem) in tasks {
            self.seen.tasks += 1;
            words += &format!(" t{}@={agent}{{cpus:0.{cpus};mem:{mem}}}", self.seen.tasks);
        }
        let lines = self.call(who, &words);
        let launched = lines.iter().filter(|line| line.contains("<- run group")).count();
        let refused = lines.iter().filter(|line| line.contains("REASON_TASK_GROUP_INVALID")).count();
        assert!(
            matches!((launched, refused), (1, 0)) || (launched, refused) == (0, tasks.len()),
            "{lines:?}"
        );
    }

    fn report(&mut self, which: usize, state: usize) {
        let Some((task, framework, _, agent)) = self.task(which) else { return };
        let state = ["STARTING", "RUNNING", "FINISHED", "FAILED", "KILLED"][state];
        self.seen.updates = self.seen.updates.wrapping_add(1);
        let uuid = self.seen.updates;
        self.feed(&format!("{agent} update {framework} {task} {state} u{uuid}"));
    }

    /// The agent comes back with every second of its tasks, and sometimes with more or less than it had.
    fn reregister(&mut self, who: u8, total: u8) {
        let name = format!("a{who}");
        let agents = self.script.master.agents();
        let Some(agent) = agents.values().find(|agent| agent.pid.name() == name) else { return };
        let mut line = format!("{name} reregister ={} h{who} {}", agent.id, other_total(total));
        for (number, (owner, task_id)) in agent.tasks.iter().enumerate() {
            let task = &self.script.master.frameworks()[owner].tasks[task_id].task;
            if number % 2 == 0 {
                let state = task.state.name().trim_start_matches("TASK_").to_owned();
                line += &format!(" task=={owner}/{task_id}:{state}{{{}}}", task.resources);
            }
        }
        for (owner, executor) in agent.executors.keys() {
            let own = if executor.as_str() == "g1" { "cpus:0.3;mem:32;disk:1" } else { "cpus:0.2;mem:8" };
            line += &format!(" executor=={owner}/{executor}{{{own}}}");
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
