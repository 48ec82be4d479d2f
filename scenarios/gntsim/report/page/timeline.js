// SPDX-License-Identifier: MIT
// Draws the timeline: a lane for each domain and program, bars over event numbers or time.
"use strict";

const ROW = 13, GAP = 2, HEAD = 20, PAD = 6, AXIS = 26, LEFT = 10, RIGHT = 14;
const MOST_ARROWS = 400;

class Timeline {
  constructor(recording, hooks) {
    this.recording = recording;
    this.hooks = hooks;              // moment(event), bar(index)
    this.canvas = document.getElementById("timeline");
    this.axis = document.getElementById("axis");
    this.scroller = document.getElementById("scroller");
    this.byTime = false;
    this.showArrows = true;
    this.moment = recording.events - 1;
    this.selected = -1;
    this.shown = null;               // which bars the filter leaves, null: all
    this.marks = recording.findingEvents();
    this.layOut();
    this.zoomAll();
  }

  // The bars of each row, which do not overlap, in their order.
  layOut() {
    const { lane, row } = this.recording.columns;
    this.lanes = this.recording.lanes.map(([domain, pid]) => ({ domain, pid, rows: [] }));
    for (let i = 0; i < lane.length; i++) {
      const rows = this.lanes[lane[i]].rows;
      (rows[row[i]] = rows[row[i]] || []).push(i);
    }
    let y = 0;
    for (const one of this.lanes) {
      one.rows = Array.from(one.rows, list => list || []);
      one.top = y;
      y += HEAD + one.rows.length * (ROW + GAP) + PAD;
    }
    this.height = Math.max(y, 40);
  }

  // ---- Places

  position(event) {
    if (!this.byTime)
      return event;
    const { time } = this.recording.columns;
    return event >= this.recording.events ? time[time.length - 1] + 1 : time[event];
  }

  eventAt(position) {
    const { time } = this.recording.columns, last = this.recording.events - 1;
    const event = this.byTime ? firstWhere(last + 1, i => time[i] >= position)
                              : Math.round(position);
    return Math.max(0, Math.min(last, event));
  }

  x(event) {
    return LEFT + (this.position(event) - this.from) * this.scale;
  }

  get scale() {
    return (this.width - LEFT - RIGHT) / (this.to - this.from);
  }

  get width() {
    return this.scroller.clientWidth || 800;
  }

  // Where a bar stands on the canvas, in its own pixels; for tips, tests and arrows.
  box(index) {
    const { begin, end, lane, row } = this.recording.columns;
    const left = this.x(begin[index]);
    const right = this.x(end[index] === OPEN ? this.recording.events : end[index]);
    return { x: left, y: this.lanes[lane[index]].top + HEAD + row[index] * (ROW + GAP),
             width: Math.max(right - left, 1.5), height: ROW };
  }

  barAt(x, y) {
    const lane = this.lanes.find(one => y >= one.top + HEAD &&
                                 y < one.top + HEAD + one.rows.length * (ROW + GAP));
    if (!lane)
      return -1;
    const row = lane.rows[Math.floor((y - lane.top - HEAD) / (ROW + GAP))] || [];
    const { begin } = this.recording.columns;
    const event = this.eventAt(this.from + (x + 3 - LEFT) / this.scale);
    for (let k = firstWhere(row.length, i => begin[row[i]] > event) - 1, n = 0;
         k >= 0 && n < 4; k--, n++) {
      const box = this.box(row[k]);
      if (x >= box.x - 3 && x <= box.x + box.width + 3)
        return row[k];
    }
    return -1;
  }

  // ---- What is in view

  zoomAll() {
    this.from = this.position(0);
    this.to = Math.max(this.position(this.recording.events), this.from + 1);
    this.draw();
  }

