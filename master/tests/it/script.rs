//! The language of the golden scripts.
//!
//! `s1`, `a1` ... are actors, `h1` ... streams of HTTP clients: `h1 subscribe`, then `call h1 0000 revive` (`call - 0000
//! revive` without the header), and `operator teardown 0000`; answers are numbered in the order of asking. Identities that the master gives out are written without the master's own: `0000`, `S0`, `O0`.
//! Time is `+15s`. What the registry is asked for is applied at once unless `hold` was said (until `flow`); `apply` applies the next, `apply all` all of them.
//! `at_most 2 3 1` begins anew with a master that takes on two frameworks with three tasks each, and one agent;
//! `remember 2 3` with one that remembers two frameworks that have ended, and three tasks of each.
//! `failover` loses the master with what it was asking the registry for, and begins the next one with what the registry holds;
//! identities that the n-th master gave out are `m1-0000` and so on from then on. `set limit=50 rate=1/600s` begins anew with
//! other settings.
//! `watch` shows from there on what those who watch are told, `heartbeats` the heartbeats.
//! Agents answer pings unless `silent a1` was said, and such pings are not shown.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use libactor::{Machine, Pid, Time};
use master::core::allocator::{AllocatorConfig, Hierarchical};
use master::core::mirror::Mirror;
use master::core::{Ask, Bounds, Input, Master, MasterConfig, Output};
use master::registry::{Operation, State, codec};
use protocol::Task;
use protocol::messages::{AgentCall, AgentEvent, Event, SchedulerCall};

use crate::lines::{agent_event_line, change_line, event_lines, operation_line, short};
use crate::words::duration;

/// A master and what drives it.
pub(crate) struct Script {
    pub(crate) master: Master,
    pub(crate) now: Time,
    config: MasterConfig,
    /// What is durable.
    registry: State,
    prefix: String,
    /// Of the masters before this one.
    former: Vec<String>,
    hold: bool,
    held: VecDeque<Operation>,
    silent: BTreeSet<String>,
    asks: u64,
    watch: bool,
    heartbeats: bool,
    /// What is known from changes alone.
    mirror: Mirror,
}

pub(crate) const START: Duration = Duration::from_secs(1_000_000);

/// A master for tests, with the real allocator.
pub(crate) fn new_master(config: MasterConfig, now: Time) -> Master {
    nth_master(config, now, 1)
}

fn nth_master(config: MasterConfig, now: Time, seed: u64) -> Master {
    let allocator = Hierarchical::new(AllocatorConfig::default(), 1);
    Master::new(config, seed, now, Box::new(allocator))
}

/// The address of an actor of a script: those that begin with `x` are on another host.
pub(crate) fn pid(name: &str) -> Pid {
    if name.starts_with('h') {
        return Pid::stream(name, "10.0.0.1:5050".parse().expect("an address"));
    }
    let host = if name.starts_with('x') { 2 } else { 1 };
    format!("{name}@10.0.0.{host}:5051").parse().expect("the name of an actor")
}

/// `rate=1/600s`, `limit=50` (percent), `reregister=60s`, `gc=900s`, `age=3600s`, `count=2`.
fn settings(words: &[&str]) -> Result<MasterConfig, String> {
    let mut config = MasterConfig::default();
    let number = |text: &str| text.parse::<u32>().map_err(|_| "a number?".to_owned());
    for word in words {
        match word.split_once('=').ok_or("name=value?")? {
            ("rate", rate) => {
                let (permits, period) = rate.split_once('/').ok_or("1/600s?")?;
                config.agent_removal_rate_limit = Some((number(permits)?, duration(period)?));
            }
            ("limit", percent) => config.recovery_agent_removal_limit = number(percent)?,
            ("reregister", time) => config.agent_reregister_timeout = duration(time)?,
            ("gc", time) => config.registry_gc_interval = duration(time)?,
            ("age", time) => config.registry_max_agent_age = duration(time)?,
            ("count", most) => config.registry_max_agent_count = number(most)? as usize,
            (name, _) => return Err(format!("{name}?")),
        }
    }
    Ok(config)
}

