//! What the kubelet does: it asks the container runtime for an image over the CRI
//! (k8s.io/cri-api, runtime/v1/api.proto, `ImageService.PullImage`), and the runtime
//! goes by its own configuration.
//!
//! Debian has no client, so curl sends the one request that is needed. A message of
//! gRPC has a byte that says that it is not compressed and its length in big-endian
//! order in front (grpc, PROTOCOL-HTTP2.md, "Length-Prefixed-Message").

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::install::shell::Ssh;
use crate::qemu::scratch;
use crate::sh;

/// The runtime's socket.
const SOCKET: &str = "/run/containerd/containerd.sock";

/// The first field of a message, with a length in front (protobuf, "Encoding").
const FIRST_FIELD: u8 = 0x0a;

/// Has the runtime of a machine pull an image.
pub(super) fn pull(ssh: &Ssh, image: &str) -> Result<()> {
    // The account of the tests is not root.
    ssh.root(&format!("chmod 0666 {SOCKET}"))?;
    let socket = scratch("cri.socket")?;
    let forward = ssh.forward_socket(&socket, SOCKET)?;
    let said = call(
        &socket,
        "/runtime.v1.ImageService/PullImage",
        &request(image)?,
    )?;
    drop(forward);
    ensure!(
        said.lines().any(|line| line.trim() == "grpc-status: 0"),
        "the container runtime does not pull {image}:\n{said}"
    );
    println!("the kubelet's request for {image} is answered");
    Ok(())
}

/// `PullImageRequest { image: ImageSpec { image } }`.
fn request(image: &str) -> Result<Vec<u8>> {
    let spec = field(image.as_bytes())?;
    field(&spec)
}

fn field(bytes: &[u8]) -> Result<Vec<u8>> {
    // Lengths of up to 127 are one byte.
    let length = u8::try_from(bytes.len()).ok().filter(|it| *it < 0x80);
    let mut field = vec![FIRST_FIELD, length.context("a long name")?];
    field.extend(bytes);
    Ok(field)
}

/// Calls a method, and gives the answer's headers and trailers.
fn call(socket: &Path, method: &str, message: &[u8]) -> Result<String> {
    let body = scratch("cri.request")?;
    let mut framed = vec![0];
    framed.extend(u32::try_from(message.len())?.to_be_bytes());
    framed.extend(message);
    std::fs::write(&body, framed)?;
    let mut curl = sh::command(["curl", "--silent", "--show-error", "--max-time", "300"]);
    curl.args([
        "--http2-prior-knowledge",
        "--dump-header",
        "-",
        "--output",
        "/dev/null",
    ]);
    curl.args([
        "--header",
        "content-type: application/grpc",
        "--header",
        "te: trailers",
    ]);
    curl.arg("--data-binary")
        .arg(format!("@{}", body.display()));
    curl.arg("--unix-socket").arg(socket);
    sh::output(curl.arg(format!("http://localhost{method}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_encoded_as_protobuf_wants_it() {
        assert_eq!(request("a/b").unwrap(), b"\x0a\x05\x0a\x03a/b");
        assert!(request(&"a".repeat(126)).is_err());
    }
}
