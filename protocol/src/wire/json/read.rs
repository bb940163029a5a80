//! From JSON to the bytes of a message, in one pass over the text.
//!
//! The text must be JSON to its end before anything else about it is judged, and of several things that are wrong
//! with it the first is told, where members count in the order of their names: so it is in Mesos, which makes a
//! sorted tree of the text first. Therefore a value that does not fit is noted, and reading goes on.

use super::base64;
use super::reader::{Broken, Number, Reader, Text};
use crate::limits::{MAX_DECODED_BYTES, MAX_MESSAGE_DEPTH};
use crate::wire::bytes::{Garbled, Layout, begin, end, put_delimited, put_tag, put_varint};
use crate::wire::tables::{Field, Kind, Label, Message};

/// Why a text is no message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// It is not JSON, and how not.
    Syntax(String),
    /// It is JSON, and what does not fit.
    Unfit(String),
}

/// The bytes of a message.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) bytes: Vec<u8>,
    /// A required field may be missing somewhere.
    pub(crate) suspect: bool,
}

/// Reads one object as a message of this table. `other` is what is said of a text that is no object.
pub(crate) fn object(table: &'static Message, text: &[u8], other: &str) -> Result<Read, Mistake> {
    let mut writer = Writer::new(text);
    let read = if writer.reader.peek() == Some(b'{') {
        writer.object(table, 0)
    } else {
        writer.note(|| other.to_owned());
        writer.reader.skip()
    };
    writer.done(read)
}

/// Reads an array of objects as messages of this table: the fields with number 1 of what comes back.
pub(crate) fn list(table: &'static Message, text: &[u8], other: &str) -> Result<Read, Mistake> {
    let mut writer = Writer::new(text);
    let read = if writer.reader.peek() == Some(b'[') {
        writer.list(table)
    } else {
        writer.note(|| other.to_owned());
        writer.reader.skip()
    };
    writer.done(read)
}

struct Writer<'a> {
    reader: Reader<'a>,
    out: Vec<u8>,
    /// Which bytes of `out` the fields of the open objects have, innermost object last.
    spans: Vec<Span>,
    /// The first thing that does not fit in what was read last.
    problem: Option<String>,
    suspect: bool,
    /// What the message may still take in memory, in bytes.
    room: usize,
}

struct Span {
    field: usize,
    start: usize,
    end: usize,
}

