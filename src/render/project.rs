//! Where templates and overlays come from: the project's directory, else the
//! defaults that are compiled in.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::defaults::embedded_files;
use isoforge_base::beneath;
use isoforge_base::error::{Class, Failure, Result};
use isoforge_base::regular;
use isoforge_system::overlay::{EmbeddedFile, Source, below};

/// Where templates lie that others may include.
const INCLUDE_DIR: &str = "templates/include";

/// A project's directory: the one that holds the profile. A file of its own
/// wins over the default of the same path.
#[derive(Debug, Clone)]
pub struct Project {
    root: PathBuf,
}

impl Project {
    /// The project at `root`.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Its directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A file's bytes. `path` is relative to the project or absolute.
    ///
    /// # Errors
    /// It is nowhere, or can't be read.
    pub fn read(&self, path: &str) -> Result<Vec<u8>> {
        self.find(path)?.ok_or_else(|| self.missing(path))
    }

    /// A file's bytes, where it is.
    fn find(&self, path: &str) -> Result<Option<Vec<u8>>> {
        match self.place(path)? {
            Some(place) => {
                let read = regular::read(&place);
                read.map(Some).map_err(|error| unreadable(path, error))
            }
            None => Ok(default_file(path).map(|file| file.bytes.to_vec())),
        }
    }

    /// Where `path` lies on the disk, if it does. What lies in the project stays in it:
    /// a link that leads out is refused, since a project that somebody else made would say
    /// with it what of this machine is read. A path that is itself written as one outside
    /// (`../common`, `/srv`) is taken as it is.
    ///
    /// # Errors
    /// Such a link, and what can't be looked at.
    fn place(&self, path: &str) -> Result<Option<PathBuf>> {
        let full = self.root.join(path);
        let found = match beneath::leads_out(Path::new(path)) {
            true => fs_err::metadata(&full).map(|_| Some(full)),
            false => beneath::resolve(&self.root, Path::new(path)),
        };
        match found {
            Ok(Some(place)) => Ok(Some(place)),
            Ok(None) => Err(leaves(path)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unreadable(path, error)),
        }
    }

    /// That no link in the project leads out of it on the way to one of `paths`, which
    /// are as the profile's: joined to its folder.
    ///
    /// # Errors
    /// One does, or can't be looked at.
    pub fn holds<'a>(&self, paths: impl IntoIterator<Item = &'a Path>) -> Result<()> {
        for path in paths {
            self.place(&self.path_of(path))?;
        }
        Ok(())
    }

    /// A text file's content.
    ///
    /// # Errors
    /// It is no text, and those of [`read`](Self::read).
    pub fn read_text(&self, path: &str) -> Result<String> {
        String::from_utf8(self.read(path)?).map_err(|error| {
            let offset = error.utf8_error().valid_up_to();
            let message = format!("'{path}' is not UTF-8 text (first at byte {offset})");
            Failure::new(Class::Profile, message)
        })
    }

    /// Whether `path` is one of the defaults because the project has nothing
    /// there.
    ///
    /// # Errors
    /// That can't be told.
    pub fn is_built_in(&self, path: &str) -> io::Result<bool> {
        Ok(!fs_err::exists(self.root.join(path))?)
    }

    /// `path` as the other functions take it: relative to the project where it lies
    /// in it, so that the defaults can stand in for what is missing. Others, which
    /// start from the current directory where `--set` names them, become absolute.
    #[must_use]
    pub fn path_of(&self, path: &Path) -> String {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let full = absolute(path);
        let inside = path
            .strip_prefix(&self.root)
            .or_else(|_| full.strip_prefix(absolute(&self.root)));
        inside.unwrap_or(&full).to_string_lossy().into_owned()
    }

    /// Paths of the templates that others may include, sorted.
    ///
    /// # Errors
    /// They can't be listed.
    pub fn includes(&self) -> Result<Vec<String>> {
        let mut paths = self.list(INCLUDE_DIR)?;
        paths.retain(|path| path.ends_with(super::TEMPLATE_SUFFIX));
        Ok(paths)
    }

    /// The project's overlay `dir` on disk, where it has one; otherwise the
    /// defaults below it. Either is used alone, they are not mixed: a project's
    /// overlay must not get the manifest of the default.
    ///
    /// # Errors
    /// Neither exists, or it can't be read.
    pub fn overlay(&self, dir: &str) -> Result<Source> {
        let dir = dir.trim_end_matches('/');
        let manifest = format!("{dir}.toml");
        if let Some(place) = self.place(dir)? {
            self.place(&manifest)?;
            return match place.is_dir() {
                true => Ok(Source::Disk(self.root.join(dir))),
                false => Err(unreadable(dir, io::ErrorKind::NotADirectory.into())),
            };
        }
        let files = defaults_below(dir);
        if files.is_empty() {
            return Err(self.missing(dir));
        }
        let manifest = self.find(&manifest)?.unwrap_or_default();
        Ok(Source::Embedded { files, manifest })
    }

    /// Paths of the files below `dir`, the project's and the defaults, sorted;
    /// none where `dir` does not exist.
    fn list(&self, dir: &str) -> Result<Vec<String>> {
        let mut paths: Vec<String> = defaults_below(dir)
            .keys()
            .map(|name| format!("{dir}/{name}"))
            .collect();
        self.place(dir)?;
        for entry in walkdir::WalkDir::new(self.root.join(dir)).sort_by_file_name() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(e) if e.io_error().map(io::Error::kind) == Some(io::ErrorKind::NotFound) => {
                    continue;
                }
                Err(error) => return Err(unreadable(dir, error.into())),
            };
            if entry.file_type().is_dir() {
                continue;
            }
            if let Some(path) = entry
                .path()
                .strip_prefix(&self.root)
                .ok()
                .and_then(Path::to_str)
            {
                paths.push(path.to_owned());
            }
        }
        paths.sort();
        paths.dedup();
        Ok(paths)
    }

    /// The profile names a file that exists neither here nor among the defaults. The
    /// project of a profile named without a directory is the current one.
    fn missing(&self, path: &str) -> Failure {
        let project = self.root.display().to_string();
        let folder = match project.as_str() {
            "" => "the current directory".to_owned(),
            project => format!("'{project}'"),
        };
        let message = format!("'{path}' does not exist in {folder}");
        Failure::new(Class::Profile, message).with_hint(
            "paths are relative to the profile; `isoforge init` writes the default templates and \
             overlays",
        )
    }
}

