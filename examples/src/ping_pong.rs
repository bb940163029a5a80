//! Two nodes, as two processes would have them, and an actor on each: one serves, the other returns, until one of them
//! has had enough; the other learns of it through its link.
//!
//! ```text
//! cargo run -p examples --bin ping_pong
//! ```
#![allow(clippy::print_stdout, reason = "it talks to people")]

use actix::{Actor, Context};
use libactor::{Me, Node, NodeConfig, OnExited, Pid, Receive};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::task::LocalSet;

/// After so many strokes the player who has the ball stops.
const STROKES: u32 = 10;

/// What goes to and fro. The name is the message's name on the wire.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename = "example.Ball")]
struct Ball {
    strokes: u32,
}

struct Player {
    me: Me,
    /// Told when the match is over.
    over: mpsc::Sender<Pid>,
}

impl Actor for Player {
    type Context = Context<Self>;
}

impl Receive<Ball> for Player {
    fn receive(&mut self, ball: Ball, from: Option<Pid>, _: &mut Context<Self>) {
        // The first ball comes from outside; the sender of every other is the opponent.
        let Some(opponent) = from else { return };
        // Once would do: linking twice is one link.
        self.me.link(&opponent);
        println!("{} has the ball after {} strokes", self.me.pid(), ball.strokes);
        if ball.strokes == STROKES {
            return self.me.stop();
        }
        if let Err(error) = self.me.tell(&opponent, Ball { strokes: ball.strokes + 1 }) {
            println!("the ball is lost: {error}");
        }
    }
}

impl OnExited for Player {
    fn exited(&mut self, pid: Pid, _: &mut Context<Self>) {
        println!("{} sees that {pid} has left", self.me.pid());
        // The channel has room for every player.
        let _ = self.over.try_send(pid);
    }
}

fn join(node: &Node, name: &str, over: &mpsc::Sender<Pid>) -> Result<Me, Box<dyn std::error::Error>> {
    let over = over.clone();
    let mut player = None;
    node.spawn(
        name,
        |me| {
            player = Some(me.clone());
            Player { me, over }
        },
        |install| {
            install.message::<Ball>().exited();
        },
    )?;
    Ok(player.ok_or("a player is made when it is spawned")?)
}

async fn play() -> Result<(), Box<dyn std::error::Error>> {
    let here = Node::bind(NodeConfig::default()).await?;
    let there = Node::bind(NodeConfig::default()).await?;
    let (over, mut is_over) = mpsc::channel(2);
    let ping = join(&here, "ping", &over)?;
    let pong = join(&there, "pong", &over)?;
    ping.tell(pong.pid(), Ball { strokes: 1 })?;
    let left = is_over.recv().await.ok_or("somebody leaves")?;
    println!("{left} has left; {} frames went out of the first node", frames(&here));
    here.shutdown().await;
    there.shutdown().await;
    Ok(())
}

fn frames(node: &Node) -> f64 {
    node.metrics().snapshot().get("libactor/frames_sent").copied().unwrap_or_default()
}

/// One thread: actors live on a `LocalSet` of a current-thread runtime.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    LocalSet::new().run_until(play()).await
}
