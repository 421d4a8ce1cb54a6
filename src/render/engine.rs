//! Tera with our filters, strict.

use tera::{ErrorKind, Tera};

use super::context::Context;
use super::filters;
use super::project::Project;
use isoforge_base::error::{Class, Failure, Result};

/// What messages call the templates that others may include.
const INCLUDE_DIR: &str = "templates/include";

/// Renders templates. A variable that is not defined is an error wherever its
/// value is needed; `is defined`, `default` and a bare `{% if x %}` may ask for
/// it. Nothing is escaped by itself: see the filters in `docs/templates.md`.
#[derive(Debug, Clone)]
pub(crate) struct Engine {
    tera: Tera,
}

impl Engine {
    /// An engine whose templates may include those below `templates/include`
    /// of the project, by their path in the project.
    ///
    /// # Errors
    /// One of them is malformed, or can't be read.
    pub(crate) fn new(project: &Project) -> Result<Self> {
        let mut tera = Tera::new();
        tera.autoescape_on(Vec::<String>::new());
        filters::register(&mut tera);
        let mut includes = Vec::new();
        for path in project.includes()? {
            let text = project.read_text(&path)?;
            includes.push((path, text));
        }
        tera.add_raw_templates(includes)
            .map_err(|e| describe(INCLUDE_DIR, &e))?;
        Ok(Self { tera })
    }

    /// Renders `text`, which messages call `name`.
    ///
    /// # Errors
    /// The template is malformed or uses what is not there; with the place, where there
    /// is one.
    pub(crate) fn render(&self, name: &str, text: &str, context: &Context) -> Result<String> {
        let mut tera = self.tera.clone();
        tera.add_raw_template(name, text)
            .and_then(|()| tera.render(name, &context.0))
            .map_err(|e| describe(name, &e))
    }

    /// Fills in an overlay's templates.
    pub(crate) fn filling<'a>(
        &'a self,
        context: &'a Context,
    ) -> impl Fn(&str, &str) -> Result<String> + 'a {
        |name, text| self.render(name, text, context)
    }
}

fn describe(name: &str, error: &tera::Error) -> Failure {
    let (ErrorKind::SyntaxError(report) | ErrorKind::RenderingError(report)) = error.kind() else {
        let problem = error.to_string();
        let problem = problem.trim_start_matches("error: ");
        return Failure::new(Class::Profile, format!("template '{name}': {problem}"));
    };
    // The report begins with "error: ", the message and a newline.
    let whole = error.to_string();
    let excerpt = whole
        .split_once("\n -")
        .or_else(|| whole.split_once("\n  -"));
    let excerpt = excerpt.map_or_else(String::new, |(_, rest)| format!(" -{rest}"));
    let message = report.message();
    let failure = Failure::new(Class::Profile, format!("{message}\n{excerpt}"));
    if !message.contains("not defined") {
        return failure;
    }
    failure.with_hint(
        "set it in the profile ([vars] for values of your own), or let the template ask with \
         `is defined` or `default(value=...)`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(text: &str) -> Result<String> {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::new(&Project::new(dir.path())).unwrap();
        let context = serde_json::json!({"appliance": {"name": "a"}, "vars": {"z": 1, "a": 2}});
        engine.render("t.tera", text, &Context::new(&context).unwrap())
    }

    #[test]
    fn an_undefined_variable_is_an_error_with_its_place() {
        let error = render("first\n  {{ appliance.nmae }}\n").unwrap_err();
        assert_eq!(error.class(), Class::Profile);
        assert!(error.hint().unwrap().contains("[vars]"));
        insta::assert_snapshot!(error, @r#"
        Field `nmae` is not defined. Available fields: name
         --> t.tera:2:16
          |
        2 |   {{ appliance.nmae }}
          |                ^^^^
        "#);
        for text in [
            "{{ nope }}",
            "{{ vars.nope | yaml }}",
            "{{ nope.x }}",
            "{% for x in vars.nope %}{% endfor %}",
        ] {
            let error = render(text).unwrap_err().to_string();
            assert!(error.contains("--> t.tera:1:"), "{text}");
        }
    }

    #[test]
    fn malformed_templates_are_errors_with_their_place() {
        insta::assert_snapshot!(render("a\n{% if %}").unwrap_err(), @r#"
        Found `%}` but expected one of: integer, float, string, bool, ident, `-`, `not`, `<`, `{`, `[` or `(`
         --> t.tera:2:7
          |
        2 | {% if %}
          |       ^^
        "#);
        insta::assert_snapshot!(render("{{ vars.z | nope }}").unwrap_err(), @r#"
        template 't.tera': Unknown filter `nope`
         --> t.tera:1:13
          |
        1 | {{ vars.z | nope }}
          |             ^^^^
        "#);
    }

    #[test]
    fn maps_keep_their_order_and_nothing_is_escaped() {
        let text = render("{% for k, v in vars %}{{ k }}={{ v }}<&> {% endfor %}").unwrap();
        assert_eq!(text, "z=1<&> a=2<&> ");
    }

    #[test]
    fn templates_of_the_project_can_be_included() {
        let dir = tempfile::tempdir().unwrap();
        let include = dir.path().join(INCLUDE_DIR);
        fs_err::create_dir_all(&include).unwrap();
        fs_err::write(include.join("x.tera"), "[{{ v | yaml }}]").unwrap();
        let context = Context::new(&serde_json::json!({"v": "yes"})).unwrap();
        let engine = Engine::new(&Project::new(dir.path())).unwrap();
        let text = "a {% include \"templates/include/x.tera\" %}";
        assert_eq!(engine.render("t", text, &context).unwrap(), "a [\"yes\"]");
        fs_err::write(include.join("x.tera"), "\n{{ nope }}").unwrap();
        let engine = Engine::new(&Project::new(dir.path())).unwrap();
        let error = engine.render("t", text, &context).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("templates/include/x.tera:2:"), "{error}");
    }
}
