//! Turns the rows of evaluations into measurements over seeds.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    DecoderReport, Error, Lone, Measured, ModelRun, Pair, Report, Request, SeedPair, SeedShare,
    Side, SplitReport, Versus,
};
use crate::compare::Paired;
use crate::compare::measured::{Cell, Model, TestSet, paired};
use crate::decoder::Decoder;
use crate::rank::Rank;
use crate::rivals::{Priced, rival};
use crate::stats::{Pairs, Spread, mean, random_signs, wilson};

/// Every model of every seed.
struct Runs<'a> {
    seeds: Vec<&'a str>,
    models: Vec<(&'a str, Vec<Model<'a>>)>,
}

/// One model with one decoder on one test set: one measurement per seed.
struct Series<'a> {
    model: &'a str,
    cells: Vec<Cell<'a>>,
}

/// Reports runs, each of one model and one seed.
///
/// # Errors
/// Seeds that lack a model or measurement that others have, unknown models and splits, and anything that
/// [`crate::compare::compare`] refuses to pair.
pub fn report(runs: &[ModelRun], request: &Request) -> Result<Report, Error> {
    let runs = Runs::of(runs)?;
    runs.check_names(request)?;
    let test_sets = runs.test_sets(&request.splits)?;
    let splits = test_sets.into_iter().map(|test_set| split(&runs, test_set, &request.pairs));
    let splits = splits.collect::<Result<Vec<_>, _>>()?;
    check_paired(&splits, &request.pairs)?;
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let models = names(&runs.names());
    let curves = if request.curves.is_empty() { &models } else { &request.curves }.clone();
    Ok(Report {
        seeds: names(&runs.seeds),
        models,
        curves,
        splits,
        decoder_costs: Vec::new(),
        made: Vec::new(),
        brought: Vec::new(),
        critics: Vec::new(),
        kept: Vec::new(),
        costs: Vec::new(),
    })
}

fn check_paired(splits: &[SplitReport], pairs: &[Pair]) -> Result<(), Error> {
    let found = || splits.iter().flat_map(|split| &split.decoders).flat_map(|it| &it.pairs);
    let is_it =
        |pair: &Pair, it: &Versus| it.this.model == pair.model && it.other.model == pair.against;
    match pairs.iter().find(|pair| !found().any(|it| is_it(pair, it))) {
        Some(pair) => Err(Error::NothingPaired { pair: pair.clone() }),
        None => Ok(()),
    }
}

/// The distinct names, in order of first appearance.
fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = BTreeSet::new();
    names.filter(|name| seen.insert(*name)).collect()
}

impl<'a> Runs<'a> {
    fn of(runs: &'a [ModelRun]) -> Result<Self, Error> {
        let mut seen = BTreeSet::new();
        if let Some(ModelRun { seed, model, .. }) =
            runs.iter().find(|run| !seen.insert((&run.seed, &run.model)))
        {
            return Err(Error::SameRun { seed: seed.clone(), model: model.clone() });
        }
        let seeds = distinct(runs.iter().map(|run| run.seed.as_str()));
        let names = distinct(runs.iter().map(|run| run.model.as_str()));
        if seeds.is_empty() {
            return Err(Error::NoRuns);
        }
        let of_seeds = |model| {
            let of_seed = |seed: &&str| Self::find(runs, seed, model);
            Ok((model, seeds.iter().map(of_seed).collect::<Result<_, Error>>()?))
        };
        let models = names.into_iter().map(of_seeds).collect::<Result<_, Error>>()?;
        Ok(Self { seeds, models })
    }

    /// The rows of one model and one seed.
    fn find(runs: &'a [ModelRun], seed: &str, model: &str) -> Result<Model<'a>, Error> {
        let of_model = || runs.iter().filter(|run| run.model == model);
        match of_model().find(|run| run.seed == seed) {
            Some(run) => Ok(Model::of(format!("{model}, seed {seed}"), &run.rows)?),
            None => Err(Error::LacksModel {
                seed: seed.to_owned(),
                model: model.to_owned(),
                other: of_model().next().map_or_else(String::new, |run| run.seed.clone()),
            }),
        }
    }

    fn names(&self) -> Vec<&'a str> {
        self.models.iter().map(|(name, _)| *name).collect()
    }

    fn check_names(&self, request: &Request) -> Result<(), Error> {
        let of_pair = |pair: &Pair| {
            [&pair.model, &pair.against].map(|model| (format!("--pair '{pair}'"), model.clone()))
        };
        let of_curve = |model: &String| (format!("--curve '{model}'"), model.clone());
        let asked = request.pairs.iter().flat_map(of_pair);
        for (place, model) in asked.chain(request.curves.iter().map(of_curve)) {
            if !self.names().contains(&model.as_str()) {
                let known = self.names().into_iter().map(str::to_owned).collect();
                return Err(Error::UnknownModel { place, model, known });
            }
        }
        match request.pairs.iter().find(|pair| pair.model == pair.against) {
            Some(pair) => Err(Error::PairOfOne { pair: pair.clone() }),
            None => Ok(()),
        }
    }

