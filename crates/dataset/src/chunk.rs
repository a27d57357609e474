//! Units of work: the ranges of rows that make up the parts.

use std::ops::Range;

/// Splits `rows` rows into parts of `chunk_rows`, of which the last may be shorter. `chunk_rows` of 0 means one part. There
/// is always at least one part, if only an empty one, so that a dataset without rows is still a dataset.
pub fn chunk(rows: usize, chunk_rows: usize) -> Vec<Range<usize>> {
    if rows == 0 || chunk_rows == 0 {
        return std::iter::once(0..rows).collect();
    }
    (0..rows).step_by(chunk_rows).map(|start| start..rows.min(start + chunk_rows)).collect()
}

/// Formats ascending indices as the array specification of a scheduler, such as `3,7,12-15`.
pub(crate) fn array_spec(indices: &[usize]) -> String {
    let runs = indices.chunk_by(|a, b| a + 1 == *b);
    let texts: Vec<String> = runs
        .map(|run| match run {
            [one] => one.to_string(),
            [first, .., last] => format!("{first}-{last}"),
            [] => String::new(),
        })
        .collect();
    texts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_all_rows_once() {
        assert_eq!(chunk(7, 3), [0..3, 3..6, 6..7]);
        assert_eq!(chunk(6, 3), [0..3, 3..6]);
        assert_eq!(chunk(5, 0).as_slice(), std::slice::from_ref(&(0..5)));
        assert_eq!(chunk(0, 3).as_slice(), std::slice::from_ref(&(0..0)));
    }

    #[test]
    fn runs_of_indices_are_joined() {
        assert_eq!(array_spec(&[3, 7, 12, 13, 14, 15]), "3,7,12-15");
        assert_eq!(array_spec(&[]), "");
    }
}
