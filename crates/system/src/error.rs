//! What can go wrong in making a system of layers, and artifacts of a system.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;

use isoforge_base::digest::Digest;
use isoforge_base::error::{Cause, Class, Diagnose};
use isoforge_base::{process, tree};
use isoforge_contract::arch::Arch;
use isoforge_formats::{fat, gpt, iso9660, squashfs};
use isoforge_oci::{pull, store};

use crate::boot::core_image::{CORE_MAX_BYTES, PACKAGE};
use crate::boot::files::list;
use crate::installer_iso::MAX_EFI_PROGRAM_BYTES;
use crate::layer::InLayer;
use isoforge_formats::cpio::Error as FormatError;

/// Why a system, or an artifact of it, can't be made. Paths are those of the
/// image or overlay, without a leading slash.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A layer is damaged, unsafe or too large.
    #[error(transparent)]
    Layer(#[from] InLayer),
    /// A layer is not what its image says.
    #[error(transparent)]
    Pull(#[from] Box<pull::Error>),
    /// The store could not give or keep something.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Reading or writing a file failed.
    #[error("{doing}")]
    Io {
        /// What was being done, and to which file.
        doing: Cow<'static, str>,
        /// What the system said.
        source: io::Error,
    },
    /// Layers are numbered by 16 bits.
    #[error("the system has more layers than can be numbered")]
    TooManyLayers,

    /// Data can't be packed, or the file system can't hold the tree.
    #[error(transparent)]
    Squashfs(#[from] squashfs::Error),
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
    /// A slab that was just made can't be read again.
    #[error("the slab of {layer}")]
    NewSlab {
        /// The layer's name.
        layer: String,
        /// What reading gave.
        source: Box<Self>,
    },

    /// A pattern of paths is malformed.
    #[error("'{pattern}' is not a path pattern: {problem}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A pattern of what to take out of layers matches no path.
    #[error("'{pattern}' matches no path in {from}")]
    NoMatch {
        /// The pattern.
        pattern: String,
        /// What the layers are of.
        from: String,
    },
    /// What is kept of layers makes no tree.
    #[error("the filtered tree can't be made")]
    FilteredTree(#[source] tree::Error),
    /// What is kept of layers can't be written.
    #[error("the filtered layer can't be written")]
    FilteredLayer(#[source] Box<Self>),
    /// A file's data is shorter or longer than its size.
    #[error(
        "'{path}' was to have {expected} bytes and has {}",
        if actual > expected { "more".to_owned() } else { actual.to_string() }
    )]
    FileSize {
        /// The file.
        path: String,
        /// Its size in the tree.
        expected: u64,
        /// Bytes that came; one more than expected means "more".
        actual: u64,
    },
    /// A tar archive has no sockets.
    #[error("'{path}' is a socket, which a layer can't hold")]
    Socket {
        /// The socket.
        path: String,
    },

    /// A template of an overlay can't be filled in.
    #[error(transparent)]
    Render(#[from] Cause),
    /// A template of an overlay is not UTF-8.
    #[error("'{path}' is not UTF-8 text (first at byte {offset})")]
    NotUtf8 {
        /// The template, with the overlay's path.
        path: String,
        /// The first byte that is none.
        offset: usize,
    },
    /// An overlay has a device, pipe or socket.
    #[error("overlay '{overlay}': '{path}' is {kind}")]
    SpecialFile {
        /// The overlay.
        overlay: String,
        /// The file in it.
        path: String,
        /// What it is, in words.
        kind: &'static str,
    },
    /// A file and a template of an overlay would become the same file.
    #[error("overlay '{overlay}': '{path}' comes both as it is and from '{path}.tera'")]
    Twice {
        /// The overlay.
        overlay: String,
        /// The file in it.
        path: String,
    },
    /// An overlay's manifest is malformed.
    #[error("{manifest}:{line}:{column}: {message}")]
    Manifest {
        /// The manifest's path in the project.
        manifest: String,
        /// Line, counted from 1.
        line: usize,
        /// Column, counted from 1.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// A value in an overlay's manifest is none of its kind.
    #[error("{manifest}: {key} = '{value}' is not {expected}")]
    Value {
        /// The manifest's path in the project.
        manifest: String,
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A path pattern of an overlay's manifest is malformed.
    #[error("{manifest}: {source}")]
    ManifestPattern {
        /// The manifest's path in the project.
        manifest: String,
        /// What is wrong.
        source: Box<Self>,
    },
    /// An overlay's manifest sets attributes on nothing.
    #[error("{manifest}: '{pattern}' matches nothing in the overlay")]
    NoneInOverlay {
        /// The manifest's path in the project.
        manifest: String,
        /// The pattern.
        pattern: String,
    },
    /// Something can't be put where an overlay or its manifest has it.
    #[error("overlay '{overlay}': {source}")]
    OverlayTree {
        /// The overlay.
        overlay: String,
        /// What is wrong.
        source: tree::Error,
    },
    /// A link or directory of an overlay's manifest stands where the overlay has
    /// something else.
    #[error("{manifest}: '{path}' is in the overlay already")]
    Conflict {
        /// The manifest's path in the project.
        manifest: String,
        /// The path.
        path: String,
    },
    /// An overlay has more files than can be counted.
    #[error("overlay '{overlay}' has more than {} files", u32::MAX)]
    TooManyFiles {
        /// The overlay.
        overlay: String,
    },
    /// An overlay can't be written as a layer.
    #[error("writing {name} as a layer")]
    OverlayLayer {
        /// What it is called.
        name: String,
        /// What happened.
        source: Box<Self>,
    },

    /// The image has no kernel.
    #[error("the OS image has no kernel; looked for:{}", list(.looked_at))]
    NoKernel {
        /// Patterns that were tried.
        looked_at: Vec<String>,
    },
    /// The image has a kernel and no initrd for it.
    #[error("the OS image has no initrd for its kernel {kernel}; looked for:{}", list(.looked_at))]
    NoInitrd {
        /// Path of the kernel.
        kernel: String,
        /// Paths that were tried.
        looked_at: Vec<String>,
    },
    /// An initrd can't be looked into.
    #[error("the initrd {path} can't be read")]
    Initrd {
        /// Its path in the image.
        path: String,
        /// What is wrong.
        source: FormatError,
    },
    /// A file that the firmware needs is missing.
    #[error("the OS image has no {what}; looked for:{}", list(.looked_at))]
    NoBootFile {
        /// What is missing.
        what: &'static str,
        /// Packages that have it.
        packages: &'static str,
        /// Patterns that were tried.
        looked_at: Vec<String>,
    },
    /// This architecture knows no BIOS.
    #[error("firmware \"bios\" does not exist on {arch}")]
    NoBios {
        /// The architecture.
        arch: Arch,
    },
    /// An argument of the profile is none that a kernel can be given.
    #[error("[boot] cmdline: '{argument}' can't be a kernel argument: it {why}")]
    KernelArgument {
        /// The argument.
        argument: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The host has no grub-mkimage.
    #[error(
        "the OS image has GRUB's modules for BIOS ({modules}) but no core image made of them, \
         and this machine has neither grub-mkimage nor grub2-mkimage"
    )]
    NoGrubMkimage {
        /// Directory of the modules in the image.
        modules: String,
    },
    /// grub-mkimage failed.
    #[error("GRUB's core image for BIOS can't be made")]
    GrubMkimage(#[source] process::Error),
    /// GRUB's core image is too large to be loaded.
    #[error(
        "GRUB's core image for BIOS has {size} bytes, of which only {CORE_MAX_BYTES} can be loaded"
    )]
    CoreImageTooLarge {
        /// Its size in bytes.
        size: u64,
    },
    /// This machine makes another core image than the lock has.
    #[error(
        "GRUB's core image is {found}, made by {made_by}, but the lock has {locked}, made by \
         {locked_by}"
    )]
    CoreImageDrift {
        /// The digest in the lock.
        locked: Digest,
        /// The program in the lock.
        locked_by: String,
        /// The digest of what was made.
        found: Digest,
        /// The program here.
        made_by: String,
    },

    /// The ISO 9660 file system.
    #[error(transparent)]
    Iso(#[from] iso9660::Error),
    /// The EFI system partition's file system.
    #[error("making the EFI system partition")]
    Fat(#[from] fat::Error),
    /// The ISO's partition table.
    #[error(transparent)]
    Gpt(#[from] gpt::Error),
    /// The callback that writes the SquashFS failed.
    #[error("writing the root file system")]
    RootFileSystem {
        /// What it said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An EFI program that is larger than any.
    #[error("the EFI program '{name}' has {bytes} bytes, more than {MAX_EFI_PROGRAM_BYTES}")]
    EfiProgram {
        /// File name.
        name: String,
        /// Its size.
        bytes: u64,
    },
    /// Neither firmware could start the ISO.
    #[error("an ISO without boot files for BIOS and for UEFI starts nowhere")]
    NoFirmware,
    /// A file of the ISO changed its length with the digest in it.
    #[error("a file of the ISO changed its size with the digest in it: {what}")]
    Moved {
        /// Which.
        what: &'static str,
    },

    /// The base image's configuration can't be built upon.
    #[error("the base image's configuration can't be used: {reason}")]
    BaseConfig {
        /// What is wrong with it.
        reason: String,
    },
    /// Names and versions of the profile that make no tag.
    #[error("'{tag}' can't be the tag of a provider image")]
    BadTag {
        /// The tag that they would make.
        tag: String,
    },
    /// A layer in the store is not what its diffID says.
    #[error("layer {digest} in the store has diffID {found}, not {expected}")]
    DiffId {
        /// The layer's blob.
        digest: Digest,
        /// As recorded.
        expected: Digest,
        /// As it is.
        found: Digest,
    },
    /// The build's time has no date.
    #[error("{seconds} s after 1970 has no date")]
    Time {
        /// The time.
        seconds: u32,
    },
    /// A document of a provider image can't be put into JSON.
    #[error("a document of the provider image can't be written as JSON")]
    Json(#[source] serde_json::Error),
}

// Boxed, so that results stay small.
impl From<pull::Error> for Error {
    fn from(error: pull::Error) -> Self {
        Self::Pull(Box::new(error))
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::other(error)
    }
}

impl Error {
    /// What failed in `doing` something to a file.
    pub(crate) fn io(doing: impl Into<Cow<'static, str>>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        |source| Self::Io { doing, source }
    }

    /// Whether a slab is there but can't be used, so that making it anew helps.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::SlabDamaged { .. })
    }

    /// The error that decides class and hint, where it is not this one.
    fn cause(&self) -> Option<&dyn Diagnose> {
        Some(match self {
            Self::Layer(error) => error,
            Self::Pull(error) => &**error,
            Self::Store(error) => error,
            Self::Squashfs(error) => error,
            Self::NewSlab { source, .. }
            | Self::FilteredLayer(source)
            | Self::ManifestPattern { source, .. }
            | Self::OverlayLayer { source, .. } => &**source,
            Self::Render(error) => error,
            Self::Iso(error) => error,
            Self::Gpt(error) => error,
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
            Self::Io { .. }
            | Self::SlabWrite { .. }
            | Self::FileSize { .. }
            | Self::RootFileSystem { .. }
            | Self::Initrd {
                source: FormatError::Io(_),
                ..
            } => Class::Io,
            Self::SlabDamaged { .. } | Self::DiffId { .. } => Class::Verification,
            Self::NoGrubMkimage { .. } => Class::Environment,
            // grub-mkimage fails of what it is given: the image's modules.
            Self::GrubMkimage(process::Error::Failed { .. }) => Class::Profile,
            Self::GrubMkimage(error) => error.class(),
            Self::CoreImageDrift { .. } => Class::LockDrift,
            Self::Fat(error) => error.class(),
            Self::TooManyLayers
            | Self::SlabEncode { .. }
            | Self::FilteredTree(_)
            | Self::Moved { .. }
            | Self::Time { .. }
            | Self::Json(_) => Class::Bug,
            _ => Class::Profile,
        }
    }

    fn hint(&self) -> Option<String> {
        if let Some(cause) = self.cause() {
            return cause.hint();
        }
        let hint = match self {
            Self::SlabWrite { source } if source.kind() == io::ErrorKind::StorageFull => {
                "free some disk space and build again"
            }
            Self::SlabDamaged { path, .. } => {
                let path = path.display();
                return Some(format!("remove '{path}' and build again: it is made anew"));
            }
            Self::Pattern { .. } => {
                "'*' and '?' match within one name, '**' across directories, {a,b} either"
            }
            Self::NoMatch { .. } => {
                "patterns are over real paths without a leading slash, as in 'usr/bin/kubelet' or \
                 'opt/cni/**'"
            }
            Self::FileSize { .. } => "the file was changed while it was read; build again",
            Self::Socket { .. } => "remove the socket; programs make theirs anew",
            Self::SpecialFile { .. } => {
                "an overlay holds files, directories and symbolic links only"
            }
            Self::NoneInOverlay { .. } => {
                "attributes are set on what the overlay itself has, not on the layers below"
            }
            Self::Manifest { .. } => "docs/overlays.md describes the manifest",
            Self::NoKernel { .. } => {
                "add a kernel to the image: linux-image-amd64 (Debian), linux-image-generic \
                 (Ubuntu), kernel (Fedora, RHEL), kernel-default (SUSE)"
            }
            Self::NoInitrd { .. } => {
                "make one in the image with dracut (packages dracut and dracut-live, \
                 dracut-squash on older releases): dracut --no-hostonly --add dmsquash-live \
                 --regenerate-all --force"
            }
            Self::Initrd { .. } => {
                "make the image's initrd anew, with dracut and compress=\"zstd\""
            }
            Self::NoBootFile { packages, .. } => {
                return Some(format!("add to the image: {packages}"));
            }
            Self::NoBios { .. } => "write `firmware = [\"uefi\"]` under [boot]",
            Self::KernelArgument { .. } => {
                "write each argument as an element of its own: [\"quiet\", \"splash\"]"
            }
            Self::NoGrubMkimage { .. } => {
                return Some(format!(
                    "install it (Debian, Ubuntu: {PACKAGE}; Fedora, RHEL: grub2-tools; SUSE: \
                     grub2), or write `firmware = [\"uefi\"]` under [boot]"
                ));
            }
            Self::GrubMkimage(error) => return error.hint(),
            Self::CoreImageDrift { .. } => {
                "take the locked one along with `isoforge cache export`, or remove its entry of \
                 [[core_image]] from the lock"
            }
            Self::BaseConfig { .. } => "name an image for Linux on the profile's architecture",
            Self::BadTag { .. } => {
                "use letters, digits, '.', '_', '+' and '-' in kubernetes.distribution, \
                 kubernetes.version and appliance.version"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
