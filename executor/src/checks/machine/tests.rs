//! Golden scripts, and random answers.

use std::path::Path;

use libactor::Random;
use protocol::{CommandInfo, Probe};

use super::*;
use crate::golden;

const START: Time = Time::from_nanos(1_000_000_000);

fn probe(kind: &str) -> Probe {
    match kind {
        "command" => Probe::Command(CommandInfo::shell("true")),
        "http" => Probe::Http { secure: false, port: 80, path: String::new(), ipv6: false },
        "tcp" => Probe::Tcp { port: 80, ipv6: false },
        other => panic!("no kind {other}"),
    }
}

/// The value of `name=` among words, in seconds.
fn seconds(words: &[&str], name: &str, default: f64) -> Duration {
    let found = words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    Duration::from_secs_f64(found.map_or(default, |number| number.parse().unwrap()))
}

fn pace(words: &[&str]) -> Pace {
    Pace {
        delay: seconds(words, "delay", 15.0),
        interval: seconds(words, "interval", 10.0),
        timeout: Some(seconds(words, "timeout", 20.0)).filter(|timeout| !timeout.is_zero()),
    }
}

/// `health http grace=5 failures=2`, `general tcp interval=1`; what is not said is as on the wire.
fn checks(words: &[&str]) -> Checks {
    let (probe, pace) = (probe(words[1]), pace(words));
    if words[0] == "general" {
        return Checks::new(None, Some(&Check { probe, pace }));
    }
    let consecutive_failures = seconds(words, "failures", 3.0).as_secs() as u32;
    let grace = seconds(words, "grace", 10.0);
    Checks::new(Some(&HealthCheck { probe, pace, grace, consecutive_failures }), None)
}

/// `exited 1`, `status 200`, `connected`, `refused`, `silent`
fn answer(words: &[&str]) -> Answer {
    match words[0] {
        "exited" => Answer::Exited(words[1].parse().unwrap()),
        "status" => Answer::Status(words[1].parse().unwrap()),
        "connected" => Answer::Connected(Ok(())),
        "refused" => Answer::Connected(Err("Connection refused".to_owned())),
        "silent" => Answer::None("no answer within 20secs".to_owned()),
        other => panic!("no answer {other}"),
    }
}

fn describe(output: &Output) -> String {
    match output {
        Output::Probe { which, timeout: Some(timeout) } => format!("probe {which:?} for {timeout:?}"),
        Output::Probe { which, timeout: None } => format!("probe {which:?} for ever"),
        Output::Cancel { which } => format!("cancel {which:?}"),
        Output::Health { healthy, message } => format!("healthy={healthy} {message:?}"),
        Output::Changed { status } => format!("{status:?}"),
        Output::Kill { message } => format!("kill {message:?}"),
    }
}

struct Script {
    checks: Checks,
    now: Time,
}

impl Script {
    fn step(&mut self, line: &str) -> Vec<String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut out = Vec::new();
        let mut lines = Vec::new();
        match words[0] {
            "health" | "general" => *self = Self { checks: checks(&words), now: START },
            // To what is due next.
            "wait" => match self.checks.deadline() {
                None => lines.push("for ever".to_owned()),
                Some(at) => {
                    self.now = self.now.max(at);
                    lines.push(format!("at {:?}", self.now.since(START)));
                    self.checks.tick(self.now, &mut out);
                }
            },
            // An answer after so many seconds.
            "after" => {
                self.now = self.now + Duration::from_secs_f64(words[1].parse().unwrap());
                let which = if self.checks.health.is_some() { Which::Health } else { Which::General };
                let input = Input::Answer { which, answer: answer(&words[2..]) };
                self.checks.handle(self.now, input, &mut out);
            }
            "begin" => self.checks.handle(self.now, Input::Begin, &mut out),
            "stop" => self.checks.handle(self.now, Input::Stop, &mut out),
            other => panic!("unknown line {other}"),
        }
        self.checks.check();
        lines.extend(out.iter().map(describe));
        lines
    }
}

