//! Accuracies, gains and curves, from the comparison of the models.

use std::path::Path;

use serde::{Deserialize, Serialize};
use stage::{Failure, ResultExt};

/// The label of the model that rounds are compared with.
const CONTROL: &str = "control";
/// The decoder that the gain is about.
const GREEDY: &str = "greedy";
/// The search whose vote the headline speaks of.
const VOTE: &str = "mcts-vote";

/// The fields of `evaluate compare`'s file that the page shows.
#[derive(Debug, Deserialize)]
struct Comparison {
    splits: Vec<Split>,
}

#[derive(Debug, Deserialize)]
struct Split {
    split: String,
    rows: Vec<Measured>,
}

#[derive(Debug, Deserialize)]
struct Measured {
    model: String,
    decoder: String,
    n: u64,
    accuracy: Interval,
    against_control: Option<Paired>,
    against_greedy: Option<Paired>,
    tokens: Option<f64>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct Interval {
    estimate: f64,
    low: f64,
    high: f64,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct Paired {
    n: u64,
    points: Interval,
    p: f64,
}

/// A model with a decoder on a split. Accuracies are in percent.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    split: String,
    decoder: String,
    model: String,
    n: u64,
    accuracy: f64,
    low: f64,
    high: f64,
    tokens: Option<f64>,
    against_control: Option<Difference>,
    #[serde(skip)]
    against_greedy: Option<Difference>,
}

/// A paired difference in percentage points.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Difference {
    points: f64,
    low: f64,
    high: f64,
    p: f64,
    #[serde(skip)]
    n: u64,
}

/// Accuracy against tokens of a model's decoders on a split.
#[derive(Debug, Serialize)]
pub(crate) struct Curve {
    split: String,
    model: String,
    points: Vec<Point>,
}

#[derive(Debug, Serialize)]
struct Point {
    decoder: String,
    tokens: f64,
    accuracy: f64,
    low: f64,
    high: f64,
}

impl Point {
    /// Greedy decoding on the problems that were searched, if those are fewer than all `n`: next to searches, its accuracy on
    /// other problems would mislead. Its interval on them is not in a comparison.
    fn on_the_searched(self, n: u64, rows: &[&Row]) -> Self {
        let searched = rows.iter().filter_map(|row| Some((row.accuracy, row.against_greedy?)));
        let Some((accuracy, over)) = searched.into_iter().find(|(_, over)| over.n < n) else {
            return self;
        };
        let accuracy = accuracy - over.points;
        let decoder = format!("{} (on the {} searched)", self.decoder, over.n);
        Self { decoder, accuracy, low: accuracy, high: accuracy, ..self }
    }
}

/// The first lines of the page: the gain in plain words.
#[derive(Debug, Serialize)]
pub(crate) struct Headline {
    sentences: Vec<String>,
    gain: Option<Gain>,
}

/// The gain of the last round over its control.
#[derive(Debug, Serialize)]
struct Gain {
    split: String,
    decoder: String,
    against: String,
    points: f64,
    low: f64,
    high: f64,
    p: f64,
    n: u64,
    before: f64,
    after: f64,
}

/// All accuracies, and the curves that they make.
#[derive(Debug, Default)]
pub(crate) struct Accuracies {
    pub(crate) rows: Vec<Row>,
    pub(crate) curves: Vec<Curve>,
}

/// Reads a comparison.
pub(crate) fn read(path: &Path) -> Result<Accuracies, Failure> {
    let text = std::fs::read(path).or_io(path.display())?;
    let comparison: Comparison = serde_json::from_slice(&text).or_data(path.display())?;
    let mut all = Accuracies::default();
    for Split { split, rows } in comparison.splits {
        let mut rows: Vec<Row> = rows.into_iter().map(|row| row.on(&split)).collect();
        all.curves.extend(curves(&split, &rows));
        // By decoder, and within one in the order of the models.
        let decoders = distinct(rows.iter().map(|row| row.decoder.clone()));
        rows.sort_by_key(|row| decoders.iter().position(|decoder| *decoder == row.decoder));
        all.rows.extend(rows);
    }
    Ok(all)
}

impl Measured {
    fn on(self, split: &str) -> Row {
        let difference = |Paired { n, points, p }| {
            let Interval { estimate, low, high } = points;
            Difference { points: estimate, low, high, p, n }
        };
        let Interval { estimate, low, high } = self.accuracy;
        Row {
            split: split.to_owned(),
            decoder: self.decoder,
            model: self.model,
            n: self.n,
            accuracy: estimate,
            low,
            high,
            tokens: self.tokens,
            against_control: self.against_control.map(difference),
            against_greedy: self.against_greedy.map(difference),
        }
    }
}

/// The curves of a split: one for each model that was measured with several decoders.
fn curves(split: &str, rows: &[Row]) -> Vec<Curve> {
    let of = |model: String| {
        let rows: Vec<&Row> = rows.iter().filter(|row| row.model == model).collect();
        let points = rows.iter().filter_map(|row| {
            let (decoder, tokens) = (row.decoder.clone(), row.tokens?);
            let point =
                Point { decoder, tokens, accuracy: row.accuracy, low: row.low, high: row.high };
            Some(if row.decoder == GREEDY { point.on_the_searched(row.n, &rows) } else { point })
        });
        let points: Vec<Point> = points.collect();
        (points.len() > 1).then(|| Curve { split: split.to_owned(), model, points })
    };
    distinct(rows.iter().map(|row| row.model.clone())).into_iter().filter_map(of).collect()
}

