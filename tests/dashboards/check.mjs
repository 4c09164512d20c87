// What can be said of the dashboards and the rules without running anything: every series and label exists, links
// lead somewhere, thresholds are the rules'. Says what is wrong, a line each, and exits 1.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { ROOT, dashboards, families, rules, thresholds } from './catalogue.mjs';
import { Judge } from './promql.mjs';
import { COLOURS, COUNTED } from './thresholds.mjs';

const problems = [];
const all = rules();
const alerts = all.filter((rule) => rule.alert);
const limits = thresholds(all);
const records = new Map();
for (const rule of all.filter((rule) => !rule.alert)) records.set(rule.name, [...(records.get(rule.name) ?? []), rule.expr]);
const known = families();
const judge = new Judge(known, records);

// An alert's own series have its expression's labels and those that it adds.
for (const name of ['ALERTS', 'ALERTS_FOR_STATE']) {
  known.set(name, new Set(['alertname', 'alertstate', 'severity', 'job', ...alerts.flatMap((rule) => [...(judge.judge(rule.expr).labels ?? []), ...Object.keys(rule.labels)])]));
}
for (const rule of all) for (const problem of judge.judge(rule.expr).problems) problems.push(`${rule.file}: ${rule.name}: ${problem}`);

const BUILT_IN = { __rate_interval: '5m', __range: '1h', __interval: '1m', __url_time_range: '' };
const NO_UNIT = ['row', 'text'];
const boards = dashboards();
const variablesOf = new Map(boards.map(({ json }) => [json.uid, new Set(json.templating.list.map((variable) => variable.name))]));
if (variablesOf.size !== boards.length) problems.push('dashboards: two have one uid');
const used = new Set();

