//! `isoforge schema`.

use serde_json::Value;

use crate::support::program::Project;

#[test]
fn each_document_has_its_schema() {
    let project = Project::empty();
    for (args, title, key) in [
        (
            &["schema"][..],
            "A profile of isoforge",
            "/else/properties/os",
        ),
        (
            &["schema", "catalog"],
            "A catalog of isoforge",
            "/properties/cni",
        ),
        (
            &["schema", "settings"],
            "The settings of isoforge",
            "/properties/jobs",
        ),
    ] {
        let outcome = project.run(args);
        outcome.assert_exit(0);
        let schema: Value = serde_json::from_str(&outcome.stdout).unwrap();
        assert_eq!(schema["title"], title);
        assert!(schema.pointer(key).is_some(), "{title}: {key}");
    }
}
