//! Whatever comes: nothing panics, nothing overflows the stack, nothing takes memory without end.

use proptest::prelude::*;

use super::identity::{Dice, message};
use crate::limits::{MAX_DECODED_BYTES, MAX_REFUSAL_BYTES};
use crate::testing::fixed_cases;
use crate::wire::Format::{Json, Protobuf};
use crate::wire::bytes::{begin, end, put_delimited};
use crate::wire::recordio::{Decoder, Error, record};
use crate::wire::tables::CODECS;
use crate::wire::v1::scheduler::Call;
use crate::wire::{decode, negotiate};

/// Changes a few bytes: flipped, taken out, put in, a piece repeated.
fn mutated(mut bytes: Vec<u8>, dice: &mut Dice) -> Vec<u8> {
    for _ in 0..=dice.below(4) {
        let at = dice.below(bytes.len() + 1);
        let length = dice.below(bytes.len() - at + 1).min(16);
        match dice.below(4) {
            0 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            1 => drop(bytes.drain(at..at + length)),
            2 => bytes.insert(at, b"{}[],:\"\\0-e.n\xff\x00"[dice.below(15)]),
            _ => {
                let piece = bytes[at..at + length].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes
}

/// Text that is JSON in parts.
fn soup(dice: &mut Dice, names: &[&str]) -> String {
    let tokens = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "1",
        "-1e5",
        "1e999",
        "null",
        "true",
        "\"x\"",
        "\"\\ud800\"",
        " ",
        "0.5",
    ];
    (0..dice.below(60))
        .map(|_| match dice.below(tokens.len() + 12) {
            token if token < tokens.len() => tokens[token].to_owned(),
            _ if names.is_empty() => "{".to_owned(),
            _ => format!(
                "\"{}\":{}",
                names[dice.below(names.len())],
                ["{", "[", "[{", "\"a\",", "1,"][dice.below(5)]
            ),
        })
        .collect()
}

proptest! {
    #![proptest_config(fixed_cases())]

    #[test]
    fn any_bytes_are_read_or_refused(index in 0..CODECS.len(), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for format in [Json, Protobuf] {
            let _ = (CODECS[index].turn)(format, &bytes, Json);
        }
    }

    #[test]
    fn mutated_messages_are_read_or_refused(index in 0..CODECS.len(), seed: u64) {
        let codec = &CODECS[index];
        let mut dice = Dice::new(seed, false);
        let bytes = message(codec.table, &mut dice, 0);
        let json = (codec.turn)(Protobuf, &bytes, Json).unwrap();
        for (format, body) in [(Json, json), (Protobuf, bytes)] {
            let body = mutated(body, &mut dice);
            if let Ok(json) = (codec.turn)(format, &body, Json) {
                // What was taken is a message: what is printed of it is taken again.
                let again = (codec.turn)(Json, &json, Json);
                prop_assert_eq!(again.map(|bytes| String::from_utf8(bytes).unwrap()), Ok(String::from_utf8(json).unwrap()));
            }
        }
    }

    #[test]
    fn half_json_is_read_or_refused(index in 0..CODECS.len(), seed: u64) {
        let codec = &CODECS[index];
        let names: Vec<&str> = codec.table.fields.iter().map(|field| field.name).collect();
        let text = soup(&mut Dice::new(seed, false), &names);
        let ours = (codec.turn)(Json, format!("{{{text}").as_bytes(), Json);
        if let Ok(json) = ours {
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&json).is_ok());
        }
    }

    #[test]
    fn records_come_out_however_they_are_cut(
        bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8),
        cuts in prop::collection::vec(0..400usize, 0..12),
    ) {
        let stream: Vec<u8> = bodies.iter().flat_map(|body| record(body).to_vec()).collect();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let mut decoder = Decoder::new(64);
        let mut found = Vec::new();
        for pair in cuts.windows(2) {
            found.extend(decoder.feed(&stream[pair[0]..pair[1]]).unwrap());
        }
        prop_assert_eq!(found, bodies);
        prop_assert!(!decoder.is_within_record());
    }

    #[test]
    fn any_bytes_are_records_or_refused(pieces in prop::collection::vec("[0-9\n]{0,8}|[ -~]{0,8}", 0..20)) {
        let mut decoder = Decoder::new(1000);
        let mut failed = None;
        for piece in pieces {
            match decoder.feed(piece.as_bytes()) {
                Ok(_) => prop_assert!(failed.is_none()),
                Err(error) => {
                    prop_assert!(failed.is_none_or(|failed| failed == error));
                    failed = Some(error);
                }
            }
        }
    }

    #[test]
    fn any_headers_are_judged(method in ".{0,8}", header in "[a-z/;,=*q0-9. +-]{0,40}") {
        let header = Some(header.as_str());
        let _ = negotiate::request(&method, header);
        let _ = negotiate::response(header);
        let _ = negotiate::agent_request("POST", header, header);
        let _ = negotiate::agent_response(header, header);
    }
}

