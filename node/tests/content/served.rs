//! The registries as the machine prepares them: who may read, who may push, and
//! what an import over HTTP does when it is cut off.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpStream};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::Result;
use appliance::content::inspect::list;
use appliance::content::into_registry::{import, registries};
use appliance::content::push::{self, Options, Report};
use appliance::content::source::{Annotations, Opened, Root, Source};
use appliance::content::storage::Storage;
use appliance::content::upstreams::upstreams;
use appliance::content::verify::verify;
use appliance::content::{distribution, zot};
use appliance::registry::prepare::prepare;
use appliance::registry::{RegistryPaths, push_port};
use insta::assert_snapshot;
use isoforge_base::digest::Digest;
use isoforge_base::progress::Progress;
use isoforge_contract::machine::{Registry as Config, RegistryKind};
use isoforge_oci::registry::{RegistryConfig, RetryPolicy};

use crate::registry::{Registry, free_port, skopeo, zot as real_zot};
use crate::source::Memory;
use crate::{OPTIONS, bundle, expected};

const TWO: NonZeroUsize = NonZeroUsize::new(2).unwrap();

/// A machine with a registry.
pub(crate) struct Machine {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) config: Config,
    pub(crate) places: RegistryPaths,
}

impl Machine {
    pub(crate) fn new(name: RegistryKind) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let places = RegistryPaths::below(dir.path());
        std::fs::create_dir_all(&places.etc).unwrap();
        let passwd = "root:x:0:0::/root:/bin/sh\nappliance-registry:x:0:0::/:/bin/false\n";
        std::fs::write(places.etc.join("passwd"), passwd).unwrap();
        let config = Config {
            name,
            port: free_port(),
            listen: None,
            anonymous: true,
            folder: places.home.display().to_string(),
        };
        Self {
            dir,
            config,
            places,
        }
    }

    pub(crate) fn start(&self, program: &Path, file: &str, port: u16) -> Registry {
        let config = self.places.run.join(file);
        let log = self.dir.path().join(format!("{file}.log"));
        Registry::start(program, &[Path::new("serve"), &config], port, &log)
    }

    /// skopeo, trusting the machine's authority.
    fn skopeo(&self, args: &[&str]) -> Result<String, String> {
        let certificates = self.dir.path().join("certificates");
        std::fs::create_dir_all(&certificates).unwrap();
        std::fs::copy(self.places.authority(), certificates.join("ca.crt")).unwrap();
        let option = match args {
            ["copy", .., to] if to.starts_with("docker://") => "--dest-cert-dir",
            ["copy", ..] => "--src-cert-dir",
            _ => "--cert-dir",
        };
        let folder = certificates.display().to_string();
        let (verb, rest) = args.split_first().unwrap();
        let all = [&[*verb, option, &folder], rest].concat();
        let output = skopeo(&all);
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn digest(&self, image: &str) -> Result<String, String> {
        self.digest_for(None, image)
    }

    /// What somebody or nobody reads.
    fn digest_for(&self, creds: Option<&str>, image: &str) -> Result<String, String> {
        let from = format!("docker://127.0.0.1:{}/{image}", self.config.port);
        let raw = match creds {
            Some(creds) => self.skopeo(&["inspect", "--raw", "--creds", creds, &from])?,
            None => self.skopeo(&["inspect", "--raw", "--no-creds", &from])?,
        };
        Ok(Digest::of(raw.as_bytes()).to_string())
    }

    /// For the machine alone, and who has an account.
    fn closed(name: RegistryKind) -> Self {
        let mut machine = Self::new(name);
        machine.config.listen = Some(Ipv4Addr::LOCALHOST.into());
        machine.config.anonymous = false;
        machine
    }

    /// Only accounts read `images`, only one of them writes, and no other address is
    /// listened on.
    fn keeps_others_out(&self, images: &[(String, String)]) {
        let reader = format!("reader:{}", self.read("reader-password"));
        let pusher = format!("pusher:{}", self.password());
        let swapped = format!("reader:{}", self.password());
        for (image, digest) in images {
            for creds in [
                None,
                Some("reader:wrong"),
                Some("pusher:wrong"),
                Some(swapped.as_str()),
            ] {
                assert!(self.digest_for(creds, image).is_err(), "{creds:?} {image}");
            }
            for creds in [&reader, &pusher] {
                assert_eq!(
                    self.digest_for(Some(creds), image).as_ref(),
                    Ok(digest),
                    "{image}"
                );
            }
        }
        for creds in [None, Some(reader.as_str())] {
            assert!(self.push(creds, "r.example/x:1").is_err(), "{creds:?}");
        }
        self.push(Some(&pusher), "r.example/x:1").unwrap();
        assert!(self.digest_for(Some(&reader), "r.example/x:1").is_ok());
        assert!(self.digest("r.example/x:1").is_err());
        // All of 127.0.0.0/8 is this machine.
        for port in [self.config.port, push_port(&self.config)] {
            let elsewhere = TcpStream::connect((Ipv4Addr::new(127, 0, 0, 2), port));
            assert!(elsewhere.is_err(), "{port}");
        }
    }

    pub(crate) fn import(&self, source: &Arc<dyn Source>) -> Result<Report> {
        let progress = Progress::silent();
        import(source, &self.config, &self.places, false, TWO, &progress)
    }

    /// Pushes with skopeo, as somebody or nobody.
    fn push(&self, creds: Option<&str>, to: &str) -> Result<String, String> {
        let mut pack = Memory::default();
        let image = pack.image(&[b"a pack"]);
        pack.root("r.example/pack:1", &image);
        let storage = self.dir.path().join("pushed");
        zot::import(&storage, &pack, &OPTIONS, &Progress::silent()).unwrap();
        let from = format!("oci:{}:1", storage.join("r.example/pack").display());
        let to = format!("docker://127.0.0.1:{}/{to}", push_port(&self.config));
        match creds {
            Some(creds) => self.skopeo(&["copy", "--dest-creds", creds, &from, &to]),
            None => self.skopeo(&["copy", "--dest-no-creds", &from, &to]),
        }
    }

    pub(crate) fn password(&self) -> String {
        self.read("password")
    }

    fn read(&self, name: &str) -> String {
        let path = self.places.home.join("credentials").join(name);
        std::fs::read_to_string(path).unwrap().trim().to_owned()
    }
}

