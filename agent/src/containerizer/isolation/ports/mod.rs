//! `network/ports`: whether a container's processes listen on ports that are not among its resources.
//!
//! The kernel is asked for the listening sockets of the agent's network namespace (`diag`), or where it does not answer that
//! its tables are read (`sockets`), and those that are nobody's are looked for among the containers' processes. Ports that
//! the kernel hands out by itself (`net.ipv4.ip_local_port_range`) are nobody's to take and are left out, unless the agent
//! offers them or a range is named: executors listen on such.

mod diag;
mod sockets;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::resources::Value as ResourceValue;
use protocol::{ContainerId, Ranges, Reason, Resource, Resources};
use serde_json::Value;
use tokio::sync::mpsc;

use super::super::posix;
use super::names;
use super::watcher::{Pace, Watcher, watch};
use super::{Container, IsolationError, Isolator, Known, LaunchPlan, Surroundings};
use crate::core::Limitation;
use sockets::Table;

/// How long is rested between two containers, and after so many open files of one. Ours.
const REST: Duration = Duration::from_millis(1);
const SLICE: usize = 2000;

/// Settings, with the defaults of their flags.
#[derive(Clone, Debug)]
pub struct PortsSettings {
    /// `--container_ports_watch_interval`.
    pub interval: Duration,
    /// `--enforce_container_ports`: whether a container that listens elsewhere is ended.
    pub enforce: bool,
    /// `--container_ports_isolated_range`: only these ports count; absent: all.
    pub isolated: Option<Ranges>,
    /// `--check_agent_port_range_only`: only ports that the agent offers count.
    pub offered_only: bool,
    /// What the agent offers.
    pub offered: Ranges,
}

impl Default for PortsSettings {
    fn default() -> Self {
        let interval = Duration::from_secs(30);
        Self { interval, enforce: false, isolated: None, offered_only: false, offered: Ranges::default() }
    }
}

/// The isolator.
pub struct PortsIsolator {
    watched: Arc<Watched>,
    _watcher: Watcher,
}

struct Watched {
    settings: PortsSettings,
    tree: Option<PathBuf>,
    broken: mpsc::Sender<(ContainerId, Limitation)>,
    containers: Mutex<BTreeMap<ContainerId, Listener>>,
}

#[derive(Clone, Default)]
struct Listener {
    /// Its first process, as soon as it is there.
    pid: Option<u32>,
    ports: Ranges,
    /// What has been said of it.
    said: BTreeSet<(&'static str, u16)>,
}

/// A socket that takes what comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Socket {
    kind: &'static str,
    port: u16,
}

impl PortsIsolator {
    /// `network/ports`.
    ///
    /// # Errors
    /// Nobody tells of sockets here, or there can be no thread.
    pub fn make(around: &Surroundings) -> Result<Arc<dyn Isolator>, String> {
        sockets::listening(Table::Tcp4).map_err(|error| {
            format!("neither netlink (sock_diag) nor /proc/net/tcp tells who listens: {error}; mount /proc")
        })?;
        let settings = around.settings.ports.clone();
        let interval = settings.interval;
        let (tree, broken) = (around.tree.clone(), around.broken.clone());
        let watched = Arc::new(Watched { settings, tree, broken, containers: Mutex::default() });
        let _watcher = watch("network/ports", interval, watched.clone(), Watched::look)?;
        Ok(Arc::new(Self { watched, _watcher }))
    }
}

impl Isolator for PortsIsolator {
    fn name(&self) -> &'static str {
        "network/ports"
    }

    fn prepare(&self, container: &Container<'_>, _plan: &mut LaunchPlan) -> Result<Value, IsolationError> {
        let listener = Listener { ports: container.spec.resources.ranges("ports"), ..Listener::default() };
        self.watched.lock().insert(container.spec.container_id.clone(), listener);
        Ok(Value::Null)
    }

    fn started(&self, container_id: &ContainerId, pid: u32) -> Result<(), IsolationError> {
        if let Some(listener) = self.watched.lock().get_mut(container_id) {
            listener.pid = Some(pid);
        }
        Ok(())
    }

    fn recover(&self, known: &Known<'_>) -> Result<(), IsolationError> {
        let (pid, ports) = (Some(known.pid), known.resources.ranges("ports"));
        let listener = Listener { pid, ports, ..Listener::default() };
        self.watched.lock().insert(known.container_id.clone(), listener);
        Ok(())
    }

    fn update(&self, container_id: &ContainerId, resources: &Resources) -> Result<(), IsolationError> {
        if let Some(listener) = self.watched.lock().get_mut(container_id) {
            listener.ports = resources.ranges("ports");
        }
        Ok(())
    }

    fn cleanup(&self, container_id: &ContainerId) -> Result<(), IsolationError> {
        self.watched.lock().remove(container_id);
        Ok(())
    }
}

