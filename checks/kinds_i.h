/* SPDX-License-Identifier: MIT */
/*
 * The kinds of findings. A row here and the code that finds it are all that a kind needs in C:
 * `gntsim explain`, the help and the tests take the rest from the rows. Each kind has a page,
 * docs/checks/NAME.md.
 *
 * Columns: the identifier; the name; whether the kind is a leak, which a test that ends its
 * programs can do without; one sentence that says what is wrong; one that says what to do.
 */
#ifndef GNTSIM_CHECKS_KINDS_I_H
#define GNTSIM_CHECKS_KINDS_I_H

/* clang-format off */
#define CHECKS_KINDS(ROW) \
    ROW(SLOT_LEAK, "slot-leak", true, \
        "A program mapped grants through gntdev, ended well, and did not unmap them", \
        "call xengnttab_unmap for every mapping, also on the paths that errors take") \
    ROW(SLOT_LOST, "slot-lost", true, \
        "An mmap of gntdev failed, and the index that MAP_GRANT_REF gave was not given back", \
        "call UNMAP_GRANT_REF with the index and the count after an mmap that failed") \
    ROW(SHARE_LEAK, "share-leak", true, \
        "A program shared pages through gntalloc, ended well, and did not unshare them", \
        "call xengntshr_unshare for every share, also on the paths that errors take") \
    ROW(PORT_LEAK, "port-leak", true, \
        "A program bound event channels, ended well, and neither unbound nor closed them", \
        "call xenevtchn_unbind, or xenevtchn_close") \
    ROW(LATE_UNMAP, "late-unmap", false, \
        "A domain ended the access to a page that another domain still had mapped", \
        "unmap the page before you tell the peer that you have done with it") \
    ROW(STATUS_UNREAD, "status-unread", false, \
        "A grant copy returned 0 with a failed segment, and nobody looked at the status", \
        "look at the status of each segment after xengnttab_grant_copy returned 0") \
    ROW(DOUBLE_UNMAP, "double-unmap", false, \
        "A program gave back what it had given back before", \
        "forget an address, an index or a port when you give it back") \
    ROW(BAD_UNMAP, "bad-unmap", false, \
        "A program gave back what it does not have, or another part of it than it was given", \
        "give back the address and the count that the map or share call was about") \
    ROW(USE_AFTER_UNMAP, "use-after-unmap", false, \
        "A program used a page after it had unmapped or unshared it, and died of that", \
        "let all uses end before the unmap, also those of other threads, and forget the address") \
    ROW(STALE_REFERENCE, "stale-reference", false, \
        "A domain mapped a reference of the store that stands for another page by now", \
        "read the reference anew when the peer's state changes, and forget the old one") \
    ROW(READONLY_WRITE, "readonly-write", false, \
        "A program wrote to a page that it had mapped read-only, and died of that", \
        "map with PROT_READ | PROT_WRITE, which the granter must allow, or do not write") \
    ROW(CRASH_EXPLAINED, "crash-explained", false, \
        "A program died of an access beside a mapping, or with what a failed call returned", \
        "look at what each call returns before you use it, and stay within the mapping")
/* clang-format on */

#endif
