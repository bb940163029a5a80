//! A node: one listening socket, and the actors behind it.

mod links;
mod log_level;
mod send;
mod shutdown;
mod spawn;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::thread::ThreadId;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use log_level::LogLevelError;
use log_level::LogLevelHook;
pub(crate) use spawn::Naming;

use crate::actor::Entry;
use crate::complaint::{Complaint, Complaints};
use crate::http::{HttpLimits, HttpServer};
use crate::links::Links;
use crate::net::Peer;
use crate::net::frame::ConnectionError;
use crate::sync::{lock, read, write};
use crate::{
    AskError, BindError, Clock, Counter, Delivery, Filter, Metrics, Pid, Refusal, Verdict, limits, net,
    system,
};

/// How a node is set up.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Where it listens; port 0 takes any that is free.
    pub listen: SocketAddr,
    /// Which address its actors have for others. Default: where it listens; if that is every address of the host, the one
    /// from which the host speaks to others.
    pub advertise: Option<SocketAddr>,
    /// What its actors' times are measured with. Sockets go by the time of the world.
    pub clock: Clock,
    /// How often a peer that has links is asked for a sign of life.
    pub heartbeat: Duration,
    /// A peer with links that gives no sign of life for this long is dead.
    pub silence: Duration,
    /// A peer that does not take a connection within this is unreachable.
    pub connect_timeout: Duration,
    /// Connections that it accepts at a time.
    pub max_connections: usize,
    /// Bounds of its HTTP.
    pub http: HttpLimits,
    /// The actor that serves HTTP paths which begin with no actor's name: `/state` becomes `/master/state`.
    pub delegate: Option<String>,
    /// What `/version` says.
    pub version: BTreeMap<String, serde_json::Value>,
    /// Whether shells call [`Machine::check`](crate::Machine::check) after every input.
    pub check_machines: bool,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            advertise: None,
            clock: Clock::real(),
            heartbeat: Duration::from_secs(5),
            silence: Duration::from_secs(15),
            connect_timeout: limits::CONNECT_TIMEOUT,
            max_connections: limits::MAX_CONNECTIONS,
            http: HttpLimits::default(),
            delegate: None,
            version: BTreeMap::from([("version".to_owned(), env!("CARGO_PKG_VERSION").into())]),
            check_machines: false,
        }
    }
}

/// What came back to a request behind a connection.
pub(crate) enum Answered {
    Body(Bytes),
    Refused(Refusal),
}

struct Pending {
    to: Pid,
    tell: oneshot::Sender<Result<Bytes, AskError>>,
}

/// One listening socket and the actors behind it. Clones are the same node; it goes on until [`Node::shutdown`].
#[derive(Clone)]
pub struct Node(Arc<Inner>);

struct Inner {
    config: NodeConfig,
    address: SocketAddr,
    bound: SocketAddr,
    runtime: Handle,
    thread: ThreadId,
    metrics: Metrics,
    complaints: Complaints,
    frames_sent: Counter,
    bytes_sent: Counter,
    actors: RwLock<HashMap<Arc<str>, Arc<Entry>>>,
    peers: Mutex<HashMap<SocketAddr, Arc<Peer>>>,
    links: Mutex<Links>,
    /// Accepted connections, by where the other side says that it listens, and how to end each.
    accepted: Mutex<HashMap<SocketAddr, BTreeMap<u64, CancellationToken>>>,
    asks: Mutex<HashMap<u64, Pending>>,
    filter: RwLock<Option<Filter>>,
    delegate: RwLock<Option<String>>,
    log_level: RwLock<Option<LogLevelHook>>,
    log_level_now: AtomicU32,
    /// Number of the last change of the log level.
    toggled: AtomicU64,
    /// Bytes of large frames that may still be received.
    received: Arc<Semaphore>,
    /// Connections that may still be accepted.
    connections: Arc<Semaphore>,
    filtered: AtomicBool,
    next_number: AtomicU64,
    /// No more actors.
    stopping: CancellationToken,
    /// Queues are being emptied, nothing more is queued.
    closing: CancellationToken,
    /// Everything ends.
    closed: CancellationToken,
    tasks: TaskTracker,
}

