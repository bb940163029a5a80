//! The agent is killed again and again while frameworks work: with commands, with executors of their own that use the library,
//! and with such that speak HTTP.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use libactor::{Clock, Random, Time};
use protocol::{Reason, TaskInfo, TaskState, TaskStatus};
use scheduler_driver::protocol::{AgentId, Operation};

use super::own::{self, Deed, Way};
use super::site::{Site, wait};
use super::work::{Heard, Work};
use crate::http::PATIENCE;

/// Kills of an ordinary run; `MESETA_AGENT_KILLS` sets another number.
const KILLS: usize = 6;
/// Tasks of a framework that are under way at a time.
const TASKS: usize = 4;
/// Tasks of a framework that run on until all is over: the first ones.
const LONG: usize = 1;
/// Tasks of one executor of a framework's own.
const TASKS_OF_AN_EXECUTOR: usize = 6;
/// Between two times of killing what is to be killed, and of words to executors that wait for one.
const PROD: Duration = Duration::from_millis(200);

/// What is known of a task before it is launched.
#[derive(Debug)]
struct Plan {
    end: TaskState,
    /// Its own executor, if it has one.
    executor: Option<String>,
    /// Whether that dies with one of its tasks.
    doomed: bool,
    killed: bool,
    word: bool,
}

/// A framework.
struct Team {
    work: Work,
    name: String,
    /// How its executors speak; `None`: it has commands only.
    way: Option<Way>,
    plans: BTreeMap<String, Plan>,
    go: String,
}

impl Team {
    fn new(site: &Site, number: usize, way: Option<Way>) -> Self {
        let work = Work::start(site, &format!("team-{number}"), true);
        let go = site.notes().join("go").display().to_string();
        Self { work, name: format!("t-{number}"), way, plans: BTreeMap::new(), go }
    }

    /// Sees to it that it has enough to do.
    fn fill(&mut self, site: &Site, random: &mut Random) {
        while self.work.open() < TASKS {
            match self.way {
                None => self.launch_command(random),
                Some(way) => self.launch_own(site, way, random),
            }
        }
    }

    fn launch_command(&mut self, random: &mut Random) {
        let number = self.plans.len();
        let id = format!("{}-{number}", self.name);
        let (script, end) = command(number, random, &self.go);
        let killed = end == TaskState::Killed;
        self.work.launch(&id, &script);
        self.plans.insert(id, Plan { end, executor: None, doomed: false, killed, word: false });
    }

    /// A task of an executor, or two that belong together.
    fn launch_own(&mut self, site: &Site, way: Way, random: &mut Random) {
        let first = self.plans.len();
        let (run, place) = (first / TASKS_OF_AN_EXECUTOR, first % TASKS_OF_AN_EXECUTOR);
        let left = TASKS_OF_AN_EXECUTOR - place;
        let group = left >= 2 && random.below(4) == 0;
        let count = if group { 2 } else { 1 };
        let doomed = run % 4 == 3;
        let executor = format!("{}-e{run}", self.name);
        let mut tasks = Vec::new();
        for at in 0..count {
            let (number, last) = (first + at, at + 1 == left);
            let millis = random.below(400);
            let deed = match random.below(6) {
                _ if last && doomed => Deed::Crash(millis),
                0 => Deed::Fail(millis),
                1 => Deed::Word,
                // A kill of one is a kill of all that it came with.
                2 if !group => Deed::Stay,
                3 => Deed::Finish(2_000 + millis),
                _ => Deed::Finish(millis),
            };
            let id = format!("{}-{number}", self.name);
            let (killed, word) = (deed == Deed::Stay, deed == Deed::Word);
            let plan = Plan { end: deed.end(), executor: Some(executor.clone()), doomed, killed, word };
            self.plans.insert(id.clone(), plan);
            tasks.push((id, deed.name(last)));
        }
        let info = own::info(site, &executor, way);
        let ids: Vec<String> = tasks.iter().map(|(id, _)| id.clone()).collect();
        let operation = move |agent_id: AgentId| {
            let task = |(id, name): (String, String)| {
                let resources = "cpus:0.1;mem:32".parse().expect("resources");
                let task = TaskInfo::with_executor(id, agent_id.clone(), resources, info.clone());
                TaskInfo { name, ..task }
            };
            let tasks: Vec<TaskInfo> = tasks.into_iter().map(task).collect();
            match group {
                false => Operation::Launch { tasks },
                true => {
                    let tasks = tasks.into_iter().map(|task| TaskInfo { executor: None, ..task }).collect();
                    Operation::LaunchGroup { executor: info, tasks }
                }
            }
        };
        // More than two tasks and an executor take.
        let needed = "cpus:0.5;mem:256;disk:4".parse().expect("resources");
        self.work.launch_on(ids.iter().map(String::as_str), needed, operation);
    }

    /// Kills and says a word, as often as is needed: both may be lost with an agent.
    fn prod(&self) {
        for (id, heard) in self.work.all() {
            let plan = &self.plans[id.as_str()];
            let Some(last) = heard.statuses.last().filter(|last| !last.state.is_terminal()) else { continue };
            if plan.killed {
                self.work.kill(id.as_str());
            }
            if let (true, Some(executor), Some(agent_id)) = (plan.word, &plan.executor, &last.agent_id) {
                self.work.say(executor, agent_id);
            }
        }
    }

    fn begun(&self) -> usize {
        self.plans.keys().filter(|id| self.work.runs(id) > 0).count()
    }

