//! B8 and B8b: the whole state of a large cluster, read over HTTP, and what readers cost the others. The real master in
//! this process, with simulated agents that bring their tasks; readers on threads of their own, over loopback.

mod client;
mod cluster;

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use libactor::Clock;
use tokio::task::JoinHandle;

use super::report::percentiles_ms;
use super::{Effort, Figure};
use crate::runtime;
use client::{Fetched, Request};
use cluster::Cluster;

/// Times that each answer is read; the median counts.
const READS: usize = 5;
/// Readers of the whole state at a time.
const POLLERS: usize = 20;
/// How long `/health` and launches are watched, with and without readers.
const WATCHED: Duration = Duration::from_secs(5);

/// The size of a cluster.
#[derive(Clone, Copy, Debug)]
struct Size {
    agents: usize,
    tasks_per_agent: usize,
    pollers: usize,
}

pub(super) fn run(effort: Effort) -> Result<Vec<Figure>, Box<dyn Error>> {
    // Eight readers of a thousand agents: what a person with a few dashboards has.
    let mut sizes = vec![Size { agents: 1_000, tasks_per_agent: 10, pollers: 8 }];
    if effort == Effort::Full {
        sizes.push(Size { agents: 10_000, tasks_per_agent: 5, pollers: POLLERS });
        sizes.push(Size { agents: 50_000, tasks_per_agent: 5, pollers: POLLERS });
    }
    let mut figures = Vec::new();
    for size in sizes {
        figures.extend(runtime::block_on(measure(size))?);
    }
    Ok(figures)
}

async fn measure(size: Size) -> Result<Vec<Figure>, Box<dyn Error>> {
    let cluster = Cluster::start(size).await?;
    let described = format!("{} agents, {} tasks", size.agents, size.agents * size.tasks_per_agent);
    let mut figures = Vec::new();
    for (what, request) in [
        ("/state", Request::Get("/state")),
        ("/state, gzip", Request::Gzip("/state")),
        ("GET_STATE as JSON", Request::Operator("application/json")),
        ("GET_STATE as protobuf", Request::Operator("application/x-protobuf")),
    ] {
        let mut reads = Vec::new();
        for _ in 0..READS {
            reads.push(fetch(cluster.address(), request).await?);
        }
        figures.extend(of_reads(&format!("{described}, {what}"), reads));
    }
    let quiet = watch(&cluster, 0).await?;
    let busy = watch(&cluster, size.pollers).await?;
    let with = format!("{described}, {} readers of /state", size.pollers);
    figures.push(health(format!("{described}, /health, no readers"), quiet.health));
    figures.push(health(format!("{with}, /health"), busy.health));
    figures.push(launches(format!("{described}, launches at a pace, no readers"), quiet.launches));
    figures.push(launches(format!("{with}, launches at a pace"), busy.launches));
    figures.push(Figure {
        name: "B8b",
        params: format!("{with}, states read"),
        value: busy.states as f64 / WATCHED.as_secs_f64(),
        unit: "states/s",
        percentiles_ms: None,
    });
    cluster.end().await;
    Ok(figures)
}

fn of_reads(params: &str, mut reads: Vec<Fetched>) -> Vec<Figure> {
    reads.sort_by_key(|fetched| fetched.whole);
    let median = reads[reads.len() / 2];
    let figure = |what: &str, value: f64, unit| Figure {
        name: "B8",
        params: format!("{params}, {what}"),
        value,
        unit,
        percentiles_ms: None,
    };
    let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
    vec![
        figure("to the last byte", milliseconds(median.whole), "ms"),
        figure("to the first byte", milliseconds(median.first), "ms"),
        figure("size", median.bytes as f64 / f64::from(1 << 20), "MiB"),
    ]
}

fn health(params: String, observed: Vec<Duration>) -> Figure {
    let percentiles_ms = percentiles_ms(observed);
    let p99 = percentiles_ms.map_or(0.0, |(_, p99)| p99);
    Figure { name: "B8b", params: format!("{params}, p99"), value: p99, unit: "ms", percentiles_ms }
}

fn launches(params: String, observed: Vec<Duration>) -> Figure {
    let value = observed.len() as f64 / WATCHED.as_secs_f64();
    Figure { name: "B8b", params, value, unit: "launches/s", percentiles_ms: percentiles_ms(observed) }
}

async fn fetch(address: SocketAddr, request: Request) -> Result<Fetched, Box<dyn Error>> {
    Ok(tokio::task::spawn_blocking(move || client::Connection::open(address)?.fetch(request)).await??)
}

struct Watched {
    health: Vec<Duration>,
    /// From accept to RUNNING.
    launches: Vec<Duration>,
    states: usize,
}

/// Asks for `/health` and launches tasks while others read the whole state.
async fn watch(cluster: &Cluster, pollers: usize) -> Result<Watched, Box<dyn Error>> {
    let stop = Arc::new(AtomicBool::new(false));
    let address = cluster.address();
    let poll = |request: Request| {
        let stop = stop.clone();
        tokio::task::spawn_blocking(move || poll(address, request, &stop))
    };
    let readers: Vec<JoinHandle<_>> = (0..pollers).map(|_| poll(Request::Get("/state"))).collect();
    let health = poll(Request::Get("/health"));
    let launches = cluster.launch_for(WATCHED).await?;
    stop.store(true, Ordering::Relaxed);
    let mut states = 0;
    for reader in readers {
        states += reader.await??.len();
    }
    Ok(Watched { health: health.await??, launches, states })
}

/// Asks the same again and again; `/health` at a pace.
#[expect(clippy::disallowed_methods, reason = "a pace is what is wanted here")]
fn poll(address: SocketAddr, request: Request, stop: &AtomicBool) -> std::io::Result<Vec<Duration>> {
    let mut connection = client::Connection::open(address)?;
    let mut took = Vec::new();
    let clock = Clock::real();
    let mut next = clock.now();
    while !stop.load(Ordering::Relaxed) {
        took.push(connection.fetch(request)?.whole);
        if matches!(request, Request::Get("/health")) {
            next = next + Duration::from_millis(2);
            std::thread::sleep(next.since(clock.now()));
        }
    }
    Ok(took)
}
