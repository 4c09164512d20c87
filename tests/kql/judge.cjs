// Judges the corpus by Microsoft's own analyser. Reads {"schema": {table: [[column, type]]},
// "queries": {name: text}} on stdin; writes {name: {syntax, any, columns}} on stdout: the first
// syntax error and the first error of any kind as [code, start, message] or null, and the result's columns as [name, type].
const path = require('path');
const root = path.join(__dirname, '../../.tools/node/node_modules/@kusto/language-service-next');
require(path.join(root, 'bridge.min.js'));
require(path.join(root, 'Kusto.Language.Bridge.min.js'));
const { KustoCode, GlobalState, Symbols } = global.Kusto.Language;

const list = (items) => (Array.isArray(items) ? items : Array.from({ length: items.Count }, (_, at) => items.getItem(at)));
const first = (found) => list(found)
  .filter((one) => one.Severity === 'Error')
  .sort((left, right) => left.Start - right.Start)
  .map((one) => [one.Code, one.Start, one.Message])[0] || null;

const input = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const tables = Object.entries(input.schema).map(([table, columns]) => {
  const text = columns.map(([column, type]) => `['${column}']: ${type}`).join(', ');
  return Symbols.TableSymbol.From(`(${text})`).WithName(table);
});
const globals = GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.ctor('workspace', tables));

const verdicts = {};
for (const [name, text] of Object.entries(input.queries)) {
  const code = KustoCode.ParseAndAnalyze(text, globals);
  const result = code.ResultType;
  verdicts[name] = {
    syntax: first(code.GetSyntaxDiagnostics()),
    any: first(code.GetDiagnostics()),
    columns: result && result.Columns ? list(result.Columns).map((c) => [c.Name, c.Type.Name]) : [],
  };
}
console.log(JSON.stringify(verdicts));
