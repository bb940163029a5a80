//! Who is not wanted.
