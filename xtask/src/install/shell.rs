//! Commands in the guest, over its console and over SSH.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::access::{Access, PASSWORD, USER, remove};
use crate::qemu::{Console, FATAL, Wait, free_port};
use crate::sh;

/// How long a command may take, where nothing else is said.
const COMMAND: Duration = Duration::from_secs(300);

/// What the kernel and systemd (SIGRTMIN+21) have to say would come in between.
const QUIET: &str = "dmesg --console-level 1; kill -55 1";

/// Pause between two tries to connect.
const PAUSE: Duration = Duration::from_secs(3);

/// What a command said, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) text: String,
}

impl Said {
    fn ok(self, command: &str) -> Result<String> {
        ensure!(
            self.code == 0,
            "'{command}' ended with {} in the guest:\n{}",
            self.code,
            self.text
        );
        Ok(self.text.trim().to_owned())
    }
}

/// A shell on the console.
pub(crate) struct Shell<'a> {
    console: &'a mut Console,
    commands: u32,
}

impl<'a> Shell<'a> {
    /// Logs in where the console asks who is there.
    pub(crate) fn login(console: &'a mut Console, user: &str, password: &str) -> Result<Self> {
        console.type_line(user)?;
        console.wait_for("Password:", Instant::now() + COMMAND)?;
        console.type_line(password)?;
        let mut this = Self {
            console,
            commands: 0,
        };
        this.settle_unless(&["Login incorrect"])?;
        // Units that start late say so in between.
        let name = this.ok("id -un")?;
        ensure!(
            name.lines().any(|line| line.trim() == user),
            "{name} is logged in, not {user}"
        );
        Ok(this)
    }

    /// Takes over root's shell.
    pub(crate) fn open(console: &'a mut Console) -> Result<Self> {
        let mut this = Self {
            console,
            commands: 0,
        };
        this.settle()?;
        this.ok(QUIET)?;
        Ok(this)
    }

    /// Becomes root, where the account may.
    pub(crate) fn become_root(&mut self, password: &str) -> Result<()> {
        self.console.type_line("exec sudo -S -p 'e2e''-asks:' sh")?;
        self.console
            .wait_for("e2e-asks:", Instant::now() + COMMAND)?;
        self.console.type_line(password)?;
        self.settle()?;
        self.ok(QUIET)?;
        Ok(())
    }

    /// Starts a shell that neither prompts nor echoes, and waits for it.
    fn settle(&mut self) -> Result<()> {
        self.settle_unless(&[])
    }

    /// The same where the console may say instead that there will be none.
    fn settle_unless(&mut self, refused: &[&str]) -> Result<()> {
        self.console.type_line("exec env PS1= ENV= sh")?;
        self.console.type_line("stty -echo; echo e2e-''ready")?;
        let wait = Wait::new(&["e2e-ready"], Instant::now() + COMMAND);
        let fatal = &[FATAL, refused].concat();
        self.console.wait(Wait { fatal, ..wait }).map(drop)
    }

    /// Runs a line of shell.
    pub(crate) fn run(&mut self, command: &str, time: Duration) -> Result<Said> {
        self.commands += 1;
        let number = self.commands;
        let deadline = Instant::now() + time;
        // The markers do not stand in the line as it is typed, should it be
        // echoed.
        self.console.send(&format!(
            "echo e2e-''begin{number}; ( {command} ) 2>&1; code=$?; echo; echo e2e-''end{number}:$code:\r"
        ))?;
        let begin = format!("e2e-begin{number}\n");
        let end = format!("e2e-end{number}:");
        self.console.wait_for(&begin, deadline)?;
        let text = self.console.take_until(&end, deadline)?;
        let code = self.console.take_until(":", deadline)?;
        let code = code
            .parse()
            .with_context(|| format!("exit code {code:?}"))?;
        let text = text.strip_suffix('\n').unwrap_or(&text).to_owned();
        Ok(Said { code, text })
    }

    /// Runs a line that must succeed, and gives what it said.
    pub(crate) fn ok(&mut self, command: &str) -> Result<String> {
        self.run(command, COMMAND)?.ok(command)
    }
}

/// A forwarding that runs.
#[derive(Debug)]
pub(crate) struct Forward(Child);

impl Drop for Forward {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// SSH to a guest, by key.
#[derive(Debug, Clone)]
pub(crate) struct Ssh {
    port: u16,
    key: PathBuf,
    known_hosts: PathBuf,
}

impl Ssh {
    pub(crate) fn new(port: u16, access: &Access, name: &str) -> Result<Self> {
        Ok(Self {
            port,
            key: access.key.clone(),
            known_hosts: Access::known_hosts(name)?,
        })
    }

