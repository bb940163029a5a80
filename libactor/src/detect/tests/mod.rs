//! Golden scripts, and whatever may come.

#[path = "../../../tests/support/golden.rs"]
mod golden;
#[cfg(feature = "sim")]
mod group;
mod node;

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::limits::{DETECT_MEMBERS, DETECT_RETRY_MAX};
use crate::{Machine, Random, Time};

const START: Time = Time::from_nanos(1_000_000_000);

/// `n1` is `masters@10.0.0.1:5050`, `m1` is `master@10.0.0.1:5050`; anything else is a pid.
fn pid(short: &str) -> Pid {
    let number = short.get(1..).and_then(|number| number.parse::<u8>().ok());
    match (short.chars().next(), number) {
        (Some('n'), Some(number)) => format!("masters@10.0.0.{number}:5050").parse().unwrap(),
        (Some('m'), Some(number)) => format!("master@10.0.0.{number}:5050").parse().unwrap(),
        _ => short.parse().unwrap(),
    }
}

fn short(pid: &Pid) -> String {
    let address = pid.address().to_string();
    match (pid.name(), address.strip_prefix("10.0.0.").and_then(|rest| rest.strip_suffix(":5050"))) {
        ("masters", Some(number)) => format!("n{number}"),
        ("master", Some(number)) => format!("m{number}"),
        _ => pid.to_string(),
    }
}

/// `1` is `10.0.0.1:5050`; anything else is an address.
fn place(short: &str) -> String {
    short.parse::<u8>().map_or_else(|_| short.to_owned(), |number| format!("10.0.0.{number}:5050"))
}

fn list(word: &str) -> Vec<String> {
    word.split(',').filter(|part| !part.is_empty()).map(place).collect()
}

fn detector(nodes: &str, seed: u64) -> Detector {
    Detector::new("masters", Address::list(&list(nodes).join(",")).unwrap(), seed, START)
}

/// `leads n1 3 m1 1,2,3`, `exited n1`, `resolved 0 1,2`, `resolved 0 error`
fn input(words: &[&str]) -> Input {
    match words[0] {
        "leads" => Input::Leads {
            from: pid(words[1]),
            leads: Leads {
                epoch: words[2].parse().unwrap(),
                leader: (words[3] != "-").then(|| pid(words[3])),
                members: words.get(4).map(|members| list(members)).unwrap_or_default(),
            },
        },
        "exited" => Input::Exited { pid: pid(words[1]) },
        "resolved" => Input::Resolved {
            index: words[1].parse().unwrap(),
            result: match words.get(2) {
                Some(&"error") => Err("no such host".to_owned()),
                found => Ok(list(found.unwrap_or(&"")).iter().map(|node| node.parse().unwrap()).collect()),
            },
        },
        other => panic!("unknown line {other}"),
    }
}

fn describe(output: &Output) -> String {
    match output {
        Output::Watch { to } => format!("watch {}", short(to)),
        Output::Link { pid } => format!("link {}", short(pid)),
        Output::Unlink { pid } => format!("unlink {}", short(pid)),
        Output::Resolve { index, address } => format!("resolve {index} {address}"),
        Output::Detected(None) => "detected nobody".to_owned(),
        Output::Detected(Some(leader)) => format!("detected {} in {}", short(&leader.pid), leader.epoch),
    }
}

struct Script {
    detector: Detector,
    now: Time,
}

impl Script {
    fn step(&mut self, line: &str) -> Vec<String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut out = Vec::new();
        match words[0] {
            "nodes" => {
                *self = Self { detector: detector(words[1], 1), now: START };
                self.detector.tick(self.now, &mut out);
            }
            "wait" => {
                let before = self.now;
                self.now = self.detector.deadline().expect("something is due").max(self.now);
                self.detector.tick(self.now, &mut out);
                let mut lines = vec![format!("after {} ms", self.now.since(before).as_millis())];
                lines.extend(out.iter().map(describe));
                self.detector.check();
                return lines;
            }
            _ => {
                self.now = self.now + Duration::from_millis(1);
                self.detector.handle(self.now, input(&words), &mut out);
            }
        }
        self.detector.check();
        out.iter().map(describe).collect()
    }
}

