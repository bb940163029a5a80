//! Messages of all types, made at random from the tables: from bytes to a value, to JSON, and back they stay the same.

use proptest::prelude::*;

use super::Codec;
use crate::testing::fixed_cases;
use crate::wire::Format::{Json, Protobuf};
use crate::wire::bytes::{Layout, layout, put_delimited, put_tag, put_varint};
use crate::wire::tables::{CODECS, Field, Kind, Label, Message};

/// Numbers at random, from a seed (splitmix64).
pub(crate) struct Dice {
    state: u64,
    /// Fields with a default are always set: they are printed, so that JSON sets them.
    complete: bool,
}

impl Dice {
    pub(crate) fn new(seed: u64, complete: bool) -> Dice {
        Dice { state: seed, complete }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap()
    }

    pub(crate) fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }
}

/// The bytes of a message of this table, as another program might write them: fields in any order, some unknown, some
/// with values of enums that nobody knows, some messages in two pieces.
pub(crate) fn message(table: &'static Message, dice: &mut Dice, depth: usize) -> Vec<u8> {
    let mut pieces: Vec<Vec<u8>> = Vec::new();
    for field in table.fields {
        let count = match field.label {
            Label::Required => 1,
            Label::Optional if field.default.is_some() && dice.complete => 1,
            Label::Optional => usize::from(dice.one_in(2 + depth)),
            Label::Repeated | Label::Map => dice.below(4usize.saturating_sub(depth)),
        };
        for _ in 0..count {
            pieces.push(occurrence(field, dice, depth));
        }
        if field.label == Label::Optional && dice.one_in(20) {
            pieces.push(unreadable(field, dice));
        }
    }
    if dice.one_in(10) {
        let mut unknown = Vec::new();
        put_delimited(&mut unknown, 1000, b"unknown");
        pieces.push(unknown);
    }
    for index in (1..pieces.len()).rev() {
        pieces.swap(index, dice.below(index + 1));
    }
    pieces.concat()
}

fn occurrence(field: &Field, dice: &mut Dice, depth: usize) -> Vec<u8> {
    let mut out = Vec::new();
    match field.kind {
        Kind::Message(table) => {
            let content = message(table, dice, depth + 1);
            put_delimited(&mut out, field.number, &content);
            // What is given twice is one message.
            if field.label == Label::Optional && dice.one_in(10) {
                put_delimited(&mut out, field.number, b"");
            }
        }
        Kind::String => put_delimited(&mut out, field.number, text(dice).as_bytes()),
        Kind::Bytes => {
            let content: Vec<u8> = (0..dice.below(20)).map(|_| dice.next().to_le_bytes()[0]).collect();
            put_delimited(&mut out, field.number, &content);
        }
        kind => {
            put_tag(&mut out, field.number, layout(kind));
            match kind {
                Kind::Double => out.extend_from_slice(&double(dice).to_le_bytes()),
                Kind::Enum(names) => {
                    let number = names.values[dice.below(names.values.len())].1;
                    put_varint(&mut out, i64::from(number).cast_unsigned());
                }
                Kind::Bool => put_varint(&mut out, dice.next() % 2),
                Kind::Int32 => {
                    put_varint(&mut out, i64::from(whole(dice).cast_signed() as i32).cast_unsigned())
                }
                Kind::Uint32 => put_varint(&mut out, u64::from(whole(dice) as u32)),
                _ => put_varint(&mut out, whole(dice)),
            }
        }
    }
    out
}

/// An occurrence that counts as unknown: of an enum, a number that it has not; else, laid out otherwise.
fn unreadable(field: &Field, dice: &mut Dice) -> Vec<u8> {
    let mut out = Vec::new();
    match field.kind {
        Kind::Enum(_) => {
            put_tag(&mut out, field.number, Layout::Varint);
            put_varint(&mut out, 900 + dice.next() % 100);
        }
        _ => {
            put_tag(&mut out, field.number, Layout::Fixed32);
            out.extend_from_slice(&[1, 2, 3, 4]);
        }
    }
    out
}

fn whole(dice: &mut Dice) -> u64 {
    let bits = dice.next();
    bits >> dice.below(64)
}

fn double(dice: &mut Dice) -> f64 {
    match dice.below(6) {
        0 => [0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e21, 1e-7, f64::MIN_POSITIVE]
            [dice.below(8)],
        1 => dice.below(100_000) as f64 / 1000.0,
        2 => dice.next() as f64,
        _ => Some(f64::from_bits(dice.next())).filter(|double| !double.is_nan()).unwrap_or(0.5),
    }
}

fn text(dice: &mut Dice) -> String {
    let letters =
        ['a', 'b', '/', '"', '\\', '\n', '\t', '\u{1}', '\u{1f}', '\u{7f}', 'é', '\u{2028}', '😀', ' '];
    (0..dice.below(12)).map(|_| letters[dice.below(letters.len())]).collect()
}

/// Takes one message through both formats.
fn stays_the_same(codec: &Codec, bytes: &[u8], complete: bool) -> Result<(), TestCaseError> {
    let name = codec.name;
    let turn = |from, body: &[u8], to| {
        (codec.turn)(from, body, to).map_err(|error| TestCaseError::fail(format!("{name}: {error}")))
    };
    let settled = turn(Protobuf, bytes, Protobuf)?;
    prop_assert_eq!(&turn(Protobuf, &settled, Protobuf)?, &settled, "{} in protobuf", name);
    let json = turn(Protobuf, bytes, Json)?;
    prop_assert!(json.iter().all(|byte| *byte >= b' '), "{} has a control character", name);
    serde_json::from_slice::<serde_json::Value>(&json)
        .map_err(|error| TestCaseError::fail(error.to_string()))?;
    prop_assert_eq!(&turn(Json, &json, Json)?, &json, "{} in JSON", name);
    let back = turn(Json, &json, Protobuf)?;
    if complete {
        prop_assert_eq!(&back, &settled, "{} through JSON", name);
    }
    prop_assert_eq!(&turn(Protobuf, &back, Json)?, &json, "{} through both", name);
    Ok(())
}

#[test]
fn every_type_goes_through_both_formats() {
    for codec in CODECS {
        for seed in 0..10 {
            let complete = seed % 2 == 0;
            let bytes = message(codec.table, &mut Dice::new(seed, complete), 0);
            stays_the_same(codec, &bytes, complete).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        }
    }
    assert!(CODECS.len() > 300);
}

proptest! {
    #![proptest_config(fixed_cases())]

    #[test]
    fn messages_go_through_both_formats(index in 0..CODECS.len(), seed: u64, complete: bool) {
        let codec = &CODECS[index];
        let bytes = message(codec.table, &mut Dice::new(seed, complete), 0);
        stays_the_same(codec, &bytes, complete)?;
    }
}
