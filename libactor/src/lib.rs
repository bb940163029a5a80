//! A libprocess-style actor runtime on actix and tokio.
//!
//! A [`Node`] is one listening socket and the actors behind it; a [`Pid`] (`name@ip:port`) is an actor's address. Actors are
//! ordinary actix actors that were given a name and a bounded mailbox by [`Node::spawn`]. They [`tell`](Me::tell),
//! [`send`](Me::send) and [`ask`](Me::ask) one another, in one process or in several, through the same calls; they
//! [`link`](Me::link) to one another and get one `Exited` when the other is gone; they serve HTTP on the node's port.
//!
//! # Map
//! | what | where |
//! |---|---|
//! | nodes: sockets, actors, sending | [`Node`], [`NodeConfig`] |
//! | addresses | [`Pid`] |
//! | what travels | [`Message`], [`Request`], [`message_name`] |
//! | actors: what they take, their handle to themselves | [`Receive`], [`Answer`], [`OnExited`], [`Install`], [`Me`] |
//! | components that decide, as plain data | [`machine`], [`shell`] |
//! | the way to a machine, looks at it | [`Feeder`], [`View`] |
//! | what handles of a driver share with its session | [`driver`] |
//! | who leads a group of nodes | [`detect`] |
//! | actors that are made again | [`supervise`](supervise()), [`Backoff`] |
//! | time, randomness | [`Clock`], [`Time`], [`Timers`]; [`Random`], [`entropy`](entropy()) |
//! | HTTP | [`http`] |
//! | files over HTTP | [`files`] |
//! | metrics | [`Metrics`] |
//! | the processes of this machine | [`processes`] |
//! | watching and dropping messages in tests | [`Filter`] |
//! | every bound | [`limits`] |
//! | whole clusters on virtual time (feature `sim`) | `sim` |
//!
//! What is promised, with the test that holds it, stands in `SEMANTICS.md`.
//!
//! All of it runs on one current-thread tokio runtime with a `LocalSet`: actors need the `LocalSet`, the sockets' tasks only
//! the runtime. No actix `System` and no `Arbiter` is needed.
//!
//! # Example
//! ```
//! use std::time::Duration;
//!
//! use actix::{Actor, Context};
//! use libactor::{Answer, Node, NodeConfig, Pid, Reply, Request};
//! use serde::{Deserialize, Serialize};
//!
//! /// The name of the container is the message's name on the wire.
//! #[derive(Serialize, Deserialize)]
//! #[serde(rename = "example.Add")]
//! struct Add(u64);
//!
//! impl Request for Add {
//!     type Reply = u64;
//! }
//!
//! struct Counter(u64);
//!
//! impl Actor for Counter {
//!     type Context = Context<Self>;
//! }
//!
//! impl Answer<Add> for Counter {
//!     fn answer(&mut self, Add(number): Add, _: Option<Pid>, reply: Reply<u64>, _: &mut Context<Self>) {
//!         self.0 += number;
//!         reply.send(self.0);
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let actors = tokio::task::LocalSet::new();
//! actors
//!     .run_until(async {
//!         let node = Node::bind(NodeConfig::default()).await?;
//!         let counter = node.spawn("counter", |_| Counter(40), |install| {
//!             install.request::<Add>();
//!         })?;
//!         // Any other process reaches it by the same address.
//!         let other = Node::bind(NodeConfig::default()).await?;
//!         let sum = other.ask(&counter, Add(2), Duration::from_secs(5)).await?;
//!         assert_eq!(sum, 42);
//!         other.shutdown().await;
//!         node.shutdown().await;
//!         Ok(())
//!     })
//!     .await
//! # }
//! ```

mod actor;
mod clock;
mod codec;
mod complaint;
pub mod detect;
pub mod driver;
mod entropy;
mod error;
pub mod files;
mod filter;
pub mod http;
#[cfg(feature = "journal")]
pub mod journal;
pub mod limits;
mod links;
pub mod machine;
mod message;
mod metrics;
mod net;
mod node;
mod pid;
pub mod pipe;
pub mod processes;
pub mod shell;
#[cfg(feature = "sim")]
pub mod sim;
mod supervise;
mod sync;
mod system;
mod time;
mod view;

pub use actor::{Answer, Install, Me, OnExited, Receive, Reply, TimerHandle};
pub use clock::{Clock, Sleep};
pub use entropy::entropy;
pub use error::{AskError, BindError, SendError, SpawnError};
pub use filter::{Delivery, Filter, Verdict};
pub use http::{HttpBody, HttpRequest, HttpResponse};
pub use machine::{Machine, Random};
pub use message::{Message, Refusal, Request, message_name};
pub use metrics::{Counter, Gauge, Metrics};
pub use node::{LogLevelError, Node, NodeConfig};
pub use pid::{MAX_NAME_BYTES, ParsePidError, Pid, valid_name};
pub use shell::{Accept, Edge, ShellHandle};
pub use supervise::{Backoff, supervise};
pub use time::{Time, Timers};
pub use view::{Feeder, NotFed, View};
