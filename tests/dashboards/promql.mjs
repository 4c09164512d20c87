// Which labels the result of a PromQL expression can have, and whether all that it names exists.
import { createRequire } from 'node:module';
import path from 'node:path';
import { ROOT } from './catalogue.mjs';

const { parser } = createRequire(path.join(ROOT, '.tools/node/package.json'))('@prometheus-io/lezer-promql');
const SETS = ['And', 'Or', 'Unless'];
const RANKS = ['Topk', 'Bottomk', 'LimitK', 'LimitRatio'];

const children = (node) => {
  const found = [];
  for (let child = node.firstChild; child; child = child.nextSibling) found.push(child);
  return found;
};

export class Judge {
  // families: {name: Set of labels}; records: {name: [expr]}.
  constructor(families, records) {
    this.families = families;
    this.records = records;
    this.inferred = new Map();
    this.named = new Set();
  }

  // {labels, problems}; labels is null where they cannot be told: a series within its own rule, absent().
  judge(text) {
    const tree = parser.parse(text);
    const problems = [];
    const broken = tree.cursor();
    do {
      if (broken.type.isError) return { labels: null, problems: [`no PromQL at ${broken.from}: ${text.slice(broken.from, broken.from + 30)}`] };
    } while (broken.next());
    return { labels: this.labels(tree.topNode.firstChild, text, problems), problems };
  }

  series(name, problems) {
    this.named.add(name);
    if (this.families.has(name)) return this.families.get(name);
    if (!this.records.has(name)) {
      problems.push(`there is no series ${name}`);
      return null;
    }
    if (!this.inferred.has(name)) {
      this.inferred.set(name, null); // While it is being inferred: it may feed itself.
      const sets = this.records.get(name).map((expr) => this.judge(expr).labels).filter((set) => set);
      this.inferred.set(name, sets.length ? new Set(sets.flatMap((set) => [...set])) : null);
    }
    return this.inferred.get(name);
  }

  labels(node, text, problems) {
    const say = (part) => text.slice(part.from, part.to);
    const go = (part) => this.labels(part, text, problems);
    const parts = children(node);
    const listed = (part) => (part ? part.getChildren('LabelName').map(say) : []);
    const within = (names, set, what) => {
      for (const name of names) if (set && !set.has(name)) problems.push(`${what} has no label ${name}: ${say(node).slice(0, 90)}`);
    };
    switch (node.name) {
      case 'VectorSelector': {
        const name = say(node.getChild('Identifier') ?? node);
        const set = this.series(name, problems);
        for (const matcher of node.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? []) within([say(matcher.getChild('LabelName'))], set, name);
        return set;
      }
      case 'AggregateExpr': {
        const operator = node.getChild('AggregateOp').firstChild.name;
        const inner = go(node.getChild('FunctionCallBody').lastChild);
        if (RANKS.includes(operator)) return inner;
        const modifier = node.getChild('AggregateModifier');
        const names = listed(modifier?.getChild('GroupingLabels'));
        const added = operator === 'CountValues' ? [JSON.parse(say(node.getChild('FunctionCallBody').firstChild))] : [];
        within(names, inner, 'what is aggregated');
        if (modifier?.getChild('Without')) return inner && new Set([...inner].filter((name) => !names.includes(name)));
        return new Set([...names, ...added]);
      }
      case 'BinaryExpr': {
        const [left, right] = [go(parts[0]), go(parts.at(-1))];
        const operator = parts.find((part) => SETS.includes(part.name))?.name;
        const clause = node.getChild('MatchingModifierClause');
        const [matching, group] = clause?.getChildren('GroupingLabels') ?? [];
        if (clause?.getChild('On')) for (const side of [left, right]) within(listed(matching), side, 'a side of on ()');
        // What a series feeds itself with adds no label.
        if (operator === 'Or') return left && right ? new Set([...left, ...right]) : left ?? right;
        if (operator) return left;
        if (right?.size === 0 && !clause) return left;
        if (left?.size === 0 && !clause) return right;
        const many = clause?.getChild('GroupRight') ? right : left;
        if (clause?.getChild('GroupLeft') || clause?.getChild('GroupRight')) return many && new Set([...many, ...listed(group)]);
        if (clause?.getChild('On')) return new Set(listed(matching));
        return left;
      }
      case 'FunctionCall': {
        const name = say(node.getChild('FunctionIdentifier'));
        const inner = children(node.getChild('FunctionCallBody')).map(go);
        if (['scalar', 'vector', 'time'].includes(name)) return new Set();
        if (name.startsWith('absent')) return null;
        // Of several arguments one is the vector; the others are numbers and texts.
        const set = inner.reduce((best, one) => (one === null || best === null ? null : one.size > best.size ? one : best), new Set());
        if (name === 'label_replace') return set && new Set([...set, JSON.parse(say(children(node.getChild('FunctionCallBody'))[1]))]);
        return set;
      }
      case 'NumberDurationLiteral':
      case 'StringLiteral':
        return new Set();
      default: // Parentheses, ranges, offsets, signs: the first part that is an expression.
        return go(parts.find((part) => !/^(UnaryOp|Sub|Add)$/.test(part.name)) ?? parts[0]);
    }
  }
}
