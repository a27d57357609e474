//! Templates that are held out: nothing that learns ever sees them.

use crate::world::groups::THINGS;
use crate::world::script::{Topic, beat, template};

pub(super) const TOPIC: Topic = Topic {
    name: "unseen",
    templates: &[template(
        "two jars",
        beat(
            "o: person, item: thing, x: 10..80, z: 3..30 below x",
            &[
                "{o} keeps {his} {items} in two drawers. One drawer holds {x} {items} and the other holds {z} fewer.",
            ],
            &["The other drawer holds [y = x - z] {items}.", "{o} has [r = x + y] {items}."],
        ),
        &THINGS,
    )],
};
