//! A framework's process: the scheduler session, and a scheduler that does this and that.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use libactor::sim::{Context, Host, Life};
use libactor::{Machine, Pid, Random, Time, Timers};
use protocol::messages::{Event, ReconcileTask};
use protocol::{
    AgentId, Filters, FrameworkId, FrameworkInfo, Offer, OfferId, Operation, Role, TaskId, TaskState,
    TaskStatus, Uuid,
};
use scheduler_driver::core::{Callback, DriverCall, Input, Output, Session, SessionConfig};

use super::Message;
use super::agent::Terminated;
use super::finder::{Finder, Masters, News};
use super::streams::Stream;

/// Most tasks that a framework has at a time, as far as it knows.
const MAX_LIVE: usize = 12;

/// What a framework keeps across its lives: its disk.
#[derive(Debug, Default)]
pub struct Memory {
    /// Its identity, once assigned; cleared when it is refused or given up.
    pub id: Option<FrameworkId>,
    /// Every task it has ever asked for.
    pub tasks: BTreeMap<TaskId, Known>,
    pub(super) next_task: u64,
}

/// What a framework knows of a task.
#[derive(Clone, Debug)]
pub struct Known {
    /// Where it was to run.
    pub agent_id: AgentId,
    /// Under which identity it was asked for.
    pub framework_id: FrameworkId,
    /// The newest state; Staging before the first update.
    pub state: TaskState,
    /// Since when.
    pub since: Time,
    /// All states that it was told.
    pub told: BTreeSet<TaskState>,
}

/// What makes one framework differ from another.
#[derive(Clone, Debug)]
pub struct FrameworkSetup {
    /// Who; the id comes from the memory.
    pub info: FrameworkInfo,
    /// Where the masters are.
    pub masters: Masters,
    /// Whether it speaks HTTP.
    pub http: bool,
    /// Whether it leaves acknowledging to the driver.
    pub implicit_acknowledgements: bool,
    /// What it is to do now.
    pub season: Rc<Cell<Season>>,
    /// Told when it decides to end.
    pub terminated: Terminated,
    /// What survives.
    pub memory: Rc<RefCell<Memory>>,
    /// Told which master it listens to.
    pub heeds: Heeds,
}

/// The parts of a run, as those know it who make work. A shared word and no time of day: clocks differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Season {
    /// There are faults, and operators who meddle.
    #[default]
    Storm,
    /// There are none.
    Busy,
    /// Nothing new is launched.
    Quiet,
    /// What lives is killed.
    End,
}

/// Which master each scheduler listens to: what others say is not told.
pub type Heeds = Rc<RefCell<BTreeMap<Pid, Pid>>>;

/// A framework.
#[derive(Debug)]
pub struct FrameworkHost {
    pub(super) setup: FrameworkSetup,
    pub(super) session: Session,
    finder: Finder,
    stream: Stream,
    pub(super) random: Random,
    timers: Timers<Timer>,
    held: BTreeMap<OfferId, Offer>,
    acknowledge: BTreeMap<Uuid, (AgentId, TaskId)>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    CallbackReturns,
    Acts,
    Decides,
    Reconciles,
    Revives,
    Acknowledges(Uuid),
}

impl FrameworkHost {
    /// A new life, with what the memory holds.
    pub fn new(setup: FrameworkSetup, life: Life) -> Self {
        let mut random = Random::new(life.seed);
        let mut framework = setup.info.clone();
        framework.id = setup.memory.borrow().id.clone();
        let session = Session::new(SessionConfig {
            framework,
            implicit_acknowledgements: setup.implicit_acknowledgements,
            suppressed_roles: BTreeSet::new(),
            seed: random.next_u64(),
        });
        let finder = Finder::new(&setup.masters, setup.http, random.next_u64(), life.began);
        Self {
            setup,
            session,
            finder,
            stream: Stream::default(),
            random,
            timers: Timers::default(),
            held: BTreeMap::new(),
            acknowledge: BTreeMap::new(),
        }
    }

    /// The session.
    pub fn session(&self) -> &Session {
        &self.session
    }