  zoom(factor, x = null) {
    const middle = x === null ? this.position(this.moment) : this.from + (x - LEFT) / this.scale;
    const first = this.position(0), last = Math.max(this.position(this.recording.events), first + 1);
    const span = Math.min(Math.max((this.to - this.from) * factor, this.byTime ? 10 : 8),
                          last - first);
    const share = (middle - this.from) / (this.to - this.from);
    this.show(middle - span * Math.min(Math.max(share, 0), 1), span);
  }

  pan(share) {
    this.show(this.from + (this.to - this.from) * share, this.to - this.from);
  }

  show(from, span) {
    const first = this.position(0), last = Math.max(this.position(this.recording.events), first + 1);
    this.from = Math.max(first, Math.min(from, last - span));
    this.to = this.from + span;
    this.draw();
  }

  // Brings the moment into view.
  follow() {
    const at = this.position(this.moment), span = this.to - this.from;
    if (at < this.from || at > this.to)
      this.show(at - span / 2, span);
    else
      this.draw();
  }

  // ---- Drawing

  draw() {
    if (!this.frame)
      this.frame = requestAnimationFrame(() => {
        this.frame = 0;
        this.paint();
      });
  }

  colours() {
    const style = getComputedStyle(document.documentElement);
    const get = name => style.getPropertyValue("--" + name).trim();
    return { kinds: KINDS.map(get), text: get("text"), quiet: get("quiet"), line: get("line"),
             mark: get("mark"), accent: get("accent"), raised: get("raised") };
  }

  prepare(canvas, height) {
    const ratio = window.devicePixelRatio || 1, width = this.width;
    canvas.style.height = height + "px";
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    return context;
  }

  paint() {
    const colours = this.colours(), context = this.prepare(this.canvas, this.height);
    this.paintAxis(colours);
    for (const lane of this.lanes) {
      context.fillStyle = colours.line;
      context.fillRect(0, lane.top, this.width, 1);
      context.fillStyle = colours.text;
      context.font = "600 12px " + getComputedStyle(document.body).fontFamily;
      context.fillText(this.laneName(lane), LEFT, lane.top + 14);
      for (const row of lane.rows)
        this.paintRow(context, colours, row);
    }
    if (this.showArrows)
      this.paintArrows(context, colours);
    this.paintMarks(context, colours);
    this.paintSelected(context, colours);
  }

  laneName({ domain, pid }) {
    const name = this.recording.names[pid];
    return `Domain ${domain} · ` + (!pid ? "kernel" : name ? `${name} (process ${pid})`
                                                           : `process ${pid}`);
  }

  // Bars that are too small to tell apart are drawn together: one for each pixel.
  paintRow(context, colours, row) {
    const { begin, end, kind } = this.recording.columns, all = this.recording.events;
    const first = this.eventAt(this.from), last = this.eventAt(this.to);
    let k = firstWhere(row.length, i => (end[row[i]] === OPEN ? all : end[row[i]]) >= first);
    let drawn = -1;
    for (; k < row.length && begin[row[k]] <= last; k++) {
      const index = row[k];
      const right = Math.min(this.x(end[index] === OPEN ? all : end[index]), this.width + 5);
      if (right < drawn + 1)
        continue;
      const box = this.box(index), left = Math.max(box.x, -5);
      const width = Math.max(right - left - (right - left > 4 ? 1 : 0), 1.5);
      context.globalAlpha = !this.shown || this.shown[index] ? 1 : 0.13;
      context.fillStyle = colours.kinds[kind[index]];
      context.fillRect(left, box.y, width, ROW);
      if (width > 60)
        this.paintLabel(context, colours, index, left, box.y, width);
      drawn = left + width;
    }
    context.globalAlpha = 1;
  }

  paintLabel(context, colours, index, left, y, width) {
    const text = barName(this.recording, this.recording.bar(index));
    context.save();
    context.beginPath();
    context.rect(left, y, width - 4, ROW);
    context.clip();
    context.fillStyle = colours.raised;
    context.font = "10.5px " + getComputedStyle(document.body).fontFamily;
    context.fillText(text, Math.max(left, 0) + 4, y + 10);
    context.restore();
  }

