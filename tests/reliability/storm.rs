//! Many processes that begin the same round at once.

use crate::ground::{Ground, difference, entries, remove};
use crate::tally::Tally;

/// Starts `count` rounds in the same folder. A process that does not get to run a stage must say that another holds it
/// (exit 75). Afterwards one more `make` must find everything complete.
pub(crate) fn of_rounds(ground: &Ground, count: usize, tally: &Tally) {
    remove(&ground.run());
    let started: Vec<_> = (0..count).map(|_| ground.make("compared", "").start()).collect();
    let ended: Vec<_> = started
        .into_iter()
        .map(|child| child.wait_with_output().expect("the child is ours"))
        .collect();
    for output in &ended {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let outcome = match output.status.code() {
            Some(0) => Ok(()),
            Some(_) if said.contains("Error 75") && !said.contains("panicked") => Ok(()),
            code => Err(format!("{code:?}: {said}")),
        };
        tally.tried("one of many rounds", outcome);
    }
    let last = ground.make("compared", "").ended();
    let outcome = match last.code {
        Some(0) => whole(ground),
        code => Err(format!("a round after all ends with {code:?}: {}", last.said)),
    };
    tally.tried("the round after them", outcome);
    ground.restore();
}

fn whole(ground: &Ground) -> Result<(), String> {
    for stage in &ground.stages {
        if let Some(path) = difference(&ground.wanted(stage), &ground.found(stage)) {
            return Err(format!("another {}", path.display()));
        }
    }
    let names = |folder| -> Vec<_> {
        entries(folder).iter().map(|path| path.file_name().map(ToOwned::to_owned)).collect()
    };
    if names(&ground.run()) == names(&ground.made()) {
        Ok(())
    } else {
        Err("the folder of the run holds other things".to_owned())
    }
}
