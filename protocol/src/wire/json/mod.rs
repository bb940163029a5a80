//! Mesos's mapping between messages and JSON. It is not protobuf's own.
//!
//! | | read | printed |
//! |---|---|---|
//! | fields | by their name in the schema; unknown names are passed over; `null` is not set; the last of two counts | those set, and those with a default that is not deprecated; in the order of the schema |
//! | enums | by name; a name that is unknown is not set, or refused where the field is required | by name |
//! | numbers | also in strings, also `"Infinity"`, `"-Infinity"`, `"NaN"`; what is behind the point is dropped for whole numbers | doubles always with a point or an exponent |
//! | bytes | base64 | base64 with padding |
//! | lists | one value stands for a list of one | not when empty, but for a few |
//! | maps | objects | objects, in order of the keys |

pub(crate) mod base64;
pub(crate) mod read;
pub(crate) mod reader;
pub(crate) mod write;

/// How many bytes from the start stand for themselves in a string: up to a quote, a backslash or a control character.
pub(crate) fn plain_length(text: &[u8]) -> usize {
    // Eight at a time. A byte's high bit is set where it is such a one; a borrow can only set bits further up, so that
    // the lowest is right.
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let is = |word: u64, byte: u8| {
        let zeros = word ^ (ONES * u64::from(byte));
        zeros.wrapping_sub(ONES) & !zeros
    };
    let (words, rest) = text.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let control = word.wrapping_sub(ONES * u64::from(b' ')) & !word;
        let found = (control | is(word, b'"') | is(word, b'\\')) & HIGH;
        if found != 0 {
            return index * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let at = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..b' '));
    words.len() * 8 + at.unwrap_or(rest.len())
}
