//! Calls the binary: it is each of the stages, and says what they are.

use std::path::Path;
use std::process::Command;

use alphallm::Ended;

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn alphallm(words: &[&str]) -> Ended {
    Ended::of(Command::new(env!("CARGO_BIN_EXE_alphallm")).args(words))
}

#[test]
fn each_stage_is_there_under_its_own_name() {
    let help = alphallm(&["--help"]);
    for stage in ["synthesize", "search", "critique", "filter", "finetune", "evaluate", "report"] {
        assert_eq!(alphallm(&[stage, "--version"]).succeeds(), format!("{stage} {VERSION}\n"));
        let usage = format!("Usage: {stage} ");
        assert!(alphallm(&[stage, "--help"]).succeeds().contains(&usage), "{stage}");
        assert!(help.succeeds().contains(&format!("\n  {stage} ")), "{}", help.out);
    }
    let missing = Path::new("/nowhere/search.toml");
    let words = "search --config /nowhere/search.toml --text t --tree t --prompts p --policy p --fast-policy p \
                 --critic c --out-trajectories t --out-nodes n";
    let words: Vec<&str> = words.split_whitespace().collect();
    alphallm(&words).fails(78, &[&"search: ", &missing.display()]);
}

#[test]
fn what_is_no_stage_is_refused() {
    assert!(alphallm(&["--version"]).succeeds().starts_with(&format!("alphallm {VERSION}")));
    alphallm(&[]).fails(64, &[&"Usage: alphallm <COMMAND>", &"make round"]);
    alphallm(&["serach", "--config", "x"]).fails(64, &[&"serach", &"'search'"]);
}
