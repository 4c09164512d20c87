//! What a query says of its chart: the `render` at its end, which changes no row.

use super::lexer::{Token, TokenKind, lex};
use super::parser::unquote_or_plain;

/// The last `render` of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chart {
    /// `timechart`, `columnchart`, …
    pub kind: String,
    /// Names in lower case, each with its values: `ycolumns=a, b` has two.
    properties: Vec<(String, Vec<String>)>,
}

impl Chart {
    /// The chart of the query `text`, if it has one.
    pub fn of(text: &str) -> Option<Self> {
        let tokens = lex(text);
        let word = |token: &Token| &text[token.span.clone()];
        let start = tokens.windows(3).rposition(|three| {
            three[0].kind == TokenKind::Pipe
                && word(&three[1]) == "render"
                && three[2].kind == TokenKind::Identifier
        })?;
        let kind = word(&tokens[start + 2]).to_owned();
        let mut properties: Vec<(String, Vec<String>)> = Vec::new();
        let mut rest = tokens[start + 3..].iter().peekable();
        while let Some(token) = rest.next() {
            let follows_name = rest
                .peek()
                .is_some_and(|next| next.kind == TokenKind::Equal);
            match token.kind {
                TokenKind::Pipe | TokenKind::Semicolon => break,
                TokenKind::Identifier if follows_name => {
                    rest.next();
                    properties.push((word(token).to_ascii_lowercase(), Vec::new()));
                }
                TokenKind::Identifier
                | TokenKind::String
                | TokenKind::Long
                | TokenKind::Real
                | TokenKind::Minus => {
                    if let Some((_, values)) = properties.last_mut() {
                        match values.last_mut() {
                            Some(sign) if sign == "-" => sign.push_str(word(token)),
                            _ => values.push(unquote_or_plain(word(token))),
                        }
                    }
                }
                _ => {}
            }
        }
        Some(Self { kind, properties })
    }

    /// The values of a property, its name in lower case; none if it is not given.
    pub fn values(&self, name: &str) -> &[String] {
        let given = self.properties.iter().rfind(|(given, _)| given == name);
        given.map_or(&[], |(_, values)| values)
    }

    /// The value of a property that has one.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values(name).first().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_has_what_the_query_gives_it() {
        let chart = Chart::of(
            "T | where a == '| render piechart' // | render card
             | render ColumnChart with (title=\"a, \\\"b\\\"\", xTitle='x', ycolumns=p, q, ymin=-1.5, accumulate=true)",
        )
        .unwrap();
        assert_eq!(chart.kind, "ColumnChart");
        assert_eq!(chart.value("title"), Some("a, \"b\""));
        assert_eq!(chart.value("xtitle"), Some("x"));
        assert_eq!(chart.values("ycolumns"), ["p", "q"]);
        assert_eq!(chart.value("ymin"), Some("-1.5"));
        assert_eq!(chart.value("accumulate"), Some("true"));
        assert_eq!(chart.value("legend"), None);
    }

    #[test]
    fn a_query_without_render_has_no_chart() {
        for text in [
            "T",
            "T | where a == '| render piechart'",
            "render",
            "| render",
            "",
        ] {
            assert_eq!(Chart::of(text), None, "{text}");
        }
    }
}
