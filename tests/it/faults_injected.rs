//! Calls of the kernel that fail: the program runs under strace, which gives one call
//! an error in place of its answer, and under limits of file sizes, which cut writes
//! short. Whatever fails: the program says so or works around it, no output is partial
//! under its final name, no file of the store is damaged, and the next run, undisturbed,
//! ends as if nothing had been.
//!
//! Each kind of call is given each of its faults for each kind of file, at up to
//! [`PLACES`] places of the run: a kind of file is the folder that it lies in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use isoforge_base::digest::Digest;

use crate::support::program::{Outcome, Project, files_below};
use crate::support::{assert_nothing_wrong, is_long, on_each};

/// Places of a run at which one fault is given to one kind of call on one kind of file.
const PLACES: usize = 8;
/// Runs and time that all faults may take; what is left out is told.
const MAX_RUNS: usize = 2000;
const MAX_TIME: Duration = Duration::from_secs(20 * 60);
/// Sizes of files at which writes are cut short, of each job.
const CUTS: usize = 25;

/// Faults of calls that read or look.
const LOOKING: &[&str] = &["EIO"];
/// Of those that the kernel may interrupt: programs are to call again.
const INTERRUPTED: &[&str] = &["EIO", "EINTR"];
/// Of those that change files or folders.
const CHANGING: &[&str] = &["EIO", "ENOSPC"];
const WRITING: &[&str] = &["EIO", "ENOSPC", "EINTR"];

/// The calls that are disturbed. Of others (memory, signals, time) an error tells
/// nothing of the program.
const CALLS: &[(&str, &[&str])] = &[
    ("openat", WRITING),
    ("read", INTERRUPTED),
    ("pread64", INTERRUPTED),
    ("readv", INTERRUPTED),
    ("getdents64", LOOKING),
    ("readlink", LOOKING),
    ("statx", LOOKING),
    ("newfstatat", LOOKING),
    ("lseek", LOOKING),
    ("statfs", LOOKING),
    ("write", WRITING),
    ("pwrite64", WRITING),
    ("writev", WRITING),
    ("copy_file_range", CHANGING),
    ("sendfile", CHANGING),
    ("fsync", CHANGING),
    ("fdatasync", CHANGING),
    ("ftruncate", CHANGING),
    ("fallocate", CHANGING),
    ("rename", CHANGING),
    ("renameat", CHANGING),
    ("renameat2", CHANGING),
    ("linkat", CHANGING),
    ("mkdir", CHANGING),
    ("mkdirat", CHANGING),
    ("rmdir", LOOKING),
    ("unlink", LOOKING),
    ("unlinkat", LOOKING),
    ("chmod", LOOKING),
    ("fchmod", LOOKING),
    ("utimensat", LOOKING),
    ("flock", INTERRUPTED),
    ("clone3", &["EAGAIN"]),
];

/// A run of the program that is disturbed.
struct Job {
    name: &'static str,
    arguments: &'static [&'static str],
    /// Whether it needs a build before it; else it begins with an empty store.
    needs_build: bool,
    /// What it writes, within the project.
    output: &'static str,
}

const JOBS: &[Job] = &[
    Job {
        name: "build",
        arguments: &["build", "profile.toml", "--jobs", "1", "--output", "out"],
        needs_build: false,
        output: "out",
    },
    Job {
        name: "cache export",
        arguments: &[
            "cache",
            "export",
            "profile.toml",
            "--output",
            "out/input.tar",
        ],
        needs_build: true,
        output: "out",
    },
    Job {
        name: "inspect",
        arguments: &["inspect", "dist/tiny-1.0.0", "--format", "json"],
        needs_build: true,
        output: "out",
    },
];

/// A way to disturb a run.
enum Disturbance {
    /// The call of this number among those of its name in a thread.
    Call {
        call: &'static str,
        file: String,
        fault: &'static str,
        number: usize,
    },
    /// No file gets longer than this.
    Cut { bytes: u64 },
}

impl std::fmt::Display for Disturbance {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Call {
                call,
                file,
                fault,
                number,
            } => write!(out, "{fault} of {call} {number} on {file}"),
            Self::Cut { bytes } => write!(out, "files of {bytes} bytes at most"),
        }
    }
}

/// What a run left.
#[derive(Debug, PartialEq, Eq)]
struct Left {
    outputs: BTreeMap<String, Digest>,
    stdout: String,
}

struct Bench<'a> {
    job: &'a Job,
    project: Project,
}

impl<'a> Bench<'a> {
    fn new(job: &'a Job) -> Self {
        let project = Project::bootable();
        let bench = Self { job, project };
        bench.prepare();
        bench
    }

    /// As before the job's first run.
    fn prepare(&self) {
        let _ = std::fs::remove_dir_all(self.project.path("out"));
        if self.job.needs_build {
            if !self.project.path("dist").exists() {
                self.project.build();
            }
            std::fs::create_dir(self.project.path("out")).unwrap();
        } else {
            let _ = std::fs::remove_dir_all(self.project.cache());
            let _ = std::fs::remove_file(self.project.path("isoforge.lock"));
        }
    }

