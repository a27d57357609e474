//! One writer, interrupted anywhere: finished parts are kept, and the work of another recipe is replaced only if forced.

use std::fs;
use std::path::Path;

use crate::common::{bytes, done, message, prompts, read, recipe, work, written};
use dataset::{Begin, ErrorClass, MANIFEST, METRICS, MetricsLog, Mode, Output, Standing};
use schema::Prompt;
use serde_json::json;

type Prompts = Output<Prompt>;

const FIRST: &str = "data/train-00000-of-00003.parquet";

/// Makes a dataset of three parts, of which some were written before the run ended.
fn interrupted(dir: &Path, parts: &[usize]) {
    let output = work(Output::begin(dir, recipe(1), 3, Mode::Alone));
    for index in parts {
        output.write_part(*index, &prompts(3 * index..3 * index + 3)).unwrap();
    }
}

fn undisturbed() -> std::collections::BTreeMap<String, Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 3);
    bytes(dir.path())
}

#[test]
fn finished_parts_are_not_written_again() {
    let dir = tempfile::tempdir().unwrap();
    interrupted(dir.path(), &[0, 2]);
    assert!(read(dir.path()).is_err());
    let stamp = || fs::metadata(dir.path().join(FIRST)).unwrap().modified().unwrap();
    let before = stamp();
    let output = work(Prompts::begin(dir.path(), recipe(1), 3, Mode::Alone));
    assert_eq!(output.missing(), [1]);
    output.write_part(0, &prompts(0..3)).unwrap();
    output.write_part(1, &prompts(3..6)).unwrap();
    output.commit().unwrap();
    assert_eq!(stamp(), before);
    assert_eq!(bytes(dir.path()), undisturbed());
}

#[test]
fn a_part_that_is_taken_away_is_missing_for_this_run_and_the_next() {
    let dir = tempfile::tempdir().unwrap();
    interrupted(dir.path(), &[0, 2]);
    let output = work(Prompts::begin(dir.path(), recipe(1), 3, Mode::Alone));
    output.discard_part(0).unwrap();
    output.discard_part(1).unwrap();
    assert_eq!(output.missing(), [0, 1]);
    assert!(!dir.path().join(FIRST).exists());
    drop(output);
    let output = work(Prompts::begin(dir.path(), recipe(1), 3, Mode::Alone));
    assert_eq!(output.missing(), [0, 1]);
    output.discard_parts().unwrap();
    assert_eq!(output.missing(), [0, 1, 2]);
    drop(output);
    written(dir.path(), 3);
    assert_eq!(bytes(dir.path()), undisturbed());
}

#[test]
fn a_complete_dataset_can_be_made_again() {
    for deleted in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path(), 3);
        if deleted {
            // As if another process had done so after the dataset was found complete.
            fs::remove_file(dir.path().join(MANIFEST)).unwrap();
        }
        let output = Prompts::again(dir.path(), recipe(1), 3).unwrap();
        assert_eq!(output.missing(), [0, 1, 2]);
        assert!(read(dir.path()).is_err(), "it is not there while it is being made");
        drop(output);
        written(dir.path(), 3);
        assert_eq!(bytes(dir.path()), undisturbed());
        done(Prompts::begin(dir.path(), recipe(1), 3, Mode::Alone));
    }
}

#[test]
fn what_an_interrupted_run_left_half_written_is_swept() {
    let dir = tempfile::tempdir().unwrap();
    interrupted(dir.path(), &[0, 1, 2]);
    fs::write(dir.path().join("data/.tmp-1-1-train-00009-of-00003.parquet"), "half").unwrap();
    fs::write(dir.path().join(".tmp-1-2-_MANIFEST.json"), "half").unwrap();
    fs::write(dir.path().join(".state/.tmp-1-3-plan.json"), "half").unwrap();
    fs::write(dir.path().join(FIRST), "cut").unwrap();
    written(dir.path(), 3);
    assert_eq!(bytes(dir.path()), undisturbed());
}

#[test]
fn a_commit_needs_all_parts() {
    let dir = tempfile::tempdir().unwrap();
    let output = work(Output::begin(dir.path(), recipe(1), 9, Mode::Alone));
    output.write_part(3, &prompts(0..3)).unwrap();
    let error = output.commit().unwrap_err();
    assert_eq!(error.class(), ErrorClass::Locked);
    assert_eq!(
        message::<()>(Err(error), dir.path()),
        "DIR is not complete: parts 0-2,4-8 are missing; run them first"
    );
}

