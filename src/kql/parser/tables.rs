//! What brings tables together, and what a pipe may begin with.

use super::{Parsed, Parser};
use crate::kql::lexer::TokenKind;
use crate::kql::syntax::{
    Expression, ExpressionNode, Find, Join, JoinKind, Name, OperatorNode, Search, Source, Union,
};

impl Parser<'_> {
    /// A source that is no expression, if one comes.
    pub(super) fn leading_source(&mut self) -> Parsed<Option<Source>> {
        if self.peek() != TokenKind::Identifier {
            return Ok(None);
        }
        let next = self.kind_at(1);
        let named = matches!(next, TokenKind::Identifier | TokenKind::OpenBracket);
        Ok(Some(match self.token_text() {
            "union" if next != TokenKind::Equal => {
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
            "search" if self.begins_source() => {
                let name = self.name()?;
                Source::Search(self.search(name)?)
            }
            "find" if self.begins_source() => self.find()?,
            "externaldata" | "external_data" if next == TokenKind::OpenParenthesis => {
                let name = self.name()?;
                self.advance();
                let columns =
                    self.list_until(TokenKind::CloseParenthesis, Self::column_declaration)?;
                self.skip_operator();
                Source::ExternalData(name, columns)
            }
            "evaluate" if self.begins_source() => {
                let name = self.name()?;
                self.skip_operator();
                Source::Unsupported(name)
            }
            _ => return Ok(None),
        }))
    }

    /// Whether the word that comes is an operator's, and not a name.
    fn begins_source(&self) -> bool {
        !matches!(
            self.kind_at(1),
            TokenKind::Pipe | TokenKind::End | TokenKind::Semicolon | TokenKind::Equal
        )
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

    pub(super) fn union(&mut self, name: Name) -> Parsed<Union> {
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
            let start = self.span().start;
            let pattern = self.pattern()?;
            return self.node(ExpressionNode::Tables(pattern), start, 0);
        }
        self.nested(Self::path_only)
    }

    fn wildcard_ahead(&self) -> bool {
        self.peek() == TokenKind::Star
            || self.peek() == TokenKind::Identifier
                && self.kind_at(1) == TokenKind::Star
                && self.adjoins(1)
    }

    pub(super) fn join(&mut self, name: Name, default: JoinKind) -> Parsed<Join> {
        let mut kind = Some(default);
        let mut kind_span = name.span.clone();
        for (name, value) in self.parameters()? {
            if &*name.text != "kind" {
                if name.text.starts_with("hint.") {
                    continue;
                }
                return Err(self.error_at(name.span));
            }
            kind_span = value.span.clone();
            kind = match &*value.text {
                "innerunique" => Some(JoinKind::InnerUnique),
                "inner" => Some(JoinKind::Inner),
                "leftouter" => Some(JoinKind::LeftOuter),
                "rightouter" => Some(JoinKind::RightOuter),
                "fullouter" => Some(JoinKind::FullOuter),
                "leftanti" | "anti" | "leftantisemi" => Some(JoinKind::LeftAnti),
                "leftsemi" => Some(JoinKind::LeftSemi),
                "rightanti" | "rightantisemi" => Some(JoinKind::RightAnti),
                "rightsemi" => Some(JoinKind::RightSemi),
                _ => None,
            };
        }
        let right = self.table()?;
        let on = if self.eat_word("on") {
            self.list(Self::expression)?
        } else {
            // The binder says so, at the operator.
            Vec::new()
        };
        Ok(Join {
            name,
            kind,
            kind_span,
            right,
            on,
        })
    }

    /// A table's name or a function's call, as it stands behind `union` and `join`.
    fn path_only(&mut self) -> Parsed<Expression> {
        match self.peek() {
            TokenKind::Identifier | TokenKind::OpenBracket => self.path(),
            _ => Err(self.unexpected()),
        }
    }

    /// `in (A, B*)`, if it comes.
    fn in_tables(&mut self) -> Parsed<Vec<Expression>> {
        if !(self.at_word("in") && self.kind_at(1) == TokenKind::OpenParenthesis) {
            return Ok(Vec::new());
        }
        self.advance();
        self.advance();
        let tables = self.list(Self::table)?;
        self.expect(TokenKind::CloseParenthesis)?;
        Ok(tables)
    }

    /// What stands behind `search`.
    pub(super) fn search(&mut self, name: Name) -> Parsed<Search> {
        let mut case_sensitive = false;
        for (name, value) in self.parameters()? {
            match (&*name.text, &*value.text) {
                ("kind", "case_sensitive") => case_sensitive = true,
                ("kind", "case_insensitive" | "default") => {}
                _ => return Err(self.error_at(name.span)),
            }
        }
        let tables = self.in_tables()?;
        let predicate = self.searching(Self::expression)?;
        Ok(Search {
            name,
            case_sensitive,
            tables,
            predicate,
        })
    }

    /// Reads with `column: "term"` allowed.
    fn searching<T>(&mut self, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        let outer = std::mem::replace(&mut self.searching, true);
        let parsed = read(self);
        self.searching = outer;
        parsed
    }

    fn find(&mut self) -> Parsed<Source> {
        let name = self.name()?;
        let mut source_column = None;
        for (name, value) in self.parameters()? {
            match &*name.text {
                "withsource" | "with_source" => source_column = Some(value),
                _ => return Err(self.error_at(name.span)),
            }
        }
        let tables = self.in_tables()?;
        self.eat_word("where");
        let predicate = self.searching(Self::expression)?;
        let mut columns = None;
        if self.at_word("project") && self.kind_at(1) != TokenKind::Minus {
            self.advance();
            columns = Some(self.list(|parser| {
                let name = parser.name()?;
                if parser.eat(TokenKind::Colon) {
                    parser.type_name()?;
                }
                Ok(name)
            })?);
        } else if self.at_word("project") && self.word_at(2, "smart") {
            self.skip_operator();
        }
        Ok(Source::Find(Find {
            name,
            source_column,
            tables,
            predicate,
            columns,
        }))
    }

    /// `partition by key (operators)`
    pub(super) fn partition(&mut self) -> Parsed<OperatorNode> {
        self.parameters()?;
        self.expect_word("by")?;
        let start = self.span().start;
        let by = self.name()?;
        let by = self.node(ExpressionNode::Name(by.text), start, 0)?;
        let body = self.subpipe()?;
        Ok(OperatorNode::Partition { by, body })
    }
}
