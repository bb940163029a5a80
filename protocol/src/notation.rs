//! Mesos's notation of durations and sizes, as flags use it.
