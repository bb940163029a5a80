//! A master with imaginary agents that keeps schedulers busy.
//!
//! It offers, rescinds, runs tasks that are nothing but a plan, repeats updates until they are acknowledged, and holds the
//! schedulers to what they owe: calls under their own id, acknowledgements of what they were told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use libactor::sim::{Context, Host, Life};
use libactor::{Pid, Random, Time, Timers};
use protocol::messages::{Call, Event, MasterInfo, SchedulerCall};
use protocol::{
    AgentId, FrameworkId, FrameworkInfo, MasterId, Offer, OfferId, Operation, Reason, Resources, Source,
    TaskId, TaskState, TaskStatus, Uuid,
};

use crate::sim::Message;

/// How long an update waits before it is repeated.
const REPEAT: Duration = Duration::from_secs(10);
/// Most offers that one framework holds.
const MAX_OFFERS: usize = 3;

/// The drill master. It never crashes: it is the test.
#[derive(Debug)]
pub struct SchedulerDrill {
    me: Option<Pid>,
    random: Random,
    timers: Timers<Timer>,
    frameworks: BTreeMap<FrameworkId, Subscribed>,
    offers: BTreeMap<OfferId, FrameworkId>,
    next_offer: u64,
    tasks: BTreeMap<TaskId, Imagined>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Offers,
    Task(TaskId),
    Repeats(TaskId),
}

#[derive(Debug)]
struct Subscribed {
    pid: Option<Pid>,
    suppressed: bool,
    torn_down: bool,
}

#[derive(Debug)]
struct Imagined {
    framework_id: FrameworkId,
    agent_id: AgentId,
    state: TaskState,
    pending: VecDeque<TaskStatus>,
}

impl SchedulerDrill {
    /// A master that nobody has come to.
    pub fn new(life: Life) -> Self {
        Self {
            me: None,
            random: Random::new(life.seed),
            timers: Timers::default(),
            frameworks: BTreeMap::new(),
            offers: BTreeMap::new(),
            next_offer: 0,
            tasks: BTreeMap::new(),
        }
    }

    /// How many tasks were launched.
    pub fn launched(&self) -> usize {
        self.tasks.len()
    }

    /// The state of a task, if it ever came here.
    pub fn state(&self, task_id: &TaskId) -> Option<TaskState> {
        self.tasks.get(task_id).map(|task| task.state)
    }

    /// Updates that a framework has not acknowledged.
    pub fn unacknowledged(&self, id: &FrameworkId) -> usize {
        self.tasks.values().filter(|task| task.framework_id == *id).map(|task| task.pending.len()).sum()
    }

    fn subscribe(
        &mut self,
        from: &Pid,
        framework: &FrameworkInfo,
        suppressed: bool,
        cx: &mut Context<Message>,
    ) {
        let number = self.frameworks.len();
        // One that asks again has not had the answer yet.
        let bound = self.frameworks.iter().find(|(_, known)| known.pid.as_ref() == Some(from));
        let id = framework.id.clone().or(bound.map(|(id, _)| id.clone()));
        let id = id.unwrap_or_else(|| FrameworkId::from(format!("F{number}")));
        if self.frameworks.get(&id).is_some_and(|known| known.torn_down) {
            return cx.send(from, Message::Event(Event::Error("Framework has been removed".to_owned())));
        }
        cx.link(from);
        let known = self
            .frameworks
            .insert(id.clone(), Subscribed { pid: Some(from.clone()), suppressed, torn_down: false });
        self.forget_offers(&id);
        let me = self.me.as_ref().expect("it has started");
        let master = MasterInfo {
            id: MasterId::from("M"),
            pid: me.to_string(),
            hostname: "drill".to_owned(),
            version: "drill".to_owned(),
        };
        let event = Event::Subscribed { framework_id: id.clone(), master, resubscribed: known.is_some() };
        cx.send(from, Message::Event(event));
        let mine = self.tasks.iter().filter(|(_, task)| task.framework_id == id);
        for status in mine.filter_map(|(_, task)| task.pending.front()) {
            cx.send(from, Message::Event(Event::Update(status.clone())));
        }
    }

    fn forget_offers(&mut self, id: &FrameworkId) {
        self.offers.retain(|_, owner| owner != id);
    }

