//! Renders a report as markdown.

use super::{
    BroughtCounts, CriticReport, DecoderCost, DecoderReport, KeptReport, Lone, MadeCounts,
    Measured, OfOperator, Plot, Report, SeedAudit, SplitReport, StageCost, Versus,
};
use critic::quality;

use crate::compare::Reason;
use crate::cost::MeanCost;
use crate::format::{none, one, p_value, range, signed_range};
use crate::rivals::{self, WithoutRival};
use crate::stats::Spread;

/// The notes on how to read the numbers.
const NOTES: &str = "\
Right answers in percent. Intervals are 95 %: those of a mean are Student's over seeds; those of one seed and of all \
pooled are Newcombe's for paired differences, in percentage points. p is McNemar's exact two-sided test, not corrected \
for the number of comparisons. `pooled` puts the problems of all seeds together: it says how sure the gain of these \
models is, the interval of the mean how sure that of another seed is. Where seeds share problems `pooled` takes them \
for different ones and is too sure; `by problem` is then the exact test by random signs of each problem's sum over \
seeds. `error removed` is the share of the other's errors that are gone. Tokens (those generated) and nodes are per \
problem, means over seeds.";

/// Renders the report as a markdown page with its plots.
pub fn markdown(report: &Report, plots: &[Plot]) -> String {
    let mut blocks = vec!["# Report".to_owned(), NOTES.to_owned()];
    for split in &report.splits {
        blocks.push(format!("## {}: {}", escaped(&split.task), escaped(&split.split)));
        let is_its = |plot: &&Plot| plot.task == split.task && plot.split == split.split;
        let image = |plot: &Plot| format!("![{}]({})", escaped(&plot.title), plot.file);
        blocks.extend(plots.iter().filter(is_its).map(image));
        if let [model] = report.models.as_slice() {
            blocks.push(format!("### {}", escaped(model)));
            blocks.push(by_decoder(&report.seeds, split));
        } else {
            blocks.extend(split.decoders.iter().flat_map(|it| by_model(&report.seeds, it)));
        }
        blocks.extend(against_greedy(&split.against_greedy));
        blocks.extend(against_rivals("as many", &split.against_rival, &split.without_rival));
        // Unmeasured rivals were already named above, for equal tokens.
        let too_few = split.without_twice.iter().filter(|it| it.lacking.reason == Reason::Cheaper);
        let too_few: Vec<Lone> = too_few.cloned().collect();
        blocks.extend(against_rivals("twice as many", &split.against_twice, &too_few));
    }
    blocks.extend(decoder_costs(&report.decoder_costs));
    blocks.extend(imagination(&report.made, &report.brought));
    blocks.extend(critics(&report.critics));
    blocks.extend(kept(&report.kept));
    blocks.extend(costs(&report.costs));
    blocks.join("\n\n") + "\n"
}

/// A section on one decoder: the accuracies, then the requested pairs of models.
fn by_model(seeds: &[String], decoder: &DecoderReport) -> Vec<String> {
    let title = format!("### {}", escaped(&decoder.decoder));
    let pairs = decoder.pairs.iter().flat_map(pair);
    [title, shares(seeds, decoder)].into_iter().chain(pairs).collect()
}

/// The table of decoders by seeds, used if there is only one model.
fn by_decoder(seeds: &[String], split: &SplitReport) -> String {
    let header = ["mean", "95 % interval", "problems", "tokens", "nodes"].map(str::to_owned);
    let of_seeds = seeds.iter().map(|seed| format!("seed {seed}"));
    let mut rows = vec![["decoder".to_owned()].into_iter().chain(of_seeds).chain(header).collect()];
    let measured = split.decoders.iter().flat_map(|it| it.models.iter().map(move |m| (it, m)));
    rows.extend(measured.map(|(decoder, it)| {
        let shares = it.seeds.iter().map(|seed| one(Some(seed.accuracy.estimate)));
        let mean = [one(Some(it.accuracy.mean)), over_seeds(it), problems(it)];
        let cost = [one(it.tokens), one(it.nodes)];
        let name = [decoder.decoder.clone()].into_iter();
        name.chain(shares).chain(mean).chain(cost).collect::<Vec<_>>()
    }));
    table(&rows)
}