    fn undisturbed(&self) -> Left {
        let outcome = self.project.run(self.job.arguments);
        outcome.assert_exit(0);
        self.left(&outcome.stdout)
    }

    /// What the run left; two benches have folders of their own, and nothing else. A file
    /// whose name says that it is not finished may stay where it can't be removed.
    fn left(&self, stdout: &str) -> Left {
        let folder = self.project.path(self.job.output);
        let digest = |file: &String| Digest::of(&std::fs::read(folder.join(file)).unwrap());
        let files = files_below(&folder);
        let finished = files.into_iter().filter(|file| !file.ends_with(".partial"));
        let outputs = finished.map(|file| (file.clone(), digest(&file)));
        Left {
            outputs: outputs.collect(),
            stdout: stdout.replace(&self.root(), "/root"),
        }
    }

    /// The program behind `front`, which runs it.
    fn behind(&self, front: &[&str]) -> Outcome {
        let mut command = Command::new(front[0]);
        command
            .args(&front[1..])
            .arg(env!("CARGO_BIN_EXE_isoforge"));
        self.project.prepare(command.args(self.job.arguments));
        Outcome::of(
            command
                .output()
                .expect("strace and util-linux are installed"),
        )
    }

    fn root(&self) -> String {
        let home = self.project.home();
        home.parent().unwrap().display().to_string()
    }

    fn log(&self) -> String {
        self.project.home().join("calls").display().to_string()
    }

    /// All that this job can be disturbed with.
    fn disturbances(&self, left: &Left) -> Vec<Disturbance> {
        let log = self.log();
        self.behind(&["strace", "-f", "-y", "-o", &log])
            .assert_exit(0);
        let text = std::fs::read(&log).unwrap();
        let mut all = calls(&String::from_utf8_lossy(&text), &self.root());
        let mut sizes: BTreeSet<u64> = BTreeSet::new();
        for folder in [self.project.path(self.job.output), self.project.cache()] {
            let lengths = files_below(&folder)
                .into_iter()
                .map(|file| length(&folder.join(file)));
            sizes.extend(lengths.filter(|&bytes| bytes > 1).map(|bytes| bytes - 1));
        }
        let step = sizes.len().div_ceil(CUTS).max(1);
        if !left.outputs.is_empty() {
            let cuts = sizes.into_iter().step_by(step);
            all.extend(cuts.map(|bytes| Disturbance::Cut { bytes }));
        }
        self.prepare();
        all
    }

    /// One disturbed run and an undisturbed one; gives whether the fault happened, or
    /// what was wrong.
    fn try_one(&self, disturbance: &Disturbance, wanted: &Left) -> Result<bool, String> {
        let log = self.log();
        let (happened, outcome) = match disturbance {
            Disturbance::Call {
                call,
                fault,
                number,
                ..
            } => {
                let inject = format!("inject={call}:error={fault}:when={number}");
                let trace = format!("trace={call}");
                let front = ["strace", "-f", "-o", &log, "-e", &trace, "-e", &inject];
                let outcome = self.behind(&front);
                let text = std::fs::read(&log).unwrap();
                let injected = String::from_utf8_lossy(&text).contains("(INJECTED)");
                (injected, outcome)
            }
            Disturbance::Cut { bytes } => {
                let limit = format!("--fsize={bytes}");
                let front = ["prlimit", &limit, "env", "--ignore-signal=XFSZ"];
                let outcome = self.behind(&front);
                (outcome.code != Some(0), outcome)
            }
        };
        self.judge(&outcome, wanted)?;
        // What is there from the disturbed run is to be no obstacle; outputs are.
        let _ = std::fs::remove_dir_all(self.project.path("out"));
        if self.job.needs_build {
            std::fs::create_dir(self.project.path("out")).unwrap();
        }
        let again = self.project.run(self.job.arguments);
        if again.code != Some(0) || self.left(&again.stdout) != *wanted {
            return Err(format!("the next run: {}", again.all()));
        }
        self.project.assert_store_sound();
        self.prepare();
        Ok(happened)
    }

    fn judge(&self, outcome: &Outcome, wanted: &Left) -> Result<(), String> {
        let left = self.left(&outcome.stdout);
        if outcome.code == Some(0) {
            // What could not be printed is nobody's output.
            return match left.outputs == wanted.outputs {
                true => Ok(()),
                false => Err(format!("ended well with {:?}", left.outputs)),
            };
        }
        // 1 means a defect, 101 a panic.
        if matches!(outcome.code, None | Some(1 | 101)) || !outcome.stderr.contains("error: ") {
            return Err(outcome.all());
        }
        for (file, digest) in &left.outputs {
            if wanted.outputs.get(file) != Some(digest) {
                return Err(format!("{file} is there after {}", outcome.all()));
            }
        }
        Ok(())
    }
}

fn length(path: &Path) -> u64 {
    path.metadata().map_or(0, |metadata| metadata.len())
}

