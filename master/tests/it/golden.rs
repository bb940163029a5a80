//! The master's golden scripts.

use std::path::Path;

use crate::script::Script;

#[path = "../../../libactor/tests/support/golden.rs"]
mod scripts;

#[test]
fn scripts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    scripts::scripts(&folder, 15, |path| {
        let path = path.to_owned();
        let mut script = Script::new();
        move |input| script.feed(input).unwrap_or_else(|why| panic!("{}: '{input}': {why}", path.display()))
    });
}
