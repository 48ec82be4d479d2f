/* SPDX-License-Identifier: MIT */
/* The verbs that explain: why calls were refused, who has a grant, a page or a port and what would
 * let it go, and what programs hold. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "checks_part.h"
#include "control_i.h"
#include "json_add.h"
#include "machine.h"
#include "saying.h"

/* A question being answered. */
struct asked {
    struct machine *m;
    domid_t domain;
    uint32_t number;
    bool detail;
    json_object *list; /* of texts, or of objects */
};

static void say(struct asked *asked, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct asked *asked, const char *format, ...)
{
    json_object *object;
    char text[256];
    va_list ap;

    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    if (!asked->detail) {
        json_object_array_add(asked->list, json_object_new_string(text));
        return;
    }
    object = json_object_new_object();
    json_add_text(object, "text", text);
    json_object_object_add(object, "parts", json_object_new_array());
    json_object_array_add(asked->list, object);
}

/* ---- Grants ---------------------------------------------------------------------------------- */

static void say_grant(struct asked *asked, const struct hv_entry_info *entry)
{
    unsigned type = entry->flags & GTF_type_mask;

    if (type == GTF_invalid)
        say(asked, "domain %u grants nothing with reference %u", asked->domain, entry->ref);
    else if (type == GTF_accept_transfer)
        say(asked, "domain %u takes a page from domain %u with reference %u", asked->domain,
            entry->domid, entry->ref);
    else
        say(asked, "domain %u grants page 0x%llx to domain %u with reference %u, %s",
            asked->domain, (unsigned long long)entry->frame, entry->domid, entry->ref,
            entry->flags & GTF_readonly ? "read-only" : "read-write");
}

/* Which domains have it mapped, and how often. */
static void say_mappers(struct asked *asked, uint32_t ref)
{
    struct hv_mapping_info info;
    bool some = false;

    for (int id = hv_domain_next(asked->m->hv, 0); id >= 0;
         id = hv_domain_next(asked->m->hv, id + 1)) {
        unsigned times = 0;

        for (uint32_t from = 0; !hv_mapping_next(asked->m->hv, (domid_t)id, from, &info);
             from = info.handle + 1)
            times += info.granter == asked->domain && info.ref == ref;
        if (times)
            say(asked, "domain %u has it mapped, with %u handle%s: domain %u cannot reuse the page "
                       "before that ends",
                (unsigned)id, times, times > 1 ? "s" : "", asked->domain);
        some |= times;
    }
    if (!some)
        say(asked, "no domain has it mapped: domain %u can end the access at any time",
            asked->domain);
}

/* False: the domain has no such reference. */
static bool explain_grant(struct asked *asked, uint32_t ref)
{
    struct hv_entry_info entry;

    if (hv_entry_info(asked->m->hv, asked->domain, ref, &entry))
        return false;
    say_grant(asked, &entry);
    if (entry.flags & GTF_type_mask)
        say_mappers(asked, ref);
    return true;
}

/* domain -1: any. Lets go of the machine's lock meanwhile. */
static void add_ledger(struct asked *asked, enum checks_about about, int domain, uint32_t number)
{
    struct checks_question question = { about, domain, number, asked->detail };

    machine_unlock(asked->m);
    checks_why(asked->m, &question, asked->list);
    machine_lock(asked->m);
}

static json_object *why_grant(struct request *request, struct asked *asked)
{
    if (!explain_grant(asked, asked->number))
        return control_refuse(request, "the grant table of domain %u has no reference %u",
                              asked->domain, asked->number);
    add_ledger(asked, ABOUT_GRANT, asked->domain, asked->number);
    return asked->list;
}

/* All grants of a frame, by the number that grants have: the gfn, or a PV domain's mfn. */
static json_object *why_page(struct request *request, struct asked *asked)
{
    struct hv_entry_info entry;
    bool some = false;

    (void)request;
    for (uint32_t ref = 0; !hv_entry_info(asked->m->hv, asked->domain, ref, &entry); ref++) {
        if (!(entry.flags & GTF_type_mask) || entry.frame != asked->number)
            continue;
        some = explain_grant(asked, ref);
        add_ledger(asked, ABOUT_GRANT, asked->domain, ref);
    }
    if (!some)
        say(asked, "domain %u grants page 0x%x to no domain", asked->domain, asked->number);
    return asked->list;
}

