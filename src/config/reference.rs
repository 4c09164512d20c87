//! Every key of the configuration file, for people: `docs/configuration.md` is made from this list.
//! A test holds it against the shapes that are read.

/// A key and what it means.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// From the top, with dots; `[]` stands for each entry of a list.
    pub path: &'static str,
    /// What may stand there.
    pub value: &'static str,
    /// What holds without it; `required` if something must stand there.
    pub default: &'static str,
    pub help: &'static str,
}

impl Key {
    pub const fn new(
        path: &'static str,
        value: &'static str,
        default: &'static str,
        help: &'static str,
    ) -> Self {
        Self {
            path,
            value,
            default,
            help,
        }
    }
}

/// The keys of the configuration file, in the order in which a person would write them.
pub const KEYS: &[Key] = &[
    Key::new(
        "azure",
        "map",
        "the public cloud, the default chain",
        "Which Azure is asked, and as whom.",
    ),
    Key::new(
        "azure.cloud",
        "`public`, `usgov`, `china` or a map",
        "`public`",
        "Which cloud. A map names the addresses of one that is not listed, such as a simulated workspace.",
    ),
    Key::new(
        "azure.cloud.logs",
        "https URL without a path",
        "required in the map",
        "The Logs Query API.",
    ),
    Key::new(
        "azure.cloud.audience",
        "text",
        "required in the map",
        "What tokens are asked for; the scope is this and `/.default`.",
    ),
    Key::new(
        "azure.cloud.authority",
        "https URL without a path",
        "required in the map",
        "Microsoft Entra ID, where the exporter signs in.",
    ),
    Key::new(
        "azure.cloud.resource_manager",
        "https URL without a path",
        "the public cloud's",
        "Azure Resource Manager.",
    ),
    Key::new(
        "azure.credential",
        "`default`, `azure_cli`, `azure_developer_cli` or a map with one key",
        "`default`",
        "Who the exporter signs in as. `default` takes the first that works: a client secret from the environment, workload identity, managed identity, Azure CLI, Azure Developer CLI.",
    ),
    Key::new(
        "azure.credential.managed_identity",
        "map, may be `{}`",
        "",
        "The identity of the VM, App Service or the like.",
    ),
    Key::new(
        "azure.credential.managed_identity.client_id",
        "text",
        "the system-assigned identity",
        "Which user-assigned identity.",
    ),
    Key::new(
        "azure.credential.managed_identity.object_id",
        "text",
        "",
        "The same by its object (principal) id.",
    ),
    Key::new(
        "azure.credential.managed_identity.resource_id",
        "text",
        "",
        "The same by its ARM resource id; not on App Service.",
    ),
    Key::new(
        "azure.credential.workload_identity",
        "`{}`",
        "",
        "A Kubernetes service account, from `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and `AZURE_FEDERATED_TOKEN_FILE`.",
    ),
    Key::new(
        "azure.credential.client_secret",
        "map",
        "",
        "An app registration with a secret.",
    ),
    Key::new(
        "azure.credential.client_secret.tenant_id",
        "text",
        "required",
        "The directory's id.",
    ),
    Key::new(
        "azure.credential.client_secret.client_id",
        "text",
        "required",
        "The application's id.",
    ),
    Key::new(
        "azure.credential.client_secret.secret_file",
        "path",
        "this or `secret_env`",
        "The file that holds the secret.",
    ),
    Key::new(
        "azure.credential.client_secret.secret_env",
        "text",
        "this or `secret_file`",
        "The environment variable that holds the secret.",
    ),
    Key::new(
        "azure.credential.client_certificate",
        "map",
        "",
        "An app registration with a certificate.",
    ),
    Key::new(
        "azure.credential.client_certificate.tenant_id",
        "text",
        "required",
        "The directory's id.",
    ),
    Key::new(
        "azure.credential.client_certificate.client_id",
        "text",
        "required",
        "The application's id.",
    ),
    Key::new(
        "azure.credential.client_certificate.certificate_file",
        "path to PEM",
        "required",
        "The file that holds the certificate and its RSA private key without a password; read again at each sign-in.",
    ),
    Key::new(
        "azure.ca_file",
        "path to PEM",
        "the system's roots alone",
        "One more trust root, beside the system's.",
    ),
    Key::new(
        "azure.proxy",
        "http, https, socks5 or socks5h URL, without a user",
        "`HTTPS_PROXY`, `NO_PROXY` of the environment",
        "Through which proxy Azure is asked.",
    ),
    Key::new(
        "azure.allow_http_on_loopback",
        "`true` or `false`",
        "`false`",
        "Whether `azure.cloud.logs` may be plain http where it is on this machine itself: `localhost`, 127.0.0.0/8, ::1. Everything else is https in every case.",
    ),
    Key::new(
        "azure.requests_per_30s",
        "whole number from 1 to 100,000",
        "`180`",
        "How many requests are sent in any 30 seconds. Azure takes 200 of one identity; the rest is left for others who use it.",
    ),
    Key::new(
        "azure.concurrent_requests",
        "whole number from 1 to 1,000",
        "`4`",
        "How many queries run at once, half of them slow ones at most. Azure runs five of one identity, and two on Basic and Auxiliary tables.",
    ),
    Key::new(
        "workspaces",
        "list, at least one",
        "required without `discover`",
        "The Log Analytics workspaces to ask.",
    ),
    Key::new(
        "workspaces[].id",
        "GUID, or resource id",
        "required",
        "The *Workspace ID* on the workspace's overview page. Or the ARM id of any resource, resource group or subscription, `/subscriptions/…`: then its rows are asked for, whichever workspaces they are in, which takes the right to read that resource.",
    ),
    Key::new(
        "workspaces[].name",
        "text",
        "the id",
        "The label `workspace` of everything that comes from it; unique.",
    ),
    Key::new(
        "discover",
        "map",
        "off",
        "Workspaces that Azure Resource Graph finds are asked, too; their names become the label `workspace`. One that is also listed keeps its listed name.",
    ),
    Key::new(
        "discover.subscriptions",
        "list of GUIDs, at least one",
        "required",
        "The subscriptions to look in.",
    ),
    Key::new(
        "discover.include",
        "list of maps with one key",
        "all",
        "A workspace is taken if one of these fits. Case does not count.",
    ),
    Key::new(
        "discover.include[].name",
        "text",
        "",
        "The workspace's name.",
    ),
    Key::new(
        "discover.include[].id",
        "text",
        "",
        "Its resource id, `/subscriptions/…`.",
    ),
    Key::new(
        "discover.include[].resource_group",
        "text",
        "",
        "Its resource group.",
    ),
    Key::new("discover.include[].tag", "map", "", "A tag that it bears."),
    Key::new(
        "discover.include[].tag.name",
        "text",
        "required",
        "The tag's name.",
    ),
    Key::new(
        "discover.include[].tag.value",
        "text",
        "required",
        "The tag's value.",
    ),
    Key::new(
        "discover.exclude",
        "list of maps with one key",
        "none",
        "A workspace is not taken if one of these fits. Case does not count.",
    ),
    Key::new(
        "discover.exclude[].name",
        "text",
        "",
        "The workspace's name.",
    ),
    Key::new(
        "discover.exclude[].id",
        "text",
        "",
        "Its resource id, `/subscriptions/…`.",
    ),
    Key::new(
        "discover.exclude[].resource_group",
        "text",
        "",
        "Its resource group.",
    ),
    Key::new("discover.exclude[].tag", "map", "", "A tag that it bears."),
    Key::new(
        "discover.exclude[].tag.name",
        "text",
        "required",
        "The tag's name.",
    ),
    Key::new(
        "discover.exclude[].tag.value",
        "text",
        "required",
        "The tag's value.",
    ),
    Key::new(
        "discover.interval",
        "length of time from 1s",
        "`10m`",
        "How often the list is asked for again. One that cannot be had leaves the last in use.",
    ),
    Key::new(
        "discover.allow_empty",
        "`true` or `false`",
        "`false`",
        "Whether a list without a workspace is good. Otherwise it is an error, as missing rights look the same.",
    ),
    Key::new(
        "discover.tag_labels",
        "list of tags' names",
        "none",
        "Tags that become labels of `vminsights_workspace_info`: `team` becomes `tag_team`. What a label may not have becomes `_`.",
    ),
    Key::new(
        "packs",
        "list of pack names",
        "`[vm, threats, feed]`",
        "Which built-in queries are asked; `[]` for none.",
    ),
    Key::new(
        "queries_dir",
        "path",
        "none",
        "The folder of your own definitions: a `.yaml` beside a `.kql` for each query.",
    ),
    Key::new(
        "state",
        "map",
        "in memory: counters begin anew with each start",
        "Where the counters' state is kept. Two exporters never share one.",
    ),
    Key::new(
        "state.path",
        "path",
        "required",
        "A directory, made if it is not there. A file in it that cannot be read is set aside and reported, never overwritten.",
    ),
    Key::new(
        "limits",
        "map",
        "as below",
        "Defaults for all definitions that do not say otherwise.",
    ),
    Key::new(
        "limits.max_series",
        "whole number from 1",
        "10,000 with a `remote_ip` label, else 200,000",
        "How many series a family may have from one workspace. What is beyond is gathered in one series whose labels say `overflow`, or dropped; both are counted.",
    ),
    Key::new(
        "limits.stale_after",
        "length of time",
        "three intervals, at least 5m",
        "How long the last good values outlive failing polls. Counters stay.",
    ),
    Key::new(
        "limits.expire_after",
        "length of time from 1m",
        "1d",
        "How long a counter's series stays without growth.",
    ),
    Key::new(
        "limits.catch_up",
        "length of time from 1m",
        "1d",
        "How long an outage may last and its rows still be counted. What arrived before is lost to the counters; `vminsights_exporter_ledger_lost_seconds_total` says how much.",
    ),
    Key::new(
        "filters",
        "map",
        "as below",
        "What the packs leave out. A query of your own gets those that it names. A changed filter changes what is counted: counters that obey it keep their totals and take a new baseline.",
    ),
    Key::new(
        "filters.min_severity",
        "whole number from 0 to 5",
        "`0`",
        "Threats of less severity are left out, those of unknown severity are not. In KQL the number `min_severity`. Flow logs (pack `threats_nta`) have none.",
    ),
    Key::new(
        "filters.min_confidence_percent",
        "whole number from 0 to 100",
        "`0`",
        "Threats of less confidence are left out, those of unknown confidence are not. In KQL the number `min_confidence_percent`. Flow logs have none.",
    ),
    Key::new(
        "filters.allowed_addresses",
        "list of addresses and CIDR networks, IPv4 and IPv6",
        "`[]`",
        "Remote addresses that are no threat, such as a scanner of your own. In KQL the function `is_allowed_address(RemoteIp)`.",
    ),
    Key::new(
        "filters.exclude_disks",
        "list of globs: `*` is any text, `/` too, and `?` one character",
        "`[/snap, /snap/*, /run/*, /var/lib/docker/*, /var/lib/containerd/*, /var/lib/containers/*, /var/lib/kubelet/*]`",
        "Disks that are not looked at, by the whole of their mount or letter; case counts. A list of yours takes the default's place. In KQL the function `is_excluded_disk(Disk)`.",
    ),
    Key::new(
        "otlp",
        "map",
        "off, unless the standard `OTEL_EXPORTER_OTLP_…` variables name an endpoint",
        "The push over OpenTelemetry; see [otlp.md](otlp.md).",
    ),
    Key::new(
        "otlp.endpoint",
        "http or https URL without a user",
        "`OTEL_EXPORTER_OTLP_ENDPOINT`",
        "The receiver's base address; over HTTP `/v1/metrics` and `/v1/traces` are appended.",
    ),
    Key::new(
        "otlp.protocol",
        "`http/protobuf` or `grpc`",
        "`http/protobuf`",
        "How it is reached.",
    ),
    Key::new(
        "otlp.interval",
        "length of time from 1s",
        "`60s`",
        "How often the metrics are pushed.",
    ),
    Key::new(
        "otlp.compression",
        "`gzip` or `none`",
        "`gzip`",
        "What is done to requests.",
    ),
    Key::new(
        "otlp.timeout",
        "length of time",
        "`10s`",
        "For one request; a push as a whole never takes longer than the interval.",
    ),
    Key::new(
        "otlp.headers_file",
        "path",
        "`OTEL_EXPORTER_OTLP_HEADERS`",
        "Headers of each request, one `Name: value` a line; `#` begins a comment. Secrets.",
    ),
    Key::new(
        "otlp.ca_file",
        "path to PEM",
        "the system's roots alone",
        "One more trust root, beside the system's.",
    ),
    Key::new(
        "otlp.traces",
        "map",
        "off",
        "The exporter's own traces go to the same receiver; see [observability.md](observability.md).",
    ),
    Key::new(
        "otlp.traces.ratio",
        "number above 0, at most 1",
        "required",
        "The share of polls that are traced.",
    ),
];
