//! scheduler-driver
