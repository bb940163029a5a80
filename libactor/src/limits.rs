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
/// Room kept for one read from a pipe, in bytes: what goes over one is a task's life, for thousands of them.
pub const PIPE_READ_BYTES: usize = 2 << 10;
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
/// Longest pause between two attempts to reach a peer: no longer than who looks for a leader waits ([`DETECT_RETRY_MAX`]).
pub const REDIAL_MAX: Duration = Duration::from_secs(1);
/// How long a node that shuts down waits for its actors to end, and then for its queues to empty.
pub const SHUTDOWN_WAIT: Duration = Duration::from_secs(2);
/// One line of complaint of a kind within this; what was left out is counted in the next.
pub const COMPLAINT_EVERY: Duration = Duration::from_secs(1);

/// Nodes of a group that a detector may be given.
pub const DETECT_ADDRESSES: usize = 64;
/// Nodes that a detector watches beside those that it was given: twice what any group has.
pub const DETECT_MEMBERS: usize = 16;
/// Actors that may watch who leads: more than a cluster has agents and frameworks. Others are answered once.
pub const DETECT_WATCHERS: usize = 131_072;
/// First pause between two attempts to watch a node; doubled up to [`DETECT_RETRY_MAX`], and shortened by up to half.
pub const DETECT_RETRY_MIN: Duration = Duration::from_millis(50);
/// Longest pause between two attempts to watch a node: whoever comes back is found within about this time.
pub const DETECT_RETRY_MAX: Duration = Duration::from_secs(1);
/// How long looking up the name of a node may take.
pub const DETECT_RESOLVE: Duration = Duration::from_secs(10);
/// A node that has not answered within this is asked again; doubled up to [`DETECT_ANSWER_MAX`].
pub const DETECT_ANSWER_MIN: Duration = Duration::from_secs(1);
/// The longest that a node which does not answer is left alone: it may stand still, and answers when it goes on.
pub const DETECT_ANSWER_MAX: Duration = Duration::from_secs(10);
/// A node that has answered is asked again after this, or half of it: its news may have been lost. 50,000 watchers are a thousand
/// questions a second.
pub const DETECT_REFRESH: Duration = Duration::from_secs(60);

/// Largest body of an HTTP request, in bytes.
pub const MAX_REQUEST_BYTES: usize = 16 << 20;
/// Bytes that the bodies of all HTTP requests may take together; further ones are refused with 503.
pub const HTTP_BODIES_BYTES: usize = 256 << 20;
/// Connections that speak HTTP at a time: as many schedulers and tools, and half of all connections for nodes.
pub const HTTP_CONNECTIONS: usize = 8192;
/// Largest head of an HTTP request, in bytes: heads are not written by hand, but cookies add up. Mesos takes 80 KiB.
pub const HTTP_HEAD_BYTES: usize = 128 << 10;
/// Header fields of an HTTP request.
pub const HTTP_HEAD_FIELDS: usize = 100;
/// From the start of an HTTP connection, or the end of a response, to the end of the next request's head.
pub const HTTP_HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// From the head of an HTTP request to the end of its body.
pub const HTTP_BODY_TIMEOUT: Duration = Duration::from_secs(60);
/// A client that takes no byte of a response for this long is gone.
pub const HTTP_WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a client that was refused may go on sending: closing at once would take the refusal from it.
pub const HTTP_LINGER: Duration = Duration::from_secs(2);
/// Bytes that wait for the client of one stream before it is looked at whether the client reads.
pub const HTTP_STREAM_BYTES: usize = 1 << 20;
/// A client that takes no byte for this long while bytes wait does not read: many round trips of any network.
pub const HTTP_STALLED: Duration = Duration::from_millis(250);
/// Bytes that may wait for the client of one stream in any case, unless they are one chunk: a burst of one turn, such as
/// the answer to a framework of half a million tasks that asks about all of them.
pub const HTTP_STREAM_MAX_BYTES: usize = 256 << 20;
/// Bytes that may wait for the clients of all streams of a node together.
pub const HTTP_STREAMS_BYTES: usize = 512 << 20;
/// Pieces of a large body, in bytes, and as much of it as one connection sends before others get their turn: copying a
/// piece to a socket takes some tens of microseconds.
pub const SHARED_CHUNK_BYTES: usize = 64 << 10;
/// A shared body that is complete with at most this many bytes before its first reader's head is sent has a length there.
pub const SHARED_SMALL_BYTES: usize = 1 << 20;
/// Bytes of one shared body: the state of a cluster of 50,000 agents and 250,000 tasks is a quarter of it.
pub const SHARED_BODY_BYTES: usize = 2 << 30;
/// Bytes of all shared bodies of a process that some reader still holds.
pub const SHARED_BODIES_BYTES: usize = 4 << 30;
/// Shared bodies, and compressions, that are worked on at a time, at most; fewer where there are less than twice as many
/// processors: the others are for the cluster and its clients.
pub const HTTP_WORKERS: usize = 4;
/// Bodies of requests up to this many bytes are read where they are: less than a thread costs.
pub const HTTP_LARGE_BODY_BYTES: usize = 64 << 10;
/// A body of at least this many bytes is sent as gzip to whom that is welcome, as in Mesos.
pub const GZIP_MIN_BYTES: usize = 1024;
/// A body of at most this many bytes is compressed at once; others on another thread.
pub const GZIP_INLINE_BYTES: usize = 16 << 10;
/// Longest path and query of an HTTP request, in bytes: what the parser takes.
pub const HTTP_URI_BYTES: usize = 65_534;
/// Bytes of later requests that are read while a response is on its way, in order to see the end of the connection.
pub const HTTP_AHEAD_BYTES: usize = 64 << 10;
/// Longest name of a function that JSON is wrapped in, in bytes.
pub const MAX_JSONP_BYTES: usize = 128;
/// Longest time for which the log level can be changed.
pub const MAX_LOG_LEVEL_CHANGE: Duration = Duration::from_secs(365 * 86_400);
