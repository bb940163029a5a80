//! The shell: the one generic actor that feeds a [`Machine`] from its mailbox and carries out what it asks for.
//!
//! Messages, ends of links and what an edge's own tasks report all come through one bounded mailbox, in order. After each
//! input the machine's outputs are carried out in order; at the end of a turn, which may hold many inputs, the edge gets a
//! look at the machine ([`Edge::after`]) and the one timer is set to [`Machine::deadline`].

use std::any::TypeId;
use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;

use actix::fut::WrapFuture;
use actix::{Actor, ActorFutureExt, AsyncContext, Context, SpawnHandle};
use tokio::sync::mpsc::error::TrySendError;

use crate::actor::{Incoming, Letter, ReplySlot};
use crate::http::{HttpRequest, HttpResponse};
use crate::node::Naming;
use crate::{Clock, Install, Machine, Me, Message, Node, Pid, SendError, SpawnError, Time};

/// The name of the sender of a message that no actor sent.
pub const NOBODY: &str = "__nobody__";

/// Speaks to the world on behalf of a machine.
pub trait Edge<M: Machine>: Sized + 'static {
    /// Called once, before the first input.
    fn started(&mut self, shell: &ShellHandle<M::Input>) {
        let _ = shell;
    }

    /// Does one thing that the machine asks for. It must not wait: what takes time is started, and its result fed back.
    fn carry_out(&mut self, output: M::Output, me: &Me);

    /// An actor that was linked to is gone.
    fn exited(&mut self, pid: Pid) -> Option<M::Input>;

    /// Called at the end of each turn, for example to publish a snapshot.
    fn after(&mut self, machine: &M, now: Time) {
        let _ = (machine, now);
    }

    /// Called once, at the actor's end.
    fn stopped(&mut self, machine: &M) {
        let _ = machine;
    }
}

/// Makes an input of a message; `None` if it is none. The sender of a message that no actor sent is [`NOBODY`].
pub trait Accept<T: Message, M: Machine>: Edge<M> {
    /// Makes the input.
    fn input(&mut self, from: Pid, message: T) -> Option<M::Input>;
}

/// Feeds the machine from an edge's own tasks. Clones feed the same machine.
pub struct ShellHandle<I> {
    me: Me,
    handler: usize,
    of: PhantomData<fn(I)>,
}

/// An input from within the process.
struct Feed<I>(I);

impl<I: Send + 'static> ShellHandle<I> {
    fn new(me: Me) -> Self {
        let handler =
            me.entry.by_type.get(&TypeId::of::<Feed<I>>()).expect("a shell installs its feed").handler;
        Self { me, handler, of: PhantomData }
    }

    /// Who the shell is to other actors.
    pub fn me(&self) -> &Me {
        &self.me
    }

    /// Feeds an input when there is room in the mailbox.
    ///
    /// # Errors
    /// If the shell has stopped.
    ///
    /// # Cancel safety
    /// Dropped before it ends, it has fed nothing.
    pub async fn feed(&self, input: I) -> Result<(), SendError> {
        let sent = self.me.entry.mailbox.send(self.letter(input)).await;
        sent.map_err(|_| SendError::Stopped(self.me.pid().clone()))
    }

    /// Feeds an input now, or not at all.
    ///
    /// # Errors
    /// If the mailbox is full, or the shell has stopped.
    pub fn try_feed(&self, input: I) -> Result<(), SendError> {
        self.me.entry.mailbox.try_send(self.letter(input)).map_err(|error| match error {
            TrySendError::Full(_) => SendError::Full(self.me.pid().clone()),
            TrySendError::Closed(_) => SendError::Stopped(self.me.pid().clone()),
        })
    }

    fn letter(&self, input: I) -> Letter {
        let message = Box::new(Feed(input));
        Letter::Message(self.handler, Incoming { from: None, message, reply: ReplySlot::None, _room: None })
    }
}

impl<I> Clone for ShellHandle<I> {
    fn clone(&self) -> Self {
        Self { me: self.me.clone(), handler: self.handler, of: PhantomData }
    }
}

impl<I> fmt::Debug for ShellHandle<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ShellHandle({})", self.me.pid())
    }
}

/// Takes down what a shell takes while it is spawned.
pub struct ShellInstall<'a, M: Machine + 'static, E: Edge<M>>
where
    M::Input: Send,
{
    install: &'a mut Install<Shell<M, E>>,
    clock: &'a mut Clock,
}

impl<M: Machine + 'static, E: Edge<M>> ShellInstall<'_, M, E>
where
    M::Input: Send,
{
    /// As [`Install::message`].
    ///
    /// # Panics
    /// As there.
    pub fn message<T: Message>(&mut self) -> &mut Self
    where
        E: Accept<T, M>,
    {
        self.install.message_with::<T>(|shell, message, from, _| {
            let from = from.unwrap_or_else(|| shell.handle.me.node().pid(NOBODY));
            if let Some(input) = shell.edge.input(from, message) {
                shell.take(input);
            }
        });
        self
    }

    /// As [`Install::route`].
    ///
    /// # Panics
    /// As there.
    pub fn route<F, R>(&mut self, path: &str, help: &str, handler: F) -> &mut Self
    where
        F: Fn(HttpRequest) -> R + Send + Sync + 'static,
        R: Future<Output = HttpResponse> + Send + 'static,
    {
        self.install.route(path, help, handler);
        self
    }

    /// What the machine's times are measured with, in place of the node's clock.
    pub fn clock(&mut self, clock: Clock) -> &mut Self {
        *self.clock = clock;
        self
    }

    /// As [`Install::mailbox`].
    ///
    /// # Panics
    /// As there.
    pub fn mailbox(&mut self, capacity: usize) -> &mut Self {
        self.install.mailbox(capacity);
        self
    }
}

