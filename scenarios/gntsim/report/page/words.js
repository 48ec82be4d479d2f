// SPDX-License-Identifier: MIT
// Says in words what bars and events are.
"use strict";

function count(n, noun) {
  return `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;
}

function who(recording, domain, pid) {
  if (domain < 0)
    return "the machine";
  const name = recording.names[pid];
  return `domain ${domain}` + (pid ? ` (${name ? name + ", " : ""}process ${pid})`
                                   : " (its kernel)");
}

function seconds(ns) {
  return (ns / 1e9).toFixed(9).replace(/0{1,6}$/, "") + " s";
}

// The names of the bits, and what is left of them as a number.
function flagNames(flags, table) {
  const names = [];
  for (const { name, value } of table || [])
    if (value && (flags & value) === value) {
      names.push(name);
      flags &= ~value;
    }
  if (flags || !names.length)
    names.push("0x" + (flags >>> 0).toString(16));
  return names.join(" ");
}

function flagTable(key) {
  return (window.reportFlags || {})[key];
}

function isReadOnly(bar) {
  const wanted = bar.kind === GRANT ? flagTable("grant.flags") : flagTable("map_grant_ref.flags");
  const flags = bar.kind === GRANT ? bar.c : bar.d;
  return (wanted || []).some(row => row.name === "readonly" && flags & row.value);
}

// A bar in a few words, for lists and tips.
function barName(recording, bar) {
  switch (bar.kind) {
  case GRANT:
    return `grant ${bar.a} to domain ${bar.b}${isReadOnly(bar) ? ", read-only" : ""}`;
  case MAPPING:
    return `reference ${bar.c} of domain ${bar.b}, handle ${bar.a}` +
      (isReadOnly(bar) ? ", read-only" : "");
  case PORT:
    return `port ${bar.a}` + (bar.b < 0 ? "" : ` with domain ${bar.b}`) +
      (bar.c < 0 ? "" : `, its port ${bar.c}`);
  default:
    return `${recording.devices[bar.b]}, file ${bar.a}`;
  }
}

const MADE = ["granted", "mapped", "opened", "opened"];
const ENDED = ["ended", "unmapped", "closed", "closed"];

// Its story: who made it, what became of it, who ended it.
function barStory(recording, bar) {
  const seq = recording.columns.seq;
  const maker = who(recording, bar.domain, bar.pid);
  const what = bar.kind === GRANT && bar.d >= 0 ? `page ${bar.d} as ` : "";
  const story = [];
  if (bar.kind === GRANT && bar.c === SEEN_LATE)
    story.push(`Domain ${bar.domain} granted reference ${bar.a} some time before event ` +
               `${seq[bar.begin]}, where domain ${bar.b} mapped it; the trace does not say when.`);
  else
    story.push(`${maker[0].toUpperCase()}${maker.slice(1)} ${MADE[bar.kind]} ${what}` +
               `${barName(recording, bar)} at event ${seq[bar.begin]}.`);
  if (bar.end === OPEN) {
    story.push(`It was still there when the trace ended, after event ` +
               `${seq[recording.events - 1]}.`);
  } else {
    const by = bar.endPid === bar.pid ? "" : bar.endPid
      ? ` by ${who(recording, bar.domain, bar.endPid)}` : " without a call of a program";
    story.push(`It was ${ENDED[bar.kind]} at event ${seq[bar.end]}${by}, ` +
               `${count(bar.end - bar.begin, "event")} later.`);
  }
  return story;
}

function hex(value) {
  return typeof value === "number" && value > 0xffff ? "0x" + value.toString(16) : String(value);
}

// An event as one line, without its number.
function eventText(event) {
  const words = [], args = { ...event.args };
  if (event.op === "verb" && args.verb) {
    words.push(args.verb);
    delete args.verb;
  }
  for (const [key, value] of Object.entries(args)) {
    const table = flagTable(`${event.op}.${key}`);
    const text = table ? flagNames(value, table).replaceAll(" ", "|")
      : typeof value === "object" ? JSON.stringify(value) : hex(value);
    words.push(`${key}=${text.length > 120 ? text.slice(0, 120) + "…" : text}`);
  }
  return words.join(" ");
}

// Whether a finding is about a bar: it names its beginning or its end, or its process and reference.
function concerns(recording, finding, bar) {
  const { seq } = recording.columns, said = { [MAPPING]: "mapped", [GRANT]: "shared" }[bar.kind];
  const numbers = [seq[bar.begin], bar.end === OPEN ? -1 : seq[bar.end]];
  const ref = bar.kind === MAPPING ? bar.c : bar.a;
  return (finding.parts || []).some(part => {
    if (numbers.includes(part.event))
      return true;
    const match = /\b(mapped|shared) references? ([\d, ]+)/.exec(part.text);
    return match && match[1] === said && finding.process === bar.pid &&
      match[2].split(/\D+/).includes(String(ref)) &&
      (bar.kind === GRANT || part.text.includes(` of domain ${bar.b}`));
  });
}
