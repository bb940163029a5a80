//! The agent is killed again and again while three frameworks work.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use libactor::{Clock, Random};
use protocol::TaskState;

use super::site::{Site, wait};
use super::work::{Heard, Work};

/// Kills of an ordinary run; `MESETA_AGENT_KILLS` sets another number.
const KILLS: usize = 6;
/// Tasks of a framework that are under way at a time.
const TASKS: usize = 4;

/// Tasks of a framework that run on until all is over: the first ones.
const LONG: usize = 1;

/// What a framework's task of this number does, and how it must end if it has begun.
fn kind(number: usize, random: &mut Random, go: &str) -> (String, TaskState) {
    let moment = random.below(40) as f64 / 100.0;
    match random.below(8) {
        _ if number < LONG => {
            (format!("while [ ! -e {go} ]; do sleep 0.1; done; exit 0"), TaskState::Finished)
        }
        0 => (format!("sleep {}; exit 0", 3.0 + moment), TaskState::Finished),
        1 => (format!("sleep {moment}; exit 3"), TaskState::Failed),
        2 => (format!("sleep {moment}; kill -9 $$"), TaskState::Failed),
        3 => ("exit 0".to_owned(), TaskState::Finished),
        4 => (format!("(sleep 1000 &) ; sleep {moment}; exit 0"), TaskState::Finished),
        _ => (format!("sleep {moment}; exit 0"), TaskState::Finished),
    }
}

struct Team {
    works: Vec<Work>,
    expected: Vec<BTreeMap<String, TaskState>>,
    random: Random,
    go: String,
}

impl Team {
    /// Sees to it that each framework has enough to do.
    fn fill(&mut self) {
        for (number, work) in self.works.iter().enumerate() {
            while work.open() < TASKS {
                let count = self.expected[number].len();
                let id = format!("t-{number}-{count}");
                let (script, end) = kind(count, &mut self.random, &self.go);
                work.launch(&id, &script);
                self.expected[number].insert(id, end);
            }
        }
    }

    fn check(&self, number: usize) -> Vec<String> {
        let work = &self.works[number];
        let heard = work.all();
        let mut wrong = work.wrong();
        for (id, end) in &self.expected[number] {
            let runs = work.runs(id);
            let Heard { statuses } = heard[&id.as_str().into()].clone();
            let last = statuses.last().map(|status| status.state);
            let as_it_was = match runs {
                // It never began: lost on its way to an agent that was not there.
                0 => matches!(last, Some(TaskState::Lost | TaskState::Dropped | TaskState::Gone)),
                1 => last == Some(*end),
                _ => false,
            };
            if !as_it_was {
                wrong.push(format!("{id}: {runs} runs, {end:?} expected: {statuses:#?}"));
            }
        }
        wrong
    }
}

#[test]
fn every_end_is_told_as_it_was_however_often_the_agent_is_killed() {
    let kills = std::env::var("MESETA_AGENT_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    let clock = Clock::real();
    let begin = clock.now();
    let mut site = Site::start();
    let go = site.notes().join("go");
    let mut team = Team {
        works: (0..3).map(|number| Work::start(&site, &format!("team-{number}"), true)).collect(),
        expected: vec![BTreeMap::new(); 3],
        random: Random::new(std::env::var("MESETA_AGENT_SEED").map_or(1, |text| text.parse().unwrap())),
        go: go.display().to_string(),
    };
    for kill in 0..kills {
        let life = Duration::from_millis(50 + team.random.below(1_200));
        let (until, mut now) = (clock.now() + life, clock.now());
        while now < until {
            team.fill();
            wait(Duration::from_millis(20).min(until.since(now)));
            now = clock.now();
        }
        site.kill_agent();
        if team.random.below(3) == 0 {
            wait(Duration::from_millis(team.random.below(400)));
        }
        site.begin_agent(&[], &[]);
        for number in 0..3 {
            let wrong = team.works[number].wrong();
            assert!(wrong.is_empty(), "after kill {kill}: {wrong:#?}");
        }
    }
    fs::write(&go, "").unwrap();
    for work in &team.works {
        work.wait_until("the end of all", |tasks| tasks.values().all(Heard::is_over));
    }
    let wrong: Vec<String> = (0..3).flat_map(|number| team.check(number)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    site.is_clean();
    let tasks: usize = team.expected.iter().map(BTreeMap::len).sum();
    let begun: usize = (0..3)
        .map(|number| team.expected[number].keys().filter(|id| team.works[number].runs(id) > 0).count())
        .sum();
    println!("{kills} kills, {tasks} tasks of which {begun} ran, {:?}", clock.now().since(begin));
    assert!(begun * 2 > tasks, "most tasks run: {begun} of {tasks}");
}
