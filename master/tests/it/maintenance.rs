//! Maintenance over HTTP.

use serde_json::{Value, json};

use crate::api::{OPERATOR, run};
use crate::client::{call, get};

#[test]
fn machines_are_scheduled_taken_down_and_brought_up() {
    run(10, async |node, _master, _agent| {
        let machine = json!({ "hostname": "H1" });
        let unavailability = json!({
            "start": { "nanoseconds": 1_000_000_000_u64 }, "duration": { "nanoseconds": 5_000_000_000_u64 },
        });
        let schedule = |machines: Value, unavailability: &Value| json!({ "windows": [{ "machine_ids": machines, "unavailability": unavailability }] });
        let status = async || get(node, "/maintenance/status").await;
        let ask = async |kind: &str, field: &str, what: Value| {
            call(node, OPERATOR, &json!({ "type": kind, field: what })).await
        };
        assert_eq!((get(node, "/maintenance/schedule").await, status().await), (json!({}), json!({})));
        let negative = json!({ "start": { "nanoseconds": 7 }, "duration": { "nanoseconds": -1 } });
        let update = "update_maintenance_schedule";
        for (windows, reason) in [
            (schedule(json!([]), &unavailability), "List of machines in the maintenance window is empty"),
            (schedule(json!([machine]), &negative), "Unavailability 'duration' is negative"),
            (schedule(json!([{}]), &unavailability), "Both 'hostname' and 'ip' for a machine are empty"),
            (schedule(json!([{ "ip": "x" }]), &unavailability), "Failed to parse IPv4: x"),
        ] {
            let refused = ask("UPDATE_MAINTENANCE_SCHEDULE", update, json!({ "schedule": windows })).await;
            assert_eq!(refused, (400, reason.to_owned()));
        }
        let planned = schedule(json!([machine]), &unavailability);
        assert_eq!(call(node, "/maintenance/schedule", &planned).await, (200, String::new()));
        let expected = schedule(json!([{ "hostname": "h1" }]), &unavailability);
        assert_eq!(get(node, "/maintenance/schedule").await, expected);
        let (_, text) = ask("GET_MAINTENANCE_SCHEDULE", "", Value::Null).await;
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(answer["get_maintenance_schedule"]["schedule"], expected);
        let draining = json!({ "draining_machines": [{ "id": { "hostname": "h1" } }] });
        assert_eq!(status().await, draining);

        assert_eq!(call(node, "/machine/down", &json!([machine])).await, (200, String::new()));
        let down = json!({ "down_machines": [{ "hostname": "h1" }] });
        assert_eq!(status().await, down);
        let (_, text) = ask("GET_MAINTENANCE_STATUS", "", Value::Null).await;
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(answer["get_maintenance_status"]["status"], down);
        let empty = ask("UPDATE_MAINTENANCE_SCHEDULE", update, json!({ "schedule": {} })).await;
        let reason = "Machine '{\"hostname\":\"h1\"}' is deactivated and cannot be removed from the schedule";
        assert_eq!(empty, (400, reason.to_owned()));
        let machines = json!({ "machines": [machine] });
        assert_eq!(ask("STOP_MAINTENANCE", "stop_maintenance", machines.clone()).await, (200, String::new()));
        assert_eq!((get(node, "/maintenance/schedule").await, status().await), (json!({}), json!({})));
        let (status, _) = ask("START_MAINTENANCE", "start_maintenance", machines).await;
        assert_eq!(status, 400, "it is not scheduled any more");
    });
}