    fn call(&mut self, now: Time, from: &Pid, call: SchedulerCall, cx: &mut Context<Message>) {
        if let Call::Subscribe { framework, suppressed_roles } = &call.call {
            assert_eq!(framework.id, call.framework_id, "both ids of a subscription are one");
            return self.subscribe(from, framework, !suppressed_roles.is_empty(), cx);
        }
        let id = call.framework_id.expect("a subscribed framework says who it is");
        let framework = self.frameworks.get_mut(&id).expect("its id was given out");
        if framework.pid.as_ref() != Some(from) {
            return;
        }
        match call.call {
            Call::Teardown => {
                framework.torn_down = true;
                framework.pid = None;
                self.forget_offers(&id);
            }
            Call::Accept { offer_ids, operations, .. } => {
                self.accept(now, from, &id, &offer_ids, operations, cx)
            }
            Call::Decline { offer_ids, .. } => {
                offer_ids.iter().for_each(|offer| drop(self.offers.remove(offer)));
            }
            Call::Revive { .. } => framework.suppressed = false,
            Call::Suppress { .. } => framework.suppressed = true,
            Call::Kill { task_id, .. } => {
                if self.tasks.get(&task_id).is_some_and(|task| !task.state.is_terminal()) {
                    self.becomes(now, &task_id, TaskState::Killed, cx);
                }
            }
            Call::Acknowledge { task_id, uuid, .. } => self.acknowledged(now, from, &task_id, uuid, cx),
            Call::Reconcile { tasks } => {
                for asked in tasks {
                    let state = self.state(&asked.task_id).unwrap_or(TaskState::Lost);
                    let status = TaskStatus::new(asked.task_id, state, Source::Master)
                        .because(Reason::Reconciliation, "as asked");
                    cx.send(from, Message::Event(Event::Update(status)));
                }
            }
            Call::Shutdown { .. }
            | Call::Message { .. }
            | Call::Request { .. }
            | Call::UpdateFramework { .. }
            | Call::AcceptInverseOffers { .. }
            | Call::DeclineInverseOffers { .. } => {}
            Call::Subscribe { .. } => unreachable!("handled above"),
        }
    }

    fn accept(
        &mut self,
        now: Time,
        from: &Pid,
        id: &FrameworkId,
        offer_ids: &[OfferId],
        operations: Vec<Operation>,
        cx: &mut Context<Message>,
    ) {
        let valid = offer_ids.iter().all(|offer| self.offers.get(offer) == Some(id));
        offer_ids.iter().for_each(|offer| drop(self.offers.remove(offer)));
        for operation in operations {
            for task in operation.tasks().to_vec() {
                assert!(!self.tasks.contains_key(&task.task_id), "{} is launched once", task.task_id);
                if !valid {
                    let status = TaskStatus::new(task.task_id, TaskState::Lost, Source::Master)
                        .because(Reason::InvalidOffers, "the offers are no more");
                    cx.send(from, Message::Event(Event::Update(status)));
                    continue;
                }
                let imagined = Imagined {
                    framework_id: id.clone(),
                    agent_id: task.agent_id,
                    state: TaskState::Staging,
                    pending: VecDeque::new(),
                };
                self.tasks.insert(task.task_id.clone(), imagined);
                let at = now + self.millis(2_000);
                self.timers.set(Timer::Task(task.task_id), at);
            }
        }
    }

    fn millis(&mut self, most: u64) -> Duration {
        Duration::from_millis(self.random.below(most + 1))
    }

    /// A task comes into its next state by itself.
    fn goes_on(&mut self, now: Time, task_id: &TaskId, cx: &mut Context<Message>) {
        let next = match self.tasks[task_id].state {
            TaskState::Staging => TaskState::Starting,
            TaskState::Starting => TaskState::Running,
            TaskState::Running if self.random.chance(800) => TaskState::Finished,
            TaskState::Running => TaskState::Failed,
            _ => return,
        };
        self.becomes(now, task_id, next, cx);
        let at = now + self.millis(40_000);
        self.timers.set(Timer::Task(task_id.clone()), at);
    }

