//! The failure of a stage: an exit code, one message for a person, and possibly a hint.
//!
//! A library says what went wrong; the stage decides which [`Exit`] that is, with [`ResultExt`] or a
//! constructor of [`Failure`]. There is deliberately no `From<std::io::Error>`: such an error does not name its
//! path, so the stage has to.

use std::error::Error;
use std::fmt;
use std::io::Write;
use std::process::ExitCode;

use dataset::ErrorClass;

use crate::plain;

/// The exit code of a process. The numbers are those of `sysexits.h`, so that `make` and a scheduler can tell the cases
/// apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// The work is done, or was already done.
    Ok = 0,
    /// The command line is wrong.
    Usage = 64,
    /// An input has bad contents; running again will not help.
    Data = 65,
    /// A service that the stage needs, such as a model server, does not answer.
    Unavailable = 69,
    /// The program has a bug.
    Bug = 70,
    /// Reading or writing failed, for example with a full disk or a missing permission.
    Io = 74,
    /// Another process holds the dataset, or an input is not complete yet.
    TryAgain = 75,
    /// A preset is missing, malformed, or has a wrong key or value.
    Config = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// The reason a stage ends early. It is printed once, by [`crate::main`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    exit: Exit,
    message: String,
    hint: Option<String>,
}

impl Failure {
    fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None }
    }

    /// A failure because the arguments ask for something impossible (exit 64).
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// A failure because an input is bad (exit 65). The message should name the file and the place in it.
    pub fn data(message: impl Into<String>) -> Self {
        Self::new(Exit::Data, message)
    }

    /// A failure because a service does not answer (exit 69). The message should name its address.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Exit::Unavailable, message)
    }

    /// A failure because of a bug in the program (exit 70). Asks the user to report it.
    pub fn bug(message: impl fmt::Display) -> Self {
        let ask = "this is a bug, please report it with the command line";
        Self::new(Exit::Bug, format!("{message} ({ask})"))
    }

    /// A failure of reading or writing (exit 74). The message should name the path.
    pub fn io(message: impl Into<String>) -> Self {
        Self::new(Exit::Io, message)
    }

    /// A failure after which the same command may work later (exit 75).
    pub fn try_again(message: impl Into<String>) -> Self {
        Self::new(Exit::TryAgain, message)
    }

    /// A failure because a preset is wrong (exit 78). The message should name the file and the key.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(Exit::Config, message)
    }

    /// Puts the file or folder that the failure is about in front of its message.
    #[must_use]
    pub fn within(mut self, place: impl fmt::Display) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }

    /// Adds a hint on what to do about it, replacing any earlier one.
    #[must_use]
    pub fn hint(mut self, text: impl Into<String>) -> Self {
        self.hint = Some(text.into());
        self
    }

    /// Returns the exit code with which this failure ends the process.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// Writes `error: <stage>: message`, and `hint: ...` on the next line if there is one. A failed write is
    /// ignored: there is no other place to report it, and the exit code still says what happened.
    pub(crate) fn print(&self, stage: &str, out: &mut dyn Write) {
        let safe = |text: &str| plain::one_line(text.trim_end()).into_owned();
        let hint =
            self.hint.as_ref().map_or_else(String::new, |hint| format!("hint: {}\n", safe(hint)));
        drop(write!(out, "error: {stage}: {}\n{hint}", safe(&self.message)));
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Failure {}

/// Takes the exit code from the class of the error. The message already names the path and the remedy.
impl From<dataset::Error> for Failure {
    fn from(error: dataset::Error) -> Self {
        let exit = match error.class() {
            ErrorClass::Data => Exit::Data,
            ErrorClass::Io => Exit::Io,
            ErrorClass::Locked => Exit::TryAgain,
            ErrorClass::Usage => Exit::Usage,
        };
        Self::new(exit, chain(&error))
    }
}

/// Converts a library's error to a [`Failure`], keeping the messages of the error and its sources.
///
/// A [`dataset::Error`] does not need it: its class determines the exit code, so `?` is enough.
pub trait ResultExt<T>: Sized {
    /// Converts an error to a failure with this exit code and the message `context: error: source: ...`.
    fn or_exit(self, exit: Exit, context: impl fmt::Display) -> Result<T, Failure>;

    /// [`Self::or_exit`] with [`Exit::Data`].
    fn or_data(self, context: impl fmt::Display) -> Result<T, Failure> {
        self.or_exit(Exit::Data, context)
    }

    /// [`Self::or_exit`] with [`Exit::Bug`].
    fn or_bug(self, context: impl fmt::Display) -> Result<T, Failure> {
        self.or_exit(Exit::Bug, context)
    }

    /// [`Self::or_exit`] with [`Exit::Io`].
    fn or_io(self, context: impl fmt::Display) -> Result<T, Failure> {
        self.or_exit(Exit::Io, context)
    }

    /// [`Self::or_exit`] with [`Exit::Config`].
    fn or_config(self, context: impl fmt::Display) -> Result<T, Failure> {
        self.or_exit(Exit::Config, context)
    }
}

impl<T, E: Error> ResultExt<T> for Result<T, E> {
    fn or_exit(self, exit: Exit, context: impl fmt::Display) -> Result<T, Failure> {
        self.map_err(|error| {
            let message = format!("{context}: {}", chain(&error));
            if exit == Exit::Bug { Failure::bug(message) } else { Failure::new(exit, message) }
        })
    }
}

/// Formats an error as `error: source: source of the source`. Many errors already contain the text of their
/// source, which is then not repeated.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let part = cause.to_string();
        if !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(failure: &Failure) -> String {
        let mut out = Vec::new();
        failure.print("filter", &mut out);
        String::from_utf8(out).unwrap()
    }

    #[derive(Debug)]
    struct Outer(std::num::ParseIntError);
    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("row 7 is bad")
        }
    }
    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn message_then_hint_each_once() {
        let failure = Failure::config("a.toml: no key `x`").hint("did you mean `y`?");
        assert_eq!(
            printed(&failure),
            "error: filter: a.toml: no key `x`\nhint: did you mean `y`?\n"
        );
    }

    #[test]
    fn context_keeps_every_source() {
        let error = Outer("x".parse::<i32>().unwrap_err());
        let failure = Err::<(), _>(error).or_data("prompts/train-0").unwrap_err();
        assert_eq!(failure.exit(), Exit::Data);
        assert_eq!(
            failure.to_string(),
            "prompts/train-0: row 7 is bad: invalid digit found in string"
        );
    }

    #[test]
    fn a_source_already_told_is_not_repeated() {
        let inner = "x".parse::<i32>().unwrap_err();
        let error = std::io::Error::other(inner);
        let failure = Err::<(), _>(error).or_io("out").unwrap_err();
        assert_eq!(failure.to_string(), "out: invalid digit found in string");
    }

    #[test]
    fn a_dataset_error_keeps_its_class() {
        let dir = std::path::PathBuf::from("out");
        let locked = dataset::Error::Locked { dir: dir.clone(), holder: "process 7".into() };
        let usage = dataset::Error::Usage("no such part".into());
        let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let full = dataset::Error::Io { action: "write", path: dir.clone(), source };
        let cases = [
            (locked, Exit::TryAgain),
            (usage, Exit::Usage),
            (full, Exit::Io),
            (dataset::Error::Empty { dir }, Exit::Data),
        ];
        for (error, exit) in cases {
            let message = error.to_string();
            let failure = Failure::from(error);
            assert_eq!((failure.exit(), failure.to_string()), (exit, message));
        }
    }

    #[test]
    fn a_broken_stderr_does_not_panic() {
        Failure::io("full").hint("free some space").print("search", &mut &mut [0_u8; 3][..]);
    }

    #[test]
    fn a_message_is_one_line_that_a_terminal_only_shows() {
        let failure = Failure::data("column `a\u{1b}[2J\nerror: b`").hint("try\u{7} c");
        assert_eq!(
            printed(&failure),
            "error: filter: column `a\\u{1b}[2J\\nerror: b`\nhint: try\\u{7} c\n"
        );
    }

    #[test]
    fn a_bug_asks_for_a_report() {
        assert!(printed(&Failure::bug("impossible")).contains("please report"));
    }
}
