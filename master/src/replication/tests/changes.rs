//! Changes of members.