impl Watched {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ContainerId, Listener>> {
        self.containers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self, pace: &Pace) {
        let containers = self.lock().clone();
        if containers.is_empty() {
            return;
        }
        let sockets = self.listening();
        if sockets.is_empty() {
            return;
        }
        let own = fs::read_link("/proc/self/ns/net").ok();
        for (container_id, listener) in containers {
            let Some(pid) = listener.pid else { continue };
            let processes = self.processes(&container_id, pid);
            let found = processes.into_iter().find_map(|pid| {
                let here = fs::read_link(format!("/proc/{pid}/ns/net")).ok() == own;
                here.then(|| thief(pid, &sockets, &listener, pace)).flatten().map(|socket| (pid, socket))
            });
            if let Some((pid, socket)) = found {
                self.report(container_id, pid, socket);
            }
            if !pace.rest(REST) {
                return;
            }
        }
    }

    /// The sockets that count, by their inodes.
    fn listening(&self) -> BTreeMap<u64, Socket> {
        let mut all = BTreeMap::new();
        let handed_out = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
        let handed_out = handed_out.ok().and_then(|text| parse_range(&text));
        for table in Table::ALL {
            let found = sockets::listening(table).unwrap_or_else(|error| {
                tracing::warn!(?table, %error, "who listens can't be told");
                sockets::Found::default()
            });
            let counted = found.sockets.into_iter().filter(|(_, port)| self.counts(*port, handed_out));
            all.extend(counted.map(|(inode, port)| (inode, Socket { kind: table.kind(), port })));
        }
        all
    }

    fn counts(&self, port: u16, handed_out: Option<(u16, u16)>) -> bool {
        let is_in =
            |ranges: &Ranges| ranges.contains(&Ranges::from_iter([(u64::from(port), u64::from(port))]));
        let settings = &self.settings;
        match &settings.isolated {
            Some(isolated) => is_in(isolated),
            None if settings.offered_only => is_in(&settings.offered),
            None => {
                is_in(&settings.offered)
                    || handed_out.is_none_or(|(first, last)| !(first..=last).contains(&port))
            }
        }
    }

    /// A container's processes.
    fn processes(&self, container_id: &ContainerId, pid: u32) -> Vec<i32> {
        match &self.tree {
            Some(tree) => below(tree.join(container_id.as_str())),
            None => {
                let main = i32::try_from(pid).unwrap_or(i32::MAX);
                posix::processes()
                    .map_or_else(|_| Vec::new(), |all| posix::members_of(&all, container_id, main))
            }
        }
    }

    fn report(&self, container_id: ContainerId, pid: i32, socket: Socket) {
        let Socket { kind, port } = socket;
        let mut containers = self.lock();
        let Some(listener) = containers.get_mut(&container_id) else { return };
        let name = names::of_process(pid).unwrap_or_default();
        let message = format!(
            "The process '{name}' ({pid}) listens on {kind} port {port}, which is not among the container's ports ({})",
            if listener.ports.is_empty() { "it has none".to_owned() } else { listener.ports.to_string() },
        );
        let new = listener.said.insert((kind, port));
        drop(containers);
        if !self.settings.enforce {
            if new {
                tracing::warn!(%container_id, "{message}");
            }
            return;
        }
        let port = Ranges::from_iter([(u64::from(port), u64::from(port))]);
        let resources = Resources::from_iter([Resource::new("ports", ResourceValue::Ranges(port))]);
        let limitation = Limitation { reason: Reason::ContainerLimitation, message, resources };
        // Nobody listens any more where the agent ends.
        let _ = self.broken.blocking_send((container_id, limitation));
    }
}