    fn becomes(&mut self, now: Time, task_id: &TaskId, state: TaskState, cx: &mut Context<Message>) {
        let uuid = Uuid::from_random(self.random.next_u128());
        let task = self.tasks.get_mut(task_id).expect("it was launched");
        task.state = state;
        let mut status = TaskStatus::new(task_id.clone(), state, Source::Executor);
        status.agent_id = Some(task.agent_id.clone());
        status.uuid = Some(uuid);
        task.pending.push_back(status);
        if task.pending.len() == 1 {
            self.forward(now, task_id, cx);
        }
    }

    fn forward(&mut self, now: Time, task_id: &TaskId, cx: &mut Context<Message>) {
        let task = &self.tasks[task_id];
        let Some(status) = task.pending.front() else { return };
        if let Some(pid) = &self.frameworks[&task.framework_id].pid {
            cx.send(pid, Message::Event(Event::Update(status.clone())));
        }
        self.timers.set(Timer::Repeats(task_id.clone()), now + REPEAT);
    }

    fn acknowledged(
        &mut self,
        now: Time,
        from: &Pid,
        task_id: &TaskId,
        uuid: Uuid,
        cx: &mut Context<Message>,
    ) {
        let task = self.tasks.get_mut(task_id).unwrap_or_else(|| panic!("{from} acknowledges {task_id}"));
        if task.pending.front().is_some_and(|status| status.uuid == Some(uuid)) {
            task.pending.pop_front();
            self.timers.cancel(&Timer::Repeats(task_id.clone()));
            self.forward(now, task_id, cx);
        }
    }

    /// Offers to whoever wants some, and takes some back.
    fn make_offers(&mut self, cx: &mut Context<Message>) {
        let resources: Resources = "cpus:4;mem:4096".parse().expect("these are resources");
        if self.random.chance(200)
            && let Some((offer, id)) = self.offers.pop_first()
            && let Some(pid) = &self.frameworks[&id].pid
        {
            cx.send(pid, Message::Event(Event::Rescind(offer)));
        }
        for (id, framework) in &self.frameworks {
            let Some(pid) = framework.pid.as_ref().filter(|_| !framework.suppressed) else { continue };
            if self.offers.values().filter(|owner| *owner == id).count() >= MAX_OFFERS {
                continue;
            }
            let offer = Offer {
                id: OfferId::from(format!("O{}", self.next_offer)),
                framework_id: id.clone(),
                agent_id: AgentId::from(format!("S{}", self.random.below(2))),
                hostname: "nowhere".to_owned(),
                address: "10.9.9.9:5051".to_owned(),
                role: Default::default(),
                resources: resources.clone(),
                attributes: Default::default(),
                executor_ids: Vec::new(),
            };
            self.next_offer += 1;
            self.offers.insert(offer.id.clone(), id.clone());
            cx.send(pid, Message::Event(Event::Offers(vec![offer])));
        }
    }

    /// Frameworks that are subscribed and want offers.
    pub fn hungry(&self) -> BTreeSet<&FrameworkId> {
        let hungry = self.frameworks.iter().filter(|(_, it)| it.pid.is_some() && !it.suppressed);
        hungry.map(|(id, _)| id).collect()
    }
}

impl Host for SchedulerDrill {
    type Message = Message;

    fn start(&mut self, now: Time, me: &Pid, _cx: &mut Context<Message>) {
        self.me = Some(me.clone());
        self.timers.set(Timer::Offers, now);
    }

    fn message(&mut self, now: Time, from: Pid, message: Message, cx: &mut Context<Message>) {
        match message {
            Message::Scheduler(call) => self.call(now, &from, call, cx),
            other => panic!("{other:?} is nothing for this drill"),
        }
    }

    fn exited(&mut self, _now: Time, pid: Pid, _cx: &mut Context<Message>) {
        let gone = self.frameworks.iter_mut().find(|(_, framework)| framework.pid.as_ref() == Some(&pid));
        if let Some((id, framework)) = gone {
            framework.pid = None;
            let id = id.clone();
            self.forget_offers(&id);
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.timers.next()
    }

    fn tick(&mut self, now: Time, cx: &mut Context<Message>) {
        while let Some(timer) = self.timers.pop(now) {
            match timer {
                Timer::Offers => {
                    self.timers.set(Timer::Offers, now + Duration::from_secs(1));
                    self.make_offers(cx);
                }
                Timer::Task(task_id) => self.goes_on(now, &task_id, cx),
                Timer::Repeats(task_id) => self.forward(now, &task_id, cx),
            }
        }
    }
}
