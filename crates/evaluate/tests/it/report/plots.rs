//! The plots of a report.

use super::*;

/// The number of marks in a plot. The legend has one for each of its entries, too.
fn marks(plot: &str, entries: usize) -> usize {
    plot.matches("<polygon").count() - entries
}

/// The number of whiskers: each has a circle below its mark.
fn whiskers(plot: &str) -> usize {
    plot.matches("<circle").count()
}

/// Where a text is in a plot.
fn place(plot: &str, text: &str) -> Option<usize> {
    plot.find(&format!("\n{text}\n</text>"))
}

#[test]
fn plots_have_a_mark_and_a_whisker_for_every_point() {
    let request = Request { curves: vec!["round 1".to_owned()], ..request() };
    let found = plots(&report(&small(), &request).unwrap());
    let files: Vec<&str> = found.iter().map(|plot| plot.file.as_str()).collect();
    assert_eq!(files, ["rounds.world.test.svg", "tokens.world.test.round_201.svg"]);
    // Three models with greedy and one with the vote; two decoders of round 1. Each is a series of one point.
    for (plot, points) in found.iter().zip([4, 2]) {
        check_xml(&plot.svg);
        assert_eq!(marks(&plot.svg, points), points, "{}", plot.svg);
        assert_eq!(whiskers(&plot.svg), points, "{}", plot.svg);
    }
    let rounds = &found[0].svg;
    for name in ["base, greedy", "control, greedy", "round, greedy", "round, mcts-vote"] {
        assert!(place(rounds, name).is_some(), "{name}");
    }
}

#[test]
fn rounds_are_shown_by_the_vote_of_every_search() {
    let decoders =
        [("greedy", "x."), ("mcts-greedy", "xx"), ("mcts-vote", "x."), ("mcts-vote@large", "xx")];
    let runs = ["base", "round 1"].map(|model| of(0, model, &decoders));
    let found = plots(&report(&runs, &Request::default()).unwrap());
    let rounds = &found[0].svg;
    assert_eq!(marks(rounds, 6), 6, "{rounds}");
    assert!(place(rounds, "round, mcts-vote@large").is_some(), "{rounds}");
}

#[test]
fn a_line_joins_numbers_of_samples_and_a_variant_stands_alone() {
    let mut run = of(0, "base", &[("greedy", "x."), ("best-of-n@4", "x."), ("best-of-n@8", "xx")]);
    run.rows.extend(of(0, "base", &[("mcts-vote", "x."), ("mcts-vote@deep", "xx")]).rows);
    let found = plots(&report(&[run], &Request::default()).unwrap());
    let tokens = &found[1].svg;
    assert_eq!(marks(tokens, 3), 5);
    assert_eq!(whiskers(tokens), 0, "one seed has no interval");
    // One line in the plot and one in the legend.
    assert_eq!(tokens.matches("stroke-width=\"2\"").count(), 2, "{tokens}");
    for label in ["4", "8", "deep"] {
        assert!(place(tokens, label).is_some(), "{label}");
    }
}

#[test]
fn models_that_are_no_rounds_stand_side_by_side_in_their_order() {
    let both = [("greedy", "x."), ("mcts-vote", "xx")];
    let runs = [of(0, "without", &both), of(0, "with both", &both[..1])];
    let found = plots(&report(&runs, &Request::default()).unwrap());
    let files: Vec<&str> = found.iter().map(|plot| plot.file.as_str()).collect();
    // `with both` has a single decoder, so there is nothing to plot over tokens.
    assert_eq!(files, ["models.world.test.svg", "tokens.world.test.without.svg"]);
    let models = &found[0].svg;
    check_xml(models);
    assert_eq!(marks(models, 2), 3, "{models}");
    // Ticks first, then the legend.
    let places = ["without", "with both", "greedy", "mcts-vote"];
    let places = places.map(|text| place(models, text).unwrap());
    assert!(places.is_sorted(), "{models}");
}
