use proptest::prelude::*;

use super::*;

/// What each client sends, and the Content-Type that it must get.
#[test]
fn real_clients_get_what_they_ask_for() {
    for (client, accept, expected) in [
        ("nobody", "", text::CONTENT_TYPE),
        ("curl", "*/*", text::CONTENT_TYPE),
        (
            "a browser",
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
            text::CONTENT_TYPE,
        ),
        (
            "Prometheus 1",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,text/plain;version=0.0.4;q=0.3,*/*;q=0.1",
            protobuf::CONTENT_TYPE,
        ),
        (
            "Prometheus 2.5",
            "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            openmetrics::DRAFT_CONTENT_TYPE,
        ),
        (
            "Prometheus 2.42",
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            openmetrics::CONTENT_TYPE,
        ),
        (
            "Prometheus 2.42 with native histograms",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            protobuf::CONTENT_TYPE,
        ),
        (
            "Prometheus 3",
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
            openmetrics::CONTENT_TYPE,
        ),
        (
            "Prometheus 3 that scrapes text",
            "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.4",
            text::CONTENT_TYPE,
        ),
        (
            "VictoriaMetrics",
            "text/plain;version=0.0.4;q=1,*/*;q=0.1",
            text::CONTENT_TYPE,
        ),
    ] {
        assert_eq!(format(accept).content_type, expected, "{client}");
    }
}

#[test]
fn quality_name_and_order_decide_in_that_order() {
    for (accept, expected) in [
        (
            "application/openmetrics-text;q=0.4, text/plain;q=0.5",
            text::CONTENT_TYPE,
        ),
        (
            "application/openmetrics-text;q=0.1, */*",
            text::CONTENT_TYPE,
        ),
        (
            "*/*, application/openmetrics-text",
            openmetrics::CONTENT_TYPE,
        ),
        (
            "text/plain, application/openmetrics-text",
            text::CONTENT_TYPE,
        ),
        (
            "application/openmetrics-text, text/plain",
            openmetrics::CONTENT_TYPE,
        ),
        (
            "APPLICATION/OpenMetrics-Text ; VERSION=\"1.0.0\" ; q=0.7",
            openmetrics::CONTENT_TYPE,
        ),
        ("application/openmetrics-text;version=9", text::CONTENT_TYPE),
        ("application/openmetrics-text;q=0", text::CONTENT_TYPE),
        (
            "application/openmetrics-text;q=2, text/plain;q=0.1",
            text::CONTENT_TYPE,
        ),
        ("application/vnd.google.protobuf", protobuf::CONTENT_TYPE),
        (
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text",
            text::CONTENT_TYPE,
        ),
        (
            "application/json;title=\"a,application/openmetrics-text\"",
            text::CONTENT_TYPE,
        ),
        ("application/*", text::CONTENT_TYPE),
        (
            "text/plain;version=0.0.4;q=0.1, text/plain;q=0.9, application/openmetrics-text;q=0.5",
            openmetrics::CONTENT_TYPE,
        ),
    ] {
        assert_eq!(format(accept).content_type, expected, "{accept}");
    }
}

#[test]
fn gzip_is_for_those_who_take_it() {
    use Coding::{Gzip, Identity};
    for (header, expected) in [
        (None, Identity),
        (Some(""), Identity),
        (Some("gzip"), Gzip),
        (Some("gzip, deflate, br, zstd"), Gzip),
        (Some("X-GZIP"), Gzip),
        (Some("deflate, br"), Identity),
        (Some("gzip;q=0"), Identity),
        (Some("gzip; q=0.5, identity"), Identity),
        (Some("gzip;q=0.5, identity;q=0.5"), Gzip),
        (Some("identity;q=0.2, gzip;q=0.1"), Identity),
        (Some("*"), Gzip),
        (Some("*;q=0"), Identity),
        (Some("gzip, *;q=0"), Gzip),
        (Some("identity, *;q=0"), Identity),
        (Some("identity;q=0, *"), Gzip),
        (Some("identity;q=0"), Gzip),
        (Some("identity;q=0, gzip;q=0"), Identity),
        (Some("identity;q=0, *;q=0"), Identity),
        (Some("gzip;q=nan"), Identity),
        (Some("gzipped"), Identity),
    ] {
        assert_eq!(coding(header), expected, "{header:?}");
    }
}

/// Texts that look like the headers, and some that do not.
fn header() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("application/openmetrics-text".to_owned()),
        Just("application/vnd.google.protobuf".to_owned()),
        Just("text/plain".to_owned()),
        Just("gzip".to_owned()),
        Just("identity".to_owned()),
        "[*/;,=\" \\\\]{1,3}",
        ";q=[0-9.]{0,8}",
        ";version=\"?[0-9.]{1,5}\"?",
        any::<String>(),
    ];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn any_header_gets_an_answer_that_we_have(header in header()) {
        prop_assert!(OFFERS.contains(&format(&header)));
        prop_assert!(Coding::ALL.contains(&coding(Some(&header))));
    }

    #[test]
    fn what_is_refused_is_not_sent(name in prop::sample::select(vec![
        "application/openmetrics-text", "application/vnd.google.protobuf",
    ]), others in header()) {
        let alone = format(&format!("{name};q=0"));
        prop_assert_eq!(alone.format, Format::Text);
        let codings = format!("gzip;q=0,{}", others.replace("gzip", "br"));
        prop_assert_eq!(coding(Some(&codings)), Coding::Identity);
    }

    #[test]
    fn a_parameter_that_we_do_not_know_changes_nothing(value in "[a-zA-Z0-9-]{1,12}") {
        for offer in OFFERS {
            prop_assert_eq!(format(&format!("{};escaping={value}", offer.content_type)), offer);
        }
    }
}
