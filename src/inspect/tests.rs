//! Reports on artifacts, sound and damaged.

use std::path::PathBuf;

use insta::assert_snapshot;
use tempfile::TempDir;

use super::*;
use isoforge_base::digest::Digest;
use isoforge_base::output::OutputDir;
use isoforge_contract::manifest::{
    Appliance, Architecture, Component, ComponentKind, Epoch, EpochSource, Manifest, SCHEMA,
    Squashfs, Tool,
};
use isoforge_oci::layer::{Layer, LayerCompression};
use isoforge_oci::layout::{Builder, blob_path};
use isoforge_oci::platform::Platform as PlatformName;
use isoforge_oci::store::Store;
use isoforge_system::provider;

mod strangers;

const EPOCH: u32 = 1_700_000_000;

fn squashfs(bytes: &[u8]) -> Squashfs {
    Squashfs {
        digest: Digest::of(bytes),
        size: bytes.len() as u64,
        compression: "zstd:9".parse().unwrap(),
        block_size: 262_144,
        epoch: EPOCH,
    }
}

fn manifest() -> Manifest {
    let component = |kind, name: &str, version: &str, source: &str| Component {
        kind,
        name: name.into(),
        version: version.into(),
        source: source.into(),
    };
    let architecture = Architecture {
        squashfs: Some(squashfs(b"squashfs")),
        components: vec![
            component(ComponentKind::Os, "debian", "13", "etc/os-release"),
            component(
                ComponentKind::Kernel,
                "linux",
                "6.12.48-amd64",
                "lib/modules",
            ),
            component(ComponentKind::Kubernetes, "containerd", "1.7.24", "dpkg"),
        ],
        ..Architecture::default()
    };
    Manifest {
        schema: SCHEMA,
        tool: Tool {
            name: "isoforge".into(),
            version: "1.2.3".into(),
        },
        appliance: Appliance {
            name: "demo".into(),
            version: "1.0.0".into(),
        },
        profile: Digest::of(b"profile"),
        epoch: Epoch {
            seconds: EPOCH,
            source: EpochSource::Bootstrap,
        },
        hardening: None,
        architectures: [("amd64".to_owned(), architecture)].into(),
        outputs: [].into(),
    }
}

fn look(path: &Path) -> Report {
    inspect(path, &Progress::silent()).unwrap()
}

/// The report without digits that depend on the program's version.
fn shown(report: &Report) -> String {
    report
        .to_string()
        .replace(env!("CARGO_PKG_VERSION"), "<version>")
}

fn dist(base: &Path) -> PathBuf {
    let mut out = OutputDir::prepare(base, "demo", "1.0.0").unwrap();
    let mut manifest = manifest();
    let iso = out.put("demo.iso", b"an image").unwrap();
    let checksum = out.put_checksum(&iso).unwrap();
    manifest.add_output(&iso);
    manifest.add_output(&checksum);
    out.put("manifest.json", &manifest.to_json().unwrap())
        .unwrap();
    let path = out.path().to_path_buf();
    out.commit().unwrap();
    path
}

