//! Named moments in the life of a task on an agent, at which tests end the agent's process.
//!
//! In debug builds the process kills itself (SIGKILL) when it comes to the moment that `MESETA_DIE_AT` names: `NAME`, or
//! `NAME:N` for the N-th time. In release builds nothing of this is there.

/// The moments, in the order in which a first task on a new agent comes to them.
pub const ALL: &[&str] = &[
    // The start.
    "store-opened",
    "recovery-asked",
    "recovered",
    // Before the task's container: what is asked for is made durable first.
    "checkpoint-asked",
    "checkpoint-written",
    "checkpoint-durable",
    "launch-asked",
    // In the containerizer.
    "sandbox-made",
    "prepared",
    "forked",
    "recorded",
    "executing",
    "launched",
    // The executor speaks.
    "subscribing",
    "subscribed",
    "handed-over",
    "update-received",
    "update-stored",
    "update-taken",
    "update-forwarded",
    "acknowledged",
    "acknowledgement-stored",
    // The end.
    "container-exited",
    "end-stored",
];

/// The process has come to a moment, one of [`ALL`].
#[cfg(debug_assertions)]
pub fn reached(name: &'static str) {
    debug::reached(name);
}

/// The process has come to a moment, one of [`ALL`]: in release builds nothing happens.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn reached(_: &'static str) {}

#[cfg(debug_assertions)]
mod debug {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::ALL;
    use crate::os;

    /// Where this process is to die.
    struct End {
        name: String,
        times: AtomicU64,
    }

    pub(super) fn reached(name: &'static str) {
        static END: OnceLock<Option<End>> = OnceLock::new();
        assert!(ALL.contains(&name), "'{name}' is no known moment");
        let end = END.get_or_init(|| std::env::var("MESETA_DIE_AT").ok().map(|text| End::parse(&text)));
        if end.as_ref().is_some_and(|end| end.is_now(name)) {
            os::kill(std::process::id().cast_signed());
        }
    }

    impl End {
        pub(super) fn parse(text: &str) -> Self {
            let (name, times) = match text.split_once(':') {
                Some((name, times)) => (name, times.parse().unwrap_or(1)),
                None => (text, 1),
            };
            assert!(ALL.contains(&name), "MESETA_DIE_AT={text}: there is no such moment; there are {ALL:?}");
            Self { name: name.to_owned(), times: AtomicU64::new(times) }
        }

        /// Whether it has come this often.
        pub(super) fn is_now(&self, name: &str) -> bool {
            self.name == name && self.times.fetch_sub(1, Ordering::Relaxed) == 1
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_moment_comes_as_often_as_was_said() {
            let end = End::parse("forked:2");
            assert!(!end.is_now("launched"));
            assert_eq!([1, 2, 3].map(|_| end.is_now("forked")), [false, true, false]);
            assert!(End::parse("recorded").is_now("recorded"));
        }

        #[test]
        fn nothing_is_to_be_done_where_nobody_asks() {
            ALL.iter().for_each(|name| reached(name));
        }
    }
}
