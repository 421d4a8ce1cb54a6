//! Charts from OCI registries, HTTP chart repositories, URLs and the disk.

use std::num::NonZeroUsize;
use std::path::Path;

use isoforge_base::digest::Digest;
use isoforge_base::error::{Class, Diagnose};
use isoforge_base::progress::Progress;
use isoforge_content::Error;
use isoforge_content::chart::{Fetched, Source, fetch};
use isoforge_oci::registry::{Client, RegistryConfig, RetryPolicy};
use isoforge_oci::store::Store;
use serde_json::json;

use super::chart;
use crate::support::layers::Blob;
use crate::support::registry::{FakeRegistry, Fault};

const CONTENT_TYPE: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
const CONFIG_TYPE: &str = "application/vnd.cncf.helm.config.v1+json";
const VALUES: &str = "image: {repository: quay.io/x/web}\n";

struct Bench {
    folder: tempfile::TempDir,
    store: Store,
    client: Client,
    registry: FakeRegistry,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = RegistryConfig {
            retry: RetryPolicy {
                wait: std::sync::Arc::new(|_| {}),
                ..RetryPolicy::default()
            },
            ..RegistryConfig::default()
        };
        Self {
            store: Store::open(&folder.path().join("store")).unwrap(),
            client: Client::new(config),
            registry: FakeRegistry::start(),
            folder,
        }
    }

    fn fetch(&self, source: &str) -> Result<Fetched, Error> {
        self.fetch_by(&self.client, source)
    }

    fn fetch_by(&self, client: &Client, source: &str) -> Result<Fetched, Error> {
        let source: Source = source.parse().unwrap();
        fetch(
            client,
            &source,
            self.folder.path(),
            &self.store,
            NonZeroUsize::MIN,
            &Progress::silent(),
        )
    }

    /// Serves bytes at a path.
    fn serve(&self, path: &str, bytes: &[u8]) {
        let blob = Blob::new("application/octet-stream", bytes.to_vec());
        self.registry.put_at(path, &blob);
    }

    /// Serves a chart as an artifact, its layer of the type `content`.
    fn push(&self, repository: &str, tag: &str, archive: &[u8], content: &str) {
        let config = br#"{"name":"web"}"#;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": CONFIG_TYPE, "digest": Digest::of(config), "size": config.len()},
            "layers": [{"mediaType": content, "digest": Digest::of(archive), "size": archive.len()}],
        });
        let manifest = Blob::new(
            "application/vnd.oci.image.manifest.v1+json",
            manifest.to_string().into_bytes(),
        );
        self.registry.put_manifest(repository, tag, &manifest);
        self.registry.put_blob(repository, config);
        self.registry.put_blob(repository, archive);
    }

    /// Serves an index that lists the chart with this digest and URL.
    fn index(&self, digest: Option<&str>, url: &str) {
        let digest = digest.map_or(String::new(), |hex| format!("    digest: {hex}\n"));
        let text = format!(
            "apiVersion: v1\nentries:\n  web:\n  - version: 1.2.3\n{digest}    urls: [\"{url}\"]\n"
        );
        self.serve("/stable/index.yaml", text.as_bytes());
    }

    fn repository(&self) -> String {
        format!("{}/stable#web:1.2.3", self.registry.url())
    }
}

/// `sha256:…` of other bytes.
fn other() -> Digest {
    Digest::of(b"other")
}

#[test]
fn a_chart_comes_from_a_registry_and_is_not_asked_for_again() {
    let bench = Bench::new();
    let archive = chart("web", "1.2.3+up1", VALUES);
    bench.push("charts/web", "1.2.3_up1", &archive, CONTENT_TYPE);
    let source = format!("oci://{}/charts/web:1.2.3+up1", bench.registry.host());
    let fetched = bench.fetch(&source).unwrap();
    assert_eq!(fetched.digest, Digest::of(&archive));
    assert_eq!(fetched.chart.meta.name, "web");
    assert_eq!(fetched.chart.digest().unwrap(), fetched.digest);
    let asked = bench.registry.requests().len();
    let pinned = format!("{source}@{}", fetched.digest);
    let offline = Client::new(RegistryConfig::default()).offline();
    let again = bench.fetch_by(&offline, &pinned).unwrap();
    assert_eq!(again.digest, fetched.digest);
    assert_eq!(bench.registry.requests().len(), asked);
}

