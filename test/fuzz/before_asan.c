/*
 * before_asan.c
 *		Lets ASan start before any other library's constructor allocates.
 *
 * ASan starts at the first allocation of the process.  Where that is made by a
 * library that translates a message (libgpg-error does), glibc holds the lock of
 * its translations, and ASan asks for another translation under it: the server
 * hangs or dies.  A library that is linked with -z initfirst comes before all
 * others, and allocates while nobody holds anything.
 */
#include <stdlib.h>

__attribute__((constructor))
static void
allocate_first(void)
{
	void	   *volatile byte = malloc(1);	/* or the compiler leaves both out */

	free(byte);
}
