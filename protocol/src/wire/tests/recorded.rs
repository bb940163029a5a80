//! What Mesos sent, byte for byte: read, and printed again as it was.

use super::Codec;
use crate::wire::Format::{Json, Protobuf};
use crate::wire::to_json_double;

fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.is_empty())
}

/// The same text with each number as we print it. Of texts that are the same number we print the nearest; Mesos's
/// printer does not always find it, and errs in the last of 17 digits.
fn renumbered(line: &str) -> String {
    let mut out = String::new();
    // Every other piece is a string; none of the recorded ones has a quote in it.
    for (index, piece) in line.split('"').enumerate() {
        if index > 0 {
            out.push('"');
        }
        for part in piece.split_inclusive([',', ':', '[', ']', '{', '}']) {
            let number = part.trim_end_matches([',', ':', '[', ']', '{', '}']);
            match number.parse::<f64>() {
                Ok(double) if index % 2 == 0 && number.contains('.') => {
                    let mut text = Vec::new();
                    to_json_double(double, &mut text);
                    assert_eq!(text.len(), number.len(), "{number}");
                    out.push_str(std::str::from_utf8(&text).unwrap());
                    out.push_str(&part[number.len()..]);
                }
                _ => out.push_str(part),
            }
        }
    }
    out
}

#[test]
fn recorded_messages_are_printed_as_they_were() {
    let mut count = 0;
    for (name, text) in [
        ("mesos.v1.scheduler.Event", include_str!("recorded/scheduler-events.jsonl")),
        ("mesos.v1.master.Event", include_str!("recorded/operator-events.jsonl")),
        ("mesos.v1.master.Response", include_str!("recorded/master-answers.jsonl")),
        ("mesos.v1.agent.Response", include_str!("recorded/agent-answers.jsonl")),
    ] {
        let turn = Codec::named(name).turn;
        for line in lines(text) {
            let bytes = turn(Json, line.as_bytes(), Protobuf).unwrap();
            let back = turn(Protobuf, &bytes, Json).unwrap();
            assert_eq!(String::from_utf8(back).unwrap(), renumbered(line), "a {name}");
            count += 1;
        }
    }
    assert!(count > 65, "{count} lines");
}

#[test]
fn recorded_calls_are_read_in_full() {
    let turn = Codec::named("mesos.v1.scheduler.Call").turn;
    for line in lines(include_str!("recorded/scheduler-calls.jsonl")) {
        let printed = turn(Json, line.as_bytes(), Json).unwrap();
        let (sent, printed) =
            (serde_json::from_str(line).unwrap(), serde_json::from_slice(&printed).unwrap());
        assert_contains(&printed, &sent, line);
    }
}

/// What was sent is printed, apart from how numbers are written; defaults may be more.
fn assert_contains(printed: &serde_json::Value, sent: &serde_json::Value, line: &str) {
    use serde_json::Value::{Array, Number, Object};
    match (printed, sent) {
        (Object(printed), Object(sent)) => {
            for (name, value) in sent.iter().filter(|(_, value)| **value != Array(vec![])) {
                assert_contains(
                    printed.get(name).unwrap_or_else(|| panic!("{name} is missing of {line}")),
                    value,
                    line,
                );
            }
        }
        (Array(printed), Array(sent)) => {
            assert_eq!(printed.len(), sent.len(), "{line}");
            printed.iter().zip(sent).for_each(|(printed, sent)| assert_contains(printed, sent, line));
        }
        (Number(printed), Number(sent)) => assert_eq!(printed.as_f64(), sent.as_f64(), "{line}"),
        _ => assert_eq!(printed, sent, "{line}"),
    }
}
