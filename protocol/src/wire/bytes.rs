//! Protobuf's encoding: tags, varints, and fields that are skipped.

use super::tables::Kind;
use crate::limits::MAX_MESSAGE_DEPTH;

/// How the value of a field is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    Varint,
    Fixed64,
    Delimited,
    GroupStart,
    GroupEnd,
    Fixed32,
}

/// The bytes are not protobuf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Garbled;

/// Reads fields from the front of a slice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    pub(crate) at: usize,
}

/// A field as it came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Raw<'a> {
    pub(crate) number: u32,
    pub(crate) layout: Layout,
    /// The value of a varint or of a fixed field.
    pub(crate) value: u64,
    /// The content of a delimited field.
    pub(crate) content: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { bytes, at: 0 }
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, Garbled> {
        match self.bytes.get(self.at) {
            Some(byte) if *byte < 0x80 => {
                self.at += 1;
                Ok(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Garbled> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = *self.bytes.get(self.at).ok_or(Garbled)?;
            self.at += 1;
            if shift == 63 && byte > 1 {
                return Err(Garbled);
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Garbled)
    }

    #[inline]
    fn take(&mut self, length: usize) -> Result<&'a [u8], Garbled> {
        let end = self.at.checked_add(length).ok_or(Garbled)?;
        let taken = self.bytes.get(self.at..end).ok_or(Garbled)?;
        self.at = end;
        Ok(taken)
    }

    /// The next field. A group is passed over, with what is in it.
    #[inline]
    pub(crate) fn field(&mut self) -> Result<Raw<'a>, Garbled> {
        let raw = self.flat()?;
        match raw.layout {
            Layout::GroupEnd => Err(Garbled),
            Layout::GroupStart => self.rest_of_group(raw.number).map(|()| raw),
            _ => Ok(raw),
        }
    }

    fn rest_of_group(&mut self, number: u32) -> Result<(), Garbled> {
        let mut open = vec![number];
        while let Some(number) = open.last() {
            let inner = self.flat()?;
            match inner.layout {
                Layout::GroupEnd if inner.number != *number => return Err(Garbled),
                Layout::GroupEnd => drop(open.pop()),
                Layout::GroupStart if open.len() >= MAX_MESSAGE_DEPTH => return Err(Garbled),
                Layout::GroupStart => open.push(inner.number),
                _ => {}
            }
        }
        Ok(())
    }

    #[inline]
    fn flat(&mut self) -> Result<Raw<'a>, Garbled> {
        let tag = u32::try_from(self.varint()?).map_err(|_| Garbled)?;
        let (mut value, mut content) = (0, &[][..]);
        let layout = match tag & 7 {
            0 => {
                value = self.varint()?;
                Layout::Varint
            }
            1 => {
                value = u64::from_le_bytes(self.take(8)?.try_into().map_err(|_| Garbled)?);
                Layout::Fixed64
            }
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Garbled)?;
                content = self.take(length)?;
                Layout::Delimited
            }
            3 => Layout::GroupStart,
            4 => Layout::GroupEnd,
            5 => {
                value = u64::from(u32::from_le_bytes(self.take(4)?.try_into().map_err(|_| Garbled)?));
                Layout::Fixed32
            }
            _ => return Err(Garbled),
        };
        let number = tag >> 3;
        if number == 0 {
            return Err(Garbled);
        }
        Ok(Raw { number, layout, value, content })
    }
}

/// How fields of this kind are laid out.
pub(crate) fn layout(kind: Kind) -> Layout {
    match kind {
        Kind::Double => Layout::Fixed64,
        Kind::Int64 | Kind::Uint64 | Kind::Int32 | Kind::Uint32 | Kind::Bool | Kind::Enum(_) => {
            Layout::Varint
        }
        Kind::String | Kind::Bytes | Kind::Message(_) => Layout::Delimited,
    }
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

pub(crate) fn put_tag(out: &mut Vec<u8>, number: u32, layout: Layout) {
    let low = match layout {
        Layout::Varint => 0,
        Layout::Fixed64 => 1,
        Layout::Delimited => 2,
        Layout::GroupStart => 3,
        Layout::GroupEnd => 4,
        Layout::Fixed32 => 5,
    };
    put_varint(out, u64::from(number << 3 | low));
}

pub(crate) fn put_delimited(out: &mut Vec<u8>, number: u32, content: &[u8]) {
    put_tag(out, number, Layout::Delimited);
    put_varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

/// Bytes of a length that is filled in once it is known.
const HELD_BYTES: usize = 4;

/// Begins a field whose length is not known yet. Give what it returns to [`end`].
pub(crate) fn begin(out: &mut Vec<u8>, number: u32) -> usize {
    put_tag(out, number, Layout::Delimited);
    out.extend_from_slice(&[0x80, 0x80, 0x80, 0]);
    out.len()
}

/// Fills in the length of the field that began at `start`.
///
/// # Errors
/// The field is longer than 256 MiB.
pub(crate) fn end(out: &mut [u8], start: usize) -> Result<(), Garbled> {
    let length = out.len() - start;
    if length >> (7 * HELD_BYTES) != 0 {
        return Err(Garbled);
    }
    for (index, byte) in out[start - HELD_BYTES..start].iter_mut().enumerate() {
        *byte |= (length >> (7 * index)).to_le_bytes()[0] & 0x7f;
    }
    Ok(())
}
