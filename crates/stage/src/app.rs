//! The entry point and exit of every binary.
//!
//! No code called from a stage's `run` may end the process, so that files are closed and locks released
//! in every case.

use std::ffi::OsString;
use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Exit, Failure};
use crate::{plain, terminal};

/// Parses the arguments, runs the stage, prints any failure and returns the exit code.
///
/// `--help` and `--version` end with 0, a wrong command line with 64, a panic with 70.
pub fn main<A: clap::Parser>(run: impl FnOnce(A) -> Result<(), Failure>) -> ExitCode {
    main_of(std::env::args_os(), run)
}

/// Like [`main`], with these words as the command line. The first is the name of the binary.
pub fn main_of<A: clap::Parser>(
    words: impl IntoIterator<Item = OsString>,
    run: impl FnOnce(A) -> Result<(), Failure>,
) -> ExitCode {
    survive_signals();
    let args = match A::try_parse_from(words) {
        Ok(args) => args,
        Err(error) => return usage(&error).into(),
    };
    terminal::start_log();
    match guard(|| run(args)) {
        Ok(()) => Exit::Ok.into(),
        Err(failure) => {
            failure.print(A::command().get_name(), &mut io::stderr());
            failure.exit().into()
        }
    }
}

/// Prints the message of clap and returns the exit code. Clap's own code for a wrong command line would be 2.
fn usage(error: &clap::Error) -> Exit {
    // Failed writes are ignored: if the output is closed, there is no other place to report them.
    if error.use_stderr() {
        let text = error.render().to_string();
        drop(io::stderr().write_all(plain::lines(&text).as_bytes()));
        return Exit::Usage;
    }
    drop(error.print());
    Exit::Ok
}

/// Makes a write past the file-size limit an error, where SIGXFSZ would otherwise kill the process without a message.
///
/// A handler that only sets a flag is enough to replace the default action, and needs no `unsafe` here. Nothing is needed
/// for SIGPIPE: Rust's runtime ignores it already, so writing to a closed pipe is an ordinary error.
fn survive_signals() {
    #[cfg(unix)]
    {
        use signal_hook::{consts::SIGXFSZ, flag};
        // If this fails, the stage still works, and only the limit kills it as it would any program.
        drop(flag::register(SIGXFSZ, Arc::default()));
    }
}

/// Runs a stage. A panic in it becomes a [`Failure::bug`] that names the place in the source.
fn guard(run: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    let first = record_first_panic();
    // Nothing that the stage left half-changed is used after a panic: the process only reports it and ends.
    let ended = panic::catch_unwind(AssertUnwindSafe(run));
    let panicked = first.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (ended, panicked) {
        (Ok(result), None) => result,
        // A panic that was caught, such as one of the Parquet library on a bad file, is an ordinary error.
        (Ok(result), Some(place)) => {
            tracing::debug!("caught, and told as what it means: {place}");
            result
        }
        (Err(_), place) => Err(Failure::bug(place.unwrap_or_else(|| "panic".into()))),
    }
}

/// Records the message of the first panic in any thread. The first one is the cause; others follow in threads that
/// were waiting for that one. With `RUST_BACKTRACE` each is still printed in full.
fn record_first_panic() -> Arc<Mutex<Option<String>>> {
    let first = Arc::new(Mutex::new(None));
    let slot = Arc::clone(&first);
    let default = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0") {
            default(info);
        }
        slot.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| describe(info));
    }));
    first
}

/// Formats a panic as `message at file:line:column`, on one line.
fn describe(info: &PanicHookInfo<'_>) -> String {
    let message = info.payload_as_str().unwrap_or("panic").replace('\n', " ");
    match info.location() {
        Some(place) => format!("{message} at {place}"),
        None => message,
    }
}
