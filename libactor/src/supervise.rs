//! Supervision: an actor that fails is made again.

use std::time::Duration;

use actix::{Actor, Context};
use tokio::sync::oneshot;

use crate::actor::Ending;
use crate::{Install, Me, Node, Pid, SpawnError};

/// How long a supervisor waits before it makes an actor again: `min` after the first failure, twice as long after each
/// further one, at most `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure.
    pub min: Duration,
    /// At most.
    pub max: Duration,
    /// After a life of this length the next failure counts as the first.
    pub reset_after: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            min: Duration::from_millis(100),
            max: Duration::from_secs(30),
            reset_after: Duration::from_secs(60),
        }
    }
}

/// Starts an actor as [`Node::spawn`] does, and makes it again, under the same name, after it has failed: it panicked (in
/// builds whose panics unwind; others end the process), or called [`Me::fail`]. An actor that stops is left to rest.
///
/// Each life begins from nothing: what waited for the old one is dropped, who had linked to it gets its `Exited`. Between
/// two lives there is no such actor. Times are those of the node's clock.
///
/// # Errors
/// As [`Node::spawn`], for the first life.
///
/// # Panics
/// As [`Node::spawn`].
pub fn supervise<A, F, I>(
    node: &Node,
    name: &str,
    mut make: F,
    mut install: I,
    backoff: Backoff,
) -> Result<Pid, SpawnError>
where
    A: Actor<Context = Context<A>>,
    F: FnMut(Me) -> A + 'static,
    I: FnMut(&mut Install<A>) + 'static,
{
    let (told, mut ended) = oneshot::channel();
    let pid = node.spawn_watched(name, &mut make, &mut install, Some(told))?.pid().clone();
    let (node, name) = (node.clone(), name.to_owned());
    let restarts = node.metrics().counter("libactor/actors_restarted");
    tokio::task::spawn_local(async move {
        let mut pause = backoff.min;
        loop {
            let born = node.clock().now();
            let Ok(Ending::Failed(_)) = ended.await else { return };
            if node.clock().now().since(born) >= backoff.reset_after {
                pause = backoff.min;
            }
            loop {
                let sleep = node.clock().sleep(pause);
                tracing::info!("'{name}' is made again in {pause:?}");
                pause = (pause * 2).min(backoff.max);
                if node.stopping().run_until_cancelled(sleep).await.is_none() {
                    return;
                }
                let (told, next) = oneshot::channel();
                ended = next;
                match node.spawn_watched(&name, &mut make, &mut install, Some(told)) {
                    Ok(_) => break,
                    // Somebody else has the name for now.
                    Err(SpawnError::NameTaken(_)) => {}
                    Err(_) => return,
                }
            }
            restarts.increment();
        }
    });
    Ok(pid)
}
