/* SPDX-License-Identifier: MIT */
/* Carries out lists of steps, and reports what each one answered and changed. */
#include "exec.h"

#include <stdlib.h>
#include <string.h>

#include "calls.h"

#define MAX_WORDS 512
#define ARG_SIZE (NR_ARG * 4096u)
#define POISON 0x5a

struct words {
    char *word[MAX_WORDS];
    unsigned n;
};

/* "key=value" among the words: the value, NULL without. */
static const char *value_of(const struct words *w, unsigned from, unsigned to, const char *key)
{
    size_t n = strlen(key);

    for (unsigned i = from; i < to; i++)
        if (!strncmp(w->word[i], key, n) && w->word[i][n] == '=')
            return w->word[i] + n + 1;
    return NULL;
}

static uint64_t number_of(const struct words *w, const char *key, uint64_t otherwise)
{
    const char *text = value_of(w, 2, w->n, key);

    return text ? parse_number(text) : otherwise;
}

/* ---- Hypercalls ------------------------------------------------------------------------------ */

static uint64_t parse_field(struct exec *e, enum who who, const struct field *f, const char *text)
{
    switch (f->kind) {
    case FIELD_DOMAIN: return parse_domain(e, who, text);
    case FIELD_FRAME: return parse_frame(e, who, text);
    case FIELD_BUS: return parse_address(e, who, text);
    case FIELD_ADDRESS: return parse_address(e, who, text);
    case FIELD_HANDLE: return parse_handle(e, who, text);
    default: return parse_number(text);
    }
}

/* Words from..to describe one element. What they do not name is 0, results are 0x5a5a… */
static void fill_element(struct exec *e, enum who who, const struct call *c, const struct words *w,
                         unsigned from, unsigned to, uint8_t *at)
{
    unsigned known = 0;

    memset(at, 0, c->size);
    for (unsigned i = 0; i < c->nr_fields; i++) {
        const struct field *f = &c->fields[i];
        const char *text = value_of(w, from, to, f->name);
        uint64_t value = 0;

        if (text) {
            value = parse_field(e, who, f, text);
            known++;
        } else if (f->out) {
            memset(&value, POISON, sizeof value);
        } else if (!strcmp(f->name, "list")) {
            value = backend_list_address(e->b, who);
        } else {
            continue;       /* two names for one place: only the one that is given counts */
        }
        memcpy(at + f->offset, &value, f->size);
    }
    for (unsigned i = from; i < to; i++)
        if (!strncmp(w->word[i], "count=", 6) || !strncmp(w->word[i], "ptr=", 4) ||
            !strncmp(w->word[i], "cmd=", 4) ||
            !strncmp(w->word[i], "repeat=", 7))
            known++;
    if (known != to - from)
        die("%s.%u: one of these means nothing to %s", e->name, e->step, c->name);
}

static void remember_handle(struct exec *e, enum who who, const void *at)
{
    const struct gnttab_map_grant_ref *map = at;
    struct memory *m = &e->memory[who];
    uint64_t page = (map->host_addr - GUEST_BASE) / 4096;

    if (map->status != GNTST_okay)
        return;
    m->recent[m->nr_recent++ % NR_RECENT] = map->handle;
    if (map->flags & GNTMAP_host_map && page - PAGE_SLOT < NR_SLOTS)
        m->at_slot[page - PAGE_SLOT] = map->handle;
}

static void report_field(struct exec *e, const struct field *f, const uint8_t *at)
{
    uint64_t value = 0;

    memcpy(&value, at + f->offset, f->size);
    switch (f->kind) {
    case FIELD_DOMAIN:
        print_domain(e, value);
        break;
    case FIELD_SIGNED:
        fprintf(e->out, "%d", (int16_t)value);
        break;
    case FIELD_BUS:
        if (value & 4095)
            fprintf(e->out, "%#llx", (unsigned long long)value);
        else
            print_frame(e, value >> 12, false);
        break;
    default:
        fprintf(e->out, value < 100000 ? "%llu" : "%#llx", (unsigned long long)value);
    }
}

