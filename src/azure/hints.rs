//! What to do about a failure: one short piece of advice for each cause that is known.

use crate::telemetry::FailureReason;

/// For an error of the Logs Query API, by its codes (innermost first) and its HTTP status.
pub(super) fn for_api<'a>(
    status: u16,
    codes: impl IntoIterator<Item = &'a str>,
) -> Option<&'static str> {
    codes.into_iter().find_map(by_api_code).or(match status {
        400 => Some("run the query in the portal's Logs page, or with this program's `check`"),
        401 => Some("the service refuses a token that was just issued: check azure.cloud, and this machine's clock"),
        403 => Some(GRANT_ROLE),
        404 => Some("check the workspace's id (the GUID on its overview page) and azure.cloud"),
        429 => Some("ask less often: longer intervals, fewer queries, or one identity for each exporter"),
        504 => Some(SLOW_QUERY),
        300..=399 => Some("redirects are not followed, because a token must not travel: check azure.cloud and azure.proxy"),
        500..=599 => Some("Azure's side; if it lasts, see Azure's service health"),
        _ => None,
    })
}

const GRANT_ROLE: &str = "grant the role \"Log Analytics Reader\" on the workspace to this identity; \
                          a new grant can take up to an hour to work";

pub(super) const SLOW_QUERY: &str =
    "narrow the query's time range, or raise its `timeout` (Azure allows 10 minutes)";

fn by_api_code(code: &str) -> Option<&'static str> {
    Some(match code {
        "NspValidationFailedError" => {
            "allow public network access for queries in the workspace's network settings, or reach it \
             by private link or its network security perimeter"
        }
        "InsufficientAccessError" | "AuthorizationFailedError" => GRANT_ROLE,
        "InvalidAuthenticationTokenAudience" => {
            "the token is for another service: check azure.cloud, or its `audience`"
        }
        "InvalidAuthenticationToken" | "InvalidTokenError" => {
            "check that azure.cloud is the cloud that the identity lives in"
        }
        "GatewayTimeout" => SLOW_QUERY,
        _ => return None,
    })
}

pub(super) const PARTIAL: &str = "what came is not all; if a limit was hit, aggregate, project fewer columns, or narrow the time range";

pub(super) const TOO_MANY_ROWS: &str = "Azure sends at most 500,000 rows, 64 MB compressed: narrow the query (aggregate with `summarize`, \
     project fewer columns, a shorter time range) or split it";

pub(super) const CACHED: &str = "something between here and Azure keeps answers: let the Logs Query API pass its cache; what \
     arrived since is not in it";

pub(super) const NO_TABLE: &str = "not collected here: no data collection rule fills this table in this workspace; create one \
     (VMConnection: VM insights with Map), leave the pack out, or check the table's spelling";

pub(super) const EMPTY_BODY: &str = "the workspace holds no data at all yet, or something between here and Azure dropped the \
     Content-Type header";

pub(super) const NOT_JSON: &str =
    "something other than the Logs Query API may have answered: check azure.cloud and azure.proxy";

pub(super) const BUSY: &str = "there are more queries than the budget of requests lets through: `check` says what they need; \
     make them fewer, lighter or less frequent, or see azure.requests_per_30s and \
     azure.concurrent_requests";

pub(super) const TOO_LARGE: &str = "return fewer rows or columns";

/// For a request that got no answer.
pub(super) fn for_network(reason: FailureReason) -> Option<&'static str> {
    Some(match reason {
        FailureReason::Connect => {
            "check DNS, the firewall and azure.proxy; a private link needs its private DNS zone"
        }
        FailureReason::Tls => {
            "if a corporate proxy opens TLS, put its root certificate into azure.ca_file; \
             otherwise check the host name and this machine's clock"
        }
        FailureReason::Timeout => SLOW_QUERY,
        _ => return None,
    })
}

/// For a refusal by Microsoft Entra ID, by the number after `AADSTS`.
pub(super) fn for_entra(code: u32) -> Option<&'static str> {
    Some(match code {
        7_000_215 => "use the client secret's value, not its id",
        7_000_222 => "the client secret has expired: create a new one and replace it in its file",
        700_016 => "check client_id and tenant_id: this tenant does not know the application",
        90_002 | 900_023 => "check tenant_id and azure.cloud: there is no such tenant",
        70_011 | 500_011 => "check azure.cloud, or its `audience`",
        70_021 | 700_211 | 700_212 | 700_213 => {
            "make the application's federated credential match the token's issuer, subject and audience"
        }
        700_024 => "the federated token has expired, or this machine's clock is wrong",
        700_027 => {
            "upload this certificate to the application, or renew it: it is not known there, or has expired"
        }
        65_001 => "an administrator must consent to the application's permissions in this tenant",
        53_003 => "a conditional access policy blocks this sign-in",
        _ => return None,
    })
}

pub(super) const NO_MANAGED_IDENTITY_HERE: &str =
    "this works on Azure only (virtual machine, App Service, AKS): elsewhere set azure.credential";

pub(super) const NO_SUCH_IDENTITY: &str =
    "assign a managed identity to this machine, or check client_id";

pub(super) const NO_AZURE_CLI: &str =
    "install the Azure CLI where this program runs, or set another azure.credential";

pub(super) const AZURE_CLI_LOGIN: &str = "run `az login` as the user that runs this program";

pub(super) const NO_AZURE_DEVELOPER_CLI: &str =
    "install the Azure Developer CLI where this program runs, or set another azure.credential";

pub(super) const AZURE_DEVELOPER_CLI_LOGIN: &str =
    "run `azd auth login` as the user that runs this program";

pub(super) const GRANT_READER: &str = "give this identity a role that may read the workspaces of these subscriptions, such as \
     \"Log Analytics Reader\"; a new grant can take up to an hour to work";

pub(super) const NO_CREDENTIAL: &str =
    "set azure.credential, or what one of these needs from the environment";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inner_code_is_more_telling_than_the_outer_one_and_the_status() {
        let nsp = for_api(403, ["NspValidationFailedError", "InsufficientAccessError"]).unwrap();
        assert!(nsp.contains("network settings"), "{nsp}");
        assert_eq!(
            for_api(403, ["Unknown", "InsufficientAccessError"]),
            Some(GRANT_ROLE)
        );
        assert_eq!(for_api(403, []), Some(GRANT_ROLE));
        assert_eq!(for_api(418, ["Teapot"]), None);
    }

    #[test]
    fn every_hint_is_short() {
        for code in [
            7_000_215, 7_000_222, 700_016, 90_002, 70_011, 70_021, 700_213, 700_027, 65_001,
        ] {
            let hint = for_entra(code).unwrap();
            assert!(hint.len() < 120 && !hint.ends_with('.'), "{hint}");
        }
        assert_eq!(for_entra(1), None);
    }
}
