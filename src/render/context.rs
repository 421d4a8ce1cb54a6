//! The values that templates see.

use serde::Serialize;

use isoforge_base::error::{Class, Failure, Result};

/// Sections of the profile: where it has none of a name, templates see an empty
/// map, so that they can ask for a value in it.
const SECTIONS: [&str; 7] = [
    "appliance",
    "boot",
    "install",
    "kubernetes",
    "os",
    "registration",
    "vars",
];

fn unusable(problem: impl std::fmt::Display) -> Failure {
    let message = format!("the values for templates can't be used: {problem}");
    Failure::new(Class::Profile, message)
}

/// Values by name. Maps keep the order of their source, so what a template
/// makes of them is the same in every run.
#[derive(Debug, Clone)]
pub(crate) struct Context(pub(super) tera::Context);

impl Context {
    /// The top-level keys of `value` become variables.
    ///
    /// # Errors
    /// `value` is no map.
    pub(crate) fn new(value: &serde_json::Value) -> Result<Self> {
        if !value.is_object() {
            return Err(unusable("they are no map"));
        }
        let mut context = tera::Context::from_serialize(value).map_err(unusable)?;
        for section in SECTIONS {
            if !context.contains_key(section) {
                context.insert_value(section, tera::Map::new().into());
            }
        }
        Ok(Self(context))
    }

    /// Adds or replaces a variable.
    ///
    /// # Errors
    /// `value` can't be represented (a map with keys
    /// that are no text, say).
    pub(crate) fn insert(&mut self, name: &'static str, value: &impl Serialize) -> Result<()> {
        let value = tera::Value::try_from_serializable(value)
            .map_err(|error| unusable(format!("'{name}': {error}")))?;
        self.0.insert_value(name, value);
        Ok(())
    }
}