pub(crate) fn debians() -> PathBuf {
    PathBuf::from("/usr/bin/docker-registry")
}

/// Without an index of which a platform is missing: neither Debian's version 2.8 nor
/// Zot v2.1.2 takes one over HTTP.
pub(crate) fn whole_bundle() -> Memory {
    let mut memory = bundle();
    memory
        .roots
        .retain(|root| root.reference.as_deref() != Some("docker.io/calico/partial:v1"));
    memory
}

#[test]
fn distribution_is_read_by_all_and_filled_by_who_may() {
    let machine = Machine::new(RegistryKind::Distribution);
    prepare(&machine.config, &machine.places, &BTreeSet::new()).unwrap();
    let serving = machine.start(&debians(), "config.json", machine.config.port);
    let pushing = machine.start(&debians(), "push.json", push_port(&machine.config));
    let memory = whole_bundle();
    let images = expected(&memory);
    let source: Arc<dyn Source> = Arc::new(memory);
    let report = machine.import(&source).unwrap();
    assert!(report.images.len() >= images.len());
    for (image, digest) in &images {
        assert_eq!(machine.digest(image).as_ref(), Ok(digest), "{image}");
    }
    // Once more, nothing is sent.
    let again = machine.import(&source).unwrap();
    let sent: u64 = again.images.iter().map(|image| image.uploaded.blobs).sum();
    assert_eq!(sent, 0);

    assert!(machine.push(None, "r.example/x:1").is_err());
    assert!(machine.push(Some("pusher:wrong"), "r.example/x:1").is_err());
    let password = format!("pusher:{}", machine.password());
    machine.push(Some(&password), "r.example/x:1").unwrap();
    assert!(machine.digest("r.example/x:1").is_ok());
    // The one that all may read from takes nothing, whoever asks.
    let from = format!(
        "oci:{}:1",
        machine.dir.path().join("pushed/r.example/pack").display()
    );
    let to = format!("docker://127.0.0.1:{}/r.example/y:1", machine.config.port);
    assert!(
        machine
            .skopeo(&["copy", "--dest-creds", &password, &from, &to])
            .is_err()
    );

    let storage = distribution::Storage::new(&machine.places.storage());
    let listing = list(&storage).unwrap();
    let names: Vec<&str> = listing
        .images
        .iter()
        .map(|it| it.reference.as_str())
        .collect();
    assert!(
        names.contains(&"docker.io/calico/node:v3.29.2"),
        "{names:?}"
    );
    assert!(names.contains(&"r.example/x:1"), "{names:?}");
    let verify = || verify(&storage, &Progress::silent()).unwrap();
    assert_eq!(verify().damage, []);
    drop((serving, pushing));
    let layer = source.roots()[0].descriptor.digest;
    let hex = layer.hex();
    let blob = machine.places.storage().join(format!(
        "docker/registry/v2/blobs/sha256/{}/{hex}/data",
        &hex[..2]
    ));
    std::fs::write(blob, "altered").unwrap();
    assert_eq!(verify().damage.len(), 1);
    // containerd asks here for what came.
    let hosts = upstreams(&machine.places).unwrap();
    prepare(&machine.config, &machine.places, &hosts).unwrap();
    for host in ["docker.io", "quay.io", "registry.example:5000"] {
        let path = machine
            .places
            .etc
            .join(format!("containerd/certs.d/{host}/hosts.toml"));
        assert!(path.is_file(), "{host}");
    }
}

