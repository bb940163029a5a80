//! What raft logs goes where everything else goes.

use std::fmt::{self, Write as _};

use slog::{Drain, KV as _, Level, OwnedKVList, Record};

/// A logger for raft. Its everyday remarks are for debugging.
pub(super) fn logger() -> slog::Logger {
    slog::Logger::root(ToTracing, slog::o!())
}

struct ToTracing;

impl Drain for ToTracing {
    type Ok = ();
    type Err = slog::Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), slog::Never> {
        if self.is_enabled(record.level()) {
            let mut text = Pairs(record.msg().to_string());
            // Writing to a string does not fail, and a pair that can't be written is left out.
            let _ = record.kv().serialize(record, &mut text);
            let _ = values.serialize(record, &mut text);
            match record.level() {
                Level::Critical | Level::Error => tracing::error!(target: "raft", "{}", text.0),
                Level::Warning => tracing::info!(target: "raft", "{}", text.0),
                Level::Info => tracing::debug!(target: "raft", "{}", text.0),
                Level::Debug | Level::Trace => tracing::trace!(target: "raft", "{}", text.0),
            }
        }
        Ok(())
    }

    fn is_enabled(&self, level: Level) -> bool {
        match level {
            Level::Critical | Level::Error => tracing::enabled!(target: "raft", tracing::Level::ERROR),
            Level::Warning => tracing::enabled!(target: "raft", tracing::Level::INFO),
            Level::Info => tracing::enabled!(target: "raft", tracing::Level::DEBUG),
            Level::Debug | Level::Trace => tracing::enabled!(target: "raft", tracing::Level::TRACE),
        }
    }
}

struct Pairs(String);

impl slog::Serializer for Pairs {
    fn emit_arguments(&mut self, key: slog::Key, value: &fmt::Arguments<'_>) -> slog::Result {
        write!(self.0, " {key}={value}").map_err(slog::Error::from)
    }
}
