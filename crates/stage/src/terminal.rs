//! Standard error as one thing: log lines and progress bars take turns on it.
//!
//! A terminal is the process's only one, so this is the crate's only global.

use std::io::{self, IsTerminal, Write};
use std::sync::LazyLock;

use indicatif::MultiProgress;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::uptime;

use crate::plain;

static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// All bars on screen; hidden unless standard error is a terminal.
pub(crate) fn bars() -> &'static MultiProgress {
    &BARS
}

/// Whether a person is watching standard error.
pub(crate) fn is_watched() -> bool {
    io::stderr().is_terminal()
}

/// Logs to standard error, at `RUST_LOG` or `info`. A second call changes nothing.
pub(crate) fn start_log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_timer(uptime())
        .with_target(false)
        .with_writer(|| BesideBars)
        // Its report of a failed write is an `eprintln!`, which panics when standard error is gone.
        .log_internal_errors(false)
        .try_init();
    // Fails only when a log is already running, which then goes on.
    drop(started);
}

/// Writes to standard error with the bars cleared, so that a line is never drawn over.
struct BesideBars;

impl Write for BesideBars {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // An event comes whole, with its line break at the end.
        let text = String::from_utf8_lossy(bytes);
        let event = text.strip_suffix('\n').unwrap_or(&text);
        let safe = plain::one_line(event).into_owned() + if event == text { "" } else { "\n" };
        bars().suspend(|| io::stderr().write_all(safe.as_bytes()))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