/* Frame lists: every word that was written, by position. */
static void report_list(struct exec *e, enum who who)
{
    const uint8_t *list = backend_guest(e->b, who)->list;
    uint64_t untouched;

    memset(&untouched, POISON, sizeof untouched);
    for (unsigned i = 0; i < 16; i++) {
        uint64_t frame;

        memcpy(&frame, list + i * 8, sizeof frame);
        if (frame == untouched)
            continue;
        fprintf(e->out, " list%u=", i);
        print_frame(e, frame, true);
    }
}

/* The guest's memory at an address, if all of size is in its argument pages. */
static uint8_t *in_arguments(struct exec *e, enum who who, uint64_t address, size_t size)
{
    uint64_t start = backend_arg_address(e->b, who);

    if (address < start || address >= start + ARG_SIZE || address + size > start + ARG_SIZE)
        return NULL;
    return backend_guest(e->b, who)->arg + (address - start);
}

static bool is_call(const struct call *c, const char *name)
{
    return !strcmp(c->name, name);
}

static void after_call(struct exec *e, enum who who, const struct call *c, const uint8_t *at)
{
    if (c->shape == CALL_EVTCHN)
        return;
    if (is_call(c, "set_version")) {
        memcpy(&e->memory[who].version, at, 4);
        if (e->memory[who].version != 2)
            e->memory[who].version = 1;
        backend_refresh(e->b, who);
        watch_learn(e, who);
    } else if (is_call(c, "setup_table")) {
        for (unsigned i = WHO_A; i < NR_WHO; i++) {
            backend_refresh(e->b, (enum who)i);
            watch_learn(e, (enum who)i);
        }
    }
}

static void do_call(struct exec *e, enum who who, const struct call *c, const struct words *w)
{
    unsigned from = 2, n = 0;
    uint64_t where = backend_arg_address(e->b, who), args[5] = { c->cmd, where };
    struct guest *g = backend_guest(e->b, who);
    const char *ptr = value_of(w, 2, w->n, "ptr");
    long rc;

    memset(g->list, POISON, 4096);
    while (from <= w->n && (c->nr_fields || !n)) {
        unsigned to = from, repeat;
        const char *text;

        while (to < w->n && strcmp(w->word[to], "/"))
            to++;
        text = value_of(w, from, to, "repeat");
        for (repeat = text ? (unsigned)parse_number(text) : 1; repeat; repeat--, n++) {
            if ((n + 1) * c->size > ARG_SIZE)
                die("%s.%u: too many elements", e->name, e->step);
            fill_element(e, who, c, w, from, to, g->arg + n * c->size);
        }
        from = to + 1;
    }
    if (ptr && !strncmp(ptr, "end:", 4)) {      /* so many elements, and then nothing is mapped */
        unsigned there = (unsigned)parse_number(ptr + 4), bytes = there * c->size;

        memmove(g->arg + ARG_SIZE - bytes, g->arg, bytes);
        args[1] = where + ARG_SIZE - bytes;
    } else if (ptr) {
        args[1] = parse_address(e, who, ptr);
    }
    args[0] = number_of(w, "cmd", c->cmd);
    args[2] = number_of(w, "count", n);
    rc = backend_hypercall(e->b, who, c->shape == CALL_EVTCHN ? __HYPERVISOR_event_channel_op
                                                              : __HYPERVISOR_grant_table_op, args);
    fprintf(e->out, " rc=%ld", rc);
    for (unsigned i = 0; i < n; i++) {
        const uint8_t *at = in_arguments(e, who, args[1] + i * c->size, c->size);

        for (unsigned j = 0; at && j < c->nr_fields; j++)
            if (c->fields[j].out) {
                if (n > 1)
                    fprintf(e->out, " %u.%s=", i, c->fields[j].name);
                else
                    fprintf(e->out, " %s=", c->fields[j].name);
                report_field(e, &c->fields[j], at);
            }
        if (at && is_call(c, "map"))
            remember_handle(e, who, at);
    }
    after_call(e, who, c, in_arguments(e, who, args[1], c->size)
               ? in_arguments(e, who, args[1], c->size) : g->arg);
    if (is_call(c, "setup_table") || is_call(c, "get_status_frames"))
        report_list(e, who);
}

