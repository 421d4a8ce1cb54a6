//! The JSON Schema, judged by a validator, beside the check of the program itself.

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::Value;

use super::*;

struct Validator {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Validator {
    fn of(document: Document) -> Self {
        let mut schemas = Schemas::new();
        let mut compiler = Compiler::new();
        compiler
            .add_resource("schema.json", json_schema(document))
            .unwrap();
        let index = compiler.compile("schema.json", &mut schemas).unwrap();
        Self { schemas, index }
    }

    fn check(&self, value: &Value) -> Result<(), String> {
        let checked = self.schemas.validate(value, self.index);
        checked.map_err(|error| format!("{error:#}"))
    }

    fn text(&self, toml: &str) -> Result<(), String> {
        self.check(&parsed(toml))
    }
}

fn parsed(toml: &str) -> Value {
    toml::from_str(toml).unwrap()
}

fn shipped(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles");
    fs_err::read_to_string(folder.join(name)).unwrap()
}

const PROFILES: [&str; 5] = [
    "appliance-framework.toml",
    "byo-os.toml",
    "demo.toml",
    "management-appliance.toml",
    "minimal.toml",
];

#[test]
fn what_is_shipped_fits() {
    let profile = Validator::of(Document::Profile);
    for name in PROFILES {
        profile.text(&shipped(name)).unwrap();
    }
    let catalog = Validator::of(Document::Catalog);
    catalog.text(&shipped("catalog.toml")).unwrap();
    assert!(catalog.text(&shipped("demo.toml")).is_err());
    let settings = Validator::of(Document::Settings);
    let text = "jobs = 4\n\n[registries.\"quay.io\"]\nmirror = [\"127.0.0.1:5000\"]\n";
    let known = read_settings(Path::new("isoforge.toml"), text).is_ok();
    assert_eq!(settings.text(text).is_ok(), known);
}

/// The places of all keys that the program knows by name; `vars` and the hosts of
/// `registries` are the user's.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    let inner: Vec<_> = match value {
        Value::Object(table) => table
            .iter()
            .map(|(name, value)| (name.replace('~', "~0").replace('/', "~1"), value))
            .filter(|(name, _)| name != "vars" && name != "registries")
            .collect(),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .map(|(index, value)| (index.to_string(), value))
            .collect(),
        _ => Vec::new(),
    };
    for (name, value) in inner {
        let place = format!("{at}/{name}");
        found.push(place.clone());
        places(value, &place, found);
    }
}

#[test]
fn wrong_types_and_unknown_keys_do_not_fit() {
    let profile = Validator::of(Document::Profile);
    let mut places_tried = 0;
    for name in PROFILES {
        let good = parsed(&shipped(name));
        let mut found = Vec::new();
        places(&good, "", &mut found);
        for place in found {
            // No key takes a fraction.
            let mut bad = good.clone();
            *bad.pointer_mut(&place).unwrap() = 1.5.into();
            assert!(profile.check(&bad).is_err(), "{name}: {place} = 1.5");
            let (table, key) = place.rsplit_once('/').unwrap();
            let mut bad = good.clone();
            if let Value::Object(table) = bad.pointer_mut(table).unwrap() {
                let value = table.remove(key).unwrap();
                table.insert(format!("{key}x"), value);
                assert!(profile.check(&bad).is_err(), "{name}: {place}x");
            }
            places_tried += 1;
        }
    }
    assert!(places_tried > 100, "{places_tried}");
}

#[test]
fn missing_keys_fit_only_what_extends() {
    let profile = Validator::of(Document::Profile);
    let mut good = parsed(&shipped("demo.toml"));
    for (table, key) in [("", "schema"), ("", "appliance"), ("/os", "distribution")] {
        let mut part = good.clone();
        let inner = part.pointer_mut(table).unwrap().as_object_mut().unwrap();
        inner.remove(key).unwrap();
        assert!(profile.check(&part).is_err(), "{table}/{key}");
        part["extends"] = "base.toml".into();
        profile.check(&part).unwrap();
    }
    profile
        .text("extends = \"b.toml\"\n[os.bootstrap]\n\"+packages\" = [\"sudo\"]\n")
        .unwrap();
    // Of these one is enough.
    good["os"]["image"] = "quay.io/a/b:1".into();
    assert!(profile.check(&good).is_err());
    good["os"].as_object_mut().unwrap().remove("bootstrap");
    profile.check(&good).unwrap();
    good["os"].as_object_mut().unwrap().remove("image");
    assert!(profile.check(&good).is_err());
}
