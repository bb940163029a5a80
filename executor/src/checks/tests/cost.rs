//! A thousand checks.

use protocol::wire::v1;
use protocol::{Carried, TaskInfo};
use tokio::sync::mpsc;

use super::*;
use crate::checks::{Asked, Checker, Finding};

const CHECKS: usize = 1_000;

/// In a process of its own: what it has started, and the time it has used, is then that of the checks and of their server.
#[test]
fn a_thousand_checks_cost_little() {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "checks::tests::cost::a_thousand_checks", "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("1 passed"), "{told}");
}

fn task(number: usize, port: u16) -> TaskInfo {
    let mut asked = v1::HealthCheck {
        delay_seconds: Some(number as f64 / CHECKS as f64),
        interval_seconds: Some(1.0),
        ..Default::default()
    };
    if number.is_multiple_of(2) {
        asked.http = Some(v1::health_check::HttpCheckInfo { port: port.into(), ..Default::default() });
    } else {
        asked.tcp = Some(v1::health_check::TcpCheckInfo { port: port.into(), ..Default::default() });
    }
    let unread = v1::TaskInfo { health_check: Some(asked), ..Default::default() };
    TaskInfo { unread: Carried::new(&unread), ..(*prober().task).clone() }
}

/// Ticks of 10 ms that this process has used.
fn ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let words: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    words[11].parse::<u64>().unwrap() + words[12].parse::<u64>().unwrap()
}

/// The processes that this one has started, and its threads.
fn children_and_threads() -> (usize, usize) {
    let (mut children, mut threads) = (0, 0);
    for thread in std::fs::read_dir("/proc/self/task").unwrap() {
        threads += 1;
        let list = std::fs::read_to_string(thread.unwrap().path().join("children")).unwrap_or_default();
        children += list.split_whitespace().count();
    }
    (children, threads)
}

#[tokio::test]
#[ignore = "measures its process: started by a_thousand_checks_cost_little"]
async fn a_thousand_checks() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(serve(stream, Then::Closes, |_| "HTTP/1.1 200 OK\r\n\r\n".to_owned()));
        }
    });
    let (_, threads_before) = children_and_threads();
    let (sender, mut found) = mpsc::channel(CHECKS);
    for number in 0..CHECKS {
        let task = task(number, port);
        let wanted = Asked::of(&task).unwrap();
        let mut checker = Checker::begin(wanted, prober()).unwrap();
        let sender = sender.clone();
        tokio::spawn(async move {
            loop {
                let _ = sender.send(checker.next().await).await;
            }
        });
    }
    for _ in 0..CHECKS {
        let finding = found.recv().await.unwrap();
        assert!(matches!(finding, Finding::Health { healthy: true, .. }), "{finding:?}");
    }
    let (begin, first) = (ticks(), asked.load(Ordering::SeqCst));
    while asked.load(Ordering::SeqCst) < first + 3 * CHECKS {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let (children, threads) = children_and_threads();
        assert_eq!((children, threads), (0, threads_before), "no process and no thread is made");
    }
    let used = ticks() - begin;
    let probes = asked.load(Ordering::SeqCst) - first;
    println!("{used} ticks of 10 ms for {probes} probes, their server included");
    // A loop that is busy would use all the time there is: three seconds.
    assert!(used < 200, "{used} ticks of 10 ms for {probes} probes");
    assert!(found.try_recv().is_err(), "what does not change is not told");
}
