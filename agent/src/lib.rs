//! Meseta's agent: offers a machine's resources to the master, runs executors, and carries what they report.
//!
//! | module | what it holds |
//! |---|---|
//! | [`core`] | the agent machine: all that is decided |
//! | [`checkpoint`] | where the agent keeps what it must not forget |
//! | [`containerizer`] | where executors run |
//! | [`fetcher`] | what a command's URIs name, brought into its sandbox |
//! | [`launch`] | what the launcher does between the agent and the executor |
//! | [`edge`] | the machine's resources, what the agent shows over HTTP |
//! | [`sandbox_gc`] | sandboxes of runs that are over are removed in time |
//! | [`shell`] | the machine at work: [`shell::start`] |
//! | [`steps`] | named moments, at which tests end the process |
//!
//! The machine decides without waiting, reading a clock or touching a file: it is fed inputs and asks for outputs.
//!
//! ```
//! use agent::core::{Agent, AgentConfig, Input, Output};
//! use libactor::detect::Leader;
//! use libactor::{Machine, Time};
//! use protocol::{AgentInfo, messages::AgentCall};
//!
//! let info = AgentInfo {
//!     hostname: "node7".into(),
//!     port: 5051,
//!     resources: "cpus:4;mem:2048".parse()?,
//!     attributes: Default::default(),
//!     id: None,
//! };
//! let pid = "slave(1)@10.0.0.7:5051".parse()?;
//! let mut agent = Agent::new(AgentConfig::new(pid, info, "0.1.0"), 42, Time::default());
//! let mut asked = Vec::new();
//! // It has forgotten nothing, for it is new; what runs here without its knowledge is ended.
//! agent.handle(Time::default(), Input::Begin, &mut asked);
//! assert!(matches!(asked.pop(), Some(Output::Recover { .. })));
//! agent.handle(Time::default(), Input::Recovered { containers: Default::default() }, &mut asked);
//! let master = Some(Leader { pid: "master@10.0.0.1:5050".parse()?, epoch: 1 });
//! agent.handle(Time::default(), Input::MasterDetected { master }, &mut asked);
//! assert!(matches!(asked[0], Output::Link { .. }));
//! assert!(matches!(&asked[1], Output::ToMaster { call: AgentCall::Register { .. }, .. }));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod account;
pub mod checkpoint;
pub mod containerizer;
pub mod core;
pub mod edge;
pub mod fetcher;
mod os;
pub mod sandbox_gc;
pub mod shell;
pub mod steps;

pub use containerizer::launch;