impl Node {
    /// Binds a socket and serves it. Actors are spawned on the thread that calls this, within a `LocalSet`.
    ///
    /// # Errors
    /// If the socket can't be bound.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn bind(config: NodeConfig) -> Result<Self, BindError> {
        let listen = config.listen;
        let refused = |source| BindError::Listen { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(refused)?;
        let bound = listener.local_addr().map_err(refused)?;
        let address = advertised(config.advertise, bound).await;
        let metrics = Metrics::default();
        let node = Self(Arc::new(Inner {
            address,
            bound,
            runtime: Handle::current(),
            thread: std::thread::current().id(),
            complaints: Complaints::new(&metrics),
            frames_sent: metrics.counter("libactor/frames_sent"),
            bytes_sent: metrics.counter("libactor/bytes_sent"),
            actors: RwLock::default(),
            peers: Mutex::default(),
            links: Mutex::default(),
            accepted: Mutex::default(),
            asks: Mutex::default(),
            filter: RwLock::default(),
            delegate: RwLock::new(config.delegate.clone()),
            log_level: RwLock::default(),
            log_level_now: AtomicU32::new(0),
            toggled: AtomicU64::new(0),
            connections: Arc::new(Semaphore::new(config.max_connections)),
            received: Arc::new(Semaphore::new(limits::RECEIVED_BYTES)),
            filtered: AtomicBool::new(false),
            next_number: AtomicU64::new(1),
            stopping: CancellationToken::new(),
            closing: CancellationToken::new(),
            closed: CancellationToken::new(),
            tasks: TaskTracker::new(),
            metrics,
            config,
        }));
        node.publish_gauges();
        node.spawn_task(net::accept(node.clone(), listener, HttpServer::new(&node)));
        Ok(node)
    }

    /// Where its actors are reached.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// Where its socket is bound: elsewhere than [`Node::address`] if another address is advertised.
    pub fn bound_address(&self) -> SocketAddr {
        self.0.bound
    }

    /// What its actors' times are measured with.
    pub fn clock(&self) -> &Clock {
        &self.0.config.clock
    }

    /// Counters and gauges.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// The address that an actor of this name has, or would have.
    pub fn pid(&self, name: &str) -> Pid {
        Pid::new(name, self.address())
    }

    /// Whether there is an actor of this name.
    pub fn has_actor(&self, name: &str) -> bool {
        self.entry(name).is_some()
    }

    /// Watches, or drops, what arrives at this node's actors; `None` takes the filter away. For tests.
    pub fn set_filter(&self, filter: Option<Filter>) {
        self.0.filtered.store(filter.is_some(), Ordering::Release);
        *write(&self.0.filter) = filter;
    }

    /// Names the actor that serves HTTP paths which begin with no actor's name.
    pub fn set_delegate(&self, actor: &str) {
        *write(&self.0.delegate) = Some(actor.to_owned());
    }

    pub(crate) fn delegate(&self) -> Option<String> {
        read(&self.0.delegate).clone()
    }

    /// The actors, by name.
    pub(crate) fn entries(&self) -> Vec<Arc<Entry>> {
        let mut entries: Vec<_> = read(&self.0.actors).values().cloned().collect();
        entries.sort_by(|a, b| a.pid.name().cmp(b.pid.name()));
        entries
    }

    /// Bytes of large frames that may still be received.
    pub(crate) fn received_room(&self) -> &Arc<Semaphore> {
        &self.0.received
    }

    /// Connections that may still be accepted.
    pub(crate) fn connection_slots(&self) -> &Arc<Semaphore> {
        &self.0.connections
    }

    /// Bounds of its HTTP.
    pub fn http_limits(&self) -> &HttpLimits {
        &self.0.config.http
    }

    pub(crate) fn config(&self) -> &NodeConfig {
        &self.0.config
    }

    pub(crate) fn stopping(&self) -> &CancellationToken {
        &self.0.stopping
    }

    pub(crate) fn closing(&self) -> &CancellationToken {
        &self.0.closing
    }

    pub(crate) fn entry(&self, name: &str) -> Option<Arc<Entry>> {
        read(&self.0.actors).get(name).cloned()
    }

    /// A number that nothing else of this node has.
    pub(crate) fn next_number(&self) -> u64 {
        self.0.next_number.fetch_add(1, Ordering::Relaxed)
    }

    /// Frames and bytes that were sent.
    pub(crate) fn sent_counters(&self) -> (Counter, Counter) {
        (self.0.frames_sent.clone(), self.0.bytes_sent.clone())
    }

    pub(crate) fn complain(&self, complaint: Complaint, about: &dyn fmt::Display) {
        self.0.complaints.make(complaint, about);
    }

