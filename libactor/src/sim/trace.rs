//! What has happened, as a running hash and optionally as text.

use std::collections::VecDeque;
use std::fmt::{self, Write};

use crate::Time;

/// The events of a run in order. Two runs are the same if their hashes are.
#[derive(Debug)]
pub struct Trace {
    hash: Hash,
    events: u64,
    keep: usize,
    lines: VecDeque<String>,
}

/// FNV-1a (Fowler, Noll and Vo), over the text of the events as it is formatted.
#[derive(Debug)]
struct Hash(u64);

impl Write for Hash {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Ok(())
    }
}

impl Trace {
    pub(super) fn new() -> Self {
        Self { hash: Hash(0xcbf2_9ce4_8422_2325), events: 0, keep: 0, lines: VecDeque::new() }
    }

    /// Keeps the text of the last `lines` events from here on.
    pub(super) fn keep(&mut self, lines: usize) {
        self.keep = lines;
    }

    pub(super) fn record(&mut self, now: Time, event: fmt::Arguments<'_>) {
        self.events += 1;
        if self.keep == 0 {
            let written = writeln!(self.hash, "{} {event}", now.as_nanos());
            debug_assert!(written.is_ok(), "hashing never fails");
            return;
        }
        let line = format!("{} {event}", now.as_nanos());
        let written = writeln!(self.hash, "{line}");
        debug_assert!(written.is_ok(), "hashing never fails");
        if self.lines.len() == self.keep {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// The hash of all events so far.
    pub fn hash(&self) -> u64 {
        self.hash.0
    }

    /// How many events there were.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The text of the last events, as many as are kept: nanoseconds since the epoch, then what happened.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }
}
