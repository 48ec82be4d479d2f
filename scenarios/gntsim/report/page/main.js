// SPDX-License-Identifier: MIT
// Brings the page together: cases, timeline, panels, keys. `gntsimReport` is what tests look at.
"use strict";

const element = id => document.getElementById(id);
const TABS = ["Moment", "Events", "Findings", "Bars", "High water"];
const KEYS = [
  ["← →", "the moment, one event on", "ArrowLeft ArrowRight"],
  ["Shift ← →", "move the view"], ["+ −", "zoom"], ["0", "show all"],
  ["n p", "the next and the previous finding or fired fault"],
  ["/", "filter"], ["g", "go to an event"], ["1 … 5", "the tables"], ["d", "dark or light"],
  ["?", "these keys"],
];

class Page {
  constructor(data) {
    this.data = data;
    this.tab = "Moment";
    this.search = new Search("");
    this.recording = null;
    this.ready = false;
  }

  async start() {
    element("key-list").append(...KEYS.flatMap(([keys, what]) =>
      [make("dt", {}, keys), make("dd", {}, what)]));
    element("legend").append(...[...KINDS, "mark"].map(kind => {
      const colour = make("span");
      colour.style.background = `var(--${kind})`;
      return make("li", {}, colour, kind === "mark" ? "finding, fault" : kind);
    }));
    element("tabs").append(...TABS.map((name, i) => make("button", {
      type: "button", role: "tab", id: "tab-" + i, "aria-controls": "panel",
      onclick: () => this.show(name) }, name)));
    this.listen();
    this.showCases();
    const first = Object.keys(this.data.traces).map(Number).sort((a, b) =>
      (this.data.cases[b].outcome === "failed") - (this.data.cases[a].outcome === "failed") ||
      a - b)[0];
    await this.choose(first ?? 0);
    this.ready = true;
  }

  // ---- Cases

  showCases() {
    const { cases } = this.data;
    if (cases.length < 2 && !cases[0]?.outcome)
      return;
    const nr = outcome => cases.filter(one => one.outcome === outcome).length;
    element("campaign").hidden = false;
    element("campaign-facts").textContent = `${count(cases.length, "case")}` +
      (nr("failed") + nr("passed") ? `: ${nr("passed")} passed, ${nr("failed")} failed` +
        (nr("skipped") ? `, ${nr("skipped")} skipped` : "") : "");
    const sign = { failed: "✕", passed: "✓", skipped: "–" };
    element("grid").append(...cases.map((one, i) => make("button", {
      type: "button", className: one.outcome || "unknown", title: one.name, "aria-pressed": "false",
      "aria-label": `${one.name}: ${one.outcome || "a trace"}`, onclick: () => this.choose(i) },
      sign[one.outcome] || "·")));
  }

  showCase(i) {
    const one = this.data.cases[i];
    [...element("grid").children].forEach((button, n) =>
      button.setAttribute("aria-pressed", String(n === i)));
    element("case").replaceChildren(
      make("h3", {}, one.name, one.outcome ? `: ${one.outcome}` : ""),
      ...(one.message ? [make("pre", {}, one.message)] : []),
      ...(one.replay ? [make("p", {}, "Play it again: ", make("code", {}, one.replay))] : []),
      ...(this.data.traces[i] ? [] : [make("p", { className: "quiet" }, one.left_out
        ? "Its trace did not fit into this page." : "It has no trace.")]));
  }

  async choose(i) {
    this.showCase(i);
    const page = this.data.traces[i];
    if (!page) {
      if (!this.recording)
        element("facts").textContent = "There is no trace in this page.";
      return;
    }
    const findings = this.data.cases[i].findings || [];
    const recording = this.recording = await Recording.decode(page, findings);
    const facts = [count(recording.events, "event"), count(recording.nrBars, "bar"),
                   recording.machine.xen, recording.machine.profile,
                   recording.machine.clock && recording.machine.clock + " clock"];
    if (recording.lost)
      facts.push(`${count(recording.lost, "event")} lost`);
    element("facts").textContent = facts.filter(Boolean).join(" · ");
    this.timeline = new Timeline(recording, {});
    this.panels = new Panels(recording, { moment: event => this.moment(event),
      bar: index => this.bar(index), refresh: () => this.refresh() });
    this.panels.search = this.search;
    element("by-time").disabled = recording.standsStill;
    this.tab = findings.length ? "Findings" : "Moment";
    await this.filter(this.search.text);
    await this.moment(this.busiest());
  }

