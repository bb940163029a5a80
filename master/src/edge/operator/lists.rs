//! Messages that are lists of many others, written one element at a time: a message of a large cluster is never held
//! whole.

use std::io::{self, Write};

use protocol::wire::{self, Format, WireMessage};

/// Takes down the fields of one message that are lists or messages of lists.
pub(super) trait Fields {
    /// A repeated field: its name in JSON, its number in protobuf, its elements.
    fn list<M: WireMessage>(
        &mut self,
        name: &str,
        number: u32,
        elements: impl Iterator<Item = M>,
    ) -> io::Result<()>;

    /// A field that is a message of such fields.
    fn message(
        &mut self,
        name: &str,
        number: u32,
        fields: impl FnOnce(&mut Self) -> io::Result<()>,
    ) -> io::Result<()>;

    /// A field that is written as it stands in a message of that field alone.
    fn fixed<M: WireMessage>(&mut self, message: &M) -> io::Result<()>;
}

/// JSON, written as it goes.
pub(super) struct Json<'a, W> {
    out: &'a mut W,
    /// Whether a comma comes before the next field.
    begun: bool,
    scratch: Vec<u8>,
}

impl<'a, W: Write> Json<'a, W> {
    /// Begins a message.
    pub(super) fn begin(out: &'a mut W) -> io::Result<Self> {
        out.write_all(b"{")?;
        Ok(Self { out, begun: false, scratch: Vec::new() })
    }

    /// Ends it.
    pub(super) fn end(self) -> io::Result<()> {
        self.out.write_all(b"}")
    }

    fn name(&mut self, name: &str) -> io::Result<()> {
        let comma = if self.begun { "," } else { "" };
        self.begun = true;
        write!(self.out, "{comma}\"{name}\":")
    }
}

impl<W: Write> Fields for Json<'_, W> {
    fn list<M: WireMessage>(
        &mut self,
        name: &str,
        _: u32,
        elements: impl Iterator<Item = M>,
    ) -> io::Result<()> {
        self.name(name)?;
        self.out.write_all(b"[")?;
        for (index, element) in elements.enumerate() {
            self.scratch.clear();
            if index > 0 {
                self.scratch.push(b',');
            }
            wire::to_json(&element, &mut self.scratch);
            self.out.write_all(&self.scratch)?;
        }
        self.out.write_all(b"]")
    }

    fn message(
        &mut self,
        name: &str,
        _: u32,
        fields: impl FnOnce(&mut Self) -> io::Result<()>,
    ) -> io::Result<()> {
        self.name(name)?;
        self.out.write_all(b"{")?;
        self.begun = false;
        fields(self)?;
        self.begun = true;
        self.out.write_all(b"}")
    }

    fn fixed<M: WireMessage>(&mut self, message: &M) -> io::Result<()> {
        self.scratch.clear();
        wire::to_json(message, &mut self.scratch);
        // The fields without the braces around them.
        let fields = self.scratch.get(1..self.scratch.len().saturating_sub(1)).unwrap_or_default();
        if !fields.is_empty() {
            if self.begun {
                self.out.write_all(b",")?;
            }
            self.begun = true;
            self.out.write_all(fields)?;
        }
        Ok(())
    }
}

/// Protobuf, collected in pieces: the length of a message comes before it.
#[derive(Default)]
pub(super) struct Protobuf {
    pieces: Vec<Vec<u8>>,
}

/// Bytes of a piece. Ours.
const PIECE: usize = 1 << 20;

impl Protobuf {
    /// Writes the message.
    pub(super) fn end(self, out: &mut impl Write) -> io::Result<()> {
        self.pieces.iter().try_for_each(|piece| out.write_all(piece))
    }

    /// A piece with room for more.
    fn piece(&mut self) -> &mut Vec<u8> {
        if self.pieces.last().is_none_or(|piece| piece.len() >= PIECE) {
            self.pieces.push(Vec::new());
        }
        self.pieces.last_mut().expect("one was just put there if there was none")
    }

    fn length(&self) -> usize {
        self.pieces.iter().map(Vec::len).sum()
    }
}

impl Fields for Protobuf {
    fn list<M: WireMessage>(
        &mut self,
        _: &str,
        number: u32,
        elements: impl Iterator<Item = M>,
    ) -> io::Result<()> {
        for element in elements {
            let element = wire::encode(Format::Protobuf, &element);
            let piece = self.piece();
            header(piece, number, element.len());
            piece.extend_from_slice(&element);
        }
        Ok(())
    }

    fn message(
        &mut self,
        _: &str,
        number: u32,
        fields: impl FnOnce(&mut Self) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut inner = Self::default();
        fields(&mut inner)?;
        let length = inner.length();
        header(self.piece(), number, length);
        self.pieces.append(&mut inner.pieces);
        Ok(())
    }

    fn fixed<M: WireMessage>(&mut self, message: &M) -> io::Result<()> {
        self.piece().append(&mut wire::encode(Format::Protobuf, message));
        Ok(())
    }
}

/// The key and the length of a field that is a message.
fn header(out: &mut Vec<u8>, number: u32, length: usize) {
    /// The wire type of what has a length before it.
    const DELIMITED: u64 = 2;
    varint(out, (u64::from(number) << 3) | DELIMITED);
    varint(out, length as u64);
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[cfg(test)]
mod tests {
    use protocol::wire::v1::TaskId;
    use protocol::wire::v1::master::response::{GetExecutors, GetHealth};
    use protocol::wire::v1::master::{Response, response};

    use super::*;

    fn fields(fields: &mut impl Fields) -> io::Result<()> {
        fields.fixed(&Response { r#type: Some(response::Type::GetHealth.into()), ..Response::default() })?;
        fields.message("get_health", 2, |fields| fields.fixed(&GetHealth { healthy: true }))?;
        fields
            .message("get_executors", 12, |fields| fields.list("executors", 1, std::iter::empty::<TaskId>()))
    }

    #[test]
    fn both_formats_say_the_same() {
        let (mut json, mut protobuf) = (Vec::new(), Vec::new());
        let mut writer = Json::begin(&mut json).unwrap();
        fields(&mut writer).unwrap();
        writer.end().unwrap();
        let expected =
            r#"{"type":"GET_HEALTH","get_health":{"healthy":true},"get_executors":{"executors":[]}}"#;
        assert_eq!(String::from_utf8(json).unwrap(), expected);
        let mut writer = Protobuf::default();
        fields(&mut writer).unwrap();
        writer.end(&mut protobuf).unwrap();
        let whole = Response {
            r#type: Some(response::Type::GetHealth.into()),
            get_health: Some(GetHealth { healthy: true }),
            get_executors: Some(GetExecutors::default()),
            ..Response::default()
        };
        assert_eq!(wire::decode::<Response>(Format::Protobuf, &protobuf).unwrap(), whole);
    }

    #[test]
    fn lengths_are_varints() {
        for (number, bytes) in [(0, &[0][..]), (127, &[127]), (128, &[128, 1]), (300, &[172, 2])] {
            let mut out = Vec::new();
            varint(&mut out, number);
            assert_eq!(out, bytes);
        }
    }
}
