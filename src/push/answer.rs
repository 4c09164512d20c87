//! What a receiver answers: taken, in part, not now, or never.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use prost::Message;

/// A request was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Data points that the receiver says it did not take.
    pub rejected: u64,
    /// Why, or a warning. May be empty.
    pub message: String,
}

/// A request was not taken, or nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct SendError {
    pub text: String,
    pub again: Again,
}

/// Whether the same request may be taken later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    Never,
    /// Perhaps; after this long, if the receiver said so.
    After(Option<Duration>),
}

impl From<ExportMetricsServiceResponse> for Accepted {
    fn from(response: ExportMetricsServiceResponse) -> Self {
        let partial = response.partial_success.unwrap_or_default();
        Self {
            rejected: u64::try_from(partial.rejected_data_points).unwrap_or_default(),
            message: readable(&partial.error_message),
        }
    }
}

/// `google.rpc.Status`, the body of a failure over HTTP and the details of one over gRPC.
#[derive(Clone, PartialEq, Message)]
pub struct Status {
    #[prost(string, tag = "2")]
    pub message: String,
    #[prost(message, repeated, tag = "3")]
    pub details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
pub struct Any {
    #[prost(string, tag = "1")]
    pub type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
pub struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    pub retry_delay: Option<ProtoDuration>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct ProtoDuration {
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

impl Status {
    /// The wait that the receiver asks for, if it does.
    pub fn retry_delay(&self) -> Option<Duration> {
        let info = self
            .details
            .iter()
            .find(|detail| detail.type_url.ends_with("/google.rpc.RetryInfo"))?;
        let delay = RetryInfo::decode(&*info.value).ok()?.retry_delay;
        let delay = delay.unwrap_or_default();
        Some(Duration::new(
            u64::try_from(delay.seconds).unwrap_or_default(),
            u32::try_from(delay.nanos)
                .unwrap_or_default()
                .min(999_999_999),
        ))
    }
}

/// What a stranger wrote, made fit for one line of a log.
pub fn readable(text: &str) -> String {
    /// Enough for a sentence or two.
    const MOST: usize = 300;
    let clean: String = text
        .chars()
        .take(MOST)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    clean.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(type_url: &str, value: Vec<u8>) -> Status {
        Status {
            message: String::new(),
            details: vec![Any {
                type_url: type_url.into(),
                value,
            }],
        }
    }

    #[test]
    fn a_retry_delay_is_read_from_the_details() {
        let info = |seconds, nanos| {
            let retry_delay = Some(ProtoDuration { seconds, nanos });
            status(
                "type.googleapis.com/google.rpc.RetryInfo",
                RetryInfo { retry_delay }.encode_to_vec(),
            )
        };
        assert_eq!(
            info(2, 500_000_000).retry_delay(),
            Some(Duration::from_millis(2_500))
        );
        assert_eq!(info(-1, -1).retry_delay(), Some(Duration::ZERO));
        assert_eq!(
            info(i64::MAX, i32::MAX).retry_delay(),
            Some(Duration::new(i64::MAX as u64, 999_999_999))
        );
        let other = "type.googleapis.com/google.rpc.QuotaFailure";
        assert_eq!(status(other, Vec::new()).retry_delay(), None);
        let broken = "type.googleapis.com/google.rpc.RetryInfo";
        assert_eq!(status(broken, vec![0xff]).retry_delay(), None);
    }

    #[test]
    fn a_negative_count_of_rejected_points_is_none() {
        use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsPartialSuccess;
        let response = ExportMetricsServiceResponse {
            partial_success: Some(ExportMetricsPartialSuccess {
                rejected_data_points: -5,
                error_message: "a\nb".into(),
            }),
        };
        assert_eq!(
            Accepted::from(response),
            Accepted {
                rejected: 0,
                message: "a b".into()
            }
        );
    }
}
