//! Tests that mount do it where nobody sees it.

use std::path::Path;

use isoforge_base::process::Program;

/// What such a test is started with in its own namespace; to the test harness it
/// is a name that fits no test.
const MARK: &str = "in-a-mount-namespace";

const OUTPUT_MAX_BYTES: u64 = 1 << 20;

/// Whether the test goes on: it is in a mount namespace of its own. Called
/// outside of one it runs the test `name` in one, and fails where that fails;
/// where it may not, it says so.
pub(crate) fn in_mount_namespace(name: &str) -> bool {
    if std::env::args().any(|argument| argument == MARK) {
        return true;
    }
    if !rustix::process::geteuid().is_root() {
        isoforge_judges::skip("it mounts, which needs root");
        return false;
    }
    let test = std::env::current_exe().unwrap();
    let output = Program::new("unshare", "util-linux")
        .args(["--mount", "--propagation", "private"])
        .arg(test)
        .args(["--exact", name, "--nocapture", "--skip", MARK])
        .output(OUTPUT_MAX_BYTES);
    match output {
        Ok(output) => {
            let output = String::from_utf8_lossy(&output);
            assert!(output.contains("1 passed"), "{output}");
        }
        Err(error) if error.to_string().contains("unshare failed") => {
            isoforge_judges::skip(format_args!("it needs a mount namespace: {error}"));
        }
        Err(error) => panic!("{error}"),
    }
    false
}

/// The type of the file system that is mounted right at `path`, if any.
pub(crate) fn mounted(path: &Path) -> Option<String> {
    let mounts = fs_err::read_to_string("/proc/self/mounts").unwrap();
    mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .rfind(|words| Path::new(words[1]) == path)
        .map(|words| words[2].to_owned())
}
