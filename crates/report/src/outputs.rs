//! The outputs in a run's folder: their manifests, and which of them belong together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dataset::{Input, MANIFEST, Manifest};
use schema::Table;
use serde::Serialize;
use stage::{Failure, ResultExt};

/// The manifests below a folder, by the folder of each.
pub(crate) struct Outputs {
    run: PathBuf,
    manifests: BTreeMap<PathBuf, Manifest>,
}

/// The recipe of an output and the hashes of its inputs.
#[derive(Debug, Serialize)]
pub(crate) struct Provenance {
    output: String,
    tool: String,
    version: String,
    revision: Option<String>,
    // Text: JavaScript has no integers of 64 bits.
    seed: String,
    recipe: String,
    content: String,
    inputs: Vec<Input>,
}

/// Returns every file of this name below a folder, with the path of its folder within. Hidden folders are left out: they are those
/// of unfinished work, which comes and goes.
pub(crate) fn files(below: &Path, name: &str) -> Result<Vec<(String, PathBuf)>, Failure> {
    let mut found = Vec::new();
    let hidden = |name: &std::ffi::OsStr| name.as_encoded_bytes().starts_with(b".");
    let walk = walkdir::WalkDir::new(below).sort_by_file_name().into_iter();
    for entry in walk.filter_entry(|entry| entry.depth() == 0 || !hidden(entry.file_name())) {
        let entry = entry.or_io(below.display())?;
        if entry.file_name() == name {
            let folder = entry.path().parent().and_then(|dir| dir.strip_prefix(below).ok());
            let folder = folder.map(|dir| dir.display().to_string()).unwrap_or_default();
            found.push((folder, entry.into_path()));
        }
    }
    Ok(found)
}

impl Outputs {
    /// Reads the manifests of all outputs below a folder. Their files are not verified here: whoever opens one does so.
    pub(crate) fn below(run: &Path) -> Result<Self, Failure> {
        let mut manifests = BTreeMap::new();
        for (folder, _) in files(run, MANIFEST)? {
            let dir = run.join(folder);
            if let Some(manifest) = Manifest::find(&dir)? {
                manifests.insert(dir, manifest);
            }
        }
        Ok(Self { run: run.to_owned(), manifests })
    }

    /// The manifest of an output.
    pub(crate) fn manifest(&self, dir: &Path) -> Option<&Manifest> {
        self.manifests.get(dir)
    }

    /// The folder of the input of an output with this name, by the hash of its contents: the path in the manifest may be from
    /// before the run was moved. `None` if it is not below the run's folder.
    pub(crate) fn input(&self, of: &Manifest, name: &str) -> Option<PathBuf> {
        let input = of.recipe.inputs.iter().find(|input| input.name == name)?;
        self.with_content(&input.content)
    }

    /// The folders of those inputs of an output whose names begin with `prefix`.
    pub(crate) fn inputs(&self, of: &Manifest, prefix: &str) -> Vec<PathBuf> {
        let named = of.recipe.inputs.iter().filter(|input| input.name.starts_with(prefix));
        named.filter_map(|input| self.with_content(&input.content)).collect()
    }

    fn with_content(&self, content: &str) -> Option<PathBuf> {
        let mut all = self.manifests.iter();
        all.find(|(_, manifest)| manifest.content == content).map(|(dir, _)| dir.clone())
    }

    /// The folder of the table that was made together with another output, by the same recipe.
    pub(crate) fn beside<T: Table>(&self, of: &Manifest) -> Option<PathBuf> {
        let same = |other: &&Manifest| {
            let (a, b) = (&of.recipe, &other.recipe);
            (&a.tool, &a.config, a.seed, &a.inputs) == (&b.tool, &b.config, b.seed, &b.inputs)
        };
        let mut all = self.manifests.iter().filter(|(_, manifest)| manifest.kind == T::tag());
        all.find(|(_, manifest)| same(manifest)).map(|(dir, _)| dir.clone())
    }

    /// The provenance of all outputs, in the order of their folders.
    pub(crate) fn provenance(&self) -> Vec<Provenance> {
        let one = |(dir, manifest): (&PathBuf, &Manifest)| {
            let recipe = &manifest.recipe;
            Provenance {
                output: dir.strip_prefix(&self.run).unwrap_or(dir).display().to_string(),
                tool: recipe.tool.clone(),
                version: recipe.tool_version.clone(),
                revision: recipe.revision.clone(),
                seed: recipe.seed.to_string(),
                recipe: recipe.digest(&manifest.kind),
                content: manifest.content.clone(),
                inputs: recipe.inputs.clone(),
            }
        };
        self.manifests.iter().map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use dataset::{Begin, Mode, Output, Recipe};
    use schema::Prompt;

    use super::*;

    fn write(dir: &Path, rows: usize, inputs: Vec<Input>) {
        let recipe = Recipe {
            tool: "test".to_owned(),
            tool_version: "0".to_owned(),
            revision: None,
            config: rows.to_string(),
            seed: 7,
            inputs,
        };
        let Begin::Work(output) = Output::begin(dir, recipe, 1, Mode::Alone).unwrap() else {
            panic!("it is there already");
        };
        let prompt = |i| Prompt { prompt_id: format!("p{i}"), ..Prompt::default() };
        output.write_part(0, &(0..rows).map(prompt).collect::<Vec<_>>()).unwrap();
        output.commit().unwrap();
    }

    #[test]
    fn an_input_is_found_by_its_contents_though_the_run_was_moved() {
        let place = tempfile::tempdir().unwrap();
        let (old, run) = (place.path().join("old"), place.path().join("run"));
        write(&old.join("round-01/prompts"), 3, Vec::new());
        let manifest = Manifest::read(&old.join("round-01/prompts")).unwrap();
        let path = old.join("round-01/prompts").display().to_string();
        let input = Input { name: "prompts".to_owned(), path, content: manifest.content };
        write(&old.join("round-01/sft"), 2, vec![input]);
        std::fs::rename(&old, &run).unwrap();
        let outputs = Outputs::below(&run).unwrap();
        let sft = outputs.manifest(&run.join("round-01/sft")).unwrap();
        assert_eq!(outputs.input(sft, "prompts"), Some(run.join("round-01/prompts")));
        assert_eq!(outputs.input(sft, "critiques"), None);
        assert_eq!(outputs.inputs(sft, "pro"), [run.join("round-01/prompts")]);
        let told = outputs.provenance();
        let outputs: Vec<&str> = told.iter().map(|one| one.output.as_str()).collect();
        assert_eq!(outputs, ["round-01/prompts", "round-01/sft"]);
        assert_eq!(
            (told[0].seed.as_str(), told[1].inputs[0].content.as_str()),
            ("7", told[0].content.as_str())
        );
    }
}
