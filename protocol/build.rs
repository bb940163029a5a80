//! Compiles the schemas in `proto/` without protoc.

use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new("proto");
    let mut files: Vec<_> =
        std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    files.sort();
    println!("cargo::rerun-if-changed=proto");
    let mut set = protox::compile(&files, [folder])?;
    // To prost a deprecated field is one to warn of; here it means that its default is not printed.
    for file in &mut set.file {
        for message in &mut file.message_type {
            undeprecate(message);
        }
    }
    prost_build::Config::new().bytes(["."]).btree_map(["."]).include_file("wire.rs").compile_fds(set)?;
    Ok(())
}

fn undeprecate(message: &mut prost_types::DescriptorProto) {
    for field in &mut message.field {
        if let Some(options) = &mut field.options {
            options.deprecated = None;
        }
    }
    message.nested_type.iter_mut().for_each(undeprecate);
}
