//! Checks every fused operation, and its gradients, against the composition of burn's own operations.

use burn::tensor::activation::{log_softmax, silu, softmax};
use burn::tensor::{FloatDType, Tensor};
use kernels::causal::Branches;
use kernels::{AdamW, WeightType};

use super::losses::log_probabilities;
use super::optimizer::composed_adamw;
use super::*;
use crate::device;
use crate::mask::{self, MASKED};
use crate::rotary::Positions;
use crate::tensors::{tensor, values};

fn numbers(count: usize, salt: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 37 + salt * 11) % 101) as f32 / 25.0 - 2.0).collect()
}

/// Runs both forms on the same inputs, and compares the outputs and the gradients of a weighted sum of them.
fn agree<const D: usize, const E: usize>(
    shapes: [[usize; D]; 2],
    fused: impl Fn(Tensor<D>, Tensor<D>) -> Tensor<E>,
    plain: impl Fn(Tensor<D>, Tensor<D>) -> Tensor<E>,
) {
    let device = device::cpu().autodiff();
    let inputs = || {
        let made = |i: usize| {
            let count = shapes[i].iter().product();
            tensor(numbers(count, i + 1), shapes[i], &device).require_grad()
        };
        [made(0), made(1)]
    };
    let run = |f: &dyn Fn(Tensor<D>, Tensor<D>) -> Tensor<E>| {
        let [a, b] = inputs();
        let out = f(a.clone(), b.clone());
        let weights = tensor(numbers(out.dims().iter().product(), 7), out.dims(), &device);
        let grads = (out.clone() * weights).sum().backward();
        let grad = |x: &Tensor<D>| x.grad(&grads).map(values).unwrap_or_default();
        [values(out), grad(&a), grad(&b)]
    };
    for (computed, expected) in run(&fused).into_iter().zip(run(&plain)) {
        assert_eq!(computed.len(), expected.len());
        for (x, y) in computed.iter().zip(&expected) {
            assert!((x - y).abs() < 1e-4 * (1.0 + y.abs()), "{x} is not {y}");
        }
    }
    let plainly = |x: Tensor<D>| x.inner();
    let [a, b] = inputs();
    let on_cpu = values(fused(plainly(a), plainly(b)));
    assert_eq!(on_cpu, run(&fused)[0], "the same without a history");
}

#[test]
fn swiglu_is_its_composition() {
    agree([[2, 3, 21]; 2], swiglu, |gate, up| silu(gate) * up);
}

#[test]
fn rms_norm_is_its_composition() {
    let weight = |w: Tensor<2>| w.narrow(0, 0, 1).reshape([19]);
    agree(
        [[6, 19]; 2],
        |x, w| rms_norm(x, weight(w), 1e-5),
        |x, w| {
            let rms = (x.clone().square().mean_dim(1) + 1e-5).sqrt();
            (x / rms) * weight(w).unsqueeze()
        },
    );
}

#[test]
fn masked_softmax_is_its_composition() {
    for shape in [[1, 1, 3, 5], [2, 1, 1, 5], [2, 1, 3, 5]] {
        let count = shape.iter().product();
        let hidden = |i: usize| if i % 5 == 3 { MASKED } else { 0.0 };
        let mask =
            |like: &Tensor<4>| tensor((0..count).map(hidden).collect(), shape, &like.device());
        agree(
            [[2, 4, 3, 5]; 2],
            |scores, _| masked_softmax(scores.clone(), mask(&scores), 0.3),
            |scores, _| softmax(scores.clone().mul_scalar(0.3) + mask(&scores), 3),
        );
    }
}

