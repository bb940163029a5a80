//! Bodies that are refused, and in which words. Expected values: recordings of Mesos 1.12 where the comment says
//! `recorded`, else what follows from stout's rules.

use std::collections::BTreeMap;

use crate::wire::v1::quota::QuotaConfig;
use crate::wire::v1::value::Scalar;
use crate::wire::v1::{MachineId, WeightInfo, agent, executor, maintenance, master, scheduler};
use crate::wire::{DecodeError, Format, WireMessage, decode, decode_list, decode_object, encode};

fn json<M: WireMessage>(body: &str) -> String {
    refusal::<M>(Format::Json, body.as_bytes()).to_string()
}

fn refusal<M: WireMessage>(format: Format, body: &[u8]) -> DecodeError {
    match decode::<M>(format, body) {
        Ok(_) => panic!("{} is taken", String::from_utf8_lossy(body)),
        Err(error) => error,
    }
}

#[test]
fn bodies_are_refused_in_mesos_words() {
    type Row = (&'static str, &'static str);
    // Recorded of the scheduler API; the master's operator API says the same.
    let rows: &[Row] = &[
        (r#"{"type":"#, "Failed to parse body into JSON: syntax error at line 1 near: "),
        ("", "Failed to parse body into JSON: syntax error at line 1 near: "),
        ("[]", "Failed to convert JSON into Call protobuf: Expecting a JSON object"),
        (r#""x""#, "Failed to convert JSON into Call protobuf: Expecting a JSON object"),
        (
            r#"{"type":1}"#,
            "Failed to convert JSON into Call protobuf: Not expecting a JSON number for field 'type'",
        ),
        (
            r#"{"type":"SUBSCRIBE","subscribe":{"framework_info":{"name":"x"}}}"#,
            "Failed to convert JSON into Call protobuf: Missing required fields: subscribe.framework_info.user",
        ),
        (
            r#"{"type": "SUBSCRIBE", "subscribe": {"framework_info": {"user": "root", "name": "e", "roles": ["*"], "failover_timeout": "x"}}}"#,
            "Failed to convert JSON into Call protobuf: Failed to parse 'x' as a JSON number for field 'failover_timeout': syntax error at line 1 near: x",
        ),
    ];
    for (body, expected) in rows {
        assert_eq!(json::<scheduler::Call>(body), *expected, "{body}");
    }
    for (body, expected) in &rows[..5] {
        assert_eq!(json::<master::Call>(body), *expected, "{body}");
    }
    // Recorded of the executor API.
    let missing =
        "Failed to convert JSON into Call protobuf: Missing required fields: executor_id, framework_id";
    for body in
        ["{}", r#"{"type":"GET_HEALTH"}"#, r#"{"type":"NO_SUCH_CALL"}"#, r#"{"type":"GET_HEALTH","bogus":1}"#]
    {
        assert_eq!(json::<executor::Call>(body), missing, "{body}");
    }
    assert_eq!(
        json::<executor::Call>(r#"{"type":1}"#),
        "Failed to convert JSON into Call protobuf: Not expecting a JSON number for field 'type'"
    );
}

#[test]
fn bytes_are_refused_in_mesos_words() {
    let garbage = [0xff; 4];
    // Recorded.
    let expected = "Failed to parse body into Call protobuf";
    assert_eq!(refusal::<scheduler::Call>(Format::Protobuf, &garbage).to_string(), expected);
    assert_eq!(refusal::<master::Call>(Format::Protobuf, &garbage).to_string(), expected);
    assert_eq!(refusal::<executor::Call>(Format::Protobuf, &garbage).to_string(), expected);
    assert_eq!(refusal::<executor::Call>(Format::Protobuf, b"").to_string(), expected);
    assert_eq!(
        refusal::<agent::Call>(Format::Protobuf, &garbage).on_agent(),
        "Failed to parse body into a protobuf object"
    );
    // Recorded: what nothing is required of may be empty.
    assert_eq!(decode::<scheduler::Call>(Format::Protobuf, b""), Ok(scheduler::Call::default()));
    // A framework without a user.
    assert_eq!(refusal::<scheduler::Call>(Format::Protobuf, &[0x1a, 2, 0x0a, 0]).to_string(), expected);
}

#[test]
fn the_agents_operator_api_has_words_of_its_own() {
    // Recorded.
    let on_agent = |body: &str| refusal::<agent::Call>(Format::Json, body.as_bytes()).on_agent();
    assert_eq!(on_agent(r#"{"type":"#), "Failed to parse body into JSON: syntax error at line 1 near: ");
    assert_eq!(on_agent("[]"), "Expecting a JSON object");
    assert_eq!(on_agent(r#"{"type":1}"#), "Not expecting a JSON number for field 'type'");
}

#[test]
fn older_endpoints_say_the_reason_alone() {
    // Recorded.
    let refused = decode_object::<maintenance::Schedule>(br#"{"windows":[{"machine_ids":[]}]}"#);
    assert_eq!(refused.unwrap_err().reason(), "Missing required fields: windows[0].unavailability");
    let refused = decode_list::<MachineId>(b"{}");
    assert_eq!(refused.unwrap_err().reason(), "Unexpected JSON type parsed");
    let refused = decode_list::<WeightInfo>(br#"[{"role":"eng2","weight":1.5}"#);
    assert_eq!(refused.unwrap_err().reason(), "syntax error at line 1 near: ");
    // By the same rules.
    assert_eq!(decode_list::<MachineId>(b"[]"), Ok(vec![]));
    let machine = MachineId { hostname: Some("x".into()), ip: None };
    assert_eq!(decode_list(br#"[{"hostname":"x"}, {}]"#), Ok(vec![machine, MachineId::default()]));
    let refused = decode_list::<WeightInfo>(br#"[{"role":"a","weight":1}, {"role":"b"}]"#);
    assert_eq!(refused.unwrap_err().reason(), "Missing required fields: weight");
    assert_eq!(decode_list::<WeightInfo>(b"[1]").unwrap_err().reason(), "Expecting a JSON object");
    assert_eq!(
        decode_object::<maintenance::Schedule>(b"[]").unwrap_err().reason(),
        "Unexpected JSON type parsed"
    );
}

#[test]
fn nesting_is_bounded_as_in_mesos() {
    // Recorded: of ten thousand brackets, the one that is refused and those before it are not repeated.
    let body = "[".repeat(10_000) + &"]".repeat(10_000);
    let expected = "[".repeat(9_799) + &"]".repeat(10_000);
    let intro = "Failed to parse body into JSON: syntax error at line 1 near: ";
    assert_eq!(json::<master::Call>(&body), format!("{intro}{expected}"));

    let within = |depth: usize| format!(r#"{{"bogus":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
    assert!(decode::<master::Call>(Format::Json, within(199).as_bytes()).is_ok());
    assert!(decode::<master::Call>(Format::Json, within(200).as_bytes()).is_err());
}

#[test]
fn syntax_is_judged_as_by_picojson() {
    let near = |line: usize, rest: &str| {
        format!("Failed to parse body into JSON: syntax error at line {line} near: {rest}")
    };
    for (body, expected) in [
        ("nul", near(1, "")),
        ("nuxl", near(1, "xl")),
        ("{\n\"type\": @ 1}", near(2, "@ 1}")),
        ("{\"a\":1,}", near(1, "}")),
        ("{\"a\":\"\\x\"}", near(1, "\"}")),
        ("{\"a\":\"\\u12g4\"}", near(1, "g4\"}")),
        ("{\"a\":\"\\udc00\"}", near(1, "\"}")),
        ("{\"a\":\"line\nfeed\"}", near(1, "")),
        ("{\"a\":1 2}", near(1, "2}")),
        ("{\"a\":1-2}", near(1, "}")),
        ("{a:1}", near(1, "a:1}")),
        (
            "{}  x y \n",
            "Failed to parse body into JSON: Parsed JSON included non-whitespace trailing characters: x y"
                .into(),
        ),
        // The whole text must be JSON before anything else counts.
        (r#"{"type":1,"framework_id":}"#, near(1, "}")),
    ] {
        assert_eq!(json::<scheduler::Call>(body), expected, "{body}");
    }
}

#[test]
fn of_several_mistakes_the_first_by_name_is_told() {
    let unfit = |text: &str| format!("Failed to convert JSON into Call protobuf: {text}");
    for (body, expected) in [
        (r#"{"type":1,"kill":2}"#, "Not expecting a JSON number for field 'kill'"),
        (
            r#"{"type":1,"kill":{"task_id":true,"agent_id":"x"}}"#,
            "Not expecting a JSON string for field 'agent_id'",
        ),
        (
            r#"{"kill":1,"type":2,"kill":{"task_id":{"value":"t"}}}"#,
            "Not expecting a JSON number for field 'type'",
        ),
        (
            r#"{"accept":{"offer_ids":[{"value":[]},{"value":{}}]}}"#,
            "Not expecting a JSON array for field 'value'",
        ),
        (r#"{"framework_id":{"value":{}}}"#, "Not expecting a JSON object for field 'value'"),
        (
            r#"{"subscribe":{"suppressed_roles":[true]}}"#,
            "Not expecting a JSON boolean for field 'suppressed_roles'",
        ),
        (
            r#"{"acknowledge":{"uuid":"a?b"}}"#,
            "Failed to base64 decode bytes field 'uuid': Invalid character '?'",
        ),
        (
            r#"{"accept":{"operations":[{"launch":{"task_infos":[{"resources":[{"type":"X"}]}]}}]}}"#,
            "Failed to find enum for 'X'",
        ),
        (
            r#"{"accept":{"filters":{"refuse_seconds":"true"}}}"#,
            "Failed to parse 'true' as a JSON number for field 'refuse_seconds': Unexpected JSON type parsed",
        ),
        (
            r#"{"subscribe":{"framework_info":{"user":"u","name":"n","checkpoint":"yes"}}}"#,
            "Failed to parse 'yes' as a JSON boolean for field 'checkpoint': syntax error at line 1 near: yes",
        ),
        (
            r#"{"reconcile":{"tasks":[{"task_id":{"value":"t"}},{"agent_id":{}}]},"kill":{}}"#,
            "Missing required fields: kill.task_id, reconcile.tasks[1].task_id, reconcile.tasks[1].agent_id.value",
        ),
    ] {
        assert_eq!(json::<scheduler::Call>(body), unfit(expected), "{body}");
    }
}

#[test]
fn values_of_maps_are_written_when_they_are_zero_too() {
    // prost leaves them out; others would miss them.
    let config = QuotaConfig {
        role: "r".into(),
        limits: BTreeMap::from([
            ("gpus".into(), Scalar { value: 0.0 }),
            ("cpus".into(), Scalar { value: 1.5 }),
        ]),
        ..QuotaConfig::default()
    };
    let call = master::Call {
        update_quota: Some(master::call::UpdateQuota { quota_configs: vec![config], ..Default::default() }),
        ..Default::default()
    };
    let json = r#"{"update_quota":{"quota_configs":[{"role":"r","limits":{"cpus":{"value":1.5},"gpus":{"value":0.0}}}]}}"#;
    assert_eq!(String::from_utf8(encode(Format::Json, &call)).unwrap(), json);
    assert_eq!(decode(Format::Json, json.as_bytes()), Ok(call.clone()));
    let bytes = encode(Format::Protobuf, &call);
    assert!(bytes.ends_with(&[b'g', b'p', b'u', b's', 0x12, 9, 9, 0, 0, 0, 0, 0, 0, 0, 0]));
    assert_eq!(decode(Format::Protobuf, &bytes), Ok(call.clone()));
    // What another program wrote by prost is taken.
    assert_eq!(decode(Format::Protobuf, &prost::Message::encode_to_vec(&call)), Ok(call));
    // In JSON it must be there.
    let json = r#"{"update_quota":{"quota_configs":[{"role":"r","limits":{"cpus":null}}]}}"#;
    let missing = "Failed to convert JSON into Call protobuf: Missing required fields: update_quota.quota_configs[0].limits[0].value";
    assert_eq!(self::json::<master::Call>(json), missing);
}
