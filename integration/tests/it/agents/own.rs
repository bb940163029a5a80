//! Executors of frameworks' own, for tests: this program itself, by the library or over HTTP.
//!
//! What a task is to do stands in its name ([`Deed`]). An executor ends by itself once it has nothing to do for a while.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::exit;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use executor::{Executor, ExecutorDriver};
use libactor::{Clock, Time};
use protocol::{CommandInfo, ExecutorInfo, KillPolicy, Source, TaskId, TaskInfo, TaskState, TaskStatus};

use super::over_http;
use super::site::{MARK, Site, wait};

/// Says how this program, started as an executor, speaks to its agent.
const WAY: &str = "MESETA_TEST_EXECUTOR";
/// Where tasks leave what they have to say.
const NOTES: &str = "MESETA_TEST_NOTES";
/// An executor that has had nothing to do for so long ends.
const IDLE: Duration = Duration::from_secs(10);
/// As long as it may do so once the last of its tasks has come.
const IDLE_AFTER_THE_LAST: Duration = Duration::from_secs(1);

/// How an executor speaks to its agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Library,
    Http,
}

/// What a task does: its name, and `last` after that if no other task is to come to its executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Ends by itself after so many milliseconds.
    Finish(u64),
    /// As above.
    Fail(u64),
    /// Finishes when its executor gets a message.
    Word,
    /// Runs until it is killed.
    Stay,
    /// Takes its executor along.
    Crash(u64),
}

impl Deed {
    pub(crate) fn name(self, last: bool) -> String {
        let text = match self {
            Self::Finish(millis) => format!("finish {millis}"),
            Self::Fail(millis) => format!("fail {millis}"),
            Self::Word => "word 0".to_owned(),
            Self::Stay => "stay 0".to_owned(),
            Self::Crash(millis) => format!("crash {millis}"),
        };
        if last { text + " last" } else { text }
    }

    fn parse(name: &str) -> Self {
        let mut words = name.split(' ');
        let (kind, millis) = (words.next().unwrap(), words.next().unwrap().parse().unwrap());
        match kind {
            "finish" => Self::Finish(millis),
            "fail" => Self::Fail(millis),
            "word" => Self::Word,
            "stay" => Self::Stay,
            "crash" => Self::Crash(millis),
            other => panic!("there is no '{other}'"),
        }
    }

    /// How it must end if it has begun and its executor does not die.
    pub(crate) fn end(self) -> TaskState {
        match self {
            Self::Finish(_) | Self::Word => TaskState::Finished,
            Self::Fail(_) | Self::Crash(_) => TaskState::Failed,
            Self::Stay => TaskState::Killed,
        }
    }
}

/// An executor for a site's tasks.
pub(crate) fn info(site: &Site, id: &str, way: Way) -> ExecutorInfo {
    let program = std::env::current_exe().unwrap().display().to_string();
    let words = [&program, "--exact", "agents::own::an_executor", "--nocapture"].map(ToOwned::to_owned);
    let mut command = CommandInfo::argv(program.clone(), words);
    let notes = site.notes().display().to_string();
    for (name, value) in [(MARK, site.name.as_str()), (WAY, &format!("{way:?}")), (NOTES, &notes)] {
        command.environment.0.push((name.to_owned(), value.to_owned()));
    }
    let mut info = ExecutorInfo::new(id, command);
    info.resources = "cpus:0.1;mem:128;disk:4".parse().unwrap();
    info
}

/// Started by an agent it is an executor; else there is nothing to do.
#[test]
fn an_executor() {
    let Ok(way) = std::env::var(WAY) else { return };
    let notes = PathBuf::from(std::env::var(NOTES).unwrap());
    if way == format!("{:?}", Way::Http) {
        return over_http::run(&notes);
    }
    let driver = ExecutorDriver::new(ByLibrary { tasks: None, notes }).unwrap();
    driver.run();
    assert_eq!(driver.error(), None);
}

/// What becomes of tasks is told to the agent.
pub(super) trait Reporter: Send + 'static {
    fn report(&self, task_id: &str, state: TaskState);
    /// There is nothing more to do.
    fn idle(&self);
}

