//! Trains a checkpoint from examples: policy, fast policy or critic.
