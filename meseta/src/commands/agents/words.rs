//! What `meseta agents` is asked for.

use std::time::Duration;

use crate::flags::{FlagError, Flags};

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A table of the agents.
    List,
    /// A change of some agents, as they were named.
    Change(Change, Vec<String>),
}

/// What is to become of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is emptied.
    Drain {
        /// The longest that its tasks get.
        max_grace_period: Option<Duration>,
        /// Whether it counts as gone then.
        mark_gone: bool,
        /// Whether to wait for the end of it.
        wait: bool,
    },
    /// It gets no offers.
    Deactivate,
    /// It does again.
    Reactivate,
    /// It never comes back.
    Gone,
}

/// Reads the words that are no flags, and the flags that belong to them.
///
/// # Errors
/// What was expected instead.
pub fn read(flags: &Flags) -> Result<Wanted, super::Failure> {
    let words: Vec<&str> = flags.rest.iter().map(String::as_str).collect();
    let (verb, names) = match words.split_first() {
        None => ("list", &[][..]),
        Some((verb, names)) => (*verb, names),
    };
    if verb != "drain" {
        only_for_drain(flags)?;
    }
    let change = match verb {
        "list" if names.is_empty() => return Ok(Wanted::List),
        "list" => return Err("'meseta agents list' takes flags only".into()),
        "drain" => Change::Drain {
            max_grace_period: flags.duration("max_grace_period"),
            mark_gone: flags.switch("mark_gone"),
            wait: flags.switch("wait"),
        },
        "deactivate" => Change::Deactivate,
        "reactivate" => Change::Reactivate,
        "gone" => Change::Gone,
        _ => {
            let expected = "expected list, drain, deactivate, reactivate or gone";
            return Err(format!("there is no 'meseta agents {verb}': {expected}").into());
        }
    };
    if names.is_empty() {
        return Err(format!(
            "'meseta agents {verb}' takes agents: ids, ends of them such as S3, or host names"
        )
        .into());
    }
    Ok(Wanted::Change(change, names.iter().map(|name| (*name).to_owned()).collect()))
}

fn only_for_drain(flags: &Flags) -> Result<(), FlagError> {
    for name in ["mark_gone", "wait"] {
        if flags.switch(name) {
            return Err(flags.refuse(name, "it is for 'meseta agents drain'"));
        }
    }
    match flags.text("max_grace_period") {
        Some(_) => Err(flags.refuse("max_grace_period", "it is for 'meseta agents drain'")),
        None => Ok(()),
    }
}
