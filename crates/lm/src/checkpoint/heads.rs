//! The weights of a critic's scalar heads when the heads change.

use crate::tensors::HostTensor;

/// The weights of the heads `new` from those of the heads `old`: a head keeps its row by its name, and one that was not
/// there starts at zero.
pub(super) fn by_name(weights: &HostTensor, old: &[String], new: &[String]) -> HostTensor {
    let width = weights.shape[1];
    let row = |name: &String| match old.iter().position(|had| had == name) {
        Some(at) => weights.data[at * width..(at + 1) * width].to_vec(),
        None => vec![0.0; width],
    };
    HostTensor { shape: vec![new.len(), width], data: new.iter().flat_map(row).collect() }
}

#[cfg(test)]
mod tests {
    use crate::config::tests::toy;
    use crate::tokenizer::tests::tokenizer;
    use crate::weights::SCALAR_HEADS;
    use crate::{Checkpoint, ModelConfig, device, weights};

    fn rows(checkpoint: &Checkpoint) -> Vec<Vec<f32>> {
        let all = weights::collect(&checkpoint.model);
        let Some(heads) = all.get(SCALAR_HEADS) else { return Vec::new() };
        assert_eq!(heads.shape, [checkpoint.config.scalar_heads.len(), toy().hidden_size]);
        heads.data.chunks(toy().hidden_size).map(<[f32]>::to_vec).collect()
    }

    #[test]
    fn a_head_keeps_its_weights_by_its_name() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let config = ModelConfig { scalar_heads: names(&["value", "prm"]), ..toy() };
        let start = Checkpoint::fresh(config, tokenizer(), 5, &device::cpu()).unwrap();
        let [value, prm] = &rows(&start)[..] else { panic!("two heads") };
        let zeros = &vec![0.0; value.len()];
        assert!(value != prm && value != zeros && prm != zeros);
        for (heads, expected) in [
            (&["orm", "value"][..], &[zeros, value][..]),
            (&["prm", "value"], &[prm, value]),
            (&["prm"], &[prm]),
            (&["value", "prm", "orm"], &[value, prm, zeros]),
            (&[], &[]),
        ] {
            let other = start.clone().with_scalar_heads(&names(heads), &device::cpu()).unwrap();
            assert_eq!(rows(&other).iter().collect::<Vec<_>>(), expected, "{heads:?}");
            let (mut before, mut after) =
                (weights::collect(&start.model), weights::collect(&other.model));
            before.remove(SCALAR_HEADS);
            after.remove(SCALAR_HEADS);
            assert!(before == after, "the rest of the model stays: {heads:?}");
        }
    }
}