fn golden(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/checks/golden").join(name);
    let mut script = Script { checks: Checks::new(None, None), now: START };
    let wrong = golden::script(&path, |input| script.step(input));
    assert_eq!(wrong, None, "{}", wrong.as_deref().unwrap_or_default());
}

#[test]
fn health_checks_judge_tasks() {
    golden("health");
}

#[test]
fn grace_ends_with_the_first_success() {
    golden("grace");
}

#[test]
fn general_checks_tell_changes() {
    golden("general");
}

#[test]
fn reports_keep_their_pace() {
    golden("pace");
}

#[test]
fn every_kind_of_answer_is_judged() {
    let refused = Answer::Connected(Err("Connection refused".to_owned()));
    for (answer, why) in [
        (Answer::Exited(0), None),
        (Answer::Exited(3), Some("Command exited with status 3")),
        (Answer::Status(199), Some("Unexpected HTTP response code: 199")),
        (Answer::Status(200), None),
        (Answer::Status(399), None),
        (Answer::Status(400), Some("Unexpected HTTP response code: 400")),
        (Answer::Connected(Ok(())), None),
        (refused, Some("TCP connection failed: Connection refused")),
        (Answer::None("it hung".to_owned()), Some("it hung")),
    ] {
        assert_eq!(judge(&answer).err().as_deref(), why, "{answer:?}");
    }
}

/// Whatever is answered and whenever: one probe of a kind at a time, reports at their pace, a kill after as many failures as
/// were asked for, silence after a stop.
#[test]
fn random_answers_keep_the_invariants() {
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let pace = Pace {
            delay: Duration::from_millis(random.below(3_000)),
            interval: Duration::from_millis(random.below(2_000)),
            timeout: None,
        };
        let most = random.below(5) as u32;
        let grace = Duration::from_millis(random.below(5_000));
        let (command, tcp) = (probe("command"), probe("tcp"));
        let health = HealthCheck { probe: command, pace, grace, consecutive_failures: most };
        let mut checks = Checks::new(Some(&health), Some(&Check { probe: tcp, pace }));
        let (mut now, mut under_way, mut stopped) = (START, [false; 2], false);
        let mut told = [Time::default(); 2];
        let mut failures = 0;
        for step in 0..500 {
            let mut out = Vec::new();
            now = now + Duration::from_millis(random.below(700));
            let general = usize::from(random.chance(500));
            let failed = random.chance(600);
            let was_young = checks.health.as_ref().is_some_and(|health| health.initializing);
            match random.below(100) {
                _ if step == 0 => checks.handle(now, Input::Begin, &mut out),
                0 if step > 300 => {
                    checks.handle(now, Input::Stop, &mut out);
                    stopped = true;
                    under_way = [false; 2];
                }
                1..50 if std::mem::take(&mut under_way[general]) => {
                    let (which, answer) = match general {
                        0 => (Which::Health, Answer::Exited(failed.into())),
                        _ => (Which::General, Answer::Connected(Ok(()))),
                    };
                    let excused = was_young && !grace.is_zero() && now.since(START) <= grace;
                    match (general, failed) {
                        (0, true) if !excused => failures += 1,
                        (0, false) => failures = 0,
                        _ => {}
                    }
                    checks.handle(now, Input::Answer { which, answer }, &mut out);
                }
                _ => checks.tick(now, &mut out),
            }
            checks.check();
            for output in out {
                assert!(!stopped || matches!(output, Output::Cancel { .. }), "seed {seed}: {output:?}");
                match output {
                    Output::Probe { which, .. } => {
                        let slot = usize::from(which == Which::General);
                        assert!(!std::mem::replace(&mut under_way[slot], true), "seed {seed}: two at a time");
                    }
                    Output::Health { .. } if failures < most.max(1) => {
                        assert!(now >= std::mem::replace(&mut told[0], now + REPORT_PACE), "seed {seed}");
                    }
                    Output::Changed { .. } => {
                        assert!(now >= std::mem::replace(&mut told[1], now + REPORT_PACE), "seed {seed}");
                    }
                    Output::Kill { .. } => assert!(failures >= most.max(1), "seed {seed}"),
                    Output::Health { .. } | Output::Cancel { .. } => {}
                }
            }
        }
    }
}
