//! Property bags, and texts that are read into them: URLs, paths, pairs of keys and values.

use serde_json::{Map, Value as Json};

use super::Accepts::{Any, Is, Text};
use super::json::{array, bag, from_value, wrap};
use super::{Context, Returns, ScalarFunction, Special};
use crate::kql::text::format_value;
use crate::kql::value::{Type, Value};

const DYNAMIC: Returns = Returns::Is(Type::Dynamic);
const BAG: super::Accepts = Is(Type::Dynamic);

pub const ROWS: &[ScalarFunction] = &[
    ScalarFunction::new(
        "bag_remove_keys",
        &[BAG, BAG],
        DYNAMIC,
        bag_remove_keys,
        "The bag without the keys in the array.",
    ),
    ScalarFunction::new(
        "bag_set_key",
        &[BAG, Text, Any],
        DYNAMIC,
        bag_set_key,
        "The bag with the key set to the value.",
    ),
    ScalarFunction::new(
        "bag_zip",
        &[BAG, BAG],
        DYNAMIC,
        bag_zip,
        "A bag of the keys in the first array and the values in the second.",
    ),
    ScalarFunction::new(
        "treepath",
        &[BAG],
        DYNAMIC,
        treepath,
        "The paths of all that the value holds.",
    )
    .prefixed("tree"),
    ScalarFunction::new(
        "pack_all",
        &[Is(Type::Bool)],
        DYNAMIC,
        pack_all,
        "A bag of the row's columns, without those that are null or empty where the value says so.",
    )
    .optional_from(0)
    .special(Special::PackAll),
    ScalarFunction::new(
        "bag_pack_columns",
        &[Any],
        DYNAMIC,
        pack_all,
        "A bag of the columns.",
    )
    .repeating(1)
    .special(Special::PackColumns),
    ScalarFunction::new(
        "parse_url",
        &[Text],
        DYNAMIC,
        parse_url,
        "The URL's parts: Scheme, Host, Port, Path, Username, Password, Query Parameters, Fragment.",
    ),
    ScalarFunction::new(
        "parse_urlquery",
        &[Text],
        DYNAMIC,
        parse_urlquery,
        "The query's parameters, as Query Parameters.",
    ),
    ScalarFunction::new(
        "parse_path",
        &[Text],
        DYNAMIC,
        parse_path,
        "The path's parts: Scheme, RootPath, DirectoryPath, DirectoryName, Filename, Extension, AlternateDataStreamName.",
    ),
];

fn bag_remove_keys(_: &Context, values: &[&Value]) -> Value {
    let (Some(from), Some(keys)) = (bag(values[0]), array(values[1])) else {
        return Value::Null;
    };
    let kept = from
        .iter()
        .filter(|(key, _)| !keys.iter().any(|gone| gone.as_str() == Some(key.as_str())));
    wrap(Json::Object(
        kept.map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
    ))
}

fn bag_set_key(_: &Context, values: &[&Value]) -> Value {
    let Some(from) = bag(values[0]) else {
        return Value::Null;
    };
    let mut changed = from.clone();
    changed.insert(format_value(values[1]).to_string(), from_value(values[2]));
    wrap(changed.into())
}

fn bag_zip(_: &Context, values: &[&Value]) -> Value {
    let (Some(keys), Some(found)) = (array(values[0]), array(values[1])) else {
        return Value::Null;
    };
    let pairs = keys.iter().enumerate().filter_map(|(at, key)| {
        let value = found.get(at).cloned().unwrap_or(Json::Null);
        Some((key.as_str()?.to_owned(), value))
    });
    wrap(Json::Object(pairs.collect()))
}

/// The deepest value that is looked into.
const MAX_DEPTH: usize = 64;

fn treepath(_: &Context, values: &[&Value]) -> Value {
    let Value::Dynamic(json) = values[0] else {
        return Value::Null;
    };
    let mut paths = Vec::new();
    add_paths(json, "", MAX_DEPTH, &mut paths);
    wrap(paths.into())
}

fn add_paths(json: &Json, at: &str, depth: usize, paths: &mut Vec<Json>) {
    let Some(depth) = depth.checked_sub(1) else {
        return;
    };
    match json {
        Json::Object(bag) => {
            for (key, value) in bag {
                let path = format!("{at}['{key}']");
                paths.push(path.as_str().into());
                add_paths(value, &path, depth, paths);
            }
        }
        Json::Array(elements) if !elements.is_empty() => {
            let path = format!("{at}[0]");
            paths.push(path.as_str().into());
            add_paths(&elements[0], &path, depth, paths);
        }
        _ => {}
    }
}

