//! Properties of resources, against a model that keeps every number and item by itself.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;
use serde::Serialize;

use super::*;
use crate::limits::{MAX_RANGES, MAX_SCALAR_MILLIS, MAX_SET_ITEMS};

/// What was not made canonical, as a hostile peer may send it.
#[derive(Clone, Debug, Serialize)]
struct Raw {
    name: String,
    reservations: Vec<Reservation>,
    revocable: bool,
    value: RawValue,
}

#[derive(Clone, Debug, Serialize)]
enum RawValue {
    Scalar(u64),
    Ranges(Vec<(u64, u64)>),
    Set(Vec<String>),
}

type Identity = (String, Vec<Reservation>, bool, u8);

/// Amounts by identity; numbers and items by identity.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    amounts: BTreeMap<Identity, u64>,
    items: BTreeMap<Identity, BTreeSet<String>>,
}

/// The numbers used lie at both ends of what is possible.
fn points((begin, end): (u64, u64)) -> impl Iterator<Item = String> {
    (0..64).chain(u64::MAX - 63..=u64::MAX).filter(move |n| (begin..=end).contains(n)).map(|n| n.to_string())
}

impl Model {
    fn add(&mut self, raw: &Raw) {
        let identity = |kind| (raw.name.clone(), raw.reservations.clone(), raw.revocable, kind);
        match &raw.value {
            RawValue::Scalar(0) => {}
            RawValue::Scalar(millis) => *self.amounts.entry(identity(0)).or_default() += millis,
            RawValue::Ranges(ranges) => {
                let all = ranges.iter().copied().flat_map(points);
                self.items.entry(identity(1)).or_default().extend(all);
            }
            RawValue::Set(items) => {
                self.items.entry(identity(2)).or_default().extend(items.iter().cloned());
            }
        }
        self.items.retain(|_, items| !items.is_empty());
    }

    fn subtract(&mut self, other: &Model) {
        for (identity, millis) in &other.amounts {
            self.amounts.entry(identity.clone()).and_modify(|have| *have = have.saturating_sub(*millis));
        }
        for (identity, items) in &other.items {
            self.items.entry(identity.clone()).and_modify(|have| *have = &*have - items);
        }
        self.amounts.retain(|_, millis| *millis > 0);
        self.items.retain(|_, items| !items.is_empty());
    }

    fn contains(&self, other: &Model) -> bool {
        other.amounts.iter().all(|(identity, millis)| self.amounts.get(identity).is_some_and(|h| h >= millis))
            && other.items.iter().all(|(id, items)| self.items.get(id).is_some_and(|h| h.is_superset(items)))
    }
}

fn raw(resource: &Resource) -> Raw {
    Raw {
        name: resource.name.to_string(),
        reservations: resource.reservations.clone(),
        revocable: resource.revocable,
        value: match &resource.value {
            Value::Scalar(scalar) => RawValue::Scalar(scalar.millis()),
            Value::Ranges(ranges) => RawValue::Ranges(ranges.iter().collect()),
            Value::Set(set) => RawValue::Set(set.iter().cloned().collect()),
        },
    }
}

fn model(resources: &Resources) -> Model {
    let mut model = Model::default();
    resources.iter().for_each(|resource| model.add(&raw(resource)));
    model
}

fn cooked(raw: &Raw) -> Resource {
    let value = match &raw.value {
        RawValue::Scalar(millis) => Value::Scalar(Scalar::from_millis(*millis)),
        RawValue::Ranges(ranges) => Value::Ranges(ranges.iter().copied().collect()),
        RawValue::Set(items) => Value::Set(items.iter().cloned().collect()),
    };
    Resource {
        reservations: raw.reservations.clone(),
        revocable: raw.revocable,
        ..Resource::new(raw.name.as_str(), value)
    }
}

fn check_canonical(resources: &Resources) {
    for pair in resources.0.windows(2) {
        assert!(pair[0].compare_identity(&pair[1]).is_lt() && pair[0] < pair[1], "{resources}");
    }
    for resource in resources {
        assert!(!resource.value.is_empty());
        if let Value::Ranges(ranges) = &resource.value {
            check_ranges(ranges);
        }
    }
}

fn check_ranges(ranges: &Ranges) {
    let all: Vec<_> = ranges.iter().collect();
    assert!(all.iter().all(|(begin, end)| begin <= end));
    // A number lies between any two.
    assert!(all.windows(2).all(|pair| pair[0].1 < pair[1].0 && pair[1].0 - pair[0].1 > 1), "{ranges}");
}

