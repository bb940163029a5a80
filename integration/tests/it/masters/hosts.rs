//! Hosts of our own on one machine: network namespaces on one bridge, which lies in a namespace of its own.

use std::fs::File;
use std::net::Ipv4Addr;
use std::process::Command;

use nix::sched::{CloneFlags, setns};

/// Some hosts, and the network between them; taken away with their scope.
pub(crate) struct Hosts {
    name: String,
    count: u8,
}

impl Hosts {
    /// Makes hosts 1 to `count`, or says why this machine can't.
    pub(crate) fn make(count: u8) -> Result<Self, String> {
        if !nix::unistd::geteuid().is_root() {
            return Err("network namespaces need root".to_owned());
        }
        let hosts = Self { name: format!("meseta-{}", std::process::id()), count };
        hosts.build()?;
        Ok(hosts)
    }

    fn build(&self) -> Result<(), String> {
        let hub = self.hub();
        ip(&format!("netns add {hub}"))?;
        ip(&format!("-n {hub} link set lo up"))?;
        ip(&format!("-n {hub} link add bridge type bridge"))?;
        ip(&format!("-n {hub} link set bridge up"))?;
        ip(&format!("-n {hub} addr add {}/24 dev bridge", self.address(0)))?;
        for host in 1..=self.count {
            let name = self.of(host);
            ip(&format!("netns add {name}"))?;
            ip(&format!("-n {hub} link add h{host} type veth peer name eth0 netns {name}"))?;
            ip(&format!("-n {hub} link set h{host} master bridge up"))?;
            ip(&format!("-n {name} link set lo up"))?;
            ip(&format!("-n {name} addr add {}/24 dev eth0", self.address(host)))?;
            ip(&format!("-n {name} link set eth0 up"))?;
        }
        Ok(())
    }

    fn hub(&self) -> String {
        format!("{}-hub", self.name)
    }

    fn of(&self, host: u8) -> String {
        match host {
            0 => self.hub(),
            host => format!("{}-{host}", self.name),
        }
    }

    /// Where a host is; 0: the hub, which reaches all of them.
    pub(crate) fn address(&self, host: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, 0, if host == 0 { 254 } else { host })
    }

    /// Does something on a host: its sockets, threads and processes are there.
    pub(crate) fn on<T: Send>(&self, host: u8, act: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/run/netns/{}", self.of(host))).expect("the host is there");
        std::thread::scope(|threads| {
            let acting = threads.spawn(|| {
                setns(namespace, CloneFlags::CLONE_NEWNET).expect("root may enter it");
                act()
            });
            acting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Pulls a host's cable, or puts it back.
    pub(crate) fn connect(&self, host: u8, connected: bool) {
        let state = if connected { "up" } else { "down" };
        ip(&format!("-n {} link set h{host} {state}", self.hub())).expect("the link is there");
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for host in 0..=self.count {
            // One that could not be made can't be taken away.
            let _ = ip(&format!("netns del {}", self.of(host)));
        }
    }
}

fn ip(words: &str) -> Result<(), String> {
    let output = Command::new("ip").args(words.split(' ')).output();
    let output = output.map_err(|error| format!("ip can't be run: {error}"))?;
    let why = || format!("ip {words}: {}", String::from_utf8_lossy(&output.stderr).trim());
    output.status.success().then_some(()).ok_or_else(why)
}
