//! What one value must satisfy, whoever sends it. What needs the state of a cluster is the master's to judge.

use crate::Role;
use crate::limits::MAX_ID_BYTES;

/// Why a value was refused; says what to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub String);

/// A role: `*`, or parts joined by `/`, none of them empty, `.`, `..`, `*`, or beginning with `-`.
///
/// # Errors
/// Says which part is wrong.
pub fn role(role: &Role) -> Result<(), Invalid> {
    if role.is_default() {
        return Ok(());
    }
    let text = role.as_str();
    if text.len() > MAX_ID_BYTES {
        return Err(Invalid(format!("a role is longer than {MAX_ID_BYTES} bytes")));
    }
    for part in text.split('/') {
        let bad = part.is_empty()
            || matches!(part, "." | ".." | "*")
            || part.starts_with('-')
            || part.contains(|c: char| c.is_whitespace() || c.is_control() || "\\()".contains(c));
        if bad {
            return Err(Invalid(format!("role '{}' has an invalid part '{part}'", text.escape_debug())));
        }
    }
    Ok(())
}