  // Where there is something to see: the first finding, else the most mappings at a time.
  busiest() {
    const { marks } = this.timeline, { peaks, events } = this.recording;
    if (marks.length)
      return marks[0].event;
    const [, , , event] = [...peaks].filter(([kind]) => kind === MAPPING)
      .sort((p, q) => q[2] - p[2])[0] || [0, 0, 0, events - 1];
    return event;
  }

  // ---- What the user does

  async moment(event) {
    const { recording } = this;
    this.timeline.moment = Math.max(0, Math.min(event, recording.events - 1));
    this.timeline.follow();
    await this.refresh();
  }

  async bar(index) {
    this.timeline.selected = index;
    this.tab = "Bars";
    await this.moment(this.recording.columns.begin[index]);
  }

  async filter(text) {
    this.search = new Search(text);
    if (!this.panels)
      return;
    this.panels.search = this.search;
    this.timeline.shown = this.search.isEmpty ? null
      : Uint8Array.from({ length: this.recording.nrBars }, (_, i) =>
        this.search.bar(this.recording, this.recording.bar(i)) ? 1 : 0);
    this.timeline.draw();
    await this.refresh();
  }

  async goTo(text) {
    const number = Number(text.trim());
    const wrong = !text.trim() || !Number.isInteger(number) || number < 0;
    element("goto").setAttribute("aria-invalid", String(wrong));
    if (!wrong && this.recording)
      await this.moment(this.recording.indexOf(number));
  }

  async show(tab) {
    this.tab = tab;
    await this.refresh();
  }

  // To what people look for: findings and faults.
  async mark(forward) {
    const { flags } = this.recording.columns, now = this.timeline.moment;
    const events = this.timeline.marks.map(one => one.event);
    for (let i = 0; i < flags.length; i++)
      if (flags[i] & FIRED)
        events.push(i);
    const next = forward ? Math.min(...events.filter(one => one > now))
                         : Math.max(...events.filter(one => one < now));
    if (Number.isFinite(next))
      await this.moment(next);
  }

  async refresh() {
    const { recording, timeline, panels } = this, into = element("panel");
    if (!timeline)
      return;
    const now = timeline.moment;
    [...element("tabs").children].forEach((button, i) => {
      button.setAttribute("aria-selected", String(TABS[i] === this.tab));
      button.textContent = TABS[i] + (TABS[i] === "Findings" && recording.findings.length
        ? ` (${recording.findings.length})` : "");
    });
    into.setAttribute("aria-labelledby", "tab-" + TABS.indexOf(this.tab));
    if (this.tab === "Events") {
      await panels.events(now, into);
    } else {
      panels.turn++;
      into.replaceChildren(...(this.tab === "Moment" ? panels.moment(now)
        : this.tab === "Findings" ? panels.findings()
          : this.tab === "Bars" ? panels.bars(timeline.selected) : panels.peaks()));
    }
    const line = await recording.line(now);
    if (timeline.moment === now)
      element("moment").textContent = line.length > 400 ? line.slice(0, 400) + "…" : line;
  }

  theme() {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    element("theme").textContent = dark ? "Dark" : "Light";
    this.timeline?.draw();
  }

  // ---- Listening

