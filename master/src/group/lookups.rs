//! Where masters are: names are looked up beside the machine, a few at a time.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use libactor::{Pid, ShellHandle};
use tokio::sync::Semaphore;

use crate::registry::MemberId;
use crate::replication::{self, Input};

/// Names that are looked up at a time, each on a thread of its own that may hang for a while. Ours.
const AT_A_TIME: usize = 4;

/// What is being looked up.
pub(super) struct Lookups {
    threads: Arc<Semaphore>,
    /// Asked for again, they are under way already.
    open: Arc<Mutex<BTreeSet<(MemberId, String)>>>,
}

impl Lookups {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self { threads: Arc::new(Semaphore::new(AT_A_TIME)), open: Arc::default() }
    }

    /// Looks up where a master is, and tells the replica.
    pub(super) fn start(&self, id: MemberId, address: String, replica: &ShellHandle<Input>) {
        if !lock(&self.open).insert((id, address.clone())) {
            return;
        }
        let (threads, open, replica) = (self.threads.clone(), self.open.clone(), replica.clone());
        tokio::spawn(async move {
            let found = find(&threads, &address, replica.me().node().address()).await;
            if found.is_none() {
                tracing::warn!(master = %id, address, "no address belongs to the name of a master");
            }
            lock(&open).remove(&(id, address));
            let pid = found.map(|found| Pid::new(replication::NAME, found));
            // An error means that the replica has ended.
            let _ = replica.feed(Input::Resolved { id, pid }).await;
        });
    }
}

/// The address of `host:port`; of several, one of the kind that this node has.
async fn find(threads: &Semaphore, address: &str, own: SocketAddr) -> Option<SocketAddr> {
    if let Ok(address) = address.parse() {
        return Some(address);
    }
    let _turn = threads.acquire().await.ok()?;
    let found: Vec<_> = tokio::net::lookup_host(address).await.ok()?.collect();
    let alike = found.iter().find(|found| found.is_ipv4() == own.is_ipv4());
    alike.or(found.first()).copied()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_have_addresses_or_none() {
        let threads = Semaphore::new(1);
        let own: SocketAddr = "127.0.0.1:5050".parse().unwrap();
        let of = async |text: &str| find(&threads, text, own).await;
        assert_eq!(of("10.0.0.1:5050").await, Some("10.0.0.1:5050".parse().unwrap()));
        assert_eq!(of("localhost:5051").await, Some("127.0.0.1:5051".parse().unwrap()));
        for nothing in ["", "localhost", "no such host:5050"] {
            assert_eq!(of(nothing).await, None, "{nothing}");
        }
    }
}
