//! An agent's process: the agent machine, and a containerizer that starts executors as simulated processes.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use agent::core::{Agent, AgentConfig, ContainerEnd, ContainerSpec, Found, Input, Output};
use executor::core::SessionConfig;
use libactor::sim::{Context, Host, Life, UNKNOWN_STATUS};
use libactor::{Machine, Pid, Random, Time, Timers};
use protocol::ContainerId;
use protocol::messages::AgentEvent;

use super::Message;
use super::agent_disk::{AgentDisk, Writer};
use super::executor::ExecutorHost;
use super::executor_streams::Streams;
use super::finder::{Finder, Masters, News};

/// Processes that have ended by their own decision, for whoever starts them again.
pub type Terminated = Rc<RefCell<BTreeSet<SocketAddr>>>;

/// How the simulated containerizer behaves, and who supervises the agent.
#[derive(Clone, Debug)]
pub struct AgentSetup {
    /// The agent's own settings.
    pub config: AgentConfig,
    /// Where the masters are.
    pub masters: Masters,
    /// How often a launch fails, in thousandths.
    pub launch_fails_thousandths: u64,
    /// The longest that a launch takes.
    pub slowest_launch: Duration,
    /// Told when the agent decides to end.
    pub terminated: Terminated,
    /// What outlives its process.
    pub disk: AgentDisk,
    /// The longest that it takes to make something durable, and to find containers again.
    pub slowest_disk: Duration,
}

/// An agent and its containers.
#[derive(Debug)]
pub struct AgentHost {
    agent: Agent,
    finder: Finder,
    setup: AgentSetup,
    random: Random,
    /// Launches that are under way.
    launches: Timers<ContainerId>,
    writer: Writer,
    /// Containers that are being found again, and until when.
    finding: Option<(Time, Vec<ContainerId>)>,
    containers: BTreeMap<ContainerId, Container>,
    streams: Streams,
    next_os_pid: u32,
}

#[derive(Debug)]
struct Container {
    /// Absent: an earlier life has launched it.
    spec: Option<Box<ContainerSpec>>,
    process: Option<Pid>,
    destroyed: bool,
}

impl AgentHost {
    /// A new life, with what the disk has kept.
    pub fn new(setup: AgentSetup, life: Life) -> Self {
        let (seed, now) = (life.seed, life.began);
        let mut random = Random::new(seed);
        let mut config = setup.config.clone();
        config.boot_id = format!("boot {}", life.boot);
        let agent = Agent::recover(config, random.next_u64(), now, setup.disk.records());
        Self {
            agent: agent.expect("an agent may become what it was"),
            finder: Finder::new(&setup.masters, false, random.next_u64(), now),
            writer: Writer::new(setup.disk.clone(), setup.slowest_disk),
            setup,
            random,
            launches: Timers::default(),
            finding: None,
            containers: BTreeMap::new(),
            streams: Streams::default(),
            next_os_pid: 1000,
        }
    }

    /// The machine.
    pub fn machine(&self) -> &Agent {
        &self.agent
    }

    fn feed(&mut self, now: Time, input: Input, cx: &mut Context<Message>) {
        let mut out = Vec::new();
        self.agent.handle(now, input, &mut out);
        self.carry_out(now, out, cx);
    }

