//! The published forms of what is printed as JSON: docs/schema holds the JSON Schema (2020-12) of each version.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};

use parallax_report::{bench_targets, report};

use crate::bisect;

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

/// All of them.
pub const ALL: &[Published] = &[
    Published {
        name: "run",
        version: report::SCHEMA,
        command: "parallax run --format json",
        generate: schema_of::<report::Document<'_>>,
    },
    Published {
        name: "bisect",
        version: bisect::report::SCHEMA,
        command: "parallax bisect --format json",
        generate: schema_of::<bisect::report::Report>,
    },
    Published {
        name: "bench-targets",
        version: bench_targets::SCHEMA,
        command: "parallax bench --target TARGETS --format json",
        generate: schema_of::<bench_targets::Benched>,
    },
    Published {
        name: "bisect-kernels",
        version: bisect::ROW_SCHEMA,
        command: "parallax bisect --kernels DIR --format json",
        generate: schema_of::<bisect::RowReport>,
    },
];

impl Published {
    /// The form with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|published| published.name == name)
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
