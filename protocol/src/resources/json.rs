//! The JSON form: a list of Mesos `Resource` objects, as `--resources` accepts it and `/state` prints it.
//!
//! ```json
//! [{"name": "cpus", "type": "SCALAR", "scalar": {"value": 4.0}, "role": "*"},
//!  {"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 31000, "end": 32000}]},
//!   "reservations": [{"type": "STATIC", "role": "prod"}]},
//!  {"name": "zones", "type": "SET", "set": {"item": ["a", "b"]}}]
//! ```

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json, json};

use super::{Gather, Ranges, Reservation, ReservationKind, Resource, Resources, Scalar, Value, name};
use crate::Role;
use crate::limits::{MAX_RANGES, MAX_RESERVATIONS, MAX_SET_ITEMS};

/// Why a JSON text is not resources.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("resources in JSON: {problem}")]
pub struct ParseJsonResourcesError {
    /// What is wrong.
    pub problem: String,
}

/// Fields of a Mesos resource that change what it is, and that we do not have.
const UNSUPPORTED: [&str; 3] = ["disk", "shared", "provider_id"];

type Object = Map<String, Json>;

impl Resources {
    /// Reads a list of Mesos `Resource` objects; one object alone is a list of one. Unknown fields are ignored;
    /// `disk`, `shared` and `provider_id` are refused, since without them it would be another resource.
    ///
    /// # Errors
    /// Says which entry (counted from 1) and which field is wrong.
    pub fn from_json(text: &str) -> Result<Self, ParseJsonResourcesError> {
        parse(text).map_err(|problem| ParseJsonResourcesError { problem })
    }

    /// The list of Mesos `Resource` objects. Each says its role in the older way too (`role`, and `reservation`
    /// where dynamic), unless it carries a stack of reservations.
    pub fn to_json(&self) -> Json {
        Json::Array(self.iter().map(print_one).collect())
    }

    /// The short form of Mesos's older endpoints: one field a name, amounts as numbers, the rest as text, over
    /// all reservations, without what is revocable: `{"cpus":4.0,"disk":0.0,"gpus":0.0,"mem":2048.0,"ports":"[31000-32000]"}`.
    pub fn to_json_summary(&self) -> Json {
        let plain = self.filtered(|resource| !resource.revocable);
        let mut fields = Object::new();
        for name in ["cpus", "gpus", "mem", "disk"] {
            fields.insert(name.into(), json!(plain.scalar(name).as_f64()));
        }
        for resource in &plain {
            let text = match &resource.value {
                Value::Scalar(_) => json!(plain.scalar(&resource.name).as_f64()),
                Value::Ranges(_) => json!(plain.ranges(&resource.name).to_string()),
                Value::Set(_) => json!(format!("{{{}}}", plain.set_items(&resource.name).join(","))),
            };
            fields.insert(resource.name.to_string(), text);
        }
        Json::Object(fields)
    }

    fn set_items(&self, name: &str) -> Vec<&str> {
        let sets = self.named(name).iter().filter_map(|resource| match &resource.value {
            Value::Set(set) => Some(set.iter().map(String::as_str)),
            _ => None,
        });
        sets.flatten().collect::<BTreeSet<_>>().into_iter().collect()
    }
}

fn parse(text: &str) -> Result<Resources, String> {
    let json: Json = serde_json::from_str(text).map_err(|why| format!("not JSON: {why}"))?;
    let entries = match json {
        Json::Array(entries) => entries,
        object @ Json::Object(_) => vec![object],
        _ => return Err("expected a list of objects".into()),
    };
    let mut gather = Gather::default();
    for (index, entry) in entries.iter().enumerate() {
        let resource = parse_one(entry);
        resource.and_then(|resource| gather.push(resource)).map_err(|why| {
            let name = entry.get("name").and_then(Json::as_str).unwrap_or("?");
            let name: String = name.chars().take(80).flat_map(char::escape_debug).collect();
            format!("resource {} ('{name}'): {why}", index + 1)
        })?;
    }
    gather.finish()
}

