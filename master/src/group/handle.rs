//! A master that runs, as its process sees it.

use std::fmt;
use std::sync::Arc;

use libactor::{Node, Pid};
use tokio::sync::watch;

use crate::edge::Api;
use crate::edge::masters::Questions;
use crate::edge::snapshot::Snapshot;
use crate::replication::{self, Disposition, MembersRequest, ReplicaAnswer};
use crate::shell::NAME;

/// Why a master's process must end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// For its operator, with the way out.
    pub message: String,
    /// Whether that is a failure.
    pub failed: bool,
}

/// A master that runs. Clones are the same master; dropping them does not end it.
#[derive(Clone)]
pub struct GroupHandle {
    pub(super) node: Node,
    pub(super) standing: watch::Receiver<Disposition>,
    pub(super) ended: watch::Receiver<Option<Ended>>,
    /// The master machine that leads here, if one does.
    pub(super) leading: watch::Receiver<Option<Arc<Api>>>,
    pub(super) questions: Arc<Questions>,
}

impl GroupHandle {
    /// The actor `master` of this master: the machine while it leads, else a standby.
    pub fn pid(&self) -> Pid {
        self.node.pid(NAME)
    }

    /// The actor `masters`: the replica.
    pub fn replica(&self) -> Pid {
        self.node.pid(replication::NAME)
    }

    /// Who leads, as far as this master knows; [`Disposition::Leading`] from the moment that its machine takes messages.
    pub fn standing(&self) -> watch::Receiver<Disposition> {
        self.standing.clone()
    }

    /// Waits until this master leads, and its machine takes messages. `false`: it has ended before.
    ///
    /// # Cancel safety
    /// Dropping it is all that is needed.
    pub async fn leads(&self) -> bool {
        let mut standing = self.standing.clone();
        standing.wait_for(|standing| *standing == Disposition::Leading).await.is_ok()
    }

    /// Waits until the process must end, and says why.
    ///
    /// # Cancel safety
    /// Dropping it is all that is needed.
    pub async fn ended(&self) -> Ended {
        let mut ended = self.ended.clone();
        // It was stopped from outside, or has panicked: who waits here wants to know.
        let message = "The master has stopped without saying why";
        let stopped = || Ended { message: message.to_owned(), failed: true };
        match ended.wait_for(Option::is_some).await {
            Ok(ended) => ended.clone().unwrap_or_else(stopped),
            Err(_) => stopped(),
        }
    }

    /// What the master machine knows now; `None` where it does not lead, or too many ask.
    pub async fn snapshot(&self) -> Option<Snapshot> {
        let leading = self.leading.borrow().clone();
        leading?.view.ask().await
    }

    /// Asks the replica, as operators do.
    ///
    /// # Cancel safety
    /// Dropped before it ends, the question may be carried out all the same.
    pub async fn ask(&self, request: MembersRequest) -> ReplicaAnswer {
        let answer = self.questions.ask(request).await;
        answer.unwrap_or_else(|why| ReplicaAnswer::Refused(why.to_string()))
    }

    /// Ends the replica, and with it the master: those who are linked to them are told.
    pub fn stop(&self) {
        // `false` means that it has ended already.
        let _ = self.node.stop(replication::NAME);
    }
}

impl fmt::Debug for GroupHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GroupHandle({})", self.pid())
    }
}
