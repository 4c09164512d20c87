//! `parse`, `parse-where` and `parse-kv`: columns made of what stands within texts.

use std::sync::Arc;

use super::sources::shown;
use super::{Binder, Bound, Scope};
use crate::kql::functions::{json, parse_keys};
use crate::kql::plan::{Expr, Node, ParseNode, Pattern, Relation, Visibility, find};
use crate::kql::syntax::{ColumnDeclaration, Expression, Name, Parse, ParseKind, ParsePart};
use crate::kql::value::{Type, Value};

impl Binder<'_> {
    pub(super) fn parse(
        &mut self,
        input: Relation,
        operator: &str,
        parse: &Parse,
    ) -> Bound<Relation> {
        let expr = self.expression(Scope::of(&input.columns, operator), &parse.value)?;
        let value = self.converted(expr, Type::String);
        let mut columns = input.columns.clone();
        let arrival = columns
            .iter()
            .position(|column| column.visibility == Visibility::Ingestion);
        let arrival = arrival.map(|index| columns.remove(index));
        let mut targets = Vec::new();
        for part in &parse.pattern {
            let ParsePart::Column(name, kind) = part else {
                continue;
            };
            let at = find(&columns, &name.text).unwrap_or_else(|| {
                columns.push(shown(name.text.clone(), *kind));
                columns.len() - 1
            });
            columns[at] = shown(name.text.clone(), *kind);
            targets.push((at, *kind));
        }
        columns.extend(arrival);
        let height = input.height;
        let node = Node::Parse(Box::new(ParseNode {
            input,
            value,
            pattern: match &parse.kind {
                ParseKind::Regex(flags) => Pattern::Regex(regex(&parse.pattern, flags)),
                _ => Pattern::Parts(parse.pattern.clone()),
            },
            targets,
            relaxed: parse.kind == ParseKind::Relaxed,
            filter: parse.filter,
        }));
        self.relation(node, columns, height)
    }

    /// Each declared column is what its key has in the text.
    pub(super) fn parse_keys(
        &mut self,
        input: Relation,
        value: &Expression,
        declared: &[ColumnDeclaration],
        options: &[(Name, Name)],
    ) -> Bound<Relation> {
        let scope = Scope::of(&input.columns, "parse-kv");
        let expr = self.expression(scope, value)?;
        let value = self.converted(expr, Type::String);
        let option = |wanted: &str, default: &str| {
            let given = options.iter().find(|(name, _)| &*name.text == wanted);
            let text = given.map_or(default.into(), |(_, value)| value.text.clone());
            Expr::constant(Value::String(text), Type::String)
        };
        for (name, _) in options {
            if !["pair_delimiter", "kv_delimiter", "quote"].contains(&&*name.text) {
                return self.unsupported(format!("parse-kv with {}", name.text), &name.span);
            }
        }
        let arguments = vec![
            value,
            option("pair_delimiter", ""),
            option("kv_delimiter", ""),
            option("quote", ""),
        ];
        let bag = self.fold(Expr::call(parse_keys, arguments, Type::Dynamic));
        let mut outputs = super::operators::pass(&input.columns);
        for column in declared {
            let key = Expr::constant(Value::String(column.name.text.clone()), Type::String);
            let found = Expr::call(json::index, vec![bag.clone(), key], Type::Dynamic);
            let output = (
                shown(column.name.text.clone(), column.kind),
                self.converted(self.fold(found), column.kind),
            );
            match find(&input.columns, &column.name.text) {
                Some(at) => outputs[at] = output,
                None => outputs.push(output),
            }
        }
        outputs.sort_by_key(|(column, _)| column.visibility == Visibility::Ingestion);
        self.projection(input, outputs)
    }
}

/// The pattern as one regular expression over the whole text, with a group for each column.
fn regex(pattern: &[ParsePart], flags: &str) -> Arc<str> {
    let mut text = String::from("(?s");
    for flag in flags.chars() {
        if ['i', 'm', 'U'].contains(&flag) {
            text.push(flag);
        }
    }
    text.push_str(")^");
    for (at, part) in pattern.iter().enumerate() {
        let last = at + 1 == pattern.len();
        match part {
            ParsePart::Text(piece) => {
                text.push_str("(?:");
                text.push_str(piece);
                text.push(')');
            }
            ParsePart::Skip => text.push_str(if last { ".*" } else { ".*?" }),
            ParsePart::Column(..) => text.push_str(if last {
                "(?P<column>.*)"
            } else {
                "(?P<column>.*?)"
            }),
        }
    }
    text.push('$');
    // Groups of one name are not allowed: each gets its number.
    let mut numbered = String::new();
    for (at, piece) in text.split("(?P<column>").enumerate() {
        if at > 0 {
            numbered.push_str(&format!("(?P<column{at}>"));
        }
        numbered.push_str(piece);
    }
    numbered.into()
}
