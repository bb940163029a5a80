//! Feeds an actor from its mailbox, a bounded number of deliveries a turn.

use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll, ready};

use actix::{Actor, ActorContext, ActorFuture, ActorState, AsyncContext, Context};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::install::{Handle, HandleExited, HandleTurn};
use super::{Ending, Entry, Install, Letter};
use crate::Node;
use crate::complaint::Complaint;
use crate::limits::DELIVERIES_A_TURN;

/// Lives in the context of the actor; that it is dropped is how the node learns of the actor's end.
pub(crate) struct Drain<A: Actor<Context = Context<A>>> {
    node: Node,
    entry: Arc<Entry>,
    mailbox: mpsc::Receiver<Letter>,
    turn: VecDeque<Letter>,
    fresh: Vec<Letter>,
    handlers: Vec<Handle<A>>,
    exited: Option<HandleExited<A>>,
    after_turn: Option<HandleTurn<A>>,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Lets the runtime look at timers and sockets between two turns.
    pause: Option<Pin<Box<dyn Future<Output = ()>>>>,
    told: Option<oneshot::Sender<Ending>>,
}

impl<A: Actor<Context = Context<A>>> Drain<A> {
    pub(crate) fn new(
        node: Node,
        entry: Arc<Entry>,
        mailbox: mpsc::Receiver<Letter>,
        install: Install<A>,
        told: Option<oneshot::Sender<Ending>>,
    ) -> Self {
        let stop = Box::pin(entry.stop.clone().cancelled_owned());
        Self {
            node,
            entry,
            mailbox,
            turn: VecDeque::new(),
            fresh: Vec::new(),
            handlers: install.handlers,
            exited: install.exited,
            after_turn: install.after_turn,
            stop,
            pause: None,
            told,
        }
    }

    /// Hands one delivery to the actor. A panic of the handler ends the actor, and only it.
    fn handle(&mut self, actor: &mut A, letter: Letter, ctx: &mut Context<A>) {
        let handled = catch_unwind(AssertUnwindSafe(|| match letter {
            Letter::Message(handler, incoming) => (self.handlers[handler])(actor, incoming, ctx),
            Letter::Exited(pid) => match self.exited {
                Some(exited) => exited(actor, pid, ctx),
                None => tracing::warn!("'{}' links without a handler: '{pid}' has exited", self.entry.pid),
            },
        }));
        self.entry.count_handled();
        self.end_if_panicked(handled, ctx);
    }

    fn end_if_panicked(&self, result: Result<(), Box<dyn std::any::Any + Send>>, ctx: &mut Context<A>) {
        if let Err(panic) = result {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            self.entry.fail(format!("panicked: {}", text.unwrap_or_else(|| "no text".into())));
            ctx.terminate();
        }
    }

    fn is_over(&self, ctx: &Context<A>) -> bool {
        self.entry.stop.is_cancelled() || matches!(ctx.state(), ActorState::Stopping | ActorState::Stopped)
    }

    /// Hands out what is left of the turn; says whether the turn is through.
    fn run_turn(&mut self, actor: &mut A, ctx: &mut Context<A>) -> bool {
        while !self.is_over(ctx) && !ctx.waiting() {
            let Some(letter) = self.turn.pop_front() else { break };
            self.handle(actor, letter, ctx);
        }
        if let (Some(after), false) = (self.after_turn, self.is_over(ctx)) {
            let result = catch_unwind(AssertUnwindSafe(|| after(actor, ctx)));
            self.end_if_panicked(result, ctx);
        }
        self.turn.is_empty()
    }
}

impl<A: Actor<Context = Context<A>>> ActorFuture<A> for Drain<A> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, actor: &mut A, ctx: &mut Context<A>, task: &mut Task<'_>) -> Poll<()> {
        let this = &mut *self;
        loop {
            if this.stop.as_mut().poll(task).is_ready() {
                ctx.terminate();
                return Poll::Pending;
            }
            if let Some(pause) = &mut this.pause {
                ready!(pause.as_mut().poll(task));
                this.pause = None;
            }
            if this.turn.is_empty() {
                ready!(this.mailbox.poll_recv_many(task, &mut this.fresh, DELIVERIES_A_TURN));
                this.turn.extend(this.fresh.drain(..));
            }
            if !this.run_turn(actor, ctx) || this.is_over(ctx) {
                if this.entry.stop.is_cancelled() {
                    // Now, so that nobody finds an actor that has told of its end already.
                    ctx.terminate();
                }
                // Waiting for the actor's own future, or over: the context calls again.
                task.waker().wake_by_ref();
                return Poll::Pending;
            }
            this.pause = Some(Box::pin(tokio::task::yield_now()));
        }
    }
}

impl<A: Actor<Context = Context<A>>> Drop for Drain<A> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.entry.fail("panicked".into());
        }
        self.mailbox.close();
        let ending = self.entry.ending();
        if let Ending::Failed(reason) = &ending {
            self.node.complain(Complaint::ActorFailed, &format_args!("'{}': {reason}", self.entry.pid));
        }
        self.node.actor_ended(&self.entry);
        let mut abandoned =
            self.turn.drain(..).filter(|letter| matches!(letter, Letter::Message(..))).count();
        while let Ok(letter) = self.mailbox.try_recv() {
            abandoned += usize::from(matches!(letter, Letter::Message(..)));
        }
        let about = format_args!("'{}' stopped", self.entry.pid);
        self.node.complain_many(Complaint::Abandoned, abandoned as u64, &about);
        if let Some(told) = self.told.take() {
            // An error means that nobody supervises any more.
            let _ = told.send(ending);
        }
    }
}
