"""What people read when it pages: deploy/alertmanager/ in a real Alertmanager, with sinks around it.

    python3 tests/alertmanager/mail_test.py            # or through check.sh, which tests the routes too
    KEEP_MAILS=/tmp/mails python3 ...                   # also writes each mail's HTML and text, to look at

rig.py says what of the configuration is rewritten. Waiting is for events; the only fixed wait is the one
that shows that something does not come.
"""

import html.parser
import os
import pathlib
import re
import tempfile
import time
import unittest
from urllib.parse import urlencode

from rig import Rig, alert, shortly

ONCALL, SECURITY = "oncall@example.com", "security@example.com"
HOSTILE = 'web"><img src=x>\n|'
BLIND = "No whole answer from a feed that delivers since 2025-06-01 08:30 UTC; what is shown is the last known."

RESULTS = [
    ("203.0.113.7", "Botnet", "118", "web-01", "outbound", "5"),
    ("198.51.100.23", "MaliciousUrl", "64", "db-01.contoso.example", "outbound", "4"),
    ("203.0.113.90", "CryptoMining", "31", "web-01", "outbound", ""),
    ("192.0.2.200", "Watchlist", "12", "web-02", "inbound", "3"),
    ("192.0.2.201", "Proxy", "9", "web-02", "inbound", "2"),
    ("192.0.2.202", "Darknet", "7", "web-02", "inbound", "3"),
    ("192.0.2.203", "C2", "5", "jump-01", "outbound", "5"),
    ("192.0.2.204", "DDos", "3", "jump-01", "inbound", "3"),
    ("192.0.2.205", "Phishing", "2", "jump-01", "inbound", "1"),
    ("192.0.2.206", "PUA", "1", "jump-01", "inbound", "0"),
]
TOP10 = "\n".join("|".join(row) for row in RESULTS)
HEADER = ("RemoteIp", "IndicatorThreatType", "Count", "VM", "Direction", "Severity")


def resource_id(vm):
    return f"/subscriptions/00000000-0000-0000-0000-000000000000/resourcegroups/shop/providers/microsoft.compute/virtualmachines/{vm}"


def dashboard(workspace, vm, threat_type):
    """The link to Grafana as the rules write it: each label in a URL's own escapes."""
    variables = {"var-workspace": workspace, "var-vm": vm, "var-threat_type": threat_type}
    return f"https://grafana.example.com/d/vminsights-threats?{urlencode(variables)}"


def outbound(workspace, vm, ip, threat_type, annotations=None, **when):
    return alert(
        {
            "alertname": "ThreatConnectionOutbound",
            "severity": "critical",
            "direction": "outbound",
            "workspace": workspace,
            "vm": vm,
            "resource_id": resource_id("web-01"),
            "remote_ip": ip,
            "threat_type": threat_type,
        },
        {
            "summary": f"{vm} connects to {ip}, a known malicious address ({threat_type})",
            "description": f"VM {vm} (workspace {workspace}) has outbound connections to {ip}, known for {threat_type}: "
            "118 records in 15 minutes, last at 2025-06-01 08:40 UTC. Indicator: severity 5 of 5, confidence 90 %. "
            "Alert since 2025-06-01 08:00 UTC.",
            "runbook_url": "https://wiki.example.com/vminsights/ThreatConnectionOutbound.md",
            "dashboard_url": dashboard(workspace, vm, threat_type),
            "top10": TOP10,
            "top10_more": "7",
            **(annotations or {}),
        },
        **when,
    )


def plain_alert(name, severity, workspace, annotations=None, **labels):
    return alert(
        {"alertname": name, "severity": severity, "workspace": workspace, **labels}, annotations
    )