#[test]
fn rotary_is_its_composition() {
    for batch in [1, 2] {
        let angles = |like: &Tensor<3>, f: fn(f32) -> f32| {
            let values = numbers(batch * 5 * 4, 3).into_iter().map(f).collect();
            tensor(values, [batch, 1, 5, 4], &like.device())
        };
        agree(
            [[2, 5, 24]; 2],
            |x, _| rotary(x.clone(), angles(&x, f32::cos), angles(&x, f32::sin), 3),
            |x, _| {
                let (cos, sin) = (angles(&x, f32::cos), angles(&x, f32::sin));
                let x = x.reshape([2, 5, 3, 8]).swap_dims(1, 2);
                let (a, b) = (x.clone().narrow(3, 0, 4), x.narrow(3, 4, 4));
                let left = a.clone() * cos.clone() - b.clone() * sin.clone();
                Tensor::cat(vec![left, b * cos + a * sin], 3)
            },
        );
    }
}

#[test]
fn adamw_is_its_composition() {
    let device = device::cpu();
    let made = |salt| tensor(numbers(67, salt), [67], &device);
    let moments = || [made(3), made(4).square()];
    let how = AdamW {
        rate: 0.01,
        beta_1: 0.9,
        beta_2: 0.98,
        epsilon: 1e-8,
        weight_decay: 0.1,
        scale: 0.7,
        update: 3,
    };
    let kept = moments();
    let flat = |(value, [first, second]): (Tensor<1>, [Tensor<1>; 2])| {
        [value, first, second].map(values).concat()
    };
    let computed = flat(adamw(made(1), made(2), kept.clone(), how));
    let expected = flat(composed_adamw(made(1), made(2), moments(), how));
    for (x, y) in computed.iter().zip(expected) {
        assert!((x - y).abs() < 1e-5, "{x} is not {y}");
    }
    assert_eq!(kept.map(values), moments().map(values), "others' tensors are not written to");
}

#[test]
fn cross_entropy_is_its_composition() {
    let (targets, weights) = ([4, 0, 16, 9], [1.0, 0.5, 2.0, 0.0]);
    let chosen = |logits: Tensor<2>| {
        let rows = log_softmax(logits, 1).chunk(4, 0).into_iter().zip(targets);
        let chosen = rows.map(|(row, target)| row.narrow(1, target as usize, 1).reshape([1]));
        Tensor::<1>::cat(chosen.collect(), 0)
    };
    agree(
        [[4, 17]; 2],
        |logits, _| cross_entropy(logits, &targets, &weights),
        |logits, _| {
            let all = chosen(logits);
            (all.clone() * tensor(weights.into(), [4], &all.device())).sum().neg()
        },
    );
    agree(
        [[4, 17]; 2],
        |logits, _| cross_entropies(logits, &targets),
        |logits, _| chosen(logits).neg(),
    );
}

/// Selects columns of a matrix.
fn columns(matrix: &Tensor<2>, from: usize, count: usize) -> Tensor<2> {
    matrix.clone().narrow(1, from, count)
}

/// Angles of rows of `time` tokens with heads of width 4, on the device of `like`.
fn positions(time: usize, like: &Tensor<2>) -> Positions {
    let angles = numbers(time * 2, 3);
    let [cos, sin] = [f32::cos as fn(f32) -> f32, f32::sin].map(|f| {
        let values = angles.iter().map(|&angle| f(angle)).collect();
        tensor(values, [1, 1, time, 2], &like.device())
    });
    Positions { cos, sin, branches: Branches::none(time) }
}