    /// The test sets of the named splits, in display order; all test sets if none is named.
    fn test_sets(&self, splits: &[String]) -> Result<BTreeSet<TestSet<'a>>, Error> {
        let models = self.models.iter().flat_map(|(_, seeds)| seeds);
        let all: BTreeSet<TestSet<'a>> =
            models.flat_map(|model| model.test_sets.keys().copied()).collect();
        let known: BTreeSet<Rank<'a>> = all.iter().map(|(_, split)| *split).collect();
        if let Some(split) = splits.iter().find(|split| !known.contains(&Rank::split(split))) {
            let known = known.iter().map(|split| split.name().to_owned()).collect();
            return Err(Error::UnknownSplit { split: split.clone(), known });
        }
        let asked = |test_set: &TestSet<'_>| {
            splits.is_empty() || splits.iter().any(|split| split == test_set.1.name())
        };
        Ok(all.into_iter().filter(asked).collect())
    }

    /// The decoders that any model was measured with, in display order.
    fn decoders(&self, test_set: TestSet<'a>) -> BTreeSet<Rank<'a>> {
        let models = self.models.iter().flat_map(|(_, seeds)| seeds);
        models.flat_map(|model| model.decoders(test_set)).map(Rank::decoder).collect()
    }

    /// A model with a decoder in every seed; `None` if no seed has it.
    ///
    /// # Errors
    /// Some seeds have it and others do not: a mean over those that do would not be comparable.
    fn series(
        &'a self,
        test_set: TestSet<'a>,
        at: usize,
        decoder: &'a str,
    ) -> Result<Option<Series<'a>>, Error> {
        let (model, seeds) = &self.models[at];
        let found: Vec<Option<Cell<'a>>> =
            seeds.iter().map(|seed| seed.cell(test_set, decoder)).collect();
        let with = found.iter().position(Option::is_some);
        let without = found.iter().position(Option::is_none);
        if let (Some(with), Some(without)) = (with, without) {
            let split = format!("{} {}", test_set.0, test_set.1.name());
            let has_split = seeds[without].test_sets.contains_key(&test_set);
            let what = if has_split { format!("{split} with {decoder}") } else { split };
            return Err(Error::Uneven {
                model: (*model).to_owned(),
                seed: self.seeds[without].to_owned(),
                other: self.seeds[with].to_owned(),
                what,
            });
        }
        let cells: Vec<Cell<'a>> = found.into_iter().flatten().collect();
        Ok((!cells.is_empty()).then_some(Series { model, cells }))
    }
}

fn split<'a>(
    runs: &'a Runs<'a>,
    test_set: TestSet<'a>,
    pairs: &[Pair],
) -> Result<SplitReport, Error> {
    let mut decoders = Vec::new();
    for decoder in runs.decoders(test_set) {
        let all = (0..runs.models.len()).map(|at| runs.series(test_set, at, decoder.name()));
        let all: Vec<Series<'a>> = all.filter_map(Result::transpose).collect::<Result<_, _>>()?;
        // A pair is left out where only one of its models was measured; `check_paired` refuses one that is found nowhere.
        let find = |name: &str| all.iter().find(|series| series.model == name);
        let mut found = Vec::new();
        for pair in pairs {
            if let (Some(this), Some(other)) = (find(&pair.model), find(&pair.against)) {
                found.push(versus(runs, test_set, this, other)?);
            }
        }
        decoders.push(DecoderReport {
            decoder: decoder.name().to_owned(),
            models: all.iter().map(|series| measured(runs, series)).collect(),
            pairs: found,
        });
    }
    let mut against_greedy = Vec::new();
    let [mut as_many, mut twice] = [1.0, 2.0].map(AtTokens::times);
    for at in 0..runs.models.len() {
        let all =
            runs.decoders(test_set).into_iter().map(|it| runs.series(test_set, at, it.name()));
        let all: Vec<Series<'a>> = all.filter_map(Result::transpose).collect::<Result<_, _>>()?;
        let greedy = all.iter().find(|series| Decoder::Greedy.is(series.decoder()));
        for this in all.iter().filter(|series| !Decoder::Greedy.is(series.decoder())) {
            if let Some(greedy) = greedy {
                against_greedy.push(versus(runs, test_set, this, greedy)?);
            }
            as_many.add(runs, test_set, this, &all)?;
            twice.add(runs, test_set, this, &all)?;
        }
    }
    Ok(SplitReport {
        task: test_set.0.to_owned(),
        split: test_set.1.name().to_owned(),
        decoders,
        against_greedy,
        against_rival: as_many.against,
        without_rival: as_many.without,
        against_twice: twice.against,
        without_twice: twice.without,
    })
}

