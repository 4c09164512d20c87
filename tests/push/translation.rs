//! What receivers make of OTLP names, written from OpenTelemetry's "Prometheus and OpenMetrics
//! Compatibility" and from what Prometheus documents of its `translation_strategy`.

/// Prometheus' strategies; other receivers follow one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Prometheus' default, the collector's too, VictoriaMetrics' with `usePrometheusNaming`.
    UnderscoreEscapingWithSuffixes,
    NoUtf8EscapingWithSuffixes,
    UnderscoreEscapingWithoutSuffixes,
    /// VictoriaMetrics' default, too.
    NoTranslation,
}

impl Strategy {
    pub const ALL: [Self; 4] = [
        Self::UnderscoreEscapingWithSuffixes,
        Self::NoUtf8EscapingWithSuffixes,
        Self::UnderscoreEscapingWithoutSuffixes,
        Self::NoTranslation,
    ];

    fn escapes(self) -> bool {
        matches!(
            self,
            Self::UnderscoreEscapingWithSuffixes | Self::UnderscoreEscapingWithoutSuffixes
        )
    }
}

/// What counts of a metric for its name.
#[derive(Clone, Copy, Debug)]
pub struct Metric<'a> {
    pub name: &'a str,
    pub unit: &'a str,
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Gauge,
    MonotonicSum,
}

/// The name that the receiver stores.
pub fn metric_name(metric: Metric<'_>, strategy: Strategy) -> String {
    match strategy {
        Strategy::UnderscoreEscapingWithSuffixes => by_words(metric),
        Strategy::NoUtf8EscapingWithSuffixes => by_ending(metric),
        Strategy::UnderscoreEscapingWithoutSuffixes => {
            let valid = |c: char| c.is_ascii_alphanumeric() || c == ':' || c == '_';
            not_a_digit_first(join(metric.name.split(|c| !valid(c))))
        }
        Strategy::NoTranslation => metric.name.to_owned(),
    }
}

/// The name is a list of words; a unit that is among them is not appended, `total` and `ratio` go to
/// the end. A unit of two words ("per second") is no word, so it is always appended.
fn by_words(metric: Metric<'_>) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || c == ':';
    let mut words: Vec<String> = metric
        .name
        .split(|c| !word(c))
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect();
    let (unit, per) = unit_words(metric.unit);
    for suffix in [unit, per] {
        if !suffix.is_empty() && !words.contains(&suffix) {
            words.push(suffix);
        }
    }
    for (applies, last) in [
        (metric.kind == Kind::MonotonicSum, "total"),
        (metric.kind == Kind::Gauge && metric.unit == "1", "ratio"),
    ] {
        if applies {
            words.retain(|word| word != last);
            words.push(last.to_owned());
        }
    }
    not_a_digit_first(words.join("_"))
}

/// The name stays as it is but for suffixes that it does not end with.
fn by_ending(metric: Metric<'_>) -> String {
    let (unit, per) = unit_words(metric.unit);
    let total = if metric.kind == Kind::MonotonicSum {
        "total"
    } else {
        ""
    };
    let ratio = if metric.kind == Kind::Gauge && metric.unit == "1" {
        "ratio"
    } else {
        ""
    };
    let mut name = metric.name;
    for suffix in [ratio, total, &per] {
        if !suffix.is_empty() {
            let stem = name.strip_suffix(suffix);
            name = stem.and_then(|stem| stem.strip_suffix('_')).unwrap_or(name);
        }
    }
    let mut name = name.to_owned();
    if !unit.is_empty() && !name.ends_with(&unit) {
        name = format!("{name}_{unit}");
    }
    for suffix in [&per, total, ratio] {
        if !suffix.is_empty() {
            name = format!("{name}_{suffix}");
        }
    }
    name
}

/// A UCUM unit in Prometheus' words: the unit, and what it is per. Annotations in braces are no unit.
fn unit_words(unit: &str) -> (String, String) {
    let known = |unit: &str| {
        match unit {
            "d" => "days",
            "h" => "hours",
            "min" => "minutes",
            "s" => "seconds",
            "ms" => "milliseconds",
            "us" => "microseconds",
            "ns" => "nanoseconds",
            "By" => "bytes",
            "KiBy" => "kibibytes",
            "MiBy" => "mebibytes",
            "GiBy" => "gibibytes",
            "KBy" => "kilobytes",
            "MBy" => "megabytes",
            "GBy" => "gigabytes",
            "m" => "meters",
            "V" => "volts",
            "A" => "amperes",
            "J" => "joules",
            "W" => "watts",
            "g" => "grams",
            "Cel" => "celsius",
            "Hz" => "hertz",
            "%" => "percent",
            "1" => "",
            other => other,
        }
        .to_owned()
    };
    let known_per = |unit: &str| match unit {
        "s" => "second".to_owned(),
        "m" => "minute".to_owned(),
        "h" => "hour".to_owned(),
        "d" => "day".to_owned(),
        other => other.to_owned(),
    };
    let is_unit = |text: &&str| !text.is_empty() && !text.contains(['{', '}']);
    let (unit, per) = unit.split_once('/').unwrap_or((unit, ""));
    let unit = Some(unit.trim()).filter(is_unit).map(known);
    let per = Some(per.trim()).filter(is_unit).map(known_per);
    (
        unit.unwrap_or_default(),
        per.map(|per| format!("per_{per}")).unwrap_or_default(),
    )
}

/// The name that the receiver gives a label.
pub fn label_name(name: &str, strategy: Strategy) -> String {
    if !strategy.escapes() {
        return name.to_owned();
    }
    let valid = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = name.chars().map(valid).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        format!("key_{name}")
    } else if name.starts_with('_') && !name.starts_with("__") {
        format!("key{name}")
    } else {
        name
    }
}

fn join<'a>(parts: impl Iterator<Item = &'a str>) -> String {
    let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
    parts.join("_")
}

fn not_a_digit_first(name: String) -> String {
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        format!("_{name}")
    } else {
        name
    }
}