class Page(html.parser.HTMLParser):
    """The parts of a page that a test asks for; fails on a page whose tags do not nest."""

    VOID = {"meta", "img", "br", "hr", "link", "input"}

    def __init__(self, source):
        super().__init__()
        self.open, self.tags, self.rows, self.links, self.text, self.in_cell = [], [], [], [], "", False
        self.feed(source)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append(tag)
        if tag in self.VOID:
            return
        # What only the phone's layout shows is no part of a cell's value.
        hidden = "display:none" in (attributes.get("style") or "")
        self.open.append((tag, hidden, attributes.get("class") or ""))
        if tag == "a":
            self.links.append(attributes.get("href"))
        if any(tag == "table" and "results" in name for tag, _, name in self.open):
            if tag == "tr":
                self.rows.append([])
            if tag in ("td", "th"):
                self.rows[-1].append("")
                self.in_cell = True

    def handle_endtag(self, tag):
        assert self.open and self.open[-1][0] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()
        if tag in ("td", "th"):
            self.in_cell = False

    def handle_data(self, data):
        if any(hidden or tag in ("style", "title") for tag, hidden, _ in self.open):
            return
        self.text += data
        if self.in_cell:
            self.rows[-1][-1] += data


def part(mail, subtype):
    return mail.get_body((subtype,)).get_content().replace("\r\n", "\n")


class MailTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.rig = Rig(pathlib.Path(cls.folder.name))

    @classmethod
    def tearDownClass(cls):
        cls.rig.stop()
        if keep := os.environ.get("KEEP_MAILS"):
            folder = pathlib.Path(keep)
            folder.mkdir(parents=True, exist_ok=True)
            for number, (to, mail) in enumerate(cls.rig.smtp.mails):
                name = re.sub(r"\W+", "-", f"{to[0].split('@')[0]} {mail['Subject']}")[:80]
                (folder / f"{number:02} {name}.html").write_text(part(mail, "html"))
                (folder / f"{number:02} {name}.txt").write_text(part(mail, "plain"))
        cls.folder.cleanup()

    def mail(self, recipient, word):
        """The first mail to this recipient with this word in its subject: subject, text, page, HTML."""
        mail = self.rig.until(f"mail to {recipient}: {word}", lambda: self.rig.mails(recipient, word))[0]
        source = part(mail, "html")
        page = Page(source)
        # Nothing may be fetched by opening a mail, whatever the mail.
        self.assertNotIn("img", page.tags)
        self.assertNotIn("script", page.tags)
        self.assertNotIn("no value", source)
        return mail["Subject"], part(mail, "plain"), page, source

    def none_within(self, seconds, what, condition):
        """Shows that something does not come."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.assertFalse(condition(), what)
            time.sleep(0.1)

    def test_a_threat_is_told_as_azure_told_it_and_more(self):
        self.rig.post(
            outbound("prod", "web-01", "203.0.113.7", "Botnet"),
            outbound("prod", "db-01.contoso.example", "198.51.100.23", "MaliciousUrl"),
            plain_alert(
                "ThreatConnectionInbound", "warning", "prod", {"summary": "Known malicious addresses connect to web-02 (Watchlist)"},
                vm="web-02", resource_id=resource_id("web-02"), threat_type="Watchlist", direction="inbound",
            ),
        )  # fmt: skip
        subject, text, page, _ = self.mail(SECURITY, "in prod")
        self.assertEqual(subject, "[critical] Botnet: web-01 to 203.0.113.7, 118 connections (+2 more) in prod")
        self.assertEqual(page.rows[0], list(HEADER))
        self.assertEqual(page.rows[1:], [[*row[:5], row[5] or "not known"] for row in RESULTS])
        self.assertIn("7 more result(s) are not shown", page.text)
        self.assertIn("critical · 3 firing · workspace prod", page.text)
        for link in [
            "https://wiki.example.com/vminsights/ThreatConnectionOutbound.md",
            dashboard("prod", "web-01", "Botnet"),
            dashboard("prod", "db-01.contoso.example", "MaliciousUrl"),
            "http://prometheus.example:9090/graph?g0.expr=up",
        ]:
            self.assertIn(link, page.links)
            self.assertIn(link, text)

        lines = text.splitlines()
        self.assertEqual(lines[0], subject)
        at = lines.index("Top 10 result(s)")
        self.assertEqual(lines[at + 1].split(), list(HEADER))
        self.assertEqual([tuple(line.split()) for line in lines[at + 2 : at + 4]], RESULTS[:2])
        self.assertEqual(lines[at + 4].split(), ["203.0.113.90", "CryptoMining", "31", "web-01", "outbound", "not", "known"])
        self.assertEqual(tuple(lines[at + 11].split()), RESULTS[9])
        self.assertIn("7 more result(s) are not shown.", text)

        # On call gets the critical ones: by mail and PagerDuty. The webhook gets all.
        subject, _, page, _ = self.mail(ONCALL, "in prod")
        self.assertEqual(subject, "[critical] Botnet: web-01 to 203.0.113.7, 118 connections (+1 more) in prod")
        self.assertIn("critical · 2 firing", page.text)
        _, incident = self.rig.until("PagerDuty", lambda: self.rig.posts("/pagerduty", "in prod"))[0]
        self.assertEqual(incident["routing_key"], "the routing key")
        self.assertEqual(incident["event_action"], "trigger")
        self.assertEqual(incident["payload"]["severity"], "critical")
        self.assertEqual(incident["payload"]["summary"], subject)
        self.assertIn("Top 10 result(s)", incident["payload"]["custom_details"]["text"])
        self.assertIn(f"Dashboard: {dashboard('prod', 'web-01', 'Botnet')}\n", incident["payload"]["custom_details"]["text"])
        _, message = self.rig.until("Slack", lambda: self.rig.posts("/slack", "in prod"))[0]
        self.assertEqual(
            message["attachments"][0]["title"],
            "[warning] Known malicious addresses connect to web-02 (Watchlist) in prod",
        )
        headers, _ = self.rig.until("webhook", lambda: self.rig.posts("/webhook", "ThreatConnectionInbound"))[0]
        self.assertEqual(headers["Authorization"], "Bearer the token")
        self.assertIn(["", "vminsights@example.com", "the mail password"], self.rig.smtp.logins)

    def test_the_subject_is_about_what_the_mail_is_about(self):
        # The most connections are a warning's; the critical one is further down, or not in the list at all.
        self.rig.post(
            plain_alert("ThreatConnectionInbound", "warning", "lead", {"top10": "192.0.2.200|Watchlist|900|web-02|inbound|3\n203.0.113.7|C2|4|web-01|outbound|5"},
                        vm="web-02", threat_type="Watchlist", direction="inbound"),
            outbound("lead", "web-01", "203.0.113.7", "C2", {"top10": "192.0.2.200|Watchlist|900|web-02|inbound|3\n203.0.113.7|C2|4|web-01|outbound|5"}),
            outbound("deep", "web-01", "203.0.113.99", "C2", {"top10": "overflow|overflow|9000|overflow|overflow|\n192.0.2.200|Watchlist|900|web-02|inbound|3"}),
        )  # fmt: skip
        self.assertEqual(
            self.mail(SECURITY, "in lead")[0],
            "[critical] C2: web-01 to 203.0.113.7, 4 connections (+1 more) in lead",
        )
        self.assertEqual(
            self.mail(ONCALL, "in deep")[0],
            "[critical] web-01 connects to 203.0.113.99, a known malicious address (C2) in deep",
        )

    def test_the_results_are_those_of_the_newest_alert(self):
        # The older alert has stopped being seen, and shows what it last knew, until its half hour is over.
        self.rig.post(
            outbound("newest", "a-old", "203.0.113.1", "Proxy", {"top10": "203.0.113.1|Proxy|3|a-old|outbound|3"}),
            outbound("newest", "z-new", "203.0.113.2", "C2", {"top10": "203.0.113.2|C2|2|z-new|outbound|3"}, began=shortly()),
            outbound("newest", "m-old", "203.0.113.3", "PUA", {"top10": "203.0.113.3|PUA|5|m-old|outbound|3"}),
        )  # fmt: skip
        subject, text, page, _ = self.mail(SECURITY, "in newest")
        self.assertEqual(subject, "[critical] C2: z-new to 203.0.113.2, 2 connections (+2 more) in newest")
        self.assertIn("203.0.113.2", text.split("Top 10 result(s)")[1].splitlines()[2])
        self.assertEqual(page.rows[1:], [["203.0.113.2", "C2", "2", "z-new", "outbound", "3"]])

    def test_hostile_values_are_text(self):
        # The rule replaces `|` and line breaks within top10; here they come as they are.
        self.rig.post(
            outbound(
                "hostile", HOSTILE, "203.0.113.7", "<b>Bot</b>",
                {
                    "top10": f"203.0.113.7|<b>Bot</b>|3|{HOSTILE}|outbound|5\n1.2.3.4|C2|2|a|b|outbound|5\nno result",
                    "top10_more": "<i>7</i>",
                    "blind": "<script>blind</script>",
                    "runbook_url": "javascript:alert(1)",
                },
            )
        )  # fmt: skip
        subject, text, page, source = self.mail(SECURITY, "in hostile")
        self.assertEqual(
            subject, '[critical] web"›‹img src=x› | connects to 203.0.113.7, a known malicious address (‹b›Bot‹/b›) in hostile'
        )
        self.assertNotIn("<img", source)
        self.assertNotIn("<b>", source)
        self.assertNotIn("<script", source)
        self.assertNotIn("javascript:", source)
        self.assertNotIn("Runbook", page.text)
        self.assertIn(dashboard("hostile", HOSTILE, "<b>Bot</b>"), page.links)
        self.assertIn(f"Dashboard: {dashboard('hostile', HOSTILE, '<b>Bot</b>')}\n", text)
        self.assertIn("web&#34;&gt;&lt;img src=x&gt;", source)
        self.assertEqual(page.rows[1:], [
            ['203.0.113.7|<b>Bot</b>|3|web"><img src=x>'],
            ["||outbound|5"],
            ["1.2.3.4", "C2", "2", "a|b", "outbound", "5"],
            ["no result"],
        ])  # fmt: skip
        self.assertNotIn("are not shown", page.text)
        self.assertIn('vm: web"><img src=x> |', text)
        _, message = self.rig.until("webhook", lambda: self.rig.posts("/webhook", "hostile"))[0]
        self.assertEqual(message["alerts"][0]["labels"]["vm"], HOSTILE)
        self.assertEqual(message["alerts"][0]["annotations"]["dashboard_url"], dashboard("hostile", HOSTILE, "<b>Bot</b>"))

    def test_slack_gets_no_markup_from_outside(self):
        self.rig.post(plain_alert("VMCpuHigh", "warning", "chat", {"summary": "s <!here>", "description": "a <!channel> & b"}, vm="web-01"))
        _, message = self.rig.until("Slack", lambda: self.rig.posts("/slack", "in chat"))[0]
        self.assertIn("a ‹!channel› & b", message["attachments"][0]["text"])
        self.assertNotIn("<", str(message))

    def test_chat_has_links_where_there_are_some(self):
        # Teams is sent the same text.
        link = "https://grafana.example.com/d/vminsights-vm?var-workspace=linked&var-vm=web%22%3C+01&var-resource_id=%2Fs%2Fweb"
        self.rig.post(
            plain_alert("VMCpuHigh", "warning", "linked", {"dashboard_url": link, "runbook_url": "https://wiki.example.com/a.md"}, vm="web"),
            plain_alert("VMCpuHigh", "warning", "unlinked", vm="web"),
        )
        told = lambda workspace: self.rig.until("Slack", lambda: self.rig.posts("/slack", f"in {workspace}"))[0][1]["attachments"][0]["text"]
        self.assertRegex(told("linked"), rf"^VMCpuHigh\nSince [^,]+ UTC, runbook: https://wiki.example.com/a.md, dashboard: {re.escape(link)}\s*$")
        self.assertRegex(told("unlinked"), r"^VMCpuHigh\nSince [^,]+ UTC\s*$")

    def test_an_alert_without_annotations_is_still_told(self):
        self.rig.post(
            plain_alert("Mystery", "critical", "bare"),
            alert({"severity": "critical", "workspace": "nameless", "vm": "web-09"}),
            alert({"alertname": "ThreatConnectionOutbound", "severity": "critical", "workspace": "halfbare"}),
            alert({"alertname": "NoSeverity"}),
        )
        subject, text, page, _ = self.mail(ONCALL, "in bare")
        self.assertEqual(subject, "[critical] Mystery in bare")
        self.assertEqual(page.rows, [])
        self.assertNotIn("Top 10", text + page.text)
        self.assertNotIn("Runbook", text + page.text)
        self.assertNotIn("Dashboard", text + page.text)
        self.assertNotIn("see any more", text + page.text)
        self.assertEqual(self.mail(ONCALL, "in nameless")[0], "[critical] Alert on web-09 in nameless")
        self.assertEqual(self.mail(SECURITY, "in halfbare")[0], "[critical] ThreatConnectionOutbound in halfbare")
        _, message = self.rig.until("Slack", lambda: self.rig.posts("/slack", "NoSeverity"))[0]
        self.assertEqual(message["attachments"][0]["title"], "[warning] NoSeverity")
        self.assertEqual(message["channel"], "#vm-alerts")

    def test_a_full_disk_pages_once(self):
        disk = {"vm": "db-01", "resource_id": resource_id("db-01"), "disk": "C:"}
        said = {
            "summary": "Disk C: of db-01 is nearly full: 3.2 % free",
            "description": "Disk C: of VM db-01 (workspace disks) has 3.2 % free,\nbelow 5 %, since 2025-06-01 07:50 UTC.",
            "runbook_url": "https://wiki.example.com/vminsights/DiskSpaceCritical.md",
        }
        self.rig.post(
            plain_alert("DiskSpaceCritical", "critical", "disks", said, **disk),
            plain_alert("DiskSpaceLow", "warning", "disks", **disk),
            plain_alert("DiskFillsSoon", "warning", "disks", **disk),
        )
        subject, text, page, _ = self.mail(ONCALL, "in disks")
        self.assertEqual(subject, "[critical] Disk C: of db-01 is nearly full: 3.2 % free in disks")
        self.assertIn("critical · 1 firing · workspace disks", page.text)
        self.assertIn("  disk: C:\n", text)
        self.assertNotIn("Top 10", text + page.text)
        self.none_within(
            4, "a muted warning was told", lambda: self.rig.posts("/slack", "in disks") or self.rig.mails(SECURITY, "in disks")
        )
        self.assertEqual(len(self.rig.mails(ONCALL, "in disks")), 1)
        self.assertFalse(self.rig.posts("/webhook", "DiskSpaceLow"))

    def test_information_is_kept_to_itself(self):
        self.rig.post(
            plain_alert("ThreatFeedAbsent", "info", "hushed"), plain_alert("VMMemoryLow", "warning", "hushed", vm="a")
        )
        self.rig.until("Slack", lambda: self.rig.posts("/slack", "in hushed"))
        self.assertFalse(self.rig.mails(SECURITY, "in hushed") + self.rig.mails(ONCALL, "in hushed"))
        self.assertFalse(self.rig.posts("/webhook", "ThreatFeedAbsent") + self.rig.posts("/slack", "ThreatFeedAbsent"))

    def test_the_end_is_told_once_and_says_whether_it_is_one(self):
        began, ended = "2025-06-01T08:00:00Z", "2025-06-01T09:05:00Z"
        seen = lambda **end: outbound("ended", "web-01", "203.0.113.7", "Botnet", began=began, **end)
        lost = lambda **end: outbound("lost", "web-01", "203.0.113.7", "Botnet", {"blind": BLIND}, began=began, **end)
        self.rig.post(seen(), lost())
        _, _, page, _ = self.mail(SECURITY, "in lost")
        self.assertIn("We cannot see any more. " + BLIND, page.text)
        _, text, page, _ = self.mail(SECURITY, "in ended")
        self.assertIn("ThreatConnectionOutbound · critical · since 2025-06-01 08:00 UTC", page.text)
        self.assertIn("ThreatConnectionOutbound, critical, since 2025-06-01 08:00 UTC\n", text)
        self.mail(ONCALL, "in ended")
        self.rig.post(seen(ended=ended), lost(ended=ended))

        subject, text, page, _ = self.mail(SECURITY, "[over]")
        self.assertEqual(
            subject, "[over] web-01 connects to 203.0.113.7, a known malicious address (Botnet) in ended"
        )
        self.assertIn("since 2025-06-01 08:00 UTC until 2025-06-01 09:05 UTC (1h5m0s)", page.text)
        self.assertIn("Over. We still look, and see it no longer.", page.text)
        self.assertIn("Over: we still look, and see it no longer.\n", text)
        self.assertEqual(page.rows, [])

        subject, text, page, _ = self.mail(SECURITY, "[out of sight]")
        self.assertTrue(subject.endswith("in lost"), subject)
        self.assertIn("Not known to be over: we could not see any more. " + BLIND, page.text)
        self.assertIn("NOT KNOWN TO BE OVER: we could not see any more. " + BLIND, text)
        self.assertNotIn("see it no longer", text + page.text)

        self.rig.until("PagerDuty resolved", lambda: [b for _, b in self.rig.posts("/pagerduty") if b["event_action"] == "resolve"])
        mails = lambda: self.rig.mails(SECURITY, "in ended") + self.rig.mails(ONCALL, "in ended")
        self.rig.until("on call hears too", lambda: len(mails()) == 4)
        # Two group intervals and more.
        self.none_within(5, "the end was told twice", lambda: len(mails()) != 4)

    def test_a_flood_makes_a_bounded_mail(self):
        self.rig.post(*[outbound("flood", f"vm-{n:03}", "203.0.113.7", "Botnet", {"top10": "\n".join([TOP10] * 100)}) for n in range(300)])
        subject, text, page, source = self.mail(SECURITY, "(+299 more) in flood")
        self.assertEqual(len(page.rows), 11)
        self.assertIn("And 280 more that fire", page.text)
        self.assertIn("And 280 more that fire", text)
        self.assertEqual(sum("/d/vminsights-threats?" in link for link in page.links), 20)
        self.assertLess(len(source), 100_000, "Gmail cuts a mail at 102 kB")

    def test_one_cause_mutes_its_consequences_in_the_same_place_only(self):
        whole, vm = {}, {"vm": "a", "resource_id": "/a"}
        disk = {**vm, "disk": "C:"}
        query, feed = {"query": "cpu"}, {"query": "table_freshness"}
        disks = "DiskSpaceLow DiskSpaceCritical DiskFillsSoon"
        place, this_vm, this_disk = ["workspace"], ["workspace", "vm", "resource_id"], ["workspace", "vm", "resource_id", "disk"]
        pairs = [  # source, its labels, targets, their labels, where equal
            ("SignInFailing", {"reason": "sign_in"}, "DataStale PollFailing", query, place),
            ("DataStale", query, "PollFailing PartialResults", query, [*place, "query"]),
            ("DataStale", feed, "IngestionSlow ThreatFeedLate", whole, place),
            ("IngestionSlow", {"severity": "critical"}, "IngestionSlow", {"severity": "warning", "table": "Heartbeat"}, place),
            ("IngestionSlow", {"severity": "critical"}, "VMHeartbeatMissing", vm, place),
            ("IngestionSlow", {"severity": "critical"}, "ThreatFeedSilent ThreatFeedLate", whole, place),
            ("ThreatFeedSilent", whole, "ThreatFeedLate", whole, place),
            ("ThreatConnectionInbound", {**vm, "severity": "critical", "threat_type": "C2"},
             "ThreatConnectionInbound", {**vm, "severity": "warning", "threat_type": "C2"}, [*this_vm, "threat_type"]),
            ("VMHeartbeatMissing", vm, f"{disks} DiskDown", disk, this_vm),
            ("VMHeartbeatMissing", vm, "VMCpuHigh VMMemoryLow", vm, this_vm),
            ("DiskDown", disk, disks, disk, this_disk),
            ("DiskSpaceCritical", disk, "DiskSpaceLow DiskFillsSoon", disk, this_disk),
            ("DiskFillsSoon", disk, "DiskSpaceLow", disk, this_disk),
        ]  # fmt: skip

        def place_alert(name, labels, workspace):
            return plain_alert(**{"name": name, "severity": "warning", "workspace": workspace, **labels})

        posted, muted, heard = [], set(), set()
        for number, (source, source_labels, targets, labels, equal) in enumerate(pairs):
            for target in targets.split():
                here = f"mute-{number}-{target}"
                posted += [place_alert(source, source_labels, here), place_alert(target, labels, here)]
                muted.add((target, here))
                # A threat is heard, whatever is wrong with the exporter, the feed or the VM.
                posted.append(outbound(here, "a", "203.0.113.7", "C2"))
                heard.add(("ThreatConnectionOutbound", here))
                # With one of the labels another, the target is heard.
                for label in equal:
                    near = f"{here}-{label}"
                    other = {"workspace": f"{near}-other"} if label == "workspace" else {label: "other"}
                    posted += [place_alert(source, source_labels, near), place_alert(target, {**labels, **other}, near)]
                    heard.add((target, other.get("workspace", near)))
        self.rig.post(*posted)

        # Where source and target are of one name, either of the two may be the muted one.
        def muted_now():
            return {
                (a["labels"]["alertname"], a["labels"]["workspace"]) for a in self.rig.alerts() if a["status"]["inhibitedBy"]
            }

        self.rig.until("all muted that should be", lambda: muted <= muted_now())
        self.assertEqual(heard & muted_now(), set())


class ExporterAwayTest(unittest.TestCase):
    """What mutes without regard to a workspace, and so has an Alertmanager of its own."""

    def test_the_exporter_is_down_is_told_once(self):
        targets = "PollFailing DataStale SignInFailing Throttled PartialResults SeriesOverflow IngestionSlow"
        for source, labels, also in [("ExporterDown", {"job": "vminsights"}, " ExporterAbsent"), ("ExporterAbsent", {}, "")]:
            with self.subTest(source), tempfile.TemporaryDirectory() as folder:
                rig = Rig(pathlib.Path(folder))
                self.addCleanup(rig.stop)
                consequences = (targets + also).split()
                rig.post(
                    alert({"alertname": source, "severity": "critical", **labels}, {"summary": f"{source} is told"}),
                    *[plain_alert(name, "critical", "prod", query="threat_connections") for name in consequences],
                    outbound("prod", "web-01", "203.0.113.7", "Botnet"),
                )
                rig.until("the page", lambda: rig.mails(ONCALL, source))
                rig.until("the threat", lambda: rig.mails(ONCALL, "Botnet"))
                rig.until("the security mailbox", lambda: len(rig.mails(SECURITY)) == 2)
                muted = {a["labels"]["alertname"] for a in rig.alerts() if a["status"]["inhibitedBy"]}
                self.assertEqual(muted, set(consequences))
                time.sleep(3)  # so that a page too many has come
                self.assertEqual(sorted(m["Subject"] for m in rig.mails(ONCALL)), [
                    "[critical] Botnet: web-01 to 203.0.113.7, 118 connections in prod",
                    f"[critical] {source} is told",
                ])  # fmt: skip


if __name__ == "__main__":
    unittest.main(verbosity=2)
