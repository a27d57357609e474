//! Standard error, shared between log lines and progress bars.
//!
//! This is the crate's only global, because a process has only one terminal.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::LazyLock;
use std::time::Instant;

use indicatif::{FormattedDuration, MultiProgress};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

use crate::plain;

static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Returns the set of all progress bars. They are hidden unless standard error is a terminal.
pub(crate) fn bars() -> &'static MultiProgress {
    &BARS
}

/// Whether standard error is a terminal, so that a person may be watching.
pub(crate) fn is_watched() -> bool {
    io::stderr().is_terminal()
}

/// Starts logging to standard error, at the level of `RUST_LOG` or else `info`. A second call has no effect.
pub(crate) fn start_log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_timer(Uptime(Instant::now()))
        .with_target(false)
        .with_writer(|| BesideBars)
        // It would report a failed write with `eprintln!`, which panics when standard error is closed.
        .log_internal_errors(false)
        .try_init();
    // This fails only if a log is running already, which is fine.
    drop(started);
}

/// The time since the stage began, `00:03:22`: what a person compares with a clock.
struct Uptime(Instant);

impl FormatTime for Uptime {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        write!(writer, "{}", FormattedDuration(self.0.elapsed()))
    }
}

/// A writer to standard error that hides the progress bars while it writes, so that they do not overwrite the line.
struct BesideBars;

impl Write for BesideBars {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Each call gets one whole event, with a line break at its end.
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
