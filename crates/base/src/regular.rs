//! Opening what may have come from a stranger: a folder or an archive on a medium may
//! have a pipe where a file is expected, on which opening waits for ever, or a device,
//! which never ends.

use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use fs_err::File;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::fs::OFlags;

/// Opens a regular file for reading; links are followed, nothing is waited for.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] for anything else, and what the system says, with the
/// path.
pub fn open(path: &Path) -> io::Result<File> {
    open_if(path, OFlags::empty(), |kind| kind.is_file())
}

/// The same where a link in the file's place was put there by somebody else: it is
/// refused.
///
/// # Errors
/// As [`open`], and for a link.
pub fn open_unlinked(path: &Path) -> io::Result<File> {
    open_if(path, OFlags::NOFOLLOW, |kind| kind.is_file())
}

/// The same, and block devices, as a medium that an image was written to.
///
/// # Errors
/// As [`open`].
pub fn open_or_medium(path: &Path) -> io::Result<File> {
    open_if(path, OFlags::empty(), |kind| {
        kind.is_file() || kind.is_block_device()
    })
}

fn open_if(
    path: &Path,
    more: OFlags,
    is_taken: impl Fn(&std::fs::FileType) -> bool,
) -> io::Result<File> {
    // Without waiting for who writes into a pipe; reading a file does not change by it.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY | more;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let mut options = fs_err::OpenOptions::new();
    options.read(true).custom_flags(flags);
    let file = options.open(path).map_err(|error| {
        // A socket can't be opened at all.
        match fs_err::metadata(path) {
            Ok(found) if !is_taken(&found.file_type()) => refused(path, &found.file_type()),
            _ => error,
        }
    })?;
    let kind = file.metadata()?.file_type();
    if is_taken(&kind) {
        return Ok(file);
    }
    Err(refused(path, &kind))
}

/// All bytes of a regular file.
///
/// # Errors
/// As [`open`].
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut open(path)?, &mut bytes)?;
    Ok(bytes)
}

/// The text of a regular file.
///
/// # Errors
/// As [`open`], and [`io::ErrorKind::InvalidData`] where it is no UTF-8.
pub fn read_to_string(path: &Path) -> io::Result<String> {
    io::read_to_string(open(path)?)
}

fn refused(path: &Path, kind: &std::fs::FileType) -> io::Error {
    let name = if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a named pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    let problem = format!("{} is {name}, not a regular file", path.display());
    io::Error::new(io::ErrorKind::InvalidInput, problem)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn pipes_sockets_devices_and_folders_are_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let socket = dir.path().join("socket");
        let _listens = UnixListener::bind(&socket).unwrap();
        for (path, name) in [
            (pipe.as_path(), "a named pipe"),
            (&socket, "a socket"),
            (Path::new("/dev/zero"), "a device"),
            (dir.path(), "a folder"),
        ] {
            let error = open(path).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            let expected = format!("{} is {name}, not a regular file", path.display());
            assert_eq!(error.to_string(), expected);
            assert!(open_or_medium(path).is_err());
        }
        let missing = open(&dir.path().join("missing")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn files_are_read_and_links_to_them() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        std::fs::write(&file, "text").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(read(&link).unwrap(), b"text");
        assert_eq!(read_to_string(&file).unwrap(), "text");
    }
}
