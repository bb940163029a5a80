//! Environment variables in a flag.

use std::collections::BTreeMap;

use crate::flags::{FlagError, Flags};

/// Those of a flag that is `NAME=VALUE,...`, or a JSON object of texts; none without it.
///
/// # Errors
/// It is neither.
pub(super) fn read(flags: &Flags, name: &'static str) -> Result<Vec<(String, String)>, FlagError> {
    let Some(text) = flags.text(name) else { return Ok(Vec::new()) };
    let refuse = || flags.refuse(name, "expected NAME=VALUE,... or a JSON object of texts");
    let variables: Vec<(String, String)> = if text.trim_start().starts_with('{') {
        let object: BTreeMap<String, String> = serde_json::from_str(text).map_err(|_| refuse())?;
        object.into_iter().collect()
    } else {
        let parts = text.split(',').filter(|part| !part.is_empty());
        let pairs = parts.map(|part| part.split_once('=').ok_or_else(refuse));
        pairs
            .map(|pair| pair.map(|(name, value)| (name.to_owned(), value.to_owned())))
            .collect::<Result<_, _>>()?
    };
    let usable = |(name, value): &(String, String)| {
        !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0')
    };
    if variables.iter().all(usable) { Ok(variables) } else { Err(refuse()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::{Arguments, Flag, Kind, Surroundings};

    const FLAGS: &[Flag] = &[Flag { name: "env", aliases: &[], kind: Kind::Text, default: None, help: "" }];

    fn read_from(text: &str) -> Result<Vec<(String, String)>, FlagError> {
        let words = [format!("--env={text}")];
        let flags = Flags::load("test", FLAGS, Arguments::None, &words, &Surroundings::default())?;
        read(&flags, "env")
    }

    #[test]
    fn variables_are_listed_or_an_object() {
        let expected = [("A".to_owned(), "1=2".to_owned()), ("B".to_owned(), String::new())];
        assert_eq!(read_from("A=1=2,,B=").unwrap(), expected);
        assert_eq!(read_from(r#"{"B": "", "A": "1=2"}"#).unwrap(), expected);
        for bad in ["A", "=1", r#"{"A": 1}"#, r#"{"": "1"}"#, r#"{"A=B": "1"}"#, r#"{"A": "\u0000"}"#, "{"] {
            assert!(read_from(bad).is_err(), "{bad}");
        }
    }
}
