//! Where a session lives: its actor on a node, the thread of callbacks, the detector of the leading master.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use libactor::detect::{self, Address};
use libactor::driver::panic_message;
use libactor::shell::{self, Accept, Edge, ShellHandle};
use libactor::{Me, Node, NodeConfig, Pid};
use protocol::Uuid;
use protocol::messages::{Event, MASTERS};
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;

use crate::core::{Callback, Input, Output, Session, SessionConfig};
use crate::shared::Shared;
use crate::{Scheduler, SchedulerDriver, Status};

/// How a session ended, and why where it was not asked to.
type End = (Status, Option<String>);

/// What a driver is started with.
pub(crate) struct Start {
    pub(crate) scheduler: Box<dyn Scheduler>,
    pub(crate) config: SessionConfig,
    pub(crate) masters: Vec<Address>,
    pub(crate) calls: mpsc::Receiver<Input>,
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) node: Option<Node>,
}

/// Carries out what the session asks for.
struct MasterEdge {
    /// To the thread of callbacks: there is room for one, and there is never more than one. Gone when the session is over.
    callbacks: Option<SyncSender<Callback>>,
    shell: Option<ShellHandle<Input>>,
    shared: Arc<Shared>,
    ended: Option<oneshot::Sender<End>>,
}

impl Edge<Session> for MasterEdge {
    fn started(&mut self, shell: &ShellHandle<Input>) {
        self.shell = Some(shell.clone());
    }

    fn carry_out(&mut self, output: Output, me: &Me) {
        match output {
            Output::Link { pid } => me.link(&pid),
            Output::Unlink { pid } => me.unlink(&pid),
            Output::Send { to, call } => {
                // Kept for the report: only a full queue needs it, which is rare, but by then the call is gone.
                let copy = matches!(call.call, protocol::messages::Call::Accept { .. }).then(|| call.clone());
                if let Err(error) = me.tell(&to, call) {
                    tracing::warn!(%error, "a call to the master was not sent");
                    if let Some(call) = copy {
                        self.feed(Input::NotSent { call: Box::new(call) });
                    }
                }
            }
            Output::Callback(callback) => {
                if matches!(callback, Callback::Error(_)) {
                    self.shared.settle(Status::Aborted);
                }
                let taken = self.callbacks.as_ref().is_some_and(|sender| sender.try_send(callback).is_ok());
                if !taken {
                    self.feed(Input::CallbackPanicked { message: "nobody takes callbacks".to_owned() });
                }
            }
            Output::Terminate { status, error } => {
                self.callbacks = None;
                if let Some(ended) = self.ended.take() {
                    // Nobody waits any more if the node is being shut down.
                    let _ = ended.send((status, error));
                }
            }
        }
    }

    fn exited(&mut self, pid: Pid) -> Option<Input> {
        Some(Input::Exited { pid })
    }
}

impl MasterEdge {
    fn feed(&self, input: Input) {
        if let Some(shell) = &self.shell
            && shell.try_feed(input).is_err()
        {
            tracing::warn!("the session's queue is full");
        }
    }
}

impl Accept<Event, Session> for MasterEdge {
    fn input(&mut self, from: Pid, message: Event) -> Option<Input> {
        Some(Input::Master { from, event: message })
    }
}

/// Starts a driver on its node, or on a thread and a node of its own.
pub(crate) fn start(driver: SchedulerDriver, mut start: Start) {
    let shared = driver.shared().clone();
    if let Some(node) = start.node.take() {
        tokio::task::spawn_local(async move {
            let (status, error) = attend(&node, driver, start).await;
            shared.end(status, error);
        });
        return;
    }
    let spawned = std::thread::Builder::new().name("scheduler-driver".into()).spawn({
        let shared = shared.clone();
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let (status, error) = match runtime {
                Ok(runtime) => LocalSet::new().block_on(&runtime, on_own_node(driver, start)),
                Err(error) => (Status::Aborted, Some(format!("no runtime for the driver: {error}"))),
            };
            shared.end(status, error);
        }
    });
    if let Err(error) = spawned {
        shared.end(Status::Aborted, Some(format!("no thread for the driver: {error}")));
    }
}

async fn on_own_node(driver: SchedulerDriver, start: Start) -> End {
    let listen = match start.listen {
        Some(listen) => listen,
        None => reachable_address(&start.masters).await,
    };
    match Node::bind(NodeConfig { listen, check_machines: cfg!(debug_assertions), ..NodeConfig::default() })
        .await
    {
        Ok(node) => {
            let end = attend(&node, driver, start).await;
            node.shutdown().await;
            end
        }
        Err(error) => (Status::Aborted, Some(error.to_string())),
    }
}

