//! Names on an installed disk: its partitions, and what lies on STATE.

/// Within STATE: GRUB's environment block.
pub const GRUBENV: &str = "grubenv";

/// Within STATE: the menu of the installed system.
pub const MENU: &str = "grub/grub.cfg";

/// Within STATE: the folder of the slots.
pub const SLOTS: &str = "slots";

/// Labels of partitions and their file systems. They are for people: all parts
/// find each other by UUID.
pub mod label {
    /// GRUB's core image for BIOS.
    pub const BIOS_BOOT: &str = "BIOS";
    /// The EFI system partition.
    pub const ESP: &str = "ESP";
    /// Site configuration.
    pub const OEM: &str = "OEM";
    /// The slots.
    pub const STATE: &str = "STATE";
    /// What is kept.
    pub const PERSISTENT: &str = "PERSISTENT";
    /// All of them.
    pub const ALL: [&str; 5] = [BIOS_BOOT, ESP, OEM, STATE, PERSISTENT];
}