    fn carry_out(&mut self, now: Time, out: Vec<Output>, cx: &mut Context<Message>) {
        self.agent.check();
        for output in out {
            match output {
                Output::ToMaster { to, call } => cx.send(&to, Message::Agent(call)),
                Output::ToExecutor { to, event } => match to.stream_id() {
                    Some(_) => self.streams.tell(&to, event, cx),
                    None => cx.send(&to, Message::ExecutorEvent(event)),
                },
                Output::Answer { ask, answer } => self.streams.answer(ask, answer, cx),
                // Nobody looks into sandboxes here.
                Output::Forget { .. } => {}
                Output::Link { pid } if pid.stream_id().is_some() => self.streams.link(&pid, cx),
                Output::Unlink { pid } if pid.stream_id().is_some() => self.streams.close(&pid, cx),
                Output::Link { pid } => cx.link(&pid),
                Output::Unlink { pid } => cx.unlink(&pid),
                Output::Launch(spec) => {
                    let slowest = u64::try_from(self.setup.slowest_launch.as_millis()).unwrap_or(u64::MAX);
                    let took = Duration::from_millis(self.random.below(slowest.max(1)));
                    self.launches.set(spec.container_id.clone(), now + took);
                    let container_id = spec.container_id.clone();
                    let container = Container { spec: Some(spec), process: None, destroyed: false };
                    self.containers.insert(container_id, container);
                }
                Output::Destroy { container_id } => self.destroy(&container_id, cx),
                Output::Checkpoint(batch) => self.writer.write(now, batch, &mut self.random),
                Output::Recover { containers, rebooted } => self.find(now, containers, rebooted, cx),
                Output::Update { .. } => {}
                Output::Terminate { message, .. } => {
                    cx.note(format!("agent terminates: {message}"));
                    self.setup.terminated.borrow_mut().insert(cx.me().address());
                    cx.exit(1);
                }
            }
        }
    }

    fn detected(&mut self, now: Time, news: News, cx: &mut Context<Message>) {
        if let Some(master) = news {
            self.feed(now, Input::MasterDetected { master }, cx);
        }
    }

    /// Only the detected master is heeded: one that was deposed may not know it.
    fn master_says(&mut self, now: Time, from: Pid, event: AgentEvent, cx: &mut Context<Message>) {
        let ignored = (self.agent.master() != Some(&from)).then(|| format!("{from} says {event:?}"));
        let mut out = Vec::new();
        self.agent.handle(now, Input::Master { from, event }, &mut out);
        if let Some(said) = ignored {
            let spoken = out.iter().any(|output| !matches!(output, Output::Checkpoint(_)));
            assert!(!spoken, "{said}, which does not lead, and the agent heeds it: {out:?}");
        }
        self.carry_out(now, out, cx);
    }

    fn streams_ended(&mut self, now: Time, process: &Pid, only: Option<u64>, cx: &mut Context<Message>) {
        for pid in self.streams.ended(process, only) {
            self.feed(now, Input::Exited { pid }, cx);
        }
    }

    /// Looks for processes of an earlier life; those that are not named are ended.
    fn find(&mut self, now: Time, named: Vec<ContainerId>, rebooted: bool, cx: &mut Context<Message>) {
        for (container_id, process) in self.setup.disk.processes() {
            if !named.contains(&container_id) {
                cx.kill(&process);
                self.setup.disk.ended(&container_id);
                continue;
            }
            assert!(!rebooted || !self.containers.contains_key(&container_id));
            cx.adopt(&process);
            let container = Container { spec: None, process: Some(process), destroyed: false };
            self.containers.insert(container_id, container);
        }
        let millis = u64::try_from(self.setup.slowest_disk.as_millis()).unwrap_or(u64::MAX);
        self.finding = Some((now + Duration::from_millis(self.random.below(millis.max(1))), named));
    }

    /// Those that were looked for are found, or nothing is left of them.
    fn found(&mut self, now: Time, named: Vec<ContainerId>, cx: &mut Context<Message>) {
        let what = |container_id: &ContainerId| match self.containers.contains_key(container_id) {
            true => Found::Running(1),
            false => Found::Ended(ContainerEnd::default()),
        };
        let containers: BTreeMap<_, _> = named.into_iter().map(|id| (id.clone(), what(&id))).collect();
        let running = containers.values().filter(|found| matches!(found, Found::Running(_)));
        self.setup.disk.finds(running.count());
        self.feed(now, Input::Recovered { containers }, cx);
    }

    fn destroy(&mut self, container_id: &ContainerId, cx: &mut Context<Message>) {
        let Some(container) = self.containers.get_mut(container_id) else { return };
        container.destroyed = true;
        if let Some(process) = &container.process {
            cx.kill(process);
        }
    }

