//! What is taken besides the plain forms, and how values are printed.

use bytes::Bytes;

use super::Codec;
use crate::wire::Format::{Json, Protobuf};
use crate::wire::v1::framework_info::capability::Type as Capability;
use crate::wire::v1::scheduler::{Call, call};
use crate::wire::v1::{DurationInfo, FrameworkInfo, IpStatistics, ResourceStatistics, master};
use crate::wire::{decode, encode, to_json_double};

/// A body of this message, and what is printed of it.
#[track_caller]
fn prints(name: &str, body: &str, expected: &str) {
    let printed = (Codec::named(name).turn)(Json, body.as_bytes(), Json).unwrap();
    assert_eq!(String::from_utf8(printed).unwrap(), expected, "{body}");
}

#[test]
fn json_is_taken_in_many_forms() {
    let call = "mesos.v1.scheduler.Call";
    // Unknown names are passed over, null is not set, the last of two counts.
    prints(
        call,
        r#" { "bogus" : [ { } , -0.5e3 , "\"" ] , "type" : "KILL" , "kill" : null } "#,
        r#"{"type":"KILL"}"#,
    );
    prints(
        call,
        r#"{"type":"KILL","framework_id":{"value":"a"},"type":"REVIVE"}"#,
        r#"{"framework_id":{"value":"a"},"type":"REVIVE"}"#,
    );
    prints(call, r#"{"type":"KILL","type":null}"#, "{}");
    prints(call, r#"{"revive":{"roles":["a"]},"revive":{"roles":["b"]}}"#, r#"{"revive":{"roles":["b"]}}"#);
    // Of lists: one value stands for a list of one, null for none, lists within count as one.
    prints(call, r#"{"revive":{"roles":"a"}}"#, r#"{"revive":{"roles":["a"]}}"#);
    prints(call, r#"{"revive":{"roles":["a",null,["b",[]]]}}"#, r#"{"revive":{"roles":["a","b"]}}"#);
    prints(call, r#"{"revive":{"roles":[]}}"#, r#"{"revive":{}}"#);
    // A name that an enum has not is not set.
    prints(call, r#"{"type":"NO_SUCH_CALL"}"#, "{}");
    prints(
        "mesos.v1.CSIPluginContainerInfo",
        r#"{"services":["NODE_SERVICE","NO_SUCH","CONTROLLER_SERVICE"]}"#,
        r#"{"services":["NODE_SERVICE","CONTROLLER_SERVICE"]}"#,
    );
    // Escapes, in names, too.
    prints(
        call,
        r#"{"t\u0079pe":"KILL","framework_id":{"value":"\ud83d\ude00\/\b\f\n\r\t\u001f\u007f\\\""}}"#,
        "{\"framework_id\":{\"value\":\"😀/\\b\\f\\n\\r\\t\\u001F\u{7f}\\\\\\\"\"},\"type\":\"KILL\"}",
    );
    // Of two members of a oneof the last counts.
    prints(
        "mesos.v1.scheduler.AttributeConstraint.Selector",
        r#"{"attribute_name":"a","pseudoattribute_type":"ZONE"}"#,
        r#"{"pseudoattribute_type":"ZONE"}"#,
    );
}

#[test]
fn numbers_are_taken_in_many_forms() {
    let duration = "mesos.v1.DurationInfo";
    for (given, expected) in [
        ("5000000000", "5000000000"),
        ("5e9", "5000000000"),
        ("5000000000.75", "5000000000"),
        ("\"5000000000\"", "5000000000"),
        ("\" -7 \"", "-7"),
        ("9223372036854775807", "9223372036854775807"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("007", "7"),
    ] {
        prints(
            duration,
            &format!(r#"{{"nanoseconds":{given}}}"#),
            &format!(r#"{{"nanoseconds":{expected}}}"#),
        );
    }
    for beyond in ["1e30", "-1e30", "18446744073709551616", "\"NaN\"", "1e999"] {
        let body = format!(r#"{{"nanoseconds":{beyond}}}"#);
        let refused = decode::<DurationInfo>(Json, body.as_bytes()).unwrap_err();
        assert_eq!(refused.reason(), "The JSON number for field 'nanoseconds' is out of range", "{body}");
    }
    prints(
        "mesos.v1.Value.Range",
        r#"{"begin":18446744073709551615,"end":"1"}"#,
        r#"{"begin":18446744073709551615,"end":1}"#,
    );
    // A client may take an address for a signed number.
    prints(
        "mesos.v1.MasterInfo",
        r#"{"id":"m","ip":-1062731520,"port":1}"#,
        r#"{"id":"m","ip":3232235776,"port":1}"#,
    );
    for (given, expected) in [
        ("64", "64.0"),
        ("-0.0", "-0.0"),
        ("\"0.5\"", "0.5"),
        ("\"Infinity\"", "\"Infinity\""),
        ("\"-Infinity\"", "\"-Infinity\""),
        ("\"NaN\"", "\"NaN\""),
        ("1e999", "\"Infinity\""),
        ("-.5", "-0.5"),
    ] {
        prints(
            "mesos.v1.Value.Scalar",
            &format!(r#"{{"value":{given}}}"#),
            &format!(r#"{{"value":{expected}}}"#),
        );
    }
}

#[test]
fn doubles_are_printed_as_by_mesos() {
    for (number, expected) in [
        (15.0, "15.0"),
        (0.0, "0.0"),
        (0.1, "0.1"),
        (1_795_199_959.246_962, "1795199959.246962"),
        (0.060_000_000_000_000_005, "0.060000000000000005"),
        (2_147_483_648.0, "2147483648.0"),
        (1e20, "100000000000000000000.0"),
        (1e21, "1e21"),
        (1e30, "1e30"),
        (1.5e300, "1.5e300"),
        (1e-6, "0.000001"),
        (1.25e-7, "1.25e-7"),
        (-2.5, "-2.5"),
        (f64::MAX, "1.7976931348623157e308"),
    ] {
        let mut out = Vec::new();
        to_json_double(number, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}

#[test]
fn bytes_are_base64() {
    let data =
        |text: &str| decode::<call::Message>(Json, message(text).as_bytes()).map(|message| message.data);
    fn message(text: &str) -> String {
        format!(r#"{{"agent_id":{{"value":"a"}},"executor_id":{{"value":"e"}},"data":"{text}"}}"#)
    }
    for (text, expected) in [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYg==", "foob")] {
        assert_eq!(data(text), Ok(Bytes::from_static(expected.as_bytes())), "{text}");
        let printed =
            (Codec::named("mesos.v1.scheduler.Call.Message").turn)(Json, message(text).as_bytes(), Json);
        assert_eq!(String::from_utf8(printed.unwrap()).unwrap(), message(text));
    }
    assert_eq!(data("Zm8"), Ok(Bytes::from_static(b"fo")));
    assert_eq!(data("Z m\\n8="), Ok(Bytes::from_static(b"fo")));
    assert_eq!(data("-_8="), Err(decode::<call::Message>(Json, message("-").as_bytes()).unwrap_err()));
}

#[test]
fn defaults_are_printed_unless_deprecated() {
    let framework = FrameworkInfo { user: "u".into(), name: "n".into(), ..FrameworkInfo::default() };
    let printed = encode(Json, &framework);
    // `role` has a default, too, and is deprecated.
    assert_eq!(printed, br#"{"user":"u","name":"n","failover_timeout":0.0,"checkpoint":false}"#);
    prints("mesos.v1.Filters", "{}", r#"{"refuse_seconds":5.0}"#);
    prints("mesos.v1.CommandInfo", r#"{"value":"x"}"#, r#"{"shell":true,"value":"x"}"#);
    prints("mesos.v1.Image", r#"{"type":"APPC"}"#, r#"{"type":"APPC","cached":true}"#);
    prints("mesos.v1.HealthCheck.TCPCheckInfo", r#"{"port":1}"#, r#"{"protocol":"IPv4","port":1}"#);
    // Lists that are empty are not, but for those that Mesos prints by hand.
    prints("mesos.v1.scheduler.Event.Offers", "{}", "{}");
    prints("mesos.v1.master.Response.GetExecutors", "{}", r#"{"executors":[]}"#);
}

#[test]
fn names_are_those_of_the_schema() {
    let statistics = IpStatistics { default_ttl: Some(64), ..IpStatistics::default() };
    assert_eq!(encode(Json, &statistics), br#"{"DefaultTTL":64}"#);
    prints("mesos.v1.IpStatistics", r#"{"DefaultTTL":64,"default_ttl":1}"#, r#"{"DefaultTTL":64}"#);
    let usage = ResourceStatistics { timestamp: 1.5, mem_rss_bytes: Some(1 << 40), ..Default::default() };
    assert_eq!(encode(Json, &usage), br#"{"timestamp":1.5,"mem_rss_bytes":1099511627776}"#);
}

#[test]
fn the_grace_period_of_draining_is_in_seconds() {
    let body = br#"{"type":"DRAIN_AGENT","drain_agent":{"agent_id":{"value":"a"},"max_grace_period":{"seconds":10}}}"#;
    let drain = decode::<master::Call>(Json, body).unwrap().drain_agent.unwrap();
    assert_eq!(drain.max_grace_period.unwrap().seconds, Some(10));
}

#[test]
fn bytes_are_read_as_in_proto2() {
    // An enum's value that nobody knows is not set; with prost alone it would be.
    let call = decode::<Call>(Protobuf, &[0x10, 99]).unwrap();
    assert_eq!(call, Call::default());
    let framework = [10, 1, b'u', 18, 1, b'n', 82, 2, 8, 99, 82, 2, 8, 6];
    let capabilities = decode::<FrameworkInfo>(Protobuf, &framework).unwrap().capabilities;
    let types: Vec<_> = capabilities.iter().map(|capability| capability.r#type).collect();
    assert_eq!(types, [None, Some(Capability::MultiRole as i32)]);
    // Required, it is missing.
    let scalar = |number: u8| [10, 1, b'a', 16, number];
    assert!((Codec::named("mesos.v1.Resource").turn)(Protobuf, &scalar(0), Json).is_ok());
    assert!((Codec::named("mesos.v1.Resource").turn)(Protobuf, &scalar(9), Json).is_err());
    // Of a packed list, the rest is kept.
    let services = (Codec::named("mesos.v1.CSIPluginContainerInfo").turn)(Protobuf, &[10, 3, 2, 99, 1], Json);
    assert_eq!(services.unwrap(), br#"{"services":["NODE_SERVICE","CONTROLLER_SERVICE"]}"#);
    // Two pieces of a message are one: each alone lacks something.
    let (user, name) = ([10, 3, 10, 1, b'u'], [10, 3, 18, 1, b'n']);
    let pieces = [&[0x1a, 5][..], &user, &[0x1a, 5], &name].concat();
    let framework = decode::<Call>(Protobuf, &pieces).unwrap().subscribe.unwrap().framework_info;
    assert_eq!((framework.user.as_str(), framework.name.as_str()), ("u", "n"));
    // A field that is laid out otherwise is one that nobody knows.
    assert_eq!(decode::<Call>(Protobuf, &[0x12, 1, b'x']), Ok(Call::default()));
    // Text must be UTF-8.
    assert!(decode::<Call>(Protobuf, &[10, 3, 10, 1, 0xff]).is_err());
    assert!(decode::<Call>(Json, b"{\"framework_id\":{\"value\":\"\xff\"}}").is_err());
}
