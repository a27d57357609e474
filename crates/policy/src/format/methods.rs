//! Python string methods for templates: those of minijinja, some that it lacks, and limits on the size of the result.

use minijinja::{Error, ErrorKind, State, Value};
use minijinja_contrib::pycompat::unknown_method_callback;

/// Bytes of output per unit of fuel.
const STEP: usize = 64;

/// Calls a method on a value.
pub(super) fn call(
    state: &mut State<'_, '_>,
    value: &Value,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    let Some(text) = value.as_str() else {
        return unknown_method_callback(state, value, method, args);
    };
    let first = args.first().and_then(Value::as_str);
    match (method, first) {
        // The format string itself gives the width: `'{:>2000000000}'`.
        ("format", _) => {
            let widths =
                text.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty());
            let widths = widths.map(|digits| digits.parse().unwrap_or(usize::MAX));
            pay(state, widths.fold(0, usize::saturating_add))?;
            let long = args.iter().filter_map(Value::as_str).map(str::len).max().unwrap_or(0);
            pay(state, long.saturating_mul(text.matches('{').count()))?;
        }
        // A list may hold the same long string many times.
        ("join", None) => {
            if let Some(items) = args.first() {
                for item in items.try_iter()? {
                    pay(state, item.as_str().map_or(0, str::len))?;
                }
            }
        }
        ("removeprefix", Some(prefix)) => {
            return Ok(Value::from(text.strip_prefix(prefix).unwrap_or(text)));
        }
        ("removesuffix", Some(suffix)) => {
            return Ok(Value::from(text.strip_suffix(suffix).unwrap_or(text)));
        }
        ("partition", Some(mark)) if !mark.is_empty() => {
            let (before, after) = text.split_once(mark).unwrap_or((text, ""));
            let mark = if before.len() < text.len() { mark } else { "" };
            return Ok(Value::from([before, mark, after].map(str::to_owned).to_vec()));
        }
        ("rpartition", Some(mark)) if !mark.is_empty() => {
            let (before, after) = text.rsplit_once(mark).unwrap_or(("", text));
            let mark = if after.len() < text.len() { mark } else { "" };
            return Ok(Value::from([before, mark, after].map(str::to_owned).to_vec()));
        }
        ("rsplit", Some(mark)) if !mark.is_empty() => {
            let most =
                args.get(1).and_then(Value::as_i64).and_then(|most| usize::try_from(most).ok());
            let pieces: Vec<&str> = match most {
                None => text.rsplit(mark).collect(),
                Some(most) => text.rsplitn(most + 1, mark).collect(),
            };
            let parts: Vec<String> = pieces.into_iter().rev().map(str::to_owned).collect();
            return Ok(Value::from(parts));
        }
        // The width is an argument, so a short template could ask for gigabytes.
        ("center" | "ljust" | "rjust" | "zfill", _) => {
            let problem = format!("{method}: padding is not supported");
            return Err(Error::new(ErrorKind::UnknownMethod, problem));
        }
        _ => {}
    }
    unknown_method_callback(state, value, method, args)
}

fn pay(state: &State<'_, '_>, bytes: usize) -> Result<(), Error> {
    state.consume_fuel((bytes / STEP) as u64)
}