/// The table of seeds by models, followed by mean, interval, problems, tokens and nodes.
fn shares(seeds: &[String], decoder: &DecoderReport) -> String {
    let models = &decoder.models;
    let row = |first: &str, cell: &dyn Fn(&Measured) -> String| {
        let cells = models.iter().map(cell);
        [first.to_owned()].into_iter().chain(cells).collect::<Vec<_>>()
    };
    let mut rows = vec![row("seed", &|it| it.model.clone())];
    for (at, seed) in seeds.iter().enumerate() {
        rows.push(row(seed, &|it| one(it.seeds.get(at).map(|seed| seed.accuracy.estimate))));
    }
    rows.push(row("mean", &|it| one(Some(it.accuracy.mean))));
    rows.push(row("95 % interval", &over_seeds));
    rows.push(row("problems", &problems));
    rows.push(row("tokens", &|it| one(it.tokens)));
    rows.push(row("nodes", &|it| one(it.nodes)));
    table(&rows)
}

/// The interval of a model's mean over seeds.
fn over_seeds(measured: &Measured) -> String {
    measured.accuracy.interval.map_or_else(none, |[low, high]| range(low, high))
}

/// The number of problems per seed, or the range if it differs.
fn problems(measured: &Measured) -> String {
    let counts = || measured.seeds.iter().map(|seed| seed.n);
    match (counts().min(), counts().max()) {
        (Some(least), Some(most)) if least < most => format!("{least} to {most}"),
        (Some(n), _) => n.to_string(),
        (None, _) => none(),
    }
}

/// The table of a pair: each seed, the mean over seeds, and all seeds pooled.
fn pair(pair: &Versus) -> Vec<String> {
    let header = ["seed", "gain", "95 % interval", "p", "paired", "error removed %"];
    let mut rows = vec![header.map(str::to_owned).into()];
    for seed in &pair.seeds {
        let points = seed.paired.points;
        rows.push(vec![
            seed.seed.clone(),
            format!("{:+.1}", points.estimate),
            signed_range(points.low, points.high),
            p_value(seed.paired.p),
            seed.paired.n.to_string(),
            one(seed.error_removed),
        ]);
    }
    let empty = String::new;
    let removed = one(pair.error_removed.map(|removed| removed.mean));
    rows.push(vec!["mean".to_owned(), gain(pair), interval(pair.gain), empty(), empty(), removed]);
    let pooled = &pair.pooled;
    rows.push(vec![
        "pooled".to_owned(),
        format!("{:+.1}", pooled.points.estimate),
        signed_range(pooled.points.low, pooled.points.high),
        p_value(pooled.p),
        pooled.n.to_string(),
        one(pooled.pairs.error_removed()),
    ]);
    // Otherwise this test is McNemar's, which the row above has.
    if pair.shares_problems() {
        let (p, problems) = (p_value(pair.p_by_problem), pair.problems.to_string());
        rows.push(vec!["by problem".to_owned(), empty(), empty(), p, problems, empty()]);
    }
    let title = format!("{} against {}:", escaped(&pair.this.model), escaped(&pair.other.model));
    vec![title, table(&rows)]
}

/// The table of decoders against greedy of the same model.
fn against_greedy(decoders: &[Versus]) -> Vec<String> {
    over_all("Against greedy of the same model", ABOUT, decoders)
}

/// The table of searches against their rivals at `many` tokens, then the searches without one.
fn against_rivals(many: &str, searches: &[Versus], without: &[Lone]) -> Vec<String> {
    let title = format!(
        "Against samples of the same model, picked from in the same way, with {many} tokens"
    );
    let about = format!(
        "A vote against `orm-vote`, the best by the ORM against `best-of-n`, a leaf of a tree against `best-leaf`: each \
         the cheapest that generates at least {many}. {ABOUT}"
    );
    let mut blocks = over_all(&title, &about, searches);
    let compared = searches.iter().map(|it| (&it.this, None));
    let all = compared.chain(without.iter().map(|it| (&it.side, Some(it.lacking))));
    let alone = all.map(|(side, lacking)| WithoutRival {
        model: &side.model,
        decoder: &side.decoder,
        lacking,
    });
    let lacking = rivals::lacking(&alone.collect::<Vec<_>>());
    blocks.extend(
        lacking.map(|who| format!("Without a rival with {many} tokens: {}.", escaped(&who))),
    );
    blocks
}

const ABOUT: &str =
    "On the problems that both answered; gains and errors removed are means over seeds.";

/// A table of decoders against others of the same model, over all seeds.
fn over_all(title: &str, about: &str, all: &[Versus]) -> Vec<String> {
    if all.is_empty() {
        return Vec::new();
    }
    let header = [
        "model",
        "decoder",
        "against",
        "gain",
        "95 % interval",
        "p by problem",
        "paired",
        "error removed %",
    ];
    let row = |versus: &Versus| {
        vec![
            versus.this.model.clone(),
            versus.this.decoder.clone(),
            versus.other.decoder.clone(),
            gain(versus),
            interval(versus.gain),
            p_value(versus.p_by_problem),
            versus.pooled.n.to_string(),
            one(versus.error_removed.map(|removed| removed.mean)),
        ]
    };
    let mut rows = vec![header.map(str::to_owned).into()];
    rows.extend(all.iter().map(row));
    vec![format!("### {title}"), about.to_owned(), table(&rows)]
}

