// SPDX-License-Identifier: MIT
// Filters bars and events by words that must all match.
"use strict";

class Search {
  constructor(text) {
    this.text = text.trim();
    this.words = this.text.split(/\s+/).filter(Boolean).map(word => {
      const [key, ...rest] = word.split("=");
      return rest.length ? { key, value: rest.join("=") } : { word: word.toLowerCase() };
    });
  }

  get isEmpty() {
    return !this.words.length;
  }

  bar(recording, bar) {
    const numbers = {
      domain: [bar.domain], pid: [bar.pid], process: [bar.pid],
      ref: bar.kind === GRANT ? [bar.a] : bar.kind === MAPPING ? [bar.c] : [],
      handle: bar.kind === MAPPING ? [bar.a] : [],
      peer: bar.kind === FILE ? [] : [bar.b],
      port: bar.kind === PORT ? [bar.a] : [],
    };
    const text = () => `${KINDS[bar.kind]} ${barName(recording, bar)} ` +
      who(recording, bar.domain, bar.pid);
    return this.words.every(({ key, value, word }) => {
      if (word === "failed")
        return false;
      if (word)
        return text().toLowerCase().includes(word);
      if (key === "kind")
        return KINDS[bar.kind].startsWith(value);
      return (numbers[key] || []).includes(Number(value));
    });
  }

  finding(finding) {
    const text = JSON.stringify(finding).toLowerCase();
    return this.words.every(({ key, value, word }) => word === "failed" ||
      (key === "kind" ? finding.kind.includes(value) : text.includes(word || value)));
  }

  // What the columns alone decide of event i; lines(): what only its line can tell.
  column(recording, i) {
    const c = recording.columns, op = recording.ops[c.op[i]];
    return this.words.every(({ key, value, word }) => {
      if (word === "failed")
        return (c.flags[i] & FAILED) !== 0;
      if (key === "op")
        return op === value;
      if (key === "domain")
        return c.domain[i] === Number(value);
      if (key === "pid" || key === "process")
        return c.pid[i] === Number(value);
      if (key === "kind")
        return false;
      return true;
    });
  }

  lineTests(recording) {
    const columns = ["op", "domain", "pid", "process", "kind"];
    return this.words.filter(({ key, word }) => word ? word !== "failed" : !columns.includes(key))
      .map(({ key, value, word }) => {
        if (word)
          return line => line.toLowerCase().includes(word);
        const escaped = value.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
        const pattern = new RegExp(`"${key.replace(/[^\w-]/g, "")}":"?${escaped}"?[,}]`);
        return line => pattern.test(line);
      });
  }

  // The indices of the first events from start on that match, and where the search ended.
  async events(recording, start, most, details, stopped = () => false) {
    const tests = this.lineTests(recording), found = [], flags = recording.columns.flags;
    let i = start, lines = null, block = -1;
    for (; i < recording.events && found.length < most; i++) {
      if (!details && flags[i] & DETAIL)
        continue;
      if (!this.column(recording, i))
        continue;
      if (tests.length) {
        const wanted = Math.floor(i / recording.block);
        if (wanted !== block) {
          lines = await recording.lines(wanted);
          block = wanted;
          if (stopped())
            return null;
        }
        if (!tests.every(test => test(lines[i - block * recording.block])))
          continue;
      }
      found.push(i);
    }
    return { found, next: i };
  }
}
