use super::*;

#[derive(Debug, thiserror::Error)]
#[error("the server did not answer")]
struct Silent(#[source] io::Error);

impl Diagnose for Silent {
    fn class(&self) -> Class {
        Class::Network
    }

    fn hint(&self) -> Option<String> {
        Some("see whether it runs".to_owned())
    }
}

fn silent() -> Result<(), Silent> {
    Err(Silent(io::Error::other("refused")))
}

#[test]
fn class_and_hint_survive_any_context() {
    let failed: Result<()> = silent()
        .context("reading the list")
        .with_context(|| format!("file {}", 3));
    let failure = failed.unwrap_err();
    assert_eq!(failure.class(), Class::Network);
    assert_eq!(failure.hint().as_deref(), Some("see whether it runs"));
    assert_eq!(failure.to_string(), "file 3");
    assert_eq!(
        format!("{failure:#}"),
        "file 3: reading the list: the server did not answer: refused"
    );
    // The causes can still be asked for by type.
    assert!(failure.chain().any(|cause| cause.is::<Silent>()));
    assert!(failure.chain().any(|cause| cause.is::<io::Error>()));
}

#[test]
fn the_outermost_error_with_a_class_decides() {
    let failure = Failure::from(Silent(io::Error::other("refused")));
    assert_eq!(failure.class(), Class::Network);
    let failure = Failure::from(io::Error::other(Silent(io::Error::other("refused"))));
    assert_eq!((failure.class(), failure.hint()), (Class::Io, None));
}

#[test]
fn a_missing_value_is_a_defect_unless_said_otherwise() {
    let failure = None::<()>.context("no entry").unwrap_err();
    assert_eq!(failure.class(), Class::Bug);
    let failure = Failure::new(Class::Profile, "no entry")
        .with_hint("add one")
        .context("the list");
    assert_eq!(failure.class(), Class::Profile);
    assert_eq!(failure.hint().as_deref(), Some("add one"));
    assert_eq!(format!("{failure:#}"), "the list: no entry");
}
