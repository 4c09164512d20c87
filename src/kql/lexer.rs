//! A query's text as tokens. Whitespace and comments are dropped; what is no token of KQL becomes
//! [`TokenKind::Bad`], and the parser says where.

use std::ops::Range;

use super::text;
use super::value::Type;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub kind: TokenKind,
    /// Byte offsets into the text.
    pub span: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// A name or a keyword: KQL's keywords are so by their place only. May begin with `$`.
    Identifier,
    /// A quoted text, quotes and prefix included.
    String,
    /// Decimal digits or `0x…`.
    Long,
    Real,
    /// `15m`, `1.5h`, …
    TimeSpan,
    /// `datetime(…)`, `dynamic(…)` and the like as one token: what stands in the brackets is not
    /// KQL.
    Literal(Type),
    Equal,
    EqualEqual,
    NotEqual,
    EqualTilde,
    NotTilde,
    Arrow,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Plus,
    Minus,
    Star,
    Slash,
    Percent,
    DotDot,
    Dot,
    Pipe,
    Comma,
    Semicolon,
    Colon,
    Bang,
    Tilde,
    At,
    OpenParenthesis,
    CloseParenthesis,
    OpenBracket,
    CloseBracket,
    OpenBrace,
    CloseBrace,
    /// No token of KQL: a stray character, an unfinished text or literal, a malformed number.
    Bad,
    /// After the last token, empty.
    End,
}

