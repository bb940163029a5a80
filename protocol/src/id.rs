//! Identities. Each is text with a type of its own, cheap to clone.

use std::fmt;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Wraps the text as it is. Whether it is an acceptable identity is asked of [`crate::validate`].
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

id!(
    /// Identifies a framework for its whole life, across failovers of its scheduler. Assigned by the master
    /// as `<master id>-<4-digit counter>`.
    #[doc(alias = "FrameworkID")]
    FrameworkId
);
id!(
    /// Identifies an agent across restarts of its process. Assigned by the master as `<master id>-S<counter>`.
    #[doc(alias = "SlaveID")]
    AgentId
);
id!(
    /// Identifies a task within its framework. Chosen by the framework.
    #[doc(alias = "TaskID")]
    TaskId
);
id!(
    /// Identifies an executor within its framework and agent. Chosen by the framework; for a command task
    /// the agent uses the task's id.
    #[doc(alias = "ExecutorID")]
    ExecutorId
);
id!(
    /// Identifies one offer. Assigned by the master as `<master id>-O<counter>`; used at most once.
    #[doc(alias = "OfferID")]
    OfferId
);
id!(
    /// Identifies one run of an executor on an agent. Assigned by the agent.
    #[doc(alias = "ContainerID")]
    ContainerId
);
id!(
    /// Identifies one life of a master.
    MasterId
);
id!(
    /// The name of a role, `*` being the default one. Hierarchical roles are separated by `/`.
    Role
);

impl Role {
    /// The default role, to which unreserved resources belong.
    pub const DEFAULT: &'static str = "*";

    /// Whether this is the default role `*`.
    pub fn is_default(&self) -> bool {
        self.as_str() == Self::DEFAULT
    }
}

impl Default for Role {
    fn default() -> Self {
        static DEFAULT: LazyLock<Role> = LazyLock::new(|| Role::from(Role::DEFAULT));
        DEFAULT.clone()
    }
}

/// Sixteen bytes that identify a status update.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// A version-4 UUID made of 128 random bits; the randomness is the caller's.
    pub fn from_random(bits: u128) -> Self {
        let mut bytes = bits.to_be_bytes();
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Self(bytes)
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
