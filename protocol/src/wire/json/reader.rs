//! Reads JSON from front to back, as Mesos's parser does: what it takes, where it stops, how it says so.
//!
//! Source of the texts: recordings of Mesos 1.12. It takes a little more than JSON: numbers such as `01` and `-.5`.

use super::plain_length;
use crate::limits::{MAX_JSON_DEPTH, MAX_REFUSAL_BYTES};

/// The text is not JSON. Where it breaks is the reader's position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Broken;

/// A number as it was written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    Signed(i64),
    /// Above `i64::MAX`.
    Unsigned(u64),
    Double(f64),
}

#[derive(Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Arrays and objects that are open.
    depth: usize,
    /// Holds the last string that had escapes.
    unescaped: Vec<u8>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, at: 0, depth: 0, unescaped: Vec::new() }
    }

    /// The next byte that is not white space; it stays.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    /// Takes the next byte if it is this one.
    pub(crate) fn takes(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    pub(crate) fn expect(&mut self, byte: u8) -> Result<(), Broken> {
        if self.takes(byte) { Ok(()) } else { Err(Broken) }
    }

    /// Goes on after the bracket of an object or array. Give [`Reader::leave`] when it is closed.
    pub(crate) fn enter(&mut self) -> Result<(), Broken> {
        self.at += 1;
        if self.depth >= MAX_JSON_DEPTH {
            return Err(Broken);
        }
        self.depth += 1;
        Ok(())
    }

    pub(crate) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Takes `null`, `true` or `false`.
    pub(crate) fn word(&mut self, word: &str) -> Result<(), Broken> {
        for expected in word.bytes() {
            if self.bytes.get(self.at) != Some(&expected) {
                return Err(Broken);
            }
            self.at += 1;
        }
        Ok(())
    }

    /// Takes a key and its colon.
    pub(crate) fn key(&mut self) -> Result<Text<'a>, Broken> {
        if self.peek() != Some(b'"') {
            return Err(Broken);
        }
        let key = self.string()?;
        self.expect(b':')?;
        Ok(key)
    }

    /// Takes a string; its quote is the next byte.
    pub(crate) fn string(&mut self) -> Result<Text<'a>, Broken> {
        self.at += 1;
        let start = self.at;
        self.plain();
        if self.bytes.get(self.at) == Some(&b'"') {
            self.at += 1;
            return Ok(Text::Plain(&self.bytes[start..self.at - 1]));
        }
        self.unescaped.clear();
        self.unescaped.extend_from_slice(&self.bytes[start..self.at]);
        loop {
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Text::Escaped);
                }
                Some(b'\\') => {
                    self.at += 1;
                    self.escape()?;
                }
                Some(byte) if *byte >= b' ' => {
                    let start = self.at;
                    self.plain();
                    self.unescaped.extend_from_slice(&self.bytes[start..self.at]);
                }
                _ => return Err(Broken),
            }
        }
    }

    /// The bytes of a string that was just read.
    pub(crate) fn text<'b>(&'b self, text: &Text<'b>) -> &'b [u8] {
        match text {
            Text::Plain(bytes) => bytes,
            Text::Escaped => &self.unescaped,
        }
    }

    /// Goes to the next byte of a string that does not stand for itself.
    fn plain(&mut self) {
        self.at += plain_length(&self.bytes[self.at..]);
    }

    fn escape(&mut self) -> Result<(), Broken> {
        let escape = *self.bytes.get(self.at).ok_or(Broken)?;
        self.at += 1;
        let byte = match escape {
            b'"' | b'\\' | b'/' => escape,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => return self.code_point(),
            _ => return Err(Broken),
        };
        self.unescaped.push(byte);
        Ok(())
    }

    fn code_point(&mut self) -> Result<(), Broken> {
        let mut code = self.four_digits()?;
        if (0xd800..0xdc00).contains(&code) {
            self.word("\\u")?;
            let second = self.four_digits()?;
            if !(0xdc00..0xe000).contains(&second) {
                return Err(Broken);
            }
            code = 0x10000 + ((code - 0xd800) << 10 | (second - 0xdc00));
        }
        let letter = char::from_u32(code).ok_or(Broken)?;
        self.unescaped.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }

    fn four_digits(&mut self) -> Result<u32, Broken> {
        let mut code = 0;
        for _ in 0..4 {
            let digit =
                self.bytes.get(self.at).and_then(|byte| char::from(*byte).to_digit(16)).ok_or(Broken)?;
            self.at += 1;
            code = code << 4 | digit;
        }
        Ok(code)
    }

    /// Takes a number; its first byte is the next one.
    pub(crate) fn number(&mut self) -> Result<Number, Broken> {
        let rest = &self.bytes[self.at..];
        let length = rest
            .iter()
            .position(|byte| !matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'e' | b'E' | b'.'))
            .unwrap_or(rest.len());
        self.at += length;
        let text = std::str::from_utf8(&rest[..length]).map_err(|_| Broken)?;
        if let Ok(number) = text.parse() {
            return Ok(Number::Signed(number));
        }
        if let Ok(number) = text.parse() {
            return Ok(Number::Unsigned(number));
        }
        text.parse().map(Number::Double).map_err(|_| Broken)
    }

    /// Takes a value of any kind that nobody wants.
    pub(crate) fn skip(&mut self) -> Result<(), Broken> {
        match self.peek() {
            Some(b'{') => {
                self.enter()?;
                if !self.takes(b'}') {
                    loop {
                        self.key()?;
                        self.skip()?;
                        if !self.takes(b',') {
                            break;
                        }
                    }
                    self.expect(b'}')?;
                }
                self.leave();
                Ok(())
            }
            Some(b'[') => {
                self.enter()?;
                if !self.takes(b']') {
                    loop {
                        self.skip()?;
                        if !self.takes(b',') {
                            break;
                        }
                    }
                    self.expect(b']')?;
                }
                self.leave();
                Ok(())
            }
            Some(b'"') => self.string().map(drop),
            Some(b'n') => self.word("null"),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'-' | b'0'..=b'9') => self.number().map(drop),
            _ => Err(Broken),
        }
    }

    /// What is wrong here, in words.
    pub(crate) fn complaint(&self) -> String {
        let line = 1 + self.bytes[..self.at].iter().filter(|byte| **byte == b'\n').count();
        let rest = &self.bytes[self.at..];
        let rest = &rest[..rest.len().min(MAX_REFUSAL_BYTES)];
        let near: Vec<u8> =
            rest.iter().copied().take_while(|byte| *byte != b'\n').filter(|byte| *byte >= b' ').collect();
        format!("syntax error at line {line} near: {}", String::from_utf8_lossy(&near))
    }

    /// What is wrong with what follows the value, if anything does.
    pub(crate) fn trailing(&mut self) -> Option<String> {
        self.peek()?;
        let rest = self.bytes[self.at..].trim_ascii_end();
        let rest = &rest[..rest.len().min(MAX_REFUSAL_BYTES)];
        Some(format!(
            "Parsed JSON included non-whitespace trailing characters: {}",
            String::from_utf8_lossy(rest)
        ))
    }
}

/// A string that was read: where it stands if it has no escapes, else the reader holds it.
#[derive(Debug)]
pub(crate) enum Text<'a> {
    Plain(&'a [u8]),
    Escaped,
}