/* ---- What a guest does by itself ------------------------------------------------------------- */

static void *entry_at(struct exec *e, enum who who, uint64_t ref)
{
    const struct guest *g = backend_guest(e->b, who);
    unsigned per_frame = e->memory[who].version == 1 ? 512 : 256;

    return ref / per_frame < g->nr_grant ? g->grant[ref / per_frame] +
        ref % per_frame * (4096 / per_frame) : NULL;
}

/*
 * An entry that is in use must not become a transitive one: a copy through it would keep a real Xen
 * busy for ever (it starts the element anew until the guest changes the entry). Nor may a frame
 * number become an inner reference: it is another one on each machine.
 */
static bool in_use(struct exec *e, enum who who, uint64_t ref, const void *at)
{
    const struct guest *g = backend_guest(e->b, who);
    uint16_t flags = *(const uint16_t *)at;

    if (e->memory[who].version == 2 && ref / 2048 < g->nr_status)
        flags = ((const uint16_t *)(const void *)g->status[ref / 2048])[ref % 2048];
    return flags & (GTF_reading | GTF_writing);
}

/* entry REF flags= dom= frame= [off= len=] [tdom= tref=]: all of it, flags last. */
static void do_entry(struct exec *e, enum who who, const struct words *w)
{
    void *at = entry_at(e, who, parse_number(w->word[2]));
    uint16_t flags = (uint16_t)number_of(w, "flags", 0);
    const char *dom = value_of(w, 2, w->n, "dom"), *frame = value_of(w, 2, w->n, "frame"),
        *tdom = value_of(w, 2, w->n, "tdom");

    if (!at) {
        fputs(" entry=out", e->out);
        return;
    }
    if ((flags & GTF_type_mask) == GTF_transitive) {
        if (in_use(e, who, parse_number(w->word[2]), at)) {
            fputs(" entry=in-use", e->out);
            return;
        }
        tdom = tdom ? tdom : "invalid";
    }
    if (e->memory[who].version == 1) {
        struct grant_entry_v1 *v1 = at;

        v1->domid = (domid_t)(dom ? parse_domain(e, who, dom) : 0);
        v1->frame = (uint32_t)(frame ? parse_frame(e, who, frame) : 0);
        v1->flags = flags;
    } else {
        union grant_entry_v2 *v2 = at;

        memset((uint8_t *)v2 + 4, 0, sizeof *v2 - 4);
        v2->hdr.domid = (domid_t)(dom ? parse_domain(e, who, dom) : 0);
        if (tdom) {
            v2->transitive.trans_domid = (domid_t)parse_domain(e, who, tdom);
            v2->transitive.gref = (grant_ref_t)number_of(w, "tref", 0);
        } else {
            v2->sub_page.page_off = (uint16_t)number_of(w, "off", 0);
            v2->sub_page.length = (uint16_t)number_of(w, "len", 0);
            v2->full_page.frame = frame ? parse_frame(e, who, frame) : 0;
        }
        v2->hdr.flags = flags;
    }
}

/* flags REF VALUE: that half word only. */
static void do_flags(struct exec *e, enum who who, const struct words *w)
{
    void *at = entry_at(e, who, parse_number(w->word[2]));

    if (!at)
        fputs(" entry=out", e->out);
    else if ((parse_number(w->word[3]) & GTF_type_mask) == GTF_transitive &&
             (*(uint16_t *)at & GTF_type_mask) != GTF_transitive)
        fputs(" entry=kept", e->out);
    else
        *(uint16_t *)at = (uint16_t)parse_number(w->word[3]);
}

static void do_access(struct exec *e, enum who who, const struct words *w, bool write)
{
    uint64_t value = write ? parse_number(w->word[3]) : 0, size = number_of(w, "size", 8);

    if (backend_access(e->b, who, parse_address(e, who, w->word[2]), (unsigned)size, &value, write))
        fputs(" fault=1", e->out);
    else if (!write)
        fprintf(e->out, " value=%#llx", (unsigned long long)value);
    else
        fputs(" fault=0", e->out);
}

static void do_peek(struct exec *e, enum who who, const struct words *w)
{
    do_access(e, who, w, false);
}