    /// A launch has taken its time: it succeeds or fails. One that was destroyed meanwhile may have done either.
    fn launched(&mut self, now: Time, container_id: ContainerId, cx: &mut Context<Message>) {
        let destroyed = self.containers[&container_id].destroyed;
        let fails = match destroyed {
            true => self.random.chance(500),
            false => self.random.chance(self.setup.launch_fails_thousandths),
        };
        if fails {
            self.containers.remove(&container_id);
            let result = Err("the launch has failed, as planned".to_owned());
            return self.feed(now, Input::Launched { container_id, result }, cx);
        }
        self.next_os_pid += 1;
        let os_pid = self.next_os_pid;
        let seed = self.random.next_u64();
        let http = self.random.chance(500);
        let container = self.containers.get_mut(&container_id).expect("it is being launched");
        let spec = container.spec.as_ref().expect("it was asked for in this life");
        let command = spec.command_executor;
        let host = ExecutorHost::new(session(spec, seed), command, http && !command);
        let process = cx.spawn(&format!("executor-{os_pid}"), Box::new(host));
        self.setup.disk.started(&container_id, &process);
        if destroyed {
            cx.kill(&process);
        }
        container.process = Some(process);
        self.feed(now, Input::Launched { container_id, result: Ok(os_pid) }, cx);
    }
}

/// What the executor library makes of the environment.
fn session(spec: &ContainerSpec, seed: u64) -> SessionConfig {
    let variable = |name: &str| {
        let set = spec.environment.iter().rfind(|(known, _)| known == name);
        set.map(|(_, value)| value.clone())
    };
    SessionConfig::from_variables(variable, seed).expect("executors understand their environment")
}

impl Host for AgentHost {
    type Message = Message;

    fn start(&mut self, now: Time, _me: &Pid, cx: &mut Context<Message>) {
        self.feed(now, Input::Begin, cx);
    }

    fn message(&mut self, now: Time, from: Pid, message: Message, cx: &mut Context<Message>) {
        if let Some(news) = self.finder.message(now, &from, &message, cx) {
            return self.detected(now, news, cx);
        }
        let input = match message {
            Message::AgentEvent(event) => return self.master_says(now, from, event, cx),
            Message::Executor(call) => Input::Executor { from, call },
            Message::Http { call, number } => self.streams.call(cx.me(), from, call, number),
            Message::Hangup(number) => return self.streams_ended(now, &from, Some(number), cx),
            other => panic!("{other:?} is nothing for an agent"),
        };
        self.feed(now, input, cx);
    }

    fn exited(&mut self, now: Time, pid: Pid, cx: &mut Context<Message>) {
        self.streams_ended(now, &pid, None, cx);
        let news = self.finder.exited(now, &pid, cx);
        self.detected(now, news, cx);
        self.feed(now, Input::Exited { pid }, cx);
    }

    fn deadline(&self) -> Option<Time> {
        let finding = self.finding.as_ref().map(|(until, _)| *until);
        let own = [self.agent.deadline(), self.launches.next(), self.writer.deadline(), finding];
        own.into_iter().chain([self.finder.deadline()]).flatten().min()
    }

    fn tick(&mut self, now: Time, cx: &mut Context<Message>) {
        let news = self.finder.tick(now, cx);
        self.detected(now, news, cx);
        if let Some(number) = self.writer.tick(now) {
            self.feed(now, Input::Checkpointed { number }, cx);
        }
        if let Some((_, named)) = self.finding.take_if(|(until, _)| *until <= now) {
            self.found(now, named, cx);
        }
        let mut out = Vec::new();
        self.agent.tick(now, &mut out);
        self.carry_out(now, out, cx);
        while let Some(container_id) = self.launches.pop(now) {
            self.launched(now, container_id, cx);
        }
    }

    fn child_ended(&mut self, now: Time, pid: Pid, status: i32, cx: &mut Context<Message>) {
        let ended = self.containers.iter().find(|(_, container)| container.process.as_ref() == Some(&pid));
        let container_id = ended.map(|(id, _)| id.clone()).expect("an agent's children are containers");
        self.containers.remove(&container_id);
        self.setup.disk.ended(&container_id);
        if self.finding.is_some() {
            return; // It is told as ended when all are found.
        }
        let end = ContainerEnd { status: (status != UNKNOWN_STATUS).then_some(status), ..Default::default() };
        self.feed(now, Input::ContainerExited { container_id, end }, cx);
    }
}
