//! Step searches with untrained models: batch independence, depth, and required heads.

use decoding::{Error, Question, Searcher, StepConfig, StepMethod, StepSolutions};

use crate::models::{QUESTIONS, config, searcher, searcher_with};

const WIDTH: u32 = 4;

fn steps(max_depth: u32) -> StepConfig {
    let sampling = serde_json::json!({ "temperature": { "temperature": 1.0 } });
    let section = serde_json::json!({
        "width": WIDTH, "branch": 2, "sampling": sampling, "max_depth": max_depth, "balance": 0.2
    });
    serde_json::from_value(section).unwrap()
}

fn searched(
    searcher: &Searcher,
    method: StepMethod,
    max_depth: u32,
) -> Result<Vec<StepSolutions>, Error> {
    Ok(searcher.sampler().steps(&questions(), &steps(max_depth), method, &mut |_| {})?.results)
}

fn questions() -> Vec<Question<'static>> {
    let question = |(seed, text)| Question { id: "a", text, seed };
    (0..).zip(QUESTIONS).map(question).collect()
}

#[test]
fn step_searches_are_the_same_in_other_batches_and_differ_from_each_other() {
    let [beam, dvts, rebase] = StepMethod::ALL.map(|method| {
        let found = searched(&searcher(64, config(1, 4)), method, 3).unwrap();
        assert_eq!(found, searched(&searcher(1, config(1, 4)), method, 3).unwrap());
        found
    });
    assert!(beam != dvts && dvts != rebase && beam != rebase);
}

#[test]
fn a_step_search_ends_at_its_depth_and_counts_what_it_writes() {
    for method in StepMethod::ALL {
        for max_depth in [1, 3] {
            for found in searched(&searcher(64, config(1, 4)), method, max_depth).unwrap() {
                assert!(
                    !found.candidates.is_empty(),
                    "what is left at the last depth is written to its end"
                );
                assert!(found.candidates.len() <= WIDTH as usize, "{method:?}: {found:?}");
                assert!(found.nodes <= WIDTH * max_depth, "{method:?}: {found:?}");
                // An option that would end within a character continues, up to 12 tokens, and so does the last option.
                assert!(found.tokens <= u64::from(WIDTH * max_depth * 12), "{found:?}");
                let longest = found.candidates.iter().map(|one| u64::from(one.tokens)).max();
                assert!(longest <= Some(found.tokens));
            }
        }
    }
}

#[test]
fn a_step_search_says_how_much_memory_it_took() {
    for method in StepMethod::ALL {
        let searched = searcher(64, config(1, 4));
        let sampler = searched.sampler();
        let searched = sampler.steps(&questions(), &steps(3), method, &mut |_| {}).unwrap();
        // Later steps read on from what earlier ones keep.
        assert!(searched.cost.kept_bytes > 0, "{method:?}: {:?}", searched.cost);
    }
}

#[test]
fn a_step_search_needs_a_prm() {
    let mut config = config(1, 4);
    config.mcts.weights.prm = 0.0;
    let blind = searcher_with(&["value", "orm"], 64, config);
    for method in StepMethod::ALL {
        let error = searched(&blind, method, 2).unwrap_err();
        assert!(
            matches!(&error, Error::Critic(critic::Error::MissingHead(critic::Head::Prm, _))),
            "{error}"
        );
    }
}
