//! From the bytes of a message, as prost writes them, to JSON.
//!
//! Printed are the fields that are set, and those with a default, in the order of the schema. There is no white space
//! between the tokens, so that a record of the text is one line.

use super::{base64, plain_length};
use crate::limits::MAX_MESSAGE_DEPTH;
use crate::wire::bytes::{Cursor, Raw};
use crate::wire::tables::{Field, Kind, Label, Message};

/// Appends the message as a JSON object.
pub(crate) fn object(table: &'static Message, bytes: &[u8], out: &mut Vec<u8>) {
    Printer { out, spans: Vec::new() }.object(table, bytes, 0);
}

struct Printer<'o> {
    out: &'o mut Vec<u8>,
    /// For each field of the open messages: from its first byte to behind its last one. Innermost message last.
    spans: Vec<(usize, usize)>,
}

/// A field that is not there.
const NONE: (usize, usize) = (usize::MAX, 0);

impl Printer<'_> {
    fn object(&mut self, table: &'static Message, bytes: &[u8], depth: usize) {
        let base = self.spans.len();
        self.spans.resize(base + table.fields.len(), NONE);
        if depth < MAX_MESSAGE_DEPTH {
            self.scan(table, bytes, base);
        }
        self.out.push(b'{');
        let begun = self.out.len();
        for (index, field) in table.fields.iter().enumerate() {
            let (start, end) = self.spans[base + index];
            let length = self.out.len();
            if length > begun {
                self.out.push(b',');
            }
            let written = match bytes.get(start..end) {
                Some(found) => self.member(field, found, depth),
                None => self.absent(field),
            };
            if !written {
                self.out.truncate(length);
            }
        }
        self.out.push(b'}');
        self.spans.truncate(base);
    }

    fn scan(&mut self, table: &'static Message, bytes: &[u8], base: usize) {
        let mut cursor = Cursor::new(bytes);
        while !cursor.is_at_end() {
            let start = cursor.at;
            let Ok(raw) = cursor.field() else { return };
            if let Some((index, _)) = table.by_number(raw.number) {
                let span = &mut self.spans[base + index];
                *span = (span.0.min(start), cursor.at);
            }
        }
    }

    fn absent(&mut self, field: &Field) -> bool {
        let text = match field.default {
            Some(default) => default,
            None if field.always => "[]",
            None => return false,
        };
        self.out.extend_from_slice(field.key.as_bytes());
        self.out.extend_from_slice(text.as_bytes());
        true
    }

    /// A field with the bytes of all its occurrences; false if there is nothing to print.
    fn member(&mut self, field: &'static Field, bytes: &[u8], depth: usize) -> bool {
        self.out.extend_from_slice(field.key.as_bytes());
        match (field.label, field.kind) {
            (Label::Optional | Label::Required, _) => {
                let Some(raw) = occurrences(field, bytes).last() else { return false };
                self.value(field, &raw, depth)
            }
            (Label::Map, Kind::Message(entry)) => {
                self.list(field, bytes, [b'{', b'}'], |printer, raw| {
                    printer.entry(entry, raw.content, depth)
                });
                true
            }
            _ => {
                self.list(field, bytes, [b'[', b']'], |printer, raw| printer.value(field, raw, depth));
                true
            }
        }
    }

    fn list(
        &mut self,
        field: &Field,
        bytes: &[u8],
        brackets: [u8; 2],
        mut print: impl FnMut(&mut Self, &Raw<'_>) -> bool,
    ) {
        self.out.push(brackets[0]);
        let begun = self.out.len();
        for raw in occurrences(field, bytes) {
            let length = self.out.len();
            if length > begun {
                self.out.push(b',');
            }
            if !print(self, &raw) {
                self.out.truncate(length);
            }
        }
        self.out.push(brackets[1]);
    }

    fn entry(&mut self, entry: &'static Message, bytes: &[u8], depth: usize) -> bool {
        let [key, value] = entry.fields else { return false };
        let name = occurrences(key, bytes).last().map_or(&[][..], |raw| raw.content);
        string(name, self.out);
        self.out.push(b':');
        match occurrences(value, bytes).last() {
            Some(raw) => self.value(value, &raw, depth + 1),
            None => {
                self.out.extend_from_slice(if matches!(value.kind, Kind::Message(_)) {
                    b"{}"
                } else {
                    b"\"\""
                });
                true
            }
        }
    }

    fn value(&mut self, field: &Field, raw: &Raw<'_>, depth: usize) -> bool {
        match field.kind {
            Kind::Double => double(f64::from_bits(raw.value), self.out),
            Kind::Int64 => signed(raw.value.cast_signed(), self.out),
            Kind::Uint64 => unsigned(raw.value, self.out),
            Kind::Int32 => signed(i64::from(low(raw.value).cast_signed()), self.out),
            Kind::Uint32 => unsigned(u64::from(low(raw.value)), self.out),
            Kind::Bool => self.out.extend_from_slice(if raw.value != 0 { b"true" } else { b"false" }),
            Kind::String => string(raw.content, self.out),
            Kind::Bytes => {
                self.out.push(b'"');
                base64::encode(raw.content, self.out);
                self.out.push(b'"');
            }
            Kind::Enum(names) => {
                let Some(name) = names.by_number(low(raw.value).cast_signed()) else { return false };
                self.out.push(b'"');
                self.out.extend_from_slice(name.as_bytes());
                self.out.push(b'"');
            }
            Kind::Message(table) => self.object(table, raw.content, depth + 1),
        }
        true
    }
}

/// The occurrences of a field in bytes that may hold others, too.
fn occurrences<'a>(field: &Field, bytes: &'a [u8]) -> impl Iterator<Item = Raw<'a>> + use<'a> {
    let mut cursor = Cursor::new(bytes);
    let number = field.number;
    std::iter::from_fn(move || {
        while !cursor.is_at_end() {
            let raw = cursor.field().ok()?;
            if raw.number == number {
                return Some(raw);
            }
        }
        None
    })
}

#[allow(clippy::cast_possible_truncation)]
fn low(value: u64) -> u32 {
    value as u32
}

/// Appends the text as a JSON string.
pub(crate) fn string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text;
    loop {
        let (plain, special) = rest.split_at(plain_length(rest));
        out.extend_from_slice(plain);
        let Some((byte, after)) = special.split_first() else { break };
        rest = after;
        let byte = *byte;
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                let digit = |value: u8| b"0123456789ABCDEF"[usize::from(value)];
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
            }
        }
    }
    out.push(b'"');
}

fn signed(number: i64, out: &mut Vec<u8>) {
    if number < 0 {
        out.push(b'-');
    }
    unsigned(number.unsigned_abs(), out);
}

fn unsigned(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10).to_le_bytes()[0];
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends the shortest text that reads back as the number: always with a point or an exponent, as in Mesos. What is
/// no number is a string, as it is taken.
pub(crate) fn double(number: f64, out: &mut Vec<u8>) {
    use std::io::Write as _;
    let size = number.abs();
    let written = if number.is_nan() {
        write!(out, "\"NaN\"")
    } else if number.is_infinite() {
        write!(out, "\"{}Infinity\"", if number < 0.0 { "-" } else { "" })
    } else if size != 0.0 && !(1e-6..1e21).contains(&size) {
        write!(out, "{number:e}")
    } else if number.trunc() == number {
        write!(out, "{number}.0")
    } else {
        write!(out, "{number}")
    };
    written.expect("a Vec takes what is written");
}
