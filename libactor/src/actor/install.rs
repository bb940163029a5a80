//! What an actor takes.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use actix::{Actor, Context};

use super::{Answer, Decode, Incoming, Installed, OnExited, Receive, Reply, Route};
use crate::http::{HttpRequest, HttpResponse};
use crate::limits::MAILBOX_CAPACITY;
use crate::{Message, Pid, Request, codec, message_name};

pub(crate) type Handle<A> = Box<dyn FnMut(&mut A, Incoming, &mut Context<A>)>;
pub(crate) type HandleExited<A> = fn(&mut A, Pid, &mut Context<A>);
pub(crate) type HandleTurn<A> = fn(&mut A, &mut Context<A>);

/// Takes down what an actor takes while it is spawned.
pub struct Install<A: Actor<Context = Context<A>>> {
    pub(crate) handlers: Vec<Handle<A>>,
    pub(crate) by_type: HashMap<TypeId, Installed>,
    pub(crate) by_name: HashMap<&'static str, TypeId>,
    pub(crate) exited: Option<HandleExited<A>>,
    pub(crate) after_turn: Option<HandleTurn<A>>,
    pub(crate) routes: Vec<Route>,
    pub(crate) capacity: usize,
}

impl<A: Actor<Context = Context<A>>> Install<A> {
    pub(crate) fn new() -> Self {
        Self {
            handlers: Vec::new(),
            by_type: HashMap::new(),
            by_name: HashMap::new(),
            exited: None,
            after_turn: None,
            routes: Vec::new(),
            capacity: MAILBOX_CAPACITY,
        }
    }

    /// How many deliveries the mailbox holds, in place of [`MAILBOX_CAPACITY`].
    ///
    /// # Panics
    /// If it is zero.
    pub fn mailbox(&mut self, capacity: usize) -> &mut Self {
        assert!(capacity > 0, "a mailbox holds something");
        self.capacity = capacity;
        self
    }

    /// The actor takes messages of this type, from this process and others.
    ///
    /// # Panics
    /// If the type has no name on the wire, or the actor has installed the type or its name already.
    pub fn message<M: Message>(&mut self) -> &mut Self
    where
        A: Receive<M>,
    {
        self.message_with::<M>(|actor, message, from, ctx| actor.receive(message, from, ctx))
    }

    pub(crate) fn message_with<M: Message>(
        &mut self,
        handle: impl Fn(&mut A, M, Option<Pid>, &mut Context<A>) + 'static,
    ) -> &mut Self {
        self.add::<M>(Some(decode::<M>), wire_name::<M>(), false, move |actor, incoming, ctx| {
            handle(actor, open::<M>(incoming.message), incoming.from, ctx);
        })
    }

    /// The actor answers requests of this type, from this process and others.
    ///
    /// # Panics
    /// As [`Install::message`].
    pub fn request<M: Request>(&mut self) -> &mut Self
    where
        A: Answer<M>,
    {
        self.add::<M>(Some(decode::<M>), wire_name::<M>(), true, |actor, incoming, ctx| {
            actor.answer(open::<M>(incoming.message), incoming.from, Reply::new(incoming.reply), ctx);
        })
    }

    /// A message that never leaves the process.
    pub(crate) fn local<T: Send + 'static>(
        &mut self,
        handle: impl Fn(&mut A, T, &mut Context<A>) + 'static,
    ) -> &mut Self {
        self.add::<T>(None, "", false, move |actor, incoming, ctx| {
            handle(actor, open::<T>(incoming.message), ctx);
        })
    }

    /// The actor is told when those that it has linked to are gone.
    pub fn exited(&mut self) -> &mut Self
    where
        A: OnExited,
    {
        self.exited_with(A::exited)
    }

    pub(crate) fn exited_with(&mut self, handle: HandleExited<A>) -> &mut Self {
        self.exited = Some(handle);
        self
    }

    /// Called after each turn in which deliveries were handled.
    pub(crate) fn after_turn(&mut self, handle: HandleTurn<A>) {
        self.after_turn = Some(handle);
    }

    /// Serves an HTTP path: `/state` of the actor `master` is `/master/state`, and all below it that has no route of its own.
    /// The handler runs beside the actor, not in it: it asks the actor, or reads what the actor has published.
    ///
    /// # Panics
    /// If the path does not begin with `/`, or the actor has it already.
    pub fn route<F, R>(&mut self, path: &str, help: &str, handler: F) -> &mut Self
    where
        F: Fn(HttpRequest) -> R + Send + Sync + 'static,
        R: Future<Output = HttpResponse> + Send + 'static,
    {
        assert!(path.starts_with('/'), "a route begins with '/': '{path}'");
        assert!(self.routes.iter().all(|route| route.path != path), "the route '{path}' is there already");
        let handler: crate::http::Handler = Arc::new(move |request| Box::pin(handler(request)));
        self.routes.push(Route { path: path.to_owned(), help: help.to_owned(), handler });
        self
    }

    fn add<T: Send + 'static>(
        &mut self,
        decode: Option<Decode>,
        name: &'static str,
        request: bool,
        handle: impl FnMut(&mut A, Incoming, &mut Context<A>) + 'static,
    ) -> &mut Self {
        let installed = Installed { handler: self.handlers.len(), request, name, decode };
        let twice = self.by_type.insert(TypeId::of::<T>(), installed).is_some()
            || (decode.is_some() && self.by_name.insert(name, TypeId::of::<T>()).is_some());
        assert!(!twice, "'{}' ('{name}') is installed twice", std::any::type_name::<T>());
        self.handlers.push(Box::new(handle));
        self
    }
}

fn wire_name<M: Message>() -> &'static str {
    message_name::<M>().unwrap_or_else(|| panic!("'{}' has no name on the wire", std::any::type_name::<M>()))
}

fn decode<M: Message>(bytes: &[u8]) -> Result<Box<dyn Any + Send>, String> {
    Ok(Box::new(codec::decode::<M>(bytes)?))
}

fn open<T: 'static>(message: Box<dyn Any + Send>) -> T {
    *message.downcast().expect("a message is looked up by its type")
}