/// Whether empty ones are left out, then names and values in turn.
pub fn pack_all(_: &Context, values: &[&Value]) -> Value {
    let without_empty = values.first() == Some(&&Value::Bool(true));
    let mut packed = Map::new();
    for pair in values.get(1..).unwrap_or_default().chunks_exact(2) {
        let empty = match pair[1] {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            _ => false,
        };
        if !(without_empty && empty) {
            packed.insert(format_value(pair[0]).to_string(), from_value(pair[1]));
        }
    }
    wrap(packed.into())
}

fn text(value: &Value) -> &str {
    match value {
        Value::String(text) => text,
        _ => "",
    }
}

fn parameters(query: &str) -> Json {
    let decode = |part: &str| {
        percent_encoding::percent_decode_str(part)
            .decode_utf8_lossy()
            .into_owned()
    };
    let pairs = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key), Json::String(decode(value)))
        });
    Json::Object(pairs.collect())
}

/// By hand: the service takes what a strict parser would change or refuse.
fn parse_url(_: &Context, values: &[&Value]) -> Value {
    let url = text(values[0]);
    let Some((scheme, rest)) = url.split_once("://") else {
        return Value::Null;
    };
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, port),
        _ => (host, ""),
    };
    wrap(serde_json::json!({
        "Scheme": scheme,
        "Host": host,
        "Port": port,
        "Path": path,
        "Username": user,
        "Password": password,
        "Query Parameters": parameters(query),
        "Fragment": fragment,
    }))
}

fn parse_urlquery(_: &Context, values: &[&Value]) -> Value {
    let query = text(values[0]);
    let query = query.split_once('?').map_or(query, |(_, query)| query);
    wrap(serde_json::json!({"Query Parameters": parameters(query)}))
}

fn parse_path(_: &Context, values: &[&Value]) -> Value {
    let path = text(values[0]);
    let (scheme, rest) = path.split_once("://").unwrap_or(("", path));
    let drive =
        rest.len() >= 2 && rest.as_bytes()[1] == b':' && rest.as_bytes()[0].is_ascii_alphabetic();
    let root = if drive { &rest[..2] } else { "" };
    let cut = rest.rfind(['/', '\\']);
    let (directory, file) = match cut {
        Some(at) => (&rest[..at], &rest[at + 1..]),
        None => ("", rest),
    };
    let (file, stream) = match file.split_once(':') {
        Some((file, stream)) if !drive || cut.is_some() => (file, stream),
        _ => (file, ""),
    };
    let name = directory.rsplit(['/', '\\']).next().unwrap_or("");
    let extension = file.rsplit_once('.').map_or("", |(_, extension)| extension);
    wrap(serde_json::json!({
        "Scheme": scheme,
        "RootPath": root,
        "DirectoryPath": directory,
        "DirectoryName": name,
        "Filename": file,
        "Extension": extension,
        "AlternateDataStreamName": stream,
    }))
}

/// Text, delimiter of pairs, delimiter of key and value, quote: a bag of the pairs.
pub fn parse_keys(_: &Context, values: &[&Value]) -> Value {
    let (source, pair, between, quote) = (
        text(values[0]),
        text(values[1]),
        text(values[2]),
        text(values[3]),
    );
    let mut found = Map::new();
    let mut rest = source;
    let default = if between.is_empty() { "=" } else { between };
    while !rest.is_empty() {
        let Some((key, tail)) = rest.split_once(default) else {
            break;
        };
        let key = match pair {
            "" => key
                .rsplit(|c: char| !c.is_alphanumeric() && c != '_')
                .next(),
            pair => key.rsplit(pair).next(),
        };
        let quoted = (!quote.is_empty())
            .then(|| tail.strip_prefix(quote))
            .flatten();
        let (value, after) = match quoted {
            Some(inner) => inner.split_once(quote).unwrap_or((inner, "")),
            None => {
                let end = match pair {
                    "" => tail.find(|c: char| !c.is_alphanumeric() && c != '_'),
                    pair => tail.find(pair),
                };
                tail.split_at(end.unwrap_or(tail.len()))
            }
        };
        let key = key.unwrap_or_default().trim().trim_matches('"').to_owned();
        found.entry(key).or_insert_with(|| value.into());
        rest = after;
    }
    wrap(found.into())
}