fn parse_one(entry: &Json) -> Result<Resource, String> {
    let entry = entry.as_object().ok_or("expected an object")?;
    if let Some(field) = UNSUPPORTED.iter().find(|field| present(entry, field).is_some()) {
        return Err(format!("'{field}' is not supported"));
    }
    let name = text(entry, "name")?.ok_or("'name' is missing")?;
    name::check(name)?;
    let value = match text(entry, "type")?.ok_or("'type' is missing: expected SCALAR, RANGES or SET")? {
        "SCALAR" => Value::Scalar(parse_scalar(entry)?),
        "RANGES" => Value::Ranges(parse_ranges(entry)?),
        "SET" => Value::Set(parse_set(entry)?),
        other => {
            return Err(format!("'type' is '{}': expected SCALAR, RANGES or SET", other.escape_debug()));
        }
    };
    Ok(Resource {
        name: name::intern(name),
        reservations: parse_reservations(entry)?,
        revocable: present(entry, "revocable").is_some(),
        value,
    })
}

fn parse_scalar(entry: &Object) -> Result<Scalar, String> {
    let value = object(entry, "scalar")?.and_then(|scalar| present(scalar, "value"));
    let number = value.ok_or("'scalar.value' is missing")?;
    let number = number.as_f64().ok_or("'scalar.value' is not a number")?;
    Scalar::from_f64(number).map_err(|why| format!("'scalar.value': {why}"))
}

fn parse_ranges(entry: &Object) -> Result<Ranges, String> {
    let ranges = object(entry, "ranges")?.ok_or("'ranges.range' is missing")?;
    let ranges = list(ranges, "range")?.ok_or("'ranges.range' is missing")?;
    if ranges.len() > MAX_RANGES {
        return Err(format!("more than {MAX_RANGES} ranges"));
    }
    let mut parsed = Vec::with_capacity(ranges.len());
    for range in ranges {
        let number = |field: &str| {
            // 64-bit numbers may be strings: JavaScript has none.
            let number = range.get(field)?;
            number.as_u64().or_else(|| number.as_str()?.parse().ok())
        };
        let (Some(begin), Some(end)) = (number("begin"), number("end")) else {
            return Err("each of 'ranges.range' needs whole numbers 'begin' and 'end'".into());
        };
        if begin > end {
            return Err(format!("the range {begin}-{end} ends before it begins"));
        }
        parsed.push((begin, end));
    }
    Ok(parsed.into_iter().collect())
}

fn parse_set(entry: &Object) -> Result<BTreeSet<String>, String> {
    let items = object(entry, "set")?.ok_or("'set.item' is missing")?;
    let items = list(items, "item")?.ok_or("'set.item' is missing")?;
    if items.len() > MAX_SET_ITEMS {
        return Err(format!("more than {MAX_SET_ITEMS} items"));
    }
    let strings: Option<BTreeSet<String>> =
        items.iter().map(|item| Some(item.as_str()?.to_owned())).collect();
    strings.ok_or_else(|| "each of 'set.item' must be a string".into())
}