/// A socket of a process that is not among its container's ports.
fn thief(pid: i32, sockets: &BTreeMap<u64, Socket>, listener: &Listener, pace: &Pace) -> Option<Socket> {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten().enumerate();
    // Where the agent ends nobody is asked any more.
    let files = files.take_while(|(number, _)| (number + 1) % SLICE != 0 || pace.rest(REST));
    let sockets = files.filter_map(|(_, file)| {
        let target = fs::read_link(file.path()).ok()?;
        let inode = target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()?;
        sockets.get(&inode).copied()
    });
    let stolen = |socket: &Socket| {
        let port = u64::from(socket.port);
        !listener.ports.contains(&Ranges::from_iter([(port, port)]))
    };
    sockets.into_iter().find(stolen)
}

/// The processes of a cgroup and of those below it.
fn below(cgroup: PathBuf) -> Vec<i32> {
    let (mut pids, mut waiting) = (Vec::new(), vec![cgroup]);
    while let Some(cgroup) = waiting.pop() {
        let text = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
        pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
        let entries = fs::read_dir(cgroup).into_iter().flatten().flatten();
        waiting.extend(
            entries
                .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                .map(|entry| entry.path()),
        );
    }
    pids
}

fn parse_range(text: &str) -> Option<(u16, u16)> {
    let mut numbers = text.split_ascii_whitespace().map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::super::IsolationSettings;
    use super::super::testing::surroundings;
    use super::*;

    fn range(first: u16, last: u16) -> Ranges {
        Ranges::from_iter([(u64::from(first), u64::from(last))])
    }

    #[test]
    fn the_kernels_range_is_read() {
        assert_eq!(parse_range("32768\t60999\n"), Some((32768, 60999)));
        assert_eq!((parse_range(""), parse_range("1 x")), (None, None));
    }

    #[test]
    fn which_ports_count_is_as_it_was_said() {
        let counts = |settings: PortsSettings, port| {
            let (broken, _) = mpsc::channel(1);
            let watched = Watched { settings, tree: None, broken, containers: Mutex::default() };
            watched.counts(port, Some((32768, 60999)))
        };
        let settings = PortsSettings { offered: range(50000, 51000), ..PortsSettings::default() };
        for (port, counted) in [(80, true), (40000, false), (50500, true)] {
            assert_eq!(counts(settings.clone(), port), counted, "{port}");
        }
        let offered = PortsSettings { offered_only: true, ..settings.clone() };
        assert!(!counts(offered.clone(), 80) && counts(offered, 50500));
        let isolated = PortsSettings { isolated: Some(range(40000, 40000)), ..settings };
        assert!(counts(isolated.clone(), 40000) && !counts(isolated, 50500));
    }

    /// This process plays a container's first one.
    #[test]
    fn a_process_that_listens_elsewhere_is_named() {
        let place = tempfile::tempdir().unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        for (port, kind) in
            [(tcp.local_addr().unwrap().port(), "TCP"), (udp.local_addr().unwrap().port(), "UDP")]
        {
            let ports = PortsSettings {
                interval: Duration::from_millis(5),
                enforce: true,
                isolated: Some(range(port, port)),
                ..PortsSettings::default()
            };
            let settings = IsolationSettings { ports, ..IsolationSettings::default() };
            let (mut around, mut broken) = surroundings(place.path(), settings);
            around.tree = Some(place.path().to_owned());
            fs::create_dir_all(place.path().join("c/inner")).unwrap();
            fs::write(place.path().join("c/inner/cgroup.procs"), format!("{}\n", std::process::id()))
                .unwrap();
            let isolator = PortsIsolator::make(&around).unwrap();
            let (container_id, state): (ContainerId, _) = ("c".into(), Value::Null);
            let own: Resources = format!("ports:[{port}-{port}]").parse().unwrap();
            let known = Known {
                container_id: &container_id,
                pid: std::process::id(),
                sandbox: place.path(),
                resources: &own,
                state: &state,
            };
            isolator.recover(&known).unwrap();
            // It has the port; then it has another one.
            let other: Resources = "ports:[1-2]".parse().unwrap();
            isolator.update(&container_id, &other).unwrap();
            let (whose, limitation) = broken.blocking_recv().unwrap();
            assert_eq!((whose, limitation.reason), (container_id, Reason::ContainerLimitation));
            let named =
                format!("listens on {kind} port {port}, which is not among the container's ports ([1-2])");
            assert!(limitation.message.contains(&named), "{}", limitation.message);
        }
    }
}
