//! What an image is compressed with.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::layout::{
    BLOCK_BYTES_MAX, BLOCK_BYTES_MIN, COMPRESSOR_GZIP, COMPRESSOR_XZ, COMPRESSOR_ZSTD,
};
use crate::Error;

const ZSTD_LEVEL_DEFAULT: u32 = 9;
const ZSTD_LEVEL_MAX: u32 = 22;
const GZIP_LEVEL_DEFAULT: u32 = 9;
const GZIP_LEVEL_MAX: u32 = 9;
const BLOCK_BYTES_DEFAULT: u32 = 256 << 10;

/// Compressor and level. The text form is `zstd:9`, `gzip:9` or `xz`; without
/// a level the default one is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Compressor {
    /// Zstandard.
    Zstd {
        /// 1 to 22; default 9.
        level: u32,
    },
    /// zlib.
    Gzip {
        /// 1 to 9; default 9.
        level: u32,
    },
    /// xz with LZMA2 at its default preset.
    Xz,
}

impl Compressor {
    /// The compressor's number in the superblock.
    #[must_use]
    pub fn number(self) -> u16 {
        match self {
            Self::Zstd { .. } => COMPRESSOR_ZSTD,
            Self::Gzip { .. } => COMPRESSOR_GZIP,
            Self::Xz => COMPRESSOR_XZ,
        }
    }
}

impl Default for Compressor {
    fn default() -> Self {
        Self::Zstd {
            level: ZSTD_LEVEL_DEFAULT,
        }
    }
}

impl fmt::Display for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zstd { level } => write!(f, "zstd:{level}"),
            Self::Gzip { level } => write!(f, "gzip:{level}"),
            Self::Xz => f.write_str("xz"),
        }
    }
}

impl FromStr for Compressor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let unknown = || {
            Error::unfit(format!(
                "'{text}' is not a compression: zstd, zstd:LEVEL, gzip, gzip:LEVEL or xz is expected"
            ))
        };
        let (name, level) = match text.split_once(':') {
            Some((name, level)) => (name, Some(level.parse().map_err(|_| unknown())?)),
            None => (text, None),
        };
        let compressor = match (name, level) {
            ("zstd", level) => Self::Zstd {
                level: level.unwrap_or(ZSTD_LEVEL_DEFAULT),
            },
            ("gzip", level) => Self::Gzip {
                level: level.unwrap_or(GZIP_LEVEL_DEFAULT),
            },
            ("xz", None) => Self::Xz,
            _ => return Err(unknown()),
        };
        check_level(compressor)?;
        Ok(compressor)
    }
}

/// Compressor and block size of an image and of the data packed for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Settings {
    /// Compressor of data and metadata.
    pub compressor: Compressor,
    /// Data block size in bytes: a power of two from 4 KiB to 1 MiB; default
    /// 256 KiB.
    pub block_size: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            compressor: Compressor::default(),
            block_size: BLOCK_BYTES_DEFAULT,
        }
    }
}

impl Settings {
    /// Says whether an image can have these settings.
    ///
    /// # Errors
    /// The level or block size that it can't have.
    pub fn validate(&self) -> Result<(), Error> {
        let size = self.block_size;
        if !size.is_power_of_two() || !(BLOCK_BYTES_MIN..=BLOCK_BYTES_MAX).contains(&size) {
            return Err(Error::unfit(format!(
                "a SquashFS block size of {size} bytes is not a power of two from {BLOCK_BYTES_MIN} to {BLOCK_BYTES_MAX}"
            )));
        }
        check_level(self.compressor)
    }
}

fn check_level(compressor: Compressor) -> Result<(), Error> {
    let (level, max) = match compressor {
        Compressor::Zstd { level } => (level, ZSTD_LEVEL_MAX),
        Compressor::Gzip { level } => (level, GZIP_LEVEL_MAX),
        Compressor::Xz => return Ok(()),
    };
    if (1..=max).contains(&level) {
        Ok(())
    } else {
        Err(Error::unfit(format!(
            "compression '{compressor}' has a level outside 1 to {max}"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_forms_round_trip_and_wrong_ones_are_refused() {
        for text in ["zstd:9", "zstd:22", "gzip:1", "xz"] {
            assert_eq!(text.parse::<Compressor>().unwrap().to_string(), text);
        }
        assert_eq!(
            "zstd".parse::<Compressor>().unwrap(),
            Compressor::Zstd { level: 9 }
        );
        for text in ["", "lz4", "zstd:", "zstd:0", "zstd:23", "gzip:10", "xz:6"] {
            assert!(text.parse::<Compressor>().is_err(), "{text}");
        }
    }

    #[test]
    fn block_sizes_are_powers_of_two_within_the_format() {
        for (block_size, valid) in [
            (4096, true),
            (1 << 20, true),
            (2048, false),
            (1 << 21, false),
            (5000, false),
            (0, false),
        ] {
            let settings = Settings {
                block_size,
                ..Settings::default()
            };
            assert_eq!(settings.validate().is_ok(), valid, "{block_size}");
        }
    }
}