    fn millis(&mut self, most: u64) -> Duration {
        Duration::from_millis(self.random.below(most + 1))
    }

    fn is_quiet(&self) -> bool {
        self.setup.season.get() >= Season::Quiet
    }

    fn detected(&mut self, now: Time, news: News, cx: &mut Context<Message>) {
        if let Some(master) = news {
            self.feed(now, Input::MasterDetected { master }, cx);
        }
    }

    /// Only the master that it is subscribed at, or asks, is heeded: one that was deposed may not know it.
    fn master_says(&mut self, now: Time, from: Pid, event: Event, cx: &mut Context<Message>) {
        let ignored = (self.session.leader().map(|leader| &leader.pid) != Some(&from))
            .then(|| format!("{from} says {event:?}"));
        let mut out = Vec::new();
        self.session.handle(now, Input::Master { from, event }, &mut out);
        if let Some(said) = ignored {
            assert!(out.is_empty(), "{said}, which does not lead, and the scheduler heeds it: {out:?}");
        }
        self.carry_out(now, out, cx);
    }

    fn call(&mut self, now: Time, call: DriverCall, cx: &mut Context<Message>) {
        self.feed(now, Input::Call(call), cx);
    }

    fn feed(&mut self, now: Time, input: Input, cx: &mut Context<Message>) {
        let mut out = Vec::new();
        self.session.handle(now, input, &mut out);
        self.carry_out(now, out, cx);
    }

    fn carry_out(&mut self, now: Time, out: Vec<Output>, cx: &mut Context<Message>) {
        self.session.check();
        let leader = self.session.leader().map(|leader| leader.pid.clone());
        let mut heeds = self.setup.heeds.borrow_mut();
        match leader {
            Some(leader) => heeds.insert(cx.me().clone(), leader),
            None => heeds.remove(cx.me()),
        };
        drop(heeds);
        for output in out {
            match output {
                Output::Link { pid } => cx.link(&pid),
                Output::Unlink { pid } => cx.unlink(&pid),
                Output::Send { to, call } if self.setup.http => {
                    let message = self.stream.send(call, self.random.next_u64());
                    cx.send(&to, message);
                }
                Output::Send { to, call } => cx.send(&to, Message::Scheduler(call)),
                Output::Callback(callback) => {
                    let took = self.millis(20);
                    self.timers.set(Timer::CallbackReturns, now + took);
                    self.called_back(now, callback, cx);
                }
                Output::Terminate { status, error } => {
                    cx.note(format!("driver ends: {status} {error:?}"));
                    if error.is_some() {
                        self.setup.memory.borrow_mut().id = None;
                    }
                    self.setup.terminated.borrow_mut().insert(cx.me().address());
                    cx.exit(0);
                }
            }
        }
    }

    fn called_back(&mut self, now: Time, callback: Callback, cx: &mut Context<Message>) {
        match callback {
            Callback::Registered { framework_id, .. } => {
                self.setup.memory.borrow_mut().id = Some(framework_id);
                self.subscribed(now);
            }
            Callback::Reregistered { .. } => self.subscribed(now),
            Callback::Disconnected => self.held.clear(),
            Callback::Offers(offers) => {
                for offer in offers {
                    self.held.insert(offer.id.clone(), offer);
                }
                let thinks = if self.random.chance(100) { 20_000 } else { 200 };
                if !self.timers.is_set(&Timer::Decides) {
                    let at = now + self.millis(thinks);
                    self.timers.set(Timer::Decides, at);
                }
            }
            Callback::Rescinded(offer_id) => {
                self.held.remove(&offer_id);
            }
            Callback::Update(status) => self.updated(now, status),
            Callback::Message { .. }
            | Callback::AgentLost(_)
            | Callback::ExecutorLost { .. }
            | Callback::Error(_) => {}
        }
        let _ = cx;
    }

    fn subscribed(&mut self, now: Time) {
        let soon = now + self.millis(2_000);
        self.timers.set(Timer::Reconciles, soon);
        if !self.timers.is_set(&Timer::Acts) {
            let at = now + self.millis(10_000);
            self.timers.set(Timer::Acts, at);
        }
    }

