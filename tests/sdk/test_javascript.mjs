// Microsoft's JavaScript client, @azure/monitor-query-logs with @azure/identity, against the simulated workspace.
//
// Nothing in the client is replaced: it signs in, asks and decodes as it does with Azure. A policy in its pipeline
// notes what was sent and answered. `check.sh` says how it is run. test_python.py asks the same.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";

const require = createRequire(new URL("../../.tools/sdk/node/package.json", import.meta.url));
const { ClientSecretCredential } = require("@azure/identity");
const { LogsQueryClient } = require("@azure/monitor-query-logs");

const access = JSON.parse(process.env.WORKSPACE);
const NOW = new Date(process.env.NOW);
const ALL = { startTime: new Date("2026-11-24T00:00:00Z"), endTime: NOW };
const STRANGER = "11111111-2222-3333-4444-555555555555";
const WEB_1 =
  "/subscriptions/22222222-2222-3333-4444-555555555555/resourceGroups/web/providers/Microsoft.Compute/virtualMachines/web-1";
const WORKSPACE =
  `/subscriptions/${access.subscription_id}/resourceGroups/simulated/providers/Microsoft.OperationalInsights` +
  "/workspaces/simulated-workspace";

/** A client, and notes of what goes over the wire: bodies and Prefer headers out, statuses in. */
function connect({ secret = access.client_secret, maxRetries = 3 } = {}) {
  const credential = new ClientSecretCredential(access.tenant_id, access.client_id, secret, {
    authorityHost: access.authority,
    disableInstanceDiscovery: true,
  });
  const client = new LogsQueryClient(credential, {
    endpoint: `${access.endpoint}/v1`,
    credentials: { scopes: [`${access.audience}/.default`] },
    retryOptions: { maxRetries },
  });
  const notes = { bodies: [], prefers: [], statuses: [] };
  client.pipeline.addPolicy(
    {
      name: "notes",
      async sendRequest(request, next) {
        notes.bodies.push(JSON.parse(request.body));
        notes.prefers.push(request.headers.get("Prefer"));
        const response = await next(request);
        notes.statuses.push(response.status);
        return response;
      },
    },
    { afterPhase: "Retry" },
  );
  const ask = (query, options, timespan = ALL) => client.queryWorkspace(access.workspace_id, query, timespan, options);
  return { ask, client, notes };
}

async function rows(query, options, timespan) {
  const result = await connect().ask(query, options, timespan);
  assert.equal(result.status, "Success");
  assert.deepEqual(result.tables.map((table) => table.name), ["PrimaryResult"]);
  return result.tables[0].rows;
}

async function refused(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  assert.fail("it was not refused");
}

test("rows of a table", async () => {
  const result = await connect().ask(
    "VMConnection | where Computer == 'web-1' | project TimeGenerated, ProcessName, BytesSent",
  );
  assert.equal(result.status, "Success");
  assert.deepEqual(result.tables, [
    {
      name: "PrimaryResult",
      columnDescriptors: [
        { name: "TimeGenerated", type: "datetime" },
        { name: "ProcessName", type: "string" },
        { name: "BytesSent", type: "long" },
      ],
      rows: [
        [new Date("2026-11-24T06:30:00Z"), "nginx", 9007199254740991],
        // The client drops what is finer than a millisecond.
        [new Date("2026-11-24T07:30:00.123Z"), "curl", 5000],
      ],
    },
  ]);
  assert.equal(result.statistics, undefined);
  assert.equal(result.visualization, undefined);
});

