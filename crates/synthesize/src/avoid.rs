//! Decontamination: finds texts that resemble a question used for evaluation.
//!
//! A text is compared with the avoided questions in two ways. *Skeletons* come from the embedded world and have names
//! and objects masked but numbers kept; equal skeletons are the same problem about other people. *N-grams* are runs of
//! words, as in the reports of GPT-3 and Llama 2, but compared by share instead of a single hit: word problems are
//! short and share whole phrases without being the same problem, and may not even have thirteen words. In scripts
//! without spaces between words, the runs are of characters. N-grams that most questions of a set share are ignored on
//! both sides: an instruction in front of every question does not identify any of them.

use std::collections::{BTreeMap, BTreeSet};

use schema::Question;
use serde::{Deserialize, Serialize};
use stage::Failure;
use world::{is_evaluation, skeleton};

use crate::text::Boilerplate;

/// How similar a text and an evaluation question may be: the section `[decontaminate]` of a preset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AvoidConfig {
    /// Words per n-gram, 1 or more. A text with fewer words is a single n-gram, so only the whole text matches. 8 suits
    /// questions of one to five sentences, 13 is usual for documents. A Chinese or Japanese character counts as two
    /// words, a Thai, Lao, Burmese or Khmer character as one.
    pub ngram: usize,
    /// The share of n-grams from which a text is dropped, above 0: n-grams shared with one avoided question over those
    /// of the shorter of the two. Above 1, the comparison is off. Of 2000 prompts against 2300 evaluation questions of
    /// the embedded world, with n-grams of 8 words, half had less than 0.17 and one in a hundred 0.5 or more; the same
    /// problem in other words began at about 0.6.
    pub overlap: f64,
    /// Also drop everything that falls into an evaluation split of the embedded world, whether it was drawn or not.
    /// This hits one text in four by chance: turn it off if the seeds come from elsewhere.
    pub world: bool,
}

impl AvoidConfig {
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.ngram == 0 {
            return Err(Failure::config("`decontaminate.ngram` is 0: it has to be 1 or more"));
        }
        if self.overlap.is_nan() || self.overlap <= 0.0 {
            let overlap = self.overlap;
            return Err(Failure::config(format!(
                "`decontaminate.overlap` is {overlap}: it has to be above 0"
            )));
        }
        Ok(())
    }
}

/// The reason why a text is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resemblance {
    /// The same problem as an avoided one, about other people or objects.
    Skeleton,
    /// Too many n-grams in common with one avoided question.
    Overlap,
    /// Falls into an evaluation split of the embedded world.
    World,
}

/// The questions to avoid, indexed.
pub(crate) struct Avoid {
    config: AvoidConfig,
    boilerplate: Boilerplate,
    skeletons: BTreeSet<String>,
    /// For each n-gram, the indices of the avoided questions that contain it.
    postings: BTreeMap<String, Vec<usize>>,
    /// The number of n-grams of each avoided question.
    sizes: Vec<usize>,
}

