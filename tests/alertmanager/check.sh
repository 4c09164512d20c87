#!/bin/sh
# Tests deploy/alertmanager/: is the configuration valid, does each alert reach whom it should, and is what
# they read right. Needs Debian's prometheus-alertmanager (0.25 or newer) and python3, no other package.
#   tests/alertmanager/check.sh
# Another version: put its folder first in PATH.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
deploy=$(cd "$here/../../deploy/alertmanager" && pwd)
config=$deploy/alertmanager.yml

fail() {
    echo "check.sh: $*" >&2
    exit 1
}

for name in amtool python3; do
    command -v "$name" >/dev/null || fail "$name is not installed (Debian: apt-get install prometheus-alertmanager python3)"
done
amtool --version 2>&1 | head -1

amtool check-config "$config" || fail "alertmanager.yml is not valid"

# Teams: valid where the version knows it; where not, it must be for that reason alone.
if report=$(amtool check-config "$deploy/teams.yml" 2>&1); then
    echo "teams.yml: valid"
else
    case $report in
        *"field msteamsv2_configs not found"*) echo "teams.yml: not judged, this amtool is older than 0.28" ;;
        *) fail "teams.yml is not valid: $report" ;;
    esac
fi

# to RECEIVERS LABEL=VALUE...: who hears of an alert with these labels, in the order of the routes.
routes=0
to() {
    receivers=$1
    shift
    amtool config routes test --config.file="$config" --verify.receivers="$receivers" "$@" >/dev/null 2>&1 ||
        fail "expected $receivers for $*; it goes to $(amtool config routes test --config.file="$config" "$@" 2>&1)"
    routes=$((routes + 1))
}

vm="workspace=prod vm=web-01 resource_id=/subscriptions/0/web-01"
# Unquoted: these are several arguments.
# shellcheck disable=SC2086
{
    # Threats, and not knowing of threats.
    to webhook,security,page alertname=ThreatConnectionOutbound severity=critical $vm direction=outbound remote_ip=203.0.113.7 threat_type=Botnet
    to webhook,security,page alertname=ThreatConnectionInbound severity=critical $vm direction=inbound threat_type=C2
    to webhook,security,channel alertname=ThreatConnectionInbound severity=warning $vm direction=inbound threat_type=Watchlist
    to webhook,security,page alertname=ThreatFeedSilent severity=critical workspace=prod
    to webhook,security,channel alertname=ThreatFeedLate severity=warning workspace=prod
    to quiet alertname=ThreatFeedAbsent severity=info workspace=prod

    # Disks and VMs.
    to webhook,page alertname=DiskSpaceCritical severity=critical $vm disk=C:
    to webhook,page alertname=DiskDown severity=critical $vm disk=C:
    to webhook,channel alertname=DiskSpaceLow severity=warning $vm disk=C:
    to webhook,channel alertname=DiskFillsSoon severity=warning $vm disk=C:
    to webhook,page alertname=VMHeartbeatMissing severity=critical $vm
    to webhook,channel alertname=VMCpuHigh severity=warning $vm
    to webhook,channel alertname=VMMemoryLow severity=warning $vm

    # The exporter. What concerns threats reaches the security mailbox too.
    to webhook,security,page alertname=ExporterDown severity=critical job=vminsights
    to webhook,security,page alertname=ExporterAbsent severity=critical
    to webhook,security,page alertname=SignInFailing severity=critical workspace=prod reason=sign_in
    to webhook,security,page alertname=DataStale severity=critical workspace=prod query=threat_connections
    to webhook,security,page alertname=DataStale severity=critical workspace=prod query=table_freshness
    to webhook,security,channel alertname=DataStale severity=warning workspace=prod query=threat_indicators
    to webhook,page alertname=DataStale severity=critical workspace=prod query=heartbeat
    to webhook,channel alertname=DataStale severity=warning workspace=prod query=cpu
    to webhook,channel alertname=PollFailing severity=warning workspace=prod query=threat_connections
    to webhook,channel alertname=PartialResults severity=warning workspace=prod query=threat_connections
    to webhook,channel alertname=Throttled severity=warning instance=a
    to webhook,channel alertname=ClockSkew severity=warning instance=a
    to webhook,security,page alertname=SeriesOverflow severity=critical workspace=prod query=threat_connections issue=overflow_gathered
    to webhook,channel alertname=SeriesOverflow severity=warning workspace=prod query=cpu issue=overflow_dropped
    to webhook,security,page alertname=IngestionSlow severity=critical workspace=prod
    to webhook,security,channel alertname=IngestionSlow severity=warning workspace=prod table=VMConnection
    to webhook,channel alertname=IngestionSlow severity=warning workspace=prod table=Heartbeat

    # Others' alerts.
    to webhook,page alertname=Other severity=critical
    to webhook,channel alertname=Other severity=warning
    to quiet alertname=Other severity=info
    to channel alertname=Other severity=none
    to channel alertname=Other
}
echo "routes: $routes alerts reach whom they should"

PYTHONDONTWRITEBYTECODE=1 python3 "$here/mail_test.py"