    /// What did not end as it had to.
    fn check(&self) -> Vec<String> {
        let heard = self.work.all();
        let mut wrong = self.work.wrong();
        for (id, plan) in &self.plans {
            let runs = self.work.runs(id);
            let Heard { statuses } = heard[&id.as_str().into()].clone();
            let last = statuses.last();
            let state = last.map(|status| status.state);
            let with_its_executor = state == Some(TaskState::Failed)
                && last.is_some_and(|status| status.reason == Some(Reason::ExecutorTerminated));
            let as_it_was = match runs {
                // It never began: lost on its way to an agent or an executor that was not there.
                0 => {
                    let lost = matches!(state, Some(TaskState::Lost | TaskState::Dropped | TaskState::Gone));
                    lost || (plan.executor.is_some() && with_its_executor)
                }
                1 if plan.doomed => state == Some(plan.end) || with_its_executor,
                1 => state == Some(plan.end),
                _ => false,
            };
            if !as_it_was {
                let heard: Vec<String> = statuses.iter().map(said).collect();
                wrong.push(format!("{id}: {runs} runs, {:?} expected: {heard:#?}", plan.end));
            }
        }
        wrong
    }
}

/// What a command of this number does, and how it must end if it has begun.
fn command(number: usize, random: &mut Random, go: &str) -> (String, TaskState) {
    let moment = random.below(40) as f64 / 100.0;
    match random.below(9) {
        _ if number < LONG => {
            (format!("while [ ! -e {go} ]; do sleep 0.1; done; exit 0"), TaskState::Finished)
        }
        0 => (format!("sleep {}; exit 0", 3.0 + moment), TaskState::Finished),
        1 => (format!("sleep {moment}; exit 3"), TaskState::Failed),
        2 => (format!("sleep {moment}; kill -9 $$"), TaskState::Failed),
        3 => ("exit 0".to_owned(), TaskState::Finished),
        4 => (format!("(sleep 1000 &) ; sleep {moment}; exit 0"), TaskState::Finished),
        5 => ("exec sleep 100000".to_owned(), TaskState::Killed),
        _ => (format!("sleep {moment}; exit 0"), TaskState::Finished),
    }
}

/// A status in short.
fn said(status: &TaskStatus) -> String {
    let TaskStatus { state, source, reason, message, uuid, .. } = status;
    format!("{state} {source:?} {reason:?} {message:?} {uuid:?}")
}

struct Drill {
    /// They end before their master does.
    teams: Vec<Team>,
    site: Site,
    random: Random,
    clock: Clock,
    prodded: Time,
}

impl Drill {
    fn prod(&mut self) {
        if self.clock.now().since(self.prodded) > PROD {
            self.prodded = self.clock.now();
            self.teams.iter().for_each(Team::prod);
        }
    }

    /// Works for a while.
    fn work(&mut self, life: Duration) {
        let until = self.clock.now() + life;
        loop {
            let now = self.clock.now();
            if now >= until {
                return;
            }
            self.teams.iter_mut().for_each(|team| team.fill(&self.site, &mut self.random));
            self.prod();
            wait(Duration::from_millis(20).min(until.since(now)));
        }
    }

    /// What is not over, and what the agent has to say.
    fn open(&mut self) -> String {
        let mut text = String::new();
        for team in &self.teams {
            for (id, heard) in team.work.all().iter().filter(|(_, heard)| !heard.is_over()) {
                let heard: Vec<String> = heard.statuses.iter().map(said).collect();
                text += &format!("{id}: {:?} {heard:#?}\n", team.plans[id.as_str()]);
            }
        }
        text + &self.site.agent().said().join("\n")
    }

    /// Waits until all tasks are over.
    fn end(&mut self) {
        let begin = self.clock.now();
        while self.teams.iter().any(|team| team.work.open() > 0) {
            if self.clock.now().since(self.prodded) > PROD {
                self.teams.iter().for_each(|team| team.work.reconcile());
            }
            self.prod();
            assert!(self.clock.now().since(begin) < PATIENCE * 2, "it does not end: {}", self.open());
            wait(Duration::from_millis(20));
        }
    }
}

#[test]
fn every_end_is_told_as_it_was_however_often_the_agent_is_killed() {
    let kills = std::env::var("MESETA_AGENT_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    let seed = std::env::var("MESETA_AGENT_SEED").map_or(1, |text| text.parse().unwrap());
    let clock = Clock::real();
    let begin = clock.now();
    let site = Site::start();
    let ways = [None, None, None, Some(Way::Library), Some(Way::Http)];
    let teams = ways.into_iter().enumerate().map(|(number, way)| Team::new(&site, number, way)).collect();
    let mut drill = Drill { teams, site, random: Random::new(seed), clock: clock.clone(), prodded: begin };
    for kill in 0..kills {
        let life = Duration::from_millis(50 + drill.random.below(1_200));
        drill.work(life);
        drill.site.kill_agent();
        if drill.random.below(3) == 0 {
            wait(Duration::from_millis(drill.random.below(400)));
        }
        drill.site.begin_agent(&[], &[]);
        for team in &drill.teams {
            let wrong = team.work.wrong();
            assert!(wrong.is_empty(), "after kill {kill}: {wrong:#?}");
        }
    }
    fs::write(drill.site.notes().join("go"), "").unwrap();
    drill.end();
    let Drill { site, teams, .. } = &drill;
    let wrong: Vec<String> = teams.iter().flat_map(Team::check).collect();
    assert!(wrong.is_empty(), "{wrong:#?} {:#?}", site.panics());
    site.is_clean();
    for team in teams {
        let (tasks, begun, messages) = (team.plans.len(), team.begun(), team.work.messages());
        println!("{:?}: {tasks} tasks of which {begun} ran, {messages} messages", team.way);
        assert!(begun * 2 > tasks, "most tasks run: {begun} of {tasks}");
    }
    println!("{kills} kills, {:?}", clock.now().since(begin));
}
