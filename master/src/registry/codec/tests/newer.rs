//! What newer programs write.

use super::*;
use crate::registry::MemberId;

/// A field of protobuf: its number, its kind (0: a number, 2: bytes), and what it holds.
fn field(number: u32, content: Content<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let put = |out: &mut Vec<u8>, mut value: u64| {
        while value >= 0x80 {
            out.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
            value >>= 7;
        }
        out.push(u8::try_from(value).unwrap());
    };
    match content {
        Content::Number(value) => {
            put(&mut out, u64::from(number) << 3);
            put(&mut out, value);
        }
        Content::Bytes(bytes) => {
            put(&mut out, u64::from(number) << 3 | 2);
            put(&mut out, bytes.len() as u64);
            out.extend_from_slice(bytes);
        }
    }
    out
}

enum Content<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}
use Content::{Bytes, Number};

fn entry(format: u64, operation: &[Vec<u8>]) -> Vec<u8> {
    [field(1, Number(format)), field(2, Bytes(b"0.9.0")), field(3, Bytes(&operation.concat()))].concat()
}

#[test]
fn what_only_newer_programs_understand_is_told() {
    let remove_master = field(24, Bytes(&field(1, Number(7))));
    let cases: [(Vec<u8>, &str); 3] = [
        (entry(2, &[field(1, Number(1)), remove_master.clone()]), "an entry of the registry has format 2"),
        (
            entry(1, &[field(1, Number(2)), remove_master.clone()]),
            "an operation of the registry has version 2",
        ),
        (
            entry(1, &[field(1, Number(1)), field(99, Bytes(b"x"))]),
            "there is an unknown operation of the registry",
        ),
    ];
    for (bytes, what) in cases {
        let told = decode_operations(&bytes).unwrap_err().to_string();
        let expected = format!(
            "{what}, which this program ({PROGRAM}) does not understand: run version 0.9.0 of it or a newer one"
        );
        assert_eq!(told, expected);
    }
    // Even if nothing else of it can be read.
    let leader = field(5, Bytes(b"0.9.0"));
    let state =
        [field(1, Number(2)), field(2, Bytes(&leader)), field(6, Bytes(&field(1, Number(1))))].concat();
    let told = decode_state(&state).unwrap_err().to_string();
    assert!(told.starts_with("the registry's state has version 2, which this program"), "{told}");
    assert!(told.ends_with(": run version 0.9.0 of it or a newer one"), "{told}");
    let told = decode_state(&field(1, Number(2))).unwrap_err().to_string();
    assert!(told.ends_with(": run the newest version of it that one of the masters has had"), "{told}");
}

#[test]
fn fields_that_nobody_knows_are_passed_over() {
    let extra = [field(77, Number(1)), field(78, Bytes(b"more"))].concat();
    let remove_master = field(24, Bytes(&[field(1, Number(7)), extra.clone()].concat()));
    let bytes = [entry(1, &[field(1, Number(1)), extra.clone(), remove_master]), extra.clone()].concat();
    assert_eq!(decode_operations(&bytes), Ok(vec![Operation::RemoveMaster { id: MemberId(7) }]));
    let state = [encode_state(&State::default()), extra].concat();
    assert_eq!(decode_state(&state), Ok(State::default()));
}

#[test]
fn what_lacks_something_is_not_made_up() {
    for (bytes, lacking) in [
        (Vec::new(), "format"),
        (entry(1, &[field(1, Number(1)), field(24, Bytes(b""))]), "operations[0].remove_master.id"),
        (entry(1, &[field(24, Bytes(&field(1, Number(7))))]), "operations[0].version"),
    ] {
        let told = decode_operations(&bytes).unwrap_err();
        assert!(matches!(&told, Unreadable::Garbled(why) if why.contains(lacking)), "{told}");
    }
    assert!(decode_state(b"").is_err());
}
