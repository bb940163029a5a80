//! Flags of Mesos that have another meaning here, or none: refused or warned about, with what to do instead.

use super::member::{Begin, Plan};
use crate::flags::{FlagError, Flags};

/// Flags that change nothing here, and why.
const WITHOUT_MEANING: [(&str, &str); 5] = [
    (
        "zk_session_timeout",
        "there is no ZooKeeper here; --election_timeout says when a silent leader is replaced",
    ),
    ("registry_fetch_timeout", "a master leads when it has the registry, and not before"),
    ("registry_store_timeout", "a leader that no majority answers ends its lead by itself"),
    ("registry_strict", "it is always false, as in Mesos"),
    ("log_auto_initialize", "a new work directory begins by itself, and only once"),
];

/// Refuses what can't be done.
///
/// # Errors
/// The first flag that asks for it.
pub fn refuse(flags: &Flags, plan: &Plan) -> Result<(), FlagError> {
    if flags.text("zk").is_some() {
        let problem = "there is no ZooKeeper here: name all masters with --peers=1=host:5050,2=host:5050,3=host:5050 \
                       and this one with --id";
        return Err(flags.refuse("zk", problem));
    }
    if flags.switch("registry_strict") {
        return Err(flags.refuse("registry_strict", "it must be false, as in Mesos; leave it out"));
    }
    if flags.text("registry") == Some("in_memory") && plan.with_others() {
        let problem = "a master with others must keep its word after a restart; use replicated_log, or leave --peers \
                       and --join out";
        return Err(flags.refuse("registry", problem));
    }
    Ok(())
}

/// Warns of what changes nothing, one line each; of how the cluster begins only if it does.
pub fn warn(flags: &Flags, plan: &Plan, first: bool) {
    for (name, why) in WITHOUT_MEANING.iter().filter(|(name, _)| flags.given(name)) {
        tracing::warn!("the flag '--{name}' changes nothing: {why}");
    }
    if let Begin::Founder(peers) = &plan.begin
        && first
        && let Some(problem) = even(peers.len())
    {
        tracing::warn!("{problem}");
    }
}

/// What is to be said of an even number of masters.
pub fn even(masters: usize) -> Option<String> {
    (masters > 0 && masters.is_multiple_of(2)).then(|| {
        let (less, lost) = (masters - 1, (masters - 1) / 2);
        format!("{masters} masters survive the loss of {lost}, as {less} would: take an odd number")
    })
}

/// What is to be said of `--quorum`, when there are so many masters.
pub fn quorum(flags: &Flags, masters: usize) -> Option<String> {
    let given: usize = flags.parsed("quorum")?;
    let majority = masters / 2 + 1;
    let of = format!("a majority of the {masters} members, which is {majority}");
    Some(if given == majority {
        format!("the flag '--quorum={given}' is not needed: {of}, is what counts here")
    } else {
        format!("the flag '--quorum={given}' is not heeded: {of}, is what counts here")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_numbers_of_masters_are_advised_against() {
        for odd in [1, 3, 5, 7, 9] {
            assert_eq!(even(odd), None);
        }
        assert_eq!(even(2).unwrap(), "2 masters survive the loss of 0, as 1 would: take an odd number");
        assert_eq!(even(4).unwrap(), "4 masters survive the loss of 1, as 3 would: take an odd number");
    }
}