/// The tasks of an executor.
#[derive(Clone)]
pub(super) struct Tasks(Arc<Mutex<Inner>>);

struct Inner {
    reporter: Box<dyn Reporter>,
    notes: PathBuf,
    open: BTreeMap<String, Deed>,
    last: bool,
    since: Time,
}

impl Tasks {
    pub(super) fn new(reporter: impl Reporter, notes: &Path) -> Self {
        let clock = Clock::real();
        let (open, since) = (BTreeMap::new(), clock.now());
        let inner = Inner { reporter: Box::new(reporter), notes: notes.to_owned(), open, last: false, since };
        let tasks = Self(Arc::new(Mutex::new(inner)));
        let watched = tasks.clone();
        std::thread::spawn(move || watched.watch(&clock));
        tasks
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    /// Ends with the executor.
    fn watch(&self, clock: &Clock) {
        loop {
            wait(Duration::from_millis(100));
            let mut inner = self.lock();
            let longest = if inner.last { IDLE_AFTER_THE_LAST } else { IDLE };
            if !inner.open.is_empty() {
                inner.since = clock.now();
            } else if clock.now().since(inner.since) > longest {
                inner.reporter.idle();
            }
        }
    }

    pub(super) fn launch(&self, task_id: &str, name: &str) {
        let mut inner = self.lock();
        let mut note = File::options().create(true).append(true).open(inner.notes.join(task_id)).unwrap();
        writeln!(note, "runs").unwrap();
        let deed = Deed::parse(name);
        inner.last |= name.ends_with(" last");
        inner.open.insert(task_id.to_owned(), deed);
        inner.reporter.report(task_id, TaskState::Running);
        drop(inner);
        if let Deed::Finish(millis) | Deed::Fail(millis) | Deed::Crash(millis) = deed {
            let (tasks, task_id) = (self.clone(), task_id.to_owned());
            std::thread::spawn(move || {
                wait(Duration::from_millis(millis));
                if matches!(deed, Deed::Crash(_)) {
                    exit(7);
                }
                tasks.end(&task_id, deed.end());
            });
        }
    }

    fn end(&self, task_id: &str, state: TaskState) {
        let mut inner = self.lock();
        if inner.open.remove(task_id).is_some() {
            inner.reporter.report(task_id, state);
        }
    }

    pub(super) fn kill(&self, task_id: &str) {
        self.end(task_id, TaskState::Killed);
    }

    /// A message has come.
    pub(super) fn word(&self) {
        let waiting: Vec<String> = self
            .lock()
            .open
            .iter()
            .filter(|(_, deed)| **deed == Deed::Word)
            .map(|(id, _)| id.clone())
            .collect();
        waiting.iter().for_each(|task_id| self.end(task_id, TaskState::Finished));
    }

    pub(super) fn kill_all(&self) {
        let open: Vec<String> = self.lock().open.keys().cloned().collect();
        open.iter().for_each(|task_id| self.kill(task_id));
    }
}

impl Reporter for ExecutorDriver {
    fn report(&self, task_id: &str, state: TaskState) {
        self.send_status_update(TaskStatus::new(task_id.into(), state, Source::Executor));
    }

    fn idle(&self) {
        self.stop();
    }
}

struct ByLibrary {
    tasks: Option<Tasks>,
    notes: PathBuf,
}

impl ByLibrary {
    fn tasks(&mut self, driver: &ExecutorDriver) -> &Tasks {
        let notes = &self.notes;
        self.tasks.get_or_insert_with(|| Tasks::new(driver.clone(), notes))
    }
}

impl Executor for ByLibrary {
    fn launch_task(&mut self, driver: &ExecutorDriver, task: TaskInfo) {
        self.tasks(driver).launch(task.task_id.as_str(), &task.name);
    }

    fn kill_task(&mut self, driver: &ExecutorDriver, task_id: &TaskId, _: Option<KillPolicy>) {
        self.tasks(driver).kill(task_id.as_str());
    }

    fn framework_message(&mut self, driver: &ExecutorDriver, data: Bytes) {
        self.tasks(driver).word();
        driver.send_framework_message(data);
    }

    fn shutdown(&mut self, driver: &ExecutorDriver) {
        self.tasks(driver).kill_all();
    }
}
