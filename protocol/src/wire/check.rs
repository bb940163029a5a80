//! What the bytes of a message must satisfy beyond what prost looks at: required fields are there, enums have numbers
//! that the schema knows, fields are laid out as their kind is.
//!
//! A value of an enum that nobody knows, and a field that is laid out otherwise, count as fields that nobody knows,
//! as in all implementations of proto2: they are left out before prost reads the rest.

use std::collections::BTreeMap;

use super::bytes::{Cursor, Garbled, Layout, Raw, begin, end, layout, put_tag, put_varint};
use super::tables::{Field, Kind, Label, Message};
use crate::limits::{MAX_DECODED_BYTES, MAX_JOINED_TIMES, MAX_MESSAGE_DEPTH, MAX_REFUSAL_BYTES};

/// Whether the bytes may be read as they are. If not, [`settle`] them first.
///
/// # Errors
/// They are not protobuf, or nested too deep.
pub(crate) fn is_plain(table: &Message, bytes: &[u8]) -> Result<bool, Garbled> {
    Inspector { room: MAX_DECODED_BYTES }.inspect(table, bytes, 0)
}

struct Inspector {
    /// What the message may still take in memory, in bytes.
    room: usize,
}

impl Inspector {
    fn inspect(&mut self, table: &Message, bytes: &[u8], depth: usize) -> Result<bool, Garbled> {
        if depth >= MAX_MESSAGE_DEPTH {
            return Err(Garbled);
        }
        let mut plain = true;
        let mut seen = 0u128;
        let mut cursor = Cursor::new(bytes);
        while !cursor.is_at_end() {
            let raw = cursor.field()?;
            let Some((index, field)) = table.by_number(raw.number) else {
                plain &= raw.layout != Layout::GroupStart;
                continue;
            };
            let fate = fate(field, &raw);
            plain &= fate == Fate::Kept;
            seen |= u128::from(fate != Fate::Dropped) << index;
            self.room = self.room.checked_sub(weight(field, &raw)).ok_or(Garbled)?;
            if let (Kind::Message(inner), Layout::Delimited) = (field.kind, raw.layout) {
                plain &= self.inspect(inner, raw.content, depth + 1)?;
            }
        }
        Ok(plain && table.required & !seen == 0)
    }
}

/// What the field takes in memory, in bytes: a field of packed numbers as many times as it has bytes.
fn weight(field: &Field, raw: &Raw<'_>) -> usize {
    let packed = raw.layout == Layout::Delimited && layout(field.kind) != Layout::Delimited;
    field.weight().saturating_mul(if packed { raw.content.len() } else { 1 })
}

/// What becomes of a field that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Kept,
    /// Several values in one field, some of which nobody knows.
    Picked,
    Dropped,
}

fn fate(field: &Field, raw: &Raw<'_>) -> Fate {
    let packed = raw.layout == Layout::Delimited && field.label == Label::Repeated;
    match field.kind {
        Kind::Enum(names) if raw.layout == Layout::Varint => {
            if names.by_number(number(raw.value)).is_some() {
                Fate::Kept
            } else {
                Fate::Dropped
            }
        }
        Kind::Enum(names) if packed => {
            let mut values = Cursor::new(raw.content);
            while !values.is_at_end() {
                match values.varint() {
                    Ok(value) if names.by_number(number(value)).is_some() => {}
                    _ => return Fate::Picked,
                }
            }
            Fate::Kept
        }
        kind if raw.layout == layout(kind) || packed => Fate::Kept,
        _ => Fate::Dropped,
    }
}

#[allow(clippy::cast_possible_truncation)]
fn number(value: u64) -> i32 {
    value as i32
}

/// The same message without what counts as unknown, with the occurrences of a message joined.
///
/// # Errors
/// They are not protobuf, or nested too deep, or more is to be joined than any program splits.
pub(crate) fn settle(table: &Message, bytes: &[u8]) -> Result<Vec<u8>, Garbled> {
    let room = bytes.len().saturating_mul(MAX_JOINED_TIMES);
    let mut settler = Settler { out: Vec::with_capacity(bytes.len()), room };
    settler.settle(table, bytes, 0)?;
    Ok(settler.out)
}

struct Settler {
    out: Vec<u8>,
    /// Bytes that may still be joined.
    room: usize,
}