type Lines = Result<Vec<String>, String>;

impl Script {
    pub(crate) fn new() -> Self {
        let now = Time::default() + START;
        let master = new_master(MasterConfig::default(), now);
        let prefix = format!("{}-", master.info().id);
        Self {
            mirror: Mirror::of(&master),
            master,
            now,
            config: MasterConfig::default(),
            registry: State::default(),
            prefix,
            former: Vec::new(),
            hold: false,
            held: VecDeque::new(),
            silent: BTreeSet::new(),
            asks: 0,
            watch: false,
            heartbeats: false,
        }
    }

    fn begin(&mut self, config: MasterConfig) {
        self.master = new_master(config.clone(), self.now);
        self.config = config;
        self.mirror = Mirror::of(&self.master);
    }

    /// The next master.
    fn failover(&mut self) -> Vec<String> {
        self.held.clear();
        let former = std::mem::take(&mut self.prefix);
        self.former.push(former);
        self.master = nth_master(self.config.clone(), self.now, 1 + self.former.len() as u64);
        self.master.recover(self.now, &self.registry);
        self.prefix = format!("{}-", self.master.info().id);
        self.mirror = Mirror::of(&self.master);
        self.master.check();
        self.tick()
    }

    /// Registers the operation before the master hears of it.
    fn apply(&mut self, operation: Operation) -> Vec<String> {
        // Each goes through its bytes, as it would with several masters.
        let bytes = codec::encode_operations(std::slice::from_ref(&operation));
        assert_eq!(codec::decode_operations(&bytes).as_deref(), Ok(std::slice::from_ref(&operation)));
        self.registry.apply(&operation);
        self.input(Input::Applied { operation })
    }

    fn ask(&mut self) -> Ask {
        self.asks += 1;
        Ask(self.asks)
    }

