//! The published forms of what is printed as JSON: docs/schema holds the JSON Schema (2020-12) of each version.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};

/// A form that is published.
#[derive(Clone, Copy, Debug)]
pub struct Published {
    /// Its name: the member `document` of what is printed.
    pub name: &'static str,
    /// Its version: the member `schema`.
    pub version: u32,
    /// The command that prints it.
    pub command: &'static str,
    generate: fn() -> Schema,
}

impl Published {
    /// The form that `T` is written in.
    #[must_use]
    pub const fn of<T: JsonSchema>(name: &'static str, version: u32, command: &'static str) -> Self {
        Self { name, version, command, generate: schema_of::<T> }
    }

    /// Its file's name in docs/schema.
    #[must_use]
    pub fn file(&self) -> String {
        format!("{}.{}.json", self.name, self.version)
    }

    /// The schema as text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut schema = (self.generate)();
        schema.insert("$id".to_owned(), format!("urn:parallax:schema:{}:{}", self.name, self.version).into());
        format!("{:#}\n", schema.as_value())
    }
}

fn schema_of<T: JsonSchema>() -> Schema {
    let mut plain = RecursiveTransform(|schema: &mut Schema| {
        // A member that no schema tells of is a mistake, in whatever object.
        if schema.get("type").is_some_and(|kind| kind == "object") {
            schema.insert("additionalProperties".to_owned(), false.into());
        }
        // Rust's own, no word of JSON Schema.
        schema.remove("format");
    });
    let mut schema =
        SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>();
    schemars::transform::Transform::transform(&mut plain, &mut schema);
    schema
}