for (const [type, literal, expected] of [
  ["bool", "true", true],
  ["int", "int(-7)", -7],
  ["long", "9007199254740991", 9007199254740991],
  ["real", "0.1", 0.1],
  ["decimal", "decimal(0.10)", "0.10"],
  ["string", "'a \"b\" \\\\ \u00fc'", 'a "b" \\ \u00fc'],
  ["datetime", "datetime(2026-01-31T12:00:00.5Z)", new Date(Date.UTC(2026, 0, 31, 12, 0, 0, 500))],
  ["timespan", "-(1d + 2h + 3m + 4.5s)", "-1.02:03:04.5000000"],
  ["guid", "guid(74be27de-1e4e-49d9-b579-fe0b331d3642)", "74be27de-1e4e-49d9-b579-fe0b331d3642"],
  ["dynamic", "dynamic({'a':[1,'b',null]})", { a: [1, "b", null] }],
]) {
  test(`${type} is decoded, and its null`, async () => {
    const { tables } = await connect().ask(`print Value = ${literal}`);
    assert.deepEqual(tables[0].columnDescriptors, [{ name: "Value", type }]);
    assert.deepEqual(tables[0].rows, [[expected]]);
    if (type !== "string") {
      assert.deepEqual(await rows(`print ${type}(null)`), [[null]]);
    }
  });
}

test("reals that are no numbers", async () => {
  assert.deepEqual(await rows("print real(nan), real(+inf), real(-inf)"), [["NaN", "Infinity", "-Infinity"]]);
});

test("no rows keep their columns", async () => {
  const { tables } = await connect().ask("VMConnection | where Computer == 'nobody' | project Computer, BytesSent");
  assert.deepEqual(tables[0].columnDescriptors, [
    { name: "Computer", type: "string" },
    { name: "BytesSent", type: "long" },
  ]);
  assert.deepEqual(tables[0].rows, []);
});

test("a dynamic value of a table is parsed", async () => {
  const query = "InsightsMetrics | summarize Val = max(Val) by Tags = tostring(Tags) | extend Tags = parse_json(Tags)";
  assert.deepEqual(await rows(query), [[{ "vm.azm.ms/totalCpus": 4 }, 87.25]]);
});

const start = new Date("2026-11-24T07:00:00Z");
for (const [timespan, sent, expected] of [
  [{ duration: "PT1H" }, "PT1H", ["curl", "postgres"]],
  [{ duration: "P1D" }, "P1D", ["nginx", "curl", "postgres"]],
  [{ startTime: start, endTime: NOW }, "2026-11-24T07:00:00.000Z/2026-11-24T08:00:00.000Z", ["curl", "postgres"]],
  [{ startTime: start, duration: "PT40M" }, "2026-11-24T07:00:00.000Z/PT40M", ["curl"]],
  [{ duration: "PT40M", endTime: start }, "PT40M/2026-11-24T07:00:00.000Z", ["nginx"]],
]) {
  test(`timespan ${sent}`, async () => {
    const { ask, notes } = connect();
    const { tables } = await ask("VMConnection | order by TimeGenerated asc | project ProcessName", {}, timespan);
    assert.deepEqual(tables[0].rows.flat(), expected);
    assert.deepEqual(notes.bodies.map((body) => body.timespan), [sent]);
  });
}

test("a timespan narrows the query's own filter", async () => {
  const query = "VMConnection | where TimeGenerated < datetime(2026-11-24T07:40:00Z) | project ProcessName";
  assert.deepEqual(await rows(query, {}, { duration: "PT1H" }), [["curl"]]);
});

test("statistics", async () => {
  const { ask, notes } = connect();
  const result = await ask("VMConnection | count", { includeQueryStatistics: true, serverTimeoutInSeconds: 30 });
  assert.deepEqual(notes.prefers, ["wait=30,include-statistics=true"]);
  const { query } = result.statistics;
  assert.deepEqual(Object.keys(query).sort(), [
    "crossClusterResourceUsage", "datasetStatistics", "executionTime", "inputDatasetStatistics", "resourceUsage",
  ]);
  assert.equal(typeof query.executionTime, "number");
  assert.ok(query.executionTime > 0);
  assert.deepEqual(query.datasetStatistics.map((table) => table.tableRowCount), [1]);
  assert.equal(result.visualization, undefined);
});

test("visualization", async () => {
  const { ask, notes } = connect();
  const query = "InsightsMetrics | project TimeGenerated, Val | render timechart";
  const result = await ask(query, { includeVisualization: true });
  assert.deepEqual(notes.prefers, ["include-render=true"]);
  const { visualization, title, yMin } = result.visualization;
  assert.deepEqual([visualization, title, yMin], ["timechart", null, "NaN"]);
  assert.equal(result.statistics, undefined);
});