    /// Carries one line out.
    pub(crate) fn feed(&mut self, line: &str) -> Lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let Some(done) = self.setting(&words) {
            return done.map(|()| Vec::new());
        }
        let lines = match words.as_slice() {
            ["apply"] => {
                let held = self.held.pop_front();
                held.map_or(vec!["  nothing is held".to_owned()], |operation| self.apply(operation))
            }
            ["apply", "all"] => {
                let mut lines = Vec::new();
                while let Some(operation) = self.held.pop_front() {
                    lines.extend(self.apply(operation));
                }
                lines
            }
            ["failover"] => self.failover(),
            ["exit", name] => self.input(Input::Exited { pid: pid(name) }),
            ["show"] => self.show(),
            ["counters", names @ ..] => names
                .iter()
                .map(|name| format!("  {name} = {}", self.master.counters().value(name)))
                .collect(),
            ["counters_of", id, names @ ..] => {
                let id = self.full(id).into();
                let counters = &self.master.frameworks().get(&id).ok_or("no such framework")?.counters;
                names.iter().map(|name| format!("  {name} = {}", counters.value(name))).collect()
            }
            ["call", stream, id, rest @ ..] => {
                let stream_id = (*stream != "-").then(|| (*stream).to_owned());
                let (framework_id, call) = (self.full(id).into(), self.scheduler_call(rest)?);
                let ask = self.ask();
                self.input(Input::Call { ask, framework_id, stream_id, call })
            }
            ["operator", rest @ ..] => {
                let request = self.operator_request(rest)?;
                let ask = self.ask();
                self.input(Input::Operator { ask, request })
            }
            [time] if time.starts_with('+') => self.advance(duration(&time[1..])?),
            [agent, rest @ ..] if agent.starts_with(['a', 'x']) => {
                let call = self.agent_call(rest)?;
                self.input(Input::Agent { from: pid(agent), call })
            }
            [scheduler, "subscribe", rest @ ..] => {
                let call = self.subscribe(rest)?;
                self.input(Input::Scheduler { from: pid(scheduler), call })
            }
            [scheduler, id, rest @ ..] => {
                let call = self.scheduler_call(rest)?;
                let call = SchedulerCall { framework_id: Some(self.full(id).into()), call };
                self.input(Input::Scheduler { from: pid(scheduler), call })
            }
            _ => return Err("what is that?".to_owned()),
        };
        Ok(lines.into_iter().map(|line| self.shortened(line)).collect())
    }

    fn shortened(&self, line: String) -> String {
        let line = line.replace(&self.prefix, "");
        let former = self.former.iter().enumerate();
        former.fold(line, |line, (index, prefix)| line.replace(prefix, &format!("m{}-", index + 1)))
    }

    /// Lines that say how what follows is to be taken.
    fn setting(&mut self, words: &[&str]) -> Option<Result<(), String>> {
        let numbers = |words: &[&str]| -> Result<Vec<usize>, String> {
            words.iter().map(|word| word.parse().map_err(|_| "a number?".to_owned())).collect()
        };
        match words {
            ["hold"] => self.hold = true,
            ["flow"] => self.hold = false,
            ["watch"] => self.watch = true,
            ["heartbeats"] => self.heartbeats = true,
            ["silent", agent] => drop(self.silent.insert((*agent).to_owned())),
            ["offer_timeout", seconds] => {
                return Some(duration(seconds).map(|timeout| {
                    self.begin(MasterConfig { offer_timeout: Some(timeout), ..MasterConfig::default() });
                }));
            }
            ["at_most", rest @ ..] => {
                return Some(numbers(rest).map(|most| {
                    let bounds =
                        Bounds { frameworks: most[0], tasks_per_framework: most[1], agents: most[2] };
                    self.begin(MasterConfig { bounds, ..MasterConfig::default() });
                }));
            }
            ["set", rest @ ..] => return Some(settings(rest).map(|config| self.begin(config))),
            ["remember", rest @ ..] => {
                return Some(numbers(rest).map(|most| {
                    self.begin(MasterConfig {
                        max_completed_frameworks: most[0],
                        max_completed_tasks_per_framework: most[1],
                        max_unreachable_tasks_per_framework: most[1],
                        ..MasterConfig::default()
                    });
                }));
            }
            _ => return None,
        }
        Some(Ok(()))
    }

    fn input(&mut self, input: Input) -> Vec<String> {
        let mut out = Vec::new();
        self.master.handle(self.now, input, &mut out);
        self.check(&out);
        let mut lines = self.carry_out(out);
        // Allocations that are due now belong to the input.
        if self.master.deadline().is_some_and(|due| due <= self.now) {
            lines.extend(self.tick());
        }
        lines
    }

    fn tick(&mut self) -> Vec<String> {
        let mut out = Vec::new();
        self.master.tick(self.now, &mut out);
        self.check(&out);
        self.carry_out(out)
    }

    fn check(&mut self, out: &[Output]) {
        self.master.check();
        self.mirror.follow(&self.master, out);
        assert_eq!(self.mirror, Mirror::of(&self.master), "nothing changes without a word: {out:#?}");
    }

    fn advance(&mut self, by: Duration) -> Vec<String> {
        let end = self.now + by;
        let mut lines = Vec::new();
        while let Some(due) = self.master.deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            let new = self.tick();
            if !new.is_empty() {
                lines.push(format!("@{}s", self.now.since(Time::default() + START).as_secs_f64()));
                lines.extend(new);
            }
        }
        self.now = end;
        lines
    }

    fn carry_out(&mut self, out: Vec<Output>) -> Vec<String> {
        let mut lines = Vec::new();
        for output in out {
            match output {
                Output::ToScheduler { event: Event::Heartbeat, .. } if !self.heartbeats => {}
                Output::ToScheduler { to, event } => lines.extend(event_lines(&to, event)),
                Output::ToAgent { to, event: AgentEvent::Ping { connected: true } }
                    if !self.silent.contains(to.name()) =>
                {
                    lines.extend(self.input(Input::Agent { from: to, call: AgentCall::Pong }));
                }
                Output::ToAgent { to, event } => lines.push(agent_event_line(&to, event)),
                Output::Answer { ask, answer } => lines.push(format!("answer {} {answer:?}", ask.0)),
                Output::Changed(change) if self.watch => lines.push(change_line(&change)),
                Output::Changed(_) => {}
                Output::Link { pid } => lines.push(format!("link {}", short(&pid))),
                Output::Unlink { pid } => lines.push(format!("unlink {}", short(&pid))),
                Output::GiveUp { reason } => lines.push(format!("give up '{reason}'")),
                Output::Apply { operation } => {
                    lines.push(operation_line(&operation));
                    if self.hold {
                        self.held.push_back(operation);
                    } else {
                        lines.extend(self.apply(operation));
                    }
                }
            }
        }
        lines
    }

    fn show(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (id, agent) in self.master.agents() {
            let state = if agent.connected { "connected" } else { "disconnected" };
            let state = if agent.deactivated { format!("{state} deactivated") } else { state.to_owned() };
            let state = match agent.draining.as_ref().map(|draining| draining.drain.drained) {
                Some(true) => format!("{state} drained"),
                Some(false) => format!("{state} draining"),
                None => state,
            };
            lines.push(format!("  agent {id} {state} used={} offered={}", agent.used, agent.offered));
            lines.extend(agent.orphans.keys().map(|(owner, task)| format!("    orphan {owner}/{task}")));
        }
        for (id, framework) in self.master.frameworks() {
            let state = if framework.pid.is_some() { "connected" } else { "disconnected" };
            lines.push(format!("  framework {id} {state}"));
            let task = |task: &Task| format!("{} {} @{}", task.task_id, task.state, task.agent_id);
            lines.extend(framework.tasks.values().map(|one| {
                let role = if one.role.is_default() { String::new() } else { format!(" for {}", one.role) };
                format!("    task {}{role}", task(&one.task))
            }));
            lines.extend(
                framework.unreachable.iter().map(|(_, one)| format!("    unreachable {}", task(&one.task))),
            );
            lines.extend(framework.completed.iter().map(|(_, one)| format!("    completed {}", task(one))));
        }
        lines.extend(self.master.weights().iter().map(|(role, weight)| format!("  weight {role} {weight}")));
        let maintenance = self.master.maintenance();
        lines.extend(maintenance.draining().map(|one| format!("  scheduled {}/{}", one.hostname, one.ip)));
        lines.extend(maintenance.down.iter().map(|one| format!("  down {}/{}", one.hostname, one.ip)));
        lines.extend(self.master.recovered_agents().keys().map(|id| format!("  recovered {id}")));
        lines.extend(self.master.unreachable_agents().map(|(id, _)| format!("  unreachable {id}")));
        lines.extend(self.master.gone_agents().map(|(id, _)| format!("  gone {id}")));
        lines.extend(
            self.master.completed_frameworks().map(|framework| format!("  completed {}", framework.id)),
        );
        lines
    }

    /// Puts the master's identity before a short one; `=` before a word leaves it as it is.
    pub(crate) fn full(&self, word: &str) -> String {
        if let Some(literal) = word.strip_prefix('=') {
            return literal.to_owned();
        }
        for (index, prefix) in self.former.iter().enumerate() {
            if let Some(rest) = word.strip_prefix(&format!("m{}-", index + 1)) {
                return format!("{prefix}{rest}");
            }
        }
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let short = (word.len() == 4 && digits(word)) || word.strip_prefix(['S', 'O']).is_some_and(digits);
        if short { format!("{}{word}", self.prefix) } else { word.to_owned() }
    }
}
