/* SPDX-License-Identifier: MIT */
/*
 * Walks the stack of a thread of which only the stack pointer and the program counter are known,
 * by call frame information. A function that finds its frame by the frame pointer needs that
 * register. It is found on the stack: there, a return address stands behind a call of this very
 * function.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include <dwarf.h>

#include "arch.h"
#include "code.h"
#include "loops.h"
#include "module_i.h"

#define SEARCH_BYTES 4096u /* of the stack, for the frame pointer */

/* How a frame's caller is found. */
struct rules {
    unsigned cfa_register;
    int64_t cfa_offset;
    bool cfa_deref;     /* the sum is where the CFA lies */
    bool ends;          /* nobody called this */
    uint64_t ra_offset; /* the return address is at CFA + this */
    bool fp_saved;
    uint64_t fp_offset;
};

struct state {
    uint64_t pc, sp, fp;
    bool has_fp;
};

static bool load(const struct walk *walk, uint64_t at, uint64_t *value)
{
    if (at < walk->start || at - walk->start + sizeof *value > walk->size)
        return false;
    memcpy(value, walk->bytes + (at - walk->start), sizeof *value);
    return true;
}

/* ---- Call frame information ------------------------------------------------------------------ */

static bool read_cfa(Dwarf_Frame *frame, struct rules *rules)
{
    Dwarf_Op *ops;
    size_t nr;

    if (dwarf_frame_cfa(frame, &ops, &nr) || !nr || nr > 2 ||
        (nr == 2 && ops[1].atom != DW_OP_deref))
        return false;
    rules->cfa_deref = nr == 2;
    if (ops[0].atom == DW_OP_bregx) {
        rules->cfa_register = (unsigned)ops[0].number;
        rules->cfa_offset = (int64_t)ops[0].number2;
    } else if (ops[0].atom >= DW_OP_breg0 && ops[0].atom <= DW_OP_breg31) {
        rules->cfa_register = (unsigned)(ops[0].atom - DW_OP_breg0);
        rules->cfa_offset = (int64_t)ops[0].number;
    } else {
        return false;
    }
    return rules->cfa_register == ARCH_DWARF_SP || rules->cfa_register == ARCH_DWARF_FP;
}

enum saved { SAVED_AT,
             SAVED_SAME,
             SAVED_UNDEFINED,
             SAVED_UNKNOWN };

static enum saved read_register(Dwarf_Frame *frame, int number, uint64_t *offset)
{
    Dwarf_Op room[3], *ops;
    size_t nr;

    if (dwarf_frame_register(frame, number, room, &ops, &nr))
        return SAVED_UNKNOWN;
    if (!nr)
        return ops ? SAVED_UNDEFINED : SAVED_SAME;
    *offset = 0;
    if (ops[0].atom != DW_OP_call_frame_cfa || nr > 2)
        return SAVED_UNKNOWN;
    if (nr == 2 && ops[1].atom != DW_OP_plus_uconst)
        return SAVED_UNKNOWN;
    if (nr == 2)
        *offset = ops[1].number;
    return SAVED_AT;
}

static bool find_rules(const struct walk *walk, uint64_t pc, struct rules *rules)
{
    const struct area *area = area_find(walk->areas, walk->nr_areas, pc);
    Dwarf_Frame *frame = NULL;
    uint64_t vaddr;
    enum saved ra, fp;
    bool known;

    if (!area || !module_vaddr(area->module, pc - area->start + area->offset, &vaddr))
        return false;
    if (!area->module->eh_cfi || dwarf_cfi_addrframe(area->module->eh_cfi, vaddr, &frame))
        frame = NULL;
    if (!frame && (!area->module->debug_cfi ||
                   dwarf_cfi_addrframe(area->module->debug_cfi, vaddr, &frame)))
        return false;
    *rules = (struct rules){ .cfa_offset = 0 };
    known = read_cfa(frame, rules);
    ra = read_register(frame, ARCH_DWARF_RA, &rules->ra_offset);
    fp = read_register(frame, ARCH_DWARF_FP, &rules->fp_offset);
    free(frame);
    rules->ends = ra == SAVED_UNDEFINED;
    rules->fp_saved = fp == SAVED_AT;
    return rules->ends || (known && ra == SAVED_AT && fp != SAVED_UNKNOWN);
}

/* ---- The frame pointer ----------------------------------------------------------------------- */

/* The word at an address of the program, which may be one that is never there. */
static uint64_t read_live(const struct walk *walk, uint64_t at)
{
    uint64_t value = 0;
    struct iovec local = { &value, sizeof value }, remote = { (void *)(uintptr_t)at, sizeof value };

    pthread_mutex_unlock(walk->lock);
    loops_access_begin();
    if (process_vm_readv(walk->tid, &local, 1, &remote, 1, 0) != sizeof value)
        value = 0;
    loops_access_end();
    pthread_mutex_lock(walk->lock);
    return value;
}

/* Bytes of a file's code at an address; false: it is none. */
static bool read_code(const struct walk *walk, uint64_t at, unsigned char *to, size_t size)
{
    const struct area *area = area_find(walk->areas, walk->nr_areas, at);

    return area && area->module->fd >= 0 && at + size <= area->end &&
           pread(area->module->fd, to, size, (off_t)(at - area->start + area->offset)) ==
               (ssize_t)size;
}

