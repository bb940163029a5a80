//! Records in a stream: the length in decimal digits, a line feed, and as many bytes. Nothing follows them.

use std::io::Write as _;

use bytes::Bytes;
use thiserror::Error;

/// One record.
pub fn record(body: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(body.len() + MAX_DIGITS + 1);
    writeln!(out, "{}", body.len()).expect("a Vec takes what is written");
    out.extend_from_slice(body);
    Bytes::from(out)
}

/// Digits of the largest length.
const MAX_DIGITS: usize = 20;

/// Why a stream can't be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Error {
    /// A length is not written in digits.
    #[error("expected the length of a record in decimal digits, but found byte {0:#04x}")]
    Length(u8),
    /// A length is empty.
    #[error("expected the length of a record in decimal digits, but found an empty line")]
    Empty,
    /// A record is longer than the limit, in bytes.
    #[error("a record is longer than {0} bytes")]
    TooLong(usize),
}

/// Takes records out of a stream that comes in pieces. It holds one record at most.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    /// The length of the record that is coming, once it is known.
    length: Option<usize>,
    /// Of the length so far.
    digits: Option<usize>,
    body: Vec<u8>,
    failed: Option<Error>,
}

impl Decoder {
    /// `limit`: the longest record that is taken, in bytes.
    pub fn new(limit: usize) -> Decoder {
        Decoder { limit, length: None, digits: None, body: Vec::new(), failed: None }
    }

    /// Takes the next piece; gives the records that are complete now.
    ///
    /// # Errors
    /// The stream is no sequence of records, or a record is longer than the limit. It stays so: the records before it
    /// in this piece are lost, and nothing that follows is read.
    pub fn feed(&mut self, piece: &[u8]) -> Result<Vec<Bytes>, Error> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        let records = self.records(piece);
        if let Err(error) = &records {
            self.failed = Some(*error);
            self.body = Vec::new();
        }
        records
    }

    /// Whether a record has begun and is not complete: a stream must not end so.
    pub fn is_within_record(&self) -> bool {
        self.length.is_some() || self.digits.is_some()
    }

    fn records(&mut self, mut piece: &[u8]) -> Result<Vec<Bytes>, Error> {
        let mut records = Vec::new();
        loop {
            if let Some(length) = self.length {
                let (taken, rest) = piece.split_at(piece.len().min(length - self.body.len()));
                piece = rest;
                self.body.extend_from_slice(taken);
                if self.body.len() < length {
                    return Ok(records);
                }
                records.push(Bytes::from(std::mem::take(&mut self.body)));
                self.length = None;
            }
            let Some((byte, rest)) = piece.split_first() else { return Ok(records) };
            piece = rest;
            self.header(*byte)?;
        }
    }

    fn header(&mut self, byte: u8) -> Result<(), Error> {
        match byte {
            b'\n' => self.length = Some(self.digits.take().ok_or(Error::Empty)?),
            b'0'..=b'9' => {
                let digit = usize::from(byte - b'0');
                let length =
                    self.digits.unwrap_or(0).checked_mul(10).and_then(|length| length.checked_add(digit));
                let length =
                    length.filter(|length| *length <= self.limit).ok_or(Error::TooLong(self.limit))?;
                self.digits = Some(length);
            }
            _ => return Err(Error::Length(byte)),
        }
        Ok(())
    }
}
