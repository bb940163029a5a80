//! The page of promises names tests that exist.

/// Each promise stands beside the test that holds it, as `file::test`.
#[test]
fn every_test_that_semantics_names_exists() {
    let files = [
        ("bodies", include_str!("bodies.rs")),
        ("hostile", include_str!("hostile.rs")),
        ("http", include_str!("http.rs")),
        ("links", include_str!("links.rs")),
        ("local", include_str!("local.rs")),
        ("remote", include_str!("remote.rs")),
        ("requests", include_str!("requests.rs")),
        ("shell", include_str!("shell.rs")),
        ("streams", include_str!("streams.rs")),
        ("supervise", include_str!("supervise.rs")),
    ];
    let semantics = include_str!("../../SEMANTICS.md");
    let mut named = Vec::new();
    for word in semantics.split('`').skip(1).step_by(2) {
        if let Some((file, test)) = word.split_once("::") {
            let (_, text) = files.iter().find(|(name, _)| *name == file).expect("a file of tests");
            assert!(text.contains(&format!("fn {test}(")), "{word}");
            named.push(test);
        }
    }
    assert!(named.len() > 30, "{named:?}");
    for (file, text) in files {
        let tests = text
            .split("#[tokio::test]")
            .skip(1)
            .filter_map(|rest| rest.split("fn ").nth(1)?.split('(').next());
        for test in tests {
            assert!(named.contains(&test), "SEMANTICS.md does not name {file}::{test}");
        }
    }
}
