//! The one thread that a daemon's actors run on, the signals that end it, and its address.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};

use libactor::http::HttpLimits;
use libactor::{BindError, Node, NodeConfig};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::about;

/// Tasks that run before sockets are looked at again: what has just come waits for as many turns, and one may copy a piece
/// of a large answer.
const EVENT_INTERVAL: u32 = 8;

/// Runs a future, and the actors that it starts, on this thread.
///
/// # Errors
/// The runtime can't be made (no file descriptors left), or what the future says.
pub fn block_on<T, E: From<io::Error>>(future: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().event_interval(EVENT_INTERVAL).build()?;
    tokio::task::LocalSet::new().block_on(&runtime, future)
}

/// Lets this process have as many descriptors as it may: connections and containers take some each, and systems begin with
/// 1024, for programs that use `select`. What it starts from then on inherits that.
pub fn open_many_files() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(%error, "the number of files that may be open stays as it is");
    }
}

/// The signals that ask a process to end.
#[derive(Debug)]
pub struct EndSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl EndSignals {
    /// From now on they no longer end the process by themselves.
    ///
    /// # Errors
    /// The handlers can't be installed.
    pub fn listen() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for one; says its number.
    pub async fn next(&mut self) -> i32 {
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => SignalKind::interrupt().as_raw_value(),
            _ = self.terminate.recv() => SignalKind::terminate().as_raw_value(),
        }
    }
}

/// The signal that asks an agent to end its executors and leave for good.
#[derive(Debug)]
pub struct LeaveSignal(Signal);

impl LeaveSignal {
    /// From now on it no longer ends the process by itself.
    ///
    /// # Errors
    /// The handler can't be installed.
    pub fn listen() -> io::Result<Self> {
        Ok(Self(signal(SignalKind::user_defined1())?))
    }

    /// Waits for it.
    pub async fn next(&mut self) {
        self.0.recv().await;
    }
}

/// Why a node can't listen: says how to mend it.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {problem}")]
pub struct ListenError {
    address: SocketAddr,
    problem: String,
}

/// Where a daemon listens and how others reach it.
#[derive(Clone, Debug)]
pub struct Listen {
    /// The address to listen on.
    pub ip: IpAddr,
    /// The port to listen on; 0: any.
    pub port: u16,
    /// Where others reach it, if elsewhere.
    pub advertise_ip: Option<IpAddr>,
    /// Where others reach it, if elsewhere.
    pub advertise_port: Option<u16>,
    /// What it takes of those who speak HTTP.
    pub http: HttpLimits,
}

impl Listen {
    /// Opens the node's socket; HTTP paths that name no actor are the delegate's.
    ///
    /// # Errors
    /// The port is in use, the address isn't this machine's, or this machine has no address that others reach it by.
    pub async fn bind(self, delegate: &str) -> Result<Node, ListenError> {
        let refused = |problem: String| ListenError { address: SocketAddr::new(self.ip, self.port), problem };
        let listen = SocketAddr::new(self.ip, self.port);
        let advertise = match (self.advertise_ip, self.advertise_port) {
            (None, None) => None,
            (ip, port) => {
                let ip = ip.or_else(|| (!self.ip.is_unspecified()).then_some(self.ip));
                let ip = ip.ok_or_else(|| refused("--advertise_port needs --advertise_ip or --ip".into()))?;
                Some(SocketAddr::new(ip, port.unwrap_or(self.port)))
            }
        };
        let config = NodeConfig {
            listen,
            advertise,
            delegate: Some(delegate.to_owned()),
            http: self.http,
            version: about::version_shown(),
            ..NodeConfig::default()
        };
        Node::bind(config).await.map_err(|BindError::Listen { source, .. }| {
            refused(match source.kind() {
                io::ErrorKind::AddrInUse => {
                    "the port is in use; stop what uses it or give another --port".into()
                }
                io::ErrorKind::AddrNotAvailable => {
                    "this machine has no such address; give another --ip".into()
                }
                io::ErrorKind::PermissionDenied => {
                    "the port needs more rights; give a --port above 1023".into()
                }
                _ => source.to_string(),
            })
        })
    }
}