fn a_number() -> impl Strategy<Value = u64> {
    prop_oneof![0u64..64, u64::MAX - 63..=u64::MAX]
}

fn some_ranges() -> impl Strategy<Value = Vec<(u64, u64)>> {
    let near = (a_number(), 0u64..8).prop_map(|(begin, more)| (begin, begin.saturating_add(more)));
    let far = (a_number(), a_number()).prop_map(|(a, b)| (a.min(b), a.max(b)));
    vec(prop_oneof![9 => near, 1 => far], 0..8)
}

fn reservation(kind: ReservationKind, role: &str) -> Reservation {
    Reservation {
        kind,
        role: role.into(),
        principal: (kind == ReservationKind::Dynamic).then(|| "ops".into()),
    }
}

fn some_reservations() -> impl Strategy<Value = Vec<Reservation>> {
    use ReservationKind::*;
    prop_oneof![
        3 => Just(vec![]),
        1 => Just(vec![reservation(Static, "prod")]),
        1 => Just(vec![reservation(Dynamic, "prod/web")]),
        1 => Just(vec![reservation(Static, "prod"), reservation(Dynamic, "prod/web")]),
        1 => Just(vec![reservation(Static, "other")]),
    ]
}

fn a_raw() -> impl Strategy<Value = Raw> {
    let items = vec(prop::sample::select(vec!["a", "b", "c", "d"]).prop_map(String::from), 0..5);
    let named = prop_oneof![
        (prop::sample::select(vec!["cpus", "mem", "x"]), (0u64..5000).prop_map(RawValue::Scalar)),
        (prop::sample::select(vec!["ports", "numbers"]), some_ranges().prop_map(RawValue::Ranges)),
        (Just("zones"), items.prop_map(RawValue::Set)),
    ];
    let rest = (some_reservations(), prop::bool::weighted(0.1));
    (named, rest).prop_map(|((name, value), (reservations, revocable))| Raw {
        name: name.into(),
        reservations,
        revocable,
        value,
    })
}

fn some_resources() -> impl Strategy<Value = Resources> {
    prop_oneof![4 => 0..8usize, 1 => 16..40usize]
        .prop_flat_map(|count| vec(a_raw(), count))
        .prop_map(|all| all.iter().map(cooked).collect())
}

/// With a limit, as the runtime has one: without it bincode believes any length it is told.
const CONFIG: bincode::config::Configuration<
    bincode::config::LittleEndian,
    bincode::config::Varint,
    bincode::config::Limit<{ 16 << 20 }>,
> = bincode::config::standard().with_limit();

fn encode(value: &impl Serialize) -> Vec<u8> {
    bincode::serde::encode_to_vec(value, CONFIG).unwrap()
}

fn decode(bytes: &[u8]) -> Result<Resources, bincode::error::DecodeError> {
    bincode::serde::decode_from_slice(bytes, CONFIG).map(|(resources, _)| resources)
}

/// What of a value the candidates for a role hold: thousandths, or items.
fn allocatable(
    have: &Model,
    want: &Identity,
    role: &Role,
    reserved: Option<bool>,
) -> (u64, BTreeSet<String>) {
    let candidate = |identity: &Identity| {
        let belongs = cooked(&Raw {
            name: String::new(),
            reservations: identity.1.clone(),
            revocable: false,
            value: RawValue::Scalar(1),
        });
        (&identity.0, identity.2, identity.3) == (&want.0, want.2, want.3)
            && belongs.allocatable_to(role)
            && reserved.is_none_or(|reserved| identity.1.is_empty() != reserved)
    };
    (
        have.amounts.iter().filter(|(identity, _)| candidate(identity)).map(|(_, millis)| millis).sum(),
        have.items.iter().filter(|(id, _)| candidate(id)).flat_map(|(_, items)| items.clone()).collect(),
    )
}