/// `reservations` is the newer way, `role` and `reservation` the older; where both are there they must agree.
fn parse_reservations(entry: &Object) -> Result<Vec<Reservation>, String> {
    let role = text(entry, "role")?.unwrap_or(Role::DEFAULT);
    let mut reservations = Vec::new();
    for (index, one) in list(entry, "reservations")?.into_iter().flatten().enumerate() {
        let wrong = |why: String| format!("reservation {}: {why}", index + 1);
        if index >= MAX_RESERVATIONS {
            return Err(format!("more than {MAX_RESERVATIONS} reservations"));
        }
        let one = one.as_object().ok_or_else(|| wrong("expected an object".into()))?;
        let kind = match text(one, "type").map_err(wrong)? {
            Some("STATIC") => ReservationKind::Static,
            Some("DYNAMIC") => ReservationKind::Dynamic,
            _ => return Err(wrong("'type' must be STATIC or DYNAMIC".into())),
        };
        let role = text(one, "role").map_err(wrong)?.ok_or_else(|| wrong("'role' is missing".into()))?;
        reservations.push(reservation(kind, role, one).map_err(wrong)?);
    }
    if let Some(innermost) = reservations.last() {
        if role != Role::DEFAULT && role != innermost.role.as_str() {
            let innermost = &innermost.role;
            return Err(format!(
                "'role' is '{}' but 'reservations' end with '{innermost}'",
                role.escape_debug()
            ));
        }
        for pair in reservations.windows(2) {
            let inner = pair[1].role.as_str().strip_prefix(pair[0].role.as_str());
            if !inner.is_some_and(|rest| rest.starts_with('/')) {
                return Err(format!("the role '{}' is not below '{}'", pair[1].role, pair[0].role));
            }
        }
        return Ok(reservations);
    }
    match (role, object(entry, "reservation")?) {
        (Role::DEFAULT, None) => Ok(Vec::new()),
        (Role::DEFAULT, Some(_)) => Err("a 'reservation' needs a 'role' other than '*'".into()),
        (role, None) => Ok(vec![reservation(ReservationKind::Static, role, &Object::new())?]),
        (role, Some(one)) => Ok(vec![reservation(ReservationKind::Dynamic, role, one)?]),
    }
}

fn reservation(kind: ReservationKind, role: &str, fields: &Object) -> Result<Reservation, String> {
    let role = Role::from(role);
    crate::validate::role(&role).map_err(|why| why.to_string())?;
    if role.is_default() {
        return Err("resources can't be reserved for the role '*'".into());
    }
    Ok(Reservation { kind, role, principal: text(fields, "principal")?.map(Into::into) })
}

/// A field, where null means absent.
fn present<'a>(object: &'a Object, field: &str) -> Option<&'a Json> {
    object.get(field).filter(|value| !value.is_null())
}

fn text<'a>(object: &'a Object, field: &str) -> Result<Option<&'a str>, String> {
    present(object, field)
        .map(|value| value.as_str().ok_or_else(|| format!("'{field}' must be a string")))
        .transpose()
}

fn list<'a>(object: &'a Object, field: &str) -> Result<Option<&'a Vec<Json>>, String> {
    present(object, field)
        .map(|value| value.as_array().ok_or_else(|| format!("'{field}' must be a list")))
        .transpose()
}

fn object<'a>(entry: &'a Object, field: &str) -> Result<Option<&'a Object>, String> {
    present(entry, field)
        .map(|value| value.as_object().ok_or_else(|| format!("'{field}' must be an object")))
        .transpose()
}

fn print_one(resource: &Resource) -> Json {
    let mut fields = Object::new();
    fields.insert("name".into(), json!(&*resource.name));
    let (kind, field, value) = match &resource.value {
        Value::Scalar(scalar) => ("SCALAR", "scalar", json!({ "value": scalar.as_f64() })),
        Value::Ranges(ranges) => {
            let ranges: Vec<Json> =
                ranges.iter().map(|(begin, end)| json!({ "begin": begin, "end": end })).collect();
            ("RANGES", "ranges", json!({ "range": ranges }))
        }
        Value::Set(set) => ("SET", "set", json!({ "item": set })),
    };
    fields.insert("type".into(), json!(kind));
    fields.insert(field.into(), value);
    if resource.revocable {
        fields.insert("revocable".into(), json!({}));
    }
    match resource.reservations.as_slice() {
        [] => {
            fields.insert("role".into(), json!(Role::DEFAULT));
        }
        [only] => {
            fields.insert("role".into(), json!(only.role.as_str()));
            if only.kind == ReservationKind::Dynamic {
                fields.insert("reservation".into(), print_principal(only, Object::new()));
            }
        }
        _ => {}
    }
    if !resource.reservations.is_empty() {
        let all = resource.reservations.iter().map(|one| {
            let kind = match one.kind {
                ReservationKind::Static => "STATIC",
                ReservationKind::Dynamic => "DYNAMIC",
            };
            let mut fields = Object::new();
            fields.insert("type".into(), json!(kind));
            fields.insert("role".into(), json!(one.role.as_str()));
            print_principal(one, fields)
        });
        fields.insert("reservations".into(), all.collect());
    }
    Json::Object(fields)
}

