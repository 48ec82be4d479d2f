// SPDX-License-Identifier: MIT
// The tables below the timeline: a moment, the events, the findings, a bar, the high-water marks.
"use strict";

const PAGE = 200;

// An element with properties and children; texts become text, never markup.
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties))
    if (name.startsWith("on") || name in element && !name.includes("-"))
      element[name] = value;
    else
      element.setAttribute(name, value);
  element.append(...children.flat().filter(child => child !== null && child !== undefined));
  return element;
}

function table(caption, heads, rows) {
  if (!rows.length)
    return make("p", { className: "quiet" }, `${caption}: none.`);
  return make("table", {}, make("caption", {}, `${caption} (${rows.length})`),
              make("thead", {}, make("tr", {}, heads.map(head =>
                make("th", { scope: "col" }, head)))),
              make("tbody", {}, rows));
}

class Panels {
  constructor(recording, actions) {
    this.recording = recording;
    this.actions = actions;          // moment(event), bar(index)
    this.details = false;
    this.search = new Search("");
    this.turn = 0;
  }

  jump(event, text = null) {
    return make("button", { className: "link", type: "button",
                            onclick: () => this.actions.moment(event) },
                text ?? String(this.recording.columns.seq[event]));
  }

  toBar(bar) {
    return make("button", { className: "link", type: "button",
                            onclick: () => this.actions.bar(bar.index) }, "story");
  }

  rowsOf(bars, cells) {
    return bars.map(bar => make("tr", {}, cells(bar).map(cell => make("td", {}, cell)),
                                make("td", {}, this.toBar(bar))));
  }

  // ---- A moment

  moment(event) {
    const { recording } = this, living = recording.at(event);
    const of = kind => living.filter(bar => bar.kind === kind &&
                                     (this.search.isEmpty || this.search.bar(recording, bar)));
    const yes = flag => flag ? "yes" : "";
    const grants = of(GRANT).sort((p, q) => p.domain - q.domain || p.a - q.a);
    return [
      make("p", { className: "quiet" }, "What was there after event ",
           String(recording.columns.seq[event]), "."),
      table("Grant table", ["Domain", "Reference", "To", "Page", "Read-only", "Mapped", "Since", ""],
            this.rowsOf(grants, bar => {
              const mappers = recording.mappersOf(bar, living);
              return [`${bar.domain}`, `${bar.a}`, `${bar.b}`, bar.d < 0 ? "?" : `${bar.d}`,
                      yes(isReadOnly(bar)), mappers.length ? `${mappers.length} ×` : "",
                      this.jump(bar.begin)];
            })),
      table("Mappings", ["Domain", "Program", "Handle", "Of domain", "Reference", "Read-only",
                         "Since", ""],
            this.rowsOf(of(MAPPING), bar => [`${bar.domain}`, recording.names[bar.pid] ||
              (bar.pid ? `process ${bar.pid}` : "kernel"), `${bar.a}`, `${bar.b}`, `${bar.c}`,
              yes(isReadOnly(bar)), this.jump(bar.begin)])),
      table("Ports", ["Domain", "Port", "With domain", "Its port", "Since", ""],
            this.rowsOf(of(PORT), bar => [`${bar.domain}`, `${bar.a}`, bar.b < 0 ? "" : `${bar.b}`,
              bar.c < 0 ? "" : `${bar.c}`, this.jump(bar.begin)])),
      table("Open files", ["Domain", "Program", "Device", "File", "Since", ""],
            this.rowsOf(of(FILE), bar => [`${bar.domain}`, recording.names[bar.pid] || "",
              recording.devices[bar.b], `${bar.a}`, this.jump(bar.begin)])),
      table("Domains", ["Domain", "Guest kernel", "Since"],
            recording.domainsAt(event).map(([number, begin, , profile]) => make("tr", {},
              [`${number}`, profile, this.jump(begin)].map(cell => make("td", {}, cell))))),
    ];
  }

  // ---- Events

  async events(event, into) {
    const turn = ++this.turn;
    const start = this.search.isEmpty ? Math.max(0, event - 20) : 0;
    const body = make("tbody");
    const more = make("button", { type: "button" }, "More");
    const facts = make("p", { className: "quiet", role: "status" });
    const box = make("input", { type: "checkbox", checked: this.details, onchange: () => {
      this.details = box.checked;
      this.actions.refresh();
    } });
    into.replaceChildren(
      make("label", {}, box, " also starts of calls, memory of programs, timers, upcalls"), facts,
      make("table", {}, make("thead", {}, make("tr", {},
        ["Event", "Time", "Who", "What", "", "Result"].map(head =>
          make("th", { scope: "col" }, head)))), body), more);
    const load = async from => {
      more.hidden = true;
      facts.textContent = "Searching…";
      const result = await this.search.events(this.recording, from, PAGE, this.details,
                                              () => turn !== this.turn);
      if (!result || turn !== this.turn)
        return;
      for (const i of result.found)
        body.append(await this.eventRow(i, event));
      const over = result.next >= this.recording.events;
      facts.textContent = `${count(body.children.length, "event")} shown` +
        (this.search.isEmpty ? "" : ` of those that match “${this.search.text}”`) +
        (over ? "." : ", and there are more.");
      more.hidden = over;
      more.onclick = () => load(result.next);
    };
    await load(start);
  }

