use std::path::Path;
use std::time::Duration;

use super::*;

fn load(text: &str) -> Result<Settings, String> {
    Settings::from_yaml(Path::new("/etc/x/exporter.yaml"), text).map_err(|p| p.to_string())
}

const WORKSPACE: &str = "workspaces: [{id: 5f6d2b1c-0000-4000-8000-000000000001, name: prod}]\n";

#[test]
fn the_least_configuration_has_the_documented_defaults() {
    let settings = load("workspaces: [{id: 5f6d2b1c-0000-4000-8000-000000000001}]").unwrap();
    assert_eq!(settings.azure.endpoints, Endpoints::public());
    assert_eq!(settings.azure.credential, CredentialChoice::Default);
    assert_eq!(
        &*settings.workspaces[0].name,
        "5f6d2b1c-0000-4000-8000-000000000001"
    );
    let packs: Vec<&str> = settings.packs.iter().map(|p| p.value.as_str()).collect();
    assert_eq!(packs, ["vm", "threats", "feed"]);
    assert_eq!(settings.queries_dir, None);
    assert_eq!(settings.limits, Limits::default());
}

#[test]
fn a_full_configuration_is_read_with_paths_beside_the_file() {
    let settings = load(&format!(
        "azure:
  cloud: {{logs: 'https://localhost:1', audience: 'https://a/', authority: 'https://localhost:2'}}
  credential: {{client_secret: {{tenant_id: t, client_id: c, secret_file: secret}}}}
  ca_file: ca.pem
  proxy: http://proxy:3128
{WORKSPACE}packs: []
queries_dir: queries/
limits: {{max_series: 7, stale_after: 10m}}
"
    ))
    .unwrap();
    assert_eq!(
        settings.azure.endpoints.logs.as_str(),
        "https://localhost:1/"
    );
    assert_eq!(settings.azure.endpoints.audience, "https://a");
    assert_eq!(
        settings.azure.credential,
        CredentialChoice::ClientSecret {
            tenant_id: "t".into(),
            client_id: "c".into(),
            secret: SecretSource::File("/etc/x/secret".into()),
        }
    );
    assert_eq!(settings.azure.ca_file, Some("/etc/x/ca.pem".into()));
    assert!(settings.packs.is_empty());
    assert_eq!(
        settings.queries_dir,
        Some(Located::new("/etc/x/queries/".into(), Some(8)))
    );
    assert_eq!(settings.limits.max_series, Some(7));
    assert_eq!(settings.limits.stale_after, Some(Duration::from_secs(600)));
}

#[test]
fn every_form_of_credential_is_read() {
    let credential = |yaml: &str| {
        load(&format!("azure: {{credential: {yaml}}}\n{WORKSPACE}"))
            .unwrap()
            .azure
            .credential
    };
    assert_eq!(credential("default"), CredentialChoice::Default);
    assert_eq!(credential("azure_cli"), CredentialChoice::AzureCli);
    assert_eq!(
        credential("{managed_identity: {}}"),
        CredentialChoice::ManagedIdentity(MachineIdentity::System)
    );
    assert_eq!(
        credential("{managed_identity: {client_id: abc}}"),
        CredentialChoice::ManagedIdentity(MachineIdentity::ClientId("abc".into()))
    );
    assert_eq!(
        credential("{managed_identity: {object_id: o}}"),
        CredentialChoice::ManagedIdentity(MachineIdentity::ObjectId("o".into()))
    );
    assert_eq!(
        credential("{managed_identity: {resource_id: /r}}"),
        CredentialChoice::ManagedIdentity(MachineIdentity::ResourceId("/r".into()))
    );
    assert_eq!(
        credential("azure_developer_cli"),
        CredentialChoice::AzureDeveloperCli
    );
    assert_eq!(
        credential("{client_certificate: {tenant_id: t, client_id: c, certificate_file: a.pem}}"),
        CredentialChoice::ClientCertificate {
            tenant_id: "t".into(),
            client_id: "c".into(),
            file: "/etc/x/a.pem".into(),
        }
    );
    assert_eq!(
        credential("{workload_identity: {}}"),
        CredentialChoice::WorkloadIdentity
    );
}

