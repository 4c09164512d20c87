//! From tokens to the syntax tree, by recursive descent. The first token that does not fit ends it.

mod expressions;
mod literals;
mod operators;
mod shapes;
mod tables;

use std::sync::Arc;

pub(super) use literals::unquote_or_plain;

use super::lexer::{self, Token, TokenKind};
use super::syntax::{
    ColumnDeclaration, Expression, ExpressionNode, Function, LetValue, Name, Parameter,
    ParameterKind, Query, Script, Source, Span, Statement,
};
use super::value::Type;
use super::{Diagnostic, QueryError};

/// The longest text that is read, in bytes.
const MAX_TEXT: usize = 1 << 20;
/// The deepest nesting of expressions and the longest pipeline.
pub(super) const MAX_DEPTH: usize = 200;
/// The most statements of a text.
const MAX_STATEMENTS: usize = 2_000;

/// # Errors
/// [`QueryError::Syntax`] where the text is no KQL; [`QueryError::Limit`] where it is too long or
/// too deep.
pub fn parse(text: &str) -> Result<Script, QueryError> {
    if text.len() > MAX_TEXT {
        return Err(QueryError::Limit(format!(
            "a query may have {MAX_TEXT} bytes, this one has {}",
            text.len()
        )));
    }
    let tokens = lexer::lex(text);
    Parser {
        text,
        tokens,
        at: 0,
        depth: 0,
        tallest: 0,
        searching: false,
    }
    .script()
}

type Parsed<T> = Result<T, QueryError>;

struct Parser<'a> {
    text: &'a str,
    /// Ends with [`TokenKind::End`], which is never passed.
    tokens: Vec<Token>,
    at: usize,
    /// Calls of [`Self::nested`] that are under way.
    depth: usize,
    /// Within a `search`: `column: "term"` is a test.
    searching: bool,
    /// The height of the tallest tree since the query that is being read began.
    tallest: usize,
}

impl<'a> Parser<'a> {
    fn script(mut self) -> Parsed<Script> {
        let mut statements = Vec::new();
        loop {
            if self.peek() == TokenKind::End {
                break;
            }
            statements.push(self.statement()?);
            if statements.len() > MAX_STATEMENTS {
                return Err(QueryError::Limit(format!(
                    "a query may have {MAX_STATEMENTS} statements"
                )));
            }
            if self.peek() != TokenKind::End {
                self.expect(TokenKind::Semicolon)?;
            }
        }
        let end = self.span();
        if statements.is_empty() {
            return Err(self.unexpected());
        }
        Ok(Script { statements, end })
    }

    fn statement(&mut self) -> Parsed<Statement> {
        if self.at_word("let") && self.kind_at(1) != TokenKind::Pipe {
            return self.let_statement();
        }
        if self.at_word("set") && self.kind_at(1) == TokenKind::Identifier {
            return self.set_statement();
        }
        if self.at_word("declare") && self.word_at(1, "query_parameters") {
            self.advance();
            self.advance();
            self.expect(TokenKind::OpenParenthesis)?;
            let parameters = self.list_until(TokenKind::CloseParenthesis, Self::parameter)?;
            return Ok(Statement::Declare(parameters));
        }
        let foreign = ["alias", "declare", "restrict", "pattern"]
            .iter()
            .any(|word| self.at_word(word));
        if foreign && self.kind_at(1) == TokenKind::Identifier {
            return Err(QueryError::Unsupported {
                what: format!("the statement '{}'", self.token_text()),
                span: self.span(),
            });
        }
        Ok(Statement::Query(self.pipeline()?))
    }

    fn set_statement(&mut self) -> Parsed<Statement> {
        self.advance();
        let name = self.name()?;
        let mut value = None;
        if self.eat(TokenKind::Equal) {
            if self.peek() == TokenKind::Identifier {
                let word = self.name()?;
                value = Some(super::Value::String(word.text));
            } else if let ExpressionNode::Literal { value: literal, .. } = self.expression()?.node {
                value = Some(literal);
            }
        }
        Ok(Statement::Set { name, value })
    }

