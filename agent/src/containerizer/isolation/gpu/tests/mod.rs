//! Everything about GPUs, against a fake of the driver's library.

mod driver;
mod fake;