/// The values in the order of their first occurrence.
fn distinct(values: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen = Vec::new();
    for value in values {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen
}

impl Accuracies {
    /// The gain of the last round on the first split.
    pub(crate) fn headline(&self) -> Headline {
        let nothing = Headline { sentences: Vec::new(), gain: None };
        let Some(split) = self.rows.first().map(|row| row.split.as_str()) else { return nothing };
        let on = |model: &str, decoder: &str| {
            let mut rows = self.rows.iter().filter(|row| row.split == split);
            rows.find(|row| row.model == model && row.decoder == decoder)
        };
        let mut greedy = self.rows.iter().filter(|row| row.split == split && row.decoder == GREEDY);
        let Some(last) = greedy.next_back() else { return nothing };
        let (control, base) = (on(CONTROL, GREEDY), on("base", GREEDY));
        let mut sentences = Vec::new();
        if let Some(control) = control {
            sentences.push(format!(
                "{} answers {:.1} % of the problems of the split {split} right, its control {:.1} %. Both had the same number of updates; \
                 the control learned from the labelled seeds alone.",
                sentence(&last.model), last.accuracy, control.accuracy
            ));
        }
        if let Some(base) = base {
            sentences.push(format!("Before the first round it was {:.1} %.", base.accuracy));
        }
        if let Some((searched, gain)) =
            on(&last.model, VOTE).and_then(|row| Some((row, row.against_greedy?)))
        {
            sentences.push(format!(
                "A vote over search trees of {} is right on {:.1} % of {} problems, {:+.1} points over greedy answers to the same ones.",
                last.model, searched.accuracy, gain.n, gain.points
            ));
        }
        let gain = last.against_control.zip(control).map(|(difference, control)| Gain {
            split: split.to_owned(),
            decoder: GREEDY.to_owned(),
            against: CONTROL.to_owned(),
            points: difference.points,
            low: difference.low,
            high: difference.high,
            p: difference.p,
            n: difference.n,
            before: control.accuracy,
            after: last.accuracy,
        });
        Headline { sentences, gain }
    }
}

/// A label at the beginning of a sentence.
fn sentence(label: &str) -> String {
    let mut letters = label.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_from(comparison: &serde_json::Value) -> Accuracies {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("comparison.json");
        std::fs::write(&path, comparison.to_string()).unwrap();
        read(&path).unwrap()
    }

    fn row(model: &str, decoder: &str, percent: f64, gain: Option<f64>) -> serde_json::Value {
        let interval = |x: f64| json!({"estimate": x, "low": x - 2.0, "high": x + 2.0});
        let paired = gain.map(|gain| json!({"n": 100, "points": interval(gain), "p": 0.01}));
        json!({"model": model, "decoder": decoder, "n": 100, "accuracy": interval(percent), "against_control": paired,
            "against_greedy": null, "tokens": 50.0})
    }

    #[test]
    fn the_headline_is_the_last_round_s_gain_over_its_control() {
        let rows = json!([
            row("base", "greedy", 60.0, Some(-5.0)),
            row("base", "mcts-vote", 70.0, None),
            row("control", "greedy", 65.0, None),
            row("control", "mcts-vote", 71.0, None),
            row("round 1", "greedy", 70.0, Some(5.0)),
            row("round 2", "greedy", 75.0, Some(10.0)),
        ]);
        let found = read_from(&json!({"splits": [
            {"split": "test", "rows": rows},
            {"split": "other", "rows": [row("base", "greedy", 1.0, None)]},
        ]}));
        let Headline { sentences, gain } = found.headline();
        let gain = gain.unwrap();
        assert_eq!((gain.points, gain.low, gain.high, gain.n), (10.0, 8.0, 12.0, 100));
        assert_eq!((gain.before, gain.after, gain.split.as_str()), (65.0, 75.0, "test"));
        assert!(sentences[0].starts_with("Round 2 answers 75.0 %"), "{sentences:?}");
        let decoders: Vec<&str> = found.rows.iter().map(|row| row.decoder.as_str()).collect();
        assert_eq!(decoders[..4], ["greedy"; 4], "rows of a decoder are together");
        // One decoder alone makes no curve.
        let curves: Vec<&str> = found.curves.iter().map(|curve| curve.model.as_str()).collect();
        assert_eq!(curves, ["base", "control"]);
    }

    #[test]
    fn beside_searches_greedy_is_that_of_the_same_problems() {
        let mut greedy = row("base", "greedy", 60.0, None);
        greedy["n"] = json!(1000);
        let mut vote = row("base", "mcts-vote", 70.0, None);
        let points = json!({"estimate": 15.0, "low": 5.0, "high": 25.0});
        vote["against_greedy"] = json!({"n": 100, "points": points, "p": 0.01});
        let found = read_from(&json!({"splits": [{"split": "test", "rows": [greedy, vote]}]}));
        let point = &found.curves[0].points[0];
        assert_eq!(point.decoder, "greedy (on the 100 searched)");
        // Fifteen points below the search; the table has that of all problems.
        let about = |x: f64, y: f64| (x - y).abs() < 1e-9;
        assert!(about(point.accuracy, 55.0) && about(found.rows[0].accuracy, 60.0));
    }

    #[test]
    fn without_a_control_there_is_no_gain() {
        let rows = json!([row("base", "greedy", 60.0, None)]);
        let headline = read_from(&json!({"splits": [{"split": "test", "rows": rows}]})).headline();
        assert!(headline.gain.is_none());
        assert!(Accuracies::default().headline().sentences.is_empty());
    }
}
