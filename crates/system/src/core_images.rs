//! GRUB's core image for BIOS where the OS image brings only the modules: kept
//! in the store, so that grub-mkimage runs once and a machine without it builds
//! from what another one made.
//!
//! What a lock pins comes first, then what the store has, then grub-mkimage.

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::boot::core_image::{self, CORE_MAX_BYTES, CoreImage, Recipe};
use isoforge_base::digest::Digest;
use isoforge_base::error::{Class, Failure};
use isoforge_oci::store::Store;

/// Kind of the store's facts on core images.
pub const FACT: &str = "core-image";

/// A core image by what it was made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptCoreImage {
    /// [`Recipe::key`].
    pub key: Digest,
    /// Digest of the core image, a blob of the store.
    pub digest: Digest,
    /// What `grub-mkimage --version` said where it was made.
    pub made_by: String,
}

/// The core image of `recipe` and its record; `pinned` is what a lock has.
///
/// # Errors
/// [`Error`]'s variants.
pub fn get(
    store: &Store,
    recipe: &Recipe,
    pinned: &[KeptCoreImage],
) -> Result<(Vec<u8>, KeptCoreImage), Error> {
    let key = recipe.key();
    let pinned = pinned.iter().find(|pinned| pinned.key == key);
    let known = match pinned {
        Some(pinned) => Some(pinned.clone()),
        None => store
            .fact::<KeptCoreImage>(FACT, &key.hex())?
            .filter(|kept| kept.key == key),
    };
    if let Some(known) = known {
        match store.read_blob(&known.digest, CORE_MAX_BYTES) {
            Ok(bytes) => return Ok((bytes, known)),
            // It is made again, which mends the store.
            Err(isoforge_oci::Error::Missing { .. } | isoforge_oci::Error::Damaged { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let scratch =
        tempfile::tempdir_in(store.temp_dir()).map_err(Error::io(core_image::CANT_MAKE))?;
    let CoreImage {
        bytes,
        digest,
        made_by,
    } = recipe.make(scratch.path())?;
    if let Some(pinned) = pinned.filter(|pinned| pinned.digest != digest) {
        let (locked, locked_by) = (pinned.digest, &pinned.made_by);
        let problem = format!(
            "GRUB's core image is {digest}, made by {made_by}, but the lock has {locked}, made by \
             {locked_by}"
        );
        let hint = "take the locked one along with `isoforge cache export`, or remove its entry of \
             [[core_image]] from the lock";
        let drift = Failure::new(Class::LockDrift, problem).with_hint(hint);
        return Err(drift.into());
    }
    store.put_blob(&bytes)?;
    let kept = match pinned {
        // The same bytes: the record stays the lock's.
        Some(pinned) => pinned.clone(),
        None => KeptCoreImage {
            key,
            digest,
            made_by,
        },
    };
    store.put_fact(FACT, &key.hex(), &kept)?;
    Ok((bytes, kept))
}

#[cfg(test)]
mod tests {
    use super::*;
    use isoforge_base::error::{Class, Diagnose as _};
    use isoforge_base::tree::{Inode, Meta};
    use isoforge_judges::trees::{InMemory, file, tree};

    const DIR: &str = "usr/lib/grub/i386-pc";

    /// What this machine's modules make.
    fn recipe() -> Recipe {
        let mut tree = tree("etc/");
        let entries = fs_err::read_dir(format!("/{DIR}"))
            .expect("GRUB's BIOS modules are needed (Debian package grub-pc-bin)");
        for entry in entries {
            let path = entry.unwrap().path();
            let inode = Inode {
                meta: Meta::with_mode(0o644),
                kind: file(&fs_err::read(&path).unwrap()),
            };
            let name = path.file_name().unwrap().to_str().unwrap();
            tree.insert(format!("{DIR}/{name}").as_bytes(), inode)
                .unwrap();
        }
        Recipe::read(&tree, &InMemory, &format!("/{DIR}")).unwrap()
    }

    /// Of modules that grub-mkimage can make nothing of.
    fn hopeless() -> Recipe {
        let tree = tree("usr/lib/grub/i386-pc/kernel.img = x");
        Recipe::read(&tree, &InMemory, &format!("/{DIR}")).unwrap()
    }

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        (folder, store)
    }

    fn pin(recipe: &Recipe, bytes: &[u8]) -> KeptCoreImage {
        KeptCoreImage {
            key: recipe.key(),
            digest: Digest::of(bytes),
            made_by: "grub-mkimage of another machine".to_owned(),
        }
    }

    #[test]
    fn it_is_made_once_and_made_again_where_the_store_lost_it() {
        let (_root, store) = store();
        let recipe = recipe();
        let (bytes, kept) = get(&store, &recipe, &[]).unwrap();
        assert_eq!(kept.digest, Digest::of(&bytes));
        assert!(kept.made_by.contains("GRUB"), "{}", kept.made_by);
        let there: Option<KeptCoreImage> = store.fact(FACT, &recipe.key().hex()).unwrap();
        assert_eq!(there.as_ref(), Some(&kept));
        // Another record for the key shows that the store is asked first.
        let other = pin(&recipe, b"another");
        store.put_blob(b"another").unwrap();
        store.put_fact(FACT, &recipe.key().hex(), &other).unwrap();
        let found = get(&store, &recipe, &[]).unwrap();
        assert_eq!(found, (b"another".to_vec(), other.clone()));
        fs_err::write(store.blob_path(&other.digest), b"anotheR").unwrap();
        assert_eq!(get(&store, &recipe, &[]).unwrap(), (bytes, kept));
    }

    #[test]
    fn nothing_but_the_store_is_needed_where_it_has_it() {
        let (_root, store) = store();
        let recipe = hopeless();
        assert!(matches!(
            get(&store, &recipe, &[]),
            Err(Error::GrubMkimage(_))
        ));
        store.put_blob(b"core").unwrap();
        let pinned = pin(&recipe, b"core");
        let found = get(&store, &recipe, std::slice::from_ref(&pinned)).unwrap();
        assert_eq!(found, (b"core".to_vec(), pinned));
    }

    #[test]
    fn the_lock_comes_before_the_store_and_another_result_is_drift() {
        let (_root, store) = store();
        let recipe = recipe();
        let (bytes, kept) = get(&store, &recipe, &[]).unwrap();
        store.put_blob(b"locked").unwrap();
        let locked = pin(&recipe, b"locked");
        let found = get(&store, &recipe, std::slice::from_ref(&locked)).unwrap();
        assert_eq!(found, (b"locked".to_vec(), locked.clone()));
        // Of another recipe: says nothing about this one.
        let foreign = pin(&hopeless(), b"locked");
        let found = get(&store, &recipe, &[foreign]).unwrap();
        assert_eq!(found, (bytes.clone(), kept.clone()));
        fs_err::remove_file(store.blob_path(&locked.digest)).unwrap();
        let error = get(&store, &recipe, std::slice::from_ref(&locked)).unwrap_err();
        assert_eq!(error.class(), Class::LockDrift);
        let said = error.to_string();
        for part in [&locked.digest.to_string(), &kept.digest.to_string()] {
            assert!(said.contains(part.as_str()), "{said}");
        }
        // Made again, it is the locked one: the lock's record stays.
        let same = pin(&recipe, &bytes);
        fs_err::remove_file(store.blob_path(&same.digest)).unwrap();
        let found = get(&store, &recipe, std::slice::from_ref(&same)).unwrap();
        assert_eq!(found, (bytes, same));
    }
}
