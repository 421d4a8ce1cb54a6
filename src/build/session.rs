//! What all stages of one command share: the store, the registries, and how much of
//! either may be used.

use isoforge_base::error::Result;

use super::{Settings, convert};
use crate::lock::Lock;
use crate::profile::Loaded;
use crate::sources;
use isoforge_base::progress::Progress;
use isoforge_formats::tar::Limits;
use isoforge_oci::pull;
use isoforge_oci::registry::Client;
use isoforge_oci::store::Store;

/// An open store and a client of registries.
pub(super) struct Session<'a> {
    pub(super) settings: &'a Settings,
    pub(super) store: Store,
    pub(super) client: Client,
    pub(super) limits: Limits,
    /// No connection is opened.
    pub(super) offline: bool,
    pub(super) progress: &'a Progress,
}

impl<'a> Session<'a> {
    /// Opens the store, and sets up the registries as the user and the profile have
    /// them.
    pub(super) fn open(
        loaded: Option<&Loaded>,
        settings: &'a Settings,
        offline: bool,
        progress: &'a Progress,
    ) -> Result<Self> {
        let registries = match loaded {
            Some(loaded) => convert::registry(loaded, settings),
            None => convert::user_registries(settings),
        };
        registries.check()?;
        let client = Client::new(registries);
        Ok(Self {
            settings,
            store: Store::open_noting(&settings.cache_dir, || {
                progress.note("waiting: another isoforge removes from the store");
            })?,
            client: if offline { client.offline() } else { client },
            limits: loaded.map_or(Limits::DEFAULT, |loaded| convert::limits(&loaded.profile)),
            offline,
            progress,
        })
    }

    /// What the sources work with; what `lock` has is asked for by digest.
    pub(super) fn context<'s>(&'s self, lock: Option<&'s Lock>) -> sources::Context<'s> {
        sources::Context {
            store: &self.store,
            client: &self.client,
            lock,
            limits: self.limits,
            pull_limits: pull::Limits::DEFAULT,
            threads: convert::threads(self.settings),
            referrers: self.settings.with_referrers,
            progress: self.progress,
        }
    }
}
