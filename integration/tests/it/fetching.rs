//! A real agent fetches into sandboxes, collects them, and ends who takes too much of the disk or a foreign port.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::hostile::Attacked;

/// A small HTTP server that has one file, under any name.
fn serve(content: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            lines.take_while(|line| line.as_ref().is_ok_and(|line| !line.is_empty())).for_each(drop);
            let head =
                format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", content.len());
            // Who went away has what it wanted.
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&content));
        }
    });
    address
}

/// Files of that name in all sandboxes of an agent.
fn in_sandboxes(directory: &Path, name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![directory.join("agent/slaves")];
    while let Some(here) = waiting.pop() {
        for entry in std::fs::read_dir(here).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => waiting.push(entry.path()),
                Ok(_) if entry.file_name() == name => found.push(entry.path()),
                _ => {}
            }
        }
    }
    found
}

fn uri(value: String) -> Value {
    json!({ "value": value, "cache": true, "extract": true })
}

#[test]
fn what_commands_name_is_fetched_and_sandboxes_are_collected() {
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--isolation=posix/cpu", "--gc_delay=1secs", "--disk_watch_interval=500ms"];
    let Some(mut world) = Attacked::start(directory.path(), &flags) else { return };
    let archive = include_bytes!("../../../agent/src/fetcher/process/file.tar.xz");
    let address = serve(archive.to_vec());
    let name = format!("http://{address}/a.tar.xz");
    world.task(
        "fetched",
        json!({ "value": "grep -q content file && exit 7", "uris": [uri(name.clone())] }),
        json!([]),
    );
    let ended = world.wait("fetched", "TASK_FAILED");
    assert!(ended["message"].as_str().unwrap_or_default().contains('7'), "{ended}");

    let wrong = format!("{name}#sha256={}", "0".repeat(64));
    world.task("wrong", json!({ "value": "true", "uris": [uri(wrong)] }), json!([]));
    let failed = world.wait("wrong", "TASK_FAILED");
    assert_eq!(failed["reason"], "REASON_CONTAINER_LAUNCH_FAILED", "{failed}");
    let message = failed["message"].as_str().unwrap_or_default();
    assert!(message.contains("SHA-256") && message.contains(&"0".repeat(64)), "{message}");

    while !in_sandboxes(directory.path(), "file").is_empty() {
        std::thread::park_timeout(std::time::Duration::from_millis(50));
    }
}

#[test]
fn who_fills_the_disk_or_takes_a_foreign_port_is_ended() {
    let directory = tempfile::tempdir().unwrap();
    let flags = [
        "--isolation=disk/du,network/ports",
        "--enforce_container_disk_quota",
        "--container_disk_watch_interval=200ms",
        "--enforce_container_ports",
        "--container_ports_watch_interval=200ms",
        "--max_stdout_size=1MB",
    ];
    let Some(mut world) = Attacked::start(directory.path(), &flags) else { return };
    let disk = json!([{ "name": "disk", "type": "SCALAR", "scalar": { "value": 20.0 } }]);
    let filler = "i=0; while :; do head -c 1000000 /dev/zero > fill.$i; i=$((i+1)); sleep 0.02; done";
    world.task("filler", json!({ "value": filler }), disk);
    let ended = world.wait("filler", "TASK_FAILED");
    println!("{}", ended["message"]);
    assert_eq!(ended["reason"], "REASON_CONTAINER_LIMITATION_DISK", "{ended}");

    // Ports below those that the kernel hands out, and not offered: free in most places.
    let thief = "exec perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(Listen => 1, LocalAddr => \"127.0.0.1\", LocalPort => $_) and last for 23000..23999; sleep 1000'";
    world.task("thief", json!({ "value": thief }), json!([]));
    let ended = world.wait("thief", "TASK_FAILED");
    println!("{}", ended["message"]);
    assert_eq!(ended["reason"], "REASON_CONTAINER_LIMITATION", "{ended}");
    let message = ended["message"].as_str().unwrap_or_default();
    assert!(message.contains("'perl'") && message.contains("TCP port 23"), "{message}");

    // What a task says without end stays within its bounds, and the end of it can be read.
    world.task(
        "talker",
        json!({ "value": "head -c 30000000 /dev/zero | tr '\\0' 'x'; echo; echo the end; exit 3" }),
        json!([]),
    );
    world.wait("talker", "TASK_FAILED");
    let bounded = || {
        let sizes = in_sandboxes(directory.path(), "stdout")
            .into_iter()
            .chain(in_sandboxes(directory.path(), "stdout.1"));
        sizes.map(|path| std::fs::metadata(path).map_or(0, |about| about.len())).all(|size| size <= 1 << 20)
    };
    while !bounded() {
        std::thread::park_timeout(std::time::Duration::from_millis(50));
    }
    let all = in_sandboxes(directory.path(), "stdout");
    assert!(
        all.iter().any(|path| std::fs::read_to_string(path).is_ok_and(|text| text.ends_with("the end\n")))
    );
}