test("no visualization without a render", async () => {
  assert.deepEqual((await connect().ask("print 1", { includeVisualization: true })).visualization, {});
});

test("additional workspaces", async () => {
  const { ask, notes } = connect();
  const own = [access.workspace_id];
  const { tables } = await ask("VMConnection | count", { additionalWorkspaces: own });
  assert.deepEqual(tables[0].rows, [[3]]);
  assert.deepEqual(notes.bodies[0].workspaces, own);
});

test("an additional workspace by name", async () => {
  assert.deepEqual(await rows("VMConnection | count", { additionalWorkspaces: ["simulated-workspace"] }), [[3]]);
  const error = await refused(connect().ask("VMConnection | count", { additionalWorkspaces: ["nowhere"] }));
  assert.deepEqual(
    [error.statusCode, error.code, error.message],
    [400, "FailedToResolveResource", "Resource identity could not be resolved"],
  );
});

const NO_ACCESS = "The provided credentials have insufficient access to perform the requested operation";

test("an additional workspace of somebody else", async () => {
  const error = await refused(connect().ask("VMConnection | count", { additionalWorkspaces: [STRANGER] }));
  assert.deepEqual([error.statusCode, error.code, error.message], [403, "InsufficientAccessError", NO_ACCESS]);
});

test("another workspace is refused", async () => {
  const error = await refused(connect().client.queryWorkspace(STRANGER, "print 1", ALL));
  assert.equal(error.name, "RestError");
  assert.deepEqual([error.statusCode, error.code, error.message], [403, "InsufficientAccessError", NO_ACCESS]);
});

// web-1 is a resource in Azure; what db-1 sent bears no resource's id.
for (const [name, resource, expected] of [
  ["a resource", WEB_1, ["nginx", "curl"]],
  ["a resource in capitals", `/subscriptions${WEB_1.slice("/subscriptions".length).toUpperCase()}`, ["nginx", "curl"]],
  ["a resource group", WEB_1.split("/providers/")[0], ["nginx", "curl"]],
  ["the workspace's own resource", WORKSPACE, ["nginx", "curl", "postgres"]],
]) {
  test(name, async () => {
    const query = "VMConnection | order by TimeGenerated asc | project ProcessName";
    const result = await connect().client.queryResource(resource, query, ALL);
    assert.equal(result.status, "Success");
    assert.deepEqual(result.tables[0].rows.flat(), expected);
  });
}

test("a resource that is not there", async () => {
  const error = await refused(connect().client.queryResource(`${WEB_1}0`, "print 1", ALL));
  assert.deepEqual([error.statusCode, error.code], [404, "ResourceNotFoundError"]);
});

test("a batch", async () => {
  const { client, notes } = connect();
  const workspaceId = access.workspace_id;
  const timespan = ALL;
  const results = await client.queryBatch([
    { workspaceId, query: "VMConnection | count", timespan: { duration: "PT1H" }, includeQueryStatistics: true },
    { workspaceId, query: "VMConnection | project Nothing", timespan },
    { workspaceId, query: "set truncationmaxrecords=1; range x from 1 to 2 step 1", timespan },
    { workspaceId: STRANGER, query: "print 1", timespan },
  ]);
  const [good, wrong, partial, stranger] = results;
  // The client takes every error for a partial result, one without tables.
  const failure = "PartialFailure";
  assert.deepEqual(results.map((result) => result.status), ["Success", failure, failure, failure]);
  assert.deepEqual(good.tables[0].rows, [[2]]);
  assert.ok(good.statistics.query.executionTime > 0);
  assert.deepEqual([wrong.partialError.code, wrong.partialTables], ["BadArgumentError", []]);
  assert.deepEqual(partial.partialTables[0].rows, [[1]]);
  assert.deepEqual([stranger.partialError.code, stranger.partialTables], ["InsufficientAccessError", []]);
  assert.deepEqual(notes.statuses, [200]);
});