static void do_poke(struct exec *e, enum who who, const struct words *w)
{
    do_access(e, who, w, true);
}

/* hide ADDRESS: no page there any more. */
static void do_hide(struct exec *e, enum who who, const struct words *w)
{
    fprintf(e->out, " okay=%d", !backend_set_page(e->b, who, parse_address(e, who, w->word[2]), 0,
                                                  0));
}

/* show ADDRESS FRAME [flags=7]: the guest's own frame there. */
static void do_show(struct exec *e, enum who who, const struct words *w)
{
    fprintf(e->out, " okay=%d", !backend_set_page(e->b, who, parse_address(e, who, w->word[2]),
                                                  parse_frame(e, who, w->word[3]),
                                                  (unsigned)number_of(w, "flags", 7)));
}

/* sums: of the contents of every page and slot that is there. */
static void do_sums(struct exec *e, enum who who, const struct words *w)
{
    (void)w;
    for (unsigned page = PAGE_POOL; page < NR_PAGES; page++) {
        uint64_t sum;

        if (page == PAGE_POOL + NR_POOL)
            page = PAGE_SLOT;
        if (!backend_sum(e->b, who, GUEST_VA(page), &sum))
            fprintf(e->out, " %c%u=%08x", page < PAGE_SLOT ? 'p' : 's',
                    page < PAGE_SLOT ? page - PAGE_POOL : page - PAGE_SLOT,
                    (uint32_t)(sum ^ sum >> 32));
    }
}

static void set_bit(volatile unsigned long *words, uint64_t port, bool on)
{
    if (port >= 4096)
        return;
    if (on)
        __atomic_fetch_or(&words[port / 64], 1ul << port % 64, __ATOMIC_SEQ_CST);
    else
        __atomic_fetch_and(&words[port / 64], ~(1ul << port % 64), __ATOMIC_SEQ_CST);
}

static void do_mask(struct exec *e, enum who who, const struct words *w)
{
    set_bit(backend_guest(e->b, who)->shared->evtchn_mask, parse_number(w->word[2]),
            parse_number(w->word[3]));
}

static void do_pending(struct exec *e, enum who who, const struct words *w)
{
    set_bit(backend_guest(e->b, who)->shared->evtchn_pending, parse_number(w->word[2]),
            parse_number(w->word[3]));
}

/* As an upcall handler begins. */
static void do_ack(struct exec *e, enum who who, const struct words *w)
{
    struct shared_info *s = backend_guest(e->b, who)->shared;

    (void)w;
    s->vcpu_info[0].evtchn_upcall_pending = 0;
    s->vcpu_info[0].evtchn_pending_sel = 0;
}

/* ---- Domains --------------------------------------------------------------------------------- */

static void do_destroy(struct exec *e, enum who who, const struct words *w)
{
    (void)w;
    backend_destroy(e->b, who);
    fputs(backend_guest(e->b, who)->state == GUEST_NONE ? " domain=gone" : " domain=dying", e->out);
}

static void do_create(struct exec *e, enum who who, const struct words *w)
{
    (void)w;
    if (backend_guest(e->b, who)->state != GUEST_NONE) {
        fputs(" domain=there", e->out);
        return;
    }
    backend_create(e->b, who, (domid_t)(e->base + who), &e->config[who]);
    watch_begin(e, who);
    backend_refresh(e->b, who);
    watch_learn(e, who);
}

/* domain A max_grant_frames=2 …: before its first use in this sequence. */
static void do_domain(struct exec *e, const struct words *w)
{
    struct guest_config *c = &e->config[parse_who(w->word[1])];

    c->max_grant_frames = (int32_t)number_of(w, "max_grant_frames", MAX_GRANT_FRAMES);
    c->max_maptrack_frames = (int32_t)number_of(w, "max_maptrack_frames", 4);
    c->max_grant_version = (uint32_t)number_of(w, "max_grant_version", 2);
    c->max_evtchn_port = (uint32_t)number_of(w, "max_evtchn_port", 1023);
}