impl<'a> Writer<'a> {
    fn new(text: &'a [u8]) -> Writer<'a> {
        Writer {
            reader: Reader::new(text),
            out: Vec::with_capacity(text.len()),
            spans: Vec::new(),
            problem: None,
            suspect: false,
            room: MAX_DECODED_BYTES,
        }
    }

    fn done(mut self, read: Result<(), Broken>) -> Result<Read, Mistake> {
        if read.is_err() {
            return Err(Mistake::Syntax(self.reader.complaint()));
        }
        if let Some(trailing) = self.reader.trailing() {
            return Err(Mistake::Syntax(trailing));
        }
        match self.problem {
            Some(problem) => Err(Mistake::Unfit(problem)),
            None => Ok(Read { bytes: self.out, suspect: self.suspect }),
        }
    }

    fn note(&mut self, problem: impl FnOnce() -> String) {
        if self.problem.is_none() {
            self.problem = Some(problem());
        }
    }

    fn list(&mut self, table: &'static Message) -> Result<(), Broken> {
        self.reader.enter()?;
        if !self.reader.takes(b']') {
            loop {
                if self.reader.peek() == Some(b'{') && self.has_room(table.size) {
                    self.message(table, 1, 0)?;
                } else {
                    self.note(|| "Expecting a JSON object".into());
                    self.reader.skip()?;
                }
                if !self.reader.takes(b',') {
                    break;
                }
            }
            self.reader.expect(b']')?;
        }
        self.reader.leave();
        Ok(())
    }

    /// A message within another, with its tag and length.
    fn message(&mut self, table: &'static Message, number: u32, depth: usize) -> Result<(), Broken> {
        let start = begin(&mut self.out, number);
        self.object(table, depth)?;
        self.close(start);
        Ok(())
    }

    fn close(&mut self, start: usize) {
        if end(&mut self.out, start) == Err(Garbled) {
            self.note(|| "The message is too long".into());
        }
    }

    /// The members of an object as the fields of a message.
    fn object(&mut self, table: &'static Message, depth: usize) -> Result<(), Broken> {
        if depth >= MAX_MESSAGE_DEPTH {
            self.note(|| format!("Messages are nested deeper than {MAX_MESSAGE_DEPTH}"));
            return self.reader.skip();
        }
        // A problem from before counts before all of this object's.
        let before = self.problem.take();
        // Of each field that does not fit, why.
        let mut problems: Vec<(&'static str, String)> = Vec::new();
        let base = self.spans.len();
        let (mut named, mut seen, mut hint) = (0u128, 0u128, 0);
        self.reader.enter()?;
        if !self.reader.takes(b'}') {
            loop {
                let key = self.reader.key()?;
                match table.by_name(self.reader.text(&key), hint) {
                    None => self.reader.skip()?,
                    Some((index, field)) => {
                        hint = index + 1;
                        if named & 1 << index != 0 {
                            self.forget(base, index);
                            problems.retain(|(name, _)| *name != field.name);
                        }
                        named |= 1 << index;
                        let start = self.out.len();
                        self.value(field, depth)?;
                        let end = self.out.len();
                        seen = seen & !(1 << index) | u128::from(start != end) << index;
                        self.spans.push(Span { field: index, start, end });
                        problems.extend(self.problem.take().map(|problem| (field.name, problem)));
                    }
                }
                if !self.reader.takes(b',') {
                    break;
                }
            }
            self.reader.expect(b'}')?;
        }
        self.reader.leave();
        self.spans.truncate(base);
        self.suspect |= table.required & !seen != 0;
        self.problem = before.or(problems.into_iter().min().map(|(_, problem)| problem));
        Ok(())
    }

    /// Takes back what an earlier member of the same name wrote: the last one counts.
    fn forget(&mut self, base: usize, field: usize) {
        let Some(found) = self.spans[base..].iter().position(|span| span.field == field) else { return };
        let gone = self.spans.remove(base + found);
        self.out.drain(gone.start..gone.end);
        for span in &mut self.spans[base..] {
            if span.start >= gone.end {
                span.start -= gone.end - gone.start;
                span.end -= gone.end - gone.start;
            }
        }
    }

    /// Whether there is room for one more element of the list or map.
    fn has_room(&mut self, weight: usize) -> bool {
        self.room = self.room.saturating_sub(weight);
        if self.room == 0 {
            self.note(|| format!("The message would take more than {MAX_DECODED_BYTES} bytes"));
        }
        self.room > 0
    }

    /// One value of a field, or all of a repeated one.
    fn value(&mut self, field: &'static Field, depth: usize) -> Result<(), Broken> {
        if matches!(field.label, Label::Repeated) && !self.has_room(field.weight()) {
            return self.reader.skip();
        }
        match self.reader.peek() {
            Some(b'"') => {
                let text = self.reader.string()?;
                self.string(field, &text);
                Ok(())
            }
            Some(b'{') => match field.kind {
                Kind::Message(entry) if field.label == Label::Map => self.map(field, entry, depth),
                Kind::Message(table) => self.message(table, field.number, depth + 1),
                _ => self.unexpected("object", field),
            },
            Some(b'[') if matches!(field.label, Label::Repeated | Label::Map) => {
                self.reader.enter()?;
                if !self.reader.takes(b']') {
                    loop {
                        self.value(field, depth)?;
                        if !self.reader.takes(b',') {
                            break;
                        }
                    }
                    self.reader.expect(b']')?;
                }
                self.reader.leave();
                Ok(())
            }
            Some(b'[') => self.unexpected("array", field),
            Some(b'-' | b'0'..=b'9') => {
                let number = self.reader.number()?;
                self.number(field, number);
                Ok(())
            }
            Some(first @ (b't' | b'f')) => {
                self.reader.word(if first == b't' { "true" } else { "false" })?;
                self.boolean(field, first == b't');
                Ok(())
            }
            Some(b'n') => self.reader.word("null"),
            _ => Err(Broken),
        }
    }

    fn unexpected(&mut self, what: &str, field: &Field) -> Result<(), Broken> {
        self.note(|| not_expecting(what, field));
        self.reader.skip()
    }

    /// The members of an object as the entries of a map.
    fn map(&mut self, field: &'static Field, entry: &'static Message, depth: usize) -> Result<(), Broken> {
        let [key, value] = entry.fields else { return self.reader.skip() };
        let before = self.problem.take();
        let mut first: Option<(Vec<u8>, String)> = None;
        self.reader.enter()?;
        if !self.reader.takes(b'}') {
            loop {
                let name = self.reader.key()?;
                let unescaped = self.reader.text(&name).to_vec();
                if self.has_room(field.weight()) {
                    let start = begin(&mut self.out, field.number);
                    self.string(key, &name);
                    let begun = self.out.len();
                    self.value(value, depth + 1)?;
                    self.suspect |= value.label == Label::Required && begun == self.out.len();
                    self.close(start);
                } else {
                    self.reader.skip()?;
                }
                if let Some(problem) = self.problem.take()
                    && first.as_ref().is_none_or(|(known, _)| unescaped < *known)
                {
                    first = Some((unescaped, problem));
                }
                if !self.reader.takes(b',') {
                    break;
                }
            }
            self.reader.expect(b'}')?;
        }
        self.reader.leave();
        self.problem = before.or(first.map(|(_, problem)| problem));
        Ok(())
    }

    fn string(&mut self, field: &Field, text: &Text<'_>) {
        let text = self.reader.text(text);
        let out = &mut self.out;
        let problem = match field.kind {
            Kind::String => {
                put_delimited(out, field.number, text);
                return;
            }
            Kind::Bytes => {
                let start = begin(out, field.number);
                match base64::decode(text, out) {
                    Ok(()) => {
                        self.close(start);
                        return;
                    }
                    Err(letter) => format!(
                        "Failed to base64 decode bytes field '{}': Invalid character '{letter}'",
                        field.name
                    ),
                }
            }
            Kind::Enum(names) => match names.by_name(text) {
                Some(number) => {
                    put_tag(out, field.number, Layout::Varint);
                    put_varint(out, i64::from(number).cast_unsigned());
                    return;
                }
                None if field.label == Label::Required => {
                    format!("Failed to find enum for '{}'", shown(text))
                }
                None => return,
            },
            Kind::Message(_) => not_expecting("string", field),
            Kind::Bool => match text {
                b"true" | b"false" => {
                    let truth = text == b"true";
                    self.boolean(field, truth);
                    return;
                }
                _ => in_string(text, "boolean", field),
            },
            Kind::Double | Kind::Int64 | Kind::Uint64 | Kind::Int32 | Kind::Uint32 => match number_in(text) {
                Some(number) => {
                    self.number(field, number);
                    return;
                }
                None => in_string(text, "number", field),
            },
        };
        self.note(|| problem);
    }

    fn number(&mut self, field: &Field, number: Number) {
        let varint = match field.kind {
            Kind::Double => {
                put_tag(&mut self.out, field.number, Layout::Fixed64);
                self.out.extend_from_slice(&double(number).to_le_bytes());
                return;
            }
            Kind::Int64 | Kind::Uint64 => whole(number, i128::from(i64::MIN), i128::from(u64::MAX)),
            Kind::Int32 | Kind::Uint32 => whole(number, i128::from(i32::MIN), i128::from(u32::MAX)),
            _ => return self.note(|| not_expecting("number", field)),
        };
        let Some(varint) = varint else {
            return self.note(|| format!("The JSON number for field '{}' is out of range", field.name));
        };
        put_tag(&mut self.out, field.number, Layout::Varint);
        // A number of the other sign stands for the one with the same bits, as in Mesos.
        let bits = varint.to_le_bytes();
        let low = |bytes: &[u8]| i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        put_varint(
            &mut self.out,
            match field.kind {
                Kind::Int32 => i64::from(low(&bits)).cast_unsigned(),
                Kind::Uint32 => u64::from(low(&bits).cast_unsigned()),
                _ => u64::from_le_bytes([
                    bits[0], bits[1], bits[2], bits[3], bits[4], bits[5], bits[6], bits[7],
                ]),
            },
        );
    }

    fn boolean(&mut self, field: &Field, truth: bool) {
        if matches!(field.kind, Kind::Bool) {
            put_tag(&mut self.out, field.number, Layout::Varint);
            self.out.push(u8::from(truth));
        } else {
            self.note(|| not_expecting("boolean", field));
        }
    }
}

fn not_expecting(what: &str, field: &Field) -> String {
    format!("Not expecting a JSON {what} for field '{}'", field.name)
}

fn shown(text: &[u8]) -> String {
    let text = &text[..text.len().min(crate::limits::MAX_REFUSAL_BYTES)];
    String::from_utf8_lossy(text).into_owned()
}

/// What is said of a string that does not hold what the field is made of.
fn in_string(text: &[u8], what: &str, field: &Field) -> String {
    let mut reader = Reader::new(text);
    let why = match reader.skip() {
        Err(Broken) => reader.complaint(),
        Ok(()) => reader.trailing().unwrap_or_else(|| "Unexpected JSON type parsed".into()),
    };
    format!("Failed to parse '{}' as a JSON {what} for field '{}': {why}", shown(text), field.name)
}

/// The number that a string holds.
fn number_in(text: &[u8]) -> Option<Number> {
    match text {
        b"Infinity" => return Some(Number::Double(f64::INFINITY)),
        b"-Infinity" => return Some(Number::Double(f64::NEG_INFINITY)),
        b"NaN" => return Some(Number::Double(f64::NAN)),
        _ => {}
    }
    let mut reader = Reader::new(text);
    match reader.peek() {
        Some(b'-' | b'0'..=b'9') => reader.number().ok().filter(|_| reader.trailing().is_none()),
        _ => None,
    }
}

#[allow(clippy::cast_precision_loss)]
fn double(number: Number) -> f64 {
    match number {
        Number::Signed(number) => number as f64,
        Number::Unsigned(number) => number as f64,
        Number::Double(number) => number,
    }
}

/// The number without what is behind the point, if it is within the bounds.
#[allow(clippy::cast_possible_truncation)]
fn whole(number: Number, least: i128, most: i128) -> Option<i128> {
    let whole = match number {
        Number::Signed(number) => i128::from(number),
        Number::Unsigned(number) => i128::from(number),
        Number::Double(number) if number.is_nan() => return None,
        // Saturates, beyond all bounds.
        Number::Double(number) => number as i128,
    };
    (least..=most).contains(&whole).then_some(whole)
}