/* Where code goes on that may be an entry of a procedure linkage table. */
static uint64_t follow_plt(const struct walk *walk, uint64_t at)
{
    uint8_t code[ARCH_PLT_BYTES];
    uint64_t slot = read_code(walk, at, code, sizeof code) ? arch_plt_slot(at, code) : 0;

    return slot ? read_live(walk, slot) : at;
}

/* Whether a call stands before the address. *target: where it goes, 0 if that is not seen. */
static bool is_after_call(const struct walk *walk, uint64_t at, uint64_t *target)
{
    uint8_t code[ARCH_BACKWARD_BYTES];
    enum arch_callee callee = ARCH_NO_CALL;

    *target = 0;
    if (read_code(walk, at - sizeof code, code, sizeof code))
        callee = arch_call_before(at, code, target);
    if (callee == ARCH_CALLS_THROUGH)
        *target = read_live(walk, *target);
    return callee != ARCH_NO_CALL;
}

static uint64_t function_of(const struct walk *walk, uint64_t pc)
{
    const struct area *area = area_find(walk->areas, walk->nr_areas, pc);
    uint64_t vaddr, start;

    if (!area || !module_vaddr(area->module, pc - area->start + area->offset, &vaddr))
        return 0;
    start = module_function(area->module, vaddr);
    return start ? pc - (vaddr - start) : 0;
}

static bool find_cfa(const struct walk *walk, const struct state *state, const struct rules *rules,
                     uint64_t *cfa)
{
    uint64_t sum = (rules->cfa_register == ARCH_DWARF_SP ? state->sp : state->fp) +
                   (uint64_t)rules->cfa_offset;

    if (rules->cfa_deref)
        return load(walk, sum, cfa);
    *cfa = sum;
    return true;
}

/* One frame outwards. False: the stack cannot be followed. *ended: this was the outermost. */
static bool step(const struct walk *walk, struct state *state, const struct rules *rules,
                 bool *ended)
{
    uint64_t cfa, ra, fp = state->fp;

    *ended = rules->ends;
    if (*ended)
        return true;
    if (!find_cfa(walk, state, rules, &cfa) || cfa <= state->sp ||
        !load(walk, cfa + rules->ra_offset, &ra))
        return false;
    if (rules->fp_saved && !load(walk, cfa + rules->fp_offset, &fp))
        return false;
    *state = (struct state){ ra, cfa, fp, state->has_fp || rules->fp_saved };
    *ended = !ra;
    return true;
}

/* Whether the walk from here comes to its end. */
static bool reaches_end(const struct walk *walk, struct state state)
{
    bool ended = false;
    struct rules rules;

    for (unsigned i = 0; i < 64 && !ended; i++)
        if (!find_rules(walk, state.pc - (i > 0), &rules) || !step(walk, &state, &rules, &ended))
            return false;
    return ended;
}

/* Finds the frame pointer for a function that needs it: the first that a call of this function
 * gives away, else the first with which the stack comes to its end. */
static bool recover(struct walk *walk, struct state *state, const struct rules *rules)
{
    uint64_t function = function_of(walk, state->pc), likely = 0;

    for (uint64_t at = state->sp; at < state->sp + SEARCH_BYTES; at += 8) {
        struct state with = { state->pc, state->sp, at, true };
        uint64_t cfa, ra, target;

        if (!find_cfa(walk, &with, rules, &cfa) || cfa <= state->sp ||
            !load(walk, cfa + rules->ra_offset, &ra) || !is_after_call(walk, ra, &target))
            continue;
        if (function && target &&
            (target == function || follow_plt(walk, target) == function)) {
            *state = with;
            return true;
        }
        if (!likely && reaches_end(walk, with))
            likely = at;
    }
    if (!likely)
        return false;
    walk->approximate = true;
    state->fp = likely;
    state->has_fp = true;
    return true;
}

/* Whether the thread went where no code is: it was called from what is on its stack. */
static bool leave_nowhere(const struct walk *walk, struct state *state)
{
    uint64_t ra;

    if (!walk->has_bp || area_find(walk->areas, walk->nr_areas, state->pc) ||
        !load(walk, state->sp, &ra) || !area_find(walk->areas, walk->nr_areas, ra))
        return false;
    state->pc = ra;
    state->sp += sizeof ra;
    return true;
}

size_t walk_stack(struct walk *walk, uint64_t *addresses, size_t nr)
{
    struct state state = { walk->pc, walk->sp, walk->bp, walk->has_bp };
    bool ended = false;
    struct rules rules;
    size_t depth = 0;

    while (depth < nr) {
        addresses[depth++] = state.pc;
        if (depth == 1 && leave_nowhere(walk, &state))
            continue;
        /* A call may be its function's last instruction. */
        if (!find_rules(walk, state.pc - (depth > 1), &rules))
            break;
        if (!rules.ends && rules.cfa_register == ARCH_DWARF_FP && !state.has_fp &&
            !recover(walk, &state, &rules))
            break;
        if (!step(walk, &state, &rules, &ended) || ended)
            break;
    }
    return depth;
}
