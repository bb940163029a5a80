//! Custom executors.

use protocol::{Command, CommandInfo, Environment, Uri, wire};
use serde::Serialize as Derive;
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::list::List;
use super::resources::Summary;
use crate::edge::snapshot::ExecutorView;

/// One executor, and the agent it is on.
pub(crate) struct Executor<'a>(pub(crate) &'a ExecutorView, pub(crate) &'a str);

impl Serialize for Executor<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(ExecutorView { info, role }, agent_id) = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("executor_id", &info.executor_id)?;
        map.serialize_entry("name", info.name.as_deref().unwrap_or_default())?;
        map.serialize_entry("framework_id", &info.framework_id)?;
        map.serialize_entry("command", &Shown(&info.command))?;
        map.serialize_entry("resources", &Summary(&info.resources))?;
        if !info.resources.is_empty() {
            map.serialize_entry("role", role)?;
        }
        if !info.labels.is_empty() {
            map.serialize_entry("labels", &info.labels)?;
        }
        let unread: Option<wire::v1::ExecutorInfo> = info.unread.as_ref().map(|unread| unread.read());
        if let Some(kind) = unread.filter(|unread| unread.r#type.is_some()) {
            map.serialize_entry("type", kind.r#type().as_str_name())?;
        }
        map.serialize_entry("slave_id", agent_id)?;
        map.end()
    }
}

/// What it runs.
struct Shown<'a>(&'a CommandInfo);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let command = self.0;
        let mut map = serializer.serialize_map(None)?;
        let (shell, value, arguments): (bool, &str, &[String]) = match &command.command {
            Command::Shell(text) => (true, text, &[]),
            Command::Argv { path, arguments } => (false, path, arguments),
        };
        map.serialize_entry("shell", &shell)?;
        map.serialize_entry("value", value)?;
        map.serialize_entry("argv", arguments)?;
        if !command.environment.0.is_empty() {
            map.serialize_entry("environment", &Variables(&command.environment))?;
        }
        map.serialize_entry("uris", &List(|| command.uris.iter().map(uri)))?;
        map.end()
    }
}

/// Its environment.
struct Variables<'a>(&'a Environment);

impl Serialize for Variables<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let variables = || {
            let all = self.0.0.iter();
            all.map(|(name, value)| Variable { name, r#type: "VALUE", value })
        };
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("variables", &List(variables))?;
        map.end()
    }
}

/// One variable.
#[derive(Derive)]
struct Variable<'a> {
    name: &'a str,
    r#type: &'a str,
    value: &'a str,
}

/// One thing to fetch.
#[derive(Derive)]
struct ShownUri<'a> {
    value: &'a str,
    executable: bool,
    extract: bool,
    cache: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_file: Option<&'a str>,
}

fn uri(uri: &Uri) -> ShownUri<'_> {
    ShownUri {
        value: &uri.value,
        executable: uri.executable,
        extract: uri.extract,
        cache: uri.cache,
        output_file: uri.output_file.as_deref(),
    }
}