#[test]
fn the_logs_may_be_plain_http_on_this_machine_if_the_file_says_so() {
    let with = |logs: &str, allow: bool| {
        load(&format!(
            "azure:
  cloud: {{logs: '{logs}', audience: a, authority: 'https://login.example'}}
  allow_http_on_loopback: {allow}
{WORKSPACE}"
        ))
    };
    for logs in [
        "http://127.0.0.1:1",
        "http://127.9.9.9",
        "http://localhost:1",
        "http://[::1]:1",
    ] {
        let settings = with(logs, true).unwrap();
        assert_eq!(settings.azure.endpoints.logs.scheme(), "http", "{logs}");
        assert!(with(logs, false).is_err(), "{logs}");
    }
    for logs in [
        "http://10.0.0.1",
        "http://localhost.example",
        "http://user:hunter2@127.0.0.1",
        "http://127.0.0.1/path",
        "ftp://127.0.0.1",
    ] {
        let problems = with(logs, true).unwrap_err();
        assert!(
            problems.contains("must be an https URL"),
            "{logs}: {problems}"
        );
        assert!(!problems.contains("hunter2"), "{problems}");
    }
}

#[test]
fn the_named_clouds_are_readable() {
    for (name, endpoints) in [
        ("public", Endpoints::public()),
        ("usgov", Endpoints::us_government()),
        ("china", Endpoints::china()),
    ] {
        let settings = load(&format!("azure: {{cloud: {name}}}\n{WORKSPACE}")).unwrap();
        assert_eq!(settings.azure.endpoints, endpoints);
    }
}

