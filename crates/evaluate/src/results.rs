//! `results.json`: the results in the output format of lm-evaluation-harness, for tools that read it.
//!
//! A split of a task is a harness task named `<task>_<split>`; a decoder is a harness filter. The file has no
//! timestamps, paths or version of this program, so equal rows give equal bytes, in whatever order they come.

use std::collections::{BTreeMap, BTreeSet};

use schema::{Evaluation, Table};
use serde_json::{Map, Value, json};

use crate::decoder::Decoder;
use crate::rank::Rank;
use crate::stats::{mean, standard_error};

/// The only metric: the share of problems with exactly the right answer.
const METRIC: &str = "exact_match";

/// The answers of one decoder, by problem id: right (1) or wrong (0).
type Problems<'a> = BTreeMap<&'a str, Vec<f64>>;

/// The decoders of one harness task, in display order.
type Decoders<'a> = BTreeMap<Rank<'a>, Problems<'a>>;

/// Builds the contents of `results.json` from all rows of one model.
///
/// `results.<task>` has `exact_match,<decoder>` (0 to 1) and `exact_match_stderr,<decoder>` (`"N/A"` for a single
/// problem). Several answers of a decoder to a problem count once, as their mean, because they are not independent
/// problems. In `n-samples.<task>`, `original` counts the problems of the split and `effective` those that every
/// decoder answered, followed by the count of each decoder. `too_long` is there if some problems were too long for the
/// models: no decoder was asked, and they count as wrong for all. `versions` is the version of the evaluations table.
pub fn results_json(rows: &[Evaluation], model: &str) -> Value {
    let (mut results, mut samples) = (Map::new(), Map::new());
    let (mut configs, mut versions) = (Map::new(), Map::new());
    let mut better = Map::new();
    for ((task, split), decoders) in grouped(rows) {
        let name = format!("{task}_{}", split.name());
        results.insert(name.clone(), scores(&name, &decoders));
        let long = rows
            .iter()
            .filter(|row| row.task == task && row.split == split.name() && is_too_long(row));
        samples.insert(name.clone(), counts(&decoders, long.count()));
        configs.insert(name.clone(), config(&name, split.name(), &decoders));
        versions.insert(name.clone(), Evaluation::VERSION.into());
        better.insert(name, json!({ METRIC: true }));
    }
    json!({
        "results": results,
        "configs": configs,
        "versions": versions,
        "higher_is_better": better,
        "n-samples": samples,
        "config": { "model": model },
        "model_name": model,
    })
}