    fn let_statement(&mut self) -> Parsed<Statement> {
        self.advance();
        let name = self.name()?;
        self.expect(TokenKind::Equal)?;
        let value = if self.at_word("view") && self.kind_at(1) == TokenKind::OpenParenthesis {
            self.advance();
            LetValue::Function(self.function()?)
        } else if self.at_function() {
            LetValue::Function(self.function()?)
        } else {
            LetValue::Expression(self.pipeline()?)
        };
        Ok(Statement::Let { name, value })
    }

    /// Whether a bracket opens parameters: the one that closes it is followed by `{`.
    fn at_function(&self) -> bool {
        if self.peek() != TokenKind::OpenParenthesis {
            return false;
        }
        let mut depth = 0_usize;
        for (index, token) in self.tokens[self.at..].iter().enumerate() {
            match token.kind {
                TokenKind::OpenParenthesis => depth += 1,
                TokenKind::CloseParenthesis if depth == 1 => {
                    return self.kind_at(index + 1) == TokenKind::OpenBrace;
                }
                TokenKind::CloseParenthesis => depth -= 1,
                TokenKind::Pipe | TokenKind::Semicolon => return false,
                _ => {}
            }
        }
        false
    }

    fn function(&mut self) -> Parsed<Arc<Function>> {
        self.expect(TokenKind::OpenParenthesis)?;
        let parameters = self.list_until(TokenKind::CloseParenthesis, Self::parameter)?;
        self.expect(TokenKind::OpenBrace)?;
        let function = self.nested(|parser| {
            let mut lets = Vec::new();
            loop {
                let statement = parser.statement()?;
                let more = parser.eat(TokenKind::Semicolon);
                match statement {
                    Statement::Query(result) => {
                        return Ok(Function {
                            parameters,
                            lets,
                            result,
                        });
                    }
                    other if more => lets.push(other),
                    _ => return Err(parser.unexpected()),
                }
            }
        })?;
        self.expect(TokenKind::CloseBrace)?;
        Ok(Arc::new(function))
    }

    fn parameter(&mut self) -> Parsed<Parameter> {
        let name = self.name()?;
        self.expect(TokenKind::Colon)?;
        let kind = if self.eat(TokenKind::OpenParenthesis) {
            if self.eat(TokenKind::Star) {
                self.expect(TokenKind::CloseParenthesis)?;
                ParameterKind::Table(Vec::new())
            } else {
                ParameterKind::Table(
                    self.list_until(TokenKind::CloseParenthesis, Self::column_declaration)?,
                )
            }
        } else {
            ParameterKind::Scalar(self.type_name()?)
        };
        let default = if self.eat(TokenKind::Equal) {
            Some(self.expression()?)
        } else {
            None
        };
        Ok(Parameter {
            name,
            kind,
            default,
        })
    }

    fn column_declaration(&mut self) -> Parsed<ColumnDeclaration> {
        let name = self.name()?;
        self.expect(TokenKind::Colon)?;
        let kind = self.type_name()?;
        Ok(ColumnDeclaration { name, kind })
    }

    fn type_name(&mut self) -> Parsed<Type> {
        let kind = Type::from_name(self.token_text());
        match (self.peek(), kind) {
            (TokenKind::Identifier, Some(kind)) => {
                self.advance();
                Ok(kind)
            }
            _ => Err(self.unexpected()),
        }
    }

    /// An expression, piped or not: what may stand as a statement, in brackets, or as an argument.
    fn pipeline(&mut self) -> Parsed<Expression> {
        let start = self.span().start;
        let outside = std::mem::take(&mut self.tallest);
        let source = match self.leading_source()? {
            Some(source) => source,
            None => {
                let expression = self.expression()?;
                if self.peek() != TokenKind::Pipe {
                    self.tallest = self.tallest.max(outside);
                    return Ok(expression);
                }
                Source::Expression(expression)
            }
        };
        let mut operators = Vec::new();
        while self.eat(TokenKind::Pipe) {
            operators.push(self.operator()?);
            if operators.len() > MAX_DEPTH {
                return Err(self.too_deep());
            }
        }
        let height = self.tallest;
        self.tallest = outside.max(height);
        self.node(
            ExpressionNode::Query(Box::new(Query { source, operators })),
            start,
            height,
        )
    }

    // Tokens.

    fn token(&self) -> &Token {
        &self.tokens[self.at]
    }

