//! QEMU's monitor (QMP): JSON, a line each.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// How long QEMU may take to open its socket, and to answer.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(50);

/// A connection to the monitor of one QEMU.
pub(crate) struct Monitor {
    reader: BufReader<UnixStream>,
}

impl Monitor {
    /// Connects to a QEMU that was just started.
    pub(crate) fn connect(socket: &Path) -> Result<Self> {
        let deadline = Instant::now() + PATIENCE;
        let stream = loop {
            match UnixStream::connect(socket) {
                Ok(stream) => break stream,
                Err(_) if Instant::now() < deadline => std::thread::sleep(PAUSE),
                Err(error) => {
                    return Err(error).with_context(|| format!("QMP at {}", socket.display()));
                }
            }
        };
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut this = Self {
            reader: BufReader::new(stream),
        };
        this.line().context("QMP's greeting")?;
        this.execute("qmp_capabilities", json!({}))?;
        Ok(this)
    }

    /// Runs a command and gives what it returned.
    pub(crate) fn execute(&mut self, command: &str, arguments: Value) -> Result<Value> {
        let mut line = json!({ "execute": command, "arguments": arguments }).to_string();
        line.push('\n');
        self.reader
            .get_mut()
            .write_all(line.as_bytes())
            .context("QMP takes no commands")?;
        loop {
            let mut answer = self.line().with_context(|| format!("QMP {command}"))?;
            if let Some(error) = answer.get("error") {
                bail!("QMP {command}: {error}");
            }
            // Events come in between.
            if let Some(value) = answer.get_mut("return") {
                return Ok(value.take());
            }
        }
    }

    fn line(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            bail!("QEMU closed the connection");
        }
        Ok(serde_json::from_str(&line)?)
    }

    /// A picture of the screen.
    pub(crate) fn screendump(&mut self, png: &Path) -> Result<()> {
        let png = std::path::absolute(png)?;
        let arguments = json!({ "filename": png.to_string_lossy(), "format": "png" });
        self.execute("screendump", arguments)?;
        Ok(())
    }

    /// Bytes that the guest has written to a disk of this id.
    pub(crate) fn bytes_written(&mut self, disk: &str) -> Result<u64> {
        let all = self.execute("query-blockstats", json!({}))?;
        written(&all, disk).with_context(|| format!("QMP tells nothing of {disk}: {all}"))
    }

    /// Resets the machine, as its button does: what the guest has not written out is
    /// lost.
    pub(crate) fn reset(&mut self) -> Result<()> {
        self.execute("system_reset", json!({}))?;
        Ok(())
    }

    /// Pulls a device out of a running machine.
    pub(crate) fn pull_out(&mut self, device: &str) -> Result<()> {
        self.execute("device_del", json!({ "id": device }))?;
        Ok(())
    }
}

/// The device's path ends with its id, or has it before `/virtio-backend`.
fn written(all: &Value, disk: &str) -> Option<u64> {
    let entry = all.as_array()?.iter().find(|entry| {
        let names = ["qdev", "node-name", "device"].map(|key| entry.get(key));
        names
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .any(|name| name.split('/').any(|part| part == disk))
    })?;
    entry.pointer("/stats/wr_bytes")?.as_u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_found_by_its_id() {
        let all = json!([
            { "qdev": "/machine/peripheral/medium-drive", "stats": { "wr_bytes": 1 } },
            { "qdev": "/machine/peripheral/disk0/virtio-backend", "stats": { "wr_bytes": 2 } },
        ]);
        assert_eq!(written(&all, "disk0"), Some(2));
        assert_eq!(written(&all, "disk1"), None);
    }
}
