//! Which format and coding a client takes, by its `Accept` and `Accept-Encoding` (RFC 9110, 12.5).
//!
//! Every answer is one that we have. Who asks for nothing that we have gets text 0.0.4, plain: a
//! scraper can do more with a page than with 406.

use std::cmp::Reverse;

use super::format::{Coding, Format};
use super::{openmetrics, protobuf, text};

/// A format under the name by which a client asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    pub format: Format,
    /// For the answer's `Content-Type`.
    pub content_type: &'static str,
    media_type: &'static str,
    /// Parameters by which a client may tell which version it means. Who has none of them takes this
    /// one; other parameters (`charset`, `escaping`) make no difference to our pages.
    parameters: &'static [(&'static str, &'static str)],
}

const TEXT: Offer = Offer {
    format: Format::Text,
    content_type: text::CONTENT_TYPE,
    media_type: "text/plain",
    parameters: &[("version", "0.0.4")],
};

/// In the order in which we like them where a client does not care.
const OFFERS: [Offer; 4] = [
    TEXT,
    Offer {
        format: Format::OpenMetrics,
        content_type: openmetrics::CONTENT_TYPE,
        media_type: "application/openmetrics-text",
        parameters: &[("version", "1.0.0")],
    },
    Offer {
        format: Format::OpenMetrics,
        content_type: openmetrics::DRAFT_CONTENT_TYPE,
        media_type: "application/openmetrics-text",
        parameters: &[("version", "0.0.1")],
    },
    Offer {
        format: Format::Protobuf,
        content_type: protobuf::CONTENT_TYPE,
        media_type: "application/vnd.google.protobuf",
        parameters: &[
            ("proto", "io.prometheus.client.MetricFamily"),
            ("encoding", "delimited"),
        ],
    },
];

/// Thousandths, as RFC 9110 counts: nought refuses.
type Quality = u16;
const FULL: Quality = 1000;

/// Which format to send, by the value of `Accept`; several headers are joined by commas. The highest
/// q-value wins; among equals the one that is asked for by its name, then the one named first.
pub fn format(accept: &str) -> Offer {
    let ranges: Vec<Range> = elements(accept, ',').filter_map(Range::parse).collect();
    // Of equals `max_by_key` takes the last.
    let offers = OFFERS.iter().rev().filter_map(|offer| {
        let asked = ranges.iter().enumerate();
        let (position, range, how) = asked
            .filter_map(|(at, range)| Some((at, range, range.matches(offer)?)))
            .max_by_key(|(at, _, how)| (*how, Reverse(*at)))?;
        let rank = (range.quality, how != How::Wildcard, Reverse(position));
        (range.quality > 0).then_some((rank, *offer))
    });
    offers
        .max_by_key(|(rank, _)| *rank)
        .map_or(TEXT, |(_, offer)| offer)
}

/// Which coding to send, by the value of `Accept-Encoding`, if there is one. gzip where the client
/// takes it and does not like identity better.
pub fn coding(accept_encoding: Option<&str>) -> Coding {
    let mut gzip = None;
    let mut identity = None;
    let mut others = None;
    for element in elements(accept_encoding.unwrap_or_default(), ',') {
        let mut parts = elements(element, ';');
        let name = parts.next().unwrap_or_default();
        let Some(quality) = quality(parts.filter_map(parameter)) else {
            continue;
        };
        if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
            gzip = gzip.or(Some(quality));
        } else if name.eq_ignore_ascii_case("identity") {
            identity = identity.or(Some(quality));
        } else if name == "*" {
            others = others.or(Some(quality));
        }
    }
    let (gzip, identity) = (gzip.or(others), identity.or(others));
    // Identity is fine unless it is refused; who names gzip likes that better than silence.
    match (gzip, identity) {
        (Some(gzip), identity) if gzip > 0 && gzip >= identity.unwrap_or_default() => Coding::Gzip,
        (None, Some(0)) => Coding::Gzip,
        _ => Coding::Identity,
    }
}

/// How exactly a client asked for something; the later, the more exactly.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum How {
    Wildcard,
    Name,
    NameAndVersion,
}

/// One element of `Accept`.
struct Range<'a> {
    media_type: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
    quality: Quality,
}

impl<'a> Range<'a> {
    /// `None` for one with a q that is no number: what it wants is not known.
    fn parse(element: &'a str) -> Option<Self> {
        let mut parts = elements(element, ';');
        let media_type = parts.next()?;
        let parameters: Vec<_> = parts.filter_map(parameter).collect();
        Some(Self {
            media_type,
            quality: quality(parameters.iter().copied())?,
            parameters,
        })
    }

    /// Wildcards mean text: the other formats are for those who know them by name.
    fn matches(&self, offer: &Offer) -> Option<How> {
        if !self.media_type.eq_ignore_ascii_case(offer.media_type) {
            let any = ["*/*", "*", "text/*"]
                .iter()
                .any(|any| self.media_type.eq_ignore_ascii_case(any));
            return (any && offer.format == Format::Text).then_some(How::Wildcard);
        }
        let mut how = How::Name;
        for (name, expected) in offer.parameters {
            let asked = self
                .parameters
                .iter()
                .find(|(asked, _)| asked.eq_ignore_ascii_case(name));
            match asked {
                Some((_, value)) if value.eq_ignore_ascii_case(expected) => {
                    how = How::NameAndVersion;
                }
                Some(_) => return None,
                None => {}
            }
        }
        Some(how)
    }
}

/// The parts of a list that are not empty, trimmed. A separator in quotes separates nothing.
fn elements(list: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let mut escaped = false;
    list.split(move |c| {
        let separates = !quoted && c == separator;
        if escaped {
            escaped = false;
        } else if c == '"' {
            quoted = !quoted;
        } else if c == '\\' && quoted {
            escaped = true;
        }
        separates
    })
    .map(str::trim)
    .filter(|part| !part.is_empty())
}

/// `name=value`, the value without its quotes.
fn parameter(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once('=')?;
    Some((name.trim(), value.trim().trim_matches('"')))
}

/// The q of an element: 1 if it has none, `None` if it is no number from 0 to 1.
fn quality<'a>(mut parameters: impl Iterator<Item = (&'a str, &'a str)>) -> Option<Quality> {
    let Some((_, text)) = parameters.find(|(name, _)| name.eq_ignore_ascii_case("q")) else {
        return Some(FULL);
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let thousandths = fraction.bytes().chain(*b"000").take(3);
    let thousandths = thousandths.fold(0, |sum, digit| sum * 10 + Quality::from(digit - b'0'));
    match (whole, thousandths) {
        ("0", thousandths) => Some(thousandths),
        ("1", 0) => Some(FULL),
        _ => None,
    }
}

#[cfg(test)]
#[path = "negotiate_tests.rs"]
mod tests;