#[test]
fn self_attention_is_its_composition_in_rows_of_several_blocks() {
    for (time, heads, kv_heads) in [(3, 4, 4), (70, 4, 2), (130, 2, 1)] {
        let (all, kv) = (heads * 4, kv_heads * 4);
        // Large scores would make the last digits of the attention weights differ.
        let weights = |w: &Tensor<2>| {
            let w = &w.clone().mul_scalar(0.2);
            let output = columns(w, all + 2 * kv, all).transpose();
            [columns(w, 0, all), columns(w, all, kv), columns(w, all + kv, kv), output]
        };
        let composed = |x: Tensor<2>, w: Tensor<2>| {
            let Positions { cos, sin, .. } = positions(time, &x);
            let mask = mask::causal(time, &x.device());
            let [query, key, value, output] = weights(&w);
            let rotated = |weight: Tensor<2>, heads| {
                let x = x.clone().matmul(weight).reshape([2, time, heads * 4]);
                rotary(x, cos.clone(), sin.clone(), heads)
            };
            let each = |x: Tensor<4>| {
                let x = x.reshape([2, kv_heads, 1, time * 4]).repeat_dim(2, heads / kv_heads);
                x.reshape([2, heads, time, 4])
            };
            let value = x.clone().matmul(value).reshape([2, time, kv_heads, 4]).swap_dims(1, 2);
            let (query, key) = (rotated(query, heads), each(rotated(key, kv_heads)));
            let scores = query.matmul(key.swap_dims(2, 3)).mul_scalar(0.5);
            let output_heads = softmax(scores + mask, 3).matmul(each(value));
            output_heads
                .swap_dims(1, 2)
                .reshape([2 * time, all])
                .matmul(output)
                .reshape([2, time, 8])
        };
        agree(
            [[2 * time, 8], [8, all + 2 * kv + all]],
            |x, w| {
                let [query, key, value, output] = weights(&w);
                let factors = WeightType::F32;
                let weights = AttentionWeights { query, key, value, output, factors };
                let positions = positions(time, &x);
                self_attention(&x.reshape([2, time, 8]), &weights, &positions, heads, kv_heads)
            },
            composed,
        );
        agree(
            [[2 * time, 8], [8, all + 2 * kv + all]],
            |x, w| {
                let [query, key, value, output] = weights(&w);
                let [query, key, value] = [(query, all), (key, kv), (value, kv)]
                    .map(|(weight, width)| x.clone().matmul(weight).reshape([2, time, width]));
                let positions = positions(time, &x);
                let projected = [&query, &key, &value];
                let attended = causal_attention(projected, &positions, heads, kv_heads);
                attended.reshape([2 * time, all]).matmul(output).reshape([2, time, 8])
            },
            composed,
        );
    }
}

/// A weight that does not learn, on the device of `like`.
fn constant(shape: [usize; 2], like: &Tensor<2>) -> Tensor<2> {
    tensor(numbers(shape[0] * shape[1], 5), shape, &like.device())
}

#[test]
fn a_frozen_layer_is_its_composition() {
    for adapted in [false, true] {
        let bias = |like: &Tensor<2>| constant([1, 7], like).reshape([7]);
        // A is the first columns of `p`, and B is made of the others.
        let up = |p: &Tensor<2>| columns(&columns(p, 2, 2).transpose().repeat_dim(1, 2), 0, 7);
        agree(
            [[6, 5], [5, 4]],
            |x, p| {
                let adapter = adapted.then(|| {
                    let down = columns(&p, 0, 2);
                    AdapterWeights { down, up: up(&p), scale: 0.5 }
                });
                let weight = LinearWeight::Untied(constant([5, 7], &x));
                let layer = FrozenLinear { weight, bias: Some(bias(&x)), adapter };
                frozen_linear(&x.reshape([2, 3, 5]), &layer)
            },
            |x, p| {
                let product = x.clone().matmul(constant([5, 7], &x)) + bias(&x).unsqueeze();
                let correction = x.matmul(columns(&p, 0, 2)).matmul(up(&p)).mul_scalar(0.5);
                let sum = if adapted { product + correction } else { product };
                sum.reshape([2, 3, 7])
            },
        );
    }
}

/// With values that bfloat16 represents exactly, a layer in bfloat16 is the same layer.
#[test]
fn a_frozen_layer_in_bfloat16_rounds_nothing_else() {
    let device = device::cpu().autodiff();
    let whole = |count: usize| (0..count).map(|i| ((i * 37) % 17) as f32 - 8.0).collect();
    let layer = |stored: FloatDType| {
        let weight: Tensor<2> = tensor(whole(5 * 7), [5, 7], &device);
        let weight = LinearWeight::Untied(weight.cast(stored));
        FrozenLinear { weight, bias: None, adapter: None }
    };
    let run = |stored| {
        let x: Tensor<2> = tensor(whole(30), [6, 5], &device).require_grad();
        let out = frozen_linear(&x, &layer(stored));
        let weights = tensor(whole(42), [6, 7], &device);
        let grads = (out.clone() * weights).sum().backward();
        [values(out), values(x.grad(&grads).unwrap())]
    };
    assert_eq!(run(FloatDType::BF16), run(FloatDType::F32));
}

