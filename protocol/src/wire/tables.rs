//! What a message is made of, one static table for each: `build.rs` writes them from the schemas.
//!
//! The mapping to JSON and the checks of what came walk these tables, beside the bytes of the message. So they are
//! written once, and not generated for each of some three hundred types.

use super::WireMessage;

/// A message of the schemas, or an entry of a map (key = 1, value = 2).
#[derive(Debug)]
pub struct Message {
    /// Its name without what it is nested in: `Call`.
    pub(crate) name: &'static str,
    /// What a value of prost's type takes, in bytes, without what it points to; 0 of map entries.
    pub(crate) size: usize,
    /// There are maps in it, or within what it is made of, whose values require fields.
    pub(crate) has_maps: bool,
    /// In the order of the schema, in which they are printed.
    pub(crate) fields: &'static [Field],
    /// The index of a field by its number; 255 where there is none.
    pub(crate) by_number: &'static [u8],
    /// The bits of the fields that must be there.
    pub(crate) required: u128,
}

#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    /// The name as it begins a member: `"name":`.
    pub(crate) key: &'static str,
    pub(crate) number: u32,
    pub(crate) label: Label,
    pub(crate) kind: Kind,
    /// What is printed where the field is not set.
    pub(crate) default: Option<&'static str>,
    /// This list is printed when it is empty, too.
    pub(crate) always: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Label {
    Optional,
    Required,
    Repeated,
    /// Repeated entries, each a message of its own; an object in JSON.
    Map,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Double,
    Int64,
    Uint64,
    Int32,
    Uint32,
    Bool,
    String,
    Bytes,
    Enum(&'static Enum),
    Message(&'static Message),
}

#[derive(Debug)]
pub(crate) struct Enum {
    /// Names and numbers in the order of the schema.
    pub(crate) values: &'static [(&'static str, i32)],
}

impl Message {
    /// The field with this number, and its index.
    pub(crate) fn by_number(&self, number: u32) -> Option<(usize, &'static Field)> {
        let index = usize::from(*self.by_number.get(usize::try_from(number).ok()?)?);
        Some((index, self.fields.get(index)?))
    }

    /// The field with this name, and its index. `hint` is where it is looked for first: messages often come in the
    /// order of the schema.
    pub(crate) fn by_name(&self, name: &[u8], hint: usize) -> Option<(usize, &'static Field)> {
        let is = |field: &Field| field.name.as_bytes() == name;
        if let Some(field) = self.fields.get(hint).filter(|field| is(field)) {
            return Some((hint, field));
        }
        self.fields.iter().enumerate().find(|(_, field)| is(field))
    }
}

impl Field {
    /// What one more element of the list or map takes in memory, about, besides the bytes that came.
    pub(crate) fn weight(&self) -> usize {
        match (self.label, self.kind) {
            (Label::Optional | Label::Required, _) => 0,
            (Label::Map, Kind::Message(entry)) => {
                let value = entry.fields.last().map(|value| value.kind);
                WORDS + if let Some(Kind::Message(value)) = value { value.size } else { WORDS }
            }
            (_, Kind::Message(table)) => table.size,
            _ => WORDS,
        }
    }
}

/// What a string takes without its text, in bytes; no number takes more.
const WORDS: usize = size_of::<String>();

impl Enum {
    pub(crate) fn by_name(&self, name: &[u8]) -> Option<i32> {
        self.values.iter().find(|(known, _)| known.as_bytes() == name).map(|(_, number)| *number)
    }

    pub(crate) fn by_number(&self, number: i32) -> Option<&'static str> {
        let position = usize::try_from(number).ok();
        // Most enums are numbered from zero in order.
        if let Some((name, known)) = position.and_then(|position| self.values.get(position))
            && *known == number
        {
            return Some(name);
        }
        self.values.iter().find(|(_, known)| *known == number).map(|(name, _)| *name)
    }
}

include!(concat!(env!("OUT_DIR"), "/tables.rs"));
