//! What an appliance carries beside its system: images, and what names them.

pub mod bundle;