/* ---- Ports ----------------------------------------------------------------------------------- */

static json_object *why_port(struct request *request, struct asked *asked)
{
    struct hv_port_info port;
    int rc = hv_port_next(asked->m->hv, asked->domain, asked->number, &port);

    (void)request;
    if (rc || port.port != asked->number)
        say(asked, "port %u of domain %u is free", asked->number, asked->domain);
    else if (port.status == EVTCHNSTAT_unbound)
        say(asked, "port %u of domain %u waits for domain %u to bind to it", port.port,
            asked->domain, port.remote_dom);
    else if (port.status == EVTCHNSTAT_interdomain)
        say(asked, "port %u of domain %u is bound to port %u of domain %u%s%s", port.port,
            asked->domain, port.remote_port, port.remote_dom,
            port.pending ? ", and an event waits at it" : "",
            port.masked ? "; it is masked" : "");
    else
        say(asked, "port %u of domain %u is bound, to no other domain", port.port, asked->domain);
    add_ledger(asked, ABOUT_PORT, asked->domain, asked->number);
    return asked->list;
}

/* ---- The verbs ------------------------------------------------------------------------------- */

static const struct {
    const char *what;
    json_object *(*answer)(struct request *request, struct asked *asked);
} questions[] = {
    { "grant", why_grant },
    { "page", why_page },
    { "port", why_port },
};

static json_object *why_refused(struct request *request, struct asked *asked, int domain)
{
    if (!machine_is_watched(asked->m))
        return control_refuse(request, "this machine keeps no refused calls: start it with "
                                       "--check, or ask about a grant, a page or a port");
    add_ledger(asked, ABOUT_REFUSALS, domain, 0);
    if (!json_object_array_length(asked->list) && !asked->detail)
        say(asked, "no call was refused");
    return asked->list;
}

static json_object *ask(struct request *request, struct asked *asked)
{
    json_object *value = NULL;
    struct hv_domain_info info;
    int64_t domain, number;
    const char *what;

    json_object_object_get_ex(request->args, "what", &value);
    what = value ? json_object_get_string(value) : "grant";
    if (!control_int(request, "domain", -1, -1, DOMID_FIRST_RESERVED - 1, &domain) ||
        !control_int(request, "id", -1, -1, UINT32_MAX, &number))
        return NULL;
    if (domain >= 0 && hv_domain_info(asked->m->hv, (domid_t)domain, &info))
        return control_no_domain(request, (domid_t)domain);
    if (number < 0)
        return value ? control_refuse(request, "which %.32s: its number is missing", what)
                     : why_refused(request, asked, (int)domain);
    if (domain < 0)
        return control_refuse(request, "\"domain\" is missing");
    asked->domain = (domid_t)domain;
    asked->number = (uint32_t)number;
    for (unsigned i = 0; i < sizeof questions / sizeof *questions; i++)
        if (!strcmp(questions[i].what, what))
            return questions[i].answer(request, asked);
    return control_refuse(request, "nobody can say why of '%.32s': use grant, page or port", what);
}

json_object *verb_why(struct request *request)
{
    struct asked asked = { .m = request->machine, .detail = control_is_true(request, "detail"),
                           .list = json_object_new_array() };
    json_object *answer = ask(request, &asked);

    if (!answer)
        json_object_put(asked.list);
    return answer;
}

json_object *verb_check(struct request *request)
{
    struct asked asked = { .m = request->machine, .detail = control_is_true(request, "detail") };

    if (!machine_is_watched(request->machine))
        return control_refuse(request, "this machine checks nothing: start it with --check");
    machine_unlock(request->machine);
    asked.list = checks_held(request->machine, asked.detail);
    machine_lock(request->machine);
    if (!json_object_array_length(asked.list) && !asked.detail)
        say(&asked, "no program holds anything");
    return asked.list;
}
