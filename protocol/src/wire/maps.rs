//! What prost leaves out of maps: a value that equals the default of its type (`limits: {"gpus": {"value": 0}}`). To
//! other implementations of proto2 such an entry lacks the fields that its value requires, so they refuse it. Here
//! they are put in: in what is written, and in what other programs have written by prost.

use super::bytes::Layout;
use super::bytes::{Cursor, Garbled, layout, put_delimited, put_tag, put_varint};
use super::tables::{Kind, Label, Message};
use crate::limits::MAX_MESSAGE_DEPTH;

/// The message with all values of its maps.
pub(crate) fn filled(table: &Message, bytes: Vec<u8>) -> Vec<u8> {
    if !lacks(table, &bytes, 0).unwrap_or(false) {
        return bytes;
    }
    let mut out = Vec::with_capacity(bytes.len() + 64);
    match fill(table, &bytes, 0, &mut out) {
        Ok(()) => out,
        Err(Garbled) => bytes,
    }
}

/// Whether an entry of the table lacks a value that it must have.
fn is_lacking(entry: &Message, bytes: &[u8]) -> Result<bool, Garbled> {
    let Some(value) = entry.fields.iter().find(|field| field.label == Label::Required) else {
        return Ok(false);
    };
    let mut cursor = Cursor::new(bytes);
    while !cursor.is_at_end() {
        if cursor.field()?.number == value.number {
            return Ok(false);
        }
    }
    Ok(true)
}

fn lacks(table: &Message, bytes: &[u8], depth: usize) -> Result<bool, Garbled> {
    if !table.has_maps || depth >= MAX_MESSAGE_DEPTH {
        return Ok(false);
    }
    let mut cursor = Cursor::new(bytes);
    while !cursor.is_at_end() {
        let raw = cursor.field()?;
        if let Some((_, field)) = table.by_number(raw.number)
            && let Kind::Message(inner) = field.kind
            && (lacks(inner, raw.content, depth + 1)?
                || field.label == Label::Map && is_lacking(inner, raw.content)?)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn fill(table: &Message, bytes: &[u8], depth: usize, out: &mut Vec<u8>) -> Result<(), Garbled> {
    if !table.has_maps || depth >= MAX_MESSAGE_DEPTH {
        out.extend_from_slice(bytes);
        return Ok(());
    }
    let mut cursor = Cursor::new(bytes);
    while !cursor.is_at_end() {
        let start = cursor.at;
        let raw = cursor.field()?;
        match table.by_number(raw.number).map(|(_, field)| (field.label, field.kind)) {
            Some((label, Kind::Message(inner))) if raw.layout == Layout::Delimited => {
                let mut content = Vec::with_capacity(raw.content.len());
                fill(inner, raw.content, depth + 1, &mut content)?;
                if label == Label::Map && is_lacking(inner, raw.content)? {
                    required(inner, 0, &mut content)?;
                }
                put_delimited(out, raw.number, &content);
            }
            _ => out.extend_from_slice(&bytes[start..cursor.at]),
        }
    }
    Ok(())
}

/// The required fields of a message, as they are by default.
fn required(table: &Message, depth: usize, out: &mut Vec<u8>) -> Result<(), Garbled> {
    if depth >= MAX_MESSAGE_DEPTH {
        return Err(Garbled);
    }
    for field in table.fields.iter().filter(|field| field.label == Label::Required) {
        match field.kind {
            Kind::Message(inner) => {
                let mut content = Vec::new();
                required(inner, depth + 1, &mut content)?;
                put_delimited(out, field.number, &content);
            }
            Kind::String | Kind::Bytes => put_delimited(out, field.number, b""),
            Kind::Double => {
                put_tag(out, field.number, layout(field.kind));
                out.extend_from_slice(&0f64.to_le_bytes());
            }
            Kind::Enum(names) => {
                let number = names.values.first().map_or(0, |(_, number)| *number);
                put_tag(out, field.number, layout(field.kind));
                put_varint(out, i64::from(number).cast_unsigned());
            }
            Kind::Int64 | Kind::Uint64 | Kind::Int32 | Kind::Uint32 | Kind::Bool => {
                put_tag(out, field.number, layout(field.kind));
                put_varint(out, 0);
            }
        }
    }
    Ok(())
}
