//! Bounds of replication: nothing that another replica says makes this one grow without end, or stop.

/// Members of a cluster, voters and learners together; two more may be known of in between.
pub const MAX_MEMBERS: usize = 31;
/// Raft messages in a parcel.
pub const MAX_MESSAGES_PER_PARCEL: usize = 4096;
/// Bytes of raft messages that are put into one parcel; a single message may be larger. Far below a frame's bound.
pub const PARCEL_BYTES: usize = 2 << 20;
/// Entries in a raft message.
pub const MAX_ENTRIES_PER_MESSAGE: usize = 65_536;
/// Bytes of entries that raft puts into one message; a single entry may be larger.
pub const MESSAGE_BYTES: u64 = 1 << 20;
/// Operations of one turn go into one entry up to this size.
pub const ENTRY_BYTES: usize = 64 << 10;
/// Operations that are encoded at once.
pub const MAX_OPERATIONS_PER_ENTRY: usize = 1024;
/// The largest operation: one that is larger is refused.
pub const MAX_OPERATION_BYTES: usize = 8 << 20;
/// The largest entry that is taken from another replica.
pub const MAX_ENTRY_BYTES: usize = MAX_OPERATION_BYTES + (64 << 10);
/// A change of members, as raft encodes it: raft's parser sees no more than this.
pub const MAX_CHANGE_BYTES: usize = 512;
/// What goes with a raft message for its sender's use.
pub const MAX_CONTEXT_BYTES: usize = 64;
/// Terms and indexes: above this nothing is believed, so that counting on never overflows.
pub const MAX_COUNT: u64 = 1 << 62;
/// Entries of this lead that are not committed yet, in bytes; what comes then waits.
pub const MAX_UNCOMMITTED_BYTES: u64 = 64 << 20;
/// Committed entries that are applied at once, in bytes.
pub const MAX_APPLIED_AT_ONCE: u64 = 16 << 20;
/// Raft messages with entries that are under way to one follower.
pub const MAX_INFLIGHT_MESSAGES: usize = 256;
/// Operations that wait to be proposed: what comes then is refused.
pub const MAX_WAITING_OPERATIONS: usize = 1 << 20;
/// The size of an encoded snapshot's piece.
pub const PIECE_BYTES: usize = 1 << 20;
/// The largest encoded snapshot that is taken from another replica.
pub const MAX_SNAPSHOT_BYTES: u64 = 4 << 30;
/// When a snapshot has this size, the registry takes no more than goes out of it.
pub const FULL_REGISTRY_BYTES: u64 = 2 << 30;
/// Actors that are told who leads.
pub const MAX_WATCHERS: usize = 200_000;
/// Operators' questions that wait for the leader.
pub const MAX_READS: usize = 1024;
/// Senders that are not wanted and were told so lately.
pub const MAX_REFUSED: usize = 64;
/// The longest reason that another replica may give.
pub const MAX_REASON_BYTES: usize = 1024;

/// An answer, or a piece of a snapshot, that does not come within so many election timeouts is asked for again.
pub const RETRY_ELECTIONS: u64 = 1;
/// Operators' reads are given up after so many election timeouts without a leader's word.
pub const READ_ELECTIONS: u64 = 40;
/// A follower that pulls no pieces for so many election timeouts has failed to take its snapshot.
pub const SNAPSHOT_ELECTIONS: u64 = 8;
/// A new master has so many election timeouts to catch up, else the operator is told.
pub const CATCH_UP_ELECTIONS: u64 = 1200;
/// A change of members that is proposed is to be applied within so many election timeouts.
pub const CHANGE_ELECTIONS: u64 = 120;
/// A master that was let go has so many election timeouts to hear of it from the log, before it is told.
pub const LET_GO_ELECTIONS: u64 = 4;
/// The next leader is to lead within so many election timeouts.
pub const TRANSFER_ELECTIONS: u64 = 6;
/// A new master votes when it lacks at most so many entries.
pub const CATCH_UP_ENTRIES: u64 = 64;
/// While a follower pulls a snapshot the next one waits, until the log is so many times longer than it should be.
pub const PATIENCE_WITH_PULLERS: u64 = 8;
