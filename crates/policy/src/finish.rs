//! The reasons why a text ended.

use std::fmt;
use std::str::FromStr;

/// The reason why an option or a solution ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishReason {
    /// The model ended the solution, or began another problem.
    End,
    /// The solution has its answer.
    Answer,
    /// The option is complete, and the solution is not.
    Termination,
    /// The limit on tokens or the context was reached first.
    Length,
}

impl FinishReason {
    const ALL: [Self; 4] = [Self::End, Self::Answer, Self::Termination, Self::Length];

    /// The name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::End => "end",
            Self::Answer => "answer",
            Self::Termination => "termination",
            Self::Length => "length",
        }
    }

    /// Whether it is a natural end rather than the length limit.
    pub const fn is_natural(self) -> bool {
        match self {
            Self::End | Self::Answer | Self::Termination => true,
            Self::Length => false,
        }
    }
}

impl fmt::Display for FinishReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for FinishReason {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|reason| reason.name() == name);
        known.ok_or_else(|| format!("`{name}` is no reason why a text ends"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_read_as_it_is_written() {
        for reason in FinishReason::ALL {
            assert_eq!(reason.to_string().parse(), Ok(reason));
        }
        assert!("stop".parse::<FinishReason>().unwrap_err().contains("`stop`"));
    }
}