fn print_principal(reservation: &Reservation, mut fields: Object) -> Json {
    if let Some(principal) = &reservation.principal {
        fields.insert("principal".into(), json!(principal));
    }
    Json::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPUS: &str = r#""name": "cpus", "type": "SCALAR", "scalar": {"value": 4}"#;

    #[test]
    fn what_mesos_prints_is_read() {
        let text = r#"[
            {"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.1}, "role": "*", "allocation_info": {"role": "x"}},
            {"name": "mem", "type": "SCALAR", "scalar": {"value": 32}, "ranges": null, "role": "prod"},
            {"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 3, "end": "9"}, {"begin": 1, "end": 2}]}},
            {"name": "zones", "type": "SET", "set": {"item": ["b", "a"]}, "role": "prod", "reservation": {"principal": "ops"}},
            {"name": "disk", "type": "SCALAR", "scalar": {"value": 5}, "revocable": {}, "role": "a/b",
             "reservations": [{"type": "STATIC", "role": "a"}, {"type": "DYNAMIC", "role": "a/b", "principal": "ops"}]}
        ]"#;
        let resources = Resources::parse(text).unwrap();
        assert_eq!(resources.to_string(), "cpus:0.1;disk(a/b):5;mem(prod):32;ports:[1-9];zones(prod):{a,b}");
        let entries: Vec<&Resource> = resources.iter().collect();
        assert!(entries[1].revocable && entries[1].reservations.len() == 2);
        let zones = &entries[4].reservations[0];
        assert_eq!((zones.kind, zones.principal.as_deref()), (ReservationKind::Dynamic, Some("ops")));
        assert_eq!(Resources::from_json(&resources.to_json().to_string()), Ok(resources));
        assert_eq!(Resources::parse(&format!(" {{{CPUS}}}")), Ok("cpus:4".parse().unwrap()));
        assert_eq!(Resources::from_json("[]"), Ok(Resources::new()));
    }

    #[test]
    fn what_is_printed_is_what_mesos_prints() {
        let resources: Resources = "cpus:4;mem(prod):32;ports:[1-2];zones:{a}".parse().unwrap();
        let expected = r#"[
            {"name": "cpus", "type": "SCALAR", "scalar": {"value": 4.0}, "role": "*"},
            {"name": "mem", "type": "SCALAR", "scalar": {"value": 32.0}, "role": "prod",
             "reservations": [{"type": "STATIC", "role": "prod"}]},
            {"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 1, "end": 2}]}, "role": "*"},
            {"name": "zones", "type": "SET", "set": {"item": ["a"]}, "role": "*"}
        ]"#;
        assert_eq!(resources.to_json(), serde_json::from_str::<Json>(expected).unwrap());
        let more = resources + "cpus(prod):0.5;ports(prod):[4-4];zones(prod):{b}".parse().unwrap();
        let expected = r#"{"cpus": 4.5, "disk": 0.0, "gpus": 0.0, "mem": 32.0, "ports": "[1-2, 4-4]", "zones": "{a,b}"}"#;
        assert_eq!(more.to_json_summary(), serde_json::from_str::<Json>(expected).unwrap());
    }

    #[test]
    fn refusals_name_the_entry_and_the_field() {
        let entry = |fields: &str| format!("[{{{CPUS}}}, {{{fields}}}]");
        let cpus_and = |fields: &str| entry(&format!("{CPUS}, {fields}"));
        for (text, problem) in [
            ("[".into(), "not JSON: EOF"),
            ("4".into(), "expected a list of objects"),
            ("[4]".into(), "resource 1 ('?'): expected an object"),
            (entry(r#""type": "SCALAR""#), "resource 2 ('?'): 'name' is missing"),
            (entry(r#""name": 4"#), "'name' must be a string"),
            (entry(r#""name": "a b""#), "resource 2 ('a b'): 'a b' is not a name"),
            (entry(r#""name": "a""#), "'type' is missing"),
            (entry(r#""name": "a", "type": "TEXT""#), "'type' is 'TEXT': expected SCALAR, RANGES or SET"),
            (entry(r#""name": "a", "type": "SCALAR""#), "'scalar.value' is missing"),
            (entry(r#""name": "a", "type": "SCALAR", "scalar": 4"#), "'scalar' must be an object"),
            (
                entry(r#""name": "a", "type": "SCALAR", "scalar": {"value": "4"}"#),
                "'scalar.value' is not a number",
            ),
            (entry(r#""name": "a", "type": "SCALAR", "scalar": {"value": -4}"#), "'-4' is not an amount"),
            (entry(r#""name": "a", "type": "RANGES", "ranges": {}"#), "'ranges.range' is missing"),
            (
                entry(r#""name": "a", "type": "RANGES", "ranges": {"range": [{"begin": 1}]}"#),
                "'begin' and 'end'",
            ),
            (
                entry(r#""name": "a", "type": "RANGES", "ranges": {"range": [{"begin": 2, "end": 1}]}"#),
                "the range 2-1 ends before it begins",
            ),
            (
                entry(r#""name": "a", "type": "SET", "set": {"item": [1]}"#),
                "each of 'set.item' must be a string",
            ),
            (
                entry(r#""name": "cpus", "type": "SET", "set": {"item": ["x"]}"#),
                "resource 2 ('cpus'): the same name with another kind of value",
            ),
            (cpus_and(r#""disk": {"persistence": {"id": "x"}}"#), "'disk' is not supported"),
            (cpus_and(r#""role": "-x""#), "starts with a dash"),
            (cpus_and(r#""reservation": {}"#), "a 'reservation' needs a 'role' other than '*'"),
            (
                cpus_and(r#""reservations": [{"role": "a"}]"#),
                "reservation 1: 'type' must be STATIC or DYNAMIC",
            ),
            (cpus_and(r#""reservations": [{"type": "STATIC"}]"#), "reservation 1: 'role' is missing"),
            (
                cpus_and(r#""reservations": [{"type": "STATIC", "role": "*"}]"#),
                "can't be reserved for the role '*'",
            ),
            (
                cpus_and(r#""role": "b", "reservations": [{"type": "STATIC", "role": "a"}]"#),
                "'role' is 'b' but 'reservations' end with 'a'",
            ),
            (
                cpus_and(
                    r#""reservations": [{"type": "STATIC", "role": "a"}, {"type": "DYNAMIC", "role": "ab"}]"#,
                ),
                "the role 'ab' is not below 'a'",
            ),
        ] {
            let error = Resources::from_json(&text).unwrap_err().to_string();
            assert!(error.starts_with("resources in JSON: ") && error.contains(problem), "{text}: {error}");
        }
        let many = format!("[{}]", vec![format!("{{{CPUS}}}"); crate::limits::MAX_RESOURCES + 1].join(","));
        assert!(Resources::from_json(&many).unwrap_err().problem.contains("more than 10000 resources"));
        let deep = format!("[{{\"name\": {}", "[".repeat(100_000));
        assert!(Resources::from_json(&deep).unwrap_err().problem.contains("recursion limit"));
    }
}