  listen() {
    let wait = 0;
    element("filter").addEventListener("input", () => {
      clearTimeout(wait);
      wait = setTimeout(() => this.filter(element("filter").value), 120);
    });
    element("search").addEventListener("submit", event => {
      event.preventDefault();
      if (document.activeElement === element("goto"))
        this.goTo(element("goto").value);
    });
    element("by-time").addEventListener("change", () => {
      this.timeline.byTime = element("by-time").checked;
      this.timeline.zoomAll();
    });
    element("arrows").addEventListener("change", () => {
      this.timeline.showArrows = element("arrows").checked;
      this.timeline.draw();
    });
    element("zoom-in").onclick = () => this.timeline.zoom(0.5);
    element("zoom-out").onclick = () => this.timeline.zoom(2);
    element("zoom-all").onclick = () => this.timeline.zoomAll();
    element("theme").onclick = () => this.theme();
    element("keys").onclick = () => element("help").showModal();
    addEventListener("resize", () => this.timeline?.draw());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change",
                                                                () => this.timeline?.draw());
    addEventListener("keydown", event => this.key(event));
    this.listenToMouse(element("timeline"));
  }

  listenToMouse(canvas) {
    let drag = null;
    const place = event => {
      const box = canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    canvas.addEventListener("pointerdown", event => {
      drag = { x: event.clientX, from: this.timeline.from, moved: false };
    });
    addEventListener("pointerup", () => setTimeout(() => { drag = null; }));
    canvas.addEventListener("pointermove", event => {
      if (drag && event.buttons) {
        const moved = event.clientX - drag.x;
        drag.moved ||= Math.abs(moved) > 4;
        if (drag.moved)
          this.timeline.show(drag.from - moved / this.timeline.scale,
                             this.timeline.to - this.timeline.from);
      }
      this.tip(event, ...place(event));
    });
    canvas.addEventListener("pointerleave", () => { element("tip").hidden = true; });
    canvas.addEventListener("click", event => {
      if (drag?.moved)
        return;
      const [x, y] = place(event), bar = this.timeline.barAt(x, y);
      if (bar >= 0) {
        this.bar(bar);
      } else {
        const { timeline } = this;
        this.moment(timeline.eventAt(timeline.from + (x - LEFT) / timeline.scale));
      }
    });
    canvas.addEventListener("wheel", event => {
      if (!event.ctrlKey && !event.altKey)
        return;
      event.preventDefault();
      this.timeline.zoom(event.deltaY > 0 ? 1.25 : 0.8, place(event)[0]);
    }, { passive: false });
  }

  tip(event, x, y) {
    const bar = this.timeline.barAt(x, y), tip = element("tip");
    tip.hidden = bar < 0;
    if (bar < 0)
      return;
    const one = this.recording.bar(bar), box = element("stage").getBoundingClientRect();
    tip.textContent = `${KINDS[one.kind]}: ${barName(this.recording, one)}`;
    tip.style.left = Math.min(event.clientX - box.left + 12, box.width - 240) + "px";
    tip.style.top = event.clientY - box.top + 16 + "px";
  }

  key(event) {
    const typing = event.target.matches("input, textarea, select");
    if (event.key === "Escape" && typing)
      event.target.blur();
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !this.timeline ||
        element("help").open)
      return;
    const { timeline } = this;
    const inStage = document.activeElement === document.body ||
      element("stage").contains(document.activeElement);
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const acts = {
      "+": () => timeline.zoom(0.5), "=": () => timeline.zoom(0.5), "-": () => timeline.zoom(2),
      0: () => timeline.zoomAll(), n: () => this.mark(true), p: () => this.mark(false),
      "/": () => element("filter").focus(), g: () => element("goto").focus(),
      d: () => this.theme(), "?": () => element("help").showModal(),
    };
    if (step && event.target.getAttribute("role") === "tab")
      this.nextTab(step);
    else if (step && !inStage)
      return;
    else if (step && event.shiftKey)
      timeline.pan(step * 0.2);
    else if (step)
      this.moment(timeline.moment + step);
    else if (/^[1-5]$/.test(event.key))
      this.show(TABS[Number(event.key) - 1]);
    else if (acts[event.key])
      acts[event.key]();
    else
      return;
    event.preventDefault();
  }

  nextTab(step) {
    const next = (TABS.indexOf(this.tab) + step + TABS.length) % TABS.length;
    element("tab-" + next).focus();
    this.show(TABS[next]);
  }
}

const pageData = JSON.parse(element("data").textContent);
element("data").remove();
window.reportFlags = pageData.flags;
window.gntsimReport = new Page(pageData);
window.gntsimReport.start().catch(error => {
  element("facts").textContent = `This page cannot be shown: ${error.message}`;
  throw error;
});
