use super::parse;
use crate::kql::syntax::{
    BinaryOperator, ExpressionNode, JoinKind, LetValue, OperatorNode, Source, Statement,
};
use crate::kql::{Analysis, QueryError, Schema, analyze};

/// The message and the place of the syntax error.
fn fault(text: &str) -> (String, usize, usize, String) {
    match parse(text) {
        Err(QueryError::Syntax(found)) => (found.message, found.line, found.pos, found.token),
        other => panic!("{text}: {other:?}"),
    }
}

fn operators(text: &str) -> Vec<OperatorNode> {
    let mut script = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    match script.statements.pop() {
        Some(Statement::Query(expression)) => match expression.node {
            ExpressionNode::Query(query) => query
                .operators
                .into_iter()
                .map(|operator| operator.node)
                .collect(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_first_token_that_does_not_fit_is_named_with_its_place() {
    let cases = [
        ("completely invalid syntax", 1, 11, "invalid"),
        ("T | where Namespace contains “Disk\"", 1, 29, "“"),
        ("T\n| where x == ‘a’", 2, 13, "‘"),
        ("T | summarize count() by a |", 1, 28, ""),
        ("T | where | take 1", 1, 10, "|"),
        ("T | groupby a", 1, 4, "groupby"),
        ("T | where a && b", 1, 12, "&"),
        ("T | order a desc", 1, 10, "a"),
        ("T | where a == b == c", 1, 17, "=="),
        ("T;; U", 1, 2, ";"),
        ("let t = 1\nT | take t", 2, 0, "T"),
        ("T | where a == \"vm", 1, 15, "\"vm"),
        ("T | where t > ago(1.5hour30)", 1, 18, "1.5hour30"),
        ("T | where t between (a, b)", 1, 22, ","),
        ("T | summarize avg(a) bin(t, 5m)", 1, 21, "bin"),
        ("T | extend é = 1", 1, 11, "é"),
        (
            "T | where x == datetime(2020-13-01)",
            1,
            15,
            "datetime(2020-13-01)",
        ),
        ("", 1, 0, ""),
        ("// only a comment", 1, 17, ""),
    ];
    for (text, line, pos, token) in cases {
        let message = format!("Query could not be parsed at '{token}' on line [{line},{pos}]");
        assert_eq!(
            fault(text),
            (message, line, pos, token.to_string()),
            "{text}"
        );
    }
}

#[test]
fn operators_with_dashes_and_bangs_are_told_from_arithmetic() {
    assert!(matches!(
        operators("T | project-away a*, *b | mv-expand x | where a-b > 1")[..],
        [
            OperatorNode::ProjectAway(_),
            OperatorNode::MvExpand { .. },
            OperatorNode::Where(_)
        ]
    ));
    for text in [
        "T | where a !has 'x' and b !in~ ('y') or c !between (1 .. 2)",
        "T | where a matches regex 'x' | where b has_any (dynamic(['a']))",
        "T | where a !~ 'x' and a =~ 'y' and a <> 'z'",
        "T | where a hasprefix_cs 'x' and not(b endswith_cs 'y')",
    ] {
        assert!(
            matches!(operators(text)[0], OperatorNode::Where(_)),
            "{text}"
        );
    }
}

#[test]
fn products_bind_before_sums_and_sums_before_comparisons() {
    let OperatorNode::Where(expression) = operators("T | where 1 + 2 * -3 == 4").remove(0) else {
        panic!();
    };
    let ExpressionNode::Binary {
        operator: BinaryOperator::Equal,
        left,
        ..
    } = expression.node
    else {
        panic!();
    };
    let ExpressionNode::Binary {
        operator: BinaryOperator::Add,
        right,
        ..
    } = left.node
    else {
        panic!();
    };
    assert!(matches!(
        right.node,
        ExpressionNode::Binary {
            operator: BinaryOperator::Multiply,
            ..
        }
    ));
}

#[test]
fn statements_of_every_kind() {
    let script = parse(
        "set notruncation; set truncationmaxrecords=5;
         let a = 15m; let T = U | take 1;
         let f = (x:long, t:(y:string)) { let z = x; t | where y == z };
         let v = view () { U };
         union withsource=S kind=outer isfuzzy=true T, (U | take 2)
         | join kind=leftanti hint.strategy=shuffle U on $left.a == $right.b, c",
    )
    .unwrap();
    assert_eq!(script.statements.len(), 7);
    assert!(matches!(
        &script.statements[4],
        Statement::Let { value: LetValue::Function(function), .. }
            if function.parameters.len() == 2 && function.lets.len() == 1
    ));
    let Statement::Query(query) = &script.statements[6] else {
        panic!();
    };
    let ExpressionNode::Query(query) = &query.node else {
        panic!();
    };
    assert!(
        matches!(&query.source, Source::Union(union) if union.tables.len() == 2 && union.fuzzy)
    );
    assert!(matches!(
        &query.operators[0].node,
        OperatorNode::Join(join) if join.kind == Some(JoinKind::LeftAnti) && join.on.len() == 2
    ));
}

#[test]
fn depth_and_length_are_bounded() {
    // The entry points make room for the depth that is allowed.
    let limit = |text: String| match analyze(&Schema::default(), &text) {
        Analysis::NotKnown { reason } => reason,
        other => panic!("{other:?}"),
    };
    let deep = "a query may nest 200 levels deep";
    assert_eq!(
        limit(format!("print {}1{}", "(".repeat(300), ")".repeat(300))),
        deep
    );
    assert_eq!(limit(format!("print 1{}", "+1".repeat(300))), deep);
    assert_eq!(limit(format!("print {}1", "-".repeat(300))), deep);
    assert_eq!(limit(format!("print x{}", "[0]".repeat(300))), deep);
    assert_eq!(limit(format!("T{}", "|take 1".repeat(300))), deep);
    assert_eq!(
        limit(format!("print {}1{}", "f(".repeat(300), ")".repeat(300))),
        deep
    );
    assert_eq!(
        limit("x".repeat((1 << 20) + 1)),
        "a query may have 1048576 bytes, this one has 1048577"
    );
    // Wide is not deep.
    for text in [
        format!("print true{}", " and true".repeat(5000)),
        format!("print {}1{}", "(".repeat(90), ")".repeat(90)),
        format!("print 1{}", "+1".repeat(150)),
    ] {
        let verdict = analyze(&Schema::default(), &text);
        assert!(matches!(verdict, Analysis::Right { .. }), "{verdict:?}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "(T|[|]| |where|project|x|==|1h|\\(|\\)|,|by|let|=|;|\\{|\\}|\"a\"|!in|join|kind|union|\\.|\\[|\\]|-|\\*|\n|summarize|count\\(\\)|“|datetime\\(){0,30}") {
        let _ = parse(&text);
    }
}
