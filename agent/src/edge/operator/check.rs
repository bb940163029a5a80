//! What a call must have, whatever becomes of it. The sentences are Mesos's.

use libactor::http::StatusCode;
use protocol::wire::negotiate::Shape;
use protocol::wire::v1;
use protocol::wire::v1::agent::Call;
use protocol::wire::v1::agent::call::Type;

use super::super::refused::Refused;

/// Longest id of a container with its parents, levels. Ours: nothing here is nested deeper.
const MAX_LEVELS: usize = 32;

/// The type of a call that has what its type needs.
///
/// # Errors
/// What is missing.
pub(super) fn call(call: &Call) -> Result<Type, String> {
    let kind = call.r#type.and_then(|number| Type::try_from(number).ok());
    let kind = kind.ok_or("Expecting 'type' to be present")?;
    if let Some((name, there)) = part(kind, call)
        && !there
    {
        return Err(format!("Expecting '{name}' to be present"));
    }
    let nested = match kind {
        Type::LaunchNestedContainer => call.launch_nested_container.as_ref().map(|call| &call.container_id),
        Type::WaitNestedContainer => call.wait_nested_container.as_ref().map(|call| &call.container_id),
        Type::KillNestedContainer => call.kill_nested_container.as_ref().map(|call| &call.container_id),
        Type::RemoveNestedContainer => call.remove_nested_container.as_ref().map(|call| &call.container_id),
        Type::LaunchNestedContainerSession => {
            call.launch_nested_container_session.as_ref().map(|call| &call.container_id)
        }
        _ => None,
    };
    match (nested, part(kind, call)) {
        (Some(id), Some((name, _))) if id.parent.is_none() => {
            Err(format!("Expecting '{name}.container_id.parent' to be present"))
        }
        _ => Ok(kind),
    }
}

/// The part that a type needs, and whether it is there.
fn part(kind: Type, call: &Call) -> Option<(&'static str, bool)> {
    Some(match kind {
        Type::Unknown
        | Type::GetHealth
        | Type::GetFlags
        | Type::GetVersion
        | Type::GetLoggingLevel
        | Type::GetState
        | Type::GetContainers
        | Type::GetFrameworks
        | Type::GetExecutors
        | Type::GetOperations
        | Type::GetTasks
        | Type::GetAgent
        | Type::GetResourceProviders
        | Type::PruneImages => return None,
        Type::GetMetrics => ("get_metrics", call.get_metrics.is_some()),
        Type::SetLoggingLevel => ("set_logging_level", call.set_logging_level.is_some()),
        Type::ListFiles => ("list_files", call.list_files.is_some()),
        Type::ReadFile => ("read_file", call.read_file.is_some()),
        Type::LaunchNestedContainer => ("launch_nested_container", call.launch_nested_container.is_some()),
        Type::WaitNestedContainer => ("wait_nested_container", call.wait_nested_container.is_some()),
        Type::KillNestedContainer => ("kill_nested_container", call.kill_nested_container.is_some()),
        Type::RemoveNestedContainer => ("remove_nested_container", call.remove_nested_container.is_some()),
        Type::LaunchNestedContainerSession => {
            ("launch_nested_container_session", call.launch_nested_container_session.is_some())
        }
        Type::AttachContainerInput => ("attach_container_input", call.attach_container_input.is_some()),
        Type::AttachContainerOutput => ("attach_container_output", call.attach_container_output.is_some()),
        Type::LaunchContainer => ("launch_container", call.launch_container.is_some()),
        Type::WaitContainer => ("wait_container", call.wait_container.is_some()),
        Type::KillContainer => ("kill_container", call.kill_container.is_some()),
        Type::RemoveContainer => ("remove_container", call.remove_container.is_some()),
        Type::AddResourceProviderConfig => {
            ("add_resource_provider_config", call.add_resource_provider_config.is_some())
        }
        Type::UpdateResourceProviderConfig => {
            ("update_resource_provider_config", call.update_resource_provider_config.is_some())
        }
        Type::RemoveResourceProviderConfig => {
            ("remove_resource_provider_config", call.remove_resource_provider_config.is_some())
        }
        Type::MarkResourceProviderGone => {
            ("mark_resource_provider_gone", call.mark_resource_provider_gone.is_some())
        }
    })
}

/// Whether a call may come, and be answered, as a stream.
///
/// # Errors
/// 415 or 406.
pub(super) fn streaming(kind: Type, content: Shape, accept: Shape) -> Result<(), Refused> {
    let name = kind.as_str_name();
    if matches!(content, Shape::Records(_)) && kind != Type::AttachContainerInput {
        let text =
            format!("Streaming 'Content-Type' {} is not supported for {name} call", content.content_type());
        return Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
    }
    let streamed = matches!(kind, Type::AttachContainerOutput | Type::LaunchNestedContainerSession);
    if matches!(accept, Shape::Records(_)) && !streamed {
        let text = format!("Streaming response is not supported for {name} call");
        return Err(Refused::new(StatusCode::NOT_ACCEPTABLE, text));
    }
    Ok(())
}

/// `parent.child`.
pub(super) fn name(id: &v1::ContainerId) -> String {
    let levels = std::iter::successors(Some(id), |id| id.parent.as_deref()).take(MAX_LEVELS);
    let mut names: Vec<&str> = levels.map(|id| id.value.as_str()).collect();
    names.reverse();
    names.join(".")
}

#[cfg(test)]
mod tests {
    use protocol::wire::{self, Format};

    use super::*;

    fn judge(json: &str) -> Result<Type, String> {
        call(&wire::decode(Format::Json, json.as_bytes()).unwrap())
    }

    #[test]
    fn what_is_missing_is_named() {
        for (json, why) in [
            ("{}", "Expecting 'type' to be present"),
            (r#"{"type":"NO_SUCH_CALL"}"#, "Expecting 'type' to be present"),
            (r#"{"type":"LIST_FILES"}"#, "Expecting 'list_files' to be present"),
            (r#"{"type":"KILL_NESTED_CONTAINER"}"#, "Expecting 'kill_nested_container' to be present"),
            (
                r#"{"type":"LAUNCH_NESTED_CONTAINER","launch_nested_container":{"container_id":{"value":"c"}}}"#,
                "Expecting 'launch_nested_container.container_id.parent' to be present",
            ),
        ] {
            assert_eq!(judge(json).unwrap_err(), why);
        }
        assert_eq!(judge(r#"{"type":"GET_HEALTH"}"#), Ok(Type::GetHealth));
        assert_eq!(judge(r#"{"type":"UNKNOWN"}"#), Ok(Type::Unknown));
    }

    #[test]
    fn nested_containers_are_named_from_the_outermost() {
        let id = |value: &str, parent| v1::ContainerId { value: value.into(), parent };
        let inner = id("c", Some(Box::new(id("b", Some(Box::new(id("a", None)))))));
        assert_eq!(name(&inner), "a.b.c");
    }
}
