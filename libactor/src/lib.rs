//! A libprocess-style actor runtime on actix and tokio.

mod actor;
mod clock;
mod codec;
mod complaint;
mod error;
mod filter;
pub mod http;
pub mod limits;
mod links;
pub mod machine;
mod message;
mod metrics;
mod net;
mod node;
mod pid;
pub mod shell;
#[cfg(feature = "sim")]
pub mod sim;
mod supervise;
mod sync;
mod time;

pub use actor::{Answer, Install, Me, OnExited, Receive, Reply, TimerHandle};
pub use clock::{Clock, Sleep};
pub use error::{AskError, BindError, SendError, SpawnError};
pub use filter::{Delivery, Filter, Verdict};
pub use http::{HttpBody, HttpRequest, HttpResponse};
pub use machine::{Machine, Random};
pub use message::{Message, Refusal, Request, message_name};
pub use metrics::{Counter, Gauge, Metrics};
pub use node::{Node, NodeConfig};
pub use pid::{MAX_NAME_BYTES, ParsePidError, Pid, valid_name};
pub use shell::{Accept, Edge, ShellHandle};
pub use supervise::{Backoff, supervise};
pub use time::{Time, Timers};
