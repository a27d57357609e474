//! Commands under observation: they end on their own, or by a signal at a chosen moment.

use std::io::{Read, Seek};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use alphallm::root;

/// Limit on the virtual memory of a process, in KiB (8 GiB): beyond it, a bad input has made a stage allocate without
/// bound.
const MEMORY: usize = 8 << 20;
/// A process that takes longer than this is taken to hang.
const LIMIT: Duration = Duration::from_mins(2);

/// The revision recorded in every output. It is fixed so that outputs are the same bytes whether make or a test calls the
/// stage.
pub(crate) const REVISION: &str = "reliability";

/// A command in its own process group.
#[derive(Debug)]
pub(crate) struct Process {
    command: Command,
}

/// How a command ended.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    /// The exit code; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    /// The signal that ended it: 9 if it ran out of time.
    pub(crate) signal: Option<i32>,
    /// Its output, both streams together.
    pub(crate) said: String,
    /// How long it took.
    pub(crate) took: Duration,
}

impl Ended {
    /// Whether the program itself broke: a panic, a self-reported bug, a crash or no end.
    pub(crate) fn broke(&self) -> bool {
        matches!(self.code, None | Some(70 | 101 | 134..=139)) || self.said.contains("panicked")
    }
}

/// A shell command, run in the root of the repository.
pub(crate) fn shell(line: &str) -> Process {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -c 0; ulimit -v {MEMORY}; {line}")]).current_dir(root());
    // Its own group, so that a signal reaches make and all stages below it.
    command.stdin(Stdio::null()).process_group(0);
    command.env("ALPHALLM_REVISION", REVISION);
    for name in ["MAKEFLAGS", "MAKELEVEL", "MFLAGS", "OPENAI_API_KEY"] {
        command.env_remove(name);
    }
    Process { command }
}

impl Process {
    /// Sets an environment variable.
    pub(crate) fn with(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Waits until it ends.
    pub(crate) fn ended(self) -> Ended {
        self.until(|_| false, "KILL")
    }

    /// Sends `signal` to the whole group as soon as `now`, called with the time since the start, returns true.
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
            // Polled often, so as to hit moments as short as a commit.
            std::thread::sleep(Duration::from_micros(300));
        };
        let took = started.elapsed();
        let mut bytes = Vec::new();
        said.rewind().and_then(|()| said.read_to_end(&mut bytes)).expect("a scratch file");
        let said = String::from_utf8_lossy(&bytes).into_owned();
        Ended { code: status.code(), signal: status.signal(), said, took }
    }

    /// Starts it in the background, for many at once.
    pub(crate) fn start(mut self) -> Child {
        self.command.stdout(Stdio::null()).stderr(Stdio::piped());
        self.command.spawn().expect("the shell starts")
    }
}

fn send(child: &Child, signal: &str) {
    let group = format!("-{}", child.id());
    // The group may just have ended, which is not an error.
    let mut kill = Command::new("kill");
    kill.args(["-s", signal, "--", &group]).stderr(Stdio::null()).status().ok();
}