#[test]
fn golden_scripts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/detect/golden");
    golden::scripts(&folder, 5, |_| {
        let mut script = Script { detector: detector("1", 1), now: START };
        move |input| script.step(input)
    });
}

/// A node that is gone is tried again with growing pauses, never more than a second apart, for ever.
#[test]
fn who_is_gone_is_tried_again_at_least_once_a_second() {
    let mut detector = detector("1", 7);
    let (mut now, mut out, mut pauses) = (START, Vec::new(), Vec::new());
    for _ in 0..50 {
        detector.tick(now, &mut out);
        assert_eq!(out, [Output::Link { pid: pid("n1") }, Output::Watch { to: pid("n1") }]);
        out.clear();
        detector.handle(now, Input::Exited { pid: pid("n1") }, &mut out);
        assert_eq!(out, []);
        let due = detector.deadline().unwrap();
        pauses.push(due.since(now));
        now = due;
    }
    assert!(pauses[0] >= Duration::from_millis(25) && pauses[0] <= Duration::from_millis(50), "{pauses:?}");
    assert!(pauses.iter().all(|pause| *pause <= DETECT_RETRY_MAX));
    assert!(pauses[10..].iter().all(|pause| *pause >= DETECT_RETRY_MAX / 2));
    assert!(pauses[10..].windows(2).any(|pair| pair[0] != pair[1]), "waits differ");
}

/// Whatever comes, in whatever order: nothing panics, what it holds is bounded, it says only what has changed, and links are
/// what they should be.
#[test]
fn anything_may_come_at_any_time() {
    for seed in 0..100 {
        let mut random = Random::new(seed);
        let mut detector = detector(["1,2,3", "h1:5050,h2:5050", "1,h2:5050", "1"][seed as usize % 4], seed);
        let (mut now, mut linked, mut told) = (START, std::collections::BTreeSet::new(), None);
        for _ in 0..400 {
            let mut out = Vec::new();
            now = now + Duration::from_millis(random.below(300));
            let mut number = || random.below(40) + 1;
            let (who, whom) = (number(), number());
            let members: Vec<String> = (0..number()).map(|_| number().to_string()).collect();
            let line = match number() {
                1..=20 => format!("leads n{} {} m{whom} {}", who % 6, whom % 7, members.join(",")),
                21..=23 => format!("leads n{} {} - {}", who % 6, whom % 7, members.join(",")),
                24 => format!("leads n{who} {} other@[::]:0 0.0.0.0:1,x,:,h:0", u64::MAX - whom),
                25 => format!("leads x@10.0.0.1:5050 {} m1 1", u64::MAX),
                26..=30 => format!("resolved {} {},{whom}", who % 5, who % 4),
                31 => format!("resolved {} error", who % 5),
                32 => format!("resolved {}", who % 5),
                33..=36 => format!("exited n{}", who % 6),
                _ => String::new(),
            };
            match line.as_str() {
                "" => detector.tick(now, &mut out),
                line => {
                    let input = input(&line.split(' ').collect::<Vec<_>>());
                    if let Input::Exited { pid } = &input
                        && !linked.remove(pid)
                    {
                        continue;
                    }
                    detector.handle(now, input, &mut out);
                }
            }
            detector.check();
            for output in out {
                match output {
                    Output::Link { pid } => assert!(linked.insert(pid), "seed {seed}: links once"),
                    Output::Unlink { pid } => assert!(linked.remove(&pid), "seed {seed}: had linked"),
                    Output::Watch { to } => assert!(linked.contains(&to), "seed {seed}: links first"),
                    Output::Detected(leader) => {
                        assert_ne!(leader, told, "seed {seed}: says what has changed");
                        told = leader;
                    }
                    Output::Resolve { address, .. } => assert_eq!(address.ip(), None),
                }
            }
            assert!(linked.len() <= 3 + DETECT_MEMBERS, "seed {seed}: {linked:?}");
            assert_eq!(detector.leader(), told.as_ref());
        }
    }
}
