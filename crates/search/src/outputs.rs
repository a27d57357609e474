//! The two tables that a search writes, kept consistent with each other: each option of a trajectory refers to a row of
//! `nodes`.
//!
//! A server may answer the same request differently the second time, so searching a prompt again gives a different tree. A
//! part therefore counts as finished only once both tables have it, and its trajectories never exist without the nodes they
//! refer to: nodes are written first, trajectories are deleted first, and each step is on disk before the other table is
//! touched.

use std::collections::BTreeSet;
use std::path::Path;

use dataset::{Begin, Mode, Output, Recipe};
use schema::{NodeRow, Trajectory};
use stage::{Failure, InParts};

/// The rows of one part of both tables.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) nodes: Vec<NodeRow>,
    pub(crate) trajectories: Vec<Trajectory>,
}

/// The folders of the two tables.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Folders<'a> {
    pub(crate) nodes: &'a Path,
    pub(crate) trajectories: &'a Path,
}

/// The tables that still have parts to write.
pub(crate) struct Outputs {
    /// `None` if this table is already committed: an earlier run was killed between the two commits.
    nodes: Option<Output<NodeRow>>,
    trajectories: Output<Trajectory>,
}

impl Outputs {
    /// Begins or resumes both tables.
    pub(crate) fn begin(
        at: Folders<'_>,
        recipe: &Recipe,
        parts: usize,
        mode: Mode,
    ) -> Result<Begin<Self>, Failure> {
        let nodes = Output::begin(at.nodes, recipe.clone(), parts, mode)?;
        let trajectories = Output::begin(at.trajectories, recipe.clone(), parts, mode)?;
        let (nodes, trajectories) = match (nodes, trajectories) {
            (Begin::UpToDate(_), Begin::UpToDate(manifest)) => {
                return Ok(Begin::UpToDate(manifest));
            }
            (Begin::UpToDate(_), Begin::Work(trajectories))
                if trajectories.missing().is_empty() =>
            {
                // All parts are there and only this commit is missing, so nothing has to be searched again.
                return Ok(Begin::Work(Self { nodes: None, trajectories }));
            }
            (Begin::Work(nodes), Begin::Work(trajectories)) => (nodes, trajectories),
            // A shard must not make a table again that is complete: another process has just merged it.
            _ if mode.is_shard() => {
                let place = at.trajectories.display();
                return Err(Failure::try_again(format!("{place}: it is being merged")));
            }
            (Begin::UpToDate(_), Begin::Work(trajectories)) => {
                say_again(at.nodes, at.trajectories);
                // One table is committed and the other is incomplete. The committed one has to be rewritten too, since its
                // rows may belong to trees that a new search will not find again.
                (Output::again(at.nodes, recipe.clone(), parts)?, trajectories)
            }
            (Begin::Work(nodes), Begin::UpToDate(_)) => {
                say_again(at.trajectories, at.nodes);
                (nodes, Output::again(at.trajectories, recipe.clone(), parts)?)
            }
        };
        let outputs = Self { nodes: Some(nodes), trajectories };
        // Shards leave that to the one who merges: half a part may be another one's, who is about to write the other half.
        if !mode.is_shard() {
            outputs.discard_halves(parts)?;
        }
        Ok(Begin::Work(outputs))
    }

    /// Deletes the parts that only one of the two tables has, or of which each has those of another attempt.
    fn discard_halves(&self, parts: usize) -> Result<(), Failure> {
        let Some(nodes) = &self.nodes else { return Ok(()) };
        let lacking = [nodes.missing(), self.trajectories.missing()].map(BTreeSet::from_iter);
        for index in 0..parts {
            let half = lacking.iter().any(|missing| missing.contains(&index));
            if half || !self.trajectories.belongs_to(index, nodes)? {
                // Trajectories go first: a kill between the two deletions must not leave trajectories without their nodes.
                self.trajectories.discard_part(index)?;
                nodes.discard_part(index)?;
            }
        }
        Ok(())
    }

    /// Commits both tables, trajectories last: `make` takes their manifest as the sign that the whole search is done.
    pub(crate) fn commit(self) -> Result<(), Failure> {
        if let Some(output) = self.nodes {
            output.commit()?;
        }
        self.trajectories.commit()?;
        Ok(())
    }
}

impl InParts for Outputs {
    type Rows = Rows;

    /// The parts that one of the tables lacks.
    fn missing(&self) -> Vec<usize> {
        let nodes = self.nodes.as_ref().map(Output::missing).unwrap_or_default();
        let both: BTreeSet<usize> = nodes.into_iter().chain(self.trajectories.missing()).collect();
        both.into_iter().collect()
    }

    /// Writes one part of both tables, nodes first. What another attempt left of it goes.
    fn write(&self, index: usize, rows: &Rows) -> Result<(), Failure> {
        if let Some(output) = &self.nodes {
            self.trajectories.discard_part(index)?;
            output.discard_part(index)?;
            output.write_part(index, &rows.nodes)?;
            return Ok(self.trajectories.write_part_beside(index, &rows.trajectories, output)?);
        }
        Ok(self.trajectories.write_part(index, &rows.trajectories)?)
    }
}