#[test]
fn a_part_that_changed_before_the_commit_is_not_committed() {
    let dir = tempfile::tempdir().unwrap();
    let output = work(Output::begin(dir.path(), recipe(1), 1, Mode::Alone));
    output.write_part(0, &prompts(0..3)).unwrap();
    let part = dir.path().join("data/train-00000-of-00001.parquet");
    let mut bad = fs::read(&part).unwrap();
    bad[60] ^= 4;
    fs::write(&part, bad).unwrap();
    assert!(message(output.commit(), dir.path()).contains("its blake3 is not the recorded one"));
    let again = work(Prompts::begin(dir.path(), recipe(1), 1, Mode::Alone));
    assert_eq!(again.missing(), [0]);
}

#[test]
fn the_same_recipe_is_up_to_date() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = written(dir.path(), 3);
    let before = bytes(dir.path());
    assert_eq!(done(Prompts::begin(dir.path(), recipe(1), 3, Mode::Alone)), manifest);
    assert_eq!(
        done(Prompts::begin(dir.path(), recipe(1), 3, Mode::Shard { scratch: None })),
        manifest
    );
    assert_eq!(done(Prompts::begin(dir.path(), recipe(1), 3, Mode::Replace)), manifest);
    assert_eq!(bytes(dir.path()), before);
}

#[test]
fn up_to_date_is_not_said_of_a_dataset_with_a_lost_part() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 3);
    fs::remove_file(dir.path().join(FIRST)).unwrap();
    let refused = Prompts::begin(dir.path(), recipe(1), 3, Mode::Alone);
    assert!(
        message(refused, dir.path())
            .starts_with("DIR/data/train-00000-of-00003.parquet: it is missing")
    );
    // The undamaged parts are kept.
    let output = work(Prompts::begin(dir.path(), recipe(1), 3, Mode::Replace));
    assert_eq!(output.missing(), [0]);
}

#[test]
fn force_repairs_what_was_damaged_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 3);
    let log = dir.path().join(METRICS);
    MetricsLog::open(&log).unwrap().append(&json!({"row": 1})).unwrap();
    let second = dir.path().join("data/train-00001-of-00003.parquet");
    let whole = fs::read(&second).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    fs::write(&second, flipped).unwrap();
    let refused = Prompts::begin(dir.path(), recipe(1), 3, Mode::Alone);
    assert!(message(refused, dir.path()).contains("its blake3 is not the recorded one"));
    let stamp = || fs::metadata(dir.path().join(FIRST)).unwrap().modified().unwrap();
    let before = stamp();
    let output = work(Prompts::begin(dir.path(), recipe(1), 3, Mode::Replace));
    assert_eq!(output.missing(), [1]);
    assert!(read(dir.path()).is_err(), "what is being repaired is not there");
    // If killed here, it resumes without force.
    drop(output);
    let output = work(Prompts::begin(dir.path(), recipe(1), 3, Mode::Alone));
    output.write_part(1, &prompts(3..6)).unwrap();
    output.commit().unwrap();
    assert_eq!((fs::read(&second).unwrap(), stamp()), (whole, before));
    assert_eq!(MetricsLog::read(&log).unwrap().len(), 1);
    fs::remove_file(&log).unwrap();
    assert_eq!(bytes(dir.path()), undisturbed());
}

/// Turns a dataset into the one that a writer leaves if it is killed between writing its manifest and publishing it.
fn unpublish(dir: &Path) {
    fs::rename(dir.join(MANIFEST), dir.join(".manifest.json")).unwrap();
    fs::create_dir_all(dir.join(".state/scratch")).unwrap();
    fs::write(dir.join(".state/scratch/weights"), "much").unwrap();
}

#[test]
fn a_manifest_without_its_name_is_published_and_nothing_is_left_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 3);
    unpublish(dir.path());
    assert!(read(dir.path()).is_err(), "no reader takes it for the manifest");
    done(Prompts::begin(dir.path(), recipe(1), 3, Mode::Shard { scratch: None }));
    done(Prompts::begin(dir.path(), recipe(1), 3, Mode::Alone));
    assert_eq!(bytes(dir.path()), undisturbed());
    assert!(!dir.path().join(".state").exists());
}