    fn updated(&mut self, now: Time, status: TaskStatus) {
        if let (Some(uuid), Some(agent_id), false) =
            (status.uuid, status.agent_id.clone(), self.setup.implicit_acknowledgements)
        {
            self.acknowledge.insert(uuid, (agent_id, status.task_id.clone()));
            let at = now + self.millis(300);
            self.timers.set(Timer::Acknowledges(uuid), at);
        }
        let mut memory = self.setup.memory.borrow_mut();
        let Some(known) = memory.tasks.get_mut(&status.task_id) else { return };
        known.told.insert(status.state);
        // What came to an end by its agent's word stays there: later words are about a task that is forgotten.
        if !known.state.is_terminal() || !status.state.is_terminal() {
            known.state = status.state;
            known.since = now;
        }
    }

    /// Uses or declines what it holds.
    fn decide(&mut self, now: Time, cx: &mut Context<Message>) {
        let mut groups: BTreeMap<(AgentId, Role), Vec<Offer>> = BTreeMap::new();
        for offer in std::mem::take(&mut self.held).into_values() {
            groups.entry((offer.agent_id.clone(), offer.role.clone())).or_default().push(offer);
        }
        for offers in groups.into_values() {
            let offer_ids: Vec<OfferId> = offers.iter().map(|offer| offer.id.clone()).collect();
            let live = self.live().len();
            if self.is_quiet() || live >= MAX_LIVE || self.random.chance(300) {
                let refuse = self.random.below(60);
                let filters = Filters { refuse: Duration::from_secs(refuse) };
                self.call(now, DriverCall::Decline { offer_ids, filters }, cx);
                continue;
            }
            let operation = match self.random.chance(150) {
                true => self.make_group(now, &offers),
                false => Operation::Launch { tasks: self.make_tasks(now, &offers) },
            };
            let operations = vec![operation];
            let filters = Filters { refuse: Duration::from_secs(self.random.below(10)) };
            self.call(now, DriverCall::Accept { offer_ids, operations, filters }, cx);
        }
        if self.is_quiet() {
            self.call(now, DriverCall::Suppress { roles: BTreeSet::new() }, cx);
        }
    }

    /// Tasks that may live, as far as it knows.
    fn live(&self) -> Vec<(TaskId, AgentId)> {
        let memory = self.setup.memory.borrow();
        let mine = |known: &Known| Some(&known.framework_id) == memory.id.as_ref();
        let live = memory.tasks.iter().filter(|(_, known)| mine(known) && !known.state.is_terminal());
        live.map(|(task_id, known)| (task_id.clone(), known.agent_id.clone())).collect()
    }

    /// Something at random.
    fn act(&mut self, now: Time, cx: &mut Context<Message>) {
        let again = now + self.millis(20_000);
        self.timers.set(Timer::Acts, again);
        let live = self.live();
        if self.setup.season.get() == Season::End {
            for (task_id, _) in live {
                self.call(now, DriverCall::Kill { task_id, kill_policy: None }, cx);
            }
            return;
        }
        if self.is_quiet() {
            return;
        }
        match self.random.below(100) {
            0..40 => {
                if let Some((task_id, _)) = self.pick(&live) {
                    self.call(now, DriverCall::Kill { task_id, kill_policy: None }, cx);
                }
            }
            40..55 => self.call(now, DriverCall::Reconcile { tasks: Vec::new() }, cx),
            55..65 => self.reconcile(now, cx),
            65..75 => {
                self.call(now, DriverCall::Suppress { roles: BTreeSet::new() }, cx);
                let at = now + self.millis(30_000);
                self.timers.set(Timer::Revives, at);
            }
            75..85 => self.call(now, DriverCall::Revive { roles: BTreeSet::new() }, cx),
            85..91 => {
                if let Some((_, agent_id)) = self.pick(&live) {
                    let executor_id = format!("{}-x{}", self.setup.info.name, self.random.below(3)).into();
                    if self.random.chance(500) {
                        self.call(now, DriverCall::ShutdownExecutor { executor_id, agent_id }, cx);
                    } else {
                        let data = Bytes::from_static(b"hello");
                        self.call(now, DriverCall::Message { agent_id, executor_id, data }, cx);
                    }
                }
            }
            91..97 => self.call(now, DriverCall::Stop { failover: true }, cx),
            97..98 => {
                self.setup.memory.borrow_mut().id = None;
                self.call(now, DriverCall::Stop { failover: false }, cx);
            }
            _ => {}
        }
    }