  // From the making of a grant to a mapping of it, and from a notification to its delivery.
  paintArrows(context, colours) {
    const { from, to } = this.recording.columns;
    const first = this.eventAt(this.from), last = this.eventAt(this.to);
    const near = [];
    for (let i = 0; i < from.length && near.length <= MOST_ARROWS; i++)
      if (from[i] <= last && to[i] >= first)
        near.push(i);
    if (near.length > MOST_ARROWS)
      return;
    context.strokeStyle = colours.quiet;
    context.globalAlpha = 0.55;
    for (const i of near) {
      const [y1, y2] = [this.heightOf(from[i]), this.heightOf(to[i])];
      const [x1, x2] = [this.x(from[i]), this.x(to[i])];
      if (y1 === null || y2 === null)
        continue;
      context.beginPath();
      context.moveTo(x1, y1);
      context.bezierCurveTo((x1 + x2) / 2, y1, (x1 + x2) / 2, y2, x2, y2);
      context.lineTo(x2 - 4, y2 - 3);
      context.moveTo(x2, y2);
      context.lineTo(x2 - 4, y2 + 3);
      context.stroke();
    }
    context.globalAlpha = 1;
  }

  // The middle of the bar that an event made, else of its domain's first lane; null: it has none.
  heightOf(event) {
    const { begin, domain, pid } = this.recording.columns;
    const bar = firstWhere(this.recording.nrBars, i => begin[i] >= event);
    if (bar < this.recording.nrBars && begin[bar] === event) {
      const box = this.box(bar);
      return box.y + ROW / 2;
    }
    const of = this.lanes.filter(one => one.domain === domain[event]);
    const lane = of.find(one => one.pid === pid[event]) || of[0];
    return lane ? lane.top + HEAD / 2 : null;
  }

  paintMarks(context, colours) {
    context.fillStyle = colours.mark;
    for (const { event } of this.marks) {
      const x = this.x(event), y = this.heightOf(event) ?? 8;
      context.beginPath();
      context.moveTo(x, y - 7);
      context.lineTo(x + 6, y + 4);
      context.lineTo(x - 6, y + 4);
      context.fill();
    }
  }

  paintSelected(context, colours) {
    const x = this.x(this.moment);
    context.fillStyle = colours.accent;
    context.fillRect(x - 0.75, 0, 1.5, this.height);
    if (this.selected >= 0) {
      const box = this.box(this.selected);
      context.strokeStyle = colours.text;
      context.lineWidth = 2;
      context.strokeRect(box.x, box.y, box.width, ROW);
      context.lineWidth = 1;
    }
  }

  paintAxis(colours) {
    const context = this.prepare(this.axis, AXIS), { seq } = this.recording.columns;
    const rough = (this.to - this.from) / Math.max(this.width / 110, 2);
    const power = 10 ** Math.floor(Math.log10(Math.max(rough, 1)));
    const step = [1, 2, 5, 10].map(n => n * power).find(n => n >= rough) || power;
    context.font = "11px " + getComputedStyle(document.body).fontFamily;
    for (let at = Math.ceil(this.from / step) * step; at <= this.to; at += step) {
      const x = LEFT + (at - this.from) * this.scale;
      context.fillStyle = colours.line;
      context.fillRect(x, 18, 1, 8);
      context.fillStyle = colours.quiet;
      context.fillText(this.byTime ? seconds(at)
        : at < this.recording.events ? seq[at].toLocaleString("en") : "", x + 3, 15);
    }
    context.fillStyle = colours.mark;
    const { flags } = this.recording.columns;
    const first = this.eventAt(this.from), last = this.eventAt(this.to);
    for (let i = first, drawn = -2; i <= last; i++)
      if (flags[i] & FIRED) {
        const x = this.x(i);
        if (x > drawn + 1)
          context.fillRect(drawn = x, 20, 1.5, 6);
      }
  }
}
