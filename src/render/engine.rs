//! Tera with our filters, strict.

use tera::{ErrorKind, Tera};

use super::context::Context;
use super::error::Error;
use super::filters;
use super::project::Project;
use isoforge_base::error::Failure;

/// What messages call the templates that others may include.
const INCLUDE_DIR: &str = "templates/include";

/// Renders templates. A variable that is not defined is an error wherever its
/// value is needed; `is defined`, `default` and a bare `{% if x %}` may ask for
/// it. Nothing is escaped by itself: see the filters in `docs/templates.md`.
#[derive(Debug, Clone)]
pub struct Engine {
    tera: Tera,
}

impl Engine {
    /// An engine whose templates may include those below `templates/include`
    /// of the project, by their path in the project.
    ///
    /// # Errors
    /// [`Error::Template`] where one of them is malformed, [`Error::Read`].
    pub fn new(project: &Project) -> Result<Self, Error> {
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
    /// [`Error::Template`] with the place, [`Error::Engine`] where there is
    /// none.
    pub fn render(&self, name: &str, text: &str, context: &Context) -> Result<String, Error> {
        let mut tera = self.tera.clone();
        tera.add_raw_template(name, text)
            .and_then(|()| tera.render(name, &context.0))
            .map_err(|e| describe(name, &e))
    }

    /// Fills in an overlay's templates.
    pub fn filling<'a>(
        &'a self,
        context: &'a Context,
    ) -> impl Fn(&str, &str) -> Result<String, Failure> + 'a {
        |name, text| {
            let rendered = self.render(name, text, context);
            rendered.map_err(Failure::from)
        }
    }
}

fn describe(name: &str, error: &tera::Error) -> Error {
    match error.kind() {
        ErrorKind::SyntaxError(report) | ErrorKind::RenderingError(report) => {
            // The report begins with "error: ", the message and a newline.
            let whole = error.to_string();
            let excerpt = whole
                .split_once("\n -")
                .or_else(|| whole.split_once("\n  -"));
            Error::Template {
                file: report.filename().to_owned(),
                line: report.span().start_line,
                column: report.span().start_col + 1,
                message: report.message().to_owned(),
                excerpt: excerpt.map_or_else(String::new, |(_, rest)| format!(" -{rest}")),
            }
        }
        _ => Error::Engine {
            file: name.to_owned(),
            message: error.to_string().trim_start_matches("error: ").to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use isoforge_base::error::Class;
    use isoforge_base::error::Diagnose as _;

    fn render(text: &str) -> Result<String, Error> {
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
        assert!(matches!(
            error,
            Error::Template {
                line: 2,
                column: 16,
                ..
            }
        ));
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
            assert!(
                matches!(render(text), Err(Error::Template { .. })),
                "{text}"
            );
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
        match engine.render("t", text, &context).unwrap_err() {
            Error::Template { file, line, .. } => {
                assert_eq!((file.as_str(), line), ("templates/include/x.tera", 2));
            }
            other => panic!("{other}"),
        }
    }
}
