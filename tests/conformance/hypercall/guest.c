/* SPDX-License-Identifier: MIT */
/* A PV guest that does what dom0 asks for, one request at a time, and nothing else. */
#define __XEN_INTERFACE_VERSION__ __XEN_LATEST_INTERFACE_VERSION__
#include <stdint.h>

#include <xen/xen.h>
#include <xen/event_channel.h>
#include <xen/sched.h>

#include "layout.h"

#define MAILBOX ((volatile struct mailbox *)GUEST_VA(PAGE_MAILBOX))
#define PTE_ADDRESS UINT64_C(0x000ffffffffff000)

long guest_hypercall(uint64_t nr, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5);
long guest_read(uint64_t address, uint64_t size, uint64_t *value);
long guest_write(uint64_t address, uint64_t size, uint64_t value);
void guest_fault(void);
void guest_main(void *unused, const struct start_info *info);

/* Machine address of the entry that maps address. The builder's page tables are mapped where info
 * says. */
static uint64_t pte_of(const struct start_info *info, uint64_t address)
{
    const uint64_t *machine_to_phys = (const uint64_t *)MACH2PHYS_VIRT_START;
    const uint64_t *table = (const uint64_t *)info->pt_base;
    uint64_t entry = 0;

    for (unsigned shift = 39; shift > 12; shift -= 9) {
        entry = table[address >> shift & 511];
        if (!(entry & 1))
            return 0;
        table = (const uint64_t *)(GUEST_BASE +
                                   (machine_to_phys[(entry & PTE_ADDRESS) >> 12] << 12));
    }
    return (entry & PTE_ADDRESS) + (address >> 12 & 511) * 8;
}

/* Whatever the request did to the channel to dom0: the next one comes through it. */
static void mend_channel(void)
{
    struct evtchn_status status = { .dom = DOMID_SELF, .port = GUEST_CHANNEL };
    struct evtchn_bind_interdomain bind = { .remote_dom = 0, .remote_port = MAILBOX->peer_port };

    if (!guest_hypercall(__HYPERVISOR_event_channel_op, EVTCHNOP_status, (uint64_t)&status, 0, 0,
                         0) &&
        status.status == EVTCHNSTAT_closed)
        guest_hypercall(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_interdomain, (uint64_t)&bind,
                        0, 0, 0);
}

static void serve(const struct start_info *info)
{
    volatile struct mailbox *box = MAILBOX;
    uint64_t args[6], value = 0;

    for (unsigned i = 0; i < 6; i++)
        args[i] = box->args[i];
    switch (box->request) {
    case REQUEST_HYPERCALL:
        box->result = guest_hypercall(args[0], args[1], args[2], args[3], args[4], args[5]);
        if (args[0] == __HYPERVISOR_event_channel_op &&
            (args[1] == EVTCHNOP_reset || args[1] == EVTCHNOP_close))
            mend_channel();
        break;
    case REQUEST_READ:
        box->result = guest_read(args[0], args[1], &value);
        break;
    case REQUEST_WRITE:
        box->result = guest_write(args[0], args[1], args[2]);
        break;
    case REQUEST_PTE:
        value = pte_of(info, args[0]);
        box->result = 0;
        break;
    case REQUEST_SUM:
        box->result = guest_read(args[0], 8, &value);
        if (!box->result)
            value = page_sum((const uint64_t *)args[0]);
        break;
    default:
        box->result = -2;
        break;
    }
    box->value = value;
}

/* What layout.h calls a hole: the builder mapped all of it. */
static void make_holes(void)
{
    for (unsigned page = PAGE_ARG; page < NR_PAGES; page++)
        if ((page >= PAGE_ARG + NR_ARG && page < PAGE_POOL && page != PAGE_LIST) ||
            page >= PAGE_POOL + NR_POOL)
            guest_hypercall(__HYPERVISOR_update_va_mapping, GUEST_VA(page), 0, UVMF_INVLPG, 0, 0);
}

void guest_main(void *unused, const struct start_info *info)
{
    static struct trap_info traps[3];
    evtchn_port_t port = GUEST_CHANNEL;
    struct sched_poll poll = { .nr_ports = 1 };
    volatile struct mailbox *box = MAILBOX;
    struct shared_info *shared = (struct shared_info *)GUEST_VA(PAGE_SHARED);

    (void)unused;
    for (unsigned i = 0; i < 2; i++)
        traps[i] = (struct trap_info){ .vector = (uint8_t)(13 + i), .cs = FLAT_KERNEL_CS,
                                       .address = (uint64_t)guest_fault };
    guest_hypercall(__HYPERVISOR_set_trap_table, (uint64_t)traps, 0, 0, 0, 0);
    guest_hypercall(__HYPERVISOR_update_va_mapping, (uint64_t)shared, info->shared_info | 7,
                    UVMF_INVLPG, 0, 0);
    make_holes();
    for (unsigned page = 0; page < NR_POOL; page++)
        for (unsigned word = 0; word < 512; word++)
            ((uint64_t *)GUEST_VA(PAGE_POOL + page))[word] =
                first_content(box->request, page, word);
    box->answered = 1;
    set_xen_guest_handle(poll.ports, &port);
    for (;;) {
        /* Events are off in this guest (evtchn_upcall_mask is 1): poll only looks at the port's
         * bit. */
        guest_hypercall(__HYPERVISOR_sched_op, SCHEDOP_poll, (uint64_t)&poll, 0, 0, 0);
        __atomic_fetch_and(&shared->evtchn_pending[0], ~(1ul << GUEST_CHANNEL), __ATOMIC_SEQ_CST);
        while (box->answered != box->asked) {
            serve(info);
            __atomic_thread_fence(__ATOMIC_SEQ_CST);
            box->answered++;
        }
    }
}
