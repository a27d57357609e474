//! Criticizing: scores trajectories, and labels the critics' training data from the labelled seeds.
