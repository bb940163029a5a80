//! Commands.

use crate::command::{Command, CommandInfo, Environment, Uri};
use crate::wire::v1;
use v1::environment::variable::Type;

/// A command. Without `shell` it is one for the shell, as in Mesos; the arguments of such a one mean nothing.
///
/// # Errors
/// Says what can't be run: no shell command, a variable without a value, or one that is a secret.
pub fn command(info: v1::CommandInfo) -> Result<CommandInfo, String> {
    let command = if info.shell() {
        Command::Shell(info.value.ok_or("Shell command is not specified")?)
    } else {
        Command::Argv { path: info.value.unwrap_or_default(), arguments: info.arguments }
    };
    let variables = info.environment.unwrap_or_default().variables;
    let environment = variables.into_iter().map(variable).collect::<Result<_, _>>()?;
    Ok(CommandInfo {
        command,
        environment: Environment(environment),
        uris: info.uris.into_iter().map(uri).collect(),
        user: info.user,
    })
}

fn variable(variable: v1::environment::Variable) -> Result<(String, String), String> {
    let kind = variable.r#type();
    let shown = crate::validate::shown(&variable.name);
    match kind {
        Type::Unknown => Err("Environment variable of type 'UNKNOWN' is not allowed".to_owned()),
        Type::Secret => {
            Err(format!("Environment variable '{shown}' of type 'SECRET': secrets are not supported yet"))
        }
        Type::Value if variable.secret.is_some() => {
            Err(format!("Environment variable '{shown}' of type 'VALUE' must not have a secret set"))
        }
        Type::Value => match variable.value {
            Some(value) => Ok((variable.name, value)),
            None => Err(format!("Environment variable '{shown}' of type 'VALUE' must have a value set")),
        },
    }
}

fn uri(uri: v1::command_info::Uri) -> Uri {
    Uri {
        executable: uri.executable(),
        extract: uri.extract(),
        cache: uri.cache(),
        value: uri.value,
        output_file: uri.output_file,
    }
}

/// A command.
pub fn command_to_wire(info: &CommandInfo) -> v1::CommandInfo {
    let (shell, value, arguments) = match &info.command {
        Command::Shell(text) => (true, text, Vec::new()),
        Command::Argv { path, arguments } => (false, path, arguments.clone()),
    };
    let variable = |(name, value): &(String, String)| v1::environment::Variable {
        name: name.clone(),
        value: Some(value.clone()),
        ..Default::default()
    };
    let variables: Vec<_> = info.environment.0.iter().map(variable).collect();
    v1::CommandInfo {
        uris: info.uris.iter().map(uri_to_wire).collect(),
        environment: (!variables.is_empty()).then_some(v1::Environment { variables }),
        shell: Some(shell),
        value: Some(value.clone()),
        arguments,
        user: info.user.clone(),
    }
}

fn uri_to_wire(uri: &Uri) -> v1::command_info::Uri {
    v1::command_info::Uri {
        value: uri.value.clone(),
        executable: Some(uri.executable),
        extract: Some(uri.extract),
        cache: Some(uri.cache),
        output_file: uri.output_file.clone(),
    }
}
