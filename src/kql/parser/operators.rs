//! The operators that rows are piped through, and what a pipe may begin with.

use super::{Parsed, Parser, literals};
use crate::kql::lexer::TokenKind;
use crate::kql::names;
use crate::kql::syntax::{
    ColumnPattern, Expression, Join, JoinKind, Name, Operator, OperatorNode, ParsePart,
    PatternOrder, SortKey, Source, Union,
};
use crate::kql::value::Type;

impl Parser<'_> {
    /// A source that is no expression, if one comes.
    pub(super) fn leading_source(&mut self) -> Parsed<Option<Source>> {
        if self.peek() != TokenKind::Identifier {
            return Ok(None);
        }
        let next = self.kind_at(1);
        let named = matches!(next, TokenKind::Identifier | TokenKind::OpenBracket);
        Ok(Some(match self.token_text() {
            "union" if named || next == TokenKind::OpenParenthesis => {
                let name = self.name()?;
                Source::Union(self.union(name)?)
            }
            "print" if next != TokenKind::Pipe && next != TokenKind::Equal => {
                self.advance();
                Source::Print(self.list(Self::named_expression)?)
            }
            "range" if named => {
                self.advance();
                let name = self.name()?;
                self.expect_word("from")?;
                let from = self.expression()?;
                self.expect_word("to")?;
                let to = self.expression()?;
                self.expect_word("step")?;
                let step = self.expression()?;
                Source::Range {
                    name,
                    from,
                    to,
                    step,
                }
            }
            "datatable" if next == TokenKind::OpenParenthesis => self.data_table()?,
            "search" | "find" | "externaldata" | "evaluate"
                if !matches!(
                    next,
                    TokenKind::Pipe | TokenKind::End | TokenKind::Semicolon | TokenKind::Equal
                ) =>
            {
                let name = self.name()?;
                self.skip_operator();
                Source::Unsupported(name)
            }
            _ => return Ok(None),
        }))
    }

    fn data_table(&mut self) -> Parsed<Source> {
        self.advance();
        self.advance();
        let columns = self.list_until(TokenKind::CloseParenthesis, Self::column_declaration)?;
        self.expect(TokenKind::OpenBracket)?;
        let mut values = Vec::new();
        while !self.eat(TokenKind::CloseBracket) {
            values.push(self.expression()?);
            if !self.eat(TokenKind::Comma) {
                self.expect(TokenKind::CloseBracket)?;
                break;
            }
        }
        Ok(Source::DataTable { columns, values })
    }

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
            "count" => OperatorNode::Count,
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
                let keys = self.list(Self::sort_key)?;
                OperatorNode::Top { count, keys }
            }
            "union" => OperatorNode::Union(self.union(name.clone())?),
            "join" => OperatorNode::Join(self.join(JoinKind::InnerUnique)?),
            "lookup" => OperatorNode::Lookup(self.join(JoinKind::LeftOuter)?),
            "mv-expand" | "mvexpand" => self.mv_expand()?,
            "parse" => self.parse_operator()?,
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
                self.name()?;
                self.skip_operator();
                OperatorNode::Render
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
    fn operator_name(&mut self) -> Parsed<Name> {
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
    fn skip_operator(&mut self) {
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
    fn parameters(&mut self) -> Parsed<Vec<(Name, Name)>> {
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

    fn union(&mut self, name: Name) -> Parsed<Union> {
        let mut union = Union {
            name,
            inner: false,
            source_column: None,
            fuzzy: false,
            tables: Vec::new(),
        };
        for (name, value) in self.parameters()? {
            match (&*name.text, &*value.text) {
                ("kind", "inner") => union.inner = true,
                ("kind", "outer") => union.inner = false,
                ("isfuzzy", "true" | "1") => union.fuzzy = true,
                ("isfuzzy", "false" | "0") => union.fuzzy = false,
                ("withsource" | "with_source", _) => union.source_column = Some(value),
                (hint, _) if hint.starts_with("hint.") => {}
                _ => return Err(self.error_at(name.span)),
            }
        }
        union.tables = self.list(Self::table)?;
        Ok(union)
    }

    /// A table's name (`*` within it allowed), a call, or a query in brackets.
    fn table(&mut self) -> Parsed<Expression> {
        if self.peek() == TokenKind::OpenParenthesis {
            return self.expression();
        }
        if self.wildcard_ahead() {
            let pattern = self.pattern()?;
            return Err(crate::kql::QueryError::Unsupported {
                what: format!("the union of all tables named {:?}", pattern.text),
                span: pattern.span,
            });
        }
        self.nested(Self::path_only)
    }

    fn wildcard_ahead(&self) -> bool {
        self.peek() == TokenKind::Star
            || self.peek() == TokenKind::Identifier
                && self.kind_at(1) == TokenKind::Star
                && self.adjoins(1)
    }

    fn join(&mut self, default: JoinKind) -> Parsed<Join> {
        let mut kind = default;
        for (name, value) in self.parameters()? {
            if &*name.text != "kind" {
                if name.text.starts_with("hint.") {
                    continue;
                }
                return Err(self.error_at(name.span));
            }
            kind = match &*value.text {
                "innerunique" => JoinKind::InnerUnique,
                "inner" => JoinKind::Inner,
                "leftouter" => JoinKind::LeftOuter,
                "rightouter" => JoinKind::RightOuter,
                "fullouter" => JoinKind::FullOuter,
                "leftanti" | "anti" | "leftantisemi" => JoinKind::LeftAnti,
                "leftsemi" => JoinKind::LeftSemi,
                "rightanti" | "rightantisemi" => JoinKind::RightAnti,
                "rightsemi" => JoinKind::RightSemi,
                _ => return Err(self.error_at(value.span)),
            };
        }
        let right = self.table()?;
        self.expect_word("on")?;
        let on = self.list(Self::expression)?;
        Ok(Join { kind, right, on })
    }

    fn mv_expand(&mut self) -> Parsed<OperatorNode> {
        let mut index = None;
        for (name, value) in self.mv_parameters()? {
            match &*name.text {
                "with_itemindex" => index = Some(value),
                "bagexpansion" | "kind" if &*value.text == "bag" => {}
                "bagexpansion" | "kind" => {
                    return Err(crate::kql::QueryError::Unsupported {
                        what: format!("mv-expand with {}={}", name.text, value.text),
                        span: name.span,
                    });
                }
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
        Ok(OperatorNode::MvExpand {
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

    fn parse_operator(&mut self) -> Parsed<OperatorNode> {
        let mut relaxed = false;
        if self.at_word("kind") && self.kind_at(1) == TokenKind::Equal {
            self.advance();
            self.advance();
            let kind = self.name()?;
            match &*kind.text {
                "simple" => {}
                "relaxed" => relaxed = true,
                "regex" => {
                    return Err(crate::kql::QueryError::Unsupported {
                        what: "parse with kind=regex".into(),
                        span: kind.span,
                    });
                }
                _ => return Err(self.error_at(kind.span)),
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
                    let mut kind = Type::String;
                    if self.eat(TokenKind::Colon) {
                        kind = self.type_name()?;
                    }
                    pattern.push(ParsePart::Column(name, kind));
                }
                _ if pattern.is_empty() => return Err(self.unexpected()),
                _ => break,
            }
        }
        Ok(OperatorNode::Parse {
            value,
            relaxed,
            pattern,
        })
    }

    /// A column's name with `*` anywhere in it.
    fn pattern(&mut self) -> Parsed<ColumnPattern> {
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

    /// A table's name or a function's call, as it stands behind `union` and `join`.
    fn path_only(&mut self) -> Parsed<Expression> {
        match self.peek() {
            TokenKind::Identifier | TokenKind::OpenBracket => self.path(),
            _ => Err(self.unexpected()),
        }
    }
}
