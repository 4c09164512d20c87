//! Faults on demand: which requests go wrong, how, and how often.
//!
//! A file of rules says so (`docs/simulator.md`). [`Faults`] are the rules as read; [`Injector`] keeps
//! count while the workspace runs. A request is taken by the first rule that wants it, and the rules
//! after that one do not count it: rules with `times` are a sequence.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;

use crate::config::{Problem, yaml};

/// The kinds of request that can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum On {
    Query,
    Token,
    Metadata,
}

/// What becomes of a request, where it is no plain status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The connection ends without an answer.
    Drop,
    /// The connection ends in the middle of the body.
    Cut,
    /// The body ends early, the answer does not.
    BrokenJson,
    /// A 200 without a body.
    Empty,
    /// A 204.
    NoContent,
    /// What the same query was answered last, with its `Age`.
    Stale,
    /// All tokens that are out are good no longer.
    ExpiredToken,
    /// The rows come as text in columns of type string.
    ColumnType,
    /// The rows, and a PartialError beside them.
    Partial,
    /// No answer, ever; the connection stays open.
    Silence,
}

/// The rules, in order. Without rules nothing goes wrong.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Faults {
    /// What `probability` is drawn from.
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    on: On,
    /// A workspace's id.
    workspace: Option<String>,
    /// Text that the query holds.
    contains: Option<String>,
    #[serde(default)]
    after: u64,
    times: Option<u64>,
    probability: Option<f64>,
    delay: Option<String>,
    status: Option<u16>,
    retry_after: Option<u64>,
    answer: Option<Answer>,
    /// Set when the rule is checked.
    #[serde(skip)]
    wait: Duration,
}

/// What a rule does to a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    pub delay: Duration,
    /// Error status, and seconds for `Retry-After`.
    pub status: Option<(u16, Option<u64>)>,
    pub answer: Option<Answer>,
}

impl Faults {
    /// Reads rules; `file` is what errors name.
    ///
    /// # Errors
    /// If it is no YAML of that shape, or a rule makes no sense.
    pub fn from_yaml(file: &Path, text: &str) -> Result<Self, Problem> {
        let mut faults: Self = yaml::from_text(file, text)?;
        for (number, rule) in faults.rules.iter_mut().enumerate() {
            rule.check()
                .map_err(|text| Problem::new(file, None, format!("rule {}: {text}", number + 1)))?;
        }
        Ok(faults)
    }

    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

impl Rule {
    fn check(&mut self) -> Result<(), String> {
        if let Some(delay) = &self.delay {
            self.wait = yaml::duration("delay", delay, Duration::ZERO)?;
        }
        if self.delay.is_none() && self.status.is_none() && self.answer.is_none() {
            return Err("does nothing: give delay, status or answer".into());
        }
        if self.status.is_some() && self.answer.is_some() {
            return Err("has both status and answer".into());
        }
        if self.status.is_some_and(|code| !(400..600).contains(&code)) {
            return Err("status must be from 400 to 599".into());
        }
        if self.retry_after.is_some() && self.status.is_none() {
            return Err("retry_after needs a status".into());
        }
        if self.probability.is_some_and(|p| !(0.0..=1.0).contains(&p)) {
            return Err("probability must be from 0 to 1".into());
        }
        let of_rows = [Answer::ColumnType, Answer::Partial, Answer::Stale];
        let needs_rows = self.answer.is_some_and(|answer| of_rows.contains(&answer));
        if self.on != On::Query && (needs_rows || self.contains.is_some()) {
            return Err("column_type, partial, stale and contains are for queries".into());
        }
        if self.on == On::Token && self.workspace.is_some() {
            return Err("a token is for no workspace".into());
        }
        Ok(())
    }

    fn matches(&self, request: &Request<'_>) -> bool {
        let is_in = |part: &Option<String>, whole: &str| {
            part.as_deref().is_none_or(|part| whole.contains(part))
        };
        self.on == request.on
            && is_in(
                &self.workspace.as_ref().map(|id| id.to_ascii_lowercase()),
                &request.path.to_ascii_lowercase(),
            )
            && is_in(&self.contains, request.query)
    }
}

/// What rules look at.
pub struct Request<'a> {
    pub on: On,
    pub path: &'a str,
    pub query: &'a str,
}

