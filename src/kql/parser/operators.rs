//! The operators that rows are piped through.

use super::{Parsed, Parser, literals};
use crate::kql::lexer::TokenKind;
use crate::kql::names;
use crate::kql::syntax::{
    ColumnPattern, JoinKind, Name, Operator, OperatorNode, PatternOrder, SortKey,
};

impl Parser<'_> {
    /// What comes after `|`.
    pub(super) fn operator(&mut self) -> Parsed<Operator> {
        let name = self.operator_name()?;
        let node = match &*name.text {
            "where" | "filter" => OperatorNode::Where(self.expression()?),
            "project" => OperatorNode::Project(self.list(Self::named_expression)?),
            "project-away" => OperatorNode::ProjectAway(self.list(Self::pattern)?),
            "project-keep" => OperatorNode::ProjectKeep(self.list(Self::pattern)?),
            "project-rename" => OperatorNode::ProjectRename(self.list(Self::named_expression)?),
            "project-reorder" => OperatorNode::ProjectReorder(self.list(Self::ordered_pattern)?),
            "extend" => OperatorNode::Extend(self.list(Self::named_expression)?),
            "summarize" => self.summarize()?,
            "count" => {
                let named = self.eat_word("as");
                OperatorNode::Count(if named { Some(self.name()?) } else { None })
            }
            "distinct" => self.distinct()?,
            "take" | "limit" => OperatorNode::Take(self.expression()?),
            "sort" | "order" => {
                self.parameters()?;
                self.expect_word("by")?;
                OperatorNode::Sort(self.list(Self::sort_key)?)
            }
            "top" => {
                let count = self.expression()?;
                self.expect_word("by")?;
                let keys = vec![self.sort_key()?];
                OperatorNode::Top { count, keys }
            }
            "union" => OperatorNode::Union(self.union(name.clone())?),
            "join" => OperatorNode::Join(self.join(name.clone(), JoinKind::InnerUnique)?),
            "lookup" => OperatorNode::Lookup(self.join(name.clone(), JoinKind::LeftOuter)?),
            "mv-expand" | "mvexpand" => OperatorNode::MvExpand(self.expansion()?),
            "mv-apply" | "mvapply" => self.mv_apply()?,
            "parse" => OperatorNode::Parse(self.parse_operator(false)?),
            "parse-where" => OperatorNode::Parse(self.parse_operator(true)?),
            "parse-kv" => self.parse_keys()?,
            "make-series" => self.make_series()?,
            "top-nested" => self.top_nested()?,
            "top-hitters" => self.top_hitters()?,
            "sample" => OperatorNode::Sample(self.expression()?),
            "sample-distinct" => {
                let count = self.expression()?;
                self.expect_word("of")?;
                let of = self.named_expression()?;
                OperatorNode::SampleDistinct { count, of }
            }
            "search" => OperatorNode::Search(self.search(name.clone())?),
            "partition" => self.partition()?,
            "evaluate" => self.evaluate()?,
            "assert-schema" => {
                self.expect(TokenKind::OpenParenthesis)?;
                OperatorNode::AssertSchema(
                    self.list_until(TokenKind::CloseParenthesis, Self::column_declaration)?,
                )
            }
            "consume" => {
                self.parameters()?;
                OperatorNode::Consume
            }
            "getschema" => OperatorNode::GetSchema,
            "serialize" => {
                let more = !matches!(
                    self.peek(),
                    TokenKind::Pipe
                        | TokenKind::End
                        | TokenKind::Semicolon
                        | TokenKind::CloseParenthesis
                        | TokenKind::CloseBrace
                );
                OperatorNode::Serialize(if more {
                    self.list(Self::named_expression)?
                } else {
                    Vec::new()
                })
            }
            "as" => {
                self.parameters()?;
                OperatorNode::As(self.name()?)
            }
            "render" => {
                let chart = self.name()?;
                self.skip_operator();
                OperatorNode::Render(chart)
            }
            "invoke" => OperatorNode::Invoke(self.expression()?),
            other if names::OPERATORS.contains(&other) => {
                self.skip_operator();
                OperatorNode::Unsupported
            }
            _ => return Err(self.error_at(name.span)),
        };
        Ok(Operator { name, node })
    }

    /// A name with dashes in it: `project-away`.
    pub(super) fn operator_name(&mut self) -> Parsed<Name> {
        let start = self.span().start;
        if self.peek() != TokenKind::Identifier {
            return Err(self.unexpected());
        }
        self.advance();
        while self.peek() == TokenKind::Minus
            && self.adjoins(0)
            && self.kind_at(1) == TokenKind::Identifier
            && self.adjoins(1)
        {
            self.advance();
            self.advance();
        }
        let span = start..self.previous_end();
        Ok(Name {
            text: self.text[span.clone()].into(),
            span,
        })
    }

    /// Passes over the rest of an operator that is not read.
    pub(super) fn skip_operator(&mut self) {
        let mut depth = 0_usize;
        loop {
            match self.peek() {
                TokenKind::End | TokenKind::Bad => return,
                TokenKind::OpenParenthesis | TokenKind::OpenBracket | TokenKind::OpenBrace => {
                    depth += 1;
                }
                TokenKind::CloseParenthesis | TokenKind::CloseBracket | TokenKind::CloseBrace => {
                    if depth == 0 {
                        return;
                    }
                    depth -= 1;
                }
                TokenKind::Pipe | TokenKind::Semicolon if depth == 0 => return,
                _ => {}
            }
            self.advance();
        }
    }

    /// `kind=inner hint.strategy=shuffle`: names with what stands behind `=`.
    pub(super) fn parameters(&mut self) -> Parsed<Vec<(Name, Name)>> {
        let mut parameters = Vec::new();
        loop {
            let assigned = self.peek() == TokenKind::Identifier
                && (self.kind_at(1) == TokenKind::Equal
                    || self.at_word("hint") && self.kind_at(1) == TokenKind::Dot);
            if !assigned {
                return Ok(parameters);
            }
            let mut name = self.name()?;
            while self.eat(TokenKind::Dot) {
                let part = self.name()?;
                name.text = format!("{}.{}", name.text, part.text).into();
                name.span.end = part.span.end;
            }
            self.expect(TokenKind::Equal)?;
            let value = match self.peek() {
                TokenKind::Identifier | TokenKind::OpenBracket => self.name()?,
                TokenKind::Long | TokenKind::String => {
                    let value = Name {
                        text: literals::unquote_or_plain(self.token_text()).into(),
                        span: self.span(),
                    };
                    self.advance();
                    value
                }
                _ => return Err(self.unexpected()),
            };
            parameters.push((name, value));
        }
    }

    fn summarize(&mut self) -> Parsed<OperatorNode> {
        while self.at_word("hint") && self.kind_at(1) == TokenKind::Dot {
            self.parameters()?;
        }
        let mut aggregates = Vec::new();
        if !self.at_by() {
            aggregates = self.list(Self::named_expression)?;
        }
        let mut by = Vec::new();
        if self.eat_word("by") {
            by = self.list(Self::named_expression)?;
        }
        Ok(OperatorNode::Summarize { aggregates, by })
    }

    fn at_by(&self) -> bool {
        self.at_word("by") && self.kind_at(1) != TokenKind::Equal
    }

    fn distinct(&mut self) -> Parsed<OperatorNode> {
        while self.at_word("hint") && self.kind_at(1) == TokenKind::Dot {
            self.parameters()?;
        }
        if self.eat(TokenKind::Star) {
            return Ok(OperatorNode::Distinct(Vec::new()));
        }
        Ok(OperatorNode::Distinct(self.list(Self::named_expression)?))
    }

    fn sort_key(&mut self) -> Parsed<SortKey> {
        let value = self.named_expression()?;
        let descending = if self.eat_word("asc") {
            false
        } else {
            self.eat_word("desc");
            true
        };
        let mut nulls_first = !descending;
        if self.eat_word("nulls") {
            nulls_first = self.eat_word("first");
            if !nulls_first {
                self.expect_word("last")?;
            }
        }
        Ok(SortKey {
            value,
            descending,
            nulls_first,
        })
    }

    /// A column's name with `*` anywhere in it.
    pub(super) fn pattern(&mut self) -> Parsed<ColumnPattern> {
        if self.peek() == TokenKind::OpenBracket {
            let name = self.name()?;
            return Ok(ColumnPattern {
                text: name.text,
                wild: false,
                span: name.span,
            });
        }
        let start = self.span().start;
        let mut wild = false;
        let mut first = true;
        while matches!(
            self.peek(),
            TokenKind::Identifier | TokenKind::Star | TokenKind::Long
        ) && (first || self.adjoins(0))
        {
            wild |= self.peek() == TokenKind::Star;
            first = false;
            self.advance();
        }
        if first {
            return Err(self.unexpected());
        }
        let span = start..self.previous_end();
        Ok(ColumnPattern {
            text: self.text[span.clone()].into(),
            wild,
            span,
        })
    }

    fn ordered_pattern(&mut self) -> Parsed<(ColumnPattern, Option<PatternOrder>)> {
        let pattern = self.pattern()?;
        let order = if self.eat_word("asc") {
            Some(PatternOrder::Ascending)
        } else if self.eat_word("desc") {
            Some(PatternOrder::Descending)
        } else {
            None
        };
        Ok((pattern, order))
    }
}
