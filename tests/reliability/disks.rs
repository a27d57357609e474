//! Disks that fail or fill up.

use std::path::Path;
use std::process::Command;

use rand::Rng;
use rand::RngCore;
use rand::seq::{IndexedRandom, SliceRandom};

use crate::ground::{Ground, Stage, call, copy, difference, entries};
use crate::kills::is_output;
use crate::process::{Ended, shell};
use crate::shim::{ERRORS, Fault, operations};
use crate::tally::Tally;

/// Lets some of a stage's file operations fail, once or from then on.
pub(crate) fn that_fail(
    ground: &Ground,
    stage: &Stage,
    count: usize,
    shim: &Path,
    (rng, tally): (&mut dyn RngCore, &Tally),
) {
    let operations = operations(ground, stage, shim);
    let (mut writes, mut reads): (Vec<usize>, Vec<usize>) =
        (0..operations.len()).partition(|&at| {
            let operation = &operations[at];
            !operation.starts_with('R') && is_output(stage, operation)
        });
    writes.shuffle(rng);
    reads.shuffle(rng);
    let chosen = writes.into_iter().take(count).chain(reads.into_iter().take(count.div_ceil(3)));
    for at in chosen {
        ground.clear(stage);
        let error = *ERRORS.choose(rng).expect("there are some");
        let fault = Fault { at: at + 1, error, onwards: rng.random(), kill: false };
        let ended = fault.on(call(stage), &ground.run(), shim).ended();
        let outcome = says_so(ground, stage, &ended).and_then(|()| ground.recovers(stage));
        tally.tried(&format!("{}, {fault:?}, {}", stage.name, operations[at]), outcome);
    }
}

/// A stage stopped by a disk must exit with 74 and name a path; or it got by, and then its output must be right.
fn says_so(ground: &Ground, stage: &Stage, ended: &Ended) -> Result<(), String> {
    let Ended { code, said, .. } = ended;
    let names_path = said.contains(&*ground.run().to_string_lossy());
    match code {
        _ if ended.broke() => Err(format!("it broke, {code:?}: {said}")),
        Some(74) if names_path => Ok(()),
        Some(74) => Err(format!("no path is named: {said}")),
        Some(0) => difference(&ground.wanted(stage), &ground.found(stage))
            .map_or(Ok(()), |path| Err(format!("it ends with 0 and another {}", path.display()))),
        _ => Err(format!("it ends with {code:?}, not 74: {said}")),
    }
}

/// Runs a stage on file systems too small for its output, then with enough room.
///
/// Skipped without the right to mount.
pub(crate) fn that_are_full(ground: &Ground, stage: &Stage, sizes: u64, tally: &Tally) {
    if !mount(&["-t", "tmpfs", "-o", "size=256m", "tmpfs"], &ground.run()) {
        return;
    }
    let need: u64 = ground.wanted(stage).values().map(|bytes| room(bytes.len() as u64)).sum();
    for entry in entries(&ground.made()) {
        copy(&entry, &ground.run());
    }
    for i in 0..sizes {
        ground.clear(stage);
        let size = used(&ground.run()) + need * (2 * i + 1) / (2 * sizes) / 4096 * 4096;
        let limited = mount(&["-o", &format!("remount,size={size}")], &ground.run());
        let ended = call(stage).ended();
        let outcome = says_so(ground, stage, &ended);
        let widened = mount(&["-o", "remount,size=256m"], &ground.run());
        assert!(limited && widened, "a mounted file system can be resized");
        let outcome = outcome.and_then(|()| ground.recovers(stage));
        tally.tried(&format!("{}, {size} bytes", stage.name), outcome);
    }
    let status = Command::new("umount").arg(ground.run()).status();
    assert!(status.is_ok_and(|status| status.success()), "what was mounted is unmounted");
}

/// The size of a file in whole pages, in bytes.
fn room(bytes: u64) -> u64 {
    bytes.div_ceil(4096).max(1) * 4096
}

fn mount(arguments: &[&str], at: &Path) -> bool {
    let status =
        Command::new("mount").args(arguments).arg(at).stderr(std::process::Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// The bytes in use on the file system of a folder.
fn used(folder: &Path) -> u64 {
    let output = Command::new("df").args(["--output=used", "-B1"]).arg(folder).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let number = text.ok().and_then(|text| text.lines().nth(1)?.trim().parse().ok());
    number.expect("df tells what is used")
}

/// Runs a stage under limits on the size of files (`ulimit -f`, in blocks of 512 bytes).
pub(crate) fn that_are_limited(ground: &Ground, stage: &Stage, tally: &Tally) {
    for blocks in [0, 1, 8, 200, 4000] {
        ground.clear(stage);
        let ended = shell(&format!("ulimit -f {blocks}; exec {}", stage.call)).ended();
        let outcome = match ended.code {
            // With so few blocks, the message with the path does not fit either.
            Some(74) if blocks < 8 => Ok(()),
            _ => says_so(ground, stage, &ended),
        };
        let outcome = outcome.and_then(|()| ground.recovers(stage));
        tally.tried(&format!("{}, files of {blocks} blocks", stage.name), outcome);
    }
}
