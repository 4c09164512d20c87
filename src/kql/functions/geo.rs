//! Places on the globe, in degrees, longitude first; distances in metres.

use super::Accepts::{Any, Is, Number, Text};
use super::json::wrap;
use super::{Context, Returns, ScalarFunction};
use crate::kql::order::as_real;
use crate::kql::value::{Type, Value};

pub const ROWS: &[ScalarFunction] = &[
    ScalarFunction::new(
        "geo_distance_2points",
        &[Number, Number, Number, Number, Any],
        Returns::Is(Type::Real),
        distance,
        "The metres between two places.",
    )
    .optional_from(4),
    ScalarFunction::new(
        "geo_point_in_circle",
        &[Number, Number, Number, Number, Number],
        Returns::Is(Type::Bool),
        in_circle,
        "Whether the place lies so many metres or less from the centre.",
    ),
    ScalarFunction::new(
        "geo_point_in_polygon",
        &[Number, Number, Is(Type::Dynamic)],
        Returns::Is(Type::Bool),
        in_polygon,
        "Whether the place lies within the GeoJSON polygon.",
    ),
    ScalarFunction::new(
        "geo_point_to_geohash",
        &[Number, Number, Number],
        Returns::Is(Type::String),
        to_geohash,
        "The place's geohash, of so many characters (5).",
    )
    .optional_from(2),
    ScalarFunction::new(
        "geo_geohash_to_central_point",
        &[Text],
        Returns::Is(Type::Dynamic),
        from_geohash,
        "The middle of the geohash's area, as GeoJSON.",
    ),
];

/// Longitude and latitude at these positions, if they are on the globe.
fn place(values: &[&Value], at: usize) -> Option<(f64, f64)> {
    let (longitude, latitude) = (as_real(values[at])?, as_real(values[at + 1])?);
    let there = (-180.0..=180.0).contains(&longitude) && (-90.0..=90.0).contains(&latitude);
    there.then_some((longitude, latitude))
}

/// The axes of the WGS-84 ellipsoid.
const EQUATOR: f64 = 6_378_137.0;
const FLATTENING: f64 = 1.0 / 298.257_223_563;
const MEAN_RADIUS: f64 = 6_371_010.0;

/// By the haversine of the mean sphere.
fn on_sphere(from: (f64, f64), to: (f64, f64)) -> f64 {
    let (from_latitude, to_latitude) = (from.1.to_radians(), to.1.to_radians());
    let half = |angle: f64| (angle / 2.0).sin().powi(2);
    let square = half(to_latitude - from_latitude)
        + from_latitude.cos() * to_latitude.cos() * half((to.0 - from.0).to_radians());
    2.0 * MEAN_RADIUS * square.sqrt().min(1.0).asin()
}

/// Vincenty's inverse formula; the sphere's distance where it does not settle (nearly antipodal).
fn on_spheroid(from: (f64, f64), to: (f64, f64)) -> f64 {
    const STEPS: usize = 100;
    let pole = EQUATOR * (1.0 - FLATTENING);
    let reduced = |latitude: f64| ((1.0 - FLATTENING) * latitude.to_radians().tan()).atan();
    let (sin1, cos1) = reduced(from.1).sin_cos();
    let (sin2, cos2) = reduced(to.1).sin_cos();
    let longitude = (to.0 - from.0).to_radians();
    let mut lambda = longitude;
    for _ in 0..STEPS {
        let (sin_lambda, cos_lambda) = lambda.sin_cos();
        let sin_sigma =
            ((cos2 * sin_lambda).powi(2) + (cos1 * sin2 - sin1 * cos2 * cos_lambda).powi(2)).sqrt();
        if sin_sigma == 0.0 {
            return 0.0;
        }
        let cos_sigma = sin1 * sin2 + cos1 * cos2 * cos_lambda;
        let sigma = sin_sigma.atan2(cos_sigma);
        let sin_alpha = cos1 * cos2 * sin_lambda / sin_sigma;
        let cos_alpha2 = 1.0 - sin_alpha * sin_alpha;
        let middle = if cos_alpha2 == 0.0 {
            0.0
        } else {
            cos_sigma - 2.0 * sin1 * sin2 / cos_alpha2
        };
        let c = FLATTENING / 16.0 * cos_alpha2 * (4.0 + FLATTENING * (4.0 - 3.0 * cos_alpha2));
        let before = lambda;
        lambda = longitude
            + (1.0 - c)
                * FLATTENING
                * sin_alpha
                * (sigma
                    + c * sin_sigma * (middle + c * cos_sigma * (2.0 * middle * middle - 1.0)));
        if (lambda - before).abs() < 1e-12 {
            let u2 = cos_alpha2 * (EQUATOR * EQUATOR - pole * pole) / (pole * pole);
            let a = 1.0 + u2 / 16384.0 * (4096.0 + u2 * (-768.0 + u2 * (320.0 - 175.0 * u2)));
            let b = u2 / 1024.0 * (256.0 + u2 * (-128.0 + u2 * (74.0 - 47.0 * u2)));
            let delta = b
                * sin_sigma
                * (middle
                    + b / 4.0
                        * (cos_sigma * (2.0 * middle * middle - 1.0)
                            - b / 6.0
                                * middle
                                * (4.0 * sin_sigma * sin_sigma - 3.0)
                                * (4.0 * middle * middle - 3.0)));
            return pole * a * (sigma - delta);
        }
    }
    on_sphere(from, to)
}