/// The first cells of an operator's row.
fn named<C>(of: &OfOperator<C>) -> [String; 3] {
    [of.folder.clone(), of.operator.clone(), of.seeds.to_string()]
}

/// The section on the operators of imagination: prompts made, and solutions kept for them.
fn imagination(
    made: &[OfOperator<MadeCounts>],
    brought: &[OfOperator<BroughtCounts>],
) -> Vec<String> {
    if made.is_empty() && brought.is_empty() {
        return Vec::new();
    }
    let whole = |count: f64| format!("{count:.0}");
    let of_made = |of: &OfOperator<MadeCounts>| {
        let counts = of.counts;
        let percent = [counts.coverage_percent, counts.distinct_3_percent];
        let figures = [counts.draws, counts.prompts, counts.shapes].into_iter().chain(percent);
        named(of).into_iter().chain(figures.map(whole)).collect::<Vec<_>>()
    };
    let of_brought = |of: &OfOperator<BroughtCounts>| {
        let counts = of.counts;
        let share = one((counts.prompts > 0.0).then(|| 100.0 * counts.kept / counts.prompts));
        let figures = [whole(counts.prompts), whole(counts.kept), share, whole(counts.sft)];
        named(of).into_iter().chain(figures).chain([format!("{:.3}", counts.gain)]).collect()
    };
    let made_header =
        ["draws", "prompts", "kinds", "kinds of the seeds covered %", "distinct trigrams %"];
    let brought_header = ["searched", "kept", "yield %", "examples", "gain"];
    let header = |figures: &[&str]| {
        let names = ["folder", "operator", "seeds"].iter().chain(figures);
        vec![names.map(|name| (*name).to_owned()).collect()]
    };
    let (mut first, mut second) = (header(&made_header), header(&brought_header));
    first.extend(made.iter().map(of_made));
    second.extend(brought.iter().map(of_brought));
    let about = "Means over the seeds. Kinds are what is left of questions without names, objects and numbers. The gain is \
                 how likely the policy would have said something else than the best kept solution, 0 where none was kept: \
                 the mean over the prompts. What is no operator, such as `world`, made problems that were audited.";
    vec!["## Imagination".to_owned(), about.to_owned(), table(&first), table(&second)]
}

/// The section on the quality of the critics.
fn critics(critics: &[CriticReport]) -> Vec<String> {
    if critics.is_empty() {
        return Vec::new();
    }
    let [first, measured @ ..] = quality::COLUMNS;
    let header = ["folder", first, "seed"].into_iter().chain(measured);
    let mut rows = vec![header.map(str::to_owned).collect()];
    for critic in critics {
        let name = |seed: &str| vec![critic.folder.clone(), critic.head.clone(), seed.to_owned()];
        for seed in &critic.seeds {
            rows.push([name(&seed.seed), seed.quality.figures()].concat());
        }
        let mean = critic.mean;
        let figures = [mean.auc, mean.within_prompt, mean.within_tool, mean.ece, mean.precision];
        let figures = figures.into_iter().chain([mean.recall]).map(quality::shown).collect();
        rows.push([name("mean"), vec![String::new(); 2], figures].concat());
    }
    let about = "On problems that the policy has not learned from, each text of a problem once: how many were judged, the \
                 share that was right, the area under the ROC curve, the share of pairs of a right and a wrong solution of \
                 one problem that are ranked rightly, the same among pairs for which the critic was shown the same, the expected \
                 calibration error, and precision and recall of scores above one half.";
    vec!["## Critics".to_owned(), about.to_owned(), table(&rows)]
}

/// The section on the yield and precision of the filters.
fn kept(filters: &[KeptReport]) -> Vec<String> {
    if filters.is_empty() {
        return Vec::new();
    }
    let header =
        ["folder", "seed", "problems", "kept", "yield %", "examples", "right", "precision %"];
    let mut rows = vec![header.map(str::to_owned).into()];
    for filter in filters {
        for SeedAudit { seed, audit } in &filter.seeds {
            rows.push(vec![
                filter.folder.clone(),
                seed.clone(),
                audit.problems.to_string(),
                audit.kept.to_string(),
                one(audit.share_kept()),
                audit.examples.to_string(),
                audit.right.to_string(),
                one(audit.precision()),
            ]);
        }
        let (empty, mean) = (String::new, |spread: Option<Spread>| one(spread.map(|it| it.mean)));
        let [share, precision] = [filter.share_kept, filter.precision].map(mean);
        let name = filter.folder.clone();
        rows.push(vec![
            name,
            "mean".to_owned(),
            empty(),
            empty(),
            share,
            empty(),
            empty(),
            precision,
        ]);
    }
    let about = "Problems with known answers, searched by the policy that searched the round's prompts, judged and filtered \
                 as those were; nothing learns from them. Kept are problems with a solution that passed the filter, right \
                 are such solutions with the right answer.";
    vec!["## Filter".to_owned(), about.to_owned(), table(&rows)]
}