#[test]
fn a_manifest_without_its_name_is_not_published_over_another_plan_or_other_files() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 3);
    unpublish(dir.path());
    let refused = Prompts::begin(dir.path(), recipe(2), 3, Mode::Alone);
    assert!(message(refused, dir.path()).contains("the seed is 1, not 2"));
    fs::write(dir.path().join(FIRST), "cut").unwrap();
    let output = work(Prompts::begin(dir.path(), recipe(1), 3, Mode::Alone));
    assert_eq!(output.missing(), [0]);
    output.write_part(0, &prompts(0..3)).unwrap();
    output.commit().unwrap();
    assert_eq!(bytes(dir.path()), undisturbed());
    unpublish(dir.path());
    let output = work(Prompts::begin(dir.path(), recipe(2), 3, Mode::Replace));
    assert_eq!(output.missing(), [0, 1, 2]);
    assert!(!dir.path().join(".manifest.json").exists());
}

#[test]
fn a_dataset_whose_manifest_was_deleted_gets_it_back() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 3);
    fs::remove_file(dir.path().join(MANIFEST)).unwrap();
    done(Prompts::begin(dir.path(), recipe(1), 3, Mode::Alone));
    assert_eq!(bytes(dir.path()), undisturbed());
    // With a changed part it does not; that part is written again.
    fs::remove_file(dir.path().join(MANIFEST)).unwrap();
    fs::write(dir.path().join(FIRST), "cut").unwrap();
    written(dir.path(), 3);
    assert_eq!(bytes(dir.path()), undisturbed());
    // Nor for another recipe, which may replace the dataset if forced to.
    fs::remove_file(dir.path().join(MANIFEST)).unwrap();
    let refused = Prompts::begin(dir.path(), recipe(2), 3, Mode::Alone);
    assert!(message(refused, dir.path()).contains("its manifest was deleted"));
    let output = work(Prompts::begin(dir.path(), recipe(2), 3, Mode::Replace));
    assert_eq!(output.missing(), [0, 1, 2]);
}

#[test]
fn what_is_left_after_the_manifest_was_written_is_tidied_up() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 3);
    fs::create_dir_all(dir.path().join(".state/finished")).unwrap();
    done(Prompts::begin(dir.path(), recipe(1), 3, Mode::Alone));
    assert_eq!(bytes(dir.path()), undisturbed());
    assert!(!dir.path().join(".state").exists());
}

#[test]
fn another_recipe_is_refused_with_the_difference() {
    let finished = tempfile::tempdir().unwrap();
    written(finished.path(), 3);
    let begun = tempfile::tempdir().unwrap();
    interrupted(begun.path(), &[0]);
    let change = |change: fn(&mut dataset::Recipe)| {
        let mut other = recipe(1);
        change(&mut other);
        other
    };
    let cases = [
        (change(|r| r.tool = "search".into()), 3, "the tool is synthesize, not search"),
        (change(|r| r.config = "other".into()), 3, "the configuration differs"),
        (change(|r| r.seed = 2), 3, "the seed is 1, not 2"),
        (change(|r| r.inputs[0].content = "other".into()), 3, "the input `seeds` differs"),
        (change(|r| r.inputs.clear()), 3, "the inputs differ"),
        (recipe(1), 4, "it has 3 parts, not 4"),
    ];
    for (other, parts, difference) in cases {
        for dir in [finished.path(), begun.path()] {
            let before = bytes(dir);
            let error = Prompts::begin(dir, other.clone(), parts, Mode::Alone).unwrap_err();
            assert_eq!(error.class(), ErrorClass::Usage);
            assert_eq!(
                message::<()>(Err(error), dir),
                format!(
                    "DIR was written by another recipe: {difference}; choose another directory, or replace it with --force"
                )
            );
            assert_eq!(bytes(dir), before);
        }
    }
}

#[test]
fn force_takes_the_manifest_away_and_replaces_the_parts() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 3);
    let output = work(Prompts::begin(dir.path(), recipe(2), 1, Mode::Replace));
    assert!(!dir.path().join(MANIFEST).exists());
    assert_eq!(fs::read_dir(dir.path().join("data")).unwrap().count(), 0);
    drop(output);
    // If it ends here, the run is resumed without force.
    let output = work(Output::begin(dir.path(), recipe(2), 1, Mode::Alone));
    output.write_part(0, &prompts(7..9)).unwrap();
    output.commit().unwrap();
    assert_eq!(read(dir.path()).unwrap(), prompts(7..9));
}

