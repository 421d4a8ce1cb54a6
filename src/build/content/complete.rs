//! Whether every image that an object of the profile names is carried, or left out
//! on purpose.
//!
//! What `exclude_images` leaves out the build tells as such. What is found in packs, charts and manifests is carried, so this can fail only
//! where the profile lists a component's images itself.

use std::collections::BTreeSet;

use super::Searched;
use crate::inputs::Inputs;
use isoforge_base::error::{Class, Failure, Result};
use isoforge_base::progress::Progress;
use isoforge_content::find::Method;
use isoforge_contract::arch::Arch;

/// Checks what the objects of all components name, and tells what is left out.
///
/// # Errors
/// [`NotComplete`].
pub(super) fn check(inputs: &Inputs, searched: &Searched, progress: &Progress) -> Result<()> {
    let (mut missing, mut left_out) = (BTreeSet::new(), BTreeSet::new());
    let archs: BTreeSet<Arch> = inputs.components.iter().map(|(arch, _)| *arch).collect();
    for arch in archs {
        let mut known: BTreeSet<String> = inputs
            .of_content(arch)
            .map(|image| image.name.clone())
            .collect();
        // Those are told of when the content is gathered.
        let excluded = inputs.left_out.iter().filter(|(of, ..)| *of == arch);
        known.extend(excluded.map(|(_, reference, _)| reference.to_string()));
        for listed in &searched.listed {
            let owner = &listed.owner;
            for (image, places) in &listed.images.images {
                let one = [image.clone()];
                let is_excluded = |glob: &String| crate::profile::matches_any(glob, &one);
                if known.contains(image) {
                    continue;
                }
                if listed.exclude.iter().any(is_excluded) {
                    left_out.insert(format!("left out: {image} (needed by {owner})"));
                    continue;
                }
                // What only looks like an image is no reason.
                let places = places.iter().filter(|place| place.method != Method::Scan);
                missing.extend(places.map(|place| format!("{image} ({owner}): {place}")));
            }
        }
    }
    for text in left_out {
        progress.note(text);
    }
    match missing.is_empty() {
        true => Ok(()),
        false => {
            let missing: Vec<String> = missing.into_iter().collect();
            let message = format!(
                "objects name images that the content lacks:{}",
                super::indent(&missing)
            );
            Err(Failure::new(Class::Verification, message).with_hint(
                "add them to the component's 'images', or say that they are left out with \
                 'exclude_images'",
            ))
        }
    }
}
