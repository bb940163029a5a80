//! Names of resources: the well-known ones are shared, so that reading a message allocates nothing for them and
//! comparing two is mostly comparing pointers.

use std::cmp::Ordering;
use std::fmt;
use std::sync::{Arc, LazyLock};

use serde::Deserializer;
use serde::de::{Error, Visitor};

use crate::limits::MAX_ID_BYTES;

static WELL_KNOWN: LazyLock<[Arc<str>; 5]> =
    LazyLock::new(|| ["cpus", "mem", "disk", "gpus", "ports"].map(Arc::from));

/// The shared copy of a well-known name, a new copy of another.
pub(super) fn intern(name: &str) -> Arc<str> {
    match WELL_KNOWN.iter().find(|known| ***known == *name) {
        Some(known) => Arc::clone(known),
        None => name.into(),
    }
}

/// The order of the texts.
pub(super) fn compare(a: &Arc<str>, b: &Arc<str>) -> Ordering {
    if Arc::ptr_eq(a, b) { Ordering::Equal } else { a.cmp(b) }
}

/// What the text form can carry: not empty, no white space, none of its own punctuation.
pub(crate) fn check(name: &str) -> Result<(), String> {
    let shown: String = name.escape_debug().take(80).collect();
    if name.is_empty() {
        return Err("the name is empty".into());
    }
    if name.len() > MAX_ID_BYTES {
        return Err(format!("the name '{shown}' is longer than {MAX_ID_BYTES} bytes"));
    }
    if name.contains(|c: char| c.is_whitespace() || c.is_control() || "(){}[],;:".contains(c)) {
        return Err(format!("'{shown}' is not a name: no white space and none of (){{}}[],;: may be in it"));
    }
    Ok(())
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
    struct Name;
    impl Visitor<'_> for Name {
        type Value = Arc<str>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the name of a resource")
        }
        fn visit_str<E: Error>(self, name: &str) -> Result<Arc<str>, E> {
            Ok(intern(name))
        }
    }
    deserializer.deserialize_str(Name)
}