impl Settler {
    fn settle(&mut self, table: &Message, bytes: &[u8], depth: usize) -> Result<(), Garbled> {
        if depth >= MAX_MESSAGE_DEPTH {
            return Err(Garbled);
        }
        // Of each message that is not repeated: how often it is still to come, and its bytes so far.
        let mut pieces: BTreeMap<u32, (usize, Vec<u8>)> = BTreeMap::new();
        walk(table, bytes, |field, raw, _| {
            let is_single = matches!(field.label, Label::Optional | Label::Required);
            if is_single && matches!(field.kind, Kind::Message(_)) {
                pieces.entry(raw.number).or_default().0 += 1;
            }
            Ok(())
        })?;
        pieces.retain(|_, (count, _)| *count > 1);
        walk(table, bytes, |field, raw, whole| {
            let Kind::Message(inner) = field.kind else {
                match fate(field, raw) {
                    Fate::Picked => pick(field, raw.content, &mut self.out),
                    Fate::Kept | Fate::Dropped => self.out.extend_from_slice(whole),
                }
                return Ok(());
            };
            let Some((count, joined)) = pieces.get_mut(&raw.number) else {
                return self.message(inner, raw.number, raw.content, depth);
            };
            self.room = self.room.checked_sub(raw.content.len()).ok_or(Garbled)?;
            joined.extend_from_slice(raw.content);
            *count -= 1;
            if *count > 0 { Ok(()) } else { self.message(inner, raw.number, joined, depth) }
        })
    }

    fn message(&mut self, table: &Message, number: u32, content: &[u8], depth: usize) -> Result<(), Garbled> {
        let start = begin(&mut self.out, number);
        self.settle(table, content, depth + 1)?;
        end(&mut self.out, start)
    }
}

/// The values of a packed field that the schema knows.
fn pick(field: &Field, content: &[u8], out: &mut Vec<u8>) {
    let Kind::Enum(names) = field.kind else { return };
    let mut values = Cursor::new(content);
    while let Ok(value) = values.varint() {
        if names.by_number(number(value)).is_some() {
            put_tag(out, field.number, Layout::Varint);
            put_varint(out, value);
        }
    }
}

/// Calls `visit` with each field that the schema knows: what it is, what came, and all its bytes.
fn walk(
    table: &Message,
    bytes: &[u8],
    mut visit: impl FnMut(&'static Field, &Raw<'_>, &[u8]) -> Result<(), Garbled>,
) -> Result<(), Garbled> {
    let mut cursor = Cursor::new(bytes);
    while !cursor.is_at_end() {
        let start = cursor.at;
        let raw = cursor.field()?;
        if let Some((_, field)) = table.by_number(raw.number)
            && fate(field, &raw) != Fate::Dropped
        {
            visit(field, &raw, &bytes[start..cursor.at])?;
        }
    }
    Ok(())
}

/// The paths of the required fields that are missing (`subscribe.framework_info.user`), in the order in which protobuf
/// lists them: of each message its own first, then those within its fields in the order of their numbers. The bytes
/// are settled. Not all, if there are very many.
///
/// # Errors
/// The bytes are not protobuf, or nested too deep.
pub(crate) fn missing(table: &Message, bytes: &[u8]) -> Result<Vec<String>, Garbled> {
    let mut missing = Missing { paths: Vec::new(), left: MAX_REFUSAL_BYTES };
    missing.find(table, bytes, "", 0)?;
    Ok(missing.paths)
}

struct Missing {
    paths: Vec<String>,
    /// Bytes that paths may still have.
    left: usize,
}

impl Missing {
    fn find(&mut self, table: &Message, bytes: &[u8], prefix: &str, depth: usize) -> Result<(), Garbled> {
        if depth >= MAX_MESSAGE_DEPTH {
            return Err(Garbled);
        }
        let mut seen = 0u128;
        let mut cursor = Cursor::new(bytes);
        while !cursor.is_at_end() {
            if let Some((index, _)) = table.by_number(cursor.field()?.number) {
                seen |= 1 << index;
            }
        }
        for (index, field) in table.fields.iter().enumerate() {
            if table.required & !seen & 1 << index != 0 {
                let path = format!("{prefix}{}", field.name);
                self.left = self.left.saturating_sub(path.len());
                self.paths.push(path);
            }
        }
        for index in table.by_number {
            let index = usize::from(*index);
            if let Some(field) = table.fields.get(index)
                && let Kind::Message(inner) = field.kind
                && seen & 1 << index != 0
            {
                self.find_within(field, inner, bytes, prefix, depth)?;
            }
        }
        Ok(())
    }

    /// Looks into the messages that are this field of the message.
    fn find_within(
        &mut self,
        field: &Field,
        inner: &Message,
        bytes: &[u8],
        prefix: &str,
        depth: usize,
    ) -> Result<(), Garbled> {
        let mut cursor = Cursor::new(bytes);
        let mut count = 0;
        while !cursor.is_at_end() && self.left > 0 {
            let raw = cursor.field()?;
            if raw.number == field.number {
                self.find(inner, raw.content, &segment(prefix, field, count), depth + 1)?;
                count += 1;
            }
        }
        Ok(())
    }
}

fn segment(prefix: &str, field: &Field, index: usize) -> String {
    match field.label {
        Label::Optional | Label::Required => format!("{prefix}{}.", field.name),
        Label::Repeated | Label::Map => format!("{prefix}{}[{index}].", field.name),
    }
}
