// What series there are: those that docs/metrics.md lists, those that the rules record, those that Prometheus adds.
import { readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

export const ROOT = path.join(import.meta.dirname, '../..');
const RULES = path.join(ROOT, 'deploy/prometheus/rules');
const { parse } = createRequire(path.join(ROOT, '.tools/node/package.json'))('yaml');

const TARGET = ['job', 'instance'];

// {name: Set of labels} of the families that the exporter publishes and Prometheus adds.
export function families() {
  const found = new Map();
  let data = true;
  for (const line of readFileSync(path.join(ROOT, 'docs/metrics.md'), 'utf8').split('\n')) {
    if (line.startsWith('## ')) data = line.startsWith('## Pack');
    const row = line.match(/^\| `(\w+)` \| \w+ \| ([^|]*) \|/);
    if (!row) continue;
    const labels = [...row[2].matchAll(/`(\w+)`/g)].map((label) => label[1]);
    found.set(row[1], new Set([...labels, ...(data ? ['workspace'] : []), ...TARGET]));
  }
  if (found.size < 30) throw new Error('docs/metrics.md is not laid out as families() reads it');
  for (const name of ['up', 'scrape_duration_seconds', 'scrape_samples_scraped']) found.set(name, new Set(TARGET));
  return found;
}

// [{file, name, alert, labels, expr}] of all rules; name is the recorded series' or the alert's.
export function rules() {
  return readdirSync(RULES).sort().flatMap((file) =>
    parse(readFileSync(path.join(RULES, file), 'utf8'), { merge: true }).groups.flatMap((group) =>
      group.rules.map((rule) => ({
        file: `deploy/prometheus/rules/${file}`, name: rule.record ?? rule.alert, alert: !!rule.alert,
        labels: rule.labels ?? {}, expr: rule.expr,
      }))));
}

// The value of a threshold, a recorded series `vector(NUMBER)` or `vector(A * B)`.
export function thresholds(all) {
  return new Map(all.filter((rule) => rule.name.startsWith('global:')).map((rule) => {
    const number = rule.expr.match(/^vector\(([\d.e]+(?: \* [\d.]+)*)\)$/);
    if (!number) throw new Error(`${rule.name} is not vector(NUMBER): ${rule.expr}`);
    return [rule.name, number[1].split(' * ').map(Number).reduce((a, b) => a * b)];
  }));
}

export function dashboards() {
  const folder = path.join(ROOT, 'dashboards');
  return readdirSync(folder).filter((file) => file.endsWith('.json')).sort().map((file) => ({
    file: `dashboards/${file}`, json: JSON.parse(readFileSync(path.join(folder, file), 'utf8')),
  }));
}
