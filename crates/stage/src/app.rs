//! The one entry and the one exit of every binary.
//!
//! Nothing below a stage's `run` may end the process, so that files are closed and locks released
//! on every way out.

use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Exit, Failure};
use crate::{plain, terminal};

/// Parses the arguments, runs the stage, prints its failure and returns its exit code.
///
/// `--help` and `--version` end with 0, a wrong command line with 64, a panic with 70.
pub fn main<A: clap::Parser>(run: impl FnOnce(A) -> Result<(), Failure>) -> ExitCode {
    survive_signals();
    let args = match A::try_parse() {
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

/// Prints what clap has to say; its own code for a wrong command line would be 2.
fn usage(error: &clap::Error) -> Exit {
    // When the output is closed there is nobody left to tell.
    if error.use_stderr() {
        let text = error.render().to_string();
        drop(io::stderr().write_all(plain::lines(&text).as_bytes()));
        return Exit::Usage;
    }
    drop(error.print());
    Exit::Ok
}

/// Makes a write past the file-size limit an error instead of a silent death.
///
/// A handler that only sets a flag replaces the default action, and needs no `unsafe` here. SIGPIPE
/// needs nothing: Rust's runtime ignores it already, so a closed pipe is an error of `write`.
fn survive_signals() {
    #[cfg(unix)]
    {
        use signal_hook::{consts::SIGXFSZ, flag};
        // Without it the stage still works, and the limit kills it as it would any program.
        drop(flag::register(SIGXFSZ, Arc::default()));
    }
}

/// Runs a stage; a panic in it becomes a [`Failure::bug`] that says where.
fn guard(run: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    let first = record_first_panic();
    let ended = panic::catch_unwind(AssertUnwindSafe(run));
    let panicked = first.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (ended, panicked) {
        (Ok(result), None) => result,
        (Ok(result), Some(place)) => {
            tracing::debug!("caught, and told as what it means: {place}");
            result
        }
        (Err(_), place) => Err(Failure::bug(place.unwrap_or_else(|| "panic".into()))),
    }
}

/// Keeps the text of the first panic of any thread: a worker's panic is the cause, and the panics of
/// those who waited for it are not. `RUST_BACKTRACE` still prints each in full.
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

/// `message at file:line:column`, in one line.
fn describe(info: &PanicHookInfo<'_>) -> String {
    let message = info.payload_as_str().unwrap_or("panic").replace('\n', " ");
    match info.location() {
        Some(place) => format!("{message} at {place}"),
        None => message,
    }
}
