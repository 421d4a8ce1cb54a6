//! The built-in catalog and catalogs of users.

use super::*;

fn resolve(kind: Kind, name: &str, version: &str) -> Result<Resolution, CatalogError> {
    let wanted = Query {
        kind,
        name,
        version,
        fips: false,
    };
    Catalog::builtin().unwrap().resolve(wanted, Arch::Amd64)
}

#[test]
fn the_built_in_catalog_has_its_components() {
    let counts = [
        (Kind::Kubernetes, "kubeadm", "1.32.3", 7),
        (Kind::Cni, "calico", "3.29.2", 3),
        (Kind::Csi, "piraeus", "2.8.1", 26),
        (Kind::Csi, "rook-ceph", "1.20.6", 12),
        (Kind::Registry, "zot", "0.1.67", 1),
    ];
    for (kind, name, version, images) in counts {
        let found = resolve(kind, name, version).unwrap();
        assert_eq!(found.images.len(), images, "{name}");
        assert!(found.source.starts_with("https://"), "{name}");
    }
    let zot = resolve(Kind::Registry, "zot", "0.1.67").unwrap();
    assert_eq!(zot.images, ["ghcr.io/project-zot/zot-linux-amd64:v2.1.2"]);
}

#[test]
fn what_has_no_public_source_says_what_to_supply() {
    for name in ["pxk-e", "kubeadm", "k3s", "rke2"] {
        let found = resolve(Kind::Kubernetes, name, "1.32.9").unwrap();
        assert!(!found.has_source(), "{name}");
        let required = found.required_from_user.unwrap();
        assert!(
            required.contains("1.32.9") && !required.contains('{'),
            "{required}"
        );
    }
}

#[test]
fn errors_know_what_is_near() {
    use isoforge_base::error::Diagnose as _;
    let error = resolve(Kind::Cni, "calicoo", "3.29.2").unwrap_err();
    assert_eq!(error.hint().unwrap(), "did you mean 'calico'?");
    let error = resolve(Kind::Cni, "calico", "3.29.0").unwrap_err();
    assert_snapshot!(error.to_string(), @"the catalog has no version 3.29.0 of 'calico'");
    assert!(error.hint().unwrap().starts_with("known: 3.29.2;"));
}

#[test]
fn a_catalog_says_which_pack_or_chart_a_component_is() {
    let main = format!(
        "catalog = \"cat/mine.toml\"\n{MINIMAL}\n[cni]\nname = \"net\"\nversion = \"1.2\"\n\
         [csi]\nname = \"disk\"\nversion = \"7\"\nvalues = {{ a = 1 }}\n\
         [registry]\nname = \"disk\"\nversion = \"7\"\npack = \"own\"\n"
    );
    let mine = "schema = 1\n\
        [[cni]]\nname = \"net\"\nversion = \"1.*\"\nsource = \"https://e.x/\"\nmanifests = [\"net-{version}.yaml\"]\n\
        [[csi]]\nname = \"disk\"\nversion = \"*\"\nsource = \"https://e.x/\"\nchart = \"oci://e.x/disk:{version}\"\n\
        [[registry]]\nname = \"disk\"\nversion = \"*\"\nsource = \"https://e.x/\"\npack = \"packs/{version}\"\n";
    let files = [("p/main.toml", main.as_str()), ("p/cat/mine.toml", mine)];
    let profile = load_files(&files, &[]).unwrap().profile;
    let cni = profile.cni.unwrap().sources;
    assert_eq!(cni.manifests, [Path::new("p/cat/net-1.2.yaml")]);
    let csi = profile.csi.unwrap().sources;
    assert_eq!(csi.charts, ["oci://e.x/disk:7"]);
    assert_eq!(csi.values, serde_json::json!({"a": 1}));
    // What the profile says itself wins.
    let registry = profile.registry.unwrap().sources;
    assert_eq!(registry.packs, [Path::new("p/own")]);
    let both = mine.replace("pack = ", "images = [\"e.x/a:1\"]\npack = ");
    let files = [("p/main.toml", main.as_str()), ("p/cat/mine.toml", &both)];
    let problems = load_files(&files, &[]).unwrap_err().to_string();
    assert!(problems.contains("only one of 'images'"), "{problems}");
}

