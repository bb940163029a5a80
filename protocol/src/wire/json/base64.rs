//! Base64 with padding, as bytes stand in JSON. Source: RFC 4648, section 4.

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The value of each letter; 255 where it is none.
const VALUES: [u8; 256] = {
    let mut values = [u8::MAX; 256];
    let mut value = 0;
    while value < 64 {
        values[LETTERS[value as usize] as usize] = value;
        value += 1;
    }
    values
};

pub(crate) fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    for chunk in bytes.chunks(3) {
        let bits =
            chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for index in 0..4 {
            let letter =
                if index <= chunk.len() { LETTERS[(bits >> (18 - 6 * index) & 63) as usize] } else { b'=' };
            out.push(letter);
        }
    }
}

/// Appends the bytes. White space is passed over, padding may be missing, and what follows it is not looked at.
///
/// # Errors
/// The first letter that can't be.
pub(crate) fn decode(text: &[u8], out: &mut Vec<u8>) -> Result<(), char> {
    let (mut bits, mut held) = (0u32, 0);
    for letter in text {
        match VALUES[usize::from(*letter)] {
            u8::MAX if *letter == b'=' => break,
            u8::MAX if letter.is_ascii_whitespace() => {}
            u8::MAX => return Err(char::from(*letter)),
            value => {
                bits = bits << 6 | u32::from(value);
                held += 6;
                if held >= 8 {
                    held -= 8;
                    out.push((bits >> held).to_le_bytes()[0]);
                }
            }
        }
    }
    Ok(())
}
