//! What a plan need not do: columns that nothing reads, batches that no filter lets through.

use super::plan::{Expr, ExprNode, Function, Node, Plan, Relation, Visibility};
use super::syntax::BinaryOperator;
use super::value::{DateTime, Value};

impl Plan {
    /// The plan with its scans reading only what is asked of them.
    pub fn pruned(mut self) -> Self {
        let shown: Vec<bool> = self
            .result
            .columns
            .iter()
            .map(|column| column.visibility == Visibility::Shown)
            .collect();
        prune(&mut self.result, &shown);
        for relation in self.subqueries.iter_mut().chain(&mut self.shared) {
            let all = vec![true; relation.columns.len()];
            prune(relation, &all);
        }
        self
    }
}

/// The moment at or after which rows must have arrived for `predicate` to hold, if it says so;
/// `arrival` is the column.
fn arrived_since(predicate: &Expr, arrival: usize) -> Option<DateTime> {
    match &predicate.node {
        ExprNode::Logic {
            and: true,
            operands,
        } => operands
            .iter()
            .filter_map(|operand| arrived_since(operand, arrival))
            .max(),
        ExprNode::Call {
            function: Function::Compare(BinaryOperator::Greater | BinaryOperator::GreaterEqual),
            arguments,
        } => match (&arguments[0].node, &arguments[1].node) {
            (ExprNode::Column(index), ExprNode::Constant(Value::DateTime(since)))
                if *index == arrival =>
            {
                Some(*since)
            }
            _ => None,
        },
        _ => None,
    }
}

/// Lets the scan below know since when rows must have arrived, past filters: they leave columns
/// where they are.
fn push_since(input: &mut Relation, predicate: &Expr) {
    match &mut input.node {
        Node::Filter { input, .. } => push_since(input, predicate),
        Node::Scan { needed, since, .. } => {
            let arrival = needed.len() - 1;
            *since = (*since).max(arrived_since(predicate, arrival));
        }
        _ => {}
    }
}

/// Tells every scan below `relation` which columns are asked of it, given which of the relation's
/// own are.
fn prune(relation: &mut Relation, wanted: &[bool]) {
    let all = |relation: &Relation| vec![true; relation.columns.len()];
    match &mut relation.node {
        Node::Scan { needed, .. } => {
            for (needed, wanted) in needed.iter_mut().zip(wanted) {
                *needed |= *wanted;
            }
        }
        Node::Rows { .. } | Node::Range { .. } | Node::Shared(_) | Node::Applied(_) => {}
        Node::Filter { input, predicate } => {
            let mut wanted = wanted.to_vec();
            predicate.mark(&mut wanted);
            push_since(input, predicate);
            prune(input, &wanted);
        }
        Node::Project { input, outputs, .. } => {
            let mut below = vec![false; input.columns.len()];
            for (output, wanted) in outputs.iter_mut().zip(wanted) {
                if *wanted {
                    output.mark(&mut below);
                } else {
                    *output = Expr::constant(Value::Null, output.kind);
                }
            }
            prune(input, &below);
        }
        Node::Summarize {
            input,
            keys,
            aggregates,
        } => {
            let mut below = vec![false; input.columns.len()];
            for expr in keys.iter().chain(
                aggregates
                    .iter()
                    .flat_map(|call| call.arguments.iter().chain(&call.condition)),
            ) {
                expr.mark(&mut below);
            }
            prune(input, &below);
        }
        Node::Take { input, .. } => prune(input, wanted),
        Node::Sort { input, keys, .. } => {
            let mut wanted = wanted.to_vec();
            for key in keys {
                key.value.mark(&mut wanted);
            }
            prune(input, &wanted);
        }
        Node::Union(inputs) => {
            for (input, outputs) in inputs {
                let mut below = vec![false; input.columns.len()];
                for (output, wanted) in outputs.iter().zip(wanted) {
                    if *wanted {
                        output.mark(&mut below);
                    }
                }
                prune(input, &below);
            }
        }
        Node::Join(join) => {
            let (left, right) = (all(&join.left), all(&join.right));
            prune(&mut join.left, &left);
            prune(&mut join.right, &right);
        }
        Node::MvExpand { input, .. } | Node::TopNested { input, .. } => {
            let below = all(input);
            prune(input, &below);
        }
        Node::Parse(parse) => {
            let below = all(&parse.input);
            prune(&mut parse.input, &below);
        }
        Node::Series(series) => {
            let below = all(&series.input);
            prune(&mut series.input, &below);
        }
        Node::Apply(apply) => {
            let (below, body) = (all(&apply.input), all(&apply.body));
            prune(&mut apply.input, &below);
            prune(&mut apply.body, &body);
        }
        Node::Partition { input, body, .. } => {
            let (below, within) = (all(input), all(body));
            prune(input, &below);
            prune(body, &within);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::kql::binder::{Setting, UnknownTable, bind};
    use crate::kql::budget::Meter;
    use crate::kql::{Budget, Schema, parser};

    /// The scan below filters and projections: the columns it reads, and since when.
    fn scan(text: &str) -> (Vec<String>, Option<DateTime>) {
        let schema = Schema::vm_insights();
        let script = parser::parse(text).unwrap();
        let now = DateTime(1_000_000_000_000);
        let setting = Setting {
            now,
            meter: &Rc::new(Meter::new(Budget::default())),
            unknown_table: UnknownTable::Wrong,
            rows: None,
        };
        let plan = bind(&schema, text, &script, setting).unwrap();
        let plan = plan.pruned();
        let mut relation = &plan.result;
        loop {
            match &relation.node {
                Node::Scan { needed, since, .. } => {
                    let read = relation
                        .columns
                        .iter()
                        .zip(needed)
                        .filter(|(_, needed)| **needed)
                        .map(|(column, _)| column.name.to_string());
                    return (read.collect(), *since);
                }
                Node::Filter { input, .. }
                | Node::Project { input, .. }
                | Node::Summarize { input, .. } => relation = input,
                _ => panic!("no scan"),
            }
        }
    }

    #[test]
    fn a_scan_reads_what_is_asked_of_it_and_no_batch_that_cannot_count() {
        assert_eq!(
            scan(
                "InsightsMetrics | extend x = tolower(Tags), y = Val | where Name == 'a' | summarize max(y) by Computer"
            ),
            (vec!["Computer".into(), "Name".into(), "Val".into()], None)
        );
        let minute = 600_000_000;
        assert_eq!(
            scan(
                "VMConnection | where TimeGenerated > ago(10m) and ingestion_time() >= ago(2m) | where ingestion_time() > ago(1m) and Severity > 1 | count"
            ),
            (
                vec![
                    "TimeGenerated".into(),
                    "Severity".into(),
                    "$IngestionTime".into()
                ],
                Some(DateTime(1_000_000_000_000 - minute))
            )
        );
        let either =
            scan("VMConnection | where ingestion_time() > ago(1m) or Severity > 1 | count");
        assert_eq!(either.1, None);
    }
}