void exec_end(struct exec *e)
{
    for (unsigned who = WHO_A; who < NR_WHO; who++)
        if (e->memory[who].created)
            backend_destroy(e->b, (enum who)who);
    /* What each still had of another is gone now. */
    for (unsigned who = WHO_A; who < NR_WHO; who++) {
        backend_refresh(e->b, (enum who)who);
        if (backend_guest(e->b, (enum who)who)->state != GUEST_NONE)
            die("%s: a domain stays although nothing of it is in use", e->name);
        e->memory[who].created = false;
    }
}

static void begin_sequence(struct exec *e, const char *name)
{
    exec_end(e);
    /* nobody's id is used again soon */
    e->base = e->base > 30000 ? 100 : (domid_t)(e->base + 16);
    snprintf(e->name, sizeof e->name, "%s", name);
    e->step = 0;
    for (unsigned who = WHO_A; who < NR_WHO; who++) {
        e->memory[who] = (struct memory){ 0 };
        e->config[who] = (struct guest_config){ MAX_GRANT_FRAMES, 4, 2, 1023 };
    }
    fprintf(e->out, "sequence %s\n", name);
}

/* The domains that a sequence does not configure are there from its first step on. */
static void begin_steps(struct exec *e)
{
    for (unsigned who = WHO_A; who < NR_WHO; who++)
        do_create(e, (enum who)who, NULL);
}

static const struct { const char *name; unsigned words; void (*act)(struct exec *, enum who, const struct words *); } acts[] = {
    { "entry", 3, do_entry }, { "flags", 4, do_flags }, { "peek", 3, do_peek },
    { "poke", 4, do_poke }, { "hide", 3, do_hide },
    { "show", 4, do_show }, { "mask", 4, do_mask }, { "pending", 4, do_pending },
    { "ack", 2, do_ack },
    { "sums", 2, do_sums }, { "destroy", 2, do_destroy }, { "create", 2, do_create },
};

static void do_step(struct exec *e, const struct words *w)
{
    enum who who = parse_who(w->word[0]);
    const char *op = w->n > 1 ? w->word[1] : "";
    const struct call *c = find_call(op);
    unsigned i = 0;

    if (!e->step++)
        begin_steps(e);
    fprintf(e->out, "%s.%u who=%s op=%s", e->name, e->step, w->word[0], op);
    if (who != WHO_DOM0 && backend_guest(e->b, who)->state != GUEST_ALIVE && strcmp(op, "create") &&
        strcmp(op, "destroy")) {
        fputs(" domain=gone", e->out);
    } else if (c) {
        do_call(e, who, c, w);
    } else {
        while (i < sizeof acts / sizeof *acts && strcmp(acts[i].name, op))
            i++;
        if (i == sizeof acts / sizeof *acts || w->n < acts[i].words)
            die("%s.%u: what is '%s'?", e->name, e->step, op);
        acts[i].act(e, who, w);
    }
    for (unsigned other = WHO_A; other < NR_WHO; other++)
        if (backend_guest(e->b, (enum who)other)->state == GUEST_DYING) {
            backend_refresh(e->b, (enum who)other);
            if (backend_guest(e->b, (enum who)other)->state == GUEST_NONE)
                fprintf(e->out, " %c=gone", "0ABC"[other]);
        }
    if (who != WHO_DOM0 && backend_guest(e->b, who)->state == GUEST_CRASHED)
        fputs(" crashed=1", e->out);
    if (backend_guest(e->b, who)->state == GUEST_STUCK)
        fputs(" stuck=1", e->out);
    watch_report(e);
    fputc('\n', e->out);
}

void exec_line(struct exec *e, const char *line)
{
    char *text = strdup(line), *save, *word;
    struct words w = { 0 };

    if (!text)
        die("no memory");
    for (word = strtok_r(text, " \t\n", &save); word && word[0] != '#';
         word = strtok_r(NULL, " \t\n", &save)) {
        if (w.n == MAX_WORDS)
            die("%s.%u: too many words", e->name, e->step);
        w.word[w.n++] = word;
    }
    if (w.n == 2 && !strcmp(w.word[0], "sequence"))
        begin_sequence(e, w.word[1]);
    else if (w.n && !strcmp(w.word[0], "domain"))
        do_domain(e, &w);
    else if (w.n)
        do_step(e, &w);
    free(text);
}
