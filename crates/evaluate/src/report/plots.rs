//! The charts of a report.
//!
//! - `rounds.<task>.<split>.svg`: accuracy by round, for greedy decoding and the vote of each tree, like the paper's
//!   Figure 2.
//! - `models.<task>.<split>.svg`: the same by model, in the order given, if no name ends in a round number.
//! - `tokens.<task>.<split>.<model>.svg`: accuracy over generated tokens, by decoder.

use std::collections::BTreeMap;

use decoding::Pick;

use super::chart::{Chart, Point, Scale, Series, Style};
use super::{DecoderReport, Measured, Report, SplitReport, draw};
use crate::decoder::Decoder;
use crate::rank::Rank;

/// The vote among the solutions of a tree.
const VOTE: Decoder = Decoder::Tree(Pick::Vote);

/// A chart as a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plot {
    /// The task of the chart.
    pub task: String,
    /// The split of the chart.
    pub split: String,
    /// The title.
    pub title: String,
    /// The file name.
    pub file: String,
    /// The contents.
    pub svg: String,
}

/// The charts of a report. For each split, one of accuracy by round or by model, then one of accuracy over tokens for
/// each requested model with several decoders. Charts without data are left out.
pub fn plots(report: &Report) -> Vec<Plot> {
    let mut plots = Vec::new();
    for split in &report.splits {
        if shown(split).any(|it| it.models.iter().any(|it| series_of(&it.model).1 > 0)) {
            plots.extend(by_round(split).map(|chart| plot(split, "rounds", None, &chart)));
        } else {
            let chart = by_model(split, &report.models);
            plots.extend(chart.map(|chart| plot(split, "models", None, &chart)));
        }
        for model in &report.curves {
            let chart = over_tokens(split, model);
            plots.extend(chart.map(|chart| plot(split, "tokens", Some(model), &chart)));
        }
    }
    plots
}

fn plot(split: &SplitReport, kind: &str, model: Option<&str>, chart: &Chart) -> Plot {
    let names = [&split.task, &split.split].map(String::as_str).into_iter().chain(model);
    let names: Vec<String> = names.map(file_name).collect();
    Plot {
        task: split.task.clone(),
        split: split.split.clone(),
        title: chart.title.clone(),
        file: format!("{kind}.{}.svg", names.join(".")),
        svg: draw::svg(chart),
    }
}

/// Encodes a name for use in a file name. Distinct names stay distinct, because every special byte gets its own code.
fn file_name(name: &str) -> String {
    let piece = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => char::from(byte).to_string(),
        // `_` itself is encoded too, so that no two names collide.
        byte => format!("_{byte:02x}"),
    };
    name.bytes().map(piece).collect()
}

/// The decoders plotted by model: greedy and the vote of a tree.
fn shown(split: &SplitReport) -> impl Iterator<Item = &DecoderReport> {
    split.decoders.iter().filter(|it| Decoder::Greedy.is(&it.decoder) || VOTE.is(&it.decoder))
}

/// The decoders plotted by round: also the votes of search variants that the rounds were measured with.
fn shown_by_round(split: &SplitReport) -> impl Iterator<Item = &DecoderReport> {
    let votes = |decoder: &str| Decoder::of(decoder) == Some(VOTE);
    split.decoders.iter().filter(move |it| Decoder::Greedy.is(&it.decoder) || votes(&it.decoder))
}

/// The chart of models side by side, with a series per decoder.
fn by_model(split: &SplitReport, models: &[String]) -> Option<Chart> {
    let has = |it: &DecoderReport, model: &String| it.models.iter().any(|it| it.model == *model);
    let is_shown = |model: &&String| shown(split).any(|it| has(it, model));
    let names: Vec<String> = models.iter().filter(is_shown).cloned().collect();
    let series = shown(split).enumerate().map(|(at, decoder)| {
        let points = decoder.models.iter().filter_map(|model| {
            let place = names.iter().position(|name| *name == model.model)?;
            Some(point(place as f64, model, ""))
        });
        Series {
            name: decoder.decoder.clone(),
            style: Style { colour: at, shape: at, dashed: false },
            joined: false,
            start: None,
            points: points.collect(),
        }
    });
    let series: Vec<Series> = series.collect();
    let title = format!("{}: {}, by model", split.task, split.split);
    let (over, scale) = ("model".to_owned(), Scale::Names(names));
    (!series.is_empty()).then_some(Chart { title, over, scale, series })
}