#[test]
fn a_catalog_of_ones_own_adds_and_wins() {
    let main = format!("catalog = \"cat/mine.toml\"\n{MINIMAL}\n[cni]\nname = \"calico\"\nversion = \"3.29.2\"\n[csi]\nname = \"disk\"\nversion = \"7\"\n")
        .replace("image = \"registry.example/edge/pxk-e:1.32.3\"", "");
    let mine = "schema = 1\n\
        [[cni]]\nname = \"calico\"\nversion = \"3.29.2\"\nsource = \"https://e.x/\"\nimages = [\"e.x/calico:1\"]\n\
        [[csi]]\nname = \"disk\"\nversion = \"*\"\nsource = \"https://e.x/\"\nimages = [\"e.x/disk-{arch}:{version}\"]\n\
        [[kubernetes]]\nname = \"pxk-e\"\nversion = \"1.*\"\nsource = \"https://e.x/\"\nimage = \"oci:k8s:{version}\"\n";
    let loaded = load_files(&[("p/main.toml", &main), ("p/cat/mine.toml", mine)], &[]).unwrap();
    let images: Vec<_> = loaded.content_plan(Arch::Amd64, &[]).unwrap().images;
    let images: Vec<_> = images.iter().map(|i| i.reference.to_string()).collect();
    assert_eq!(images, ["e.x/calico:1", "e.x/disk-amd64:7"]);
    let target = loaded.profile.iso_target(Arch::Amd64);
    let plan = loaded.kubernetes_plan(target).unwrap();
    assert_eq!(plan.catalog_source.as_deref(), Some("https://e.x/"));
    let LayerSource::Image(image) = &plan.layers[0].source else {
        panic!("{plan:?}");
    };
    assert_eq!(
        image.expand(target).unwrap().to_string(),
        "oci:p/cat/k8s:1.32.3"
    );
    assert_eq!(loaded.files.len(), 2);
}

#[test]
fn problems_of_a_catalog_point_into_it() {
    let main = format!("catalog = \"mine.toml\"\n{MINIMAL}");
    let mine = "schema = 1\n[[cni]]\nname = \"x\"\nversion = \"1\"\nimages = [\"UPPER\"]\n";
    let problems = load_files(&[("p/main.toml", &main), ("p/mine.toml", mine)], &[]).unwrap_err();
    assert_snapshot!(problems.to_string(), @r#"
    error: missing key 'source' in [[cni]]
     --> p/mine.toml:2:1
      |
    2 | [[cni]]
      | ^^^^^^^
      = expected 'source', a string

    error: 'UPPER' is not an image reference: repository names are lower-case, 'UPPER' is not
     --> p/mine.toml:5:11
      |
    5 | images = ["UPPER"]
      |           ^^^^^^^
      = expected an image reference such as registry.example/folder/name:tag
      = help: only the host and the tag may have upper-case letters

    2 problems in the profile
    "#);
}

#[test]
fn fips_takes_the_fips_entry() {
    let main =
        format!("catalog = \"mine.toml\"\n{MINIMAL}\n[cni]\nname = \"c\"\nversion = \"1\"\n");
    let mine = "schema = 1\n\
        [[cni]]\nname = \"c\"\nversion = \"1\"\nfips = true\nsource = \"https://e.x/\"\nimages = [\"e.x/c:fips\"]\n\
        [[cni]]\nname = \"c\"\nversion = \"1\"\nsource = \"https://e.x/\"\nimages = [\"e.x/c:plain\"]\n";
    for (fips, image) in [("true", "e.x/c:fips"), ("false", "e.x/c:plain")] {
        let set = format!("os.fips={fips}");
        let files = [("p/main.toml", main.as_str()), ("p/mine.toml", mine)];
        let loaded = load_files(&files, &[&set]).unwrap();
        let plan = loaded.content_plan(Arch::Amd64, &[]).unwrap();
        assert_eq!(plan.images[0].reference.to_string(), image);
    }
}

#[test]
fn a_version_without_known_images_is_noted() {
    let sets = [
        "kubernetes.distribution=kubeadm",
        "kubernetes.version=1.31.7",
    ];
    let loaded = minimal_with(&sets);
    assert_eq!(loaded.notes.len(), 1);
    assert!(
        loaded.notes[0].contains("kubeadm 1.31.7"),
        "{:?}",
        loaded.notes
    );
}

#[test]
fn a_catalog_given_outside_wins_over_one_in_the_profile() {
    let entry = |image: &str| {
        format!(
            "schema = 1\n[[cni]]\nname = \"c\"\nversion = \"1\"\nsource = \"https://e.x/\"\nimages = [\"{image}\"]\n"
        )
    };
    let main = format!("catalog = \"a.toml\"\n{MINIMAL}\n[cni]\nname = \"c\"\nversion = \"1\"\n");
    let options = Options {
        overrides: &[],
        catalogs: &["b.toml".into()],
    };
    let loaded = load(
        Path::new("p/main.toml"),
        &options,
        &|path| match path.to_str() {
            Some("p/main.toml") => Ok(main.clone()),
            Some("p/a.toml") => Ok(entry("e.x/a:1")),
            Some("b.toml") => Ok(entry("e.x/b:1")),
            _ => Err(io::Error::from(io::ErrorKind::NotFound)),
        },
    )
    .unwrap();
    let plan = loaded.content_plan(Arch::Amd64, &[]).unwrap();
    let images: Vec<_> = plan
        .images
        .iter()
        .map(|i| i.reference.to_string())
        .collect();
    assert_eq!(images, ["e.x/b:1"]);
    assert_eq!(loaded.files.len(), 3);
}
