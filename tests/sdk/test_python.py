"""Microsoft's Python client, azure-monitor-query with azure-identity, against the simulated workspace.

Nothing in the client is replaced: it signs in, asks and decodes as it does with Azure. A policy in its pipeline
notes what was sent and answered. `check.sh` says how it is run. test_javascript.mjs asks the same.
"""

import datetime
import json
import os
import unittest

from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.identity import ClientSecretCredential
from azure.monitor.query import LogsBatchQuery, LogsQueryClient, LogsQueryStatus

access = json.loads(os.environ["WORKSPACE"])
UTC = datetime.timezone.utc
NOW = datetime.datetime.fromisoformat(os.environ["NOW"].replace("Z", "+00:00"))
HOUR = datetime.timedelta(hours=1)
STRANGER = "11111111-2222-3333-4444-555555555555"
WEB_1 = "/subscriptions/22222222-2222-3333-4444-555555555555/resourceGroups/web/providers/Microsoft.Compute/virtualMachines/web-1"
WORKSPACE = (
    f"/subscriptions/{access['subscription_id']}/resourceGroups/simulated/providers/Microsoft.OperationalInsights"
    "/workspaces/simulated-workspace"
)


class Notes(SansIOHTTPPolicy):
    """What goes over the wire: bodies and Prefer headers out, statuses in."""

    def __init__(self):
        self.bodies, self.prefers, self.statuses = [], [], []

    def on_request(self, request):
        body = request.http_request.content
        self.bodies.append(body if isinstance(body, dict) else json.loads(body))
        self.prefers.append(request.http_request.headers.get("Prefer"))

    def on_response(self, request, response):
        self.statuses.append(response.http_response.status_code)


