//! Runs the real `main` in a child process and checks exit code, standard output and standard error, as `make` and a
//! scheduler see them. The child is this same program, which an environment variable tells to act as the child.

use std::env;
use std::io;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Output};
use std::thread;

use stage::{Failure, ResultExt};

const CHILD: &str = "STAGE_TEST_CHILD";

#[derive(clap::Parser)]
#[command(name = "toy", version)]
struct Toy {
    /// Action to perform.
    act: String,
    /// File to write.
    path: Option<PathBuf>,
}

fn run(toy: Toy) -> Result<(), Failure> {
    match toy.act.as_str() {
        "work" => stage::print_table("Done", &["rows"], &[vec!["3".into()]]),
        "refuse" => Err(Failure::data("prompts/train-0: bad row").hint("run synthesize again")),
        "panic" => panic!("lost\nthe thread"),
        "panic-in-worker" => {
            thread::scope(|scope| scope.spawn(|| panic!("the cause")).join())
                .expect("a consequence");
            Ok(())
        }
        "log" => {
            (0..100).for_each(|i| tracing::info!("line {i}"));
            Err(Failure::try_again("locked"))
        }
        "write" => {
            let path = toy.path.unwrap_or_default();
            std::fs::write(&path, vec![0; 1 << 20]).or_io(path.display())
        }
        other => Err(Failure::usage(format!("cannot {other}"))),
    }
}

fn main() -> ExitCode {
    if env::var_os(CHILD).is_some() {
        return stage::main(run);
    }
    success();
    refusals();
    panics();
    broken_outputs();
    file_size_limit();
    ExitCode::SUCCESS
}

fn command(program: &str, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).env(CHILD, "1").env_remove("RUST_BACKTRACE").env_remove("RUST_LOG");
    command
}

fn this() -> String {
    let path = env::current_exe().expect("a running program has a path");
    path.to_str().expect("cargo's target folder is UTF-8").to_owned()
}

/// Runs the command, and returns its exit code, standard output and standard error.
fn outcome(mut command: Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().expect("the child starts");
    let text = |bytes| String::from_utf8(bytes).expect("the child prints UTF-8");
    (status.code(), text(stdout), text(stderr))
}

fn success() {
    let (code, out, err) = outcome(command(&this(), &["work"]));
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), "Done\nrows\n----\n   3\n", ""));
    for flag in ["--help", "--version"] {
        let (code, out, err) = outcome(command(&this(), &[flag]));
        assert_eq!((code, out.is_empty(), err.as_str()), (Some(0), false, ""), "{flag}");
    }
}

fn refusals() {
    let (code, out, err) = outcome(command(&this(), &["refuse"]));
    assert_eq!((code, out.as_str()), (Some(65), ""));
    assert_eq!(err, "error: toy: prompts/train-0: bad row\nhint: run synthesize again\n");
    for args in [&[][..], &["work", "--no-such-flag"], &["dance"]] {
        let (code, out, err) = outcome(command(&this(), args));
        assert_eq!((code, out.as_str()), (Some(64), ""), "{args:?}");
        assert!(err.starts_with("error: "), "{err}");
    }
}

fn panics() {
    let (code, _, err) = outcome(command(&this(), &["panic"]));
    assert_eq!((code, err.lines().count()), (Some(70), 1), "{err}");
    assert!(err.starts_with("error: toy: lost the thread at ") && err.contains("exit_codes.rs:"));
    assert!(err.contains("please report"), "{err}");
    let (code, _, err) = outcome(command(&this(), &["panic-in-worker"]));
    assert_eq!((code, err.lines().count()), (Some(70), 1), "{err}");
    assert!(err.starts_with("error: toy: the cause at "), "{err}");
    let mut traced = command(&this(), &["panic"]);
    traced.env("RUST_BACKTRACE", "1");
    assert!(outcome(traced).2.contains("stack backtrace:"));
}

/// The exit code is right even if nobody reads the output, or it cannot be written.
fn broken_outputs() {
    let shell = |script: &str| outcome(command("sh", &["-c", script, &this()])).0;
    if std::path::Path::new("/dev/full").exists() {
        assert_eq!(shell(r#""$0" work > /dev/full"#), Some(74));
        assert_eq!(shell(r#""$0" log 2> /dev/full"#), Some(75));
        assert_eq!(shell(r#""$0" panic 2> /dev/full"#), Some(70));
    }
    let (reader, writer) = io::pipe().expect("a pipe");
    drop(reader);
    let mut unread = command(&this(), &["work"]);
    let status = unread.stdout(writer).status().expect("the child starts");
    assert_eq!(status.code(), Some(0));
}

/// A limit on file size leads to exit 74 with the path, and not to a kill by SIGXFSZ.
fn file_size_limit() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("big").display().to_string();
    let script = r#"ulimit -f 8; exec "$0" write "$1""#;
    let (code, _, err) = outcome(command("sh", &["-c", script, &this(), &path]));
    assert_eq!(code, Some(74), "{err}");
    assert!(err.starts_with(&format!("error: toy: {path}: ")), "{err}");
}
