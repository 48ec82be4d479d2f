/* SPDX-License-Identifier: MIT */
/* reader DOMID REF: reads what domain DOMID shares read-only.   -> read TEXT */
#ifndef READER_H
#define READER_H

#include "sample.h"

void look(char *page);

#endif
