//! Starting and ending actors.

use std::sync::Arc;

use actix::{Actor, AsyncContext, Context};
use tokio::sync::{mpsc, oneshot};

use super::Node;
use crate::actor::{Drain, Ending, Entry, Install, Me};
use crate::sync::{lock, write};
use crate::{Pid, SpawnError, valid_name};

/// How an actor gets its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Naming {
    /// Nobody has it.
    New,
    /// Who has it ends, and this one has it from the same moment.
    InPlace,
}

impl Node {
    /// Starts an actor under a name. `make` gets the actor's handle to itself; `install` says what the actor takes.
    ///
    /// # Errors
    /// If the name is taken or is none, the node has shut down, or this is another thread than the node's.
    ///
    /// # Panics
    /// Outside of a `LocalSet`.
    pub fn spawn<A, F, I>(&self, name: &str, make: F, install: I) -> Result<Pid, SpawnError>
    where
        A: Actor<Context = Context<A>>,
        F: FnOnce(Me) -> A,
        I: FnOnce(&mut Install<A>),
    {
        self.spawn_as(name, Naming::New, make, install, None).map(|me| me.pid().clone())
    }

    /// As [`Node::spawn`]; says how it ended.
    pub(crate) fn spawn_watched<A, F, I>(
        &self,
        name: &str,
        make: F,
        install: I,
        told: Option<oneshot::Sender<Ending>>,
    ) -> Result<Me, SpawnError>
    where
        A: Actor<Context = Context<A>>,
        F: FnOnce(Me) -> A,
        I: FnOnce(&mut Install<A>),
    {
        self.spawn_as(name, Naming::New, make, install, told)
    }

    /// As [`Node::spawn`], under a name that is new or another actor's as `naming` says.
    pub(crate) fn spawn_as<A, F, I>(
        &self,
        name: &str,
        naming: Naming,
        make: F,
        install: I,
        told: Option<oneshot::Sender<Ending>>,
    ) -> Result<Me, SpawnError>
    where
        A: Actor<Context = Context<A>>,
        F: FnOnce(Me) -> A,
        I: FnOnce(&mut Install<A>),
    {
        if !valid_name(name) || self.pid(name).stream_id().is_some() {
            return Err(SpawnError::BadName(name.chars().take(80).collect()));
        }
        if std::thread::current().id() != self.0.thread {
            return Err(SpawnError::WrongThread);
        }
        let mut installed = Install::new();
        install(&mut installed);
        let (mailbox, letters) = mpsc::channel(installed.capacity);
        let mut entry = Entry::new(self.pid(name), self.next_number(), mailbox);
        entry.by_type = std::mem::take(&mut installed.by_type);
        entry.by_name = std::mem::take(&mut installed.by_name);
        entry.routes = std::mem::take(&mut installed.routes);
        let entry = Arc::new(entry);
        self.give_name(&entry, naming)?;
        // From here on the drain takes the name back when it is dropped.
        let drain = Drain::new(self.clone(), entry.clone(), letters, installed, told);
        let me = Me { node: self.clone(), entry };
        let handed = me.clone();
        A::create(move |ctx| {
            ctx.spawn(drain);
            make(handed)
        });
        Ok(me)
    }

    /// From here on who looks for the name finds this actor.
    fn give_name(&self, entry: &Arc<Entry>, naming: Naming) -> Result<(), SpawnError> {
        // In this order, as where a link is made: links to the one before end, those that are made from now on do not.
        let mut links = lock(&self.0.links);
        let mut actors = write(&self.0.actors);
        if self.0.stopping.is_cancelled() {
            return Err(SpawnError::ShutDown);
        }
        let name = entry.pid.name();
        if naming == Naming::New && actors.contains_key(name) {
            return Err(SpawnError::NameTaken(name.to_owned()));
        }
        let Some(before) = actors.insert(entry.pid.shared_name(), entry.clone()) else { return Ok(()) };
        let from_here = links.id_of(&entry.pid).and_then(|id| links.end(id));
        let from_elsewhere = links.end_inward(name);
        drop((links, actors));
        before.stop.cancel();
        self.tell_watchers(from_here);
        self.tell_connections(from_elsewhere);
        Ok(())
    }

    /// Ends an actor of this node after the message in hand; what else waits for it is dropped. `false`: there is none.
    pub fn stop(&self, name: &str) -> bool {
        match self.entry(name) {
            Some(entry) => {
                entry.stop.cancel();
                true
            }
            None => false,
        }
    }

    /// An actor is gone: its name is free, its links end, who has linked to it is told.
    pub(crate) fn actor_ended(&self, entry: &Arc<Entry>) {
        self.drop_links_of(entry.life);
        {
            let mut actors = write(&self.0.actors);
            if actors.get(entry.pid.name()).is_none_or(|known| known.life != entry.life) {
                // Another one took its place: what was linked to it was told then.
                return;
            }
            actors.remove(entry.pid.name());
        }
        self.end_links_to(&entry.pid);
        self.end_links_from_elsewhere(entry.pid.name());
    }
}
