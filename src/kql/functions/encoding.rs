//! Hashes and Base64.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::Digest;

use super::Accepts::{Any, Integer, Is, NotDynamic, Text};
use super::{Context, Returns, ScalarFunction};
use crate::kql::order::as_long;
use crate::kql::text::format_value;
use crate::kql::value::{Type, Value};

const STRING: Returns = Returns::Is(Type::String);
const LONG: Returns = Returns::Is(Type::Long);
const DYNAMIC: Returns = Returns::Is(Type::Dynamic);

pub const ROWS: &[ScalarFunction] = &[
    ScalarFunction::new(
        "hash",
        &[NotDynamic, Integer],
        LONG,
        hash,
        "A number made of the value, the same each time (xxHash64), modulo the second.",
    )
    .optional_from(1),
    ScalarFunction::new(
        "hash_xxhash64",
        &[NotDynamic, Integer],
        LONG,
        hash,
        "The value's xxHash64, modulo the second.",
    )
    .optional_from(1),
    ScalarFunction::new(
        "hash_combine",
        &[Any, Any],
        LONG,
        hash_combine,
        "One number made of several hashes.",
    )
    .repeating(1),
    ScalarFunction::new(
        "hash_many",
        &[NotDynamic],
        LONG,
        hash_many,
        "One number made of several values.",
    )
    .repeating(1),
    ScalarFunction::new(
        "hash_sha1",
        &[NotDynamic],
        STRING,
        |_, v| sha(v, &ring::digest::SHA1_FOR_LEGACY_USE_ONLY),
        "The value's SHA-1 in hexadecimal digits.",
    ),
    ScalarFunction::new(
        "hash_sha256",
        &[NotDynamic],
        STRING,
        |_, v| sha(v, &ring::digest::SHA256),
        "The value's SHA-256 in hexadecimal digits.",
    ),
    ScalarFunction::new(
        "hash_md5",
        &[NotDynamic],
        STRING,
        hash_md5,
        "The value's MD5 in hexadecimal digits.",
    ),
    ScalarFunction::new(
        "base64_encode_tostring",
        &[Text],
        STRING,
        |_, v| Value::string(STANDARD.encode(&*format_value(v[0]))),
        "The text in Base64.",
    ),
    ScalarFunction::new(
        "base64_decode_tostring",
        &[Text],
        STRING,
        base64_decode_tostring,
        "The text that Base64 holds.",
    ),
    ScalarFunction::new(
        "base64_decode_toarray",
        &[Text],
        DYNAMIC,
        base64_decode_toarray,
        "The bytes that Base64 holds.",
    ),
    ScalarFunction::new(
        "base64_encode_fromarray",
        &[Is(Type::Dynamic)],
        STRING,
        base64_encode_fromarray,
        "The bytes in Base64.",
    ),
    ScalarFunction::new(
        "base64_encode_fromguid",
        &[Is(Type::Guid)],
        STRING,
        |_, v| match v[0] {
            Value::Guid(guid) => Value::string(STANDARD.encode(guid.to_bytes_le())),
            _ => Value::Null,
        },
        "The guid's bytes in Base64.",
    ),
    ScalarFunction::new(
        "base64_decode_toguid",
        &[Text],
        Returns::Is(Type::Guid),
        base64_decode_toguid,
        "The guid whose bytes Base64 holds.",
    ),
];

/// The bytes that a value is hashed as.
fn bytes(value: &Value) -> Vec<u8> {
    match value {
        Value::Null => Vec::new(),
        Value::Bool(truth) => vec![u8::from(*truth)],
        Value::Int(number) => number.to_le_bytes().to_vec(),
        Value::Long(number) => number.to_le_bytes().to_vec(),
        Value::Real(number) => number.to_le_bytes().to_vec(),
        Value::DateTime(moment) => moment.0.to_le_bytes().to_vec(),
        Value::TimeSpan(span) => span.0.to_le_bytes().to_vec(),
        Value::Guid(guid) => guid.to_bytes_le().to_vec(),
        other => format_value(other).as_bytes().to_vec(),
    }
}

fn xxhash(bytes: &[u8]) -> i64 {
    twox_hash::XxHash64::oneshot(0, bytes).cast_signed()
}

fn hash(_: &Context, values: &[&Value]) -> Value {
    let hash = xxhash(&bytes(values[0]));
    Value::Long(match values.get(1).map(|by| as_long(by)) {
        None => hash,
        Some(Some(by)) if by > 0 => hash.rem_euclid(by),
        Some(_) => return Value::Null,
    })
}

fn combined(hashes: impl Iterator<Item = i64>) -> Value {
    let all: Vec<u8> = hashes.flat_map(i64::to_le_bytes).collect();
    Value::Long(xxhash(&all))
}

fn hash_combine(_: &Context, values: &[&Value]) -> Value {
    combined(values.iter().map(|value| as_long(value).unwrap_or(0)))
}

fn hash_many(_: &Context, values: &[&Value]) -> Value {
    combined(values.iter().map(|value| xxhash(&bytes(value))))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sha(values: &[&Value], algorithm: &'static ring::digest::Algorithm) -> Value {
    let digest = ring::digest::digest(algorithm, &bytes(values[0]));
    Value::string(hex(digest.as_ref()))
}

fn hash_md5(_: &Context, values: &[&Value]) -> Value {
    Value::string(hex(&md5::Md5::digest(bytes(values[0]))))
}

fn decoded(value: &Value) -> Option<Vec<u8>> {
    STANDARD.decode(&*format_value(value)).ok()
}

fn base64_decode_tostring(_: &Context, values: &[&Value]) -> Value {
    let text = decoded(values[0]).and_then(|bytes| String::from_utf8(bytes).ok());
    text.map_or(Value::Null, Value::string)
}

fn base64_decode_toarray(_: &Context, values: &[&Value]) -> Value {
    decoded(values[0]).map_or(Value::Null, |bytes| Value::Dynamic(Arc::new(bytes.into())))
}

fn base64_encode_fromarray(_: &Context, values: &[&Value]) -> Value {
    let Value::Dynamic(json) = values[0] else {
        return Value::Null;
    };
    let bytes: Option<Vec<u8>> = json.as_array().and_then(|elements| {
        let bytes = elements
            .iter()
            .map(|element| u8::try_from(element.as_u64()?).ok());
        bytes.collect()
    });
    bytes.map_or(Value::Null, |bytes| Value::string(STANDARD.encode(bytes)))
}

fn base64_decode_toguid(_: &Context, values: &[&Value]) -> Value {
    let bytes = decoded(values[0]).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
    bytes.map_or(Value::Null, |bytes| {
        Value::Guid(uuid::Uuid::from_bytes_le(bytes))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_survives_base64() {
        let guid: uuid::Uuid = "a0a1a2a3-b0b1-c0c1-d0d1-e0e1e2e3e4e5".parse().unwrap();
        let context = Context::new(crate::kql::DateTime::MIN);
        let coded = Value::string(STANDARD.encode(guid.to_bytes_le()));
        let back = base64_decode_toguid(&context, &[&coded]);
        assert_eq!(back, Value::Guid(guid));
    }
}
