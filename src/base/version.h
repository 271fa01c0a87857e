/*
 * base/version.h
 *		Which versions of the extension's catalog this library knows.
 */
#ifndef ACT_VERSION_H
#define ACT_VERSION_H

/*
 * Throws AC050 unless the installed version of the extension, in the catalog of
 * this database, is one that the library knows.  Silent where the extension isn't
 * installed, and while its scripts run.
 */
extern void act_version_check(void);

#endif
