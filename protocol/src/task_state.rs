//! The states of a task and the steps between them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The state of a task. Source: Mesos `TaskState`; the numbers are those of its wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum TaskState {
    /// Accepted by the master; no executor has answered for it yet.
    Staging = 6,
    /// Its executor has it.
    Starting = 0,
    /// It runs.
    Running = 1,
    /// It is being killed.
    Killing = 8,
    /// It ended well.
    Finished = 2,
    /// It ended badly.
    Failed = 3,
    /// It was killed.
    Killed = 4,
    /// Its description was refused.
    Error = 7,
    /// It is lost, for frameworks that don't tell the kinds of loss apart.
    Lost = 5,
    /// It never started.
    Dropped = 9,
    /// Its agent is unreachable: it may come back.
    Unreachable = 10,
    /// It ran on an agent that is gone for good.
    Gone = 11,
    /// As `Gone`, by an operator's word.
    GoneByOperator = 12,
    /// Nobody knows it.
    Unknown = 13,
}

/// Why a name is not a state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{name}' is not a state of a task: expected a name such as TASK_RUNNING")]
pub struct UnknownTaskState {
    /// What was given.
    pub name: String,
}

impl TaskState {
    /// Every state, in the order of the wire's numbers.
    pub const ALL: [TaskState; 14] = [
        TaskState::Starting,
        TaskState::Running,
        TaskState::Finished,
        TaskState::Failed,
        TaskState::Killed,
        TaskState::Lost,
        TaskState::Staging,
        TaskState::Error,
        TaskState::Killing,
        TaskState::Dropped,
        TaskState::Unreachable,
        TaskState::Gone,
        TaskState::GoneByOperator,
        TaskState::Unknown,
    ];

    /// Whether nothing can follow. `Unreachable` and `Unknown` are not terminal.
    pub fn is_terminal(self) -> bool {
        use TaskState::*;
        matches!(self, Finished | Failed | Killed | Error | Lost | Dropped | Gone | GoneByOperator)
    }

    /// The number on the wire.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The state of a number on the wire.
    pub fn from_number(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|state| i32::from(state.number()) == number)
    }

    /// The state of a name on the wire, such as `TASK_RUNNING`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// The name on the wire, such as `TASK_RUNNING`.
    pub fn name(self) -> &'static str {
        use TaskState::*;
        match self {
            Staging => "TASK_STAGING",
            Starting => "TASK_STARTING",
            Running => "TASK_RUNNING",
            Killing => "TASK_KILLING",
            Finished => "TASK_FINISHED",
            Failed => "TASK_FAILED",
            Killed => "TASK_KILLED",
            Error => "TASK_ERROR",
            Lost => "TASK_LOST",
            Dropped => "TASK_DROPPED",
            Unreachable => "TASK_UNREACHABLE",
            Gone => "TASK_GONE",
            GoneByOperator => "TASK_GONE_BY_OPERATOR",
            Unknown => "TASK_UNKNOWN",
        }
    }

    /// Whether a task may go from `self` to `next` on one agent, as that agent and its executor report it, or as
    /// the master judges when the agent is silent. Staying in a state that is not terminal is legal: a second
    /// report of it carries news (health, a message).
    ///
    /// | from | to |
    /// |---|---|
    /// | Staging | Staging, Starting, Running, Killing, Unreachable, any terminal |
    /// | Starting | Starting, Running, Killing, Unreachable, any terminal |
    /// | Running | Running, Killing, Unreachable, any terminal |
    /// | Killing | Killing, Unreachable, any terminal |
    /// | Unreachable | whatever its agent reports when it returns: anything but Unknown |
    /// | Unknown | nothing: it is an answer to a question, not a state that a task is in |
    /// | terminal | nothing |
    pub fn may_become(self, next: TaskState) -> bool {
        use TaskState::*;
        let rank = |state: TaskState| match state {
            Staging => 0,
            Starting => 1,
            Running => 2,
            Killing => 3,
            _ => 4,
        };
        match (self, next) {
            (from, _) if from.is_terminal() => false,
            (_, Unknown) | (Unknown, _) => false,
            (Unreachable, _) => true,
            (_, Unreachable) => true,
            (from, to) => rank(from) <= rank(to),
        }
    }
}

impl FromStr for TaskState {
    type Err = UnknownTaskState;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::from_name(name).ok_or_else(|| UnknownTaskState {
            name: name.chars().take(80).flat_map(char::escape_debug).collect(),
        })
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All 14 x 14 steps: rows from, columns to, both in the order of the wire's numbers; `x` is legal.
    const STEPS: &str = "
        from \\ to      STARTING RUNNING FINISHED FAILED KILLED LOST STAGING ERROR KILLING DROPPED UNREACH GONE GONEBYOP UNKNOWN
        STARTING       x x x x x x . x x x x x x .
        RUNNING        . x x x x x . x x x x x x .
        FINISHED       . . . . . . . . . . . . . .
        FAILED         . . . . . . . . . . . . . .
        KILLED         . . . . . . . . . . . . . .
        LOST           . . . . . . . . . . . . . .
        STAGING        x x x x x x x x x x x x x .
        ERROR          . . . . . . . . . . . . . .
        KILLING        . . x x x x . x x x x x x .
        DROPPED        . . . . . . . . . . . . . .
        UNREACHABLE    x x x x x x x x x x x x x .
        GONE           . . . . . . . . . . . . . .
        GONE_BY_OPERATOR . . . . . . . . . . . . . .
        UNKNOWN        . . . . . . . . . . . . . .
    ";

    #[test]
    fn steps_are_those_of_the_table() {
        let rows: Vec<Vec<&str>> = STEPS
            .lines()
            .map(|line| line.split_whitespace().collect())
            .filter(|row: &Vec<&str>| row.len() == 15 && matches!(row[1], "x" | "."))
            .collect();
        assert_eq!(rows.len(), TaskState::ALL.len());
        for (from, row) in TaskState::ALL.into_iter().zip(rows) {
            assert_eq!(from.name(), format!("TASK_{}", row[0]));
            for (to, cell) in TaskState::ALL.into_iter().zip(&row[1..]) {
                assert_eq!(from.may_become(to), *cell == "x", "{from} to {to}");
            }
        }
    }

    #[test]
    fn a_terminal_state_is_final_and_a_live_one_may_end() {
        for from in TaskState::ALL {
            for to in TaskState::ALL.into_iter().filter(|to| to.is_terminal()) {
                let lives = !from.is_terminal() && from != TaskState::Unknown;
                assert_eq!(from.may_become(to), lives, "{from} to {to}");
            }
        }
        assert_eq!(TaskState::ALL.into_iter().filter(|state| state.is_terminal()).count(), 8);
    }

    #[test]
    fn numbers_and_names_are_those_of_the_wire() {
        for (index, state) in TaskState::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(state.number()), index);
            assert_eq!(TaskState::from_number(index as i32), Some(state));
            assert_eq!(state.name().parse(), Ok(state));
        }
        for number in [-1, 14, 256, i32::MIN, i32::MAX] {
            assert_eq!(TaskState::from_number(number), None);
        }
        assert_eq!(TaskState::from_name("TASK_STAGING"), Some(TaskState::Staging));
        assert_eq!(TaskState::from_name("task_staging"), None);
        let error = "RUNNING".parse::<TaskState>().unwrap_err().to_string();
        assert_eq!(error, "'RUNNING' is not a state of a task: expected a name such as TASK_RUNNING");
    }
}
