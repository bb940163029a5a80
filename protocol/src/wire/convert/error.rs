//! Why a call was not turned into one of the vocabulary.

/// Why a call was not turned into one of the vocabulary.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The call is not one: a 400, whose text is this one after `Failed to validate scheduler::Call: ` (of an
    /// executor, `Failed to validate Executor::Call: `).
    #[error("{0}")]
    Invalid(String),
    /// The call is one, but its FrameworkInfo won't do: of a SUBSCRIBE, an ERROR event with this text in a stream that then
    /// ends; of an UPDATE_FRAMEWORK, a 400 with this text after `Supplied FrameworkInfo is not valid: `.
    #[error("{0}")]
    Subscription(String),
    /// The call, or an operation in it, has this name in Mesos and is not implemented: a 501.
    #[error("{0} is not implemented")]
    NotYet(&'static str),
}

impl CallError {
    /// A field that the type of the call needs is not there.
    pub(super) fn missing(field: &str) -> Self {
        Self::Invalid(format!("Expecting '{field}' to be present"))
    }
}

/// The field that the type of a call needs.
pub(super) fn expect<T>(field: Option<T>, name: &str) -> Result<T, CallError> {
    field.ok_or_else(|| CallError::missing(name))
}