#[test]
fn a_proxy_is_refused_without_printing_its_password() {
    for (proxy, rule) in [
        ("ftp://proxy/hunter2", "must begin with http://"),
        (
            "http://user:hunter2@proxy",
            "must not hold a user or password",
        ),
        ("hunter2", "must be a URL"),
    ] {
        let error = load(&format!("azure: {{proxy: '{proxy}'}}\n{WORKSPACE}")).unwrap_err();
        assert!(
            error.starts_with("/etc/x/exporter.yaml:1: azure.proxy "),
            "{error}"
        );
        assert!(error.contains(rule), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

/// The settings of a file with this section and of these variables, or the problems.
fn otlp(yaml: &str, variables: &[(&str, &str)]) -> Result<Option<OtlpSettings>, String> {
    let text = format!("{WORKSPACE}{yaml}");
    let variable = |name: &str| {
        let found = variables.iter().find(|(other, _)| *other == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let file = Path::new("/etc/x/exporter.yaml");
    let (settings, problems) = Settings::read_with(file, &text, &variable).unwrap();
    if problems.is_empty() {
        Ok(settings.otlp)
    } else {
        Err(Problems(problems).to_string())
    }
}

#[test]
fn nothing_is_pushed_unless_an_endpoint_is_named() {
    assert!(otlp("", &[]).unwrap().is_none());
    let empty = [("OTEL_EXPORTER_OTLP_ENDPOINT", " ")];
    assert!(otlp("", &empty).unwrap().is_none());
    let traces = [(
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "http://c:4318/v1/traces",
    )];
    assert!(otlp("", &traces).unwrap().is_none(), "traces need a ratio");
}

#[test]
fn an_endpoint_is_enough_and_the_rest_has_the_specifications_defaults() {
    let settings = otlp("otlp: {endpoint: 'http://collector:4318/base/'}", &[]);
    let settings = settings.unwrap().unwrap();
    assert!(settings.traces.is_none());
    assert_eq!(settings.resource, []);
    let metrics = settings.metrics.unwrap();
    assert_eq!(metrics.interval, Duration::from_secs(60));
    let connection = metrics.connection;
    assert_eq!(
        connection.endpoint.as_str(),
        "http://collector:4318/base/v1/metrics"
    );
    assert_eq!(connection.protocol, OtlpProtocol::HttpProtobuf);
    assert_eq!(connection.compression, OtlpCompression::Gzip);
    assert_eq!(connection.timeout, Duration::from_secs(10));
    assert_eq!(connection.headers, []);
    assert_eq!(connection.ca_file, None);
}

#[test]
fn the_standard_variables_are_read_and_the_signals_own_win() {
    let settings = otlp(
        "otlp: {traces: {ratio: 0.1}}",
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://general:4318"),
            (
                "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
                "http://metrics:4318/as/it/is",
            ),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "none"),
            ("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/etc/ca.pem"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "general=1"),
            (
                "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
                "Authorization=Basic%20a%3Db , x=2",
            ),
            ("OTEL_METRIC_EXPORT_INTERVAL", "30000"),
            ("OTEL_RESOURCE_ATTRIBUTES", "team=a%2Cb,service.name=listed"),
            ("OTEL_SERVICE_NAME", "mine"),
        ],
    );
    let settings = settings.unwrap().unwrap();
    let metrics = settings.metrics.unwrap();
    assert_eq!(metrics.interval, Duration::from_secs(30));
    let (metrics, traces) = (metrics.connection, settings.traces.unwrap());
    assert_eq!(traces.ratio, 0.1);
    assert_eq!(metrics.endpoint.as_str(), "http://metrics:4318/as/it/is");
    assert_eq!(
        traces.connection.endpoint.as_str(),
        "http://general:4318/v1/traces"
    );
    assert_eq!(metrics.compression, OtlpCompression::Gzip);
    assert_eq!(traces.connection.compression, OtlpCompression::None);
    assert_eq!(metrics.timeout, Duration::from_millis(2_500));
    assert_eq!(metrics.ca_file, Some("/etc/ca.pem".into()));
    let headers = |connection: &OtlpConnection| -> Vec<(String, String)> {
        let headers = connection.headers.iter();
        headers
            .map(|(name, value)| (name.to_string(), value.expose().to_owned()))
            .collect()
    };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        headers(&metrics),
        [pair("authorization", "Basic a=b"), pair("x", "2")]
    );
    assert_eq!(headers(&traces.connection), [pair("general", "1")]);
    assert_eq!(
        settings.resource,
        [pair("team", "a,b"), pair("service.name", "mine")]
    );
}

#[test]
fn the_file_wins_over_the_environment() {
    let settings = otlp(
        "otlp: {endpoint: 'http://file:4317', protocol: grpc, interval: 5s, timeout: 1m, compression: none}",
        &[
            (
                "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
                "http://variable:4318",
            ),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "x"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "x"),
        ],
    );
    let metrics = settings.unwrap().unwrap().metrics.unwrap();
    assert_eq!(metrics.connection.endpoint.as_str(), "http://file:4317/");
    assert_eq!(metrics.connection.protocol, OtlpProtocol::Grpc);
    assert_eq!(metrics.connection.compression, OtlpCompression::None);
    assert_eq!(metrics.interval, Duration::from_secs(5));
    assert_eq!(
        metrics.connection.timeout, metrics.interval,
        "no request outlives its push"
    );
}

#[test]
fn a_wrong_variable_is_named_and_its_secret_is_not() {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318");
    for (variable, rule) in [
        (
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://a:hunter2@c"),
            "must not hold a user or password; send those as a header, from otlp.headers_file",
        ),
        (
            ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2"),
            "must be a list such as name=value,name=value",
        ),
        (
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=hunter2%0Ax"),
            "must have header values of printable ASCII characters",
        ),
        (
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            "\"http/json\" must be http/protobuf or grpc",
        ),
        (
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
            "\"10s\" must be a whole number of milliseconds, 1 or more and 30 days at most",
        ),
        (
            ("OTEL_METRIC_EXPORT_INTERVAL", "999"),
            "\"999\" must be a whole number of milliseconds, 1000 or more and 30 days at most",
        ),
        (
            ("OTEL_RESOURCE_ATTRIBUTES", "=x"),
            "must not have an empty name",
        ),
    ] {
        let error = otlp("", &[endpoint, variable]).unwrap_err();
        assert_eq!(
            error,
            format!("/etc/x/exporter.yaml: {} {rule}", variable.0)
        );
    }
}
