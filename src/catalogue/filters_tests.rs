use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::kql::{self, Batch, Database, DateTime, QueryOptions, Schema};

struct NoRows(Schema);

impl Database for NoRows {
    fn schema(&self) -> &Schema {
        &self.0
    }
    fn scan(&self, _: &str) -> Vec<Arc<Batch>> {
        Vec::new()
    }
}

/// What `print` says of these expressions behind the statements that they need.
fn printed(filters: &FilterSettings, expressions: &[String]) -> Vec<String> {
    let query = format!("print {}", expressions.join(", "));
    let text = format!("{}\n{query}", lets(filters, &query));
    assert_eq!(text.lines().count(), 1 + query.lines().count(), "{text}");
    let options = QueryOptions {
        now: DateTime::from_unix_seconds(1_700_000_000),
        timespan: None,
        max_rows: 2,
        budget: kql::Budget::default(),
        elapsed: &|| std::time::Duration::ZERO,
        cancelled: &|| false,
    };
    let answer = kql::run(&NoRows(Schema::default()), &text, &options)
        .unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(answer.row_count, 1, "{text}");
    let cells = answer.data.iter().map(|column| column.value(0));
    cells.map(|cell| format!("{cell:?}")).collect()
}

fn allowing(networks: &[&str]) -> FilterSettings {
    FilterSettings {
        allowed_addresses: networks.iter().map(|one| one.parse().unwrap()).collect(),
        ..FilterSettings::default()
    }
}

fn excluding(globs: &[&str]) -> FilterSettings {
    FilterSettings {
        exclude_disks: globs.iter().map(|one| one.parse().unwrap()).collect(),
        ..FilterSettings::default()
    }
}

#[test]
fn a_query_is_given_what_it_names_and_nothing_else() {
    let filters = FilterSettings {
        min_severity: 3,
        min_confidence_percent: 75,
        exclude_disks: vec![],
        ..allowing(&["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"])
    };
    for (kql, expected) in [
        ("T | where my_min_severity > 1 or Disk == x", ""),
        ("T|where Severity>=min_severity", "let min_severity = 3; "),
        (
            "T | where min_confidence_percent < 1 and not(is_excluded_disk(D))",
            "let min_confidence_percent = 75; let is_excluded_disk = (disk: string) { false }; ",
        ),
        (
            "T | where is_allowed_address(Ip)",
            "let is_allowed_address = (address: string) { coalesce(ipv4_is_in_any_range(address, dynamic([\"10.0.0.0/8\", \"192.0.2.7/32\"])), false) or (address contains \":\" and coalesce(ipv6_is_in_any_range(address, dynamic([\"2001:db8::/32\"])), false)) }; ",
        ),
    ] {
        assert_eq!(lets(&filters, kql), expected);
    }
}

#[test]
fn an_address_is_allowed_if_it_lies_in_a_network_of_its_kind() {
    let addresses = [
        "10.1.2.3",
        "11.1.2.3",
        "192.0.2.7",
        "192.0.2.8",
        "2001:db8::5",
        "2001:DB8:0:0::5",
        "2001:db9::5",
        "::ffff:10.1.2.3",
        "",
        "overflow",
    ];
    let ask = addresses.map(|address| format!("is_allowed_address({})", literal(address)));
    let allowed = |networks: &[&str]| -> Vec<&str> {
        let answers = printed(&allowing(networks), &ask);
        let pairs = addresses.into_iter().zip(answers);
        pairs
            .filter_map(|(address, answer)| match answer.as_str() {
                "Bool(true)" => Some(address),
                "Bool(false)" => None,
                other => panic!("{address}: {other}"),
            })
            .collect()
    };
    assert_eq!(allowed(&[]), [""; 0]);
    assert_eq!(
        allowed(&["10.0.0.0/8", "192.0.2.7"]),
        ["10.1.2.3", "192.0.2.7"]
    );
    assert_eq!(
        allowed(&["2001:db8::/32"]),
        ["2001:db8::5", "2001:DB8:0:0::5"]
    );
    // All IPv4 addresses, as some write them; they mean IPv6 here.
    assert_eq!(allowed(&["::ffff:0:0/96"]), ["::ffff:10.1.2.3"]);
}

#[test]
fn the_default_leaves_images_and_containers_disks_out() {
    let disks = [
        "/",
        "/snap",
        "/snap/core20/1974",
        "/snapshots",
        "/var/lib/docker",
        "/var/lib/docker/overlay2/x/merged",
        "/var/lib/kubelet/pods/x",
        "/run/user/1000",
        "C:",
    ];
    let ask = disks.map(|disk| format!("is_excluded_disk({})", literal(disk)));
    let answers = printed(&FilterSettings::default(), &ask);
    let kept: Vec<&str> = disks
        .into_iter()
        .zip(answers)
        .filter_map(|(disk, answer)| (answer == "Bool(false)").then_some(disk))
        .collect();
    assert_eq!(kept, ["/", "/snapshots", "/var/lib/docker", "C:"]);
}

/// What a glob means, said in another way than by an expression.
fn fits(glob: &[char], text: &[char]) -> bool {
    match glob.split_first() {
        None => text.is_empty(),
        Some(('*', rest)) => (0..=text.len()).any(|from| fits(rest, &text[from..])),
        Some((c, rest)) => text
            .split_first()
            .is_some_and(|(first, text)| (*c == '?' || c == first) && fits(rest, text)),
    }
}

/// Texts that mean something to KQL, to regular expressions or to globs, and any others.
fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        "[/a*?.\"'\\\\;\n\r\t|()$^+u0-9-]{1,8}",
        "\\PC{1,6}",
        "(?s).{1,6}",
        Just("\"; T | take 1 //".to_owned()),
        Just("\u{2028}\u{85}\0\\".to_owned()),
        Just("a|b".to_owned()),
    ]
}

proptest! {
    #[test]
    fn a_glob_means_what_it_says_whatever_is_in_it(
        globs in prop::collection::vec(hostile(), 1..3), texts in prop::collection::vec(hostile(), 1..4)
    ) {
        let globs: Vec<&str> = globs.iter().map(|one| &**one).filter(|one| one.parse::<Glob>().is_ok()).collect();
        // A glob fits itself, stars and all.
        let texts: Vec<&str> = texts.iter().map(|one| &**one).chain(globs.iter().copied()).collect();
        let ask: Vec<String> = texts.iter().map(|text| format!("is_excluded_disk({})", literal(text))).collect();
        let answers = printed(&excluding(&globs), &ask);
        let chars = |text: &str| -> Vec<char> { text.chars().collect() };
        for (text, answer) in texts.iter().zip(&answers) {
            let fits = globs.iter().any(|glob| fits(&chars(glob), &chars(text)));
            prop_assert_eq!(answer, &format!("Bool({fits})"), "{:?} and {:?}", globs, text);
        }
    }
}