/// Starts a machine behind an actor of that name.
///
/// # Errors
/// As [`Node::spawn`].
pub fn spawn<M, E>(
    node: &Node,
    name: &str,
    machine: M,
    edge: E,
    install: impl FnOnce(&mut ShellInstall<'_, M, E>),
) -> Result<(Pid, ShellHandle<M::Input>), SpawnError>
where
    M: Machine + 'static,
    M::Input: Send,
    E: Edge<M>,
{
    spawn_as(node, name, Naming::New, machine, edge, install)
}

/// As [`spawn`], in the place of the actor that has the name, if there is one: that one gets no input any more, those who were
/// linked to it are told, what waits for it is dropped. Who looks for the name finds one of the two at any time.
///
/// # Errors
/// As [`Node::spawn`], but for a name that is taken.
pub fn spawn_in_place<M, E>(
    node: &Node,
    name: &str,
    machine: M,
    edge: E,
    install: impl FnOnce(&mut ShellInstall<'_, M, E>),
) -> Result<(Pid, ShellHandle<M::Input>), SpawnError>
where
    M: Machine + 'static,
    M::Input: Send,
    E: Edge<M>,
{
    spawn_as(node, name, Naming::InPlace, machine, edge, install)
}

fn spawn_as<M, E>(
    node: &Node,
    name: &str,
    naming: Naming,
    machine: M,
    edge: E,
    install: impl FnOnce(&mut ShellInstall<'_, M, E>),
) -> Result<(Pid, ShellHandle<M::Input>), SpawnError>
where
    M: Machine + 'static,
    M::Input: Send,
    E: Edge<M>,
{
    let check = node.config().check_machines;
    let clock = Cell::new(Some(node.clock().clone()));
    let make = |me| {
        let clock = clock.take().expect("an actor is made once, after what it takes was taken down");
        Shell { machine, edge, handle: ShellHandle::new(me), clock, out: Vec::new(), timer: None, check }
    };
    let me = node.spawn_as(
        name,
        naming,
        make,
        |all: &mut Install<Shell<M, E>>| {
            all.local::<Feed<M::Input>>(|shell, Feed(input), _| shell.take(input));
            all.exited_with(|shell, pid, _| {
                if let Some(input) = shell.edge.exited(pid) {
                    shell.take(input);
                }
            });
            all.after_turn(Shell::after_turn);
            let mut own = node.clock().clone();
            install(&mut ShellInstall { install: all, clock: &mut own });
            clock.set(Some(own));
        },
        None,
    )?;
    Ok((me.pid().clone(), ShellHandle::new(me)))
}

/// The actor.
struct Shell<M: Machine, E> {
    machine: M,
    edge: E,
    handle: ShellHandle<M::Input>,
    clock: Clock,
    /// Kept between inputs for its memory.
    out: Vec<M::Output>,
    /// When the one timer ends.
    timer: Option<(Time, SpawnHandle)>,
    check: bool,
}

// Nothing in it is pinned.
impl<M: Machine, E> Unpin for Shell<M, E> {}

impl<M: Machine + 'static, E: Edge<M>> Shell<M, E>
where
    M::Input: Send,
{
    fn now(&self) -> Time {
        self.clock.now()
    }

    fn take(&mut self, input: M::Input) {
        let now = self.now();
        self.machine.handle(now, input, &mut self.out);
        self.carry_out();
    }

    fn carry_out(&mut self) {
        if self.check {
            self.machine.check();
        }
        for output in self.out.drain(..) {
            self.edge.carry_out(output, &self.handle.me);
        }
    }

    fn after_turn(&mut self, ctx: &mut Context<Self>) {
        let now = self.now();
        self.edge.after(&self.machine, now);
        self.set_timer(now, ctx);
    }

    /// Sets the timer to the machine's deadline, if it is not set so already.
    fn set_timer(&mut self, now: Time, ctx: &mut Context<Self>) {
        let due = self.machine.deadline();
        if due == self.timer.map(|(due, _)| due) {
            return;
        }
        if let Some((_, timer)) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        let Some(due) = due else { return };
        let sleep = self.clock.sleep_until(due);
        let wait = async move {
            if due <= now {
                // A machine that is always due must not keep others from their turn. It does not wait for a timer, which counts
                // in milliseconds.
                tokio::task::yield_now().await;
            } else {
                sleep.await;
            }
        };
        let timer = ctx.spawn(wait.into_actor(self).map(|(), shell, ctx| shell.tick(ctx)));
        self.timer = Some((due, timer));
    }

    fn tick(&mut self, ctx: &mut Context<Self>) {
        self.timer = None;
        if self.handle.me.entry.stop.is_cancelled() {
            // It ends in this turn: maybe another one has its place.
            return;
        }
        let now = self.now();
        self.machine.tick(now, &mut self.out);
        self.carry_out();
        self.after_turn(ctx);
    }
}

impl<M: Machine + 'static, E: Edge<M>> Actor for Shell<M, E>
where
    M::Input: Send,
{
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.edge.started(&self.handle);
        self.after_turn(ctx);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.edge.stopped(&self.machine);
    }
}