/// The tokens of `text` in order, the last one [`TokenKind::End`].
pub fn lex(text: &str) -> Vec<Token> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blank();
        let start = lexer.at;
        let kind = lexer.token();
        tokens.push(Token {
            kind,
            span: start..lexer.at,
        });
        if kind == TokenKind::End {
            return tokens;
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) {
        self.at += self.peek().map_or(0, char::len_utf8);
    }

    fn skip_while(&mut self, wanted: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.at += rest.find(|c| !wanted(c)).unwrap_or(rest.len());
    }

    fn skip_blank(&mut self) {
        loop {
            self.skip_while(|c| c.is_whitespace() || c == BYTE_ORDER_MARK);
            if !self.rest().starts_with("//") {
                return;
            }
            self.skip_while(|c| c != '\n');
        }
    }

    fn token(&mut self) -> TokenKind {
        let Some(first) = self.peek() else {
            return TokenKind::End;
        };
        match first {
            'h' | 'H' if self.string_after(1) => self.string(1),
            '@' | '"' | '\'' if self.string_after(0) => self.string(0),
            '`' if self.rest().starts_with("```") => self.string(0),
            'a'..='z' | 'A'..='Z' | '_' | '$' => self.word(),
            '0'..='9' => self.number(),
            _ => self.punctuation(),
        }
    }

    /// Whether a quoted text begins `skip` characters on.
    fn string_after(&self, skip: usize) -> bool {
        let rest = &self.rest()[skip..];
        rest.starts_with(['"', '\'']) || rest.starts_with("@\"") || rest.starts_with("@'")
    }

    fn string(&mut self, skip: usize) -> TokenKind {
        self.at += skip;
        if self.rest().starts_with("```") {
            self.at += 3;
            return match self.rest().find("```") {
                Some(end) => {
                    self.at += end + 3;
                    TokenKind::String
                }
                None => {
                    self.at = self.text.len();
                    TokenKind::Bad
                }
            };
        }
        let verbatim = self.peek() == Some('@');
        if verbatim {
            self.at += 1;
        }
        let quote = self.peek();
        self.bump();
        while let Some(c) = self.peek() {
            if c == '\n' || c == '\r' {
                break;
            }
            self.bump();
            if c == '\\' && !verbatim {
                if !self.escape() {
                    return TokenKind::Bad;
                }
            } else if Some(c) == quote {
                if verbatim && self.peek() == quote {
                    self.bump();
                    continue;
                }
                return TokenKind::String;
            }
        }
        TokenKind::Bad
    }

    /// Passes over what stands behind a backslash; `false` if that is no escape of KQL.
    fn escape(&mut self) -> bool {
        let digits = match self.peek() {
            Some('\\' | '"' | '\'' | 'n' | 'r' | 't' | '0' | 'a' | 'b' | 'f' | 'v') => 0,
            Some('x') => 2,
            Some('u') => 4,
            Some('U') => 8,
            _ => return false,
        };
        self.bump();
        for _ in 0..digits {
            if !self.peek().is_some_and(|c| c.is_ascii_hexdigit()) {
                return false;
            }
            self.bump();
        }
        true
    }

    fn word(&mut self) -> TokenKind {
        let start = self.at;
        self.bump();
        self.skip_while(is_name_character);
        let word = &self.text[start..self.at];
        let Some(kind) = literal_type(word) else {
            return TokenKind::Identifier;
        };
        let end = self.at;
        self.skip_while(|c| c == ' ' || c == '\t');
        if self.peek() != Some('(') {
            self.at = end;
            return TokenKind::Identifier;
        }
        self.literal(kind)
    }

    /// The brackets of `datetime(…)`: up to the one that closes the first, texts skipped.
    fn literal(&mut self, kind: Type) -> TokenKind {
        let mut depth = 0_usize;
        while let Some(c) = self.peek() {
            match c {
                '(' => depth += 1,
                ')' if depth == 1 => {
                    self.bump();
                    return TokenKind::Literal(kind);
                }
                ')' => depth -= 1,
                '"' | '\'' if kind == Type::Dynamic => {
                    if self.string(0) == TokenKind::Bad {
                        return TokenKind::Bad;
                    }
                    continue;
                }
                '\n' | '|' | ';' if kind != Type::Dynamic => return TokenKind::Bad,
                _ => {}
            }
            self.bump();
        }
        TokenKind::Bad
    }

    fn number(&mut self) -> TokenKind {
        let start = self.at;
        if self.rest().starts_with("0x") || self.rest().starts_with("0X") {
            self.at += 2;
            self.skip_while(is_name_character);
            let digits = &self.text[start + 2..self.at];
            return match u64::from_str_radix(digits, 16) {
                Ok(_) => TokenKind::Long,
                Err(_) => TokenKind::Identifier,
            };
        }
        let digit = |c: char| c.is_ascii_digit();
        self.skip_while(digit);
        let mut kind = TokenKind::Long;
        let mut ahead = self.rest().chars();
        if ahead.next() == Some('.') && ahead.next().is_some_and(digit) {
            kind = TokenKind::Real;
            self.at += 1;
            self.skip_while(digit);
        }
        let number_end = self.at;
        if let Some('e' | 'E') = self.peek() {
            self.at += 1;
            if let Some('+' | '-') = self.peek() {
                self.at += 1;
            }
            let exponent = self.at;
            self.skip_while(digit);
            if exponent < self.at {
                kind = TokenKind::Real;
            } else {
                self.at = number_end;
            }
        }
        let unit_start = self.at;
        self.skip_while(is_name_character);
        let unit = &self.text[unit_start..self.at];
        if unit.is_empty() {
            return kind;
        }
        match text::timespan_unit(unit) {
            Some(_) if unit_start == number_end => TokenKind::TimeSpan,
            // A name may begin with digits.
            _ if kind == TokenKind::Long => TokenKind::Identifier,
            _ => TokenKind::Bad,
        }
    }

    fn punctuation(&mut self) -> TokenKind {
        const LONGEST_FIRST: [(&str, TokenKind); 32] = [
            ("==", TokenKind::EqualEqual),
            ("=~", TokenKind::EqualTilde),
            ("=>", TokenKind::Arrow),
            ("!=", TokenKind::NotEqual),
            ("<>", TokenKind::NotEqual),
            ("!~", TokenKind::NotTilde),
            ("<=", TokenKind::LessEqual),
            (">=", TokenKind::GreaterEqual),
            ("..", TokenKind::DotDot),
            ("=", TokenKind::Equal),
            ("<", TokenKind::Less),
            (">", TokenKind::Greater),
            ("+", TokenKind::Plus),
            ("-", TokenKind::Minus),
            ("*", TokenKind::Star),
            ("/", TokenKind::Slash),
            ("%", TokenKind::Percent),
            (".", TokenKind::Dot),
            ("|", TokenKind::Pipe),
            (",", TokenKind::Comma),
            (";", TokenKind::Semicolon),
            (":", TokenKind::Colon),
            ("!", TokenKind::Bang),
            ("~", TokenKind::Tilde),
            ("@", TokenKind::At),
            ("(", TokenKind::OpenParenthesis),
            (")", TokenKind::CloseParenthesis),
            ("[", TokenKind::OpenBracket),
            ("]", TokenKind::CloseBracket),
            ("{", TokenKind::OpenBrace),
            ("}", TokenKind::CloseBrace),
            ("||", TokenKind::Bad),
        ];
        for (text, kind) in LONGEST_FIRST {
            if self.rest().starts_with(text) {
                self.at += text.len();
                return kind;
            }
        }
        self.bump();
        TokenKind::Bad
    }
}

