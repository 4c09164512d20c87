//! The API's `error` object: what went wrong, innermost last.
//!
//! ```json
//! {"code": "BadArgumentError", "message": "…", "innererror": {"code": "SyntaxError", …,
//!  "innererror": {"code": "SYN0002", "message": "…", "line": 1, "pos": 11}}}
//! ```
//!
//! Partial results nest through `details` as well. The levels are read leniently: an error that
//! has another shape than expected must still be told.

use std::fmt;

use serde_json::Value;

use super::text::one_line;

/// An `error` object, flattened to the path from the outermost level to the innermost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ApiError {
    /// Every level's code, outermost first.
    codes: Vec<String>,
    code: Option<String>,
    message: Option<String>,
    /// Line and position in the query, from 1.
    place: Option<(u64, u64)>,
}

impl ApiError {
    /// The error in a body `{"error": {…}}`, if that is what it is.
    pub fn in_body(body: &[u8]) -> Option<Self> {
        let mut body: Value = serde_json::from_slice(body).ok()?;
        let error = body.get_mut("error")?.take();
        error.is_object().then(|| Self::of(&error))
    }

    /// Reads the object itself, in whatever shape it comes.
    pub fn of(error: &Value) -> Self {
        let mut read = Self::default();
        let mut level = Some(error);
        while let Some(this) = level {
            let code = text_of(this.get("code"));
            read.codes.extend(code.clone());
            if let Some(message) = text_of(this.get("message")).filter(|m| !m.is_empty()) {
                read.message = Some(message);
                read.code = code;
            }
            let number = |key| this.get(key).and_then(Value::as_u64);
            read.place = number("line").zip(number("pos")).or(read.place);
            let details = this.get("details").and_then(|details| details.get(0));
            level = this.get("innererror").filter(|e| e.is_object()).or(details);
        }
        if read.message.is_none() {
            read.code = read.codes.last().cloned();
        }
        read
    }

    /// Whether the query names a table that the workspace does not have.
    pub fn is_no_table(&self) -> bool {
        let says = |text: &str| {
            let message = self.message.as_deref();
            message.is_some_and(|message| message.contains(text))
        };
        self.codes().any(|code| code == "SEM0100") && says("Failed to resolve table")
    }

    /// Whether it is the token that is not taken, not whoever has it.
    pub fn is_bad_token(&self) -> bool {
        let is_bad = |code| matches!(code, "InvalidAuthenticationToken" | "InvalidTokenError");
        self.codes().any(is_bad)
    }

    /// Whether the result has more rows or bytes than the service sends.
    pub fn is_too_large(&self) -> bool {
        let message = self.message.as_deref();
        message.is_some_and(|message| message.contains("E_QUERY_RESULT_SET_TOO_LARGE"))
    }

    /// Every level's code, innermost first.
    pub fn codes(&self) -> impl Iterator<Item = &str> {
        self.codes.iter().rev().map(String::as_str)
    }
}

fn text_of(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// `CODE: message (line 1, position 11)`, in one line of bounded length.
impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.code, &self.message) {
            (Some(code), Some(message)) => {
                write!(f, "{}: {}", one_line(code), one_line(message))?;
            }
            (None, Some(text)) | (Some(text), None) => f.write_str(&one_line(text))?,
            (None, None) => f.write_str("no code and no message")?,
        }
        match self.place {
            Some((line, position)) => write!(f, " (line {line}, position {position})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_level_speaks() {
        for (body, text, codes) in [
            (
                r#"{"error": {"code": "BadArgumentError", "message": "outer", "innererror":
                   {"code": "SyntaxError", "message": "middle", "innererror": {"code": "SYN0002",
                    "message": "cannot parse\r\n'x'", "line": 1, "pos": 11, "token": "x"}}}}"#,
                "SYN0002: cannot parse 'x' (line 1, position 11)",
                "SYN0002 SyntaxError BadArgumentError",
            ),
            (
                r#"{"error": {"code": "PartialError", "message": "outer", "details": [{"code": "EngineError",
                   "message": "middle", "innererror": {"code": -2133, "message": "too many rows"}}]}}"#,
                "-2133: too many rows",
                "-2133 EngineError PartialError",
            ),
            (
                r#"{"error": {"code": "A", "message": "says more", "innererror": {"code": "B"}}}"#,
                "A: says more",
                "B A",
            ),
            (r#"{"error": {"code": "A"}}"#, "A", "A"),
            (r#"{"error": {"message": "m"}}"#, "m", ""),
            (
                r#"{"error": {"code": [], "innererror": 5}}"#,
                "no code and no message",
                "",
            ),
        ] {
            let error = ApiError::in_body(body.as_bytes()).unwrap();
            assert_eq!(error.to_string(), text);
            assert_eq!(error.codes().collect::<Vec<_>>().join(" "), codes);
        }
    }

    #[test]
    fn other_bodies_hold_no_error() {
        for body in [
            "",
            "<html>",
            "[]",
            r#"{"error": "text"}"#,
            r#"{"message": "m"}"#,
        ] {
            assert_eq!(ApiError::in_body(body.as_bytes()), None, "{body}");
        }
    }
}
