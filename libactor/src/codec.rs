//! Values to bytes and back: the one file that knows bincode.
//!
//! The format does not describe itself, so that both ends must be of the same version: the preface of a connection
//! says which. Lengths from outside are limited, and bytes left over are an error.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::enc::write::Writer;
use bincode::error::EncodeError;
use bytes::BytesMut;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::limits::MAX_FRAME_BYTES;

const CONFIG: Configuration<LittleEndian, Varint, Limit<MAX_FRAME_BYTES>> =
    bincode::config::standard().with_limit::<MAX_FRAME_BYTES>();

/// Why a value could not be turned into bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum EncodeFailure {
    /// It is larger than allowed.
    TooLarge,
    /// The type refuses.
    Refused(String),
}

struct Bounded<'a> {
    out: &'a mut BytesMut,
    left: usize,
    over: &'a mut bool,
}

impl Writer for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        if bytes.len() > self.left {
            *self.over = true;
            return Err(EncodeError::UnexpectedEnd);
        }
        self.left -= bytes.len();
        self.out.extend_from_slice(bytes);
        Ok(())
    }
}

/// Appends a value, at most `limit` bytes of it; leaves `out` as it was if that fails.
pub(crate) fn encode<T: Serialize>(value: &T, out: &mut BytesMut, limit: usize) -> Result<(), EncodeFailure> {
    let before = out.len();
    let mut over = false;
    let writer = Bounded { out, left: limit, over: &mut over };
    let result = bincode::serde::encode_into_writer(value, writer, CONFIG);
    result.map_err(|error| {
        out.truncate(before);
        if over { EncodeFailure::TooLarge } else { EncodeFailure::Refused(error.to_string()) }
    })
}

/// Reads a value that fills `bytes`.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let (value, used) = decode_front(bytes)?;
    if used != bytes.len() {
        return Err(format!("{} bytes are left over", bytes.len() - used));
    }
    Ok(value)
}

/// Reads a value from the front of `bytes` and says how many it took.
pub(crate) fn decode_front<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, usize), String> {
    bincode::serde::decode_from_slice(bytes, CONFIG).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded<T: Serialize>(value: &T) -> BytesMut {
        let mut out = BytesMut::new();
        encode(value, &mut out, 1024).unwrap();
        out
    }

    #[test]
    fn what_goes_in_comes_out() {
        let value = (7u64, "name".to_owned(), vec![Some(1i32), None]);
        assert_eq!(decode::<(u64, String, Vec<Option<i32>>)>(&encoded(&value)), Ok(value));
    }

    #[test]
    fn bytes_left_over_are_an_error() {
        let mut bytes = encoded(&1u8);
        bytes.extend_from_slice(b"x");
        assert!(decode::<u8>(&bytes).unwrap_err().contains("1 bytes are left over"));
    }

    #[test]
    fn a_hostile_length_is_an_error_and_takes_no_memory() {
        let hostile = [253u8, 255, 255, 255, 255, 255, 255, 255, 127];
        assert!(decode::<Vec<u8>>(&hostile).is_err());
        assert!(decode::<String>(&hostile).is_err());
        assert!(decode::<Vec<(u64, String)>>(&hostile).is_err());
    }

    #[test]
    fn a_value_that_is_too_large_leaves_nothing_behind() {
        let mut out = BytesMut::from(&b"before"[..]);
        assert_eq!(encode(&vec![0u8; 100], &mut out, 50), Err(EncodeFailure::TooLarge));
        assert_eq!(&out[..], b"before");
    }
}
