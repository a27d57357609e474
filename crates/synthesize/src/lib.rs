//! Imagination: synthesizes prompts from seed questions.
