//! Talks to masters: a node and a small actor of the command's own, which they answer to.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix::{Actor, Context};
use libactor::{Install, Me, Node, NodeConfig, OnExited, Pid, Receive};
use master::group::{Answer, Call, MembersAnswer};
use master::replication::{self, MembersRequest};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::super::Failure;

/// The name of the actor that is answered to.
const NAME: &str = "operator";
/// A master whose host does not take a connection within this is away.
const CONNECT: Duration = Duration::from_secs(2);

/// Why a master has not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Silence {
    /// Its name leads nowhere.
    #[error("{0}")]
    Nowhere(String),
    /// There is no master, or there is none any more.
    #[error("no master is there")]
    Gone,
    /// It has the question and says nothing.
    #[error("no answer within {} ms", .0.as_millis())]
    Late(Duration),
}

/// The way to all masters, by the address of this host that they are reached from. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Lines(Arc<Mutex<BTreeMap<IpAddr, Line>>>);

/// The way to those masters that are reached from one address of this host.
#[derive(Clone, Debug)]
struct Line {
    node: Node,
    me: Me,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Debug, Default)]
struct Waiting {
    last: u64,
    open: BTreeMap<u64, (Pid, oneshot::Sender<MembersAnswer>)>,
}

/// What masters answer to.
struct Operator {
    waiting: Arc<Mutex<Waiting>>,
}

impl Actor for Operator {
    type Context = Context<Self>;
}

impl Receive<Answer> for Operator {
    fn receive(&mut self, answer: Answer, _: Option<Pid>, _: &mut Context<Self>) {
        if let Some((_, asker)) = lock(&self.waiting).open.remove(&answer.number) {
            // Who has given up does not want it any more.
            let _ = asker.send(answer.answer);
        }
    }
}

impl OnExited for Operator {
    fn exited(&mut self, pid: Pid, _: &mut Context<Self>) {
        lock(&self.waiting).open.retain(|_, (asked, _)| *asked != pid);
    }
}

impl Lines {
    /// Asks a master, and waits for its answer for so long.
    ///
    /// # Errors
    /// See [`Silence`]: what was asked may have been done.
    pub async fn ask(
        &self,
        to: &Pid,
        request: MembersRequest,
        limit: Duration,
    ) -> Result<MembersAnswer, Silence> {
        let line = self.line(to.address()).await.map_err(|error| Silence::Nowhere(error.to_string()))?;
        let (sender, receiver) = oneshot::channel();
        let number = {
            let mut waiting = lock(&line.waiting);
            waiting.last += 1;
            let number = waiting.last;
            waiting.open.insert(number, (to.clone(), sender));
            number
        };
        line.me.link(to);
        line.me.tell(to, Call { number, request }).map_err(|error| Silence::Nowhere(error.to_string()))?;
        let answer = timeout(limit, receiver).await;
        lock(&line.waiting).open.remove(&number);
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(Silence::Gone),
            Err(_) => Err(Silence::Late(limit)),
        }
    }

    async fn line(&self, toward: SocketAddr) -> Result<Line, Failure> {
        let from = local_ip(toward)?;
        if let Some(line) = lock(&self.0).get(&from) {
            return Ok(line.clone());
        }
        let listen = SocketAddr::new(from, 0);
        let config = NodeConfig { listen, connect_timeout: CONNECT, ..NodeConfig::default() };
        let node = Node::bind(config).await?;
        let waiting = Arc::<Mutex<Waiting>>::default();
        let mut own = None;
        let make = |me: Me| {
            own = Some(me);
            Operator { waiting: waiting.clone() }
        };
        node.spawn(NAME, make, |install: &mut Install<Operator>| {
            install.message::<Answer>();
            install.exited();
        })?;
        let me = own.ok_or("the actor was not made")?;
        let line = Line { node, me, waiting };
        // Another may have been made meanwhile: that one stays.
        Ok(lock(&self.0).entry(from).or_insert(line).clone())
    }

    /// Lets go of all masters.
    pub async fn close(&self) {
        let lines = std::mem::take(&mut *lock(&self.0));
        for line in lines.into_values() {
            line.node.shutdown().await;
        }
    }
}

/// The replica of the master at `host:port`.
///
/// # Errors
/// No address belongs to that name.
pub async fn replica_at(address: &str) -> Result<Pid, Silence> {
    let failed =
        |why: &dyn std::fmt::Display| Silence::Nowhere(format!("the name can't be looked up: {why}"));
    let found = tokio::net::lookup_host(address).await.map_err(|error| failed(&error))?;
    let mut found: Vec<SocketAddr> = found.collect();
    found.sort_by_key(SocketAddr::is_ipv6);
    let first = found.first().ok_or_else(|| failed(&"no address belongs to it"))?;
    Ok(Pid::new(replication::NAME, *first))
}

/// The address of this host that leads there, for the answer must find the way back.
fn local_ip(toward: SocketAddr) -> std::io::Result<IpAddr> {
    // Connecting a datagram socket sends nothing: it only asks the routing table.
    let any: SocketAddr = if toward.is_ipv6() { ([0u16; 8], 0).into() } else { ([0u8; 4], 0).into() };
    let socket = UdpSocket::bind(any)?;
    socket.connect(toward)?;
    Ok(socket.local_addr()?.ip())
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
