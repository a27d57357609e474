//! Plain text to pretrain a policy on.

table! {
    /// A text.
    pub struct CorpusText = "corpus" version 1, key (text_id), check crate::table::anything;

    /// Hash of the text.
    pub text_id: String,
    /// The text.
    pub text: String,
    /// What sort of text it is.
    pub kind: String,
    /// `train` or `held_out`.
    pub split: String,
    /// The round that made it; 0 before the first.
    pub round: i32,
}
