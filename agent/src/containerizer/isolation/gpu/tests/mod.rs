//! Everything about GPUs, against a fake of the driver's library.

mod containers;
mod driver;
mod fake;
mod files;
mod illness;
mod machine;
mod real;