    fn pick(&mut self, live: &[(TaskId, AgentId)]) -> Option<(TaskId, AgentId)> {
        (!live.is_empty()).then(|| live[self.random.below(live.len() as u64) as usize].clone())
    }

    /// Asks for all that may live, and for what the master has to say besides, as every framework should from time
    /// to time.
    fn reconcile(&mut self, now: Time, cx: &mut Context<Message>) {
        let live = self.live().into_iter();
        let tasks: Vec<_> =
            live.map(|(task_id, agent_id)| ReconcileTask { task_id, agent_id: Some(agent_id) }).collect();
        if !tasks.is_empty() {
            self.call(now, DriverCall::Reconcile { tasks }, cx);
        }
        self.call(now, DriverCall::Reconcile { tasks: Vec::new() }, cx);
    }

    fn due(&mut self, now: Time, timer: Timer, cx: &mut Context<Message>) {
        match timer {
            Timer::CallbackReturns => self.feed(now, Input::CallbackReturned, cx),
            Timer::Acts => self.act(now, cx),
            Timer::Decides => self.decide(now, cx),
            Timer::Reconciles => {
                self.timers.set(Timer::Reconciles, now + Duration::from_secs(60));
                self.reconcile(now, cx);
            }
            Timer::Revives => {
                if !self.is_quiet() {
                    self.call(now, DriverCall::Revive { roles: BTreeSet::new() }, cx);
                }
            }
            Timer::Acknowledges(uuid) => {
                if let Some((agent_id, task_id)) = self.acknowledge.remove(&uuid) {
                    self.call(now, DriverCall::Acknowledge { agent_id, task_id, uuid }, cx);
                }
            }
        }
    }
}

impl Host for FrameworkHost {
    type Message = Message;

    fn start(&mut self, now: Time, _me: &Pid, cx: &mut Context<Message>) {
        self.feed(now, Input::Start, cx);
    }

    fn message(&mut self, now: Time, from: Pid, message: Message, cx: &mut Context<Message>) {
        if let Some(news) = self.finder.message(now, &from, &message, cx) {
            return self.detected(now, news, cx);
        }
        match message {
            Message::Event(event) => self.master_says(now, from, event, cx),
            Message::StreamBegins { id, request } => self.stream.begins(id, request),
            Message::StreamEvent { stream_id, event } => {
                if self.stream.is(&stream_id) {
                    self.master_says(now, from, event, cx);
                }
            }
            Message::StreamEnds(id) => {
                if self.stream.ends(&id) {
                    self.feed(now, Input::Exited { pid: from }, cx);
                    let news = self.finder.stream_ended(now);
                    self.detected(now, news, cx);
                }
            }
            // What is refused is asked for again, as what is lost.
            Message::HttpAnswer(_) => {}
            other => panic!("{other:?} is nothing for a scheduler"),
        }
    }

    fn exited(&mut self, now: Time, pid: Pid, cx: &mut Context<Message>) {
        let news = self.finder.exited(now, &pid, cx);
        self.detected(now, news, cx);
        self.feed(now, Input::Exited { pid }, cx);
    }

    fn deadline(&self) -> Option<Time> {
        [self.timers.next(), self.session.deadline(), self.finder.deadline()].into_iter().flatten().min()
    }

    fn tick(&mut self, now: Time, cx: &mut Context<Message>) {
        let news = self.finder.tick(now, cx);
        self.detected(now, news, cx);
        let mut out = Vec::new();
        self.session.tick(now, &mut out);
        self.carry_out(now, out, cx);
        while let Some(timer) = self.timers.pop(now) {
            self.due(now, timer, cx);
        }
    }
}