fn distance(_: &Context, values: &[&Value]) -> Value {
    let spheroid = match values.get(4) {
        Some(Value::Bool(flag)) => *flag,
        Some(other) => as_real(other).is_some_and(|number| number != 0.0),
        None => false,
    };
    match (place(values, 0), place(values, 2)) {
        (Some(from), Some(to)) => Value::Real(if spheroid {
            on_spheroid(from, to)
        } else {
            on_sphere(from, to)
        }),
        _ => Value::Null,
    }
}

fn in_circle(_: &Context, values: &[&Value]) -> Value {
    match (place(values, 0), place(values, 2), as_real(values[4])) {
        (Some(place), Some(centre), Some(radius)) if radius >= 0.0 => {
            Value::Bool(on_sphere(place, centre) <= radius)
        }
        _ => Value::Null,
    }
}

/// Even-odd by rays in degrees: right for areas that are small beside the globe.
fn in_polygon(_: &Context, values: &[&Value]) -> Value {
    let (Some((x, y)), Value::Dynamic(json)) = (place(values, 0), values[2]) else {
        return Value::Null;
    };
    let Some(coordinates) = json["coordinates"].as_array() else {
        return Value::Null;
    };
    let polygons: Vec<&serde_json::Value> = match json["type"].as_str() {
        Some("Polygon") => vec![&json["coordinates"]],
        Some("MultiPolygon") => coordinates.iter().collect(),
        _ => return Value::Null,
    };
    let inside = |ring: &serde_json::Value| {
        let corners: Vec<(f64, f64)> = ring
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|corner| Some((corner[0].as_f64()?, corner[1].as_f64()?)))
            .collect();
        let edges = corners.iter().zip(corners.iter().skip(1));
        edges
            .filter(|(from, to)| {
                (from.1 > y) != (to.1 > y)
                    && x < (to.0 - from.0) * (y - from.1) / (to.1 - from.1) + from.0
            })
            .count()
            % 2
            == 1
    };
    Value::Bool(polygons.iter().any(|polygon| {
        let rings = polygon.as_array();
        rings.is_some_and(|rings| rings.iter().filter(|ring| inside(ring)).count() % 2 == 1)
    }))
}

const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
const MAX_LENGTH: usize = 18;

fn to_geohash(_: &Context, values: &[&Value]) -> Value {
    let length = values
        .get(2)
        .map_or(Some(5.0), |length| as_real(length))
        .unwrap_or(0.0);
    let Some((longitude, latitude)) = place(values, 0) else {
        return Value::Null;
    };
    if !(1.0..=MAX_LENGTH as f64).contains(&length) {
        return Value::Null;
    }
    let mut ranges = [(-180.0, 180.0), (-90.0, 90.0)];
    let wanted = [longitude, latitude];
    let mut text = String::new();
    let mut axis = 0;
    for _ in 0..length as usize {
        let mut digit = 0;
        for _ in 0..5 {
            let range: &mut (f64, f64) = &mut ranges[axis];
            let middle = f64::midpoint(range.0, range.1);
            let upper = wanted[axis] >= middle;
            if upper {
                range.0 = middle;
            } else {
                range.1 = middle;
            }
            digit = digit * 2 + usize::from(upper);
            axis = 1 - axis;
        }
        text.push(char::from(ALPHABET[digit]));
    }
    Value::string(text)
}

fn from_geohash(_: &Context, values: &[&Value]) -> Value {
    let Value::String(hash) = values[0] else {
        return Value::Null;
    };
    if hash.is_empty() || hash.len() > MAX_LENGTH {
        return Value::Null;
    }
    let mut ranges = [(-180.0, 180.0), (-90.0, 90.0)];
    let mut axis = 0;
    for byte in hash.bytes() {
        let Some(digit) = ALPHABET
            .iter()
            .position(|one| *one == byte.to_ascii_lowercase())
        else {
            return Value::Null;
        };
        for bit in (0..5).rev() {
            let range: &mut (f64, f64) = &mut ranges[axis];
            let middle = f64::midpoint(range.0, range.1);
            if digit >> bit & 1 == 1 {
                range.0 = middle;
            } else {
                range.1 = middle;
            }
            axis = 1 - axis;
        }
    }
    let middle = |range: (f64, f64)| f64::midpoint(range.0, range.1);
    wrap(serde_json::json!({
        "type": "Point",
        "coordinates": [middle(ranges[0]), middle(ranges[1])],
    }))
}
