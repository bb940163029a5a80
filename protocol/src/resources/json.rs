//! The JSON form: a list of Mesos `Resource` objects.

/// Why a JSON text is not resources.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("resources in JSON: {problem}")]
pub struct ParseJsonResourcesError {
    /// What is wrong.
    pub problem: String,
}
