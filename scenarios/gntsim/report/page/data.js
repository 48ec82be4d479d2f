// SPDX-License-Identifier: MIT
// Decodes what the page has of a trace, and answers questions about it.
"use strict";

const OPEN = 0xffffffff;
const KINDS = ["grant", "mapping", "port", "file"];
const GRANT = 0, MAPPING = 1, PORT = 2, FILE = 3;
const FAILED = 1, FIRED = 2, DETAIL = 4;
const SEEN_LATE = 1 << 16;
const TYPES = { B: Uint8Array, H: Uint16Array, h: Int16Array, I: Uint32Array, i: Int32Array,
                d: Float64Array };
const BLOCKS_KEPT = 24;

function bytesOf(text) {
  if (Uint8Array.fromBase64)
    return Uint8Array.fromBase64(text);
  const raw = atob(text), bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++)
    bytes[i] = raw.charCodeAt(i);
  return bytes;
}

async function inflate(text) {
  const stream = new Blob([bytesOf(text)]).stream()
    .pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

// The first index in [0, n) for which test is true, else n.
function firstWhere(n, test) {
  let low = 0, high = n;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (test(middle))
      high = middle;
    else
      low = middle + 1;
  }
  return low;
}

class Recording {
  static async decode(page, findings) {
    const self = new Recording();
    Object.assign(self, page, { findings, kept: new Map() });
    const names = Object.keys(page.columns);
    const columns = await Promise.all(names.map(async name => {
      const [type, text] = page.columns[name];
      return new TYPES[type](await inflate(text));
    }));
    self.columns = Object.fromEntries(names.map((name, i) => [name, columns[i]]));
    self.events = self.columns.op.length;
    self.nrBars = self.columns.begin.length;
    // Numbers and times came as differences.
    const { seq, time } = self.columns;
    for (let i = 0, before = -1; i < seq.length; i++)
      before = seq[i] += before + 1;
    for (let i = 1; i < time.length; i++)
      time[i] += time[i - 1];
    self.standsStill = time[time.length - 1] === time[0];
    return self;
  }

  // The line of an event, as the trace has it.
  async line(i) {
    const block = Math.floor(i / this.block);
    return (await this.lines(block))[i - block * this.block];
  }

  async lines(block) {
    let made = this.kept.get(block);
    if (!made) {
      made = inflate(this.blocks[block]).then(bytes => new TextDecoder().decode(bytes)
        .split("\n"));
      this.kept.set(block, made);
      if (this.kept.size > BLOCKS_KEPT)
        this.kept.delete(this.kept.keys().next().value);
    }
    return made;
  }

  // The event with that number in the trace, or the next one.
  indexOf(number) {
    const { seq } = this.columns;
    return Math.min(firstWhere(this.events, i => seq[i] >= number), this.events - 1);
  }

  bar(i) {
    const c = this.columns, [domain, pid] = this.lanes[c.lane[i]];
    return { index: i, kind: c.kind[i], begin: c.begin[i], end: c.end[i], lane: c.lane[i],
             row: c.row[i], domain, pid, endPid: c.endPid[i], a: c.a[i], b: c.b[i], c: c.c[i],
             d: c.d[i] };
  }

  // The bars that live after the event.
  at(event) {
    const { begin, end } = this.columns, nr = firstWhere(this.nrBars, i => begin[i] > event);
    const found = [];
    for (let i = 0; i < nr; i++)
      if (end[i] > event)
        found.push(this.bar(i));
    return found;
  }

  // How many mappings of a grant live after the event.
  mappersOf(grant, living) {
    return living.filter(bar => bar.kind === MAPPING && bar.b === grant.domain &&
                         bar.c === grant.a);
  }

  // Findings have event numbers in their parts.
  findingEvents() {
    const found = [];
    this.findings.forEach((finding, number) => (finding.parts || []).forEach(part => {
      if (part.event !== undefined)
        found.push({ event: this.indexOf(part.event), finding: number, part });
    }));
    return found;
  }

  domainsAt(event) {
    return this.domains.filter(([, begin, end]) => begin <= event && end > event);
  }
}
