//! An actor that fails now and then, and is made again: it loses what it has counted, keeps its address, and shows its count over
//! HTTP all the while.
//!
//! ```text
//! cargo run -p examples --bin supervised_counter
//! ```
#![allow(clippy::print_stdout, reason = "it talks to people")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix::{Actor, Context};
use libactor::http::StatusCode;
use libactor::{Answer, Backoff, HttpResponse, Me, Node, NodeConfig, Pid, Reply, Request, supervise};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

const DEADLINE: Duration = Duration::from_secs(5);

/// Adds to the count, and asks what it is then. The counter can't bear sevens.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename = "example.Add")]
struct Add(u64);

impl Request for Add {
    type Reply = u64;
}

struct Counter {
    me: Me,
    count: u64,
    /// What HTTP shows: routes run beside the actor and read what it has published.
    shown: Arc<AtomicU64>,
}

impl Actor for Counter {
    type Context = Context<Self>;
}

impl Answer<Add> for Counter {
    fn answer(&mut self, Add(number): Add, _: Option<Pid>, reply: Reply<u64>, _: &mut Context<Self>) {
        if number == 7 {
            // The asker is told that there is no answer: the reply is dropped.
            return self.me.fail("a seven");
        }
        self.count += number;
        self.shown.store(self.count, Ordering::Relaxed);
        reply.send(self.count);
    }
}

fn start(node: &Node) -> Result<Pid, Box<dyn std::error::Error>> {
    let shown = Arc::new(AtomicU64::new(0));
    let served = shown.clone();
    let make = move |me| Counter { me, count: 0, shown: shown.clone() };
    let backoff = Backoff { min: Duration::from_millis(50), ..Backoff::default() };
    Ok(supervise(
        node,
        "counter",
        make,
        move |install| {
            let served = served.clone();
            install.request::<Add>().route("/count", "what was counted last", move |_| {
                let text = format!("{}\n", served.load(Ordering::Relaxed));
                async move { HttpResponse::text(StatusCode::OK, text) }
            });
        },
        backoff,
    )?)
}

async fn count() -> Result<(), Box<dyn std::error::Error>> {
    let node = Node::bind(NodeConfig::default()).await?;
    let counter = start(&node)?;
    for number in [1, 2, 7, 3, 4] {
        match node.ask(&counter, Add(number), DEADLINE).await {
            Ok(count) => println!("add {number}: {count}"),
            Err(error) => println!("add {number}: {error}"),
        }
        while !node.has_actor("counter") {
            node.clock().sleep(Duration::from_millis(10)).await;
        }
    }
    let mut http = TcpStream::connect(node.address()).await?;
    http.write_all(b"GET /counter/count HTTP/1.1\r\nhost: counter\r\nconnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    http.read_to_string(&mut answer).await?;
    println!("http://{}/counter/count: {}", node.address(), answer.lines().last().unwrap_or_default());
    node.shutdown().await;
    Ok(())
}

/// One thread: actors live on a `LocalSet` of a current-thread runtime.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    LocalSet::new().run_until(count()).await
}