/// The chart by round. Models whose names end in a number are the rounds of a series; the others are at 0. If there is
/// exactly one model at 0, the lines of all series start from it.
fn by_round(split: &SplitReport) -> Option<Chart> {
    let mut names: Vec<&str> = Vec::new();
    let mut series = Vec::new();
    for (shape, decoder) in shown_by_round(split).enumerate() {
        let groups = groups(decoder);
        let start = start(&groups).map(|group| series.len() + group);
        for (name, models) in groups {
            // A series keeps its colour in every decoder; the shape tells the decoders apart.
            let colour = names.iter().position(|known| *known == name).unwrap_or_else(|| {
                names.push(name);
                names.len() - 1
            });
            series.push(Series {
                name: format!("{name}, {}", decoder.decoder),
                style: Style { colour, shape, dashed: !Decoder::Greedy.is(&decoder.decoder) },
                joined: models.iter().any(|(round, _)| *round > 0),
                start: start.filter(|_| models.iter().all(|(round, _)| *round > 0)),
                points: models
                    .iter()
                    .map(|(round, model)| point(f64::from(*round), model, ""))
                    .collect(),
            });
        }
    }
    let title = format!("{}: {}, by round", split.task, split.split);
    let over = "round".to_owned();
    (!series.is_empty()).then_some(Chart { title, over, scale: Scale::Rounds, series })
}

/// The models of one series, by round.
type Group<'a> = (&'a str, Vec<(u32, &'a Measured)>);

fn groups(decoder: &DecoderReport) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for model in &decoder.models {
        let (name, round) = series_of(&model.model);
        match groups.iter_mut().find(|(known, _)| *known == name) {
            Some((_, models)) => models.push((round, model)),
            None => groups.push((name, vec![(round, model)])),
        }
    }
    for (_, models) in &mut groups {
        models.sort_by_key(|(round, _)| *round);
    }
    groups
}

/// Splits `round 2` into `round` and 2; names without a number are round 0.
fn series_of(model: &str) -> (&str, u32) {
    let numbered =
        model.rsplit_once(' ').and_then(|(name, round)| Some((name, round.parse().ok()?)));
    numbered.unwrap_or((model, 0))
}

/// The index of the only series with a model at round 0; `None` if there are several, since a line could then start at
/// any of them.
fn start(groups: &[Group<'_>]) -> Option<usize> {
    let at_zero = |(_, models): &Group<'_>| models.iter().any(|(round, _)| *round == 0);
    let mut found = groups.iter().enumerate().filter(|(_, group)| at_zero(group));
    let (only, _) = found.next()?;
    found.next().is_none().then_some(only)
}

/// The chart of accuracy over tokens. A decoder with several numbers of samples is a line; variants of a search are
/// labelled marks. `None` for a single decoder.
fn over_tokens(split: &SplitReport, model: &str) -> Option<Chart> {
    let mut kinds: BTreeMap<Rank<'_>, Vec<(&str, &Measured)>> = BTreeMap::new();
    for decoder in &split.decoders {
        let (kind, variant) = decoder.decoder.split_once('@').unwrap_or((&decoder.decoder, ""));
        let measured = decoder.models.iter().find(|it| it.model == model && it.tokens.is_some());
        if let Some(measured) = measured {
            kinds.entry(Rank::decoder(kind)).or_default().push((variant, measured));
        }
    }
    let series = kinds.into_iter().enumerate().map(|(at, (kind, variants))| {
        let samples = |(variant, _): &(&str, &Measured)| variant.parse::<u32>().is_ok();
        let price =
            |(variant, it): &(&str, &Measured)| point(it.tokens.unwrap_or(0.0), it, variant);
        Series {
            name: kind.name().to_owned(),
            style: Style { colour: at, shape: at, dashed: false },
            joined: variants.len() > 1 && variants.iter().all(samples),
            start: None,
            points: variants.iter().map(price).collect(),
        }
    });
    let series: Vec<Series> = series.collect();
    let title = format!("{}: {}, {model}, by decoder", split.task, split.split);
    let over = "generated tokens per problem".to_owned();
    let several = series.iter().map(|series| series.points.len()).sum::<usize>() > 1;
    several.then_some(Chart { title, over, scale: Scale::Logarithm, series })
}

fn point(x: f64, measured: &Measured, label: &str) -> Point {
    let accuracy = measured.accuracy;
    Point { x, y: accuracy.mean, whisker: accuracy.interval, label: label.to_owned() }
}
