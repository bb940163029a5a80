//! Methods and headers. Expected values: recordings of Mesos 1.12 where the comment says `recorded`.

use crate::wire::Format::{Json, Protobuf};
use crate::wire::negotiate::{Refusal, Shape, agent_request, agent_response, request, response};

fn refused<T: std::fmt::Debug>(result: Result<T, Refusal>) -> (u16, String) {
    let refusal = result.unwrap_err();
    (refusal.status, refusal.text)
}

#[test]
fn methods_and_content_types() {
    // Recorded.
    let get = request("GET", Some("application/json")).unwrap_err();
    assert_eq!(get.text, "405 Method Not Allowed. Expecting one of { 'POST' }, but received 'GET'.");
    assert_eq!((get.status, get.allow), (405, Some("POST")));
    assert_eq!(refused(request("PUT", None)).0, 405);
    assert_eq!(refused(request("POST", None)), (400, "Expecting 'Content-Type' to be present".into()));
    let unsupported =
        (415, "Expecting 'Content-Type' of application/json or application/x-protobuf".to_owned());
    for content_type in ["text/plain", "application/json; charset=utf-8", "application/recordio"] {
        assert_eq!(refused(request("POST", Some(content_type))), unsupported);
    }
    assert_eq!(request("POST", Some("application/json")), Ok(Json));
    assert_eq!(request("POST", Some("application/x-protobuf")), Ok(Protobuf));
}

#[test]
fn accepted_formats() {
    let unacceptable =
        (406, "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'".to_owned());
    // Recorded: text/html. The rest by RFC 9110, as far as Mesos goes: weights above zero all count the same.
    for accept in ["text/html", "", "foo", "application/json;q=0", "*/*;q=0", "application/*;q=0.0", "text/*"]
    {
        assert_eq!(refused(response(Some(accept))), unacceptable, "{accept}");
    }
    for (accept, expected) in [
        (None, Json),
        (Some("*/*"), Json),
        (Some("application/*"), Json),
        (Some("application/json"), Json),
        (Some("Application/JSON ; q=0.1"), Json),
        (Some("application/x-protobuf"), Protobuf),
        (Some("application/x-protobuf, application/json;q=0.1"), Json),
        (Some("text/html, application/x-protobuf;q=0.9, application/json;q=0"), Protobuf),
        (Some("application/json;q=0, */*"), Protobuf),
        (Some("application/json;q=0, application/*;q=0.5"), Protobuf),
        (Some("text/html,application/xhtml+xml,*/*;q=0.8"), Json),
    ] {
        assert_eq!(response(accept), Ok(expected), "{accept:?}");
    }
}

#[test]
fn the_agents_operator_api_takes_streams() {
    const RECORDIO: &str = "application/recordio";
    // Recorded.
    for content_type in ["text/plain", "application/json; charset=utf-8"] {
        assert_eq!(
            refused(agent_request("POST", Some(content_type), None)),
            (415, "Expecting 'Content-Type' of application/json or application/x-protobuf or application/recordio".into())
        );
    }
    assert_eq!(
        refused(agent_request("POST", None, None)),
        (400, "Expecting 'Content-Type' to be present".into())
    );
    assert_eq!(
        refused(agent_request("POST", Some(RECORDIO), None)),
        (400, "Expecting 'Message-Content-Type' to be set for streaming requests".into())
    );
    assert_eq!(
        refused(agent_response(Some("text/html"), None)),
        (
            406,
            "Expecting 'Accept' to allow application/json or application/x-protobuf or application/recordio"
                .into()
        )
    );
    assert_eq!(agent_response(None, None), Ok(Shape::One(Json)));
    assert_eq!(agent_response(Some("*/*"), None), Ok(Shape::One(Json)));
    // By the same rules.
    assert_eq!(refused(agent_request("GET", Some(RECORDIO), None)).0, 405);
    assert_eq!(refused(agent_request("POST", Some(RECORDIO), Some("text/plain"))).0, 415);
    assert_eq!(refused(agent_request("POST", Some("application/json"), Some("application/json"))).0, 415);
    assert_eq!(agent_request("POST", Some("application/json"), None), Ok(Shape::One(Json)));
    let streamed = agent_request("POST", Some(RECORDIO), Some("application/x-protobuf"));
    assert_eq!(streamed, Ok(Shape::Records(Protobuf)));
    assert_eq!(agent_response(Some(RECORDIO), None), Ok(Shape::Records(Json)));
    let answer = agent_response(Some(RECORDIO), Some("application/x-protobuf")).unwrap();
    assert_eq!(answer, Shape::Records(Protobuf));
    assert_eq!(
        (answer.content_type(), answer.message_content_type()),
        (RECORDIO, Some("application/x-protobuf"))
    );
    assert_eq!(refused(agent_response(Some(RECORDIO), Some("text/html"))).0, 406);
    assert_eq!(refused(agent_response(Some("application/json"), Some("application/json"))).0, 406);
}
