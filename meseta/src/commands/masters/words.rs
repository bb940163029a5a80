//! What `meseta masters` is asked for.

use master::registry::MemberId;
use master::replication::MembersRequest;

use super::super::master::member;

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A table of the masters.
    Status,
    /// A change, for which the leader is looked for.
    Change(MembersRequest),
    /// A work directory is to be made usable again.
    Repair,
}

/// Reads the words that are no flags.
///
/// # Errors
/// What was expected instead.
pub fn read(words: &[String]) -> Result<Wanted, String> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let change = match words.as_slice() {
        [] | ["status"] => return Ok(Wanted::Status),
        ["repair"] => return Ok(Wanted::Repair),
        ["add", who] => {
            let (id, address) = named(who, "add")?;
            MembersRequest::Add { id, address }
        }
        ["remove", who] => MembersRequest::Remove { id: number(who, "remove")? },
        ["replace", old, new] => {
            let (old, (new, address)) = (number(old, "replace")?, named(new, "replace")?);
            MembersRequest::Replace { old, new, address }
        }
        ["transfer"] => MembersRequest::Transfer { to: None },
        ["transfer", who] => MembersRequest::Transfer { to: Some(number(who, "transfer")?) },
        [word, ..] => return Err(usage(word)),
    };
    Ok(Wanted::Change(change))
}

fn usage(word: &str) -> String {
    let expected = match word {
        "add" => "'meseta masters add' takes one master, as ID=HOST:PORT",
        "remove" => "'meseta masters remove' takes the number of one master",
        "replace" => {
            "'meseta masters replace' takes the number of the old master and the new one, as OLD NEW=HOST:PORT"
        }
        "transfer" => "'meseta masters transfer' takes the number of one master, or nothing",
        "status" | "repair" => return format!("'meseta masters {word}' takes flags only"),
        _ => {
            return format!(
                "there is no 'meseta masters {word}': expected status, add, remove, replace, transfer or repair"
            );
        }
    };
    expected.to_owned()
}

fn number(text: &str, word: &str) -> Result<MemberId, String> {
    text.parse().map_err(|_| format!("'{text}' is not the number of a master: {}", usage(word)))
}

fn named(text: &str, word: &str) -> Result<(MemberId, String), String> {
    member::member(text).ok_or_else(|| format!("'{text}' is not ID=HOST:PORT: {}", usage(word)))
}

/// A change, for people.
pub fn describe(change: &MembersRequest) -> String {
    match change {
        MembersRequest::Add { id, address } => format!("master {id} at {address} is taken in"),
        MembersRequest::Remove { id } => format!("master {id} is let go"),
        MembersRequest::Replace { old, new, address } => {
            format!("master {new} at {address} takes the place of master {old}")
        }
        MembersRequest::Transfer { to: Some(id) } => format!("master {id} leads"),
        MembersRequest::Transfer { to: None } => "another master leads".to_owned(),
        MembersRequest::Status | MembersRequest::Registry => "nothing changes".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(words: &str) -> Result<Wanted, String> {
        read(&words.split(' ').filter(|word| !word.is_empty()).map(Into::into).collect::<Vec<_>>())
    }

    #[test]
    fn words_are_read() {
        let (one, four, address) = (MemberId(1), MemberId(4), "host:5050".to_owned());
        for (words, expected) in [
            ("add 4=HOST:5050", MembersRequest::Add { id: four, address: address.clone() }),
            ("remove 1", MembersRequest::Remove { id: one }),
            (
                "replace 1 4=host:5050",
                MembersRequest::Replace { old: one, new: four, address: address.clone() },
            ),
            ("replace 4 4=host:5050", MembersRequest::Replace { old: four, new: four, address }),
            ("transfer", MembersRequest::Transfer { to: None }),
            ("transfer 4", MembersRequest::Transfer { to: Some(four) }),
        ] {
            assert_eq!(wanted(words), Ok(Wanted::Change(expected)), "{words}");
        }
        assert_eq!((wanted(""), wanted("status")), (Ok(Wanted::Status), Ok(Wanted::Status)));
        assert_eq!(wanted("repair"), Ok(Wanted::Repair));
    }

    #[test]
    fn words_that_make_no_sense_are_refused_with_what_was_expected() {
        for (words, expected) in [
            ("list", "there is no 'meseta masters list': expected status, add, remove"),
            ("add", "takes one master, as ID=HOST:PORT"),
            ("add 4", "'4' is not ID=HOST:PORT"),
            ("add 4=host", "'4=host' is not ID=HOST:PORT"),
            ("add 0=host:5050", "'0=host:5050' is not ID=HOST:PORT"),
            ("add 4=host:5050 5=host:5051", "takes one master"),
            ("remove", "takes the number of one master"),
            ("remove one", "'one' is not the number of a master"),
            ("replace 1", "as OLD NEW=HOST:PORT"),
            ("replace 4=host:5050 1", "'4=host:5050' is not the number of a master"),
            ("transfer 0", "'0' is not the number of a master"),
            ("repair 1", "'meseta masters repair' takes flags only"),
        ] {
            let said = wanted(words).unwrap_err();
            assert!(said.contains(expected), "{words}: {said}");
        }
    }
}