proptest! {
    #![proptest_config(crate::testing::fixed_cases())]

    #[test]
    fn sums_differences_and_containment_are_those_of_the_model(a in some_resources(), b in some_resources()) {
        let mut sum = model(&a);
        b.iter().for_each(|resource| sum.add(&raw(resource)));
        let mut by_ref = a.clone();
        by_ref += &b;
        let by_value = a.clone() + b.clone();
        check_canonical(&by_value);
        prop_assert_eq!(&by_ref, &by_value);
        prop_assert_eq!(model(&by_value), sum);
        prop_assert_eq!(&by_value, &(b.clone() + a.clone()));
        prop_assert!(by_value.contains(&a) && by_value.contains(&b));

        let mut rest = model(&a);
        rest.subtract(&model(&b));
        let difference = a.clone() - b.clone();
        check_canonical(&difference);
        prop_assert_eq!(model(&difference), rest);
        prop_assert!(a.contains(&difference));
        prop_assert_eq!(a.contains(&b), model(&a).contains(&model(&b)));
        if a.contains(&b) {
            prop_assert_eq!(difference + b, a.clone());
        }
        prop_assert!((a.clone() - a).is_empty());
    }

    #[test]
    fn what_was_added_can_be_taken_away(a in some_resources(), b in some_resources()) {
        // Numbers and items that are in both are added once, so only what is in one alone comes back.
        let b: Resources = b.iter().map(|one| {
            let mut one = one.clone();
            if let (Some(have), false) = (a.entry(&one), matches!(one.value, Value::Scalar(_))) {
                one.value.subtract(&have.value);
            }
            one
        }).collect();
        prop_assert_eq!((a.clone() + b.clone()) - b, a);
    }

    #[test]
    fn the_order_of_entries_does_not_matter(all in vec(a_raw(), 0..20), turn in any::<prop::sample::Index>()) {
        let expected: Resources = all.iter().map(cooked).collect();
        check_canonical(&expected);
        let mut turned = all.clone();
        if !turned.is_empty() {
            let at = turn.index(turned.len());
            turned.rotate_left(at);
            turned.reverse();
        }
        let mut one_by_one = Resources::new();
        turned.iter().for_each(|raw| one_by_one += Resources::from(cooked(raw)));
        prop_assert_eq!(one_by_one, expected);
    }

    #[test]
    fn ranges_are_sets_of_numbers(a in some_ranges(), b in some_ranges()) {
        let numbers = |ranges: &Ranges| ranges.iter().flat_map(points).collect::<BTreeSet<_>>();
        let (a, b): (Ranges, Ranges) = (a.into_iter().collect(), b.into_iter().collect());
        let (mut sum, mut rest, common) = (a.clone(), a.clone(), a.intersection(&b));
        sum.add(&b);
        rest.subtract(&b);
        [&a, &b, &sum, &rest, &common].into_iter().for_each(check_ranges);
        prop_assert_eq!(numbers(&sum), &numbers(&a) | &numbers(&b));
        prop_assert_eq!(numbers(&rest), &numbers(&a) - &numbers(&b));
        prop_assert_eq!(numbers(&common), &numbers(&a) & &numbers(&b));
        prop_assert_eq!(a.contains(&b), common == b);
        prop_assert!(sum.contains(&a) && a.contains(&rest));
    }

    #[test]
    fn texts_are_read_back(all in some_resources()) {
        prop_assert_eq!(&Resources::from_json(&all.to_json().to_string()), &Ok(all.clone()));
        prop_assert_eq!(&Resources::parse(&all.to_json().to_string()), &Ok(all.clone()));
        prop_assert_eq!(&decode(&encode(&all)).unwrap(), &all);
        let plain = all.filtered(|one| {
            !one.revocable && matches!(one.reservations.as_slice(), [] | [Reservation { kind: ReservationKind::Static, .. }])
        });
        prop_assert_eq!(&plain.to_string().parse(), &Ok(plain.clone()));
        prop_assert_eq!(&Resources::parse(&plain.to_string()), &Ok(plain));
    }

    #[test]
    fn what_is_found_is_there_and_reserved_comes_first(
        have in some_resources(),
        wanted in some_resources(),
        role in prop::sample::select(vec!["prod/web", "prod", "other", "*", "production"]),
    ) {
        let role = Role::from(role);
        let wanted: Resources =
            wanted.iter().map(|one| Resource { reservations: vec![], ..one.clone() }).collect();
        let (have_model, wanted_model) = (model(&have), model(&wanted));
        let enough = wanted_model.amounts.iter().all(|(id, n)| allocatable(&have_model, id, &role, None).0 >= *n)
            && wanted_model.items.iter().all(|(id, n)| allocatable(&have_model, id, &role, None).1.is_superset(n));
        let found = have.find(&wanted, &role);
        prop_assert_eq!(found.is_some(), enough);
        if let Some(found) = found {
            check_canonical(&found);
            prop_assert!(have.contains(&found));
            let merged: Resources =
                found.iter().map(|one| Resource { reservations: vec![], ..one.clone() }).collect();
            prop_assert_eq!(&merged, &wanted);
            let found = model(&found);
            for id in wanted_model.amounts.keys() {
                if allocatable(&found, id, &role, Some(false)).0 > 0 {
                    let reserved = |of: &Model| allocatable(of, id, &role, Some(true));
                    prop_assert_eq!(reserved(&found), reserved(&have_model));
                }
            }
            for id in wanted_model.items.keys() {
                let free = allocatable(&found, id, &role, Some(false)).1;
                prop_assert!(free.is_disjoint(&allocatable(&have_model, id, &role, Some(true)).1));
            }
        }
    }

    #[test]
    fn whatever_is_sent_becomes_canonical(all in vec(a_raw(), 0..40)) {
        let resources = decode(&encode(&all)).unwrap();
        check_canonical(&resources);
        let mut expected = Model::default();
        all.iter().for_each(|raw| expected.add(raw));
        prop_assert_eq!(model(&resources), expected);
        let from_json: Resources = serde_json::from_value(serde_json::to_value(&all).unwrap()).unwrap();
        prop_assert_eq!(from_json, resources);
    }

    #[test]
    fn damaged_bytes_are_refused_or_canonical(
        all in vec(a_raw(), 0..6),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = encode(&all);
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        for bytes in [&bytes[..], &bytes[..cut.index(bytes.len())]] {
            if let Ok(resources) = decode(bytes) {
                check_canonical(&resources);
                assert_eq!(resources.check_limits(), Ok(()));
                let _ = resources.clone() + resources.clone() - resources;
            }
        }
    }

    #[test]
    fn no_text_panics(text in "[a-z0-9:;,(){}\\[\\]*/. \"-]{0,40}") {
        let _ = Resources::parse(&text);
        let _ = text.parse::<crate::Attributes>();
        if let Ok(resources) = text.parse::<Resources>() {
            check_canonical(&resources);
            prop_assert_eq!(resources.to_string().parse(), Ok(resources));
        }
    }

    #[test]
    fn scalars_are_read_back(millis in 0..=MAX_SCALAR_MILLIS) {
        let scalar = Scalar::from_millis(millis);
        prop_assert_eq!(scalar.to_string().parse(), Ok(scalar));
        prop_assert_eq!(Scalar::from_f64(scalar.as_f64()), Ok(scalar));
    }
}

