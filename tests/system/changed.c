/* SPDX-License-Identifier: MIT */
/* Takes the place of a function of the hypervisor model (see meson.build): the second event that is
 * sent is lost. */
#include <stdint.h>

struct domain;

void __real_evtchn_2l_set_pending(struct domain *d, uint32_t port);
void __wrap_evtchn_2l_set_pending(struct domain *d, uint32_t port);

void __wrap_evtchn_2l_set_pending(struct domain *d, uint32_t port)
{
    static unsigned sent;

    if (++sent != 2)
        __real_evtchn_2l_set_pending(d, port);
}