    pub(crate) fn count_losses(&self, complaint: Complaint, count: u64) {
        self.0.complaints.count(complaint, count);
    }

    pub(crate) fn complain_many(&self, complaint: Complaint, count: u64, about: &dyn fmt::Display) {
        self.0.complaints.make_many(complaint, count, about);
    }

    /// Counts why a connection was closed.
    pub(crate) fn complain_of_connection(&self, peer: SocketAddr, error: &ConnectionError) {
        let complaint = match error {
            ConnectionError::BadPreface => Complaint::BadPreface,
            ConnectionError::Version(_) => Complaint::VersionMismatch,
            ConnectionError::Handshake => Complaint::HandshakeTimeout,
            ConnectionError::Oversized(_) => Complaint::Oversized,
            ConnectionError::Truncated => Complaint::Truncated,
            ConnectionError::BadFrame(_) => Complaint::BadFrame,
            ConnectionError::Names => Complaint::NameTable,
            ConnectionError::Links => Complaint::TooManyLinks,
            ConnectionError::NoRoom => Complaint::NoRoom,
            ConnectionError::Silent(_) | ConnectionError::Stuck => Complaint::SilentPeer,
            ConnectionError::Closed | ConnectionError::Io(_) => return,
        };
        self.complain(complaint, &format_args!("{peer}: {error}"));
    }

    /// Runs something on the node's runtime until it ends or the node has shut down.
    pub(crate) fn spawn_task(&self, task: impl Future<Output = ()> + Send + 'static) {
        let closed = self.0.closed.clone();
        self.0.tasks.spawn_on(
            async move {
                // What must tidy up ends by itself when the node closes; this is for what does not.
                closed.run_until_cancelled_owned(task).await;
            },
            &self.0.runtime,
        );
    }

    /// Asks the filter, if there is one.
    pub(crate) fn passes(&self, from: Option<&Pid>, to: &Pid, message: &str) -> bool {
        if !self.0.filtered.load(Ordering::Acquire) {
            return true;
        }
        let Some(filter) = read(&self.0.filter).clone() else { return true };
        match filter(&Delivery { from, to, message }) {
            Verdict::Pass => true,
            Verdict::Drop => {
                self.complain(Complaint::Filtered, &format_args!("'{message}' to '{to}'"));
                false
            }
        }
    }

    fn publish_gauges(&self) {
        let gauge = |name: &str, read: fn(&Inner) -> usize| {
            let inner = Arc::downgrade(&self.0);
            let read = move || inner.upgrade().map_or(0, |inner| read(&inner)) as f64;
            self.0.metrics.pulled(&format!("libactor/{name}"), read);
        };
        gauge("connections", |inner| inner.config.max_connections - inner.connections.available_permits());
        gauge("actors", |inner| read(&inner.actors).len());
        gauge("peers", |inner| lock(&inner.peers).len());
        gauge("asks_pending", |inner| lock(&inner.asks).len());
        gauge("links_out", |inner| lock(&inner.links).counts().0);
        gauge("links_in", |inner| lock(&inner.links).counts().1);
        gauge("queued_deliveries", |inner| read(&inner.actors).values().map(|entry| entry.queued()).sum());
        system::publish(&self.0.metrics);
        gauge("queued_to_peers", |inner| lock(&inner.peers).values().map(|peer| peer.queued()).sum());
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({})", self.address())
    }
}

/// The address that others use.
async fn advertised(told: Option<SocketAddr>, bound: SocketAddr) -> SocketAddr {
    let mut address = told.unwrap_or(bound);
    if address.port() == 0 {
        address.set_port(bound.port());
    }
    if address.ip().is_unspecified() {
        address.set_ip(outward(address.ip()).await);
    }
    address
}

/// The address from which this host speaks to others: connecting a datagram socket picks it, and sends nothing.
async fn outward(unspecified: IpAddr) -> IpAddr {
    let (any, somewhere, loopback) = match unspecified {
        IpAddr::V4(_) => ("0.0.0.0:0", "192.0.2.1:9", IpAddr::V4(Ipv4Addr::LOCALHOST)),
        IpAddr::V6(_) => ("[::]:0", "[2001:db8::1]:9", IpAddr::V6(std::net::Ipv6Addr::LOCALHOST)),
    };
    let pick = async {
        let socket = tokio::net::UdpSocket::bind(any).await?;
        socket.connect(somewhere).await?;
        Ok::<_, std::io::Error>(socket.local_addr()?.ip())
    };
    pick.await.unwrap_or(loopback)
}