/// A link of the project leads out of it.
fn leaves(path: &str) -> Failure {
    let message = format!("'{path}' is reached through a link that leads out of the project");
    Failure::new(Class::Profile, message).with_hint(
        "put a copy of it into the project, or name the other place in the profile itself; \
         secrets from elsewhere are `{ file = \"PATH\" }`",
    )
}

fn unreadable(path: &str, error: io::Error) -> Failure {
    Failure::from(error).context(format!("can't read '{path}'"))
}

/// `./a//b/` and `a/b` name the same default.
fn relative(path: &str) -> Option<String> {
    let names: Option<Vec<&str>> = Path::new(path)
        .components()
        .filter(|c| !matches!(c, Component::CurDir))
        .map(|c| match c {
            Component::Normal(name) => name.to_str(),
            _ => None,
        })
        .collect();
    Some(names?.join("/"))
}

fn default_file(path: &str) -> Option<&'static EmbeddedFile> {
    let path = relative(path)?;
    embedded_files().iter().find(|file| file.path == path)
}

fn defaults_below(dir: &str) -> BTreeMap<&'static str, &'static EmbeddedFile> {
    let Some(dir) = relative(dir) else {
        return BTreeMap::new();
    };
    below(embedded_files(), &dir)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::{Context, Engine, Secret, Secrets};
    use isoforge_system::overlay::{self, OverlayLayer};

    const CLOUD_CONFIG: &str = "templates/cloud-config.yaml.tera";

    #[test]
    fn the_projects_file_wins_over_the_default() {
        let dir = tempfile::tempdir().unwrap();
        let project = Project::new(dir.path());
        let default = project.read_text(&format!("./{CLOUD_CONFIG}")).unwrap();
        assert!(default.starts_with("#cloud-config"));
        fs_err::create_dir(dir.path().join("templates")).unwrap();
        fs_err::write(dir.path().join(CLOUD_CONFIG), "mine").unwrap();
        assert_eq!(project.read_text(CLOUD_CONFIG).unwrap(), "mine");
    }

    #[test]
    fn a_missing_file_is_named_with_the_project() {
        let dir = tempfile::tempdir().unwrap();
        let project = Project::new(dir.path());
        for error in [
            project.read("templates/nope.tera").unwrap_err(),
            project.overlay("overlays/nope").map(|_| ()).unwrap_err(),
        ] {
            assert_eq!(error.class(), Class::Profile);
            assert!(error.to_string().contains("nope"), "{error}");
            assert!(
                error.to_string().contains(dir.path().to_str().unwrap()),
                "{error}"
            );
            assert!(error.hint().unwrap().contains("isoforge init"));
        }
    }

    fn load(project: &Project, dir: &str) -> OverlayLayer {
        let context = serde_json::json!({"appliance": {"name": "edge", "version": "1.0"}});
        let context = Context::new(&context).unwrap();
        let engine = Engine::new(project).unwrap();
        let source = project.overlay(dir).unwrap();
        overlay::load(&source, dir, &engine.filling(&context), 0).unwrap()
    }

    #[test]
    fn a_projects_overlay_does_not_get_the_defaults_manifest() {
        let dir = tempfile::tempdir().unwrap();
        let project = Project::new(dir.path());
        let etc = |overlay: &OverlayLayer| overlay.tree.get(b"etc/machine-id").is_some();
        assert!(etc(&load(&project, "overlays/base")));
        fs_err::create_dir_all(dir.path().join("overlays/base")).unwrap();
        let own = load(&project, "overlays/base");
        assert_eq!(own.tree.walk().count(), 1);
    }

    #[test]
    fn a_copy_of_a_default_has_its_digest() {
        let dir = tempfile::tempdir().unwrap();
        let project = Project::new(dir.path());
        let digest = || {
            let source = project.overlay("overlays/base").unwrap();
            overlay::digest(&source, "overlays/base").unwrap()
        };
        let default = digest();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for entry in walkdir::WalkDir::new(root.join("overlays")).min_depth(1) {
            let entry = entry.unwrap();
            let to = dir.path().join(entry.path().strip_prefix(root).unwrap());
            fs_err::create_dir_all(to.parent().unwrap()).unwrap();
            if entry.file_type().is_file() {
                fs_err::copy(entry.path(), to).unwrap();
            }
        }
        assert!(!project.is_built_in("overlays/base").unwrap());
        assert_eq!(digest(), default);
    }

    #[test]
    fn templates_of_an_overlay_are_rendered_and_secrets_in_them_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let iso = load(&Project::new(dir.path()), "overlays/iso");
        let text = iso
            .texts()
            .find(|(path, _)| path == "README.txt")
            .unwrap()
            .1;
        assert!(text.starts_with("edge 1.0\n"), "{text}");
        let secrets = Secrets::new([Secret {
            name: "vars.x".to_owned(),
            value: "edge 1.0".to_owned(),
        }]);
        let warnings = secrets.in_overlay(&iso, "the ISO");
        assert_eq!(
            warnings,
            ["the secret 'vars.x' can be read in /README.txt of the ISO by anyone who has it"]
        );
    }

    #[test]
    fn links_of_the_project_lead_nowhere_else() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let (root, outside) = (dir.path().join("project"), dir.path().join("outside"));
        fs_err::create_dir_all(root.join("templates/include")).unwrap();
        fs_err::create_dir_all(root.join("overlays/own")).unwrap();
        fs_err::create_dir_all(outside.join("pack")).unwrap();
        fs_err::write(outside.join("secret"), "s3cret-value").unwrap();
        let project = Project::new(&root);
        let link = |to: &str, at: &str| symlink(outside.join(to), root.join(at)).unwrap();
        let refused = |outcome: Result<()>, path: &str| {
            let error = outcome.unwrap_err();
            assert_eq!(error.class(), Class::Profile);
            let expected =
                format!("'{path}' is reached through a link that leads out of the project");
            assert_eq!(error.to_string(), expected);
            assert!(error.hint().unwrap().contains("into the project"));
        };
        link("secret", "templates/include/x.tera");
        refused(
            Engine::new(&project).map(|_| ()),
            "templates/include/x.tera",
        );
        link("secret", "user-data");
        refused(project.read("user-data").map(|_| ()), "user-data");
        link("secret", "overlays/own.toml");
        refused(
            project.overlay("overlays/own/").map(|_| ()),
            "overlays/own.toml",
        );
        link("pack", "linked");
        refused(project.overlay("linked").map(|_| ()), "linked");
        refused(project.holds([root.join("linked").as_path()]), "linked");
        // Within the project links lead where they like, and what the profile itself
        // names elsewhere is meant.
        fs_err::write(root.join("own"), "own").unwrap();
        symlink(root.join("own"), root.join("again")).unwrap();
        assert_eq!(project.read("again").unwrap(), b"own");
        for path in [
            "../outside/secret".to_owned(),
            outside.join("secret").display().to_string(),
        ] {
            assert_eq!(project.read(&path).unwrap(), b"s3cret-value");
        }
        project
            .holds([outside.join("pack").as_path(), &root.join("missing")])
            .unwrap();
    }

    #[test]
    fn text_that_is_no_utf8_is_an_error_with_the_byte() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::write(dir.path().join("x"), b"ab\xff").unwrap();
        let error = Project::new(dir.path()).read_text("x").unwrap_err();
        assert_eq!(error.to_string(), "'x' is not UTF-8 text (first at byte 2)");
    }
}