/// Searches paired with rivals that generate at least `times` as many tokens.
struct AtTokens {
    times: f64,
    against: Vec<Versus>,
    without: Vec<Lone>,
}

impl AtTokens {
    fn times(times: f64) -> Self {
        Self { times, against: Vec::new(), without: Vec::new() }
    }

    /// Adds a decoder if it is a search. `all` are the decoders of the same model.
    fn add(
        &mut self,
        runs: &Runs<'_>,
        test_set: TestSet<'_>,
        this: &Series<'_>,
        all: &[Series<'_>],
    ) -> Result<(), Error> {
        // By tokens averaged over the seeds, so that every seed is compared with the same rival.
        let priced: Vec<Priced<'_>> = all.iter().map(Series::priced).collect();
        match rival(this.priced(), self.times, &priced) {
            Some(Ok((at, _))) => self.against.push(versus(runs, test_set, this, &all[at])?),
            Some(Err(lacking)) => self.without.push(Lone { side: this.side(), lacking }),
            None => {}
        }
        Ok(())
    }
}

/// The results of a series on its own.
fn measured(runs: &Runs<'_>, series: &Series<'_>) -> Measured {
    let share = |(seed, cell): (&&str, &Cell<'_>)| {
        let (n, correct) = (cell.n(), cell.correct());
        let accuracy = wilson(correct, n).scaled(100.0);
        SeedShare { seed: (*seed).to_owned(), n, correct, accuracy }
    };
    let seeds: Vec<SeedShare> = runs.seeds.iter().zip(&series.cells).map(share).collect();
    let shares: Vec<f64> = seeds.iter().map(|seed| seed.accuracy.estimate).collect();
    Measured {
        model: series.model.to_owned(),
        accuracy: Spread::over(&shares).expect("there is a seed, or no series"),
        tokens: series.tokens(),
        nodes: series.average(Cell::nodes),
        seeds,
    }
}

/// Compares two series, seed by seed and over all seeds.
fn versus(
    runs: &Runs<'_>,
    test_set: TestSet<'_>,
    this: &Series<'_>,
    other: &Series<'_>,
) -> Result<Versus, Error> {
    let (mut seeds, mut by_problem) = (Vec::new(), BTreeMap::<&str, i64>::new());
    for (seed, (one, two)) in runs.seeds.iter().zip(this.cells.iter().zip(&other.cells)) {
        let paired = paired(test_set, *one, *two)?;
        let error_removed = paired.pairs.error_removed();
        seeds.push(SeedPair { seed: (*seed).to_owned(), paired, error_removed });
        // Summed by problem: seeds of one preset share their test problems, so answers to one problem are not independent.
        for (id, difference) in one.differences(*two) {
            *by_problem.entry(id).or_default() += difference;
        }
    }
    let gains: Vec<f64> = seeds.iter().map(|seed| seed.paired.points.estimate).collect();
    let removed: Option<Vec<f64>> = seeds.iter().map(|seed| seed.error_removed).collect();
    let pairs = Pairs::sum(seeds.iter().map(|seed| seed.paired.pairs));
    let partial = seeds.iter().any(|seed| seed.paired.partial);
    let problems = by_problem.len() as u64;
    Ok(Versus {
        this: this.side(),
        other: other.side(),
        gain: Spread::over(&gains).expect("there is a seed, or no series"),
        error_removed: removed.and_then(|removed| Spread::over(&removed)),
        pooled: Paired::of(pairs, partial),
        problems,
        p_by_problem: random_signs(&by_problem.into_values().collect::<Vec<_>>()),
        seeds,
    })
}

impl<'a> Series<'a> {
    fn decoder(&self) -> &'a str {
        self.cells.first().map_or("", |cell| cell.decoder)
    }

    fn side(&self) -> Side {
        Side { model: self.model.to_owned(), decoder: self.decoder().to_owned() }
    }

    /// The decoder with its tokens.
    fn priced(&self) -> Priced<'a> {
        Priced { decoder: self.decoder(), tokens: self.tokens() }
    }

    /// Generated tokens per problem.
    fn tokens(&self) -> Option<f64> {
        self.average(Cell::tokens)
    }

    /// The mean of a count over the seeds where it is recorded.
    fn average(&self, count: fn(&Cell<'a>) -> Option<f64>) -> Option<f64> {
        mean(&self.cells.iter().filter_map(count).collect::<Vec<_>>())
    }
}
