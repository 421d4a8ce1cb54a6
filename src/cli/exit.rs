//! From an error to what the user reads and to the exit code: the one place
//! that knows every leaf error.

use isoforge_base::error::{Class, Diagnose};

/// What the user gets to know of an error.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Diagnosis {
    /// `error:`, the causes, and a `hint:` where there is one.
    pub(crate) text: String,
    /// Decides the exit code.
    pub(crate) class: Class,
}

/// Finds the outermost cause that can say what it is.
fn known(error: &anyhow::Error) -> Option<&dyn Diagnose> {
    error.chain().find_map(|cause| {
        macro_rules! leaf {
            ($($type:ty),+ $(,)?) => {
                $(if let Some(leaf) = cause.downcast_ref::<$type>() {
                    return Some(leaf as &dyn Diagnose);
                })+
            };
        }
        leaf!(
            isoforge_system::boot::cmdline::Error,
            isoforge_system::boot::core_image::Error,
            isoforge_system::boot::initrd::Error,
            isoforge_system::boot::kernel::Error,
            isoforge_system::boot::loader::Error,
            isoforge_system::boot::menu::Error,
            crate::cli::cmd::bundle::NotWhole,
            crate::cli::cmd::bundle::Usage,
            crate::cli::cmd::content::Incomplete,
            crate::cli::cmd::init::Error,
            crate::cli::cmd::inspect::Unsound,
            crate::cli::cmd::login::Error,
            crate::cli::cmd::pack::Faulty,
            crate::cli::settings::Error,
            isoforge_content::Error,
            isoforge_content::bundle::Error,
            isoforge_content::chart::FetchError,
            isoforge_content::check::Error,
            isoforge_content::chart::ParseSourceError,
            isoforge_content::pack::BuildError,
            isoforge_content::pack::InitError,
            isoforge_formats::squashfs::Error,
            crate::inspect::Error,
            crate::installer_iso::Error,
            crate::lock::Error,
            isoforge_oci::manifest::Error,
            isoforge_oci::reference::ParseReferenceError,
            isoforge_base::output::Error,
            crate::build::CoreImageError,
            crate::build::cache::Damaged,
            crate::build::cache::Error,
            crate::build::Lacking,
            isoforge_contract::machine::Error,
            crate::build::NoAdministrator,
            crate::build::NoRegistryProgram,
            crate::build::NotComplete,
            crate::build::NotProven,
            crate::build::NotWritten,
            crate::build::ProgramError,
            crate::build::Unbootable,
            crate::build::Unbuildable,
            crate::build::Unmet,
            crate::build::UnmetInCluster,
            crate::build::Unpushable,
            crate::build::UnknownInput,
            crate::profile::PlanError,
            crate::profile::Problems,
            isoforge_system::provider::Error,
            isoforge_oci::pull::Error,
            isoforge_oci::push::Error,
            isoforge_oci::registry::Error,
            crate::render::Error,
            isoforge_system::layer::InLayer,
            crate::overlay::Error,
            isoforge_system::slab::Error,
            isoforge_system::tar_out::Error,
            crate::sources::Error,
            crate::sources::bootstrap::Error,
            isoforge_system::filtered::Error,
            crate::sources::packages::Error,
            isoforge_oci::store::Error,
            isoforge_base::process::Error,
        );
        None
    })
}

/// What every error begins with.
const ERROR: &str = "error: ";

/// Describes an error. One that no module knows is a defect of isoforge,
/// except for bare input/output errors.
pub(crate) fn diagnose(error: &anyhow::Error) -> Diagnosis {
    let leaf = known(error);
    let class = leaf.map_or_else(
        || {
            if error.chain().any(|cause| cause.is::<std::io::Error>()) {
                Class::Io
            } else {
                Class::Bug
            }
        },
        Diagnose::class,
    );
    let mut text = String::new();
    let mut last = String::new();
    for (depth, cause) in error.chain().enumerate() {
        let message = cause.to_string();
        // A message that quotes its cause has said it.
        if last.ends_with(&message) {
            continue;
        }
        if depth == 0 {
            // Problems of a profile say it of each.
            if !message.starts_with(ERROR) {
                text.push_str(ERROR);
            }
        } else {
            text.push_str("\n  caused by: ");
        }
        text.push_str(&message);
        last = message;
    }
    if let Some(hint) = leaf.and_then(Diagnose::hint) {
        text.push_str("\nhint: ");
        text.push_str(&hint);
    } else if class == Class::Bug {
        text.push_str("\nhint: this is a defect of isoforge; please report it with this message");
    }
    Diagnosis { text, class }
}