/// Editors put it before a text.
const BYTE_ORDER_MARK: char = '\u{feff}';

fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The type whose literals are written `word(…)`.
fn literal_type(word: &str) -> Option<Type> {
    match word {
        "string" => None,
        word => Type::from_name(word),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kinds(text: &str) -> Vec<TokenKind> {
        lex(text).into_iter().map(|token| token.kind).collect()
    }

    #[test]
    fn tokens_of_every_kind() {
        use TokenKind::*;
        for (text, kind) in [
            ("Val", Identifier),
            ("$left", Identifier),
            ("\"a\\\"b\"", String),
            ("'a'", String),
            ("@\"C:\\\"", String),
            ("h'secret'", String),
            ("h@\"x\"\"y\"", String),
            ("```a\nb```", String),
            ("12", Long),
            ("0xff", Long),
            ("1.5", Real),
            ("1e5", Real),
            ("15m", TimeSpan),
            ("1.5h", TimeSpan),
            ("10microseconds", TimeSpan),
            ("datetime(2015-12-31 23:59)", Literal(Type::DateTime)),
            ("dynamic({\"a\":\")\"})", Literal(Type::Dynamic)),
            ("long(null)", Literal(Type::Long)),
            ("double (1)", Literal(Type::Real)),
            ("=~", EqualTilde),
            ("<>", NotEqual),
            ("..", DotDot),
            ("“", Bad),
            ("\"open", Bad),
            ("1hour30", Identifier),
            ("1.5x", Bad),
            ("0xg", Identifier),
            ("datetime(", Bad),
            ("&", Bad),
            ("–", Bad),
        ] {
            let tokens = lex(text);
            assert_eq!(tokens.len(), 2, "{text}: {tokens:?}");
            assert_eq!((tokens[0].kind, &tokens[0].span), (kind, &(0..text.len())));
        }
        assert_eq!(
            kinds("1..5 // to the end\n!in~"),
            [Long, DotDot, Long, Bang, Identifier, Tilde, End]
        );
        assert_eq!(kinds(r#""a\q""#)[0], Bad);
        assert_eq!(kinds("datetime == 1"), [Identifier, EqualEqual, Long, End]);
    }

    proptest! {
        #[test]
        fn any_text_is_lexed_in_order_and_leaves_nothing_out(text in "(?s)[a1.'\"`@h(){}\\\\/ \nd-]{0,40}|\\PC{0,40}|.{0,20}") {
            let tokens = lex(&text);
            let mut at = 0;
            for token in &tokens {
                prop_assert!(at <= token.span.start && token.span.start <= token.span.end);
                let between = &text[at..token.span.start];
                let blank = between.chars().all(|c| c.is_whitespace() || c == '\u{feff}');
                prop_assert!(between.contains("//") || blank);
                prop_assert!(token.kind == TokenKind::End || !token.span.is_empty());
                at = token.span.end;
            }
            prop_assert_eq!(at, text.len());
        }
    }
}