class PythonClient(unittest.TestCase):
    def setUp(self):
        self.notes = Notes()
        self.client = self.connect(access["client_secret"])

    def connect(self, secret):
        credential = ClientSecretCredential(
            access["tenant_id"], access["client_id"], secret, authority=access["authority"],
            disable_instance_discovery=True, connection_verify=access["ca_file"],
        )
        self.addCleanup(credential.close)
        client = LogsQueryClient(
            credential, endpoint=access["endpoint"] + "/v1", audience=access["audience"], connection_verify=access["ca_file"],
            per_retry_policies=[self.notes],
        )
        self.addCleanup(client.close)
        return client

    def ask(self, query, timespan=None, **options):
        return self.client.query_workspace(access["workspace_id"], query, timespan=timespan, **options)

    def rows(self, query, timespan=None, **options):
        result = self.ask(query, timespan, **options)
        self.assertEqual(result.status, LogsQueryStatus.SUCCESS)
        self.assertEqual([table.name for table in result.tables], ["PrimaryResult"])
        return [list(row) for row in result.tables[0].rows]

    def refused(self, query, **options):
        with self.assertRaises(HttpResponseError) as caught:
            self.ask(query, **options)
        return caught.exception

    def test_rows_of_a_table(self):
        result = self.ask("VMConnection | where Computer == 'web-1' | project TimeGenerated, ProcessName, BytesSent")
        self.assertEqual(result.status, LogsQueryStatus.SUCCESS)
        [table] = result.tables
        self.assertEqual(table.columns, ["TimeGenerated", "ProcessName", "BytesSent"])
        self.assertEqual(table.columns_types, ["datetime", "string", "long"])
        self.assertEqual(
            [list(row) for row in table.rows],
            [
                [datetime.datetime(2026, 11, 24, 6, 30, tzinfo=UTC), "nginx", 9007199254740991],
                # The client drops what is finer than a microsecond.
                [datetime.datetime(2026, 11, 24, 7, 30, 0, 123456, tzinfo=UTC), "curl", 5000],
            ],
        )
        self.assertEqual(table.rows[1]["ProcessName"], "curl")
        self.assertEqual(table.rows[1].index, 1)
        self.assertIsNone(result.statistics)
        self.assertIsNone(result.visualization)

    def test_each_type_is_decoded(self):
        cases = [
            ("bool", "true", True),
            ("int", "int(-7)", -7),
            ("long", "9007199254740993", 9007199254740993),
            ("real", "0.1", 0.1),
            ("decimal", "decimal(0.10)", "0.10"),
            ("string", "'a \"b\" \\\\ \u00fc'", 'a "b" \\ \u00fc'),
            ("datetime", "datetime(2026-01-31T12:00:00.5Z)", datetime.datetime(2026, 1, 31, 12, 0, 0, 500000, UTC)),
            ("timespan", "-(1d + 2h + 3m + 4.5s)", "-1.02:03:04.5000000"),
            ("guid", "guid(74be27de-1e4e-49d9-b579-fe0b331d3642)", "74be27de-1e4e-49d9-b579-fe0b331d3642"),
            ("dynamic", "dynamic({'a':[1,'b',null]})", '{"a":[1,"b",null]}'),
        ]
        for kind, literal, expected in cases:
            with self.subTest(kind):
                [table] = self.ask(f"print Value = {literal}").tables
                self.assertEqual(table.columns_types, [kind])
                [row] = table.rows
                self.assertEqual(row["Value"], expected)
                self.assertIs(type(row["Value"]), type(expected))

    def test_null_of_each_type(self):
        # The client makes text of timespans and GUIDs, of missing ones too.
        kinds = ["bool", "int", "long", "real", "decimal", "datetime", "timespan", "guid", "dynamic"]
        nulls = ", ".join(f"{kind}(null)" for kind in kinds)
        self.assertEqual(self.rows(f"print {nulls}"), [[None] * 6 + ["None", "None", None]])

    def test_reals_that_are_no_numbers(self):
        self.assertEqual(
            self.rows("print real(nan), real(+inf), real(-inf)"), [["NaN", "Infinity", "-Infinity"]]
        )

    def test_no_rows_keep_their_columns(self):
        [table] = self.ask("VMConnection | where Computer == 'nobody' | project Computer, BytesSent").tables
        self.assertEqual((table.columns, table.columns_types, table.rows), (["Computer", "BytesSent"], ["string", "long"], []))

    def test_dynamic_of_a_table_is_text(self):
        query = "InsightsMetrics | summarize Val = max(Val) by Tags = tostring(Tags) | extend Tags = parse_json(Tags)"
        self.assertEqual(self.rows(query), [['{"vm.azm.ms/totalCpus":4}', 87.25]])

    def test_each_form_of_timespan(self):
        start = NOW - HOUR
        for timespan, sent, expected in [
            (None, None, ["nginx", "curl", "postgres"]),
            (HOUR, "PT3600.0S", ["curl", "postgres"]),
            (datetime.timedelta(minutes=20), "PT1200.0S", ["postgres"]),
            ((start, NOW), "2026-11-24T07:00:00.000Z/2026-11-24T08:00:00.000Z", ["curl", "postgres"]),
            ((start, datetime.timedelta(minutes=40)), "2026-11-24T07:00:00.000Z/PT2400.0S", ["curl"]),
        ]:
            with self.subTest(sent):
                found = self.rows("VMConnection | order by TimeGenerated asc | project ProcessName", timespan)
                self.assertEqual([name for [name] in found], expected)
                self.assertEqual(self.notes.bodies[-1]["timespan"], sent)

    def test_a_timespan_narrows_the_querys_own_filter(self):
        query = "VMConnection | where TimeGenerated < datetime(2026-11-24T07:40:00Z) | project ProcessName"
        self.assertEqual(self.rows(query, HOUR), [["curl"]])

    def test_statistics(self):
        result = self.ask("VMConnection | count", include_statistics=True, server_timeout=30)
        self.assertEqual(self.notes.prefers, ["wait=30,include-statistics=true"])
        self.assertEqual([list(row) for row in result.tables[0].rows], [[3]])
        query = result.statistics["query"]
        self.assertEqual(
            sorted(query),
            [
                "crossClusterResourceUsage",
                "datasetStatistics",
                "executionTime",
                "inputDatasetStatistics",
                "resourceUsage",
            ],
        )
        self.assertIs(type(query["executionTime"]), float)
        self.assertGreater(query["executionTime"], 0)
        self.assertEqual([table["tableRowCount"] for table in query["datasetStatistics"]], [1])
        self.assertIsNone(result.visualization)

    def test_visualization(self):
        result = self.ask("InsightsMetrics | project TimeGenerated, Val | render timechart", include_visualization=True)
        self.assertEqual(self.notes.prefers, ["include-render=true"])
        self.assertEqual((result.visualization["visualization"], result.visualization["yMin"]), ("timechart", "NaN"))
        self.assertIsNone(result.visualization["title"])
        self.assertIsNone(result.statistics)

    def test_no_visualization_without_a_render(self):
        self.assertEqual(self.ask("print 1", include_visualization=True).visualization, {})

    def test_additional_workspaces(self):
        own = access["workspace_id"]
        self.assertEqual(self.rows("VMConnection | count", additional_workspaces=[own]), [[3]])
        self.assertEqual(self.notes.bodies[0]["workspaces"], [own])

    def test_an_additional_workspace_by_name(self):
        self.assertEqual(self.rows("VMConnection | count", additional_workspaces=["simulated-workspace"]), [[3]])
        error = self.refused("VMConnection | count", additional_workspaces=["nowhere"])
        self.assertEqual((error.status_code, error.model.code), (400, "FailedToResolveResource"))
        self.assertEqual(error.model.message, "Resource identity could not be resolved")

    def test_an_additional_workspace_of_somebody_else(self):
        error = self.refused("VMConnection | count", additional_workspaces=[STRANGER])
        self.assertEqual((error.status_code, error.model.code), (403, "InsufficientAccessError"))

    def test_a_resource(self):
        # web-1 is a resource in Azure; what db-1 sent bears no resource's id.
        query = "VMConnection | order by TimeGenerated asc | project ProcessName"
        for resource, expected in [
            (WEB_1, ["nginx", "curl"]),
            ("/subscriptions" + WEB_1.removeprefix("/subscriptions").upper(), ["nginx", "curl"]),
            (WEB_1.split("/providers/")[0], ["nginx", "curl"]),
            (WORKSPACE, ["nginx", "curl", "postgres"]),
        ]:
            with self.subTest(resource):
                result = self.client.query_resource(resource, query, timespan=None)
                self.assertEqual(result.status, LogsQueryStatus.SUCCESS)
                self.assertEqual([list(row) for row in result.tables[0].rows], [[name] for name in expected])

    def test_a_resource_with_a_timespan_and_statistics(self):
        result = self.client.query_resource(WEB_1, "VMConnection | count", timespan=HOUR, include_statistics=True)
        self.assertEqual([list(row) for row in result.tables[0].rows], [[1]])
        self.assertEqual(self.notes.bodies[0]["timespan"], "PT3600.0S")
        self.assertGreater(result.statistics["query"]["executionTime"], 0)

    def test_a_resource_that_is_not_there(self):
        with self.assertRaises(HttpResponseError) as caught:
            self.client.query_resource(WEB_1 + "0", "print 1", timespan=None)
        error = caught.exception
        self.assertEqual(error.status_code, 404)
        self.assertIn("(ResourceNotFoundError) The requested resource does not exist", str(error))

    def test_a_batch(self):
        own = access["workspace_id"]
        results = self.client.query_batch([
            LogsBatchQuery(own, "VMConnection | count", timespan=HOUR, include_statistics=True),
            LogsBatchQuery(own, "VMConnection | project Nothing", timespan=None),
            LogsBatchQuery(own, "set truncationmaxrecords=1; range x from 1 to 2 step 1", timespan=None),
            LogsBatchQuery(STRANGER, "print 1", timespan=None),
        ])
        good, wrong, partial, stranger = results
        self.assertEqual(
            [result.status for result in results],
            [LogsQueryStatus.SUCCESS, LogsQueryStatus.FAILURE, LogsQueryStatus.PARTIAL, LogsQueryStatus.FAILURE],
        )
        self.assertEqual([list(row) for row in good.tables[0].rows], [[2]])
        self.assertGreater(good.statistics["query"]["executionTime"], 0)
        self.assertEqual(wrong.code, "BadArgumentError")
        self.assertEqual([list(row) for row in partial.partial_data[0].rows], [[1]])
        self.assertEqual(stranger.code, "InsufficientAccessError")
        self.assertEqual(self.notes.statuses, [200])

    def test_a_syntax_error(self):
        error = self.refused("VMConnection\n| where Computer = = 'web-1'")
        self.assertEqual((error.status_code, error.reason), (400, "Bad Request"))
        self.assertEqual(error.model.code, "BadArgumentError")
        # The client looks for the innermost message; place and token are there for who reads on.
        self.assertEqual(error.model.message, "Query could not be parsed at '=' on line [2,17]")
        inner = error.error.innererror
        self.assertEqual(inner["code"], "SyntaxError")
        self.assertEqual(
            inner["innererror"],
            {
                "code": "SYN0002",
                "message": "Query could not be parsed at '=' on line [2,17]",
                "line": 2,
                "pos": 17,
                "token": "=",
            },
        )
        self.assertEqual(self.notes.statuses, [400])

    def test_a_semantic_error(self):
        error = self.refused("VMConnection | project Nothing")
        message = "'project' operator: Failed to resolve scalar expression named 'Nothing'"
        self.assertEqual((error.status_code, error.model.code), (400, "BadArgumentError"))
        self.assertEqual(error.model.message, message)
        self.assertEqual(
            error.error.innererror,
            {
                "code": "SemanticError",
                "message": "A semantic error occurred.",
                "innererror": {"code": "SEM0100", "message": message},
            },
        )

    def test_another_workspace_is_refused(self):
        with self.assertRaises(HttpResponseError) as caught:
            self.client.query_workspace(STRANGER, "print 1", timespan=None)
        error = caught.exception
        self.assertEqual(error.status_code, 403)
        self.assertEqual(error.model.code, "InsufficientAccessError")
        self.assertEqual(
            error.model.message,
            "The provided credentials have insufficient access to perform the requested operation",
        )

    def test_a_wrong_secret(self):
        client = self.connect("wrong")
        # azure-identity tells the log too.
        with self.assertLogs("azure.identity", "WARNING"), self.assertRaises(HttpResponseError) as caught:
            client.query_workspace(access["workspace_id"], "print 1", timespan=None)
        self.assertIs(type(caught.exception.__context__), ClientAuthenticationError)
        first, trace, correlation, moment = caught.exception.message.splitlines()
        self.assertEqual(
            first,
            "Authentication failed: AADSTS7000215: Invalid client secret provided. Ensure the secret being sent in the "
            "request is the client secret value, not the client secret ID, for a secret added to app "
            f"'{access['client_id']}'.",
        )
        self.assertRegex(trace, r"^Trace ID: [0-9a-f-]{36}$")
        self.assertRegex(correlation, r"^Correlation ID: [0-9a-f-]{36}$")
        self.assertRegex(moment, r"^Timestamp: \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ$")
        self.assertEqual(self.notes.statuses, [], "no query without a token")

    def test_a_partial_result(self):
        result = self.ask("VMConnection | project ProcessName // in part")
        self.assertEqual(result.status, LogsQueryStatus.PARTIAL)
        self.assertEqual([list(row) for row in result.partial_data[0].rows], [["nginx"], ["curl"], ["postgres"]])
        error = result.partial_error
        self.assertEqual((error.code, error.message), ("PartialError", "There were some errors when processing your query."))
        [detail] = error.details
        self.assertEqual(detail["code"], "EngineError")
        self.assertEqual(
            detail["innererror"],
            {
                "code": "-2133196797",
                "message": "Query result set has exceeded the internal record count limit 500000 "
                "(E_QUERY_RESULT_SET_TOO_LARGE; see https://aka.ms/kustoquerylimits)",
                "severity": 2,
                "severityName": "Error",
            },
        )
        self.assertEqual(self.notes.statuses, [200])

    def test_a_result_cut_by_the_query_itself(self):
        result = self.ask("set truncationmaxrecords=2; VMConnection | order by TimeGenerated asc | project ProcessName")
        self.assertEqual(result.status, LogsQueryStatus.PARTIAL)
        self.assertEqual([list(row) for row in result.partial_data[0].rows], [["nginx"], ["curl"]])
        self.assertEqual(result.partial_error.code, "PartialError")
        [detail] = result.partial_error.details
        self.assertEqual(
            detail["innererror"]["message"],
            "Query result set has exceeded the internal record count limit 2 "
            "(E_QUERY_RESULT_SET_TOO_LARGE; see https://aka.ms/kustoquerylimits)",
        )

    def test_a_throttled_query_succeeds_when_asked_again(self):
        self.assertEqual(self.rows("print 1 // throttled once"), [[1]])
        self.assertEqual(self.notes.statuses, [429, 200])

    def test_a_query_that_stays_throttled(self):
        error = self.refused("print 1 // throttled always", retry_total=1)
        self.assertEqual(self.notes.statuses, [429, 429])
        self.assertEqual((error.status_code, error.model.code), (429, "ThrottledError"))
        self.assertEqual(error.model.message, "Your request has been throttled")

    def test_a_failing_server(self):
        error = self.refused("print 1 // fails", retry_total=0)
        self.assertEqual(self.notes.statuses, [500])
        self.assertEqual((error.status_code, error.model.code), (500, "InternalServerError"))
        self.assertEqual(error.model.message, "Internal Server Error")


if __name__ == "__main__":
    unittest.main()
