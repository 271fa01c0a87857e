/*
 * stream/expiry.h
 *		What is gone by right.
 */
#ifndef ACT_EXPIRY_H
#define ACT_EXPIRY_H

#include "datatype/timestamp.h"

/*
 * Before which time retention has removed the organization's events, as the active
 * snapshot shows it; DT_NOBEGIN where it never has.
 */
extern TimestampTz act_expiry_before(int32 organization);

#endif
