//! Every bound of the runtime, with its unit and its reason.

use std::time::Duration;

/// Deliveries that an actor's mailbox holds unless its installation says otherwise: a burst of a few thousand agents.
pub const MAILBOX_CAPACITY: usize = 16_384;
/// Deliveries that one actor handles before timers and sockets get a turn.
pub const DELIVERIES_A_TURN: usize = 128;
/// Largest frame, in bytes: a re-registration with some ten thousand tasks fits.
pub const MAX_FRAME_BYTES: usize = 16 << 20;
/// Largest body of a message, in bytes: a frame less its head.
pub const MAX_BODY_BYTES: usize = MAX_FRAME_BYTES - 64;
/// Messages that wait for one peer.
pub const PEER_QUEUE_MESSAGES: usize = 16_384;
/// Bytes that wait for one peer; one message larger than what is left of this waits or is refused.
pub const PEER_QUEUE_BYTES: usize = 64 << 20;
/// Answers and notices that wait for the dialer of one connection.
pub const ANSWER_QUEUE: usize = 4096;
/// Names that one connection may hold in its table; the writer forgets them all and starts again when it is full.
pub const MAX_CONNECTION_NAMES: usize = 4096;
/// Links that one connection may ask for.
pub const MAX_CONNECTION_LINKS: usize = 16_384;
/// Connections that a node accepts at a time: the usual limit of open files leaves no more.
pub const MAX_CONNECTIONS: usize = 16_384;
/// Connections that may be between their first byte and the end of their preface.
pub const MAX_HANDSHAKES: usize = 4096;
/// Peers that a node may keep queues for.
pub const MAX_PEERS: usize = 65_536;
/// Frames that are put into one write.
pub const FRAMES_A_WRITE: usize = 256;
/// A write is not made larger than this, in bytes, once it has a frame.
pub const WRITE_BYTES: usize = 256 << 10;
/// Room kept for one read from a socket, in bytes.
pub const READ_BYTES: usize = 64 << 10;
/// Bytes of received frames that wait to be complete or to be handled, for all connections; frames of at most
/// [`SMALL_FRAME_BYTES`] don't count.
pub const RECEIVED_BYTES: usize = 512 << 20;
/// Frames of at most this many bytes are bounded by the capacity of the mailboxes alone.
pub const SMALL_FRAME_BYTES: usize = 4 << 10;
/// Names of counters and gauges that one node may register.
pub const MAX_METRICS: usize = 65_536;

/// A peer that does not take a connection within this is unreachable.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// From a connection's first byte to the end of its preface.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// From accepting a connection to its first byte.
pub const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(10);
/// A frame that has begun must be complete within this: 16 MiB at 2 Mbit/s.
pub const FRAME_TIMEOUT: Duration = Duration::from_secs(60);
/// A peer that takes no byte for this long is unreachable.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the reader of a connection waits for room in a full mailbox before it drops the message.
pub const MAILBOX_WAIT: Duration = Duration::from_secs(1);
/// Without traffic and without a connection a peer is forgotten after this.
pub const PEER_IDLE: Duration = Duration::from_secs(60);
/// First pause between two attempts to reach a peer; doubled up to [`REDIAL_MAX`].
pub const REDIAL_MIN: Duration = Duration::from_millis(50);
/// Longest pause between two attempts to reach a peer.
pub const REDIAL_MAX: Duration = Duration::from_secs(2);
/// How long a node that shuts down waits for its actors to end, and then for its queues to empty.
pub const SHUTDOWN_WAIT: Duration = Duration::from_secs(2);
/// One line of complaint of a kind within this; what was left out is counted in the next.
pub const COMPLAINT_EVERY: Duration = Duration::from_secs(1);

/// Largest body of an HTTP request, in bytes.
pub const MAX_REQUEST_BYTES: usize = 16 << 20;
/// Bytes that the bodies of all HTTP requests may take together; further ones are refused with 503.
pub const HTTP_BODIES_BYTES: usize = 256 << 20;
/// Connections that wait for the HTTP server to take them.
pub const HTTP_BACKLOG: usize = 128;
/// Largest head of an HTTP request, in bytes, give or take one read: heads are not written by hand, but cookies add up.
pub const HTTP_HEAD_BYTES: usize = 64 << 10;
/// From the start of an HTTP connection, or the end of a response, to the end of the next request's head.
pub const HTTP_HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// From the head of an HTTP request to the end of its body.
pub const HTTP_BODY_TIMEOUT: Duration = Duration::from_secs(60);
/// A client that takes no byte of a response for this long is gone.
pub const HTTP_WRITE_TIMEOUT: Duration = Duration::from_secs(60);
