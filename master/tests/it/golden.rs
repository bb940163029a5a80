//! Golden scripts: lines that begin with `>` are inputs, the lines after them what the machine asks for in answer. With
//! `UPDATE_GOLDEN=1` the answers are written anew, to be reviewed as code is.

use std::fs;
use std::path::{Path, PathBuf};

use crate::script::Script;

fn run(path: &Path) -> (String, String) {
    let expected = fs::read_to_string(path).expect("a script can be read");
    let mut script = Script::new();
    let mut actual = String::new();
    for line in expected.lines() {
        let comment = line.starts_with('#') || line.is_empty();
        if let Some(input) = line.strip_prefix("> ") {
            actual += &format!("{line}\n");
            for output in
                script.feed(input).unwrap_or_else(|why| panic!("{}: '{line}': {why}", path.display()))
            {
                actual += &format!("{output}\n");
            }
        } else if comment {
            actual += &format!("{line}\n");
        }
    }
    (expected, actual)
}

#[test]
fn scripts() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .expect("there are scripts")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    assert!(paths.len() >= 15, "the scripts are there");
    let mut wrong = Vec::new();
    for path in paths {
        let (expected, actual) = run(&path);
        if expected == actual {
            continue;
        }
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&path, actual).expect("a script can be written");
        } else {
            wrong.push(format!("{}:\n{}", path.display(), difference(&expected, &actual)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// From the first line that differs.
fn difference(expected: &str, actual: &str) -> String {
    let same = expected.lines().zip(actual.lines()).take_while(|(a, b)| a == b).count();
    let tail = |text: &str| text.lines().skip(same).take(8).collect::<Vec<_>>().join("\n    ");
    format!("line {}: expected\n    {}\n  but it is\n    {}", same + 1, tail(expected), tail(actual))
}
