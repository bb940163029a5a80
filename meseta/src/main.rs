//! meseta
fn main() {}