/// The calls in a log of strace, each kind on each kind of file at some places.
fn calls(log: &str, root: &str) -> Vec<Disturbance> {
    let mut numbers: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut places: BTreeMap<(usize, String), BTreeSet<usize>> = BTreeMap::new();
    for line in log.lines() {
        let Some((thread, rest)) = line.split_once(' ') else {
            continue;
        };
        let Some((name, arguments)) = rest.trim_start().split_once('(') else {
            continue;
        };
        let Some(which) = CALLS.iter().position(|(call, _)| *call == name) else {
            continue;
        };
        let number = numbers.entry((thread, name)).or_default();
        *number += 1;
        let file = kind_of_file(arguments, root);
        places.entry((which, file)).or_default().insert(*number);
    }
    let mut all = Vec::new();
    for ((which, file), numbers) in places {
        let (call, faults) = CALLS[which];
        let numbers: Vec<usize> = numbers.into_iter().collect();
        let last = numbers.len() - 1;
        let chosen: BTreeSet<usize> = (0..PLACES)
            .map(|place| numbers[place * last / (PLACES - 1)])
            .collect();
        for &fault in faults {
            all.extend(chosen.iter().map(|&number| Disturbance::Call {
                call,
                file: file.clone(),
                fault,
                number,
            }));
        }
    }
    all
}

/// The folder of the file that a call is about: of the first path among its arguments,
/// behind an open file or as text; what a digest or a clock names is left out.
fn kind_of_file(arguments: &str, root: &str) -> String {
    let opened = arguments.split_once('<').map(|(_, rest)| rest);
    let path = match arguments.starts_with("AT_FDCWD") || !arguments.contains('<') {
        true => arguments.split('"').nth(1),
        false => opened.and_then(|rest| rest.split('>').next()),
    };
    let path = path.unwrap_or("none");
    let (front, below) = match path.strip_prefix(root) {
        Some(below) => ("", below),
        None => ("outside ", path),
    };
    let folder = Path::new(below).parent().unwrap_or(Path::new(""));
    let named = |part: &std::path::Component<'_>| {
        let text = part.as_os_str().to_string_lossy();
        text.len() > 2 && !text.starts_with('.') && !text.starts_with(|c: char| c.is_ascii_digit())
    };
    let parts: Vec<_> = folder.components().filter(named).take(5).collect();
    let parts = parts.iter().map(|part| part.as_os_str().to_string_lossy());
    format!("{front}{}", parts.collect::<Vec<_>>().join("/"))
}

/// Tries all disturbances of a job on two processors, as many as `budget` has runs left;
/// gives what was wrong.
fn disturb(job: &Job, deadline: Instant, budget: &AtomicUsize) -> Vec<String> {
    let benches = [Bench::new(job), Bench::new(job)];
    let wanted = benches[0].undisturbed();
    benches[0].prepare();
    let all = benches[0].disturbances(&wanted);
    let (done, happened) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let takes_one = |left: usize| left.checked_sub(1);
    let wrong = on_each(&benches, &all, |bench, one| {
        let granted = budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, takes_one);
        if granted.is_err() || Instant::now() > deadline {
            return Ok(());
        }
        done.fetch_add(1, Ordering::Relaxed);
        let did = bench.try_one(one, &wanted).map_err(|text| {
            let _ = std::fs::remove_dir_all(bench.project.path("dist"));
            let _ = std::fs::remove_dir_all(bench.project.cache());
            bench.prepare();
            format!("{}, {one}: {text}", job.name)
        })?;
        happened.fetch_add(usize::from(did), Ordering::Relaxed);
        Ok(())
    });
    println!(
        "{}: {} of {} disturbed runs, {} faults happened",
        job.name,
        done.into_inner(),
        all.len(),
        happened.into_inner()
    );
    wrong
}

#[test]
fn whatever_call_fails_nothing_is_lost_and_nothing_is_partial() {
    if !is_long("faults-injected") {
        return;
    }
    let deadline = Instant::now() + MAX_TIME;
    let budget = AtomicUsize::new(MAX_RUNS);
    let jobs = JOBS.iter();
    let wrong: Vec<String> = jobs
        .flat_map(|job| disturb(job, deadline, &budget))
        .collect();
    assert_nothing_wrong(&wrong);
}

#[test]
fn a_log_of_calls_gives_each_kind_once_for_each_kind_of_file() {
    let log = "\
11 openat(AT_FDCWD, \"/t/cache/v1/blobs/aa/1234\", O_RDONLY) = 3</t/cache/v1/blobs/aa/1234>
11 read(3</t/cache/v1/blobs/aa/1234>, \"x\", 10) = 1
11 read(3</t/cache/v1/blobs/aa/1234>, \"x\", 10 <unfinished ...>
12 read(4</t/cache/v1/slabs/5678>, \"x\", 10) = 1
11 <... read resumed>) = 0
11 brk(NULL) = 0
";
    let all: Vec<_> = calls(log, "/t").iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(all.join("\n"), @r#"
    EIO of openat 1 on cache/blobs
    ENOSPC of openat 1 on cache/blobs
    EINTR of openat 1 on cache/blobs
    EIO of read 1 on cache/blobs
    EIO of read 2 on cache/blobs
    EINTR of read 1 on cache/blobs
    EINTR of read 2 on cache/blobs
    EIO of read 1 on cache/slabs
    EINTR of read 1 on cache/slabs
    "#);
}
