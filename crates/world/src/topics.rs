//! The templates, a file per topic.

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

/// What every split but the one of unseen templates draws from.
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

/// Templates of the same kind with other structures and wordings, for one split only.
pub(super) const UNSEEN: &[Topic] = &[unseen::TOPIC];