#[test]
fn zot_is_read_by_all_and_filled_by_who_may() {
    let Some(zot) = real_zot() else { return };
    let machine = Machine::new(RegistryKind::Zot);
    prepare(&machine.config, &machine.places, &BTreeSet::new()).unwrap();
    let memory = bundle();
    let images = expected(&memory);
    let storage = machine.places.storage();
    zot::import(&storage, &memory, &OPTIONS, &Progress::silent()).unwrap();
    let registry = machine.start(&zot, "config.json", machine.config.port);
    for (image, digest) in &images {
        assert_eq!(machine.digest(image).as_ref(), Ok(digest), "{image}");
    }
    assert!(machine.push(None, "r.example/x:1").is_err());
    assert!(machine.push(Some("pusher:wrong"), "r.example/x:1").is_err());
    let password = format!("pusher:{}", machine.password());
    machine.push(Some(&password), "r.example/x:1").unwrap();
    let listing = list(&Storage::open(&storage).unwrap()).unwrap();
    assert!(
        listing
            .images
            .iter()
            .any(|it| it.reference == "r.example/x:1")
    );
    // What is imported beside it leaves what was pushed.
    drop(registry);
    let mut more = Memory::default();
    let image = more.image(&[b"more"]);
    more.root("r.example/x:2", &image);
    zot::import(&storage, &more, &OPTIONS, &Progress::silent()).unwrap();
    let _registry = machine.start(&zot, "config.json", machine.config.port);
    assert!(machine.digest("r.example/x:1").is_ok());
    assert!(machine.digest("r.example/x:2").is_ok());
    // Over HTTP too, as to a registry elsewhere.
    let mut client = registries(&machine.config, &machine.places);
    client.retry = once();
    let options = Options {
        to: format!("127.0.0.1:{}/elsewhere", machine.config.port),
        registries: client,
        threads: TWO,
    };
    let whole = whole_bundle();
    let images = expected(&whole);
    let source: Arc<dyn Source> = Arc::new(whole);
    push::push(&source, &options, &Progress::silent()).unwrap();
    for (image, digest) in &images {
        let found = machine.digest(&format!("elsewhere/{image}"));
        assert_eq!(found.as_ref(), Ok(digest), "{image}");
    }
    // Nobody in particular may not.
    let options = Options {
        registries: RegistryConfig {
            credential_files: Vec::new(),
            ..options.registries.clone()
        },
        ..options
    };
    let error = push::push(&source, &options, &Progress::silent());
    assert!(error.is_ok(), "what is there needs no push");
    let mut other = Memory::default();
    let image = other.image(&[b"other"]);
    other.root("r.example/z:1", &image);
    let source: Arc<dyn Source> = Arc::new(other);
    let error = push::push(&source, &options, &Progress::silent()).unwrap_err();
    assert!(error.to_string().contains("r.example/z"), "{error}");
}

#[test]
fn distribution_is_read_with_an_account_where_one_is_asked_for() {
    let machine = Machine::closed(RegistryKind::Distribution);
    prepare(&machine.config, &machine.places, &BTreeSet::new()).unwrap();
    let _serving = machine.start(&debians(), "config.json", machine.config.port);
    let _pushing = machine.start(&debians(), "push.json", push_port(&machine.config));
    let memory = whole_bundle();
    let images: Vec<_> = expected(&memory).into_iter().collect();
    machine
        .import(&(Arc::new(memory) as Arc<dyn Source>))
        .unwrap();
    machine.keeps_others_out(&images);
}

#[test]
fn zot_is_read_with_an_account_where_one_is_asked_for() {
    let Some(zot) = real_zot() else { return };
    let machine = Machine::closed(RegistryKind::Zot);
    prepare(&machine.config, &machine.places, &BTreeSet::new()).unwrap();
    let memory = bundle();
    let images: Vec<_> = expected(&memory).into_iter().collect();
    let storage = machine.places.storage();
    zot::import(&storage, &memory, &OPTIONS, &Progress::silent()).unwrap();
    let _registry = machine.start(&zot, "config.json", machine.config.port);
    machine.keeps_others_out(&images);
}