#[test]
fn the_metrics_of_what_is_replaced_go_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(METRICS);
    let log = |row: i32| MetricsLog::open(&path).unwrap().append(&json!({"row": row})).unwrap();
    let rows =
        || MetricsLog::read(&path).unwrap().iter().map(|it| it["row"].clone()).collect::<Vec<_>>();
    written(dir.path(), 3);
    log(1);
    // A dataset that is up to date or resumed keeps its log. One that is replaced does not.
    assert!(matches!(
        Prompts::begin(dir.path(), recipe(1), 3, Mode::Replace).unwrap(),
        Begin::UpToDate(_)
    ));
    assert_eq!(rows(), [1]);
    drop(work(Prompts::begin(dir.path(), recipe(2), 1, Mode::Replace)));
    assert_eq!(rows(), [] as [i32; 0]);
    log(2);
    drop(work(Prompts::begin(dir.path(), recipe(2), 1, Mode::Replace)));
    assert_eq!(rows(), [2]);
    // The log goes too if the dataset being replaced is unfinished.
    drop(work(Prompts::begin(dir.path(), recipe(3), 1, Mode::Replace)));
    assert_eq!(rows(), [] as [i32; 0]);
}

#[test]
fn force_replaces_a_damaged_manifest() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 3);
    fs::write(dir.path().join(MANIFEST), "{}").unwrap();
    let refused = Prompts::begin(dir.path(), recipe(1), 3, Mode::Alone);
    assert!(message(refused, dir.path()).contains("it is not a manifest"));
    drop(work(Prompts::begin(dir.path(), recipe(1), 3, Mode::Replace)));
    written(dir.path(), 3);
    assert_eq!(bytes(dir.path()), undisturbed());
}

#[test]
fn parts_of_unknown_origin_are_not_taken_up() {
    let dir = tempfile::tempdir().unwrap();
    interrupted(dir.path(), &[0]);
    fs::remove_dir_all(dir.path().join(".state")).unwrap();
    let refused = Prompts::begin(dir.path(), recipe(1), 3, Mode::Alone);
    assert!(message(refused, dir.path()).contains("it holds parts, but not how they were made"));
    let output = work(Prompts::begin(dir.path(), recipe(1), 3, Mode::Replace));
    assert_eq!(output.missing(), [0, 1, 2]);
}

#[test]
fn other_people_s_files_are_neither_deleted_nor_published() {
    let dir = tempfile::tempdir().unwrap();
    interrupted(dir.path(), &[0]);
    let notes = dir.path().join("data/notes.txt");
    fs::write(&notes, "mine").unwrap();
    for force in [false, true] {
        let refused = Prompts::begin(dir.path(), recipe(1), 3, Mode::only(force));
        assert_eq!(
            message(refused, dir.path()),
            "DIR/data/notes.txt is in the way: it was not written by this program; move it elsewhere"
        );
    }
    assert_eq!(fs::read(notes).unwrap(), b"mine");
}

#[test]
fn a_second_writer_is_told_who_is_first() {
    let dir = tempfile::tempdir().unwrap();
    let first = work(Prompts::begin(dir.path(), recipe(1), 3, Mode::Alone));
    let error = Prompts::begin(dir.path(), recipe(1), 3, Mode::Replace).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Locked);
    assert_eq!(
        message::<()>(Err(error), dir.path()),
        format!(
            "DIR is being written by synthesize (process {}); try again when it has finished",
            std::process::id()
        )
    );
    drop(first);
    work(Prompts::begin(dir.path(), recipe(1), 3, Mode::Alone));
}