fn grouped(rows: &[Evaluation]) -> BTreeMap<(&str, Rank<'_>), Decoders<'_>> {
    let mut tasks: BTreeMap<_, Decoders<'_>> = BTreeMap::new();
    for row in rows {
        let decoders = tasks.entry((row.task.as_str(), Rank::split(&row.split))).or_default();
        let problems = decoders.entry(Rank::decoder(&row.decoder)).or_default();
        let answers = problems.entry(row.prompt_id.as_str()).or_default();
        answers.push(f64::from(u8::from(row.correct)));
    }
    tasks
}

fn scores(name: &str, decoders: &Decoders<'_>) -> Value {
    let mut scores = Map::new();
    scores.insert("alias".to_owned(), name.into());
    for (decoder, problems) in decoders {
        // In the order of the ids: a sum of floats depends on its order, and equal rows must give equal bytes.
        let means: Vec<f64> = problems.values().filter_map(|answers| mean(answers)).collect();
        let decoder = decoder.name();
        let error = standard_error(&means).map_or_else(|| "N/A".into(), Value::from);
        scores.insert(format!("{METRIC},{decoder}"), mean(&means).into());
        scores.insert(format!("{METRIC}_stderr,{decoder}"), error);
    }
    Value::Object(scores)
}

/// Whether a row stands for a problem that was too long. Every problem has a greedy row, and only these have neither a
/// completion nor tokens.
pub(crate) fn is_too_long(row: &Evaluation) -> bool {
    Decoder::Greedy.is(&row.decoder) && row.completion.is_none() && row.tokens == Some(0)
}

fn counts(decoders: &Decoders<'_>, too_long: usize) -> Value {
    let all: BTreeSet<&str> = decoders.values().flat_map(BTreeMap::keys).copied().collect();
    let answered = |id: &&&str| decoders.values().all(|problems| problems.contains_key(**id));
    let effective = all.iter().filter(answered).count();
    let mut counts = Map::new();
    counts.insert("original".to_owned(), all.len().into());
    counts.insert("effective".to_owned(), effective.into());
    if too_long > 0 {
        counts.insert("too_long".to_owned(), too_long.into());
    }
    for (decoder, problems) in decoders {
        counts.insert(decoder.name().to_owned(), problems.len().into());
    }
    Value::Object(counts)
}

fn config(name: &str, split: &str, decoders: &Decoders<'_>) -> Value {
    let filters: Vec<Value> =
        decoders.keys().map(|decoder| json!({ "name": decoder.name() })).collect();
    let repeats = decoders.values().flat_map(BTreeMap::values).map(Vec::len).max().unwrap_or(1);
    json!({
        "task": name,
        "test_split": split,
        "output_type": "generate_until",
        "repeats": repeats,
        "metric_list": [{ "metric": METRIC, "aggregation": "mean", "higher_is_better": true }],
        "filter_list": filters,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(split: &str, decoder: &str, problem: usize, correct: bool) -> Evaluation {
        Evaluation {
            task: "world".into(),
            split: split.into(),
            prompt_id: format!("p{problem}"),
            decoder: decoder.into(),
            correct,
            ..Evaluation::default()
        }
    }

    fn rows() -> Vec<Evaluation> {
        let mut rows: Vec<_> = (0..100).map(|i| row("test", "greedy", i, i < 57)).collect();
        rows.extend((0..4).map(|i| row("test", "mcts-vote", i, i < 3)));
        rows.push(row("ood-chains", "greedy", 7, true));
        rows
    }

    #[test]
    fn a_decoder_has_its_share_and_the_harness_standard_error() {
        let found = results_json(&rows(), "round-01");
        let test = &found["results"]["world_test"];
        assert_eq!(test["alias"], "world_test");
        assert_eq!(test["exact_match,greedy"], 0.57);
        let error = test["exact_match_stderr,greedy"].as_f64().unwrap();
        assert!((error - 0.049_756_985).abs() < 1e-9, "{error}");
        assert_eq!(test["exact_match,mcts-vote"], 0.75);
        assert_eq!(test["exact_match_stderr,mcts-vote"], 0.25);
        assert_eq!(found["results"]["world_ood-chains"]["exact_match_stderr,greedy"], "N/A");
        assert_eq!(found["model_name"], "round-01");
    }

    #[test]
    fn problems_are_counted_per_decoder() {
        let found = results_json(&rows(), "m");
        let expected = json!({ "original": 100, "effective": 4, "greedy": 100, "mcts-vote": 4 });
        assert_eq!(found["n-samples"]["world_test"], expected);
        assert_eq!(found["versions"]["world_test"], 1);
        assert_eq!(found["configs"]["world_test"]["filter_list"][1]["name"], "mcts-vote");
    }

    #[test]
    fn problems_that_are_too_long_are_counted_and_wrong_for_all() {
        let mut rows = rows();
        for decoder in ["greedy", "mcts-vote"] {
            let long = Evaluation {
                tokens: Some(0),
                completion: None,
                ..row("test", decoder, 200, false)
            };
            rows.push(long);
        }
        let found = results_json(&rows, "m");
        let samples = &found["n-samples"]["world_test"];
        assert_eq!((&samples["too_long"], &samples["original"]), (&json!(1), &json!(101)));
        assert_eq!(found["results"]["world_test"]["exact_match,mcts-vote"], 0.6);
        assert!(found["n-samples"]["world_ood-chains"]["too_long"].is_null());
    }

    #[test]
    fn several_answers_to_a_problem_count_as_one_problem() {
        let mut rows: Vec<_> =
            [true, false, true, true].map(|correct| row("test", "sample", 0, correct)).into();
        rows.push(row("test", "sample", 1, false));
        let found = results_json(&rows, "m");
        assert_eq!(found["results"]["world_test"]["exact_match,sample"], 0.375);
        assert_eq!(found["n-samples"]["world_test"]["original"], 2);
        assert_eq!(found["configs"]["world_test"]["repeats"], 4);
    }

    #[test]
    fn the_order_of_the_rows_does_not_matter() {
        let mut turned = rows();
        turned.reverse();
        assert_eq!(results_json(&rows(), "m").to_string(), results_json(&turned, "m").to_string());
    }

    #[test]
    fn no_rows_are_no_results() {
        assert_eq!(results_json(&[], "m")["results"], json!({}));
    }
}