fn say_again(complete: &Path, other: &Path) {
    tracing::warn!(
        "{} is complete, but {} lacks parts of the same search: both are made again",
        complete.display(),
        other.display()
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use dataset::Dataset;

    const PARTS: usize = 3;

    /// The rows that a server which never repeats itself would lead to: every text carries the name of the run.
    fn rows(run: &str, index: usize) -> Rows {
        let prompt_id = format!("p{index}");
        let node =
            NodeRow { prompt_id: prompt_id.clone(), text: run.to_owned(), ..NodeRow::default() };
        let trajectory = Trajectory {
            trajectory_id: format!("t{index}"),
            prompt_id,
            completion: run.to_owned(),
            ..Trajectory::default()
        };
        Rows { nodes: vec![node], trajectories: vec![trajectory] }
    }

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        /// The work that is left, if there is any.
        fn begin(&self) -> Option<Outputs> {
            let (nodes, trajectories) =
                (self.0.path().join("nodes"), self.0.path().join("trajectories"));
            let at = Folders { nodes: &nodes, trajectories: &trajectories };
            match Outputs::begin(at, &alphallm::recipe(), PARTS, Mode::Alone).unwrap() {
                Begin::Work(outputs) => Some(outputs),
                Begin::UpToDate(_) => None,
            }
        }

        /// Runs to the end and returns the parts it searched.
        fn finish(&self, run: &str) -> Vec<usize> {
            let outputs = self.begin().unwrap();
            let missing = outputs.missing();
            for &index in &missing {
                outputs.write(index, &rows(run, index)).unwrap();
            }
            outputs.commit().unwrap();
            missing
        }

        /// The run that wrote each part, for both tables.
        fn runs(&self) -> Vec<(String, String)> {
            let nodes = Dataset::<NodeRow>::open(&self.0.path().join("nodes")).unwrap().rows();
            let trajectories = Dataset::<Trajectory>::open(&self.0.path().join("trajectories"));
            let trajectories = trajectories.unwrap().rows().unwrap();
            let both = nodes.unwrap().into_iter().zip(trajectories);
            both.map(|(node, trajectory)| (node.text, trajectory.completion)).collect()
        }

        /// The Parquet file of a part.
        fn part(&self, table: &str, index: usize) -> std::path::PathBuf {
            let name = format!("data/train-{index:05}-of-{PARTS:05}.parquet");
            self.0.path().join(table).join(name)
        }
    }

    fn of(runs: [&str; PARTS]) -> Vec<(String, String)> {
        runs.map(|run| (run.to_owned(), run.to_owned())).to_vec()
    }

    #[test]
    fn a_part_that_one_table_lacks_is_searched_again_for_both() {
        let folder = Folder::new();
        let outputs = folder.begin().unwrap();
        outputs.write(0, &rows("first", 0)).unwrap();
        // Killed between the two writes: part 1 has its nodes but no trajectories.
        outputs.nodes.as_ref().unwrap().write_part(1, &rows("first", 1).nodes).unwrap();
        drop(outputs);
        assert_eq!(folder.finish("second"), [1, 2]);
        assert_eq!(folder.runs(), of(["first", "second", "second"]));
        assert!(folder.begin().is_none(), "up to date");
    }

    #[test]
    fn a_part_that_was_damaged_takes_its_counterpart_with_it() {
        for table in ["nodes", "trajectories"] {
            let folder = Folder::new();
            let outputs = folder.begin().unwrap();
            for index in 0..2 {
                outputs.write(index, &rows("first", index)).unwrap();
            }
            drop(outputs);
            std::fs::write(folder.part(table, 0), b"PAR1").unwrap();
            // A run that begins and is killed before it searches anything.
            drop(folder.begin().unwrap());
            assert_eq!(folder.finish("second"), [0, 2], "{table}");
            assert_eq!(folder.runs(), of(["second", "first", "second"]), "{table}");
        }
    }

    #[test]
    fn a_run_that_was_killed_between_the_commits_is_committed() {
        let folder = Folder::new();
        let outputs = folder.begin().unwrap();
        for index in 0..PARTS {
            outputs.write(index, &rows("first", index)).unwrap();
        }
        let Outputs { nodes, trajectories } = outputs;
        nodes.unwrap().commit().unwrap();
        drop(trajectories);
        assert!(folder.finish("second").is_empty());
        assert_eq!(folder.runs(), of(["first"; PARTS]));
    }

    #[test]
    fn a_table_that_is_gone_is_not_joined_with_another_search() {
        for table in ["nodes", "trajectories"] {
            let folder = Folder::new();
            folder.finish("first");
            std::fs::remove_dir_all(folder.0.path().join(table)).unwrap();
            assert_eq!(folder.finish("second"), [0, 1, 2], "{table}");
            assert_eq!(folder.runs(), of(["second"; PARTS]), "{table}");
        }
    }
}