#[test]
fn a_chart_of_another_digest_is_refused_wherever_it_comes_from() {
    let bench = Bench::new();
    let archive = chart("web", "1.2.3", VALUES);
    bench.push("charts/web", "1.2.3", &archive, CONTENT_TYPE);
    bench.serve("/stable/web.tgz", &archive);
    bench.index(None, "web.tgz");
    let host = bench.registry.host();
    let sources = [
        format!("oci://{host}/charts/web:1.2.3@{}", other()),
        format!("{}@{}", bench.repository(), other()),
        format!("http://{host}/stable/web.tgz@{}", other()),
    ];
    for source in sources {
        let error = bench.fetch(&source).unwrap_err();
        assert_eq!(error.class(), Class::Verification, "{error}");
        assert!(error.to_string().contains(&other().to_string()), "{error}");
        assert!(error.hint().is_some());
    }
    // The index and what lies there disagree.
    bench.index(Some(&other().hex()), "web.tgz");
    let error = bench.fetch(&bench.repository()).unwrap_err();
    assert!(matches!(error, Error::Digest { .. }), "{error}");
    // A pin is not given up because the index says something else. What the store
    // has under it needs no index.
    let bench = Bench::new();
    bench.serve("/stable/web.tgz", &archive);
    bench.index(Some(&other().hex()), "web.tgz");
    let pinned = format!("{}@{}", bench.repository(), Digest::of(&archive));
    let error = bench.fetch(&pinned).unwrap_err();
    assert!(matches!(error, Error::Digest { .. }), "{error}");
}

#[test]
fn a_chart_comes_from_a_repository_by_its_index() {
    let bench = Bench::new();
    let archive = chart("web", "1.2.3", VALUES);
    let digest = Digest::of(&archive);
    bench.serve("/stable/charts/web.tgz", &archive);
    bench.serve("/elsewhere/web.tgz", &archive);
    let absolute = format!("{}/elsewhere/web.tgz", bench.registry.url());
    for url in ["charts/web.tgz", "/elsewhere/web.tgz", &absolute] {
        bench.index(Some(&format!("sha256:{}", digest.hex())), url);
        // Half of it comes first.
        bench.registry.fault("web.tgz", 1, Fault::Truncate(100));
        let fetched = bench.fetch(&bench.repository()).unwrap();
        assert_eq!(fetched.digest, digest);
    }
    let url = format!("{}@{digest}", bench.repository());
    let asked = bench.registry.count("index.yaml");
    bench.fetch(&url).unwrap();
    assert_eq!(bench.registry.count("index.yaml"), asked);
}

#[test]
fn what_is_not_there_or_no_chart_is_said() {
    let bench = Bench::new();
    let archive = chart("web", "1.2.3", VALUES);
    bench.push("charts/web", "1.2.3", &archive, "application/x-other");
    bench.push("charts/web", "broken", b"no archive", CONTENT_TYPE);
    bench.index(None, "gone.tgz");
    let (host, url) = (bench.registry.host(), bench.registry.url());
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"127\.0\.0\.1:\d+", "127.0.0.1:[PORT]");
    let _filters = settings.bind_to_scope();
    let errors: Vec<String> = [
        format!("oci://{host}/charts/web:1.2.3"),
        format!("oci://{host}/charts/web:broken"),
        format!("oci://{host}/charts/gone:1"),
        format!("{url}/stable#web:2.0.0"),
        format!("{url}/stable#zot:1"),
        format!("{url}/stable#web:1.2.3"),
        format!("{url}/none#web:1.2.3"),
    ]
    .iter()
    .map(|source| {
        let error = bench.fetch(source).unwrap_err();
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        format!(
            "{:?} {error} | {}",
            error.class(),
            cause.unwrap_or_default()
        )
    })
    .collect();
    insta::assert_snapshot!(errors.join("\n"), @r"
    Profile oci://127.0.0.1:[PORT]/charts/web:1.2.3 is no chart: its configuration is application/vnd.cncf.helm.config.v1+json | 
    Verification 'oci://127.0.0.1:[PORT]/charts/web:broken' is no archive that can be read: failed to read entire block | 
    Network 127.0.0.1:[PORT]/charts/gone:1 can't be pulled | http://127.0.0.1:[PORT]/v2/charts/gone/manifests/1: not found, the registry says MANIFEST_UNKNOWN: as told
    Profile the chart repository http://127.0.0.1:[PORT]/stable has no 'web' 2.0.0; it has 1.2.3 | 
    Profile the chart repository http://127.0.0.1:[PORT]/stable has no 'zot' 1; it has no chart of that name | 
    Network can't download http://127.0.0.1:[PORT]/stable/gone.tgz | http://127.0.0.1:[PORT]/stable/gone.tgz: not found, the registry says MANIFEST_UNKNOWN: as told
    Network can't download http://127.0.0.1:[PORT]/none/index.yaml | http://127.0.0.1:[PORT]/none/index.yaml: not found, the registry says MANIFEST_UNKNOWN: as told
    ");
}

#[test]
fn a_chart_on_the_disk_is_read_where_it_lies() {
    let bench = Bench::new();
    let archive = chart("web", "1.2.3", VALUES);
    std::fs::write(bench.folder.path().join("web.tgz"), &archive).unwrap();
    let fetched = bench.fetch("web.tgz").unwrap();
    assert_eq!(fetched.digest, Digest::of(&archive));
    assert!(!bench.store.has_blob(&fetched.digest));
    let error = bench.fetch("gone.tgz").unwrap_err();
    assert_eq!(error.class(), Class::Profile);
    assert!(error.to_string().contains("gone.tgz"), "{error}");
    assert!(!Path::new("gone.tgz").exists());
}
