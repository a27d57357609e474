//! Settings as they are written in presets: reading, and the error messages for those that are refused.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use mcts::{Budget, Config, Importance, Merge, Width};

const GSM8K_SMALL: &str = include_str!("presets/gsm8k_small.toml");

fn problem(line: &str, instead: &str) -> String {
    assert!(GSM8K_SMALL.contains(line), "{line}");
    let text = GSM8K_SMALL.replace(line, instead);
    let config: Config = toml::from_str(&text).unwrap();
    config.validate().unwrap_err().to_string()
}

#[test]
fn reads_table_5() {
    let config: Config = toml::from_str(GSM8K_SMALL).unwrap();
    config.validate().unwrap();
    assert_eq!(config.root_width, Width { min: 10, max: 60 });
    assert_eq!(config.width, Width { min: 2, max: 10 });
    assert_eq!(config.released.importance, Importance::Value);
    assert_eq!(config.merge, Merge::EditDistance { threshold: 50, resamples: 5 });
    let budget =
        Budget { simulations: 55, min_terminals: None, nodes: None, terminals: None, tokens: None };
    assert_eq!(config.budget, budget);
}

#[test]
fn toml_and_json_round_trip() {
    let config: Config = toml::from_str(GSM8K_SMALL).unwrap();
    let text = toml::to_string(&config).unwrap();
    assert_eq!(toml::from_str::<Config>(&text).unwrap(), config);
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<Config>(&text).unwrap(), config);
}

#[test]
fn unknown_and_missing_keys_are_refused() {
    let refused = |text: String| toml::from_str::<Config>(&text).unwrap_err().to_string();
    let message = refused(format!("cpuct = 1.0\n{GSM8K_SMALL}"));
    assert!(message.contains("unknown field `cpuct`"), "{message}");
    let message = refused(format!("{GSM8K_SMALL}iterations = 3\n"));
    assert!(message.contains("unknown field `iterations`"), "{message}");
    let message = refused(GSM8K_SMALL.replace("resamples", "retries"));
    assert!(message.contains("retries"), "{message}");
    let message = refused(GSM8K_SMALL.replace("alpha = 1.0\n", ""));
    assert!(message.contains("missing field `alpha`"), "{message}");
}

#[test]
fn ranges_are_checked() {
    let not_a_real = "is not a number in [0, 1e6]";
    let cases = [
        ("exploration = 1.0", "exploration = nan", format!("`exploration` {not_a_real}")),
        ("alpha = 1.0", "alpha = -1.0", format!("`alpha` {not_a_real}")),
        ("prm = 1.0", "prm = inf", format!("`weights.prm` {not_a_real}")),
        (
            "{ min = 2,",
            "{ min = 0,",
            "`width` has min 0; a node needs a child to be searched".into(),
        ),
        ("max = 60", "max = 9", "`root_width` has min above max".into()),
        ("max_depth = 10", "max_depth = 0", "`max_depth` is 0".into()),
        (
            "in_flight = 1",
            "in_flight = 0",
            "`in_flight` is 0; 1 is one simulation after the other".into(),
        ),
        (
            "root = \"selection\"",
            "root = \"sequential_halving\"",
            "`root` is `sequential_halving`, but root_width has min below max".into(),
        ),
        (
            "rollouts = 4",
            "rollouts = 1\nsettled_variance = 0.1",
            "`settled_variance` needs 2 rollouts at least: one has no variance".into(),
        ),
        (
            "threshold = 50",
            "threshold = 0",
            "`merge.edit_distance.threshold` is 0; `off` turns merging off".into(),
        ),
        ("simulations = 55", "simulations = 0", "`budget.simulations` is 0".into()),
        (
            "simulations = 55",
            "simulations = 5\ntokens = 0",
            "`budget.tokens` is 0; leave it out for no limit".into(),
        ),
        (
            "{ value = 1.0, prm = 1.0, orm = 1.0 }",
            "{ value = 0, prm = 0, orm = 0 }",
            "`weights` are all 0".into(),
        ),
        (
            "{ value = 1.0,",
            "{ value = 0,",
            "`released.importance` is `value` but weights.value is 0: use `total`, or alpha = 0"
                .into(),
        ),
    ];
    for (line, instead, expected) in cases {
        assert_eq!(problem(line, instead), format!("search setting {expected}"));
    }
}

#[test]
fn halving_has_to_know_what_it_shares_out() {
    let halving = "root = \"sequential_halving\"";
    let fixed =
        GSM8K_SMALL.replace("max = 60", "max = 10").replace("root = \"selection\"", halving);
    let shared: Config = toml::from_str(&fixed).unwrap();
    shared.validate().unwrap();
    let unknown: Config = toml::from_str(&format!("{fixed}tokens = 500\n")).unwrap();
    assert_eq!(
        unknown.validate().unwrap_err().to_string(),
        "search setting `root` is `sequential_halving`, but budget.tokens without budget.nodes does not say what to share out"
    );
}
