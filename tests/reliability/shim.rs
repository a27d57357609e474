//! Failing file operations, by preloading the library `faults.c` into a stage.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::ground::{Ground, Stage, call, remove};
use crate::process::Process;

/// The error numbers that a disk gives: EIO and ENOSPC.
pub(crate) const ERRORS: [i32; 2] = [5, 28];

/// A fault to inject.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Fault {
    /// The number of the operation, from 1; 0 injects none.
    pub(crate) at: usize,
    /// The error number that the operation gives.
    pub(crate) error: i32,
    /// Whether all later operations fail too.
    pub(crate) onwards: bool,
    /// Whether to kill the process at the operation instead.
    pub(crate) kill: bool,
}

impl Fault {
    /// Injects the fault into `command`, for paths below `folder`.
    pub(crate) fn on(self, command: Process, folder: &Path, shim: &Path) -> Process {
        let mut command = command
            .with("LD_PRELOAD", shim)
            .with("FAULT_PATH", folder)
            .with("FAULT_AT", self.at.to_string())
            .with("FAULT_ERRNO", self.error.to_string());
        if self.onwards {
            command = command.with("FAULT_FROM", "1");
        }
        if self.kill {
            command = command.with("FAULT_KILL", "1");
        }
        command
    }
}

/// Compiles the library.
pub(crate) fn build(folder: &Path) -> PathBuf {
    let library = folder.join("faults.so");
    let source = alphallm::root().join("tests/reliability/faults.c");
    let status = Command::new("cc")
        .args(["-O1", "-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(source)
        .args(["-ldl", "-lpthread"])
        .status();
    assert!(status.is_ok_and(|status| status.success()), "faults.c is compiled");
    library
}

/// Lists the file operations of a stage that starts from nothing, in the folder of the run: a letter and a path each.
pub(crate) fn operations(ground: &Ground, stage: &Stage, shim: &Path) -> Vec<String> {
    ground.clear(stage);
    let log = ground.scratch("operations");
    remove(&log);
    let fault = Fault { at: 0, ..Fault::default() };
    let ended = fault.on(call(stage), &ground.run(), shim).with("FAULT_LOG", &log).ended();
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let text = std::fs::read_to_string(&log).expect("the library writes its log");
    text.lines().map(str::to_owned).collect()
}
