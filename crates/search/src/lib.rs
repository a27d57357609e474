//! Searching: eta-MCTS over the prompts with the policy and the critics.
