//! What columns are called that the query does not name.

use std::collections::HashSet;
use std::sync::Arc;

use crate::kql::functions::aggregates::{self, Shape};
use crate::kql::functions::{self, Naming};
use crate::kql::syntax::{Expression, ExpressionNode};
use crate::kql::text::format_value;

/// The name that an expression suggests for its column.
pub fn suggested(expression: &Expression) -> Option<String> {
    match &expression.node {
        ExpressionNode::Name(name) => Some(name.to_string()),
        ExpressionNode::Member { of, name } => Some(format!("{}_{}", suggested(of)?, name.text)),
        ExpressionNode::Index { of, index, .. } => match &index.node {
            ExpressionNode::Literal { value, .. } => {
                Some(format!("{}_{}", suggested(of)?, format_value(value)))
            }
            _ => Some(format!("{}_", suggested(of)?)),
        },
        ExpressionNode::Call { name, arguments } => {
            let first = arguments.first().map(|argument| &argument.value);
            if let Some(function) = functions::scalar_function(&name.text) {
                return match function.naming {
                    Naming::None => None,
                    Naming::FirstArgument => suggested(first?),
                    Naming::Prefixed(prefix) => {
                        let of = first.and_then(suggested).unwrap_or_default();
                        Some(format!("{prefix}_{of}"))
                    }
                    Naming::Suffixed(suffix) => Some(format!("{}_{suffix}", suggested(first?)?)),
                    Naming::FirstText => match &first?.node {
                        ExpressionNode::Literal { value, .. } => {
                            Some(format_value(value).to_string())
                        }
                        _ => None,
                    },
                };
            }
            let aggregate = aggregates::aggregate(&name.text)?;
            let argument = first.and_then(suggested).unwrap_or_default();
            Some(match aggregate.shape {
                Shape::Value if aggregate.prefix.is_empty() => argument,
                Shape::Value | Shape::PercentileArray => format!("{}_{argument}", aggregate.prefix),
                _ => return None,
            })
        }
        _ => None,
    }
}

/// Gives each column its own name.
#[derive(Default)]
pub struct Names {
    taken: HashSet<Arc<str>>,
    unnamed: usize,
}

impl Names {
    pub fn new<'a>(taken: impl IntoIterator<Item = &'a Arc<str>>) -> Self {
        Self {
            taken: taken.into_iter().cloned().collect(),
            unnamed: 0,
        }
    }

    /// Takes the name; `false` if another column has it.
    pub fn claim(&mut self, name: &Arc<str>) -> bool {
        self.taken.insert(name.clone())
    }

    /// The name, with a number behind it if it is taken: `count_1`.
    pub fn unique(&mut self, name: &str) -> Arc<str> {
        let mut unique: Arc<str> = name.into();
        let mut number = 1;
        while !self.claim(&unique) {
            unique = format!("{name}{number}").into();
            number += 1;
        }
        unique
    }

    /// The suggested name, else `Column1`, `Column2`, …
    pub fn suggest(&mut self, suggestion: Option<String>) -> Arc<str> {
        match suggestion {
            Some(name) => self.unique(&name),
            None => loop {
                self.unnamed += 1;
                let name = format!("Column{}", self.unnamed).into();
                if self.claim(&name) {
                    return name;
                }
            },
        }
    }
}
