//! Bounds on single values. Source: Mesos (`src/common/validation.cpp`) where it has one, else ours.

/// Longest identity, in bytes. Source: NAME_MAX, as in Mesos.
pub const MAX_ID_BYTES: usize = 255;
/// Most ranges in one resource: a resource with more is refused, not truncated. Every second port of 65,536 fits,
/// so that no use of ports makes an offer that can't be sent.
pub const MAX_RANGES: usize = 32_768;
/// Most items in one set resource.
pub const MAX_SET_ITEMS: usize = 10_000;
/// Largest scalar, in thousandths: keeps sums over 10^6 agents within 64 bits.
pub const MAX_SCALAR_MILLIS: u64 = 1 << 43;
/// Most resources in one text or JSON value.
pub const MAX_RESOURCES: usize = 10_000;
/// Deepest stack of reservations on one resource.
pub const MAX_RESERVATIONS: usize = 64;
/// Most names that one refusal repeats. Ours.
pub const MAX_NAMED: usize = 100;
/// Most roles of one framework. Ours.
pub const MAX_ROLES: usize = 1_000;
/// Most attributes of one agent.
pub const MAX_ATTRIBUTES: usize = 10_000;
/// Longest duration that the notation accepts, in nanoseconds (292 years). Source: stout's Duration::max().
pub const MAX_DURATION_NANOS: u64 = i64::MAX as u64;
/// Deepest nesting of arrays and objects in JSON that comes. Source: stout's parser.
pub const MAX_JSON_DEPTH: usize = 200;
/// Deepest nesting of messages that are read or printed. Source: protobuf's default, which prost shares.
pub const MAX_MESSAGE_DEPTH: usize = 100;
/// Most bytes of what came that a refusal repeats, and most bytes of names of missing fields. Ours: Mesos repeats all.
pub const MAX_REFUSAL_BYTES: usize = 64 << 10;
/// Most bytes that the elements of the lists and maps of one message take in memory once it is read, without their
/// texts: an element of two bytes can take some thousand. Ours: fifty thousand tasks in one call fit.
pub const MAX_DECODED_BYTES: usize = 256 << 20;
/// How many times the bytes of a message may be joined, in messages within messages that all came in pieces. Ours: no
/// program writes pieces, and one that does hardly at every level.
pub const MAX_JOINED_TIMES: usize = 4;
/// Most bytes of an agent's description, with what its lists take in memory: the masters' registry keeps it, and takes no
/// operation of more than 8 MiB. Ours.
pub const MAX_AGENT_BYTES: usize = 2 << 20;
/// Most bytes of a framework's description, with what its lists take in memory: it goes along with every task. Ours.
pub const MAX_FRAMEWORK_BYTES: usize = 256 << 10;
/// Most bytes of an executor's description, text and data together, with what its lists take in memory. Ours.
pub const MAX_EXECUTOR_BYTES: usize = 1 << 20;
/// Most bytes of a task's description, text and data together, with what its lists take in memory, without its
/// executor. Ours.
pub const MAX_TASK_BYTES: usize = 1 << 20;
/// Most tasks that one call launches or asks about. Ours.
pub const MAX_TASKS_IN_CALL: usize = 50_000;
/// Most tasks of one group. Ours.
pub const MAX_TASKS_IN_GROUP: usize = 1_000;
/// Most bytes of the tasks of one group, its executor counted with each of them: the agent is sent them so, in one frame of 16 MiB. Ours.
pub const MAX_GROUP_BYTES: usize = 15 << 20;