    fn peek(&self) -> TokenKind {
        self.token().kind
    }

    fn kind_at(&self, ahead: usize) -> TokenKind {
        self.tokens
            .get(self.at + ahead)
            .map_or(TokenKind::End, |token| token.kind)
    }

    fn span(&self) -> Span {
        self.token().span.clone()
    }

    fn token_text(&self) -> &'a str {
        &self.text[self.token().span.clone()]
    }

    /// Where the token before this one ended.
    fn previous_end(&self) -> usize {
        self.at
            .checked_sub(1)
            .map_or(0, |before| self.tokens[before].span.end)
    }

    fn advance(&mut self) {
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
    }

    fn eat(&mut self, kind: TokenKind) -> bool {
        let found = self.peek() == kind;
        if found {
            self.advance();
        }
        found
    }

    fn expect(&mut self, kind: TokenKind) -> Parsed<()> {
        if self.eat(kind) {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    fn at_word(&self, word: &str) -> bool {
        self.peek() == TokenKind::Identifier && self.token_text() == word
    }

    fn word_at(&self, ahead: usize, word: &str) -> bool {
        self.tokens.get(self.at + ahead).is_some_and(|token| {
            token.kind == TokenKind::Identifier && &self.text[token.span.clone()] == word
        })
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let found = self.at_word(word);
        if found {
            self.advance();
        }
        found
    }

    fn expect_word(&mut self, word: &str) -> Parsed<()> {
        if self.eat_word(word) {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    /// Whether token `ahead` follows the one before it without a gap.
    fn adjoins(&self, ahead: usize) -> bool {
        match (
            self.tokens.get((self.at + ahead).wrapping_sub(1)),
            self.tokens.get(self.at + ahead),
        ) {
            (Some(before), Some(token)) => before.span.end == token.span.start,
            _ => false,
        }
    }

    /// A name, or `['any text']`.
    fn name(&mut self) -> Parsed<Name> {
        let start = self.span().start;
        if self.peek() == TokenKind::OpenBracket && self.kind_at(1) == TokenKind::String {
            self.advance();
            let text = literals::unquote(self.token_text());
            self.advance();
            self.expect(TokenKind::CloseBracket)?;
            return Ok(Name {
                text: text.into(),
                span: start..self.previous_end(),
            });
        }
        if self.peek() != TokenKind::Identifier {
            return Err(self.unexpected());
        }
        let name = Name {
            text: self.token_text().into(),
            span: self.span(),
        };
        self.advance();
        Ok(name)
    }

    /// At least one `item`, parted by commas.
    fn list<T>(&mut self, item: impl Fn(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.eat(TokenKind::Comma) {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// Items parted by commas, none or more, and the token that closes them.
    fn list_until<T>(
        &mut self,
        close: TokenKind,
        item: impl Fn(&mut Self) -> Parsed<T>,
    ) -> Parsed<Vec<T>> {
        if self.eat(close) {
            return Ok(Vec::new());
        }
        let items = self.list(item)?;
        self.expect(close)?;
        Ok(items)
    }

    /// Parses one level deeper, if that is allowed.
    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= MAX_DEPTH {
            return Err(self.too_deep());
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    /// A node over children of at most this height, from `start` to the last token read.
    fn node(&mut self, node: ExpressionNode, start: usize, height: usize) -> Parsed<Expression> {
        if height >= MAX_DEPTH {
            return Err(self.too_deep());
        }
        self.tallest = self.tallest.max(height + 1);
        Ok(Expression {
            node,
            span: start..self.previous_end().max(start),
            height: height + 1,
        })
    }

    fn too_deep(&self) -> QueryError {
        QueryError::Limit(format!("a query may nest {MAX_DEPTH} levels deep"))
    }

    fn unexpected(&self) -> QueryError {
        self.error_at(self.span())
    }

    fn error_at(&self, span: Span) -> QueryError {
        let mut diagnostic = Diagnostic::new("SYN0002", self.text, span, String::new());
        diagnostic.message = format!(
            "Query could not be parsed at '{}' on line [{},{}]",
            diagnostic.token, diagnostic.line, diagnostic.pos
        );
        QueryError::Syntax(diagnostic)
    }
}

#[cfg(test)]
#[path = "parser_tests.rs"]
mod tests;
