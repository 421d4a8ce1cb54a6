//! What an installation tells while it runs, and when it fails.

use super::model::{Event, Failure, Observer};
use crate::content::BadSource;

/// The steps as they are told; [`CONTENT_STEP`] comes before the last two where
/// there is content.
const STEPS: [&str; 8] = [
    "Checking the install medium and the disk",
    "Erasing the disk",
    "Partitioning the disk",
    "Making the file systems",
    "Copying the system",
    "Writing the configuration",
    "Writing the boot loaders",
    "Making the disk bootable",
];

const CONTENT_STEP: &str = "Copying the content";
const STEPS_AFTER_CONTENT: usize = 2;

/// Tells the observer which step runs and how far it is.
pub(super) struct Teller<'a> {
    pub(super) observer: &'a mut dyn Observer,
    steps: Vec<&'static str>,
    step: u32,
    name: &'static str,
}

impl<'a> Teller<'a> {
    pub(super) fn new(observer: &'a mut dyn Observer, with_content: bool) -> Self {
        let mut steps = STEPS.to_vec();
        if with_content {
            let at = steps.len().saturating_sub(STEPS_AFTER_CONTENT);
            steps.insert(at, CONTENT_STEP);
        }
        Self {
            observer,
            steps,
            step: 0,
            name: "",
        }
    }

    pub(super) fn step(&mut self) {
        let name = self.steps.get(self.step as usize);
        let name = name.copied().unwrap_or_default();
        self.name = name;
        self.step = self.step.saturating_add(1);
        self.observer.event(Event::Step {
            number: self.step,
            of: self.steps.len() as u32,
            name: name.to_owned(),
        });
    }

    pub(super) fn log(&mut self, line: String) {
        self.observer.event(Event::Log(line));
    }

    /// Why it ended; `written` says whether the disk may have been changed.
    pub(super) fn failure(&self, error: &anyhow::Error, written: bool) -> Failure {
        let advice = if error.is::<BadSource>() {
            "The install medium is damaged, incomplete or was removed. Compare the ISO file with its \
         checksum, write it to another medium and start the installation again."
        } else if !written {
            "Nothing was written. Put right what is said, or choose another disk, and start the \
         installation again."
        } else {
            "The disk does not start now. See whether the disk is sound and all its cables are \
         plugged in, then start the installation again: it starts over, or takes another disk."
        };
        Failure::new(self.name, &**error, advice)
    }
}
