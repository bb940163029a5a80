//! The system's randomness.

/// Random bits of the system, that nobody can guess; `None` where it has none to give. For edges: machines get a
/// [`Random`](crate::Random).
pub fn entropy() -> Option<u128> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(u128::from_ne_bytes(bytes))
}