impl Avoid {
    /// Indexes the questions of some datasets. N-grams that most questions of one dataset, or most of `seeds`, share
    /// are ignored, because they do not tell questions apart.
    pub(crate) fn new<'s>(
        sets: &'s [Vec<Question>],
        seeds: &'s [Question],
        config: &AvoidConfig,
    ) -> Self {
        // The seeds too, because prompts made from them inherit their instruction.
        let all = sets.iter().map(Vec::as_slice).chain([seeds]);
        let texts = |set: &'s [Question]| -> Vec<&'s str> {
            set.iter().map(|one| one.prompt.as_str()).collect()
        };
        let said: Vec<Vec<&str>> = all.map(texts).collect();
        let boilerplate = Boilerplate::of(&said, config.ngram);
        let questions = || sets.iter().flatten();
        let skeletons = questions().map(|question| skeleton(&question.prompt)).collect();
        let (mut postings, mut sizes) = (BTreeMap::<_, Vec<_>>::new(), Vec::new());
        for (index, question) in questions().enumerate() {
            let grams = boilerplate.ngrams_beside(&question.prompt);
            sizes.push(grams.len());
            for gram in grams {
                postings.entry(gram).or_default().push(index);
            }
        }
        Self { config: config.clone(), boilerplate, skeletons, postings, sizes }
    }

    /// The reason why the question must not be learned from, if there is one.
    pub(crate) fn resemblance(&self, question: &str) -> Option<Resemblance> {
        if self.skeletons.contains(&skeleton(question)) {
            return Some(Resemblance::Skeleton);
        }
        if self.overlap(question) >= self.config.overlap {
            return Some(Resemblance::Overlap);
        }
        (self.config.world && is_evaluation(question)).then_some(Resemblance::World)
    }

    /// The largest share of n-grams that the text has in common with one avoided question, over the n-grams of the
    /// shorter of the two, 0 to 1.
    pub(crate) fn overlap(&self, text: &str) -> f64 {
        let grams = self.boilerplate.ngrams_beside(text);
        let mut common = BTreeMap::<usize, usize>::new();
        for index in grams.iter().filter_map(|gram| self.postings.get(gram)).flatten() {
            *common.entry(*index).or_default() += 1;
        }
        // Relative to the shorter text, so that a question embedded in a longer text is found.
        let share = |(index, count): (usize, usize)| {
            count as f64 / self.sizes[index].min(grams.len()) as f64
        };
        common.into_iter().map(share).fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEST: &str = "A baker makes 24 rolls in the morning and 36 rolls in the afternoon. \
                        He sells half of them. How many rolls are left?";

    fn avoid(ngram: usize, overlap: f64, questions: &[&str]) -> Avoid {
        let question = |text: &&str| Question { prompt: (*text).to_owned(), ..Question::default() };
        let questions: Vec<_> = questions.iter().map(question).collect();
        Avoid::new(&[questions], &[], &AvoidConfig { ngram, overlap, world: false })
    }

    #[test]
    fn the_same_text_is_dropped_whatever_its_case_and_marks() {
        let avoid = avoid(8, 0.6, &[TEST]);
        for text in [TEST.to_owned(), TEST.to_uppercase(), TEST.replace(['.', '?'], " ;")] {
            assert!(avoid.resemblance(&text).is_some(), "{text}");
        }
    }

    #[test]
    fn another_name_and_object_are_the_same_problem() {
        let avoid = avoid(8, 2.0, &["Tom has 12 apples. He eats 3. How many are left?"]);
        let other = "Anna has 12 pears. She eats 3. How many are left?";
        assert_eq!(avoid.resemblance(other), Some(Resemblance::Skeleton));
        assert_eq!(avoid.resemblance(&other.replace("12", "13")), None);
    }

    #[test]
    fn an_embedded_question_is_found_in_a_longer_text() {
        let avoid =
            avoid(8, 0.6, &["Something else entirely, which is 9 words long, is here.", TEST]);
        let text =
            format!("Here is a story. {TEST} And then some more words follow, many of them.");
        assert_eq!(avoid.resemblance(&text), Some(Resemblance::Overlap));
    }

    #[test]
    fn a_shared_phrase_is_no_contamination() {
        let avoid = avoid(8, 0.6, &[TEST]);
        let text = "A school has 12 classes of 20 children. In spring 5 children leave and 9 come. \
                    He sells half of them. How many rolls are left?";
        let overlap = avoid.overlap(text);
        assert!(overlap > 0.0 && overlap < 0.6, "{overlap}");
        assert_eq!(avoid.resemblance(text), None);
    }

    #[test]
    fn a_short_text_counts_as_a_whole() {
        let avoid = avoid(8, 0.1, &["What is 3 + 4?"]);
        assert_eq!(avoid.resemblance("what is 3 4"), Some(Resemblance::Overlap));
        assert_eq!(avoid.resemblance("What is 3 + 5?"), None);
        assert_eq!(avoid.resemblance("!"), None);
    }

    #[test]
    fn the_evaluation_splits_of_the_world_can_be_avoided_unseen() {
        let config = AvoidConfig { ngram: 8, overlap: 0.6, world: true };
        let unseen = Avoid::new(&[], &[], &config);
        for problem in world::draw_many(world::Split::Test, 20, 5) {
            assert_eq!(unseen.resemblance(&problem.question), Some(Resemblance::World));
        }
        for problem in world::draw_many(world::Split::Fresh, 20, 5) {
            assert_eq!(unseen.resemblance(&problem.question), None);
        }
    }

    /// Questions in scripts without spaces, each as it was and with one more particle.
    const UNSPACED: [(&str, &str); 8] = [
        (
            "小明有12个苹果，吃了5个，还剩多少个苹果？",
            "小明有12个苹果，吃了5个，那么还剩多少个苹果呢？",
        ),
        (
            "一个班有40名学生，其中四分之一会游泳。有多少名学生会游泳？",
            "一个班有40名学生，其中的四分之一会游泳。有多少名学生会游泳？",
        ),
        ("火车每小时行80公里，3小时行多少公里？", "火车每小时行80公里，3小时能行多少公里？"),
        ("一本书240页，小红每天读30页，几天读完？", "一本书240页，小红每天读30页，要几天读完？"),
        ("长方形长8厘米宽5厘米，面积是多少？", "长方形长8厘米宽5厘米，它面积是多少？"),
        (
            "商店上午卖了15支笔，下午卖的是上午的两倍，一共卖了多少支？",
            "商店上午卖了15支笔，下午卖的是上午的两倍，一共卖了多少支呢？",
        ),
        (
            "太郎はりんごを12個持っています。5個食べました。残りは何個ですか？",
            "太郎はりんごを12個も持っています。5個食べました。残りは何個ですか？",
        ),
        ("แดงมีส้ม 12 ผล กินไป 5 ผล เหลือส้มกี่ผล", "แดงมีส้มอยู่ 12 ผล กินไป 5 ผล เหลือส้มกี่ผลครับ"),
    ];

    #[test]
    fn a_particle_more_hides_no_question_whose_words_have_no_spaces() {
        for overlap in [0.5, 0.6] {
            for (question, changed) in UNSPACED {
                let avoid = avoid(8, overlap, &[question]);
                assert_eq!(avoid.resemblance(changed), Some(Resemblance::Overlap), "{changed}");
            }
        }
    }

    #[test]
    fn other_questions_without_spaces_are_no_contamination() {
        let all = avoid(8, 0.5, &UNSPACED.map(|(question, _)| question));
        for other in [
            "小明有30个梨，又买了4个，现在有多少个梨？",
            "一本书180页，小红每天读20页，几天读完？",
            "汽车每小时行60公里，5小时行多少公里？",
            "次郎はみかんを20個持っています。8個あげました。残りは何個ですか？",
            "แดงมีเงิน 50 บาท ซื้อขนม 20 บาท เหลือเงินกี่บาท",
        ] {
            assert_eq!(all.resemblance(other), None, "{other}: {}", all.overlap(other));
        }
    }

    #[test]
    fn the_questions_of_the_world_have_nothing_in_common_that_is_left_out() {
        use world::{Split, draw_many};
        let splits =
            [Split::Seeds, Split::Validation, Split::Test, Split::OodTemplates, Split::OodChains];
        for count in [12, 48, 300] {
            for split in splits {
                let texts: Vec<String> =
                    draw_many(split, count, 3).into_iter().map(|one| one.question).collect();
                let set: Vec<&str> = texts.iter().map(String::as_str).collect();
                let common = Boilerplate::of(std::slice::from_ref(&set), 8);
                for text in set {
                    assert_eq!(common.ngrams_beside(text), crate::text::ngrams(text, 8));
                }
            }
        }
    }

    #[test]
    fn impossible_settings_are_refused() {
        for (ngram, overlap) in [(0, 0.5), (8, 0.0), (8, -1.0), (8, f64::NAN)] {
            let failure = AvoidConfig { ngram, overlap, world: true }.check().unwrap_err();
            assert_eq!(failure.exit(), stage::Exit::Config, "{ngram} {overlap}");
        }
    }
}