#[test]
fn streams_that_are_no_records_are_refused() {
    for (stream, expected) in [
        ("x", Error::Length(b'x')),
        ("-1\n", Error::Length(b'-')),
        ("\n", Error::Empty),
        ("3\nabc\n", Error::Empty),
        ("11\n", Error::TooLong(10)),
        ("99999999999999999999999999", Error::TooLong(10)),
    ] {
        let mut decoder = Decoder::new(10);
        assert_eq!(decoder.feed(stream.as_bytes()), Err(expected), "{stream:?}");
        assert_eq!(decoder.feed(b"1\na"), Err(expected), "{stream:?}");
    }
    let mut decoder = Decoder::new(10);
    assert_eq!(decoder.feed(b"000003\nabc0\n1").unwrap(), ["abc", ""]);
    assert!(decoder.is_within_record());
}

#[test]
fn depth_is_bounded_in_both_formats() {
    // An id within an id within an id: the schema allows it without end.
    let container = super::Codec::named("mesos.v1.ContainerID");
    let json = |depth: usize| {
        format!("{}{{\"value\":\"v\"}}{}", r#"{"value":"v","parent":"#.repeat(depth), "}".repeat(depth))
    };
    let bytes = |depth: usize| {
        (0..depth).fold(vec![10, 1, b'v'], |inner, _| {
            let mut out = vec![10, 1, b'v'];
            put_delimited(&mut out, 2, &inner);
            out
        })
    };
    let expected = json(99).into_bytes();
    assert_eq!((container.turn)(Json, json(99).as_bytes(), Json), Ok(expected.clone()));
    assert_eq!((container.turn)(Protobuf, &bytes(99), Json), Ok(expected));
    for depth in [100, 150, 10_000] {
        assert!((container.turn)(Json, json(depth).as_bytes(), Json).is_err(), "{depth}");
        assert!((container.turn)(Protobuf, &bytes(depth), Json).is_err(), "{depth}");
    }
    // Groups, of a field that nobody knows.
    let groups = |depth: usize| [vec![0x7b; depth], vec![0x7c; depth]].concat();
    assert!(decode::<Call>(Protobuf, &groups(99)).is_ok());
    assert!(decode::<Call>(Protobuf, &groups(10_000)).is_err());
}

#[test]
fn what_a_body_becomes_is_bounded() {
    // Three bytes each, which would be some thousand in memory.
    let count = MAX_DECODED_BYTES / size_of::<crate::wire::v1::offer::Operation>() + 1;
    let text = format!(r#"{{"accept":{{"operations":[{}{{}}]}}}}"#, "{},".repeat(count));
    let refused = decode::<Call>(Json, text.as_bytes()).unwrap_err();
    assert_eq!(refused.reason(), "The message would take more than 268435456 bytes");
    let mut bytes = Vec::new();
    let start = begin(&mut bytes, 4);
    (0..=count).for_each(|_| bytes.extend_from_slice(&[0x12, 0]));
    end(&mut bytes, start).unwrap();
    assert!(decode::<Call>(Protobuf, &bytes).is_err());
}

#[test]
fn refusals_are_bounded() {
    let bound = MAX_REFUSAL_BYTES + 200;
    let tasks = "{},".repeat(100_000);
    for text in [
        format!(r#"{{"reconcile":{{"tasks":[{tasks}{{}}]}}}}"#),
        "x".repeat(1 << 20),
        format!("{{}} {}", "x".repeat(1 << 20)),
        format!(r#"{{"type":"{}"}}"#, "x".repeat(1 << 20)) + "\"",
        format!(r#"{{"accept":{{"filters":{{"refuse_seconds":"{}"}}}}}}"#, "x".repeat(1 << 20)),
    ] {
        let refused = decode::<Call>(Json, text.as_bytes()).unwrap_err().to_string();
        assert!(refused.len() < 4 * bound, "{} bytes", refused.len());
    }
}

#[test]
fn pieces_within_pieces_are_bounded() {
    // Each level twice, one of them empty: all of it would be copied at each level.
    let pieces = |levels: usize| {
        (0..levels).fold(vec![10, 1, b'v'], |inner, _| {
            let mut out = vec![10, 1, b'v'];
            put_delimited(&mut out, 2, &inner);
            put_delimited(&mut out, 2, b"");
            out
        })
    };
    let container = super::Codec::named("mesos.v1.ContainerID");
    assert!((container.turn)(Protobuf, &pieces(3), Json).is_ok());
    assert!((container.turn)(Protobuf, &pieces(90), Json).is_err());
}

#[test]
fn many_members_of_one_name_take_no_time() {
    let twice =
        |inner: &str| format!(r#"{{"value":"v","parent":{inner},"value":"v","parent":{inner},"value":"v"}}"#);
    let mut text = r#"{"value":"v"}"#.to_owned();
    for _ in 0..12 {
        text = twice(&text);
    }
    let container = super::Codec::named("mesos.v1.ContainerID");
    assert!((container.turn)(Json, text.as_bytes(), Json).is_ok());
    let text = format!("{{{}\"type\":null}}", r#""type":"KILL","#.repeat(100_000));
    assert_eq!(decode::<Call>(Json, text.as_bytes()), Ok(Call::default()));
}
