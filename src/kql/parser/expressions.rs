//! Scalar expressions, by precedence: or, and, comparison, sum, product, sign, path.

use super::{Parsed, Parser, literals};
use crate::kql::lexer::TokenKind;
use crate::kql::syntax::{
    BinaryOperator, Expression, ExpressionNode, ListOperator, ListTest, LogicOperator, Name,
    NamedExpression, TextOperator, TextTest,
};
use crate::kql::text;
use crate::kql::value::{Type, Value};

/// An operator between two sides, and what must stand on its right.
enum Comparison {
    Binary(BinaryOperator),
    List(ListOperator),
    Between { negated: bool },
}

impl Parser<'_> {
    pub(super) fn expression(&mut self) -> Parsed<Expression> {
        self.nested(|parser| parser.logic(LogicOperator::Or))
    }

    /// `name = expression`, `(a, b) = expression` or an expression.
    pub(super) fn named_expression(&mut self) -> Parsed<NamedExpression> {
        self.assigned(Self::expression)
    }

    /// What `value` reads, with names before it or without.
    pub(super) fn assigned(
        &mut self,
        value: fn(&mut Self) -> Parsed<Expression>,
    ) -> Parsed<NamedExpression> {
        let mut names = Vec::new();
        if let Some(length) = self.tuple_length() {
            self.advance();
            for _ in 0..length {
                names.push(self.name()?);
                self.advance();
            }
            self.expect(TokenKind::Equal)?;
        } else if self.at_assignment() {
            names.push(self.name()?);
            self.advance();
        }
        let value = value(self)?;
        Ok(NamedExpression { names, value })
    }

    /// As [`Self::named_expression`], with `*` and queries allowed too.
    pub(super) fn argument(&mut self) -> Parsed<NamedExpression> {
        let start = self.span().start;
        let star = self.peek() == TokenKind::Star
            && matches!(
                self.kind_at(1),
                TokenKind::Comma | TokenKind::CloseParenthesis
            );
        if star {
            self.advance();
            return Ok(NamedExpression {
                names: Vec::new(),
                value: self.node(ExpressionNode::Star, start, 0)?,
            });
        }
        let mut names = Vec::new();
        if self.at_assignment() {
            names.push(self.name()?);
            self.advance();
        }
        let value = self.nested(Self::pipeline)?;
        Ok(NamedExpression { names, value })
    }

    fn at_assignment(&self) -> bool {
        match self.peek() {
            TokenKind::Identifier => self.kind_at(1) == TokenKind::Equal,
            TokenKind::OpenBracket => {
                self.kind_at(1) == TokenKind::String
                    && self.kind_at(2) == TokenKind::CloseBracket
                    && self.kind_at(3) == TokenKind::Equal
            }
            _ => false,
        }
    }

    /// The number of names in `(a, b) =`, if that is what comes.
    fn tuple_length(&self) -> Option<usize> {
        if self.peek() != TokenKind::OpenParenthesis {
            return None;
        }
        let mut at = 1;
        loop {
            if self.kind_at(at) != TokenKind::Identifier {
                return None;
            }
            match self.kind_at(at + 1) {
                TokenKind::Comma => at += 2,
                TokenKind::CloseParenthesis => {
                    return (self.kind_at(at + 2) == TokenKind::Equal).then_some(at.div_ceil(2));
                }
                _ => return None,
            }
        }
    }

    fn logic(&mut self, operator: LogicOperator) -> Parsed<Expression> {
        let start = self.span().start;
        let operand = |parser: &mut Self| match operator {
            LogicOperator::Or => parser.logic(LogicOperator::And),
            LogicOperator::And => parser.comparison(),
        };
        let word = match operator {
            LogicOperator::Or => "or",
            LogicOperator::And => "and",
        };
        let first = operand(self)?;
        if !self.at_word(word) {
            return Ok(first);
        }
        let mut operands = vec![first];
        let mut words = Vec::new();
        while self.at_word(word) {
            words.push(self.span());
            self.advance();
            operands.push(operand(self)?);
        }
        let height = operands.iter().map(|one| one.height).max().unwrap_or(0);
        let node = ExpressionNode::Logic {
            operator,
            operands,
            words,
        };
        self.node(node, start, height)
    }

    fn comparison(&mut self) -> Parsed<Expression> {
        let start = self.span().start;
        let left = match self.any_column()? {
            Some(star) => star,
            None => self.sum()?,
        };
        let operator_span = self.span();
        let Some(comparison) = self.comparison_operator() else {
            return Ok(left);
        };
        let operator_span = operator_span.start..self.previous_end();
        match comparison {
            Comparison::Binary(operator) => {
                let right = self.sum()?;
                let height = left.height.max(right.height);
                self.node(
                    ExpressionNode::Binary {
                        operator,
                        operator_span,
                        left: Box::new(left),
                        right: Box::new(right),
                    },
                    start,
                    height,
                )
            }
            Comparison::List(operator) => {
                self.expect(TokenKind::OpenParenthesis)?;
                let list = self.list_until(TokenKind::CloseParenthesis, |parser| {
                    parser.nested(Self::pipeline)
                })?;
                let height = list
                    .iter()
                    .map(|one| one.height)
                    .fold(left.height, usize::max);
                self.node(
                    ExpressionNode::List {
                        operator,
                        value: Box::new(left),
                        list,
                    },
                    start,
                    height,
                )
            }
            Comparison::Between { negated } => {
                self.expect(TokenKind::OpenParenthesis)?;
                let low = self.expression()?;
                self.expect(TokenKind::DotDot)?;
                let high = self.expression()?;
                self.expect(TokenKind::CloseParenthesis)?;
                let height = left.height.max(low.height).max(high.height);
                self.node(
                    ExpressionNode::Between {
                        negated,
                        operator_span,
                        value: Box::new(left),
                        low: Box::new(low),
                        high: Box::new(high),
                    },
                    start,
                    height,
                )
            }
        }
    }

    /// `*` before a test of texts: any column may pass it.
    fn any_column(&mut self) -> Parsed<Option<Expression>> {
        if self.peek() != TokenKind::Star {
            return Ok(None);
        }
        let start = self.span();
        self.advance();
        let tests = match self.peek() {
            TokenKind::EqualEqual
            | TokenKind::NotEqual
            | TokenKind::EqualTilde
            | TokenKind::NotTilde
            | TokenKind::Bang => true,
            TokenKind::Colon => self.searching,
            TokenKind::Identifier => !["in", "between", "and", "or"]
                .iter()
                .any(|word| self.at_word(word)),
            _ => false,
        };
        if !tests {
            return Err(self.error_at(start));
        }
        self.node(ExpressionNode::Star, start.start, 0).map(Some)
    }

    /// Reads the operator that comes, if one does.
    fn comparison_operator(&mut self) -> Option<Comparison> {
        let equals = |negated| {
            BinaryOperator::Text(TextOperator {
                test: TextTest::Equals,
                case_sensitive: false,
                negated,
            })
        };
        let symbol = match self.peek() {
            TokenKind::EqualEqual => BinaryOperator::Equal,
            TokenKind::NotEqual => BinaryOperator::NotEqual,
            TokenKind::Less => BinaryOperator::Less,
            TokenKind::LessEqual => BinaryOperator::LessEqual,
            TokenKind::Greater => BinaryOperator::Greater,
            TokenKind::GreaterEqual => BinaryOperator::GreaterEqual,
            TokenKind::EqualTilde => equals(false),
            TokenKind::NotTilde => equals(true),
            TokenKind::Colon if self.searching => BinaryOperator::Text(TextOperator {
                test: TextTest::Has,
                case_sensitive: false,
                negated: false,
            }),
            TokenKind::Identifier | TokenKind::Bang => return self.word_operator(),
            _ => return None,
        };
        self.advance();
        Some(Comparison::Binary(symbol))
    }

    /// `has`, `!contains_cs`, `in~`, `matches regex`, …
    fn word_operator(&mut self) -> Option<Comparison> {
        let negated = self.peek() == TokenKind::Bang;
        if negated && !(self.kind_at(1) == TokenKind::Identifier && self.adjoins(1)) {
            return None;
        }
        let word_at = usize::from(negated);
        let word = &self.text[self.tokens[self.at + word_at].span.clone()];
        let mut length = word_at + 1;
        let text = |test, case_sensitive| {
            Comparison::Binary(BinaryOperator::Text(TextOperator {
                test,
                case_sensitive,
                negated,
            }))
        };
        let list = |test, case_sensitive| {
            Comparison::List(ListOperator {
                test,
                case_sensitive,
                negated,
            })
        };
        let comparison = match word {
            "contains" => text(TextTest::Contains, false),
            "contains_cs" => text(TextTest::Contains, true),
            "startswith" => text(TextTest::StartsWith, false),
            "startswith_cs" => text(TextTest::StartsWith, true),
            "endswith" => text(TextTest::EndsWith, false),
            "endswith_cs" => text(TextTest::EndsWith, true),
            "has" => text(TextTest::Has, false),
            "has_cs" => text(TextTest::Has, true),
            "hasprefix" => text(TextTest::HasPrefix, false),
            "hasprefix_cs" => text(TextTest::HasPrefix, true),
            "hassuffix" => text(TextTest::HasSuffix, false),
            "hassuffix_cs" => text(TextTest::HasSuffix, true),
            "matches" if !negated && self.word_at(1, "regex") => {
                length += 1;
                text(TextTest::Regex, true)
            }
            "in" => {
                let tilde = self.kind_at(length) == TokenKind::Tilde && self.adjoins(length);
                length += usize::from(tilde);
                list(ListTest::In, !tilde)
            }
            "has_any" if !negated => list(ListTest::HasAny, false),
            "has_all" if !negated => list(ListTest::HasAll, false),
            "between" => Comparison::Between { negated },
            _ => return None,
        };
        for _ in 0..length {
            self.advance();
        }
        Some(comparison)
    }

    pub(super) fn sum(&mut self) -> Parsed<Expression> {
        self.chain(Self::product, |kind| match kind {
            TokenKind::Plus => Some(BinaryOperator::Add),
            TokenKind::Minus => Some(BinaryOperator::Subtract),
            _ => None,
        })
    }

    fn product(&mut self) -> Parsed<Expression> {
        self.chain(Self::signed, |kind| match kind {
            TokenKind::Star => Some(BinaryOperator::Multiply),
            TokenKind::Slash => Some(BinaryOperator::Divide),
            TokenKind::Percent => Some(BinaryOperator::Modulo),
            _ => None,
        })
    }

    /// Operands with operators of one rank between them, grouped from the left.
    fn chain(
        &mut self,
        operand: fn(&mut Self) -> Parsed<Expression>,
        operator: fn(TokenKind) -> Option<BinaryOperator>,
    ) -> Parsed<Expression> {
        let start = self.span().start;
        let mut left = operand(self)?;
        while let Some(operator) = operator(self.peek()) {
            let operator_span = self.span();
            self.advance();
            let right = operand(self)?;
            let height = left.height.max(right.height);
            left = self.node(
                ExpressionNode::Binary {
                    operator,
                    operator_span,
                    left: Box::new(left),
                    right: Box::new(right),
                },
                start,
                height,
            )?;
        }
        Ok(left)
    }

    fn signed(&mut self) -> Parsed<Expression> {
        let start = self.span().start;
        match self.peek() {
            TokenKind::Minus => {
                self.advance();
                let operand = self.nested(Self::signed)?;
                let height = operand.height;
                self.node(ExpressionNode::Negate(Box::new(operand)), start, height)
            }
            TokenKind::Plus => {
                self.advance();
                self.nested(Self::signed)
            }
            _ => self.path(),
        }
    }

    /// `a.b["c"][0]`
    pub(super) fn path(&mut self) -> Parsed<Expression> {
        let start = self.span().start;
        let mut of = self.primary()?;
        loop {
            let node = if self.peek() == TokenKind::Dot {
                self.advance();
                let name = self.name()?;
                if self.peek() == TokenKind::OpenParenthesis {
                    // `workspace("…").Table` has a name here; a method call is none of ours.
                    return Err(self.unexpected());
                }
                let height = of.height;
                (
                    ExpressionNode::Member {
                        of: Box::new(of),
                        name,
                    },
                    height,
                )
            } else if self.peek() == TokenKind::OpenBracket {
                let bracket = self.span();
                self.advance();
                let index = self.expression()?;
                self.expect(TokenKind::CloseBracket)?;
                let height = of.height.max(index.height);
                (
                    ExpressionNode::Index {
                        of: Box::new(of),
                        index: Box::new(index),
                        bracket,
                    },
                    height,
                )
            } else {
                return Ok(of);
            };
            of = self.node(node.0, start, node.1)?;
        }
    }

    fn primary(&mut self) -> Parsed<Expression> {
        let start = self.span().start;
        let token = self.token_text();
        let (value, kind) = match self.peek() {
            TokenKind::OpenParenthesis => {
                self.advance();
                let inner = self.nested(Self::pipeline)?;
                self.expect(TokenKind::CloseParenthesis)?;
                return Ok(inner);
            }
            TokenKind::OpenBracket => {
                let name = self.name()?;
                return self.node(ExpressionNode::Name(name.text), start, 0);
            }
            TokenKind::Identifier => match token {
                "true" | "false" => (Some(Value::Bool(token == "true")), Type::Bool),
                _ => return self.name_or_call(),
            },
            TokenKind::String => (Some(Value::string(literals::unquote(token))), Type::String),
            TokenKind::Long => (text::parse_long(token).map(Value::Long), Type::Long),
            TokenKind::Real => (text::parse_real(token).map(Value::Real), Type::Real),
            TokenKind::TimeSpan => (
                text::parse_timespan(token).map(Value::TimeSpan),
                Type::TimeSpan,
            ),
            TokenKind::Literal(kind) => {
                let inner = token
                    .split_once('(')
                    .and_then(|(_, rest)| rest.strip_suffix(')'))
                    .unwrap_or_default();
                (literals::literal(kind, inner), kind)
            }
            _ => return Err(self.unexpected()),
        };
        let Some(value) = value else {
            return Err(self.unexpected());
        };
        let first_was_string = kind == Type::String;
        self.advance();
        let mut value = value;
        // Texts side by side are one text.
        while first_was_string && self.peek() == TokenKind::String {
            if let Value::String(before) = &value {
                value = Value::string(format!("{before}{}", literals::unquote(self.token_text())));
            }
            self.advance();
        }
        self.node(ExpressionNode::Literal { value, kind }, start, 0)
    }

    fn name_or_call(&mut self) -> Parsed<Expression> {
        let start = self.span().start;
        if self.at_word("typeof") && self.kind_at(1) == TokenKind::OpenParenthesis {
            self.advance();
            self.advance();
            let kind = self.type_name()?;
            self.expect(TokenKind::CloseParenthesis)?;
            return self.node(ExpressionNode::TypeOf(kind), start, 0);
        }
        let name: Name = self.name()?;
        if !self.eat(TokenKind::OpenParenthesis) {
            return self.node(ExpressionNode::Name(name.text), start, 0);
        }
        let arguments = self.list_until(TokenKind::CloseParenthesis, Self::argument)?;
        let height = arguments
            .iter()
            .map(|argument| argument.value.height)
            .max()
            .unwrap_or(0);
        self.node(ExpressionNode::Call { name, arguments }, start, height)
    }
}
