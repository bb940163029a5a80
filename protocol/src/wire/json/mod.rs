//! Mesos's mapping between messages and JSON. It is not protobuf's own.
//!
//! | | read | printed |
//! |---|---|---|
//! | fields | by their name in the schema; unknown names are passed over; `null` is not set; the last of two counts | those set, and those with a default that is not deprecated; in the order of the schema |
//! | enums | by name; a name that is unknown is not set, or refused where the field is required | by name |
//! | numbers | also in strings, also `"Infinity"`, `"-Infinity"`, `"NaN"`; what is behind the point is dropped for whole numbers | doubles always with a point or an exponent |
//! | bytes | base64 | base64 with padding |
//! | lists | one value stands for a list of one | not when empty, but for a few |
//! | maps | objects | objects, in order of the keys |

pub(crate) mod base64;
pub(crate) mod read;
pub(crate) mod reader;
pub(crate) mod write;