#[test]
fn a_sound_output_directory() {
    let base = tempfile::tempdir().unwrap();
    let report = look(&dist(base.path()));
    assert_eq!(report.problems(), &[] as &[String]);
    assert_snapshot!(shown(&report), @r"
    appliance    demo 1.0.0
    for          amd64
    made by      isoforge 1.2.3
    time         2023-11-14T22:13:20Z (Release file of the bootstrap's suite)
    profile      sha256:1900eab6c028483d7126599ee6f50de0d27907b5c65fa90524580b4b0f9852b0

    components
      os          debian      13             etc/os-release
      kernel      linux       6.12.48-amd64  lib/modules
      kubernetes  containerd  1.7.24         dpkg

    outputs
      ok     demo.iso  8 B
      ok     demo.iso.sha256  75 B

    all digests hold
    ");
}

#[test]
fn a_damaged_output_directory() {
    let base = tempfile::tempdir().unwrap();
    let path = dist(base.path());
    fs_err::write(path.join("demo.iso"), b"an imagE").unwrap();
    fs_err::write(
        path.join("demo.iso.sha256"),
        format!("{}  other.iso\n", "0".repeat(64)),
    )
    .unwrap();
    let problems = look(&path).problems().join("\n");
    assert_eq!(problems.lines().count(), 3, "{problems}");
    assert!(
        problems.contains("demo.iso: has digest sha256:"),
        "{problems}"
    );
    assert!(problems.contains("no checksum of demo.iso"), "{problems}");

    fs_err::write(
        path.join("demo.iso.sha256"),
        format!("{}  demo.iso\n", "0".repeat(64)),
    )
    .unwrap();
    let problems = look(&path).problems().join("\n");
    assert!(
        problems.contains("demo.iso.sha256: it says sha256:000"),
        "{problems}"
    );

    fs_err::remove_file(path.join("demo.iso")).unwrap();
    let report = look(&path);
    assert!(
        shown(&report).contains("WRONG  demo.iso  missing"),
        "{report}"
    );
}

#[test]
fn a_manifest_cannot_lead_out_of_the_directory() {
    let base = tempfile::tempdir().unwrap();
    let path = dist(base.path());
    let text = fs_err::read_to_string(path.join("manifest.json")).unwrap();
    let text = text.replace("\"demo.iso\"", "\"../../etc/passwd\"");
    fs_err::write(path.join("manifest.json"), text).unwrap();
    let problems = look(&path).problems().join("\n");
    assert!(
        problems.contains("'../../etc/passwd' can't be the name"),
        "{problems}"
    );
}

struct Layout {
    dir: TempDir,
    store: Store,
    image: provider::Image,
}

fn provider_image() -> Layout {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(2);
    tar.append_data(&mut header, "a", &b"hi"[..]).unwrap();
    let tar = tar.into_inner().unwrap();
    let layer = Layer {
        digest: store.put_blob(&tar).unwrap(),
        size: tar.len() as u64,
        compression: LayerCompression::Plain,
        diff_id: Digest::of(&tar),
    };
    let platform = |architecture: &str| provider::Platform {
        platform: PlatformName::linux(architecture),
        base: None,
        layers: vec![isoforge_system::merged::BuiltLayer {
            layer: layer.clone(),
            purpose: "os".into(),
        }],
        squashfs: squashfs(architecture.as_bytes()),
    };
    let spec = provider::Spec {
        description: provider::Description {
            name: "demo".into(),
            version: "1.0.0".into(),
            os_distribution: "debian".into(),
            os_version: "13".into(),
            kubernetes_distribution: "debian".into(),
            kubernetes_version: "1.32.3".into(),
            kubernetes_found: None,
        },
        epoch: EPOCH,
        compression: LayerCompression::Gzip,
        platforms: vec![platform("amd64"), platform("arm64")],
    };
    let image = provider::build(&store, &spec, &Progress::silent()).unwrap();
    Layout { dir, store, image }
}

impl Layout {
    fn write(&self) -> (PathBuf, PathBuf) {
        let layout = provider::layout(std::slice::from_ref(&self.image), None);
        let (dir, archive) = (self.dir.path().join("oci"), self.dir.path().join("oci.tar"));
        layout.write_dir(&self.store, &dir).unwrap();
        let file = std::fs::File::create(&archive).unwrap();
        layout
            .write_tar(&self.store, file, u64::from(EPOCH))
            .unwrap();
        (dir, archive)
    }
}

#[test]
fn a_provider_image_as_directory_and_as_archive() {
    let (dir, archive) = provider_image().write_kept();
    let report = look(&dir.path);
    assert_eq!(report.problems(), &[] as &[String]);
    assert_eq!(look(&archive.path), report);
    let tar = fs_err::read(&archive.path).unwrap();
    let compressed = archive.path.with_extension("tar.zst");
    fs_err::write(&compressed, zstd::encode_all(tar.as_slice(), 3).unwrap()).unwrap();
    assert_eq!(look(&compressed), report);
    let Report::Image(image) = &report else {
        panic!("{report:?}");
    };
    let platforms: Vec<&str> = image.images[0]
        .platforms
        .iter()
        .map(|platform| &*platform.platform)
        .collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
    let mut text = shown(&report);
    // These digests depend on the program's version.
    for (digest, name) in platforms_and_index(image) {
        text = text.replace(&digest.hex(), &name);
    }
    assert_snapshot!(text, @r"
    OCI images   1
    blobs        6, 4.9 KiB (5024 B)

    debian-1.32.3-1.0.0
      sha256:<index>
      linux/amd64
        manifest sha256:<linux/amd64>
        created  2023-11-14T22:13:20Z
        layer    sha256:a4925a663b9536ba798b62779bace00325db049c9ca4c3cdae30ab2283711a16 gzip 66 B
        labels
          io.isoforge.kubernetes.distribution = debian
          io.isoforge.kubernetes.version = 1.32.3
          io.isoforge.os.distribution = debian
          io.isoforge.os.version = 13
          io.isoforge.squashfs.block-size = 262144
          io.isoforge.squashfs.compression = zstd:9
          io.isoforge.squashfs.digest = sha256:5861314d7fccb39c2192173240eab44fa35ca66426201ca2acd0630a6258dd51
          io.isoforge.squashfs.epoch = 1700000000
          io.isoforge.squashfs.size = 5
          io.isoforge.version = <version>
          org.opencontainers.image.created = 2023-11-14T22:13:20Z
          org.opencontainers.image.description = debian 13 with debian 1.32.3
          org.opencontainers.image.title = demo
          org.opencontainers.image.version = 1.0.0
      linux/arm64
        manifest sha256:<linux/arm64>
        created  2023-11-14T22:13:20Z
        layer    sha256:a4925a663b9536ba798b62779bace00325db049c9ca4c3cdae30ab2283711a16 gzip 66 B
        labels
          io.isoforge.kubernetes.distribution = debian
          io.isoforge.kubernetes.version = 1.32.3
          io.isoforge.os.distribution = debian
          io.isoforge.os.version = 13
          io.isoforge.squashfs.block-size = 262144
          io.isoforge.squashfs.compression = zstd:9
          io.isoforge.squashfs.digest = sha256:f69162950f235e3cdbbad33f1f912d1a504be90d8a37d002c735d6f3e3882265
          io.isoforge.squashfs.epoch = 1700000000
          io.isoforge.squashfs.size = 5
          io.isoforge.version = <version>
          org.opencontainers.image.created = 2023-11-14T22:13:20Z
          org.opencontainers.image.description = debian 13 with debian 1.32.3
          org.opencontainers.image.title = demo
          org.opencontainers.image.version = 1.0.0

    all digests hold
    ");
}

/// Digests of an image's index and manifests, with names for them.
fn platforms_and_index(report: &ImageReport) -> Vec<(Digest, String)> {
    let image = &report.images[0];
    let platforms = image.platforms.iter();
    platforms
        .map(|platform| (platform.manifest, format!("<{}>", platform.platform)))
        .chain([(image.digest, "<index>".to_owned())])
        .collect()
}

/// A path with the folder that it lies in, so that this lives as long.
struct Kept {
    path: PathBuf,
    _dir: std::rc::Rc<TempDir>,
}

impl Layout {
    fn write_kept(self) -> (Kept, Kept) {
        let (dir, archive) = self.write();
        let folder = std::rc::Rc::new(self.dir);
        let keep = |path| Kept {
            path,
            _dir: std::rc::Rc::clone(&folder),
        };
        (keep(dir), keep(archive))
    }
}

#[test]
fn damaged_and_missing_blobs_are_told() {
    let layout = provider_image();
    let (dir, _) = layout.write();
    let manifest = layout.image.platforms[&PlatformName::linux("arm64")].manifest;
    let Report::Image(report) = look(&dir) else {
        panic!("no image");
    };
    let layer = report.images[0].platforms[0].layers[0].digest;
    fs_err::write(dir.join(blob_path(&layer)), b"damaged").unwrap();
    fs_err::remove_file(dir.join(blob_path(&manifest))).unwrap();
    let problems = look(&dir).problems().join("\n");
    assert_eq!(problems.lines().count(), 2, "{problems}");
    assert!(
        problems.contains(&format!("{layer}: the blob's digest is")),
        "{problems}"
    );
    assert!(
        problems.contains(&format!("{manifest}: the blob is missing")),
        "{problems}"
    );
}

/// An ISO as another program writes it.
#[allow(clippy::disallowed_methods)]
fn iso(base: &Path, files: &[(&str, &[u8])]) -> PathBuf {
    let tree = base.join("tree");
    for (path, bytes) in files {
        let path = tree.join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, bytes).unwrap();
    }
    let iso = base.join("demo.iso");
    let output = std::process::Command::new("xorriso")
        .args([
            "-as", "mkisofs", "-quiet", "-R", "-J", "-V", "COS_LIVE", "-o",
        ])
        .args([&iso, &tree])
        .output()
        .expect("xorriso is needed; install the Debian package xorriso");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    iso
}

/// Files of a content layout, below `isoforge/content`.
fn content() -> Vec<(String, Vec<u8>)> {
    use isoforge_oci::layout::LayoutFile;
    use isoforge_oci::manifest::Descriptor;
    use isoforge_oci::media::{Family, MediaType};
    let mut builder = Builder::new();
    let digest = builder.bytes(b"{}".to_vec());
    let descriptor = Descriptor::new(MediaType::Manifest(Family::Oci), digest, 2);
    builder.reference("quay.io/calico/node:v3.29.2", descriptor);
    let files = builder.build().files.into_iter();
    files
        .map(|(path, file)| match file {
            LayoutFile::Bytes(bytes) => (format!("isoforge/content/{path}"), bytes),
            LayoutFile::Blob(..) | LayoutFile::File(..) => {
                panic!("all blobs are given by their bytes")
            }
        })
        .collect()
}

fn iso_with(base: &Path, marker: &str, squashfs: &[u8], spoil_blob: bool) -> Report {
    let text = manifest().embedded("amd64").to_json().unwrap();
    let marker = format!(
        "isoforge/id/{}",
        if marker.is_empty() {
            Digest::of(&text).hex()
        } else {
            marker.to_owned()
        }
    );
    let mut content = content();
    if spoil_blob {
        for (path, bytes) in &mut content {
            if path.contains("/blobs/") {
                bytes.push(b' ');
            }
        }
    }
    let mut files: Vec<(&str, &[u8])> = vec![
        ("isoforge/manifest.json", &text),
        (&marker, b""),
        ("rootfs.squashfs", squashfs),
    ];
    files.extend(content.iter().map(|(path, bytes)| (&**path, &**bytes)));
    look(&iso(base, &files))
}

#[test]
fn a_sound_iso() {
    let base = tempfile::tempdir().unwrap();
    let report = iso_with(base.path(), "", b"squashfs", false);
    assert_eq!(report.problems(), &[] as &[String]);
    // The size is xorriso's business.
    let text = shown(&report);
    let text: Vec<&str> = text.lines().filter(|l| !l.starts_with("size")).collect();
    assert_snapshot!(text.join("\n"), @r"
    ISO image    COS_LIVE
    names        ISO 9660, Rock Ridge, Joliet
    boot         no entry
    appliance    demo 1.0.0
    for          amd64
    made by      isoforge 1.2.3
    time         2023-11-14T22:13:20Z (Release file of the bootstrap's suite)
    profile      sha256:1900eab6c028483d7126599ee6f50de0d27907b5c65fa90524580b4b0f9852b0
    root         8 B
                 sha256:5cce3f70c6cb9f62ab53e322fa3975d02128080e1341e41de3a8dd3712cf1607

    components
      os          debian      13             etc/os-release
      kernel      linux       6.12.48-amd64  lib/modules
      kubernetes  containerd  1.7.24         dpkg

    content, 2 B
      quay.io/calico/node:v3.29.2 sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a

    all digests hold
    ");
}

#[test]
fn an_iso_whose_parts_were_exchanged() {
    let base = tempfile::tempdir().unwrap();
    let report = iso_with(base.path(), "0123", b"squashFS", true);
    let problems = report.problems().join("\n");
    assert_eq!(problems.lines().count(), 3, "{problems}");
    assert!(
        problems.contains("isoforge/id: has 0123, not"),
        "{problems}"
    );
    assert!(
        problems.contains("rootfs.squashfs: has digest"),
        "{problems}"
    );
    assert!(problems.contains("isoforge/content: blob"), "{problems}");
    assert!(shown(&report).contains("\nproblems\n"));
}

#[test]
fn an_iso_of_another_maker_is_no_problem() {
    let base = tempfile::tempdir().unwrap();
    let report = look(&iso(base.path(), &[("boot/kernel", b"x")]));
    assert_eq!(report.problems(), &[] as &[String]);
    assert!(shown(&report).contains("no isoforge manifest"));
}

/// A SquashFS as another program writes it.
#[allow(clippy::disallowed_methods)]
fn foreign_squashfs(base: &Path, compressor: &str) -> Vec<u8> {
    let root = base.join("root");
    for (path, text) in [
        ("usr/lib/os-release", "ID=ubuntu\nVERSION_ID=\"22.04\"\n"),
        ("usr/lib/modules/5.15.0-100-generic/modules.dep", ""),
        (
            "var/lib/dpkg/status",
            "Package: kubelet\nStatus: install ok installed\nVersion: 1.32.3-1.1\n",
        ),
    ] {
        let path = root.join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }
    fs_err::create_dir(root.join("etc")).unwrap();
    fs_err::os::unix::fs::symlink("../usr/lib/os-release", root.join("etc/os-release")).unwrap();
    fs_err::os::unix::fs::symlink("usr/lib", root.join("lib")).unwrap();
    let image = base.join("foreign.squashfs");
    let output = std::process::Command::new("mksquashfs")
        .args([&root, &image])
        .args(["-quiet", "-no-progress", "-comp", compressor])
        .output()
        .expect("mksquashfs is needed; install the Debian package squashfs-tools");
    assert!(output.status.success(), "{output:?}");
    fs_err::read(image).unwrap()
}

#[test]
fn components_of_a_foreign_iso_are_read_from_its_squashfs() {
    let base = tempfile::tempdir().unwrap();
    let squashfs = foreign_squashfs(base.path(), "gzip");
    let report = look(&iso(base.path(), &[("rootfs.squashfs", &squashfs)]));
    let text = shown(&report);
    let (_, text) = text.split_once("\ncomponents\n").unwrap();
    assert_snapshot!(text, @r"
      os          ubuntu   22.04               etc/os-release
      kernel      linux    5.15.0-100-generic  lib/modules
      kubernetes  kubelet  1.32.3-1.1          dpkg

    no digest says what it should hold: nothing was checked
    ");

    let base = tempfile::tempdir().unwrap();
    let squashfs = foreign_squashfs(base.path(), "lzo");
    let report = look(&iso(base.path(), &[("rootfs.squashfs", &squashfs)]));
    assert_eq!(report.problems(), &[] as &[String]);
    assert!(
        shown(&report).contains("note: rootfs.squashfs does not tell its components"),
        "{report}"
    );
}
