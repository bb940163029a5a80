//! Compiles the schemas in `proto/` without protoc: the message types (`wire.rs`, by prost) and, for the JSON mapping
//! and the checks that prost does not make, one table for each message (`tables.rs`; `src/wire/tables.rs` says what
//! stands in them).

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet};

/// Lists that are printed when they are empty, too. Mesos writes these answers by hand, not by its mapping.
const PRINTED_WHEN_EMPTY: &[(&str, &[&str])] = &[
    ("mesos.v1.master.Response.GetAgents", &["agents", "recovered_agents"]),
    ("mesos.v1.master.Response.GetExecutors", &["executors"]),
    ("mesos.v1.master.Response.GetFrameworks", &["frameworks", "completed_frameworks"]),
    ("mesos.v1.master.Response.GetTasks", &["tasks", "unreachable_tasks", "completed_tasks"]),
    ("mesos.v1.agent.Response.GetExecutors", &["executors", "completed_executors"]),
    ("mesos.v1.agent.Response.GetFrameworks", &["frameworks", "completed_frameworks"]),
    (
        "mesos.v1.agent.Response.GetTasks",
        &["pending_tasks", "queued_tasks", "launched_tasks", "terminated_tasks", "completed_tasks"],
    ),
];

/// Fields that are rare and large: kept apart, so that a list of what has them stays small.
const BOXED: &[&str] = &[
    ".mesos.v1.Resource.disk",
    ".mesos.v1.Offer.Operation.grow_volume",
    ".mesos.v1.Offer.Operation.shrink_volume",
    ".mesos.v1.Offer.Operation.create_disk",
    ".mesos.v1.Offer.Operation.destroy_disk",
];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new("proto");
    let mut files: Vec<_> =
        std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    files.sort();
    println!("cargo::rerun-if-changed=proto");
    println!("cargo::rerun-if-changed=build.rs");
    let mut set = protox::compile(&files, [folder])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    std::fs::write(out.join("tables.rs"), Tables::of(&set).source()?)?;
    // To prost a deprecated field is one to warn of; here it means that its default is not printed.
    for file in &mut set.file {
        for message in &mut file.message_type {
            undeprecate(message);
        }
    }
    let mut config = prost_build::Config::new();
    config.bytes(["."]).btree_map(["."]).include_file("wire.rs");
    for field in BOXED {
        config.boxed(field);
    }
    config.compile_fds(set)?;
    Ok(())
}

fn undeprecate(message: &mut DescriptorProto) {
    for field in &mut message.field {
        if let Some(options) = &mut field.options {
            options.deprecated = None;
        }
    }
    message.nested_type.iter_mut().for_each(undeprecate);
}

/// All messages and enums by their full name (`.mesos.v1.TaskID`), in order of the name.
#[derive(Default)]
struct Tables<'a> {
    messages: BTreeMap<String, Entry<'a>>,
    enums: BTreeMap<String, &'a EnumDescriptorProto>,
}

struct Entry<'a> {
    message: &'a DescriptorProto,
    /// The type that prost makes of it; none of map entries.
    rust: Option<String>,
}

