//! An executor's process: the executor session, and tasks that are nothing but a plan.

use std::collections::BTreeMap;
use std::time::Duration;

use executor::core::{Callback, DriverCall, Input, Output, Session, SessionConfig};
use libactor::sim::{Context, Host};
use libactor::{Machine, Pid, Random, Time, Timers};
use protocol::messages::{ExecutorCall, ExecutorCallKind};
use protocol::{KillPolicy, Source, TaskId, TaskInfo, TaskState, TaskStatus};

use super::Message;

/// Exit status of an executor that breaks: 128 + SIGSEGV.
const BROKEN: i32 = 139;

/// An executor and its tasks.
#[derive(Debug)]
pub struct ExecutorHost {
    session: Session,
    random: Random,
    timers: Timers<Timer>,
    /// Runs one task and ends with it.
    command: bool,
    tasks: BTreeMap<TaskId, Task>,
    agent: Pid,
    /// Where it speaks HTTP: how many streams it has opened; the last one counts.
    http: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    CallbackReturns,
    Breaks,
    Watchdog,
    /// The connection with its stream breaks.
    HangsUp(u64),
    /// The task runs.
    Runs(TaskId),
    /// The task ends by itself.
    Ends(TaskId),
    /// The task gives way to a TERM, or is killed for good.
    Dies(TaskId),
    /// The command executor has nothing left to do.
    Done,
}

#[derive(Debug)]
struct Task {
    info: TaskInfo,
    ends_as: TaskState,
}

impl ExecutorHost {
    /// A process that was just started.
    pub fn new(config: SessionConfig, command: bool, http: bool) -> Self {
        let agent = config.agent.clone();
        let random = Random::new(!config.seed);
        Self {
            session: Session::new(config),
            random,
            timers: Timers::default(),
            command,
            tasks: BTreeMap::new(),
            agent,
            http: http.then_some(0),
        }
    }

    /// The tasks whose processes live here.
    pub fn tasks(&self) -> impl Iterator<Item = &TaskId> {
        self.tasks.keys()
    }

    /// What it was started as.
    pub fn config(&self) -> &SessionConfig {
        self.session.config()
    }

    fn millis(&mut self, most: u64) -> Duration {
        Duration::from_millis(self.random.below(most + 1))
    }

    fn feed(&mut self, now: Time, input: Input, cx: &mut Context<Message>) {
        let mut out = Vec::new();
        self.session.handle(now, input, &mut out);
        self.carry_out(now, out, cx);
    }

    fn carry_out(&mut self, now: Time, out: Vec<Output>, cx: &mut Context<Message>) {
        self.session.check();
        for output in out {
            match output {
                Output::Link { pid } => cx.link(&pid),
                Output::Unlink { pid } => cx.unlink(&pid),
                Output::Send { to, call } if self.http.is_some() => self.send_http(now, &to, call, cx),
                Output::Send { to, call } => cx.send(&to, Message::Executor(call)),
                Output::Callback(callback) => self.called_back(now, callback, cx),
                Output::Watchdog { after } => self.timers.set(Timer::Watchdog, now + after),
                Output::Terminate { .. } => cx.exit(0),
            }
        }
    }

    fn send_http(&mut self, now: Time, to: &Pid, call: ExecutorCall, cx: &mut Context<Message>) {
        let mut number = None;
        if let ExecutorCallKind::Subscribe { .. } = call.call {
            let stream = self.http.map_or(1, |last| last + 1);
            (self.http, number) = (Some(stream), Some(stream));
            if self.random.chance(500) {
                let at = now + self.millis(40_000);
                self.timers.set(Timer::HangsUp(stream), at);
            }
        }
        cx.send(to, Message::Http { call, number });
    }

    /// A stream has ended: if it was the last one, the session has no agent now.
    fn stream_ended(&mut self, now: Time, number: u64, cx: &mut Context<Message>) {
        if self.http == Some(number) {
            self.feed(now, Input::Exited { pid: self.agent.clone() }, cx);
        }
    }

    fn called_back(&mut self, now: Time, callback: Callback, cx: &mut Context<Message>) {
        let took = self.millis(20);
        self.timers.set(Timer::CallbackReturns, now + took);
        match callback {
            Callback::Launch(info) => self.launch(now, info, cx),
            Callback::Kill { task_id, kill_policy } => self.kill(now, &task_id, kill_policy),
            Callback::Shutdown | Callback::Error(_) => {
                for task_id in self.tasks.keys().cloned().collect::<Vec<_>>() {
                    self.end(now, &task_id, TaskState::Killed, cx);
                }
            }
            Callback::Registered { .. }
            | Callback::Reregistered { .. }
            | Callback::Disconnected
            | Callback::Message(_) => {}
        }
    }

