//! What can go wrong in making a system of layers, and artifacts of a system.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;

use isoforge_base::error::{Cause, Class, Diagnose, Failure, is_full};
use isoforge_base::{process, tree};

/// Why a system, or an artifact of it, can't be made. Paths are those of the
/// image or overlay, without a leading slash.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What nobody tells apart, with its own text, class and hint.
    #[error(transparent)]
    Other(#[from] Cause),
    /// An archive, SquashFS, ISO, partition table or file system.
    #[error(transparent)]
    Format(#[from] isoforge_formats::Error),
    /// A layer is damaged, unsafe or too large.
    #[error("layer {layer}: {source}")]
    Layer {
        /// Digest or name of the layer.
        layer: String,
        /// What is wrong.
        source: Box<Self>,
    },
    /// A layer is not what its image says, or the store could not give or keep something.
    #[error(transparent)]
    Oci(#[from] isoforge_oci::Error),
    /// Reading or writing a file failed.
    #[error("{doing}")]
    Io {
        /// What was being done, and to which file.
        doing: Cow<'static, str>,
        /// What the system said.
        source: io::Error,
    },
    /// Something can't be put where a layer or an overlay has it.
    #[error("{problem}")]
    Tree {
        /// [`Class::Verification`] in a layer that was read.
        class: Class,
        /// What is wrong, with the path.
        problem: String,
        /// What the tree said.
        source: tree::Error,
    },
    /// Writing a slab's header, index or trailer failed.
    #[error("writing a slab failed")]
    SlabWrite {
        /// What writing gave.
        source: io::Error,
    },
    /// A slab's index can't be turned into bytes.
    #[error("a slab's index can't be written")]
    SlabEncode {
        /// Why not.
        source: postcard::Error,
    },
    /// A slab is no whole one of this version; making it anew helps.
    #[error("'{}' is no whole slab: {reason}", path.display())]
    SlabDamaged {
        /// The slab.
        path: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
    /// A pattern of what to take out of layers matches no path.
    #[error("'{pattern}' matches no path in {from}")]
    NoMatch {
        /// The pattern.
        pattern: String,
        /// What the layers are of.
        from: String,
    },
    /// An initrd can't be looked into.
    #[error("the initrd {path} can't be read")]
    Initrd {
        /// Its path in the image.
        path: String,
        /// What is wrong.
        source: isoforge_formats::Error,
    },
    /// grub-mkimage failed.
    #[error("GRUB's core image for BIOS can't be made")]
    GrubMkimage(#[source] process::Error),
    /// The callback that writes the SquashFS failed.
    #[error("writing the root file system")]
    RootFileSystem {
        /// What it said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Other(failure.into())
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Failure::from(error).into()
    }
}

/// The profile, or what it names, can't be used.
pub(crate) fn unfit(problem: impl Into<String>) -> Failure {
    Failure::new(Class::Profile, problem)
}

impl Error {
    /// What failed in `doing` something to a file.
    pub(crate) fn io(doing: impl Into<Cow<'static, str>>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        |source| Self::Io { doing, source }
    }

    /// Says which layer it was; `layer` is its digest or a name that the user
    /// knows.
    #[must_use]
    pub fn in_layer(self, layer: impl Into<String>) -> Self {
        Self::Layer {
            layer: layer.into(),
            source: Box::new(self),
        }
    }

    /// What handing the data of a layer's `entry` to a sink gave.
    pub(crate) fn of_sink(error: io::Error, entry: &str) -> Self {
        isoforge_formats::Error::from_io(error).map_or_else(
            Self::io(format!("can't keep the data of '{entry}'")),
            Self::Format,
        )
    }

    /// What reading the stream of a layer's archive gave.
    #[must_use]
    pub fn of_stream(error: io::Error) -> Self {
        let read = |source| isoforge_formats::Error::Read { offset: 0, source };
        Self::Format(isoforge_formats::Error::from_io(error).unwrap_or_else(read))
    }

    /// Something can't be put where an overlay, or its manifest, has it.
    pub(crate) fn overlay_tree(overlay: &str, source: tree::Error) -> Self {
        Self::Tree {
            class: Class::Profile,
            problem: format!("overlay '{overlay}': {source}"),
            source,
        }
    }

    /// The error that decides class and hint, where it is not this one.
    fn cause(&self) -> Option<&dyn Diagnose> {
        Some(match self {
            Self::Other(error) => error,
            Self::Format(error) => error,
            Self::Layer { source, .. } => &**source,
            Self::Oci(error) => error,
            _ => return None,
        })
    }
}

impl Diagnose for Error {
    fn class(&self) -> Class {
        if let Some(cause) = self.cause() {
            return cause.class();
        }
        match self {
            Self::Tree { class, .. } => *class,
            Self::Io { source, .. } | Self::SlabWrite { source } => source.class(),
            Self::RootFileSystem { .. } => Class::Io,
            Self::Initrd {
                source: source @ isoforge_formats::Error::Io { .. },
                ..
            } => source.class(),
            Self::SlabDamaged { .. } => Class::Verification,
            // grub-mkimage fails of what it is given: the image's modules.
            Self::GrubMkimage(process::Error::Failed { .. }) => Class::Profile,
            Self::GrubMkimage(error) => error.class(),
            Self::SlabEncode { .. } => Class::Bug,
            _ => Class::Profile,
        }
    }

    fn hint(&self) -> Option<String> {
        if let Some(cause) = self.cause() {
            return cause.hint();
        }
        let hint = match self {
            Self::Io { source, .. } | Self::SlabWrite { source } if source.hint().is_some() => {
                return source.hint();
            }
            Self::SlabWrite { source } if is_full(source) => "free some disk space and build again",
            Self::SlabDamaged { path, .. } => {
                let path = path.display();
                return Some(format!(
                    "remove '{path}' and build again: it is made anew; `isoforge cache verify \
                     --deep --repair` does so with all that are not right"
                ));
            }
            Self::NoMatch { .. } => {
                "patterns are over real paths without a leading slash, as in 'usr/bin/kubelet' or \
                 'opt/cni/**'"
            }
            Self::Initrd { .. } => {
                "make the image's initrd anew, with dracut and compress=\"zstd\""
            }
            Self::GrubMkimage(error) => return error.hint(),
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