/// The section on the costs of decoders.
fn decoder_costs(decoders: &[DecoderCost]) -> Vec<String> {
    if decoders.is_empty() {
        return Vec::new();
    }
    let header = ["model", "decoder", "seeds", "through models", "GFLOP", "judged", "milliseconds"];
    let row = |it: &DecoderCost| {
        let MeanCost { through_models, gflop, judged, milliseconds } = it.cost;
        let [through_models, judged, milliseconds] =
            [through_models, judged, milliseconds].map(|figure| one(Some(figure)));
        let figures = [through_models, format!("{gflop:.2}"), judged, milliseconds];
        let name = [it.model.clone(), it.decoder.clone(), it.seeds.to_string()].into_iter();
        name.chain(figures).collect::<Vec<_>>()
    };
    let mut rows = vec![header.map(str::to_owned).into()];
    rows.extend(decoders.iter().map(row));
    let about = "Means per problem, over all splits that were measured together and over the seeds whose metrics are there: \
                 tokens that policies and critics read or wrote, operations, what the critics judged, and time, many \
                 problems at once. Decoders that share their work each cost all of it.";
    vec!["## Costs of decoders".to_owned(), about.to_owned(), table(&rows)]
}

/// The section on the costs of stages.
fn costs(stages: &[StageCost]) -> Vec<String> {
    if stages.is_empty() {
        return Vec::new();
    }
    let header =
        ["stage", "seeds", "seconds", "generated", "through models", "trained on", "TFLOP"];
    let whole = |tokens: f64| format!("{tokens:.0}");
    let figures = |cost: &StageCost| {
        let StageCost { seconds, generated, through_models, trained, tflop, .. } = *cost;
        let counts = [seconds, generated, through_models, trained].into_iter().map(whole);
        counts.chain([format!("{tflop:.2}")])
    };
    let row = |cost: &StageCost| {
        let name = [cost.stage.clone(), cost.seeds.to_string()].into_iter();
        name.chain(figures(cost)).collect::<Vec<_>>()
    };
    let with_models = stages.iter().filter(|cost| cost.through_models + cost.trained > 0.0);
    let with_models: Vec<&StageCost> = with_models.collect();
    let mut rows = vec![header.map(str::to_owned).into()];
    rows.extend(with_models.iter().copied().map(row));
    let total = StageCost::sum(&with_models);
    rows.push(["all".to_owned(), none()].into_iter().chain(figures(&total)).collect());
    let about = "Of the stages that run a model; means over the seeds that have one: two operations for each weight and \
                 token on the way through a model, three times as many in training; attention is not counted, nor what \
                 a server does. What was killed and done again was paid for twice.";
    vec!["## Costs".to_owned(), about.to_owned(), table(&rows)]
}

fn gain(versus: &Versus) -> String {
    format!("{:+.1}", versus.gain.mean)
}

fn interval(gain: Spread) -> String {
    gain.interval.map_or_else(none, |[low, high]| signed_range(low, high))
}

/// A markdown table; the first row is the header.
fn table(rows: &[Vec<String>]) -> String {
    let line = |cells: &Vec<String>| {
        let cells: Vec<String> = cells.iter().map(|cell| escaped(cell)).collect();
        format!("| {} |", cells.join(" | "))
    };
    let mut lines: Vec<String> = rows.iter().map(line).collect();
    let columns = rows.first().map_or(0, Vec::len);
    lines.insert(1.min(lines.len()), format!("|{}", "---|".repeat(columns)));
    lines.join("\n")
}

/// Escapes text so that markdown shows it literally.
fn escaped(text: &str) -> String {
    let piece = |character: char| match character {
        '\\' | '|' | '[' | ']' | '`' | '*' | '_' => format!("\\{character}"),
        '<' => "&lt;".to_owned(),
        '&' => "&amp;".to_owned(),
        // A line break would end the row of a table.
        '\n' | '\r' => ' '.to_string(),
        character => character.to_string(),
    };
    text.chars().map(piece).collect()
}