    fn launch(&mut self, now: Time, info: TaskInfo, cx: &mut Context<Message>) {
        let task_id = info.task_id.clone();
        assert!(!self.tasks.contains_key(&task_id), "{task_id} is launched once");
        let (ends_as, most_ms) = match self.random.below(100) {
            0..40 => (TaskState::Finished, 2_000),
            40..65 => (TaskState::Finished, 120_000),
            65..80 => (TaskState::Failed, 30_000),
            80..84 => {
                let at = now + self.millis(60_000);
                self.timers.set(Timer::Breaks, at);
                (TaskState::Finished, 120_000)
            }
            _ => (TaskState::Finished, 100_000_000),
        };
        self.tasks.insert(task_id.clone(), Task { info, ends_as });
        self.report(now, &task_id, TaskState::Starting, cx);
        let runs = now + self.millis(500);
        let ends = runs + self.millis(most_ms);
        self.timers.set(Timer::Runs(task_id.clone()), runs);
        self.timers.set(Timer::Ends(task_id), ends);
    }

    fn kill(&mut self, now: Time, task_id: &TaskId, policy: Option<KillPolicy>) {
        let Some(task) = self.tasks.get(task_id) else { return };
        let grace = policy.or(task.info.kill_policy).unwrap_or_default().grace();
        let stubborn = self.random.chance(200);
        let gives_way = self.millis(50);
        self.timers.set(Timer::Dies(task_id.clone()), now + if stubborn { grace } else { gives_way });
    }

    fn end(&mut self, now: Time, task_id: &TaskId, state: TaskState, cx: &mut Context<Message>) {
        if self.tasks.remove(task_id).is_none() {
            return;
        }
        for timer in
            [Timer::Runs(task_id.clone()), Timer::Ends(task_id.clone()), Timer::Dies(task_id.clone())]
        {
            self.timers.cancel(&timer);
        }
        self.report(now, task_id, state, cx);
        if self.command {
            self.timers.set(Timer::Done, now);
        }
    }

    fn report(&mut self, now: Time, task_id: &TaskId, state: TaskState, cx: &mut Context<Message>) {
        let status = TaskStatus::new(task_id.clone(), state, Source::Executor);
        self.feed(now, Input::Call(DriverCall::Update(status)), cx);
    }

    fn due(&mut self, now: Time, timer: Timer, cx: &mut Context<Message>) {
        match timer {
            Timer::CallbackReturns => self.feed(now, Input::CallbackReturned, cx),
            Timer::Breaks => cx.exit(BROKEN),
            Timer::Watchdog => cx.exit(137),
            Timer::HangsUp(number) => {
                cx.send(&self.agent, Message::Hangup(number));
                self.stream_ended(now, number, cx);
            }
            Timer::Runs(task_id) => self.report(now, &task_id, TaskState::Running, cx),
            Timer::Ends(task_id) => {
                let state = self.tasks.get(&task_id).map(|task| task.ends_as);
                self.end(now, &task_id, state.expect("a task that ends is there"), cx);
            }
            Timer::Dies(task_id) => self.end(now, &task_id, TaskState::Killed, cx),
            Timer::Done => self.feed(now, Input::Call(DriverCall::Stop), cx),
        }
    }
}

impl Host for ExecutorHost {
    type Message = Message;

    fn start(&mut self, now: Time, _me: &Pid, cx: &mut Context<Message>) {
        self.feed(now, Input::Start, cx);
    }

    fn message(&mut self, now: Time, from: Pid, message: Message, cx: &mut Context<Message>) {
        match message {
            Message::ExecutorEvent(event) => self.feed(now, Input::Agent { from, event }, cx),
            Message::Stream { number, event: None } => self.stream_ended(now, number, cx),
            Message::Stream { number, event: Some(event) } => {
                if self.http == Some(number) {
                    self.feed(now, Input::Agent { from, event }, cx);
                }
            }
            // Another life of the agent, that would have ended it.
            Message::Refused(why) => {
                cx.note(format!("refused: {why}"));
                cx.exit(1);
            }
            other => panic!("{other:?} is nothing for an executor of {}", self.agent),
        }
    }

    fn exited(&mut self, now: Time, pid: Pid, cx: &mut Context<Message>) {
        self.feed(now, Input::Exited { pid }, cx);
    }

    fn deadline(&self) -> Option<Time> {
        [self.timers.next(), self.session.deadline()].into_iter().flatten().min()
    }

    fn tick(&mut self, now: Time, cx: &mut Context<Message>) {
        let mut out = Vec::new();
        self.session.tick(now, &mut out);
        self.carry_out(now, out, cx);
        while let Some(timer) = self.timers.pop(now) {
            self.due(now, timer, cx);
        }
    }
}
