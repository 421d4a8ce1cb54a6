//! What packs answer each other: `{{ .spectro.pack.NAME.PATH }}` is the value at
//! PATH of the pack NAME, once its presets and the user's values are in it.
//!
//! Only values that are text, a number or true or false are answers. One in which
//! a macro without an answer stands is none.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Pack;
use crate::Error;
use crate::macros::{self, Answers, PACK_ROOT};
use crate::values;

/// How many answers may hang on each other in a chain.
const MAX_CHAIN: usize = 32;

/// A pack as it is used.
#[derive(Debug, Clone, Copy)]
pub struct Use<'a> {
    /// The pack.
    pub pack: &'a Pack,
    /// Presets that are on, or off with a `-` in front.
    pub presets: &'a [String],
    /// Laid over its values.
    pub values: &'a Value,
}

impl Use<'_> {
    /// The paths that macros of the pack name; of presets only of those that are
    /// on.
    ///
    /// # Errors
    /// As of [`Pack::compose`].
    pub fn named(&self) -> Result<BTreeSet<String>, Error> {
        let mut named = macros::paths_in(self.values);
        named.extend(macros::paths(&self.pack.values_text));
        for preset in self.pack.selected(self.presets)? {
            named.extend(macros::paths(&preset.add));
        }
        for manifest in &self.pack.manifests {
            named.extend(macros::paths(&manifest.text));
        }
        Ok(named)
    }

    /// What the pack's values say at a path that begins with its name.
    fn answer(&self, path: &str, answers: &Answers) -> Result<Option<String>, Error> {
        let name = self.pack.meta.name.as_str();
        let of_pack = path.strip_prefix(PACK_ROOT);
        let of_pack = of_pack.and_then(|path| path.strip_prefix(name)?.strip_prefix('.'));
        let Some(path) = of_pack else {
            return Ok(None);
        };
        let composed = self.pack.compose(self.presets, self.values, answers)?;
        let text = match values::get(composed.values(), path) {
            Some(Value::String(text)) if !macros::has_macro(text) => text.clone(),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => value.to_string(),
            _ => return Ok(None),
        };
        Ok(Some(text))
    }
}

/// Adds to `answers` what the values of packs answer each other. An answer that is
/// there stays.
///
/// # Errors
/// As of [`Pack::compose`].
pub fn answer(answers: &mut Answers, packs: &[Use<'_>]) -> Result<(), Error> {
    let mut named = BTreeSet::new();
    for pack in packs {
        named.extend(pack.named()?);
    }
    named.retain(|path| path.starts_with(PACK_ROOT) && answers.get(path).is_none());
    for _ in 0..MAX_CHAIN {
        let mut found = Vec::new();
        for path in &named {
            for pack in packs {
                if let Some(text) = pack.answer(path, answers)? {
                    found.push((path.clone(), text));
                    break;
                }
            }
        }
        if found.is_empty() {
            break;
        }
        for (path, _) in &found {
            named.remove(path);
        }
        answers.extend(found);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pack(name: &str, values: &str) -> Pack {
        let folder = tempfile::tempdir().unwrap();
        let meta = format!(
            "{{\"name\": \"{name}\", \"displayName\": \"x\", \"version\": \"1.0.0\", \
             \"layer\": \"addon\"}}"
        );
        let files = [("pack.json", meta.as_str()), ("values.yaml", values)];
        crate::testing::write(folder.path(), &files);
        Pack::open(folder.path()).unwrap()
    }

    #[test]
    fn answers_hang_on_each_other_and_circles_have_none() {
        let one = pack(
            "one",
            "a: \"{{ .spectro.pack.two.b }}-a\"\nname.with.dots: 7\nlist: [1]\n\
             x: \"{{ .spectro.pack.two.y }}\"\n",
        );
        let two = pack(
            "two",
            "b: \"{{ .spectro.pack.two.c.d }}-b\"\nc: {d: \"{{ .spectro.var.site }}\"}\n\
             y: \"{{ .spectro.pack.one.x }}\"\nnames: \"{{ .spectro.pack.one.name.with.dots }} \
             {{ .spectro.pack.one.list }} {{ .spectro.pack.three.a }} {{ .spectro.pack.one.a }}\"\n",
        );
        let mut answers = Answers::default();
        answers.set("spectro.var.site", "lab");
        answers.set("spectro.pack.three.a", "given");
        let given = [json!({}), json!({"z": "{{ .spectro.pack.one.a | upper }}"})];
        let uses = [
            Use {
                pack: &one,
                presets: &[],
                values: &given[0],
            },
            Use {
                pack: &two,
                presets: &[],
                values: &given[1],
            },
        ];
        answer(&mut answers, &uses).unwrap();
        let composed = two.compose(&[], &given[1], &answers).unwrap();
        assert_eq!(
            composed.values(),
            &json!({
                "b": "lab-b",
                "c": {"d": "lab"},
                "y": "{{ .spectro.pack.one.x }}",
                "names": "7 {{ .spectro.pack.one.list }} given lab-b-a",
                "z": "LAB-B-A",
            })
        );
    }
}
