//! What a test wants to know of messages, or to keep from arriving.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use libactor::{Delivery, Filter, Pid, Verdict};

/// How many seen messages wait for the test that watches; those beyond are not seen.
const MAX_SEEN: usize = 100_000;

/// A kind of messages.
#[derive(Clone, Debug, Default)]
pub struct Messages {
    name: Option<String>,
    from: Option<String>,
    to: Option<String>,
}

impl Messages {
    /// All of them.
    pub fn all() -> Self {
        Self::default()
    }

    /// Those of a name, such as `meseta.scheduler.Call`, `meseta.scheduler.Event`, `meseta.agent.Call`,
    /// `meseta.agent.Event`, `meseta.executor.Call`, `meseta.executor.Event`.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..Self::default() }
    }

    /// Only those from actors whose address begins with this, such as `slave(1)@127.0.0.1:4711`.
    #[must_use]
    pub fn from(mut self, actor: impl Into<String>) -> Self {
        self.from = Some(actor.into());
        self
    }

    /// Only those to actors whose address begins with this.
    #[must_use]
    pub fn to(mut self, actor: impl Into<String>) -> Self {
        self.to = Some(actor.into());
        self
    }

    fn covers(&self, delivery: &Delivery<'_>) -> bool {
        let begins = |pid: Option<&Pid>, wanted: &Option<String>| match wanted {
            None => true,
            Some(wanted) => pid.is_some_and(|pid| pid.to_string().starts_with(wanted)),
        };
        self.name.as_ref().is_none_or(|name| name == delivery.message)
            && begins(delivery.from, &self.from)
            && begins(Some(delivery.to), &self.to)
    }
}

/// A message that reached its actor, or was dropped before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its name.
    pub message: String,
    /// Who sent it.
    pub from: Option<Pid>,
    /// For whom it was.
    pub to: Pid,
    /// Whether a rule of the test dropped it.
    pub dropped: bool,
}

/// Sees messages.
#[derive(Debug)]
pub struct Watch(Receiver<Seen>);

impl Watch {
    /// The next one; `None` if none comes in time.
    pub fn next(&self, patience: Duration) -> Option<Seen> {
        self.0.recv_timeout(patience).ok()
    }
}

#[derive(Debug)]
enum Action {
    Drop { left: usize },
    Watch(SyncSender<Seen>),
}

/// The rules of one cluster. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules(Arc<Mutex<Vec<(Messages, Action)>>>);

impl Rules {
    fn with<T>(&self, act: impl FnOnce(&mut Vec<(Messages, Action)>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn drop(&self, which: Messages, count: usize) {
        self.with(|rules| rules.push((which, Action::Drop { left: count })));
    }

    pub(super) fn watch(&self, which: Messages) -> Watch {
        let (sender, receiver) = sync_channel(MAX_SEEN);
        self.with(|rules| rules.push((which, Action::Watch(sender))));
        Watch(receiver)
    }

    pub(super) fn clear(&self) {
        self.with(Vec::clear);
    }

    /// What a node asks about each message.
    pub(super) fn filter(&self) -> Filter {
        let rules = self.clone();
        Arc::new(move |delivery| rules.with(|rules| judge(rules, delivery)))
    }
}

fn judge(rules: &mut Vec<(Messages, Action)>, delivery: &Delivery<'_>) -> Verdict {
    let mut dropped = false;
    for (which, action) in rules.iter_mut() {
        if let Action::Drop { left } = action
            && !dropped
            && *left > 0
            && which.covers(delivery)
        {
            *left -= 1;
            dropped = true;
        }
    }
    rules.retain(|(which, action)| match action {
        Action::Drop { left } => *left > 0,
        Action::Watch(sender) if which.covers(delivery) => {
            let seen = Seen {
                message: delivery.message.to_owned(),
                from: delivery.from.cloned(),
                to: delivery.to.clone(),
                dropped,
            };
            // A full queue loses the sight of it, as documented; a test that no longer watches loses the rule.
            !matches!(sender.try_send(seen), Err(std::sync::mpsc::TrySendError::Disconnected(_)))
        }
        Action::Watch(_) => true,
    });
    if dropped { Verdict::Drop } else { Verdict::Pass }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deliver(rules: &Rules, message: &str, to: &str) -> Verdict {
        let to: Pid = to.parse().unwrap();
        rules.filter()(&Delivery { from: None, to: &to, message })
    }

    #[test]
    fn the_next_messages_of_a_kind_are_dropped_and_watchers_see_it() {
        let rules = Rules::default();
        let watch = rules.watch(Messages::named("a"));
        rules.drop(Messages::named("a").to("x@"), 2);
        let verdicts: Vec<_> = [
            ("a", "y@127.0.0.1:1"),
            ("a", "x@127.0.0.1:1"),
            ("b", "x@127.0.0.1:1"),
            ("a", "x@127.0.0.1:1"),
            ("a", "x@127.0.0.1:1"),
        ]
        .map(|(message, to)| deliver(&rules, message, to))
        .into();
        assert_eq!(verdicts, [Verdict::Pass, Verdict::Drop, Verdict::Pass, Verdict::Drop, Verdict::Pass]);
        let seen: Vec<bool> =
            std::iter::from_fn(|| watch.next(Duration::ZERO)).map(|seen| seen.dropped).collect();
        assert_eq!(seen, [false, true, true, false]);
    }
}