test("a syntax error", async () => {
  const { ask, notes } = connect();
  const error = await refused(ask("VMConnection\n| where Computer = = 'web-1'"));
  assert.equal(error.name, "RestError");
  assert.deepEqual(
    [error.statusCode, error.code, error.message],
    [400, "BadArgumentError", "The request had some invalid properties"],
  );
  const { innererror } = error.details.error;
  assert.deepEqual(
    [innererror.code, innererror.message],
    ["SyntaxError", "A recognition error occurred in the query."],
  );
  // The client keeps code and message at each depth, and leaves out place and token.
  const { code, message, line } = innererror.innererror;
  assert.deepEqual([code, message, line], ["SYN0002", "Query could not be parsed at '=' on line [2,17]", undefined]);
  assert.deepEqual(notes.statuses, [400]);
});

test("a semantic error", async () => {
  const error = await refused(connect().ask("VMConnection | project Nothing"));
  assert.deepEqual([error.statusCode, error.code], [400, "BadArgumentError"]);
  const { innererror } = error.details.error;
  assert.deepEqual([innererror.code, innererror.message], ["SemanticError", "A semantic error occurred."]);
  assert.deepEqual(
    [innererror.innererror.code, innererror.innererror.message],
    ["SEM0100", "'project' operator: Failed to resolve scalar expression named 'Nothing'"],
  );
});

test("a wrong secret", async () => {
  const { ask, notes } = connect({ secret: "wrong" });
  const error = await refused(ask("print 1"));
  assert.equal(error.name, "AuthenticationRequiredError");
  const [first] = error.message.split("\r\n");
  assert.equal(
    first.replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ/, "<moment>"),
    "invalid_client: Error(s): 7000215 - Timestamp: <moment> - Description: AADSTS7000215: Invalid client secret " +
      "provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, " +
      `for a secret added to app '${access.client_id}'.`,
  );
  assert.deepEqual(notes.statuses, [], "no query without a token");
});

test("a partial result", async () => {
  const { ask, notes } = connect();
  const result = await ask("VMConnection | project ProcessName // in part");
  assert.equal(result.status, "PartialFailure");
  assert.deepEqual(result.partialTables[0].rows, [["nginx"], ["curl"], ["postgres"]]);
  const { code, message, details } = result.partialError;
  assert.deepEqual([code, message], ["PartialError", "There were some errors when processing your query."]);
  assert.deepEqual(
    details.map((detail) => [detail.code, detail.message]),
    [["EngineError", "Something went wrong processing your query on the server."]],
  );
  assert.deepEqual(notes.statuses, [200]);
});

test("a result cut by the query itself", async () => {
  const query = "set truncationmaxrecords=2; VMConnection | order by TimeGenerated asc | project ProcessName";
  const result = await connect().ask(query);
  assert.equal(result.status, "PartialFailure");
  assert.deepEqual(result.partialTables[0].rows, [["nginx"], ["curl"]]);
  assert.equal(result.partialError.code, "PartialError");
});

test("a throttled query succeeds when asked again", async () => {
  const { ask, notes } = connect();
  const { tables } = await ask("print 1 // throttled once");
  assert.deepEqual(tables[0].rows, [[1]]);
  assert.deepEqual(notes.statuses, [429, 200]);
});

test("a query that stays throttled", async () => {
  const { ask, notes } = connect({ maxRetries: 1 });
  const error = await refused(ask("print 1 // throttled always"));
  assert.deepEqual(notes.statuses, [429, 429]);
  assert.deepEqual(
    [error.statusCode, error.code, error.message],
    [429, "ThrottledError", "Your request has been throttled"],
  );
});

test("a failing server", async () => {
  const { ask, notes } = connect({ maxRetries: 0 });
  const error = await refused(ask("print 1 // fails"));
  assert.deepEqual(notes.statuses, [500]);
  assert.deepEqual([error.statusCode, error.code, error.message], [500, "InternalServerError", "Internal Server Error"]);
});
