/* SPDX-License-Identifier: MIT */
/*
 * The verbs of the control socket. A row here and a handler verb_<handler> are all that a new one
 * needs in C. tests/tidy/test_facts.py holds the reference and the Python package to the rows.
 *
 * CTL: name, handler, who may ask, VERB_*, then for ctl its words, its arguments, how the answer is
 * shown, and what the list of verbs says. An argument is a letter: D a domain id, R a reference,
 * I an id, W a word ("what"), V a value, J JSON, N nanoseconds, A on or off, P a path, T a text,
 * L a list, K a kind of device, S a state, M keys with values, to the last; a small letter may be
 * left out. SOCKET: the first four, for programs.
 */
#ifndef GNTSIM_CONTROL_VERBS_I_H
#define GNTSIM_CONTROL_VERBS_I_H

#include "verbs.h"

/* clang-format off */
#define CONTROL_VERBS(CTL, SOCKET) \
    CTL("domain-list", domain_list, BY_ANYBODY, 0, \
        "domain list", "", ANSWER_LIST, "domains with their state") \
    CTL("domain-create", domain_create, BY_PRIVILEGED, VERB_PROFILE, \
        "domain create", "D", ANSWER_NOTHING, \
        "domain create N [--profile NAME] [--type pv|pvh|hvm]: a new domain") \
    CTL("domain-destroy", domain_destroy, BY_PRIVILEGED, 0, \
        "domain destroy", "D", ANSWER_NOTHING, \
        "domain destroy N: end it as a hypervisor does, without notifications") \
    CTL("page-out", page_out, BY_PRIVILEGED, VERB_RECORDED, \
        "page-out", "DR", ANSWER_NOTHING, \
        "page-out N REF: page out what domain N grants with REF") \
    CTL("page-in", page_in, BY_PRIVILEGED, VERB_RECORDED, \
        "page-in", "DR", ANSWER_NOTHING, "page-in N REF: bring it back") \
    CTL("dump", dump, BY_ANYBODY, 0, \
        "dump", "wd", ANSWER_PARTS, \
        "dump [entries|maptrack|frames|ports] [N]: the machine's tables") \
    CTL("stats", stats, BY_ANYBODY, 0, "stats", "", ANSWER_FIELDS, "counters") \
    CTL("audit", audit, BY_ANYBODY, 0, \
        "audit", "", ANSWER_AUDIT, "check every invariant; exit status 1 if one is violated") \
    CTL("findings", findings, BY_ANYBODY, VERB_DETAIL, \
        "findings", "", ANSWER_TEXTS, "what --check has reported so far") \
    CTL("check", check, BY_ANYBODY, VERB_DETAIL, \
        "check", "", ANSWER_TEXTS, "what programs hold now, with stacks; needs --check") \
    CTL("why", why, BY_ANYBODY, VERB_DETAIL, \
        "why", "dwi", ANSWER_TEXTS, \
        "why [N [REF | page GFN | port PORT]]: which calls were refused, and why; or who has " \
        "that and what lets it go") \
    CTL("domain-suspend", domain_suspend, BY_PRIVILEGED, 0, \
        "domain suspend", "D", ANSWER_FIELDS, \
        "domain suspend N: it goes on under another id, as after save and restore") \
    CTL("limit", limit, BY_PRIVILEGED, VERB_RECORDED, \
        "limit", "DWV", ANSWER_NOTHING, \
        "limit N grant_frames|maptrack_frames|gntalloc|gntdev|privcmd_unrestricted VALUE: " \
        "change a limit") \
    CTL("fault-add", fault_add, BY_PRIVILEGED, VERB_RECORDS, \
        "fault add", "J", ANSWER_FIELDS, "fault add RULE: a fault rule, as JSON") \
    CTL("fault-list", fault_list, BY_ANYBODY, 0, \
        "fault list", "", ANSWER_LIST, "fault rules, and how often they fired") \
    CTL("fault-remove", fault_remove, BY_PRIVILEGED, VERB_RECORDED, \
        "fault remove", "I", ANSWER_NOTHING, "fault remove ID: take one away") \
    CTL("fault-clear", fault_clear, BY_PRIVILEGED, VERB_RECORDED, \
        "fault clear", "", ANSWER_NOTHING, "take all away") \
    CTL("points", points, BY_ANYBODY, 0, \
        "points", "", ANSWER_POINTS, "what was passed where a fault could have been") \
    CTL("points-reset", points_reset, BY_PRIVILEGED, VERB_RECORDED, \
        "points reset", "", ANSWER_NOTHING, "count from 0 again") \
    CTL("paused", paused, BY_ANYBODY, 0, \
        "paused", "", ANSWER_LIST, "calls that a fault rule holds") \
    CTL("resume", resume, BY_PRIVILEGED, VERB_RECORDED, \
        "resume", "I", ANSWER_NOTHING, "resume ID: let one go on") \
    CTL("clock", clock, BY_PRIVILEGED, 0, "clock", "", ANSWER_FIELDS, "the machine's time") \
    CTL("clock-advance", clock_advance, BY_PRIVILEGED, 0, \
        "clock advance", "N", ANSWER_FIELDS, "clock advance NS|next: move a virtual clock") \
    CTL("clock", clock, BY_PRIVILEGED, 0, \
        "clock auto", "A", ANSWER_FIELDS, \
        "clock auto on|off: a virtual clock jumps to what somebody waits for") \
    CTL("trace", trace, BY_PRIVILEGED, 0, \
        "trace", "a", ANSWER_FIELDS, \
        "trace [on|off]: whether events are recorded, and which are there") \
    CTL("store-read", store_read, BY_PRIVILEGED, 0, \
        "store read", "P", ANSWER_VALUE, "store read PATH: the value of a node") \
    CTL("store-write", store_write, BY_PRIVILEGED, 0, \
        "store write", "PT", ANSWER_NOTHING, \
        "store write PATH VALUE: write one, and make what is missing above") \
    CTL("store-list", store_list, BY_PRIVILEGED, 0, \
        "store ls", "P", ANSWER_TEXTS, "store ls PATH: the names below it") \
    CTL("store-mkdir", store_mkdir, BY_PRIVILEGED, 0, \
        "store mkdir", "P", ANSWER_NOTHING, "store mkdir PATH: make one, empty") \
    CTL("store-rm", store_rm, BY_PRIVILEGED, 0, \
        "store rm", "P", ANSWER_NOTHING, "store rm PATH: remove it and all below") \
    CTL("store-perms", store_perms, BY_PRIVILEGED, 0, \
        "store perms", "P", ANSWER_TEXTS, "store perms PATH: its permissions") \
    CTL("store-set-perms", store_set_perms, BY_PRIVILEGED, 0, \
        "store chmod", "PL", ANSWER_NOTHING, \
        "store chmod PATH PERM[,PERM...]: set them, like n0,r1") \
    CTL("store-restart", store_restart, BY_PRIVILEGED, VERB_RECORDED, \
        "store restart", "", ANSWER_NOTHING, \
        "store restart: the daemon starts anew; clients lose their connections") \
    CTL("store-socket", store_socket, BY_PRIVILEGED, 0, \
        "store watch", "P", ANSWER_EVENTS, "store watch PATH: print what changes") \
    CTL("store-socket", store_socket, BY_PRIVILEGED, VERB_TIMEOUT, \
        "store wait", "Pt", ANSWER_WAIT, \
        "store wait PATH [VALUE]: until the node is there, with that value; print it") \
    CTL("device-attach", device_attach, BY_PRIVILEGED, VERB_RECORDED | VERB_DEVICE, \
        "device attach", "DKm", ANSWER_FIELDS, \
        "device attach N KIND [KEY=VALUE...]: nodes for a new device, as a toolstack writes them") \
    CTL("device-detach", device_detach, BY_PRIVILEGED, VERB_RECORDED | VERB_DETACH, \
        "device detach", "DKi", ANSWER_DETACH, \
        "device detach N KIND [ID]: let the back end close it, and remove its nodes") \
    CTL("device-list", device_list, BY_PRIVILEGED, 0, \
        "device list", "d", ANSWER_LIST, "device list [N]: devices with their states") \
    CTL("device-list", device_list, BY_PRIVILEGED, VERB_TIMEOUT, \
        "device wait", "DKSi", ANSWER_DEVICE, \
        "device wait N KIND connected|closed|gone [ID]: until both ends are in this state") \
    CTL("shutdown", shutdown, BY_PRIVILEGED, 0, \
        "shutdown", "", ANSWER_NOTHING, "end the machine and its programs") \
    SOCKET("trace-read", trace_read, BY_PRIVILEGED, 0) \
    SOCKET("trace-subscribe", trace_subscribe, BY_PRIVILEGED, VERB_OF_PARTS) \
    SOCKET("processes", processes, BY_ANYBODY, 0) \
    SOCKET("enter", enter, BY_PRIVILEGED, VERB_OF_PARTS) \
    SOCKET("supervise", supervise, BY_PRIVILEGED, VERB_OF_PARTS) \
    SOCKET("kernel-attach", kernel_attach, BY_OUTSIDERS, VERB_OF_PARTS) \
    SOCKET("guest-page", guest_page, BY_PRIVILEGED, VERB_RECORDED) \
    SOCKET("guest-page-free", guest_page_free, BY_PRIVILEGED, VERB_RECORDED) \
    SOCKET("guest-grant", guest_grant, BY_PRIVILEGED, VERB_RECORDED) \
    SOCKET("guest-end", guest_end, BY_PRIVILEGED, VERB_RECORDED) \
    SOCKET("guest-end-deferred", guest_end_deferred, BY_PRIVILEGED, VERB_RECORDED) \
    SOCKET("guest-entry", guest_entry, BY_PRIVILEGED, VERB_RECORDED) \
    SOCKET("guest-version", guest_version, BY_PRIVILEGED, VERB_RECORDED) \
    SOCKET("guest-write", guest_write, BY_PRIVILEGED, VERB_RECORDED) \
    SOCKET("guest-read", guest_read, BY_PRIVILEGED, VERB_RECORDED) \
    SOCKET("guest-map", guest_map, BY_PRIVILEGED, VERB_RECORDED) \
    SOCKET("guest-mapping", guest_mapping, BY_PRIVILEGED, VERB_RECORDED) \
    SOCKET("guest-unmap", guest_unmap, BY_PRIVILEGED, VERB_RECORDED) \
    SOCKET("guest-copy", guest_copy, BY_PRIVILEGED, VERB_RECORDED) \
    SOCKET("guest-event-alloc", guest_event_alloc, BY_PRIVILEGED, VERB_RECORDED) \
    SOCKET("guest-event-bind", guest_event_bind, BY_PRIVILEGED, VERB_RECORDED) \
    SOCKET("guest-event-send", guest_event_send, BY_PRIVILEGED, VERB_RECORDED) \
    SOCKET("guest-event-pending", guest_event_pending, BY_PRIVILEGED, VERB_RECORDED) \
    SOCKET("guest-event-close", guest_event_close, BY_PRIVILEGED, VERB_RECORDED) \
    SOCKET("adversary-start", adversary_start, BY_PRIVILEGED, VERB_RECORDED) \
    SOCKET("adversary-step", adversary_step, BY_PRIVILEGED, VERB_RECORDED) \
    SOCKET("adversary-stop", adversary_stop, BY_PRIVILEGED, VERB_RECORDED) \
    SOCKET("adversary-list", adversary_list, BY_ANYBODY, VERB_RECORDED)
/* clang-format on */

#define DECLARE(name, handler, ...) json_object *verb_##handler(struct request *request);
CONTROL_VERBS(DECLARE, DECLARE)
#undef DECLARE

#endif
