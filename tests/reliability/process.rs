//! Commands that are watched: they end by themselves, or by a signal at a moment that is chosen.

use std::io::{Read, Seek};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use alphallm::root;

/// The most virtual memory of a process, in KiB: what needs more was led there by its input.
const MEMORY: usize = 8 << 20;
/// What takes longer does not end.
const LIMIT: Duration = Duration::from_mins(2);

/// Outputs name the revision that made them, whoever calls the stage.
pub(crate) const REVISION: &str = "reliability";

/// A command in a process group of its own.
#[derive(Debug)]
pub(crate) struct Process {
    command: Command,
}

/// How a command ended.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    /// Its exit code; `None` where a signal ended it.
    pub(crate) code: Option<i32>,
    /// The signal that did, 9 where it ran out of time.
    pub(crate) signal: Option<i32>,
    /// What it said, on both streams.
    pub(crate) said: String,
    /// How long it took.
    pub(crate) took: Duration,
}

impl Ended {
    /// Whether the program broke: a panic, a bug by its own word, a signal that nobody sent, or no end.
    pub(crate) fn broke(&self) -> bool {
        matches!(self.code, None | Some(70 | 101 | 134..=139)) || self.said.contains("panicked")
    }
}

/// A command of the shell, run in the repository.
pub(crate) fn shell(line: &str) -> Process {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -c 0; ulimit -v {MEMORY}; {line}")]).current_dir(root());
    command.stdin(Stdio::null()).process_group(0);
    command.env("ALPHALLM_REVISION", REVISION);
    for name in ["MAKEFLAGS", "MAKELEVEL", "MFLAGS", "OPENAI_API_KEY"] {
        command.env_remove(name);
    }
    Process { command }
}

impl Process {
    /// With a variable in its environment.
    pub(crate) fn with(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Lets it end.
    pub(crate) fn ended(self) -> Ended {
        self.until(|_| false, "KILL")
    }

    /// Sends a signal to the whole group as soon as `now` says so, told how long it has been running.
    pub(crate) fn until(mut self, mut now: impl FnMut(Duration) -> bool, signal: &str) -> Ended {
        let mut said = tempfile::tempfile().expect("a scratch file");
        let same = |file: &std::fs::File| Stdio::from(file.try_clone().expect("a second handle"));
        self.command.stdout(same(&said)).stderr(same(&said));
        let started = Instant::now();
        let mut child = self.command.spawn().expect("the shell starts");
        let mut sent = false;
        let status = loop {
            if let Some(status) = child.try_wait().expect("the child is ours") {
                break status;
            }
            let took = started.elapsed();
            if took > LIMIT {
                send(&child, "KILL");
            } else if !sent && now(took) {
                send(&child, signal);
                sent = true;
            }
            std::thread::sleep(Duration::from_micros(300));
        };
        let took = started.elapsed();
        let mut bytes = Vec::new();
        said.rewind().and_then(|()| said.read_to_end(&mut bytes)).expect("a scratch file");
        let said = String::from_utf8_lossy(&bytes).into_owned();
        Ended { code: status.code(), signal: status.signal(), said, took }
    }

    /// Starts it, for many at once.
    pub(crate) fn start(mut self) -> Child {
        self.command.stdout(Stdio::null()).stderr(Stdio::piped());
        self.command.spawn().expect("the shell starts")
    }
}

fn send(child: &Child, signal: &str) {
    let group = format!("-{}", child.id());
    // A group that has just ended is not an error.
    let mut kill = Command::new("kill");
    kill.args(["-s", signal, "--", &group]).stderr(Stdio::null()).status().ok();
}
