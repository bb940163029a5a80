//! Golden scripts: a line that begins with `>` is an input, the lines below it are what the machine asks for in answer. Empty
//! lines, and those that begin with `#` or `//`, are for people. With `UPDATE_GOLDEN=1` the answers are written anew, to be
//! reviewed as code is.

use std::fs;
use std::path::{Path, PathBuf};

/// Runs all scripts of a folder, each with what `begin` makes: it takes an input and tells the lines that answer it.
pub(crate) fn scripts<F: FnMut(&str) -> Vec<String>>(
    folder: &Path,
    at_least: usize,
    begin: impl Fn(&Path) -> F,
) {
    let entries = fs::read_dir(folder).expect("there are scripts");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_none_or(|extension| extension != "rs"));
    paths.sort();
    assert!(paths.len() >= at_least, "the scripts are there");
    let wrong: Vec<String> = paths.iter().filter_map(|path| script(path, begin(path))).collect();
    assert!(wrong.is_empty(), "{}\nUPDATE_GOLDEN=1 writes them anew", wrong.join("\n"));
}

/// Runs one script; says what is other than it was.
pub(crate) fn script(path: &Path, mut step: impl FnMut(&str) -> Vec<String>) -> Option<String> {
    let expected = fs::read_to_string(path).expect("a script can be read");
    let mut actual = String::new();
    for line in expected.lines() {
        let input = line.strip_prefix("> ");
        if input.is_some() || line.is_empty() || line.starts_with('#') || line.starts_with("//") {
            actual += &format!("{line}\n");
        }
        for output in input.map(&mut step).unwrap_or_default() {
            actual += &format!("{output}\n");
        }
    }
    if expected == actual {
        return None;
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(path, actual).expect("a script can be written");
        return None;
    }
    Some(format!("{}:\n{}", path.display(), difference(&expected, &actual)))
}

/// From the first line that differs.
fn difference(expected: &str, actual: &str) -> String {
    let same = expected.lines().zip(actual.lines()).take_while(|(a, b)| a == b).count();
    let tail = |text: &str| text.lines().skip(same).take(8).collect::<Vec<_>>().join("\n    ");
    format!("line {}: expected\n    {}\n  but it is\n    {}", same + 1, tail(expected), tail(actual))
}
