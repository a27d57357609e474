//! Keeps the trajectories the critics trust; writes fine-tuning data.
