//! Operators that take values apart or put rows together: expansions, `parse`, `make-series`, nested
//! tops, plugins.

use std::sync::Arc;

use super::{MAX_DEPTH, Parsed, Parser, literals};
use crate::kql::lexer::TokenKind;
use crate::kql::syntax::{
    Expansion, MakeSeries, Name, NestedTop, Operator, OperatorNode, Parse, ParseKind, ParsePart,
};
use crate::kql::value::Type;

impl Parser<'_> {
    pub(super) fn expansion(&mut self) -> Parsed<Expansion> {
        let mut index = None;
        let mut pairs = false;
        for (name, value) in self.mv_parameters()? {
            match &*name.text {
                "with_itemindex" => index = Some(value),
                "bagexpansion" | "kind" if &*value.text == "bag" => {}
                "bagexpansion" | "kind" if &*value.text == "array" => pairs = true,
                _ => return Err(self.error_at(name.span)),
            }
        }
        let columns = self.list(|parser| {
            let value = parser.named_expression()?;
            let mut kind = None;
            if parser.eat_word("to") {
                parser.expect_word("typeof")?;
                parser.expect(TokenKind::OpenParenthesis)?;
                kind = Some(parser.type_name()?);
                parser.expect(TokenKind::CloseParenthesis)?;
            }
            Ok((value, kind))
        })?;
        let limit = if self.eat_word("limit") {
            Some(self.expression()?)
        } else {
            None
        };
        Ok(Expansion {
            pairs,
            index,
            columns,
            limit,
        })
    }

    /// The parameters before mv-expand's columns, which may be assignments themselves.
    fn mv_parameters(&mut self) -> Parsed<Vec<(Name, Name)>> {
        let mut parameters = Vec::new();
        while ["with_itemindex", "bagexpansion", "kind"]
            .iter()
            .any(|word| self.at_word(word))
            && self.kind_at(1) == TokenKind::Equal
        {
            let name = self.name()?;
            self.advance();
            parameters.push((name, self.name()?));
        }
        Ok(parameters)
    }

    /// What stands behind `parse` and `parse-where`.
    pub(super) fn parse_operator(&mut self, filter: bool) -> Parsed<Parse> {
        let mut kind = ParseKind::Simple;
        let mut flags: Arc<str> = "".into();
        let words = self.parameters()?;
        for (name, value) in words.iter().rev() {
            match (&*name.text, &*value.text) {
                ("flags", _) => flags = value.text.clone(),
                ("kind", "simple") => {}
                ("kind", "relaxed") => kind = ParseKind::Relaxed,
                ("kind", "regex") => kind = ParseKind::Regex(flags.clone()),
                _ => return Err(self.error_at(value.span.clone())),
            }
        }
        let value = self.expression()?;
        self.expect_word("with")?;
        let mut pattern = Vec::new();
        loop {
            let token = self.token_text();
            match self.peek() {
                TokenKind::Star => {
                    self.advance();
                    pattern.push(ParsePart::Skip);
                }
                TokenKind::String => {
                    self.advance();
                    pattern.push(ParsePart::Text(literals::unquote(token).into()));
                }
                TokenKind::Identifier | TokenKind::OpenBracket => {
                    let name = self.name()?;
                    let mut of = Type::String;
                    if self.eat(TokenKind::Colon) {
                        of = self.type_name()?;
                    }
                    pattern.push(ParsePart::Column(name, of));
                }
                _ if pattern.is_empty() => return Err(self.unexpected()),
                _ => break,
            }
        }
        Ok(Parse {
            value,
            kind,
            pattern,
            filter,
        })
    }

    /// `mv-apply … on (operators)`
    pub(super) fn mv_apply(&mut self) -> Parsed<OperatorNode> {
        let expansion = self.expansion()?;
        self.expect_word("on")?;
        let body = self.subpipe()?;
        Ok(OperatorNode::MvApply { expansion, body })
    }

    /// Operators in brackets, whose rows an operator hands them.
    pub(super) fn subpipe(&mut self) -> Parsed<Vec<Operator>> {
        self.expect(TokenKind::OpenParenthesis)?;
        let body = self.nested(|parser| {
            let mut body = vec![parser.operator()?];
            while parser.eat(TokenKind::Pipe) {
                body.push(parser.operator()?);
                if body.len() > MAX_DEPTH {
                    return Err(parser.too_deep());
                }
            }
            Ok(body)
        })?;
        self.expect(TokenKind::CloseParenthesis)?;
        Ok(body)
    }

    /// `parse-kv value as (name: type, …) with (option = value, …)`
    pub(super) fn parse_keys(&mut self) -> Parsed<OperatorNode> {
        let value = self.expression()?;
        self.expect_word("as")?;
        self.expect(TokenKind::OpenParenthesis)?;
        let columns = self.list_until(TokenKind::CloseParenthesis, Self::column_declaration)?;
        let mut options = Vec::new();
        if self.eat_word("with") {
            self.expect(TokenKind::OpenParenthesis)?;
            options = self.list_until(TokenKind::CloseParenthesis, |parser| {
                let name = parser.name()?;
                let mut value = name.clone();
                if parser.eat(TokenKind::Equal) {
                    value = Name {
                        text: literals::unquote_or_plain(parser.token_text()).into(),
                        span: parser.span(),
                    };
                    parser.advance();
                }
                Ok((name, value))
            })?;
        }
        Ok(OperatorNode::ParseKeys {
            value,
            columns,
            options,
        })
    }

    pub(super) fn make_series(&mut self) -> Parsed<OperatorNode> {
        while self.at_word("kind") || self.at_word("hint") && self.kind_at(1) == TokenKind::Dot {
            self.parameters()?;
        }
        let aggregates = self.list(|parser| {
            let value = parser.named_expression()?;
            let mut default = None;
            if parser.eat_word("default") {
                parser.expect(TokenKind::Equal)?;
                default = Some(parser.expression()?);
            }
            Ok((value, default))
        })?;
        self.expect_word("on")?;
        // No comparison: `in range (…)` may follow.
        let on = self.assigned(Self::sum)?;
        let (mut from, mut to) = (None, None);
        let inclusive = self.at_word("in") && self.word_at(1, "range");
        let step = if inclusive {
            self.advance();
            self.advance();
            self.expect(TokenKind::OpenParenthesis)?;
            from = Some(self.expression()?);
            self.expect(TokenKind::Comma)?;
            to = Some(self.expression()?);
            self.expect(TokenKind::Comma)?;
            let step = self.expression()?;
            self.expect(TokenKind::CloseParenthesis)?;
            step
        } else {
            if self.eat_word("from") {
                from = Some(self.expression()?);
            }
            if self.eat_word("to") {
                to = Some(self.expression()?);
            }
            self.expect_word("step")?;
            self.expression()?
        };
        let mut by = Vec::new();
        if self.eat_word("by") {
            by = self.list(Self::named_expression)?;
        }
        Ok(OperatorNode::MakeSeries(MakeSeries {
            aggregates,
            on,
            from,
            to,
            step,
            inclusive,
            by,
        }))
    }

    /// The levels, parted by `, top-nested`.
    pub(super) fn top_nested(&mut self) -> Parsed<OperatorNode> {
        let mut levels = Vec::new();
        loop {
            let mut count = None;
            if !self.at_word("of") {
                count = Some(self.expression()?);
            }
            self.expect_word("of")?;
            let of = self.named_expression()?;
            let mut others = None;
            if self.eat_word("with") {
                self.expect_word("others")?;
                self.expect(TokenKind::Equal)?;
                others = Some(self.expression()?);
            }
            self.expect_word("by")?;
            let by = self.named_expression()?;
            let descending = !self.eat_word("asc");
            if descending {
                self.eat_word("desc");
            }
            levels.push(NestedTop {
                count,
                of,
                others,
                by,
                descending,
            });
            if levels.len() > MAX_DEPTH {
                return Err(self.too_deep());
            }
            if !self.eat(TokenKind::Comma) {
                return Ok(OperatorNode::TopNested(levels));
            }
            let at = self.span();
            if &*self.operator_name()?.text != "top-nested" {
                return Err(self.error_at(at));
            }
        }
    }

    pub(super) fn top_hitters(&mut self) -> Parsed<OperatorNode> {
        let count = self.expression()?;
        self.expect_word("of")?;
        let of = self.named_expression()?;
        let by = if self.eat_word("by") {
            Some(self.expression()?)
        } else {
            None
        };
        Ok(OperatorNode::TopHitters { count, of, by })
    }

    /// `evaluate plugin(arguments)`; the columns that may be declared behind it are read over.
    pub(super) fn evaluate(&mut self) -> Parsed<OperatorNode> {
        self.parameters()?;
        let plugin = self.name()?;
        self.expect(TokenKind::OpenParenthesis)?;
        let arguments = self.list_until(TokenKind::CloseParenthesis, Self::argument)?;
        if self.peek() == TokenKind::Colon {
            self.skip_operator();
        }
        Ok(OperatorNode::Evaluate(plugin, arguments))
    }
}