#[test]
fn a_registry_that_listens_everywhere_is_read_everywhere() {
    let machine = Machine::new(RegistryKind::Distribution);
    prepare(&machine.config, &machine.places, &BTreeSet::new()).unwrap();
    let port = machine.config.port;
    let _serving = machine.start(&debians(), "config.json", port);
    TcpStream::connect((Ipv4Addr::new(127, 0, 0, 2), port)).unwrap();
}

fn once() -> RetryPolicy {
    RetryPolicy {
        attempts: 1,
        ..RetryPolicy::default()
    }
}

/// A source that does something when so many large blobs were opened.
#[derive(Debug)]
struct Counting {
    inner: Memory,
    left: Mutex<usize>,
    victim: Mutex<Option<Registry>>,
}

impl Source for Counting {
    fn name(&self) -> String {
        self.inner.name()
    }
    fn roots(&self) -> &[Root] {
        self.inner.roots()
    }
    fn annotations(&self) -> &Annotations {
        self.inner.annotations()
    }
    fn digest(&self) -> Digest {
        self.inner.digest()
    }
    fn has(&self, digest: &Digest) -> Result<bool> {
        self.inner.has(digest)
    }
    fn open(&self, digest: &Digest) -> Result<Option<Opened>> {
        let opened = self.inner.open(digest)?;
        if opened.as_ref().is_some_and(|(size, _)| *size > 50_000) {
            let mut left = self.left.lock().unwrap();
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.victim.lock().unwrap().take();
            }
        }
        Ok(opened)
    }
}

#[test]
fn a_registry_that_is_killed_gets_the_rest_next_time() {
    let machine = Machine::new(RegistryKind::Distribution);
    prepare(&machine.config, &machine.places, &BTreeSet::new()).unwrap();
    let port = push_port(&machine.config);
    let mut memory = Memory::default();
    for n in 0..6_u8 {
        let image = memory.image(&[&vec![n; 100_000]]);
        memory.root(&format!("r.example/a{n}:1"), &image);
    }
    let counting = Counting {
        inner: memory,
        left: Mutex::new(3),
        victim: Mutex::new(Some(machine.start(&debians(), "push.json", port))),
    };
    let source: Arc<dyn Source> = Arc::new(counting);
    let mut client = registries(&machine.config, &machine.places);
    client.retry = once();
    let options = Options {
        to: format!("127.0.0.1:{port}"),
        registries: client,
        threads: NonZeroUsize::MIN,
    };
    let error = push::push(&source, &options, &Progress::silent()).unwrap_err();
    let text = error.to_string().replace(&port.to_string(), "PORT");
    assert_snapshot!(text, @"127.0.0.1:PORT/r.example/a2:1 can't be pushed");
    let _registry = machine.start(&debians(), "push.json", port);
    let report = push::push(&source, &options, &Progress::silent()).unwrap();
    assert_eq!(report.images.len(), 6);
    let there = report
        .images
        .iter()
        .filter(|image| image.uploaded.blobs == 0)
        .count();
    assert!((1..6).contains(&there), "{there}");
    let storage = distribution::Storage::new(&machine.places.storage());
    let verified = verify(&storage, &Progress::silent());
    assert_eq!(verified.unwrap().damage, []);
}

#[test]
fn a_push_without_credentials_is_refused() {
    let machine = Machine::new(RegistryKind::Distribution);
    prepare(&machine.config, &machine.places, &BTreeSet::new()).unwrap();
    let port = push_port(&machine.config);
    let _registry = machine.start(&debians(), "push.json", port);
    let mut client = registries(&machine.config, &machine.places);
    client.credential_files.clear();
    let options = Options {
        to: format!("127.0.0.1:{port}"),
        registries: client,
        threads: TWO,
    };
    let source: Arc<dyn Source> = Arc::new(whole_bundle());
    let error = push::push(&source, &options, &Progress::silent()).unwrap_err();
    let mut text = error.to_string();
    for cause in error.chain().skip(1) {
        text.push_str(&format!("\n{cause}"));
    }
    assert_snapshot!(text.replace(&port.to_string(), "PORT"), @r#"
    127.0.0.1:PORT/docker.io/calico/node:v3.29.2 can't be pushed
    https://127.0.0.1:PORT/v2/docker.io/calico/node/manifests/v3.29.2: access denied (there are no credentials for it)
    "#);
    let storage = distribution::Storage::new(&machine.places.storage());
    assert_eq!(list(&storage).unwrap().images, []);
}
