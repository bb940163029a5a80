//! What was dropped, skipped or closed: each has a counter, and a line in the log now and then.

use std::fmt;
use std::sync::Mutex;

use tokio::time::Instant;

use crate::limits::COMPLAINT_EVERY;
use crate::sync::lock;
use crate::{Counter, Metrics};

/// Kinds of loss. The second word is the name of the counter under `libactor/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Complaint {
    /// A connection that begins with neither our preface nor HTTP.
    BadPreface,
    /// A peer of another version.
    VersionMismatch,
    /// A connection that did not say in time what it is.
    HandshakeTimeout,
    /// A frame that is longer than allowed.
    Oversized,
    /// A connection that ended, or stood still, within a frame.
    Truncated,
    /// A frame whose head can't be read or makes no sense.
    BadFrame,
    /// More names, or longer ones, than a connection may have.
    NameTable,
    /// More links than a connection may have.
    TooManyLinks,
    /// A connection with a large frame for which there was no room.
    NoRoom,
    /// A message for an actor that is not there.
    UnknownActor,
    /// A message that the actor has not installed.
    UnknownMessage,
    /// A body that is not such a message.
    Undecodable,
    /// A message from what can't send any: a stream of a node.
    ForgedSender,
    /// A mailbox is full.
    MailboxFull,
    /// The queue to a peer is full.
    PeerQueueFull,
    /// A message that waited for a peer which is lost or can't be reached.
    Unreachable,
    /// A delivery whose actor stopped first.
    Abandoned,
    /// A connection beyond the limit.
    TooManyConnections,
    /// A peer that was silent for too long.
    SilentPeer,
    /// A message that a filter took out.
    Filtered,
    /// An actor that failed.
    ActorFailed,
    /// The listening socket refuses.
    AcceptFailed,
    /// An HTTP request that was too slow or too large.
    BadHttp,
}

const NAMES: [&str; 23] = [
    "closed_bad_preface",
    "closed_version_mismatch",
    "closed_handshake_timeout",
    "closed_oversized_frame",
    "closed_truncated_frame",
    "closed_bad_frame",
    "closed_name_table_full",
    "closed_too_many_links",
    "closed_no_room",
    "dropped_unknown_actor",
    "dropped_unknown_message",
    "dropped_undecodable",
    "dropped_forged_sender",
    "dropped_mailbox_full",
    "dropped_peer_queue_full",
    "dropped_unreachable",
    "dropped_actor_stopped",
    "closed_too_many_connections",
    "closed_silent_peer",
    "dropped_by_filter",
    "actors_failed",
    "accept_failed",
    "http_refused",
];

/// Counts and logs losses.
pub(crate) struct Complaints {
    counters: [Counter; NAMES.len()],
    said: Mutex<[Option<(Instant, u64)>; NAMES.len()]>,
}

impl Complaints {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let counters = NAMES.map(|name| metrics.counter(&format!("libactor/{name}")));
        Self { counters, said: Mutex::new([None; NAMES.len()]) }
    }

    /// Counts one, and logs it unless one of its kind was logged just now.
    pub(crate) fn make(&self, complaint: Complaint, about: &dyn fmt::Display) {
        self.make_many(complaint, 1, about);
    }

    /// Counts some whose cause has been logged.
    pub(crate) fn count(&self, complaint: Complaint, count: u64) {
        self.counters[complaint as usize].add(count);
    }

    /// Counts some that have the same cause.
    pub(crate) fn make_many(&self, complaint: Complaint, count: u64, about: &dyn fmt::Display) {
        if count == 0 {
            return;
        }
        let index = complaint as usize;
        self.counters[index].add(count);
        let unsaid = {
            let mut said = lock(&self.said);
            match &mut said[index] {
                Some((at, unsaid)) if at.elapsed() < COMPLAINT_EVERY => {
                    *unsaid += count;
                    return;
                }
                slot => slot.replace((Instant::now(), 0)).map_or(0, |(_, unsaid)| unsaid),
            }
        };
        let name = NAMES[index];
        tracing::warn!(count, not_logged_before = unsaid, "{name}: {about}");
    }
}
