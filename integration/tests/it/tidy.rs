//! The rules of the code's layout that a compiler can't hold.

use std::path::{Path, PathBuf};

/// Longest file, in lines, tests included.
const MAX_LINES: usize = 500;

/// Files that are longer, and why.
const LONG_FILES: &[(&str, &str)] = &[];

/// What a core may not name: it can't wait, read a clock, roll dice, touch a file, or depend on hash order.
const BANNED_IN_CORES: &[&str] = &[
    "tokio::",
    "actix::",
    "hyper::",
    "std::fs",
    "std::net::Tcp",
    "std::net::Udp",
    "ToSocketAddrs",
    "std::thread",
    "Instant::now",
    "SystemTime",
    "HashMap",
    "HashSet",
    "getrandom",
    "entropy()",
    "async fn",
    ".await",
    " f64",
    " f32",
];

/// Outside crates and the one place that may name each.
const DOORS: &[(&str, &[&str])] = &[
    ("cgroups_rs::", &["agent/src/containerizer/isolation/cgroups"]),
    ("bincode::", &["libactor/src/codec.rs"]),
    ("tracing_subscriber::", &["meseta/src/logging.rs"]),
    ("hyper::", &["libactor/src/http"]),
    ("httparse::", &["libactor/src/http/head.rs"]),
    ("flate2::", &["libactor/src/http/gzip.rs", "agent/src/fetcher/process/unpack"]),
    ("bzip2::", &["agent/src/fetcher/process/unpack"]),
    ("lzma_rust2::", &["agent/src/fetcher/process/unpack"]),
    ("use tar::", &["agent/src/fetcher/process/unpack/tar.rs"]),
    ("use zip::", &["agent/src/fetcher/process/unpack/zip.rs"]),
    ("ureq::", &["agent/src/fetcher/process/download.rs", "meseta/src/commands/agents/http.rs"]),
    ("use ring::digest", &["agent/src/fetcher/process/mod.rs"]),
    ("raft::", &["master/src/replication"]),
    ("protobuf::", &["master/src/replication/convert.rs"]),
    ("slog::", &["master/src/replication/drain.rs"]),
    ("sled::", &["libactor/src/journal"]),
    ("rmp_serde::", &["agent/src/checkpoint/codec.rs"]),
    ("nvml_wrapper::", &["agent/src/containerizer/isolation/gpu/driver"]),
    ("tokio_rustls::", &["executor/src/checks/tls.rs"]),
    (
        "nix::",
        &[
            "agent/src/account.rs",
            "agent/src/containerizer",
            "agent/src/fetcher/process",
            "agent/src/sandbox_gc",
            "agent/src/os.rs",
            "executor/src/command",
            "executor/src/process.rs",
            "libactor/src/files",
            "master/src/disk",
            "meseta/src",
        ],
    ),
];

/// Components that never import each other.
const APART: &[&str] = &["master", "agent", "executor", "scheduler_driver"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// Every Rust source of the workspace, by its path below the root.
fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut waiting = vec![root()];
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    waiting.push(path);
                }
            } else if name.ends_with(".rs") {
                let below = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
                found.push((below, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(found.len() > 50, "the sources are found");
    found.sort();
    found
}

/// The sources without those that only tests have: below `tests/`, or named by a module under `#[cfg(test)]`.
fn sources_without_tests() -> Vec<(String, String)> {
    let sources = sources();
    let mut tests = Vec::new();
    for (path, text) in &sources {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let home = match path.rsplit_once('/') {
            Some((home, "mod.rs" | "lib.rs" | "main.rs")) => home.to_owned(),
            _ => path.trim_end_matches(".rs").to_owned(),
        };
        for pair in lines.windows(2).filter(|pair| pair[0] == "#[cfg(test)]") {
            if let Some(name) = pair[1].strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';')) {
                tests.push(format!("{home}/{name}.rs"));
                tests.push(format!("{home}/{name}/"));
            }
        }
    }
    let is_test =
        |path: &str| path.contains("/tests/") || tests.iter().any(|test| path.starts_with(test.as_str()));
    sources.into_iter().filter(|(path, _)| !is_test(path)).collect()
}

/// The lines of a file that are code, up to its tests.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// Whether a line has a name in it that is not a part of a longer one.
fn names(line: &str, name: &str) -> bool {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    line.match_indices(name).any(|(at, _)| {
        let (before, after) = (line[..at].chars().next_back(), line[at + name.len()..].chars().next());
        let begins = !name.starts_with(is_word) || !before.is_some_and(is_word);
        begins && (!name.ends_with(is_word) || !after.is_some_and(is_word))
    })
}

fn report(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn files_are_short() {
    let mut problems = Vec::new();
    for (path, text) in sources() {
        let lines = text.lines().count();
        let listed = LONG_FILES.iter().any(|(long, _)| *long == path);
        if lines > MAX_LINES && !listed {
            problems.push(format!("{path}: {lines} lines; which noun wants a file of its own?"));
        }
        if lines <= MAX_LINES && listed {
            problems.push(format!("{path}: is no longer long, take it from the list"));
        }
    }
    report(&problems);
}

#[test]
fn cores_do_not_reach_out() {
    let mut problems = Vec::new();
    let core = |path: &str| path.contains("/src/core/") || path.contains("/src/replication/");
    for (path, text) in sources_without_tests().iter().filter(|(path, _)| core(path)) {
        for (number, line) in code(text) {
            for banned in BANNED_IN_CORES.iter().filter(|banned| names(line, banned)) {
                problems.push(format!("{path}:{}: a core names '{}'", number + 1, banned.trim()));
            }
        }
    }
    report(&problems);
}

#[test]
fn each_outside_crate_has_one_door() {
    let mut problems = Vec::new();
    for (path, text) in &sources_without_tests() {
        for (number, line) in code(text) {
            for (name, doors) in DOORS {
                if names(line, name) && !doors.iter().any(|door| path.starts_with(door)) {
                    problems.push(format!("{path}:{}: '{name}' is for {doors:?} alone", number + 1));
                }
            }
        }
    }
    report(&problems);
}

#[test]
fn components_do_not_import_each_other() {
    let mut problems = Vec::new();
    for (path, text) in sources() {
        let Some(own) = APART.iter().find(|name| path.starts_with(&format!("{}/", name.replace('_', "-"))))
        else {
            continue;
        };
        for (number, line) in code(&text) {
            for other in APART.iter().filter(|other| *other != own) {
                let named = [format!("use {other}::"), format!(" {other}::")];
                let outside = named.iter().any(|name| line.contains(name.as_str()));
                if outside && !line.contains(&format!("crate::{other}::")) && !line.contains("protocol::") {
                    problems.push(format!("{path}:{}: {own} imports {other}", number + 1));
                }
            }
        }
    }
    report(&problems);
}

#[test]
fn nothing_is_left_to_be_done() {
    let mut problems = Vec::new();
    let marks =
        [concat!("to", "do!("), concat!("unimpl", "emented!("), concat!("FIX", "ME"), concat!("XX", "X")];
    for (path, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark)) {
                problems.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    report(&problems);
}
