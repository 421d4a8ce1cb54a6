//! Small images of a static program, made by umoci, in a registry on loopback under
//! the names that the appliance asks for.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::install::systems::noise;
use crate::registry::Registry;
use crate::sh;

/// Where the program lies in an image.
pub(super) const PROGRAM: &str = "/bin/tool";

/// Size of the layers of a large image.
const LARGE_LAYER_BYTES: usize = 32 << 20;

/// Images in a registry.
pub(super) struct Images {
    registry: Registry,
    layout: PathBuf,
}

impl Images {
    /// Starts the registry, empty, with its data in `folder`.
    pub(super) fn start(folder: &Path) -> Result<Self> {
        let this = Self {
            registry: Registry::start(folder)?,
            layout: folder.join("layout"),
        };
        let mut init = sh::command(["umoci", "init", "--layout"]);
        sh::output(init.arg(&this.layout))?;
        Ok(this)
    }

    /// The registry's address.
    pub(super) fn address(&self) -> String {
        format!("localhost:{}", self.registry.port)
    }

    /// The mirror of an upstream host, for a profile.
    pub(super) fn mirror(&self, host: &str) -> String {
        format!("localhost:{}/{host}", self.registry.port)
    }

    /// Makes and pushes an image: `program` at `path`, and a text that sets it apart.
    pub(super) fn push(&self, reference: &str, program: &Path, path: &str) -> Result<()> {
        self.push_files(reference, &[(program, path)], path)
    }

    /// Makes and pushes an image of so many layers that no compressor makes smaller.
    pub(super) fn push_large(&self, reference: &str, layers: u64) -> Result<()> {
        let folder = self.layout.with_file_name("large");
        std::fs::create_dir_all(&folder)?;
        let mut files = Vec::new();
        for number in 0..layers {
            let file = folder.join(number.to_string());
            std::fs::write(&file, noise(number, LARGE_LAYER_BYTES))?;
            files.push((file, format!("/data/{number}")));
        }
        let files: Vec<_> = files
            .iter()
            .map(|(a, b)| (a.as_path(), b.as_str()))
            .collect();
        self.push_files(reference, &files, "/data")
    }

    fn push_files(&self, reference: &str, files: &[(&Path, &str)], entry: &str) -> Result<()> {
        let (_, tag) = reference.rsplit_once(':').unwrap_or((reference, "latest"));
        let tag = format!("{}-{tag}", reference.replace(['/', ':', '.'], "-"));
        let image = format!("{}:{tag}", self.layout.display());
        let own = self.layout.with_file_name(&tag);
        std::fs::write(&own, format!("{reference}\n"))?;
        let umoci = |words: &[&str]| {
            let mut command = sh::command(["umoci"].iter().chain(words));
            command.env("SOURCE_DATE_EPOCH", "1700000000");
            command
        };
        sh::output(&mut umoci(&["new", "--image", &image]))?;
        for (file, place) in files.iter().chain(&[(own.as_path(), "/etc/image")]) {
            let mut insert = umoci(&["insert", "--rootless", "--no-history", "--image", &image]);
            sh::output(insert.arg(file).arg(place))?;
        }
        let mut config = umoci(&["config", "--no-history", "--image", &image]);
        config.args(["--config.entrypoint", entry]);
        sh::output(config.args(["--created", "2023-11-14T22:13:20Z"]))?;
        let to = format!("docker://localhost:{}/{reference}", self.registry.port);
        let mut copy = sh::command(["skopeo", "copy", "--quiet", "--dest-tls-verify=false"]);
        sh::output(copy.arg(format!("oci:{image}")).arg(to))?;
        Ok(())
    }

    /// The digest of an image's manifest.
    pub(super) fn digest(&self, reference: &str) -> Result<String> {
        let from = format!("docker://localhost:{}/{reference}", self.registry.port);
        let mut inspect = sh::command(["skopeo", "inspect", "--tls-verify=false", "--no-tags"]);
        let text = sh::output(inspect.args(["--format", "{{.Digest}}"]).arg(from))?;
        let digest = text.trim().to_owned();
        ensure!(digest.starts_with("sha256:"), "skopeo says '{digest}'");
        Ok(digest)
    }
}
