//! The layer of `[hardening]`: the files and links of its rules.

use std::sync::Arc;

use isoforge_base::error::Result;

use crate::overlay::OverlayLayer;
use isoforge_contract::manifest;
use isoforge_system::hardening::Hardening;

/// What progress, errors and the image's history call the layer.
pub(super) const PURPOSE: &str = "hardening";

/// The layer.
pub(super) fn layer(hardening: &Hardening, epoch: u32) -> Result<OverlayLayer> {
    let mut layer = OverlayLayer::default();
    for rule in hardening.rules() {
        for (path, text) in rule.files {
            layer.add_file(path, 0o644, Arc::from(text.as_bytes()))?;
        }
        for (path, target) in rule.links {
            layer.add_link(path, target)?;
        }
    }
    layer.set_mtime(i64::from(epoch));
    Ok(layer)
}

/// What the manifest says of it.
pub(super) fn record(hardening: &Hardening) -> manifest::Hardening {
    let mut except = hardening.except.clone();
    except.sort();
    except.dedup();
    manifest::Hardening {
        profile: hardening.standard.name().to_owned(),
        guide: hardening.standard.guide().to_owned(),
        rules: hardening.rules().map(|rule| rule.id.to_owned()).collect(),
        except,
    }
}
