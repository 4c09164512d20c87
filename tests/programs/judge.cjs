// Judges KQL by Microsoft's own analyser. Reads {"schema": {table: {column: type}}, "queries": {name: text}}
// on stdin; writes {name: {errors: [text], columns: [[name, type]]}} on stdout.
const path = require('path');
const root = path.join(__dirname, '../../.tools/node/node_modules/@kusto/language-service-next');
require(path.join(root, 'bridge.min.js'));
require(path.join(root, 'Kusto.Language.Bridge.min.js'));
const { KustoCode, GlobalState, Symbols } = global.Kusto.Language;

const list = (items) => Array.from({ length: items.Count }, (_, at) => items.getItem(at));

const input = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const tables = Object.entries(input.schema).map(([table, columns]) => {
  const text = Object.entries(columns).map(([column, type]) => `['${column}']: ${type}`).join(', ');
  return Symbols.TableSymbol.From(`(${text})`).WithName(table);
});
const globals = GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.ctor('workspace', tables));

const verdicts = {};
for (const [name, text] of Object.entries(input.queries)) {
  const code = KustoCode.ParseAndAnalyze(text, globals);
  const errors = list(code.GetDiagnostics())
    .filter((found) => found.Severity === 'Error')
    .map((found) => `${found.Code} at ${found.Start}: ${found.Message}`);
  const result = code.ResultType;
  const columns = result && result.Columns ? list(result.Columns).map((c) => [c.Name, c.Type.Name]) : [];
  verdicts[name] = { errors, columns };
}
console.log(JSON.stringify(verdicts));