for (const { file, json } of boards) {
  const say = (where, what) => problems.push(`${file}: ${where}: ${what}`);
  const variables = variablesOf.get(json.uid);
  if (json.id !== null) say('id', 'must be null');
  if (path.basename(file) !== `${json.uid}.json`) say('uid', 'the file is named after it');
  if (!json.tags.includes('vminsights')) say('tags', 'lacks vminsights, which the links between the dashboards go by');
  if (!json.links.some((link) => link.type === 'dashboards' && link.includeVars && link.keepTime && link.tags.includes('vminsights'))) say('links', 'lead to no other dashboard');

  // Grafana's variables become something that the parser takes; unknown ones are told of.
  const plain = (where, text) => text.replace(/\$(?:(\w+)|\{(\w+)(?::\w+)?\})/g, (whole, short, long) => {
    const name = short ?? long;
    if (name in BUILT_IN) return BUILT_IN[name];
    if (!variables.has(name)) say(where, `there is no variable ${whole}`);
    return name;
  });
  const expression = (where, text) => {
    const { labels, problems: found } = judge.judge(plain(where, text));
    for (const problem of found) say(where, problem);
    return labels;
  };
  const sources = (where, node) => {
    if (Array.isArray(node)) return node.forEach((one) => sources(where, one));
    if (!node || typeof node !== 'object') return;
    if ('datasource' in node && node.datasource?.uid !== '${datasource}') say(where, `data source ${JSON.stringify(node.datasource)}, not the variable`);
    Object.values(node).forEach((one) => sources(where, one));
  };
  sources('data sources', json);

  for (const variable of json.templating.list.filter((one) => one.type === 'query')) {
    const asked = variable.query.query.match(/^label_values\((.*), (\w+)\)$/);
    if (!asked) { say(variable.name, 'is no label_values(series, label)'); continue; }
    const labels = expression(`variable ${variable.name}`, asked[1]);
    if (labels && !labels.has(asked[2])) say(`variable ${variable.name}`, `there is no label ${asked[2]}`);
  }
  for (const note of json.annotations.list) {
    const labels = expression(`annotation ${note.name}`, note.target.expr);
    for (const [, label] of note.textFormat.matchAll(/\{\{(\w+)\}\}/g)) if (labels && !labels.has(label)) say(`annotation ${note.name}`, `there is no label ${label}`);
  }

  const ids = new Set();
  for (const panel of json.panels) {
    const where = panel.title;
    if (ids.has(panel.id)) say(where, `id ${panel.id} is another panel's`);
    ids.add(panel.id);
    if (NO_UNIT.includes(panel.type)) { plain(where, panel.title); continue; }
    plain(where, panel.title);
    const { defaults, overrides } = panel.fieldConfig;
    if ((panel.description ?? '').length < 60) say(where, 'needs a description: what it means and what to do');
    if (!defaults.unit) say(where, 'needs a unit');
    if (!defaults.noValue) say(where, 'needs a text for when there is nothing');
    if (panel.targets.some(({ expr }) => /vminsights_threat_(connections|severity)/.test(expr)) && !/in sight|feed|not known/i.test(panel.description + defaults.noValue) && panel.type !== 'table') say(where, 'must say what tells no threats from not known');

    const labels = new Set();
    for (const target of panel.targets) {
      const found = expression(`${where} ${target.refId}`, target.expr);
      found?.forEach((label) => labels.add(label));
      for (const [, label] of (target.legendFormat ?? '').matchAll(/\{\{(\w+)\}\}/g)) if (found && !found.has(label)) say(where, `its legend's ${label} is no label`);
      // Series that nothing bounds: neither by rank, nor by few values, nor as a line from a threshold.
      const bounded = /topk|bottomk/.test(target.expr) || (found && [...found].every((label) => ['direction', 'issue', 'code'].includes(label)));
      if (!bounded && panel.type !== 'table') say(where, `${target.refId} needs a topk or bottomk`);
    }
    if (panel.type === 'table' && !/topk|bottomk/.test(panel.targets.map((target) => target.expr).join())) say(where, 'needs a topk or bottomk');

    const links = [...(defaults.links ?? []), ...overrides.flatMap(({ properties }) => properties.filter((one) => one.id === 'links').flatMap((one) => one.value))];
    for (const { url } of links) {
      const uid = url.match(/^\/d\/([\w-]+)\?/)?.[1];
      if (!variablesOf.has(uid)) { say(where, `a link leads nowhere: ${url}`); continue; }
      for (const [, name] of url.matchAll(/[?&]var-(\w+)=/g)) if (!variablesOf.get(uid).has(name)) say(where, `${uid} has no variable ${name}`);
      for (const [, name] of url.matchAll(/\$\{__(?:field\.labels|data\.fields)\.(\w+)\}/g)) if (!labels.has(name)) say(where, `a link needs the label ${name}`);
      for (const [, name] of url.matchAll(/\$\{(\w+):queryparam\}/g)) if (!variables.has(name) || !variablesOf.get(uid).has(name)) say(where, `a link carries ${name}, which one side lacks`);
      if (!url.includes('${datasource:queryparam}') || !url.includes('${__url_time_range}')) say(where, 'a link must carry the data source and the time range');
    }

    // Where a colour changes: at 1 where things are counted, else at the threshold of a rule.
    const scales = [['', defaults.thresholds], ...overrides.flatMap(({ matcher, properties }) => properties.filter((one) => one.id === 'thresholds').map((one) => [matcher.options, one.value]))];
    for (const [field, scale] of scales) {
      const key = [json.uid, panel.title, ...(field ? [field] : [])].join(' / ');
      const steps = (scale?.steps ?? []).map((step) => step.value).filter((value) => value !== null);
      if (!steps.length) continue;
      used.add(key);
      const meant = COUNTED.includes(key) ? [1] : (COLOURS[key] ?? []).map((name) => limits.get(name));
      if (JSON.stringify(steps) !== JSON.stringify(meant)) say(where, `colours change at ${steps}, the rules' thresholds are ${meant}`);
    }
  }
}
for (const key of [...COUNTED, ...Object.keys(COLOURS)]) if (!used.has(key)) problems.push(`thresholds.mjs: there is no panel ${key} with thresholds`);

// The Fleet's list of alerts takes ours, all of them.
const listed = boards.flatMap(({ json }) => json.panels).flatMap((panel) => panel.targets ?? []).flatMap((target) => [...target.expr.matchAll(/alertname=~"([^"]+)"/g)].map((found) => found[1]));
if (!listed.length) problems.push('dashboards: none lists alerts by name');
for (const pattern of new Set(listed)) for (const { name } of alerts) if (!new RegExp(`^(?:${pattern})$`).test(name)) problems.push(`dashboards: alertname=~"${pattern}" misses ${name}`);

const readme = readFileSync(path.join(ROOT, 'dashboards/README.md'), 'utf8');
for (const { json } of boards) if (!readme.includes(json.uid)) problems.push(`dashboards/README.md: ${json.uid} is not mentioned`);

problems.forEach((problem) => console.error(problem));
const count = boards.reduce((sum, { json }) => sum + json.panels.length, 0);
console.log(`${boards.length} dashboards, ${count} panels, ${all.length} rules, ${judge.named.size} series named, ${problems.length} problems`);
process.exitCode = problems.length || !boards.length ? 1 : 0;