#[test]
fn too_much_is_refused_not_cut() {
    let one = |value| Raw { name: "x".into(), reservations: vec![], revocable: false, value };
    let ranges = |count: u64| RawValue::Ranges((0..count).map(|n| (2 * n, 2 * n)).collect());
    let items = |count: usize| RawValue::Set((0..count).map(|n| n.to_string()).collect());
    for (raw, problem) in [
        (vec![one(ranges(MAX_RANGES as u64))], None),
        (vec![one(ranges(MAX_RANGES as u64 + 1))], Some("more than 32768 ranges")),
        // Two acceptable entries that are one, and too large.
        (
            vec![one(ranges(MAX_RANGES as u64)), one(RawValue::Ranges(vec![(u64::MAX, u64::MAX)]))],
            Some("more than 32768 ranges"),
        ),
        (vec![one(items(MAX_SET_ITEMS))], None),
        (vec![one(items(MAX_SET_ITEMS + 1))], Some("more than 10000 items")),
        (vec![one(RawValue::Scalar(MAX_SCALAR_MILLIS))], None),
        (vec![one(RawValue::Scalar(MAX_SCALAR_MILLIS + 1))], Some("out of range")),
        (vec![one(RawValue::Scalar(MAX_SCALAR_MILLIS)); 2], Some("is more than 8796093022.208")),
        (vec![one(RawValue::Scalar(1)); MAX_RESOURCES], None),
        (vec![one(RawValue::Scalar(1)); MAX_RESOURCES + 1], Some("more than 10000 resources")),
        (vec![one(RawValue::Ranges(vec![(2, 1)]))], Some("ends before it begins")),
        (
            vec![Raw { reservations: vec![reservation(ReservationKind::Static, "*")], ..one(items(1)) }],
            Some("'*'"),
        ),
    ] {
        match (decode(&encode(&raw)), problem) {
            (Ok(resources), None) => check_canonical(&resources),
            (Err(error), Some(problem)) => assert!(error.to_string().contains(problem), "{error}"),
            (result, problem) => panic!("{:?}, expected {problem:?}", result.map(|r| r.len())),
        }
    }
}

#[test]
fn well_known_names_are_shared() {
    let read: Resources = decode(&encode(&"cpus:1;x:1".parse::<Resources>().unwrap())).unwrap();
    assert!(Arc::ptr_eq(&read.0[0].name, &Resource::scalar("cpus", Scalar::ZERO).name));
    assert!(!Arc::ptr_eq(&read.0[1].name, &Resource::scalar("x", Scalar::ZERO).name));
}
