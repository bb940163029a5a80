//! Says which commit the program is built from, where git knows.

use std::path::Path;
use std::process::Command;

fn main() {
    let git = |arguments: &[&str]| {
        let output =
            Command::new("git").args(arguments).output().ok().filter(|output| output.status.success());
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
    };
    println!("cargo::rerun-if-changed=build.rs");
    let folder = git(&["rev-parse", "--absolute-git-dir"]);
    for name in ["HEAD", "logs/HEAD"] {
        let path = Path::new(&folder).join(name);
        if path.exists() {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    println!("cargo::rustc-env=MESETA_GIT_SHA={}", git(&["rev-parse", "HEAD"]));
    println!("cargo::rustc-env=MESETA_GIT_BRANCH={}", git(&["rev-parse", "--symbolic-full-name", "HEAD"]));
}
