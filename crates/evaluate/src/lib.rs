//! Measures a policy, greedy and with eta-MCTS, with intervals and paired tests.
