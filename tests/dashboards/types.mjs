// Writes each dashboard as TypeScript into the folder given, for tsc to hold against Grafana's own types: the
// dashboard's, and for each panel those of its type's options and of its fields' `custom`.
// A JSON import would widen every string; a literal is held against the unions.
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ROOT, dashboards } from './catalogue.mjs';

const folder = process.argv[2];
mkdirSync(folder, { recursive: true });

const COMPOSABLE = path.join(ROOT, '.tools/node/node_modules/@grafana/schema/dist/esm/raw/composable');
// Panel types that have a type of their own for `custom`.
const CUSTOM = { timeseries: 'FieldConfig', table: 'FieldConfig' };

// In JSON an enum is its value. An annotation of Prometheus has its query and, beside Grafana's, keys of its own.
writeFileSync(path.join(folder, 'plain.ts'), `
import type { AnnotationQuery, Dashboard } from '@grafana/schema';
export type Plain<T> =
  T extends string ? \`\${T}\` :
  T extends number | boolean | null | undefined ? T :
  T extends (infer U)[] ? Plain<U>[] :
  T extends object ? { [K in keyof T]: Plain<T[K]> } : T;
interface Note extends Omit<Plain<AnnotationQuery>, 'target'> {
  target: { refId: string; expr: string; interval: string };
  titleFormat: string; textFormat: string; tagKeys: string; useValueForTime: boolean;
}
export type Board = Omit<Plain<Dashboard>, 'annotations'> & { annotations: { list: Note[] } };
`);
for (const { json } of dashboards()) {
  const types = [...new Set(json.panels.map((panel) => panel.type))].filter((type) => type !== 'row');
  const imports = types.map((type) => {
    const file = readdirSync(path.join(COMPOSABLE, type, 'panelcfg/x')).find((name) => name.endsWith('_types.gen.d.ts') || name.endsWith('_types.gen.mjs'));
    return `import type * as ${type} from '@grafana/schema/dist/esm/raw/composable/${type}/panelcfg/x/${file.replace(/\.(d\.ts|mjs)$/, '')}';`;
  });
  const panels = json.panels.filter((panel) => panel.type !== 'row').flatMap((panel) => [
    `export const options${panel.id}: Plain<Partial<${panel.type}.Options>> = ${JSON.stringify(panel.options, null, 2)};`,
    ...(CUSTOM[panel.type] ? [`export const custom${panel.id}: Plain<Partial<${panel.type}.${CUSTOM[panel.type]}>> = ${JSON.stringify(panel.fieldConfig.defaults.custom, null, 2)};`] : []),
  ]);
  writeFileSync(path.join(folder, `${json.uid}.ts`), [
    `import type { Board, Plain } from './plain';`, ...imports,
    `export const dashboard: Board = ${JSON.stringify(json, null, 2)};`, ...panels, '',
  ].join('\n'));
}