impl<'a> Tables<'a> {
    fn of(set: &'a FileDescriptorSet) -> Tables<'a> {
        let mut tables = Tables::default();
        for file in &set.file {
            let module = file.package().replace("mesos.v1", "super::v1").replace("meseta.", "super::");
            let module = module.replace('.', "::");
            tables.add(&format!(".{}", file.package()), &module, &file.message_type, &file.enum_type);
        }
        tables
    }

    fn add(
        &mut self,
        scope: &str,
        module: &str,
        messages: &'a [DescriptorProto],
        enums: &'a [EnumDescriptorProto],
    ) {
        for item in enums {
            self.enums.insert(format!("{scope}.{}", item.name()), item);
        }
        for message in messages {
            let words = words(message.name());
            let name = format!("{scope}.{}", message.name());
            self.add(
                &name,
                &format!("{module}::{}", words.join("_")),
                &message.nested_type,
                &message.enum_type,
            );
            let entry = message.options.as_ref().is_some_and(|options| options.map_entry());
            let rust = (!entry)
                .then(|| format!("{module}::{}", words.iter().map(|word| capital(word)).collect::<String>()));
            self.messages.insert(name, Entry { message, rust });
        }
    }

    fn source(&'a self) -> Result<String, Box<dyn Error>> {
        let mut out = String::new();
        let fields = self.messages.values().flat_map(|entry| &entry.message.field);
        let used: BTreeSet<&str> = fields.map(FieldDescriptorProto::type_name).collect();
        for (name, item) in self.enums.iter().filter(|(name, _)| used.contains(name.as_str())) {
            writeln!(out, "static {}: Enum = Enum {{ values: &[", ident(name))?;
            for value in &item.value {
                writeln!(out, "    ({:?}, {}),", value.name(), value.number())?;
            }
            writeln!(out, "] }};")?;
        }
        let mut codecs = String::new();
        for (name, entry) in &self.messages {
            self.message(&mut out, name, entry)?;
            if let Some(rust) = &entry.rust {
                let (ident, name) = (ident(name), &name[1..]);
                writeln!(
                    out,
                    "impl WireMessage for {rust} {{ const NAME: &'static str = {name:?}; const TABLE: &'static Message = &{ident}; }}"
                )?;
                writeln!(codecs, "    super::tests::Codec::of::<{rust}>(),")?;
            }
        }
        writeln!(out, "#[cfg(test)]\npub(crate) static CODECS: &[super::tests::Codec] = &[\n{codecs}];")?;
        Ok(out)
    }

    fn message(&'a self, out: &mut String, name: &'a str, entry: &Entry<'_>) -> Result<(), Box<dyn Error>> {
        let message = entry.message;
        let always = PRINTED_WHEN_EMPTY
            .iter()
            .find(|(message, _)| *message == &name[1..])
            .map_or(&[][..], |(_, fields)| fields);
        let highest = message.field.iter().map(FieldDescriptorProto::number).max().unwrap_or(0);
        let mut by_number = vec![u8::MAX; usize::try_from(highest)? + 1];
        if message.field.len() > 128 {
            return Err(format!("{name} has more than 128 fields").into());
        }
        let mut required = 0u128;
        let mut fields = String::new();
        for (index, field) in message.field.iter().enumerate() {
            by_number[usize::try_from(field.number())?] = u8::try_from(index)?;
            let label = self.label(entry, field);
            if label == "Required" {
                required |= 1 << index;
            }
            writeln!(
                fields,
                "    Field {{ name: {:?}, key: {:?}, number: {}, label: Label::{label}, kind: {}, default: {:?}, always: {} }},",
                field.name(),
                format!("{:?}:", field.name()),
                field.number(),
                kind(field)?,
                default(field),
                always.contains(&field.name())
            )?;
        }
        let ident = ident(name);
        let has_maps = self.has_maps(name, &mut BTreeSet::new());
        let size = entry.rust.as_ref().map_or("0".to_owned(), |rust| format!("size_of::<{rust}>()"));
        writeln!(
            out,
            "static {ident}: Message = Message {{ name: {:?}, size: {size}, has_maps: {has_maps}, required: {required}, by_number: &{by_number:?}, fields: &[\n{fields}] }};",
            message.name()
        )?;
        Ok(())
    }

    /// Whether there are maps in it, or within what it is made of, whose values require fields.
    fn has_maps(&self, name: &'a str, visited: &mut BTreeSet<&'a str>) -> bool {
        let Some(entry) = self.messages.get(name).filter(|_| visited.insert(name)) else { return false };
        entry.message.field.iter().any(|field| {
            let is_such = entry.rust.is_none() && self.label(entry, field) == "Required";
            is_such || self.has_maps(field.type_name(), visited)
        })
    }

    fn label(&self, entry: &Entry<'_>, field: &FieldDescriptorProto) -> &'static str {
        let target =
            (field.r#type() == Type::Message).then(|| self.messages.get(field.type_name())).flatten();
        match field.label() {
            Label::Required => "Required",
            Label::Repeated if target.is_some_and(|target| target.rust.is_none()) => "Map",
            Label::Repeated => "Repeated",
            // A map entry without a value has an empty one, which lacks what it requires (`src/wire/maps.rs`).
            Label::Optional
                if entry.rust.is_none()
                    && target.is_some_and(|target| {
                        target.message.field.iter().any(|f| f.label() == Label::Required)
                    }) =>
            {
                "Required"
            }
            Label::Optional => "Optional",
        }
    }
}

fn kind(field: &FieldDescriptorProto) -> Result<String, Box<dyn Error>> {
    Ok(match field.r#type() {
        Type::Double => "Kind::Double".into(),
        Type::Int64 => "Kind::Int64".into(),
        Type::Uint64 => "Kind::Uint64".into(),
        Type::Int32 => "Kind::Int32".into(),
        Type::Uint32 => "Kind::Uint32".into(),
        Type::Bool => "Kind::Bool".into(),
        Type::String => "Kind::String".into(),
        Type::Bytes => "Kind::Bytes".into(),
        Type::Enum => format!("Kind::Enum(&{})", ident(field.type_name())),
        Type::Message => format!("Kind::Message(&{})", ident(field.type_name())),
        other => return Err(format!("{}: no mapping for {other:?}", field.name()).into()),
    })
}

/// The default as it is printed, of those that are.
fn default(field: &FieldDescriptorProto) -> Option<String> {
    let deprecated = field.options.as_ref().is_some_and(|options| options.deprecated());
    if field.label() != Label::Optional || deprecated {
        return None;
    }
    let text = field.default_value.as_ref()?;
    Some(match field.r#type() {
        Type::String | Type::Enum => format!("{text:?}"),
        Type::Double if !text.contains('.') => format!("{text}.0"),
        _ => text.clone(),
    })
}

fn ident(name: &str) -> String {
    name[1..].replace('.', "__").to_uppercase()
}

/// The words of a name, as prost sees them (`HTTPCheckInfo`: http, check, info).
fn words(name: &str) -> Vec<String> {
    let letters: Vec<char> = name.chars().collect();
    let mut words = vec![String::new()];
    for (at, letter) in letters.iter().enumerate() {
        let after_small = at > 0 && !letters[at - 1].is_uppercase();
        let before_small = letters.get(at + 1).is_some_and(|next| next.is_lowercase());
        if at > 0 && letter.is_uppercase() && (after_small || before_small) {
            words.push(String::new());
        }
        words.last_mut().expect("one word at least").extend(letter.to_lowercase());
    }
    words
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