#[test]
fn logits_and_loss_over_a_frozen_output_are_their_compositions() {
    let (targets, weights) = ([4, 0, 16, 9, 9], [1.0, 0.5, 2.0, 0.0, 1.0]);
    for tied in [false, true] {
        let output = |like: &Tensor<2>| {
            let weight = constant(if tied { [17, 8] } else { [8, 17] }, like);
            if tied { LinearWeight::Tied(weight) } else { LinearWeight::Untied(weight) }
        };
        let logits = |hidden: Tensor<2>| {
            let weight = match output(&hidden) {
                LinearWeight::Tied(embedding) => embedding.transpose(),
                LinearWeight::Untied(weight) => weight,
            };
            hidden.matmul(weight)
        };
        agree(
            [[5, 8]; 2],
            |hidden, _| {
                let weight = output(&hidden);
                frozen_linear(&hidden, &FrozenLinear { weight, bias: None, adapter: None })
            },
            |hidden, _| logits(hidden),
        );
        for at_once in [2, 5] {
            agree(
                [[5, 8]; 2],
                |hidden, _| {
                    frozen::loss_by_rows(&hidden, &output(&hidden), &targets, &weights, at_once)
                },
                |hidden, _| {
                    let weights = tensor(weights.into(), [5], &hidden.device());
                    (log_probabilities(logits(hidden), &targets) * weights).sum().neg()
                },
            );
        }
    }
}

#[test]
fn the_feed_forward_layer_is_its_composition() {
    for wide in [5, 16, 37] {
        let weights = |w: &Tensor<2>| {
            [columns(w, 0, wide), columns(w, wide, wide), columns(w, 2 * wide, wide).transpose()]
        };
        agree(
            [[6, 8], [8, 3 * wide]],
            |x, w| {
                let [gate, up, down] = weights(&w);
                mlp(&x.reshape([2, 3, 8]), &MlpWeights { gate, up, down, factors: WeightType::F32 })
            },
            |x, w| {
                let [gate, up, down] = weights(&w);
                let inner = silu(x.clone().matmul(gate)) * x.matmul(up);
                inner.matmul(down).reshape([2, 3, 8])
            },
        );
    }
}

#[test]
fn a_linear_layer_is_its_composition() {
    let f32 = WeightType::F32;
    agree(
        [[6, 8], [8, 5]],
        |x, w| linear(&x.reshape([2, 3, 8]), &LinearWeight::Untied(w), f32),
        |x, w| x.matmul(w).reshape([2, 3, 5]),
    );
    agree(
        [[6, 8], [5, 8]],
        |x, w| linear(&x, &LinearWeight::Tied(w), f32),
        |x, w| x.matmul(w.transpose()),
    );
}

#[test]
fn the_loss_over_the_vocabulary_is_its_composition() {
    let (targets, weights) = ([4, 0, 16, 9, 9], [1.0, 0.5, 2.0, 0.0, 1.0]);
    let plain = |hidden: Tensor<2>, head: Tensor<2>| {
        let weights = tensor(weights.into(), [5], &hidden.device());
        (log_probabilities(hidden.matmul(head), &targets) * weights).sum().neg()
    };
    agree(
        [[5, 8], [17, 8]],
        |hidden, head| {
            let head = LinearWeight::Tied(head);
            language_loss(&hidden, &head, &targets, &weights, WeightType::F32)
        },
        |hidden, head| plain(hidden, head.transpose()),
    );
    agree(
        [[5, 8], [8, 17]],
        |hidden, head| {
            let head = LinearWeight::Untied(head);
            language_loss(&hidden, &head, &targets, &weights, WeightType::F32)
        },
        plain,
    );
}
