//! The templates, one file per topic.

mod comparing;
mod farm;
mod geometry;
mod kitchen;
mod people;
mod saving;
mod school;
mod sharing;
mod shopping;
mod sports;
mod travel;
mod unseen;
mod wages;
mod work;

use super::script::Topic;

/// The topics that all splits except [`Split::OodTemplates`](super::Split::OodTemplates) draw from.
// With `templates = 26`, a world has the first two templates of each of the 13 topics, so their order decides what it is.
pub(super) const TRAINING: &[Topic] = &[
    shopping::TOPIC,
    wages::TOPIC,
    saving::TOPIC,
    travel::TOPIC,
    people::TOPIC,
    farm::TOPIC,
    kitchen::TOPIC,
    school::TOPIC,
    sports::TOPIC,
    sharing::TOPIC,
    comparing::TOPIC,
    geometry::TOPIC,
    work::TOPIC,
];

/// Templates of the same kind with other structures and wordings, used only by
/// [`Split::OodTemplates`](super::Split::OodTemplates).
pub(super) const UNSEEN: &[Topic] = &[unseen::TOPIC];
