//! Something that proposes options: the local language model.