  async eventRow(i, current) {
    const { recording } = this, c = recording.columns, line = await recording.line(i);
    let text, result = "";
    try {
      const event = JSON.parse(line);
      text = eventText(event);
      result = event.result === undefined ? "" : String(event.result);
      if (event.rule !== undefined)
        result += ` (fault rule ${event.rule})`;
    } catch {
      text = line;                   // it was too long for the page
    }
    return make("tr", { className: (c.flags[i] & FAILED ? "failed " : "") +
                                   (i === current ? "here" : "") },
                make("td", {}, this.jump(i)), make("td", {}, seconds(c.time[i])),
                make("td", {}, c.domain[i] < 0 && !c.pid[i] ? "machine"
                  : (c.domain[i] < 0 ? "" : `d${c.domain[i]} `) + (recording.names[c.pid[i]] ||
                    (c.pid[i] ? `process ${c.pid[i]}` : ""))),
                make("td", {}, recording.ops[c.op[i]]), make("td", { className: "text" }, text),
                make("td", {}, result));
  }

  // ---- Findings

  stack(part) {
    if (!part.stack || !part.stack.length)
      return null;
    return make("ol", { className: "stack", start: 0 }, part.stack.map(frame =>
      make("li", {}, frame.function || `${frame.module}+0x${(frame.offset || 0).toString(16)}`,
           " ", make("span", { className: "where" }, frame.file
             ? `${frame.file}:${frame.line || "?"}` : frame.module || ""))));
  }

  // The number of the event in a sentence leads there.
  sentence(part) {
    if (part.event === undefined)
      return [part.text];
    const said = `event ${part.event}`, [before, after] = part.text.split(said);
    const link = this.jump(this.recording.indexOf(part.event), said);
    return after === undefined ? [part.text, " ", link] : [before, link, after];
  }

  finding(finding) {
    return make("article", { className: "finding " + finding.level },
                make("h3", {}, make("span", { className: "kind" }, finding.kind), finding.title),
                (finding.parts || []).map(part => make("div", {}, make("p", {},
                  this.sentence(part), part.approximate ? " (the stack is approximate)" : null), this.stack(part))),
                finding.repair ? make("p", {}, "What to do: ", finding.repair) : null,
                make("p", { className: "quiet" }, `gntsim explain ${finding.kind}`));
  }

  findings() {
    const all = this.recording.findings, some = all.filter(one => this.search.isEmpty ||
                                                           this.search.finding(one));
    if (!all.length)
      return [make("p", { className: "quiet" }, "There are none here. Findings come from --check: " +
                   "gntsim report TRACE FINDINGS.json, with the file of --check-report.")];
    return [make("p", { className: "quiet" }, `${some.length} of ${count(all.length, "finding")}`),
            ...some.map(one => this.finding(one))];
  }

  // ---- Bars

  story(index) {
    const { recording } = this, bar = recording.bar(index);
    const told = recording.findings.filter(one => concerns(recording, one, bar));
    const others = recording.at(bar.begin).filter(other => bar.kind === GRANT &&
      other.kind === MAPPING && other.b === bar.domain && other.c === bar.a);
    return [make("h3", {}, `${KINDS[bar.kind]}: ${barName(recording, bar)}`),
            ...barStory(recording, bar).map(text => make("p", {}, text)),
            make("p", {}, "Go to its ", this.jump(bar.begin, "beginning"), bar.end === OPEN ? "."
              : " or its ", bar.end === OPEN ? null : this.jump(bar.end, "end"),
              bar.end === OPEN ? null : "."),
            ...others.map(other => make("p", {}, `Mapped meanwhile: ${barName(recording, other)} `,
                                        this.toBar(other))),
            ...told.map(one => this.finding(one))];
  }

  bars(selected) {
    const { recording } = this, rows = [];
    let matching = 0;
    for (let i = 0; i < recording.nrBars; i++) {
      const bar = recording.bar(i);
      if (!this.search.isEmpty && !this.search.bar(recording, bar))
        continue;
      if (matching++ < PAGE)
        rows.push(make("tr", {}, [KINDS[bar.kind], who(recording, bar.domain, bar.pid),
          barName(recording, bar), this.jump(bar.begin),
          bar.end === OPEN ? "still there" : this.jump(bar.end), this.toBar(bar)]
          .map(cell => make("td", {}, cell))));
    }
    return [...(selected >= 0 ? this.story(selected) : []),
            make("p", { className: "quiet" }, `${matching.toLocaleString("en")} of ` +
              `${count(recording.nrBars, "bar")}` + (matching > PAGE ? `, the first ${PAGE}` : "")),
            table("Bars", ["Kind", "Of", "What", "From", "To", ""], rows)];
  }

  // ---- The highest use

  peaks() {
    return [table("High-water marks", ["Domain", "What", "At most", "Limit", "At event"],
                  this.recording.peaks.map(([kind, domain, most, event, limit]) => make("tr", {},
                    [`${domain}`, KINDS[kind] + "s", `${most}`, limit ? make("span", {},
                      make("meter", { min: 0, max: limit, value: most,
                                      "aria-label": `${most} of ${limit}` }), ` of ${limit}`) : "",
                     this.jump(event)].map(cell => make("td", {}, cell)))))];
  }
}