/// Applies rules to requests as they come.
pub struct Injector {
    faults: Faults,
    state: Mutex<State>,
}

struct State {
    dice: fastrand::Rng,
    /// By rule: requests that matched, and those that went wrong.
    counts: Vec<(u64, u64)>,
}

impl Injector {
    pub fn new(faults: Faults) -> Self {
        let state = Mutex::new(State {
            dice: fastrand::Rng::with_seed(faults.seed),
            counts: vec![(0, 0); faults.rules.len()],
        });
        Self { faults, state }
    }

    /// What is to go wrong with a request.
    pub fn fault_for(&self, request: &Request<'_>) -> Option<Fault> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { dice, counts } = &mut *state;
        for (rule, (seen, applied)) in self.faults.rules.iter().zip(counts) {
            if !rule.matches(request) {
                continue;
            }
            *seen += 1;
            let is_due = *seen > rule.after && rule.times.is_none_or(|times| *applied < times);
            if is_due && rule.probability.is_none_or(|chance| dice.f64() < chance) {
                *applied += 1;
                return Some(Fault {
                    delay: rule.wait,
                    status: rule.status.map(|code| (code, rule.retry_after)),
                    answer: rule.answer,
                });
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Faults, String> {
        Faults::from_yaml(Path::new("faults.yaml"), text).map_err(|problem| problem.to_string())
    }

    fn answers(faults: &str, queries: &[&str]) -> Vec<Option<Answer>> {
        let injector = Injector::new(read(faults).unwrap());
        let answer = |query| {
            let request = Request {
                on: On::Query,
                path: "/v1/workspaces/AB/query",
                query,
            };
            injector.fault_for(&request).and_then(|fault| fault.answer)
        };
        queries.iter().copied().map(answer).collect()
    }

    #[test]
    fn rules_with_times_are_a_sequence() {
        let rules = "rules:
  - {on: query, contains: VMConnection, after: 1, times: 2, answer: drop}
  - {on: query, contains: VMConnection, times: 1, answer: cut}
  - {on: token, answer: silence}
  - {on: query, workspace: cd, answer: silence}
";
        assert_eq!(
            answers(rules, &["VMConnection"; 5]),
            [
                Some(Answer::Cut),
                Some(Answer::Drop),
                Some(Answer::Drop),
                None,
                None
            ]
        );
        assert_eq!(answers(rules, &["Heartbeat"]), [None]);
    }

    #[test]
    fn chance_is_a_function_of_the_seed() {
        let rules = "seed: 5\nrules: [{on: query, workspace: ab, probability: 0.5, answer: drop}]";
        let first = answers(rules, &["T"; 64]);
        assert_eq!(first, answers(rules, &["T"; 64]));
        let dropped = first.iter().flatten().count();
        assert!((16..48).contains(&dropped), "{dropped}");
    }

    #[test]
    fn a_bad_rule_says_what_is_wrong() {
        for (text, message) in [
            (
                "rules:\n  - {on: query, anser: drop}",
                "faults.yaml:2: unknown key",
            ),
            ("rules: [{on: query}]", "rule 1: does nothing"),
            (
                "rules: [{on: query, status: 503, answer: drop}]",
                "rule 1: has both status and answer",
            ),
            (
                "rules: [{on: query, status: 200}]",
                "rule 1: status must be from 400 to 599",
            ),
            (
                "rules: [{on: query, answer: drop, probability: 2}]",
                "rule 1: probability must be from 0 to 1",
            ),
            (
                "rules: [{on: token, answer: partial}]",
                "rule 1: column_type, partial, stale and contains are for queries",
            ),
            (
                "rules: [{on: query, answer: drop, retry_after: 3}]",
                "rule 1: retry_after needs a status",
            ),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
    }
}