    /// The port of loopback that leads to it.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    fn command(&self) -> Command {
        let mut ssh = sh::command(["ssh", "-F", "none", "-T", "-p"]);
        ssh.arg(self.port.to_string()).arg("-i").arg(&self.key);
        for option in [
            "BatchMode=yes",
            "IdentitiesOnly=yes",
            "PreferredAuthentications=publickey",
            "StrictHostKeyChecking=accept-new",
            "ConnectTimeout=20",
            "ServerAliveInterval=15",
            "LogLevel=ERROR",
        ] {
            ssh.args(["-o", option]);
        }
        let known = format!("UserKnownHostsFile={}", self.known_hosts.display());
        ssh.args(["-o", &known]).arg(format!("{USER}@127.0.0.1"));
        ssh
    }

    /// Has a socket of this machine lead to one in the guest that the account may
    /// use, until what is given is dropped.
    pub(crate) fn forward_socket(&self, here: &Path, there: &str) -> Result<Forward> {
        remove(here)?;
        self.forward(&format!("{}:{there}", here.display()), || here.exists())
    }

    /// Has a port of loopback lead to one of the guest's own, until what is given is
    /// dropped.
    pub(crate) fn forward_port(&self, there: u16) -> Result<(u16, Forward)> {
        let here = free_port()?;
        let forward = self.forward(&format!("127.0.0.1:{here}:127.0.0.1:{there}"), || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, here)).is_ok()
        })?;
        Ok((here, forward))
    }

    fn forward(&self, what: &str, works: impl Fn() -> bool) -> Result<Forward> {
        let mut ssh = self.command();
        ssh.args(["-N", "-o", "ExitOnForwardFailure=yes", "-L", what]);
        let this = Forward(ssh.stdin(Stdio::null()).spawn()?);
        let deadline = Instant::now() + COMMAND;
        while !works() {
            ensure!(Instant::now() < deadline, "ssh does not forward {what}");
            std::thread::sleep(PAUSE);
        }
        Ok(this)
    }

    /// Tries until somebody answers and lets the account in.
    pub(crate) fn wait(&self, deadline: Instant) -> Result<()> {
        loop {
            let said = self.run("id -un")?;
            match said.code {
                0 if said.text.trim() == USER => return Ok(()),
                _ if Instant::now() < deadline => std::thread::sleep(PAUSE),
                code => bail!("SSH lets nobody in (ssh ended with {code}):\n{}", said.text),
            }
        }
    }

    /// Runs a line of shell as the account.
    pub(crate) fn run(&self, command: &str) -> Result<Said> {
        self.start(command, "")
    }

    fn start(&self, command: &str, input: &str) -> Result<Said> {
        let mut child = self
            .command()
            .arg(format!("{command} 2>&1"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("can't start ssh (Debian package openssh-client)")?;
        if let Some(mut stdin) = child.stdin.take() {
            // It may end before it has read all of that.
            let _ = stdin.write_all(input.as_bytes());
        }
        let done = child.wait_with_output()?;
        let mut text = String::from_utf8_lossy(&done.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&done.stderr));
        Ok(Said {
            code: done.status.code().unwrap_or(-1),
            text,
        })
    }

    /// Runs a line of shell as root.
    pub(crate) fn try_root(&self, command: &str) -> Result<Said> {
        let quoted = format!("'{}'", command.replace('\'', r"'\''"));
        let input = format!("{PASSWORD}\n");
        self.start(&format!("sudo -S -p '' sh -c {quoted}"), &input)
    }

    /// The same; it must succeed.
    pub(crate) fn root(&self, command: &str) -> Result<String> {
        self.try_root(command)?.ok(command)
    }

    /// Asks for the end of the system; the connection may break before the
    /// answer comes.
    pub(crate) fn end(&self, verb: &str) -> Result<()> {
        let said = self.try_root(&format!("systemctl {verb}"))?;
        ensure!(
            matches!(said.code, 0 | 255),
            "systemctl {verb} ended with {}:\n{}",
            said.code,
            said.text
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_say_what_they_say_and_how_they_end() {
        sh::to_workspace_root().unwrap();
        // A terminal of its own, which echoes; the options that are added for
        // QEMU become arguments of the first shell.
        let script = "exec script --quiet --command 'env PS1= ENV= sh' /dev/null";
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]);
        let mut console = Console::start(command, "test-shell").unwrap();
        let mut shell = Shell {
            console: &mut console,
            commands: 0,
        };
        let said = shell.run("echo one; echo two >&2; exit 3", COMMAND);
        let wanted = Said {
            code: 3,
            text: "one\ntwo\n".to_owned(),
        };
        assert_eq!(said.unwrap(), wanted);
        shell.settle().unwrap();
        assert_eq!(shell.ok("printf %s three").unwrap(), "three");
        let error = shell.ok("false").unwrap_err().to_string();
        assert!(error.starts_with("'false' ended with 1"), "{error}");
    }
}