#[test]
fn a_part_by_way_of_another_disk_is_the_same() {
    let (dir, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let folder: &'static Path = Box::leak(scratch.path().to_owned().into_boxed_path());
    let mode = Mode::Shard { scratch: Some(folder) };
    let shard = work(Prompts::begin(dir.path(), recipe(1), 3, mode));
    for index in 0..3 {
        shard.write_part(index, &prompts(3 * index..3 * index + 3)).unwrap();
        assert_eq!(fs::read_dir(folder).unwrap().count(), 0, "nothing is left there");
    }
    work(Prompts::begin(dir.path(), recipe(1), 3, Mode::Alone)).commit().unwrap();
    assert_eq!(bytes(dir.path()), undisturbed());

    let other = tempfile::tempdir().unwrap();
    let shard = work(Prompts::begin(other.path(), recipe(1), 3, mode));
    scratch.close().unwrap();
    let refused = shard.write_part(0, &prompts(0..3)).unwrap_err().to_string();
    assert!(refused.contains(&folder.display().to_string()), "{refused}");
    assert!(!other.path().join("data/train-00000-of-00003.parquet").exists());
}

#[test]
fn shards_work_at_once_and_one_merges_them() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(Standing::of(dir.path()).unwrap(), None);
    let begin = || work(Prompts::begin(dir.path(), recipe(1), 3, Mode::Shard { scratch: None }));
    let shards: Vec<_> = (0..3).map(|_| begin()).collect();
    for (index, shard) in shards.iter().enumerate() {
        let missing: Vec<usize> = (index..3).collect();
        let standing = Standing::of(dir.path()).unwrap();
        assert_eq!(standing, Some(Standing { parts: 3, missing }));
        shard.write_part(index, &prompts(3 * index..3 * index + 3)).unwrap();
        // Two writers of the same part do no harm.
        shard.write_part(0, &prompts(0..3)).unwrap();
    }
    for shard in shards {
        let refused = message(shard.commit(), dir.path());
        assert!(
            refused.contains("are missing") || refused.contains("several writers"),
            "{refused}"
        );
    }
    // What is damaged is there by its size, and is found by the one who merges.
    let part = dir.path().join("data/train-00001-of-00003.parquet");
    let mut damaged = fs::read(&part).unwrap();
    damaged[60] ^= 4;
    fs::write(&part, damaged).unwrap();
    assert!(begin().missing().is_empty());
    let merge = work(Prompts::begin(dir.path(), recipe(1), 3, Mode::Alone));
    assert_eq!(merge.missing(), [1]);
    assert!(message(merge.commit(), dir.path()).contains("parts 1 are missing"));
    begin().write_part(1, &prompts(3..6)).unwrap();
    work(Prompts::begin(dir.path(), recipe(1), 3, Mode::Alone)).commit().unwrap();
    assert_eq!(bytes(dir.path()), undisturbed());
    let standing = Standing::of(dir.path()).unwrap().unwrap();
    assert_eq!((standing.parts, standing.missing.len()), (3, 0));
}

#[test]
fn missing_parts_are_told_as_the_shards_that_make_them() {
    let of = |missing: &[usize], shards| {
        Standing { parts: 9, missing: missing.to_vec() }.missing_shards(shards)
    };
    assert_eq!(of(&[], 4), "");
    assert_eq!(of(&[1, 2, 5, 8], 4), "0-2");
    assert_eq!(of(&[1, 2, 5, 8], 9), "1-2,5,8");
    assert_eq!(of(&[3], 64), "3");
}

#[test]
fn parts_of_two_tables_belong_together_or_are_made_again() {
    let [one, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let begin = |dir: &Path| work(Prompts::begin(dir, recipe(1), 1, Mode::Shard { scratch: None }));
    let attempts = [(); 2].map(|()| (begin(one.path()), begin(other.path())));
    let rows = [prompts(0..3), prompts(3..6)];
    // Two attempts at one part, with a model that gave each of them other rows.
    for ((first, _), rows) in attempts.iter().zip(&rows) {
        first.write_part(0, rows).unwrap();
    }
    for ((first, second), rows) in attempts.iter().zip(&rows).rev() {
        second.write_part_beside(0, rows, first).unwrap();
    }
    let (first, second) = (begin(one.path()), begin(other.path()));
    assert!(!second.belongs_to(0, &first).unwrap());
    second.discard_part(0).unwrap();
    second.write_part_beside(0, &rows[1], &first).unwrap();
    assert!(begin(other.path()).belongs_to(0, &begin(one.path())).unwrap());
}

#[test]
fn what_a_killed_writer_left_half_written_goes_where_its_manifest_is_found_again() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 3);
    let whole = bytes(dir.path());
    fs::remove_file(dir.path().join("_MANIFEST.json")).unwrap();
    fs::write(dir.path().join(".tmp-1-2-.manifest.json"), "{").unwrap();
    done(Prompts::begin(dir.path(), recipe(1), 3, Mode::Alone));
    assert_eq!(bytes(dir.path()), whole);
}
