//! Spellings of one text, and n-grams that texts share.

use super::*;

#[test]
fn spacing_and_case_make_no_other_prompt() {
    let id = prompt_id("Tom has 3 apples. How many?");
    assert_eq!(id, prompt_id("  tom has 3\tapples.\n\nHow many?"));
    assert_ne!(id, prompt_id("Tom has 4 apples. How many?"));
    assert_eq!(id.len(), 32);
}

#[test]
fn words_are_without_their_marks() {
    assert_eq!(words("Zoë's $1,000 (3/4)?"), ["zoë", "s", "1", "000", "3", "4"]);
    assert!(words(" .?! ").is_empty());
}

#[test]
fn scripts_without_spaces_have_a_word_a_character() {
    assert_eq!(words("小明有12个苹果。"), ["小", "明", "有", "12", "个", "苹", "果"]);
    assert_eq!(words("りんごはABC個"), ["り", "ん", "ご", "は", "abc", "個"]);
    assert_eq!(words("มี 5 คน"), ["ม", "ี", "5", "ค", "น"]);
    // Korean is written with spaces.
    assert_eq!(words("사과가 몇 개"), ["사과가", "몇", "개"]);
}

#[test]
fn runs_of_words_are_as_long_as_they_are_asked_for() {
    assert_eq!(ngrams("a b c", 2), ["a b", "b c"].map(str::to_owned).into());
    assert_eq!(ngrams("a b c", 4), ["a b c"].map(str::to_owned).into());
    assert_eq!(ngrams("小明有12个", 4), ["小 明", "明 有", "有 12 个"].map(str::to_owned).into());
    assert!(ngrams("!", 4).is_empty());
}

#[test]
fn one_question_has_one_gist_in_every_spelling() {
    let same = [
        (
            "Tom has 1,000 pens. He buys 2.5 more - how many?",
            "tom has 1000 pens; he buys 2.5 more: how many",
        ),
        ("What is 3+4?", "what  is 3 + 4"),
        ("A twenty-one year old", "a twenty one year-old"),
        ("What is −5 + 3?", "What is -5 + 3?"),
        ("Tom’s pens", "Tom's “pens”!"),
        ("小明有５个苹果，吃了2个？", "小明有5个苹果 吃了2个"),
        ("Pages 10–15", "pages 10 - 15"),
    ];
    for (one, other) in same {
        assert_eq!(gist(one), gist(other), "{one}");
    }
    let others = [
        ("What is 3 + 4?", "What is 3 - 4?"),
        ("What is 3 * 4?", "What is 3 / 4?"),
        ("He has 1.5 apples", "He has 15 apples"),
        ("He has 1,500 apples", "He has 1, 500 apples"),
        ("What is -5 + 3?", "What is 5 + 3?"),
        ("Solve $x^2 = 4$", "Solve $x2 = 4$"),
        ("It is 5% of it", "It is 5 of it"),
    ];
    for (one, other) in others {
        assert_ne!(gist(one), gist(other), "{one}");
    }
}

#[test]
fn what_most_questions_say_is_left_out() {
    let instruction = "Solve the problem step by step and write the answer on the last line:";
    let bodies = [
        "Tom eats 3 of 12 pears. How many are left?",
        "A car goes 60 km in 2 hours. How fast is it?",
        "Ann reads 5 pages a day. When has she read 40?",
        "Of 30 pupils half sing. How many do not?",
    ];
    let texts: Vec<String> = bodies.iter().map(|body| format!("{instruction} {body}")).collect();
    let set: Vec<&str> = texts.iter().map(String::as_str).collect();
    let common = Boilerplate::of(std::slice::from_ref(&set), 4);
    assert_eq!(common.ngrams_beside(&texts[0]), ngrams(bodies[0], 4));
    assert!(common.ngrams_beside(instruction).is_empty());
    // Half of them is not more than half, three of three are too few, and a repeated question counts once.
    let mixed: Vec<&str> =
        set.iter().copied().chain(["a b c d e", "f g h i j", "k l m n o", "p q r s t"]).collect();
    for few in [mixed, set[..3].to_vec(), vec![set[0]; 9]] {
        let common = Boilerplate::of(&[few], 4);
        assert_eq!(common.ngrams_beside(&texts[0]), ngrams(&texts[0], 4));
    }
}
