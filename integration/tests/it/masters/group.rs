//! Three masters and an agent as processes, each on a host of its own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use libactor::Clock;
use serde_json::{Value, json};

use super::hosts::Hosts;
use crate::daemons::Daemon;
use crate::http::PATIENCE;

/// How many masters.
const MASTERS: u8 = 3;
const PORT: u16 = 5050;
/// How long one request to a master that may be gone takes at most.
const MOMENT: Duration = Duration::from_secs(2);

pub(crate) struct Group<'a> {
    hosts: &'a Hosts,
    directory: &'a Path,
    masters: Vec<Option<Daemon>>,
    _agent: Daemon,
}

impl<'a> Group<'a> {
    pub(crate) fn start(hosts: &'a Hosts, directory: &'a Path) -> Self {
        let masters = (1..=MASTERS).map(|id| Some(start_master(hosts, directory, id))).collect();
        let agent = hosts.on(MASTERS + 1, || {
            Daemon::start(&[
                "agent",
                &format!("--work_dir={}", directory.join("agent").display()),
                &format!("--master={}", addresses(hosts)),
                &format!("--ip={}", hosts.address(MASTERS + 1)),
                "--port=5051",
                "--resources=cpus:4;mem:2048;disk:1024",
            ])
        });
        Self { hosts, directory, masters, _agent: agent }
    }

    /// How many hosts it needs.
    pub(crate) const HOSTS: u8 = MASTERS + 1;

    pub(crate) fn addresses(&self) -> String {
        addresses(self.hosts)
    }

    pub(crate) fn master(&self, id: u8) -> &Daemon {
        self.masters[usize::from(id) - 1].as_ref().expect("it runs")
    }

    pub(crate) fn kill(&mut self, id: u8) {
        drop(self.masters[usize::from(id) - 1].take());
    }

    pub(crate) fn restart(&mut self, id: u8) {
        self.masters[usize::from(id) - 1] = Some(start_master(self.hosts, self.directory, id));
    }

    /// Waits until all masters but one agree that another one leads; says which, and after how long.
    pub(crate) fn leader(&self, but: Option<u8>) -> (u8, Duration) {
        let clock = Clock::real();
        let begin = clock.now();
        loop {
            let asked: Vec<u8> = (1..=MASTERS).filter(|id| Some(*id) != but).collect();
            let named: Vec<Option<u64>> = asked.iter().map(|id| self.named_by(*id)).collect();
            if let Some(leader) = named[0]
                && named.iter().all(|other| *other == Some(leader))
                && but.is_none_or(|but| u64::from(but) != leader)
            {
                return (leader as u8, clock.now().since(begin));
            }
            assert!(clock.now().since(begin) < PATIENCE, "no leader but {but:?}: {asked:?} say {named:?}");
            // Nothing tells a client on HTTP that a leader is elected.
            super::wait(Duration::from_millis(20));
        }
    }

    fn named_by(&self, id: u8) -> Option<u64> {
        self.ask(id, "GET", "/masters/status", None)?.1["leader"].as_u64()
    }

    /// Sets a weight; whether that was acknowledged.
    pub(crate) fn set_weight(&self, id: u8, role: &str, weight: f64) -> bool {
        let infos = json!([{ "role": role, "weight": weight }]);
        let call = json!({ "type": "UPDATE_WEIGHTS", "update_weights": { "weight_infos": infos } });
        self.ask(id, "POST", "/api/v1", Some(&call)).is_some_and(|(status, _)| status == 200)
    }

    /// The roles whose weight is set.
    pub(crate) fn weighed(&self, id: u8) -> Vec<String> {
        let (_, answer) =
            self.ask(id, "POST", "/api/v1", Some(&json!({ "type": "GET_WEIGHTS" }))).expect("it leads");
        let infos = answer["get_weights"]["weight_infos"].as_array().cloned().unwrap_or_default();
        infos.iter().filter_map(|info| Some(info["role"].as_str()?.to_owned())).collect()
    }

    /// The registry, as one of the masters has it.
    pub(crate) fn registry(&self, id: u8) -> Value {
        self.ask(id, "GET", "/masters/registry", None).expect("it answers").1
    }

    /// Asks a master from the hub; `None` where nothing comes.
    fn ask(&self, id: u8, method: &str, path: &str, body: Option<&Value>) -> Option<(u16, Value)> {
        let address = SocketAddr::from((self.hosts.address(id), PORT));
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = self.hosts.on(0, || {
            let mut stream = TcpStream::connect_timeout(&address, MOMENT).ok()?;
            stream.set_read_timeout(Some(MOMENT)).ok()?;
            stream.write_all(request.as_bytes()).ok()?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).ok()?;
            Some(String::from_utf8_lossy(&answer).into_owned())
        })?;
        let status = answer.split(' ').nth(1)?.parse().ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let whole = if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
            unchunked(body)
        } else {
            body.to_owned()
        };
        Some((status, serde_json::from_str(&whole).unwrap_or(Value::Null)))
    }
}

fn unchunked(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let Ok(length) = usize::from_str_radix(length, 16) else { break };
        let Some(chunk) = rest.get(..length) else { break };
        whole.push_str(chunk);
        body = rest.get(length + 2..).unwrap_or_default();
    }
    whole
}

fn addresses(hosts: &Hosts) -> String {
    let all: Vec<String> = (1..=MASTERS).map(|id| format!("{}:{PORT}", hosts.address(id))).collect();
    all.join(",")
}

fn start_master(hosts: &Hosts, directory: &Path, id: u8) -> Daemon {
    let peers: Vec<String> = (1..=MASTERS).map(|id| format!("{id}={}:{PORT}", hosts.address(id))).collect();
    hosts.on(id, || {
        Daemon::start(&[
            "master",
            &format!("--id={id}"),
            &format!("--peers={}", peers.join(",")),
            &format!("--work_dir={}", directory.join(format!("master-{id}")).display()),
            &format!("--ip={}", hosts.address(id)),
            &format!("--port={PORT}"),
            "--allocation_interval=200ms",
        ])
    })
}
