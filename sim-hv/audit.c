/* SPDX-License-Identifier: MIT */
/* Runs all checkers of the audit and reports what they find. */
#include <stdarg.h>

#include "audit_i.h"

void audit_report(struct hv_audit *a, const char *format, ...)
{
    va_list args;

    a->violations++;
    if (!a->out)
        return;
    va_start(args, format);
    vfprintf(a->out, format, args);
    va_end(args);
    fputc('\n', a->out);
}

static bool audit_begin(struct hv_audit *a)
{
    size_t top = a->hv->pool.top + 1;

    a->refs = calloc(top, sizeof *a->refs);
    a->types = calloc(top, sizeof *a->types);
    a->placed = calloc(top, sizeof *a->placed);
    a->seen = calloc(top, sizeof *a->seen);
    for (int id = 0; (id = hv_domain_next(a->hv, id)) >= 0; id++)
        a->nr_pins = (unsigned)id + 1;
    a->pins = calloc(a->nr_pins + 1, sizeof *a->pins);
    return a->refs && a->types && a->placed && a->seen && a->pins;
}

static void audit_end(struct hv_audit *a)
{
    for (unsigned id = 0; a->pins && id < a->nr_pins; id++)
        free(a->pins[id]);
    free(a->pins);
    free(a->refs);
    free(a->types);
    free(a->placed);
    free(a->seen);
}

static unsigned audit(const struct hv *hv, FILE *out, bool trust_guests)
{
    static void (*const checkers[])(struct hv_audit *, const struct hv_domain *) = {
        audit_ownership,
        audit_p2m,
        audit_foreign,
        audit_maptrack,
        audit_placements,
        audit_table,
        audit_evtchns,
        audit_rings,
    };
    struct hv_audit a = { .hv = hv, .out = out, .trust_guests = trust_guests };

    if (!audit_begin(&a)) {
        audit_report(&a, "audit: out of memory");
        a.broken = true;
    }
    /* Each checker sees all domains before the next one, which uses what it counted. */
    for (size_t i = 0; i < sizeof checkers / sizeof *checkers && !a.broken; i++)
        for (int id = hv_domain_next(hv, 0); id >= 0 && !a.broken; id = hv_domain_next(hv, id + 1))
            checkers[i](&a, domain_lookup(hv, (domid_t)id));
    if (!a.broken)
        audit_frames(&a);
    if (!a.broken)
        audit_sharing(&a);
    audit_end(&a);
    return a.violations;
}

unsigned hv_audit(const struct hv *hv, FILE *out)
{
    return audit(hv, out, true);
}

unsigned hv_audit_hostile(const struct hv *hv, FILE *out)
{
    return audit(hv, out, false);
}
