//! Calculator annotations as in GSM8K: `<<48/2=24>>`.

/// Longest annotation `<<...>>`, in bytes; anything longer is not an annotation.
const MAX_ANNOTATION: usize = 512;

/// Returns the inside of the annotation that `rest` begins with. It must have an equals sign and no angle bracket.
pub(super) fn annotation(rest: &str) -> Option<&str> {
    let inner = rest.strip_prefix("<<")?;
    let len = inner.bytes().take(MAX_ANNOTATION).position(|b| matches!(b, b'>' | b'<' | b'\n'))?;
    let (inside, after) = (inner.get(..len)?, inner.get(len..)?);
    (after.starts_with(">>") && inside.contains('=')).then_some(inside)
}

/// Strips calculator annotations from a text: `48/2 = <<48/2=24>>24` becomes `48/2 = 24`.
pub fn strip_annotations(text: &str) -> String {
    let mut stripped = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, _)) = rest.split_once('<') {
        stripped.push_str(before);
        rest = rest.get(before.len()..).unwrap_or_default();
        let skipped = annotation(rest).map_or(0, |inner| inner.len() + 4);
        if skipped == 0 {
            stripped.push('<');
        }
        rest = rest.get(skipped.max(1)..).unwrap_or_default();
    }
    stripped.push_str(rest);
    stripped
}