/// The address of this host that leads to the masters, for they must find the way back.
async fn reachable_address(masters: &[Address]) -> SocketAddr {
    let variable = |name| std::env::var(name).ok();
    let port = variable("LIBPROCESS_PORT").and_then(|port| port.parse().ok()).unwrap_or(0);
    if let Some(ip) = variable("LIBPROCESS_IP").and_then(|ip| ip.parse::<IpAddr>().ok()) {
        return SocketAddr::new(ip, port);
    }
    for master in masters {
        for found in detect::resolve(master).await.unwrap_or_default() {
            // Connecting a datagram socket sends nothing: it only asks the routing table.
            let any: SocketAddr = if found.is_ipv6() { ([0u16; 8], 0).into() } else { ([0u8; 4], 0).into() };
            let local = UdpSocket::bind(any).and_then(|socket| {
                socket.connect(found)?;
                socket.local_addr()
            });
            if let Ok(local) = local {
                return SocketAddr::new(local.ip(), port);
            }
        }
    }
    SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)
}

/// Runs a session to its end.
async fn attend(node: &Node, driver: SchedulerDriver, start: Start) -> End {
    let Start { scheduler, config, masters, mut calls, .. } = start;
    let shared = driver.shared().clone();
    let (callbacks, waiting) = sync_channel(1);
    let thread = std::thread::Builder::new()
        .name("scheduler-callbacks".into())
        .spawn(move || call_back(&driver, scheduler, &waiting));
    if let Err(error) = thread {
        return (Status::Aborted, Some(format!("no thread for callbacks: {error}")));
    }
    let (sender, mut ended) = oneshot::channel();
    let edge =
        MasterEdge { callbacks: Some(callbacks), shell: None, shared: shared.clone(), ended: Some(sender) };
    let name = format!("scheduler-{}", Uuid::from_random(u128::from(seed()) << 64 | u128::from(seed())));
    let spawned = shell::spawn(node, &name, Session::new(config), edge, |install| {
        install.message::<Event>();
    });
    let detected = detect::spawn(node, &format!("detector-of-{name}"), MASTERS, masters);
    let (shell, mut leader) = match spawned.and_then(|(_, shell)| Ok((shell, detected?))) {
        Ok(both) => both,
        Err(error) => return (Status::Aborted, Some(error.to_string())),
    };
    let mut next = Some(Input::Start);
    let mut detecting = true;
    loop {
        if let Some(input) = next.take() {
            // The end of the session is seen below.
            let _ = shell.feed(input).await;
        }
        if shared.take_overflow() {
            next = Some(Input::CallsOverflowed);
            continue;
        }
        tokio::select! {
            biased;
            end = &mut ended => {
                // Only now: what was fed meanwhile has been taken, and ignored.
                shell.me().stop();
                return end.unwrap_or((Status::Aborted, Some("the node was shut down".to_owned())));
            }
            // An error means that the node is being shut down.
            changed = leader.changed(), if detecting => {
                detecting = changed.is_ok();
                next = Some(Input::MasterDetected { master: leader.borrow_and_update().clone() });
            }
            input = calls.recv() => next = input,
        }
    }
}

/// The thread of callbacks.
fn call_back(driver: &SchedulerDriver, mut scheduler: Box<dyn Scheduler>, callbacks: &Receiver<Callback>) {
    driver.shared().calls_back_on(std::thread::current().id());
    while let Ok(callback) = callbacks.recv() {
        let result = catch_unwind(AssertUnwindSafe(|| dispatch(driver, &mut *scheduler, callback)));
        match result {
            Ok(()) => driver.shared().returned(Input::CallbackReturned),
            Err(panic) => {
                driver.shared().returned(Input::CallbackPanicked { message: panic_message(&*panic) });
                // Its state may be broken in the middle of a change: it is not even dropped.
                return std::mem::forget(scheduler);
            }
        }
    }
}

fn dispatch(driver: &SchedulerDriver, scheduler: &mut dyn Scheduler, callback: Callback) {
    match callback {
        Callback::Registered { framework_id, master } => {
            scheduler.registered(driver, &framework_id, &master);
        }
        Callback::Reregistered { master } => scheduler.reregistered(driver, &master),
        Callback::Disconnected => scheduler.disconnected(driver),
        Callback::Offers(offers) => scheduler.resource_offers(driver, offers),
        Callback::Rescinded(offer_id) => scheduler.offer_rescinded(driver, &offer_id),
        Callback::Update(status) => scheduler.status_update(driver, &status),
        Callback::Message { executor_id, agent_id, data } => {
            scheduler.framework_message(driver, &executor_id, &agent_id, data);
        }
        Callback::AgentLost(agent_id) => scheduler.agent_lost(driver, &agent_id),
        Callback::ExecutorLost { executor_id, agent_id, status } => {
            scheduler.executor_lost(driver, &executor_id, &agent_id, status);
        }
        Callback::Error(message) => scheduler.error(driver, &message),
    }
}

/// Randomness for jitter and names.
///
/// # Panics
/// If the system has none.
pub(crate) fn seed() -> u64 {
    getrandom::u64().expect("the system has randomness")
}
